"""`python -m studio import PATH --project NAME`."""

from pathlib import Path
from typing import Any

import click

from studio.language import _


@click.command("import", help=_("Bring a folder, an archive or a list of addresses into a project."))
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE_OR_FOLDER_OR_LIST")
@click.option("--project", "project_name", required=True, help=_("The project's name; made where missing."))
@click.option("--class", "class_name", help=_("The class of pictures that have none of their own."))
@click.option(
    "--min-size",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help=_("Of a list: leave out pictures with a shorter side, in pixels."),
)
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    help=_("Of a list: a host to ask although it is not public; repeatable."),
)
@click.option("--json", "as_json", is_flag=True, help=_("Print one JSON object, for programs."))
def import_(
    path: Path,
    project_name: str,
    class_name: str | None,
    min_size: int,
    allow_hosts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Take the pictures at `path` into a project, say of each refused file why, and count at the end."""
    from studio.cli.counts import show_counts
    from studio.cli.here import run_here
    from studio.collect.arrivals import path_offer, what_is
    from studio.progress import Silent

    path = path.expanduser().absolute()
    arguments: dict[str, Any] = {"class_name": class_name}
    if what_is(path) == "addresses":
        hosts = [host.lower() for host in allow_hosts]
        arguments |= {"list_path": str(path), "min_side_px": min_size, "allow_hosts": hosts}
        result = run_here("ingest_web", arguments, project_name)
    else:
        # Looked at before the project is made, so that a mistyped path leaves no empty project behind.
        path_offer(path, class_name, progress=Silent())
        result = run_here("ingest_path", {"path": str(path), **arguments}, project_name)
    if not as_json:
        for refusal in result["refused"]:
            click.echo(refusal["reason"], err=True)
    show_counts(result, as_json=as_json)
