"""`python -m studio import PATH --project NAME`."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli import options
from studio.i18n import _, counted
from studio.images.reasons import title

if TYPE_CHECKING:
    from studio.collect.outcomes import Counts
    from studio.collect.web.search import FoundHit


@click.command("import", help=_("Bring a folder, an archive or a list of addresses into a project."))
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
    """Take the images at `path` into a project, say of each refused file why, and count at the end."""
    from studio.cli.run_job import run_here
    from studio.cli.terminal import terminal_progress
    from studio.collect.importers import path_offer, what_is

    path = path.expanduser().absolute()
    arguments: dict[str, Any] = {"class_name": class_name}
    if what_is(path) == "addresses":
        hosts = [host.lower() for host in allow_hosts]
        arguments |= {"list_path": str(path), "min_side_px": min_size, "allow_hosts": hosts}
        result = run_here("ingest_web", arguments, project_name)
    else:
        # Looked at before the project is made, so that a mistyped path leaves no empty project behind.
        with terminal_progress() as progress:
            path_offer(path, class_name, progress=progress)
        result = run_here("ingest_path", {"path": str(path), **arguments}, project_name)
    if not as_json:
        for refusal in result["refused"]:
            click.echo(refusal["reason"], err=True)
    show_counts(result, as_json=as_json)


@click.command("crawl", help=_("Collect the images that pages show, politely and with their provenance."))
@click.argument("addresses", nargs=-1, required=True, metavar="URL…")
@options.project
@options.class_
@click.option("--depth", default=1, show_default=True, help=_("How many links away pages are read, 0 to 3."))
@click.option("--site", "sites", multiple=True, help=_("A host whose pages are read as well; repeatable."))
@click.option(
    "--max-images",
    "--max-pictures",  # its name in earlier versions
    "max_images",
    default=500,
    show_default=True,
    help=_("End at so many new images."),
)
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
    max_images: int,
    max_pages: int,
    max_megabytes: int,
    max_minutes: float,
    min_size: int,
    allow_hosts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Crawl as asked, in this process, and count at the end. The same command goes on after a Stop."""
    from studio.cli.run_job import run_here
    from studio.collect.web.crawl import Plan

    plan = Plan(
        addresses,
        class_name,
        depth,
        sites,
        max_pages,
        max_images,
        max_megabytes * 1_000_000,
        max_minutes,
        min_size,
    ).checked()  # before the project is made, so that a mistyped address leaves no empty one behind
    arguments = {**plan.arguments(), "allow_hosts": [host.lower() for host in allow_hosts]}
    show_counts(run_here("ingest_crawl", arguments, project_name), as_json=as_json)


_NUMBERS = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
_NOTHING: dict[str, Any] = {"added": 0, "copies": 0, "refused_count": 0, "why": {}, "refused": []}


@click.command("search", help=_("Search open libraries for images, and keep those that you pick."))
@click.argument("phrases", nargs=-1, required=True, metavar="WORDS…")
@click.option(
    "--source",
    type=click.Choice(["openverse", "commons"]),
    required=True,
    help=_("Whom to ask: Openverse or Wikimedia Commons."),
)
@options.project
@options.class_
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help=_("How many to find, for all WORDS together."),
)
@click.option(
    "--license", "licences", default="", help=_("Only these licences, with commas between, such as by,cc0.")
)
@options.min_size(100)
@click.option("--yes", is_flag=True, help=_("Keep all that is found, without asking."))
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
    """Search, show what was found, ask which to keep, fetch those, and count at the end.

    Each argument is searched for by itself: words that belong together stand in quotation marks.
    """
    from studio.cli.run_job import run_here
    from studio.collect.tasks import fetching_hits
    from studio.collect.web.search import hits
    from studio.collect.web.service import checked_phrases
    from studio.data import open_database
    from studio.settings import settings

    chosen = [code for part in licences.split(",") if (code := part.strip().lower())]
    # Before the project is made, so that a mistyped licence leaves no empty one behind.
    words = checked_phrases(source, phrases, chosen)
    arguments = {
        "service": source,
        "phrases": list(words),
        "count": count,
        "licences": sorted(set(chosen)),
        "min_side_px": min_size,
    }
    searched = run_here("search", arguments, project_name)
    if searched.get("cut_short"):
        click.echo(searched["cut_short"], err=True)
    with open_database(settings()).read() as session:
        found = hits(session, searched["job_id"])
    if not found:
        click.echo(_("Nothing was found. Try other words, or allow more licences."), err=True)
    picked = found if yes or not found else _picked(found)
    result = _NOTHING
    if picked:
        kept = fetching_hits(searched["job_id"], [hit.id for hit in picked], class_name, min_size)
        result = run_here("ingest_web", kept, project_name)
    show_counts(result, as_json=as_json)


def _picked(found: "Sequence[FoundHit]") -> "Sequence[FoundHit]":
    """Show what was found and return what a person picks of it; standard output is left to the counts."""
    for number, hit in enumerate(found, 1):
        click.echo(_hit_line(number, hit), err=True)
    click.echo(counted("{count} image found.", "{count} images found.", len(found)), err=True)
    numbers = click.prompt(
        _("Which to keep? all, none, or numbers such as 1,3,5-9"),
        value_proc=lambda answer: chosen_numbers(answer, len(found)),
        err=True,
    )
    return [found[number - 1] for number in numbers]


def chosen_numbers(answer: str, most: int) -> list[int]:
    """Return the numbers that an answer such as `1,3,5-9`, `all` or `none` names, in order.

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
            raise _not_chosen(part, most)
        named = range(int(found[1]), int(found[2] or found[1]) + 1)
        if not named or named.start < 1 or named[-1] > most:
            raise _not_chosen(part, most)
        numbers.update(named)
    if not numbers:
        raise _not_chosen(answer, most)
    return sorted(numbers)


def _not_chosen(text: str, most: int) -> click.UsageError:
    return click.UsageError(
        _("expected all, none, or numbers from 1 to {most}, such as 1,3,5-9; got {text}.").format(
            most=most, text=text
        )
    )


def _hit_line(number: int, hit: "FoundHit") -> str:
    size = f"{hit.width_px} x {hit.height_px} px" if hit.width_px and hit.height_px else _("size unknown")
    provenance = hit.provenance
    known = (
        size,
        provenance.licence or _("licence unknown"),
        provenance.creator or _("creator unknown"),
        provenance.title,
        hit.address,
    )
    return f"{number:>4}  " + " | ".join(part for part in known if part)


@click.command("sources", help=_("Write down every address and file that was offered to a project."))
@click.option("--project", "project_name", required=True, help=_("The project's name."))
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help=_("The file to write a line for each into; - is standard output."),
)
@click.option("--json", "as_json", is_flag=True, help=_("Print the counts as one JSON object, for programs."))
def sources(project_name: str, csv_path: Path | None, as_json: bool) -> None:
    """Write the table where one is asked for, and the counts last: beside it, if it has standard output."""
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
            # In UTF-8 like the file, whatever a console's own encoding is.
            with click.open_file("-", "w", encoding="utf-8") as file:
                outcomes.sources_csv(session, project.id, file)
        elif csv_path is not None:
            try:
                with atomic_text(csv_path.expanduser()) as file:
                    outcomes.sources_csv(session, project.id, file)
            except OSError as error:
                raise SourceMissing(
                    _("{path} cannot be written: {why}. Name another file.").format(
                        path=csv_path, why=error.strerror or error
                    )
                ) from error
        counts = outcomes.counts(session, project.id)
    said = json.dumps({"total": counts.total, **asdict(counts)}, ensure_ascii=False)
    click.echo(said if as_json else _outcome_row(counts), err=on_standard_output)


def _outcome_row(counts: "Counts") -> str:
    said = _("{addresses}: {added} added, {copies} copies, {refused} refused").format(
        addresses=counted("{count} address", "{count} addresses", counts.total),
        added=f"{counts.added:,}",
        copies=f"{counts.copies:,}",
        refused=f"{counts.refused:,}",
    )
    return said + (_(", {count} pages read").format(count=f"{counts.pages:,}") if counts.pages else "")


def show_counts(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one line of counts, or one JSON object; kinds of refusals go to standard error."""
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
        return
    for why, count in result["why"].items():
        click.echo(f"{count:>6,}  {title(why)}", err=True)
    click.echo(
        _("added {added}, copies {copies}, refused {refused}").format(
            added=result["added"], copies=result["copies"], refused=result["refused_count"]
        )
    )
