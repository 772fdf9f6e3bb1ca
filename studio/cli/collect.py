"""`python -m studio import`, `crawl`, `search` and `sources`: images into a project, and where from."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli import options
from studio.collect.web.search_registry import SEARCH_SERVICES, SearchRequest
from studio.i18n import _, counted
from studio.images.skip_reasons import skip_reason_title

if TYPE_CHECKING:
    from studio.collect.outcomes import OutcomeCounts
    from studio.collect.web.search import SearchHit


@click.command("import", help=_("Import a folder, an archive or a list of URLs into a project."))
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE_OR_FOLDER_OR_LIST")
@options.project
@options.class_
@options.min_size(0)
@options.allow_host
@options.as_json
def import_(
    path: Path,
    project_name: str,
    class_name: str | None,
    min_size: int,
    allow_hosts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Import the images at `path`, report each skipped file with its reason, and print counts."""
    from studio.cli.run_job import run_here
    from studio.cli.terminal import terminal_progress
    from studio.collect.importers import input_kind, sources_at_path

    path = path.expanduser().absolute()
    arguments: dict[str, Any] = {"class_name": class_name}
    if input_kind(path) == "urls":
        hosts = [host.lower() for host in allow_hosts]
        arguments |= {"list_path": str(path), "min_side_px": min_size, "allow_hosts": hosts}
        result = run_here("ingest_web", arguments, project_name)
    else:
        # Checked before the project is made, so that a mistyped path leaves no empty project behind.
        with terminal_progress() as progress:
            sources_at_path(path, class_name, progress=progress)
        result = run_here("ingest_path", {"path": str(path), **arguments}, project_name)
    if not as_json:
        for refusal in result["refused"]:
            click.echo(refusal["reason"], err=True)
    show_counts(result, as_json=as_json)


@click.command("crawl", help=_("Collect the images of web pages, with their provenance."))
@click.argument("addresses", nargs=-1, required=True, metavar="URL…")
@options.project
@options.class_
@click.option(
    "--depth", default=1, show_default=True, help=_("How many links to follow from the given pages, 0 to 3.")
)
@click.option("--site", "sites", multiple=True, help=_("Another host to follow links to; repeatable."))
@click.option(
    "--max-images",
    "--max-pictures",  # its name in earlier versions
    "max_images",
    default=500,
    show_default=True,
    help=_("Maximum number of new images."),
)
@click.option("--max-pages", default=200, show_default=True, help=_("Maximum number of pages."))
@click.option("--max-megabytes", default=2000, show_default=True, help=_("Maximum download in megabytes."))
@click.option("--max-minutes", default=60.0, show_default=True, help=_("Maximum duration in minutes."))
@options.min_size(100)
@options.allow_host
@options.as_json
def crawl(
    addresses: tuple[str, ...],
    project_name: str,
    class_name: str | None,
    depth: int,
    sites: tuple[str, ...],
    max_images: int,
    max_pages: int,
    max_megabytes: int,
    max_minutes: float,
    min_size: int,
    allow_hosts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Crawl and print counts. The same command resumes an interrupted crawl."""
    from studio.cli.run_job import run_here
    from studio.collect.web.crawl import CrawlPlan

    plan = CrawlPlan(
        addresses,
        class_name,
        depth,
        sites,
        max_pages,
        max_images,
        max_megabytes * 1_000_000,
        max_minutes,
        min_size,
    ).checked()  # before the project is made, so that a mistyped URL leaves no empty project behind
    arguments = {**plan.to_arguments(), "allow_hosts": [host.lower() for host in allow_hosts]}
    show_counts(run_here("ingest_crawl", arguments, project_name), as_json=as_json)


_NUMBERS = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
_NOTHING: dict[str, Any] = {"added": 0, "copies": 0, "refused_count": 0, "why": {}, "refused": []}


@click.command("search", help=_("Search openly licensed images, and keep those that you select."))
@click.argument("phrases", nargs=-1, required=True, metavar="WORDS…")
@click.option(
    "--source",
    type=click.Choice(list(SEARCH_SERVICES)),
    required=True,
    help=_("The search service."),
)
@options.project
@options.class_
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help=_("How many images to find, for all WORDS together."),
)
@click.option(
    "--license", "licences", default="", help=_("Only these licences, comma-separated, such as by,cc0.")
)
@options.min_size(100)
@click.option("--yes", is_flag=True, help=_("Keep all images without asking."))
@options.as_json
def search(
    phrases: tuple[str, ...],
    source: str,
    project_name: str,
    class_name: str | None,
    count: int,
    licences: str,
    min_size: int,
    yes: bool,
    as_json: bool,
) -> None:
    """Search, list the results, ask which to keep, download those, and print counts.

    Each argument is a search phrase of its own: put several words of one phrase in quotation marks.
    """
    from studio.cli.run_job import run_here
    from studio.collect.tasks import fetch_hits_arguments
    from studio.collect.web.search import search_hits
    from studio.data import open_database
    from studio.settings import settings

    chosen = [code for part in licences.split(",") if (code := part.strip().lower())]
    # Checked before the project is made, so that a mistyped licence leaves no empty project behind.
    request = SearchRequest(source, phrases, count, tuple(sorted(set(chosen))), min_size).checked()
    searched = run_here("search", request.to_arguments(), project_name)
    if searched.get("cut_short"):
        click.echo(searched["cut_short"], err=True)
    with open_database(settings()).read() as session:
        found = search_hits(session, searched["job_id"])
    if not found:
        click.echo(_("Nothing found. Try other words, or allow more licences."), err=True)
    selected = found if yes or not found else _select(found)
    result = _NOTHING
    if selected:
        kept = fetch_hits_arguments(searched["job_id"], [hit.id for hit in selected], class_name, min_size)
        result = run_here("ingest_web", kept, project_name)
    show_counts(result, as_json=as_json)


def _select(found: "Sequence[SearchHit]") -> "Sequence[SearchHit]":
    """List the results and return those that a person selects. Standard output is for the counts alone."""
    for number, hit in enumerate(found, 1):
        click.echo(_hit_line(number, hit), err=True)
    click.echo(counted("{count} image found.", "{count} images found.", len(found)), err=True)
    numbers = click.prompt(
        _("Which to keep? all, none, or numbers such as 1,3,5-9"),
        value_proc=lambda answer: parse_selection(answer, len(found)),
        err=True,
    )
    return [found[number - 1] for number in numbers]


def parse_selection(answer: str, most: int) -> list[int]:
    """Return the numbers that a selection such as `1,3,5-9`, `all` or `none` names, in order.

    Raises click.UsageError for anything else than numbers from 1 to `most`.
    """
    text = answer.strip().lower()
    if text in ("all", "none"):
        return list(range(1, most + 1)) if text == "all" else []
    numbers: set[int] = set()
    for part in text.replace(" ", ",").split(","):
        if not part:
            continue
        found = _NUMBERS.fullmatch(part)
        if found is None:
            raise _invalid_selection(part, most)
        named = range(int(found[1]), int(found[2] or found[1]) + 1)
        if not named or named.start < 1 or named[-1] > most:
            raise _invalid_selection(part, most)
        numbers.update(named)
    if not numbers:
        raise _invalid_selection(answer, most)
    return sorted(numbers)


def _invalid_selection(text: str, most: int) -> click.UsageError:
    return click.UsageError(
        _("expected all, none, or numbers from 1 to {most}, such as 1,3,5-9; got {text}.").format(
            most=most, text=text
        )
    )


def _hit_line(number: int, hit: "SearchHit") -> str:
    size = f"{hit.width_px} x {hit.height_px} px" if hit.width_px and hit.height_px else _("size unknown")
    provenance = hit.provenance
    known = (
        size,
        provenance.licence or _("licence unknown"),
        provenance.creator or _("creator unknown"),
        provenance.title,
        hit.url,
    )
    return f"{number:>4}  " + " | ".join(part for part in known if part)


@click.command("sources", help=_("List every file and URL that was imported or skipped, with its outcome."))
@click.option("--project", "project_name", required=True, help=_("Name of the project."))
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help=_("Write the list to this CSV file; -: standard output."),
)
@click.option("--json", "as_json", is_flag=True, help=_("Print the counts as a JSON object."))
def sources(project_name: str, csv_path: Path | None, as_json: bool) -> None:
    """Write the list if a file is given, and print counts."""
    from studio.collect import outcomes
    from studio.data import open_database
    from studio.datasets.projects import find_project
    from studio.errors import ProjectError, SourceMissing
    from studio.files import atomic_text
    from studio.settings import settings

    on_standard_output = csv_path == Path("-")
    database = open_database(settings())
    with database.read() as session:
        project = find_project(session, project_name)
        if project is None:
            raise ProjectError(
                _(
                    "expected the name of a project as Home shows it; there is none named {name} in {home}."
                ).format(name=project_name, home=settings().home)
            )
        if csv_path is not None and on_standard_output:
            # In UTF-8 like the file, whatever the encoding of the console.
            with click.open_file("-", "w", encoding="utf-8") as file:
                outcomes.write_outcomes_csv(session, project.id, file)
        elif csv_path is not None:
            try:
                with atomic_text(csv_path.expanduser()) as file:
                    outcomes.write_outcomes_csv(session, project.id, file)
            except OSError as error:
                raise SourceMissing(
                    _("{path} cannot be written: {why}. Name another file.").format(
                        path=csv_path, why=error.strerror or error
                    )
                ) from error
        counts = outcomes.count_outcomes(session, project.id)
    as_text = json.dumps(counts.to_json(), ensure_ascii=False)
    click.echo(as_text if as_json else _counts_line(counts), err=on_standard_output)


def _counts_line(counts: "OutcomeCounts") -> str:
    line = _("{addresses}: {added} added, {duplicates} duplicates, {skipped} skipped").format(
        addresses=counted("{count} file or URL", "{count} files and URLs", counts.total),
        added=f"{counts.added:,}",
        duplicates=f"{counts.duplicates:,}",
        skipped=f"{counts.skipped:,}",
    )
    return line + (_(", {count} pages read").format(count=f"{counts.pages:,}") if counts.pages else "")


def show_counts(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a line of counts, or a JSON object; the reasons for skipped files go to standard error."""
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
        return
    for why, count in result["why"].items():
        click.echo(f"{count:>6,}  {skip_reason_title(why)}", err=True)
    click.echo(
        _("added {added}, duplicates {duplicates}, skipped {skipped}").format(
            added=result["added"], duplicates=result["copies"], skipped=result["refused_count"]
        )
    )
