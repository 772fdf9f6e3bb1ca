"""The command line: one module a group of commands, each command a few lines over a room's function."""

import sys
import traceback
from importlib import import_module
from keyword import iskeyword

import click

from studio import __version__
from studio.errors import StudioError
from studio.i18n import _

# The module is imported only when its command is asked for, so that none pays for another's libraries.
_COMMANDS = {
    "serve": ("studio.cli.serve", _("Open the studio in the browser (what happens without a command).")),
    "import": ("studio.cli.collect", _("Bring a folder, an archive or a list of addresses into a project.")),
    "crawl": ("studio.cli.collect", _("Collect the images that web pages show.")),
    "search": ("studio.cli.collect", _("Search Openverse or Wikimedia Commons for images.")),
    "sources": ("studio.cli.collect", _("Write down every address and file that was offered to a project.")),
    "export": (
        "studio.cli.share",
        _("Write a run's model in a form that others open, and measure how near it is."),
    ),
    "export_data": (
        "studio.cli.curate",
        _("Write a project's images and labels in a format of choice."),
    ),
    "doubtful": (
        "studio.cli.curate",
        _("Write down a project's labels, those that are most likely wrong first."),
    ),
    "copies": ("studio.cli.curate", _("Write down which images of a project are the same, or nearly.")),
    "retrain": (
        "studio.cli.retrain",
        _("Retrain a network's top on a folder of class folders, or on a project's labels."),
    ),
    "backbones": (
        "studio.cli.backbones",
        _("List the pretrained networks, and measure how fast they are here."),
    ),
    "runs": ("studio.cli.runs", _("List runs with their settings and results.")),
    "rerun": ("studio.cli.runs", _("Do a run again and say whether its numbers are the same.")),
    "evaluate": ("studio.cli.predict", _("Say how good a model is on a folder of class folders.")),
    "label_image": ("studio.cli.predict", _("Ask a trained model what is in an image.")),
}


class _Commands(click.Group):
    """A group that imports a command's module when the command is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = cmd_name.replace("-", "_")
        if name not in _COMMANDS:
            return None
        module = import_module(_COMMANDS[name][0])
        command = getattr(module, f"{name}_" if iskeyword(name) else name)
        assert isinstance(command, click.Command)  # noqa: S101 - our own modules
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section(_("Commands")):
            formatter.write_dl([(name, about) for name, (_module, about) in _COMMANDS.items()])


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    help=_("Retrain Studio."),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--debug", is_flag=True, help=_("Show the traceback of an error."))
@click.version_option(__version__)
@click.pass_context
def studio(context: click.Context, debug: bool) -> None:
    """Open the studio where no command is named. `--debug` is read in `run`."""
    if context.invoked_subcommand is None:
        from studio.cli.serve import serve

        context.invoke(serve)


def run(arguments: list[str] | None = None) -> None:
    """Run the command line and leave the process: 0 on success, 2 for wrong usage, 1 for anything else.

    An error is one readable line on standard error; a traceback is shown only with `--debug`.
    """
    for stream in (sys.stdout, sys.stderr):
        # Windows' consoles have encodings that lack most letters: write what they can, never fail.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given
    # `--debug` may stand anywhere, since one adds it to a line that has just failed.
    given = [*(["--debug"] if debug else []), *(word for word in given if word != "--debug")]
    try:
        code = studio.main(given, prog_name="python -m studio", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo(_("Stopped. What was finished is kept; the same command goes on from there."), err=True)
        code = 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        else:
            click.echo(readable(error), err=True)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def readable(error: Exception) -> str:
    """Return one line about `error` for a person; a fault of our own says how to see more."""
    if isinstance(error, StudioError):
        return " ".join(str(error).split())
    return _("Unexpected {kind}: {error}. Run the same command with --debug for the details.").format(
        kind=type(error).__name__, error=" ".join(str(error).split())
    )
