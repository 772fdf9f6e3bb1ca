"""`python -m studio crawl URL … --project NAME --class CLASS`."""

import click

from studio.cli import options
from studio.language import _


@click.command("crawl", help=_("Collect the pictures that pages show, politely and with their papers."))
@click.argument("addresses", nargs=-1, required=True, metavar="URL…")
@options.project
@options.class_
@click.option("--depth", default=1, show_default=True, help=_("How many links away pages are read, 0 to 3."))
@click.option("--site", "sites", multiple=True, help=_("A host whose pages are read as well; repeatable."))
@click.option("--max-pictures", default=500, show_default=True, help=_("End at so many new pictures."))
@click.option("--max-pages", default=200, show_default=True, help=_("Read so many pages at most."))
@click.option("--max-megabytes", default=2000, show_default=True, help=_("End when so much has come."))
@click.option("--max-minutes", default=60.0, show_default=True, help=_("End after so long."))
@options.min_size(100)
@options.allow_host
@options.as_json
def crawl(
    addresses: tuple[str, ...],
    project_name: str,
    class_name: str | None,
    depth: int,
    sites: tuple[str, ...],
    max_pictures: int,
    max_pages: int,
    max_megabytes: int,
    max_minutes: float,
    min_size: int,
    allow_hosts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Crawl as asked, in this process, and count at the end. The same command goes on after a Stop."""
    from studio.cli.counts import show_counts
    from studio.cli.here import run_here
    from studio.collect.web.plan import Plan

    plan = Plan(
        addresses,
        class_name,
        depth,
        sites,
        max_pages,
        max_pictures,
        max_megabytes * 1_000_000,
        max_minutes,
        min_size,
    ).checked()  # before the project is made, so that a mistyped address leaves no empty one behind
    arguments = {**plan.arguments(), "allow_hosts": [host.lower() for host in allow_hosts]}
    show_counts(run_here("ingest_crawl", arguments, project_name), as_json=as_json)
