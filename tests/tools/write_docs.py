"""Write the pages that are made from the program: docs/cli.md and docs/backbones.md.

python tests/tools/write_docs.py
"""

import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
WIDTH = 100
CLI_HEAD = """# Command line

`python -m studio` opens the studio in the browser; with a command it does without one. Installed as a
package, the program is called `retrain-studio`. Every command prints its options with `-h` or `--help`; with
`--debug`, an unexpected error shows where it came from.

Commands work on the same data folder as the pages (`STUDIO_HOME`): a page shows a command's job and can stop
it, and the same command again continues what was interrupted. Exit codes: 0 for success, 2 for wrong usage, 1
for any other error. Messages go to standard error, results to standard output.
"""


def cli_page() -> str:
    """Return docs/cli.md: the help of every command."""
    from studio.cli import studio

    parent = click.Context(
        studio, info_name="python -m studio", terminal_width=WIDTH, max_content_width=WIDTH
    )
    parts = [CLI_HEAD, _block(studio.get_help(parent))]
    for name in studio.list_commands(parent):
        command = studio.get_command(parent, name)
        if command is None:
            raise ValueError(f"expected the command {name}; there is none")
        spelled = command.name or name
        context = click.Context(command, info_name=spelled, parent=parent)
        parts.append(f"## {spelled}\n\n{_block(command.get_help(context))}")
    return "\n".join(parts)


def _block(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return f"```\n{lines}\n```\n"


def pages() -> dict[Path, str]:
    """Return the generated pages, by their paths."""
    from studio.backbones.document import backbones_markdown

    return {ROOT / "docs" / "cli.md": cli_page(), ROOT / "docs" / "backbones.md": backbones_markdown()}


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8", newline="\n")
