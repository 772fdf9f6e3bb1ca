"""`python -m studio search WORDS… --source openverse|commons --project NAME --class CLASS`."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from studio.cli import options
from studio.language import _, counted

if TYPE_CHECKING:
    from studio.collect.web.hits import FoundHit

_NUMBERS = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
_NOTHING: dict[str, Any] = {"added": 0, "copies": 0, "refused_count": 0, "why": {}, "refused": []}


@click.command("search", help=_("Search open libraries for pictures, and keep those that you pick."))
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
    from studio.cli.counts import show_counts
    from studio.cli.here import run_here
    from studio.collect.web.hits import hits
    from studio.collect.web.query import checked_phrases
    from studio.data import open_database
    from studio.jobs.requests import fetching_hits
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
        click.echo(_line(number, hit), err=True)
    click.echo(counted("{count} picture found.", "{count} pictures found.", len(found)), err=True)
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


def _line(number: int, hit: "FoundHit") -> str:
    size = f"{hit.width_px} x {hit.height_px} px" if hit.width_px and hit.height_px else _("size unknown")
    papers = hit.papers
    known = (
        size,
        papers.licence or _("licence unknown"),
        papers.creator or _("creator unknown"),
        papers.title,
        hit.address,
    )
    return f"{number:>4}  " + " | ".join(part for part in known if part)
