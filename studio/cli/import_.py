"""`python -m studio import PATH --project NAME`."""

from pathlib import Path
from typing import Any

import click

from studio.cli import options
from studio.language import _


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
    """Take the pictures at `path` into a project, say of each refused file why, and count at the end."""
    from studio.cli.counts import show_counts
    from studio.cli.here import run_here
    from studio.cli.terminal import terminal_progress
    from studio.collect.arrivals import path_offer, what_is

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
