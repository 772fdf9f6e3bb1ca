"""The command line: one module a group of commands, each command a few lines over a room's function."""

import sys
import traceback
from importlib import import_module
from keyword import iskeyword

import click

from studio import __version__
from studio.errors import StudioError
from studio.i18n import _

# Modules are imported only when their command is run, so that none loads the libraries of another.
_COMMANDS = {
    "serve": ("studio.cli.serve", _("Open the studio in the browser (the default command).")),
    "import": ("studio.cli.collect", _("Import a folder, an archive or a list of URLs into a project.")),
    "crawl": ("studio.cli.collect", _("Collect the images of web pages.")),
    "search": ("studio.cli.collect", _("Search Openverse or Wikimedia Commons for images.")),
    "sources": (
        "studio.cli.collect",
        _("List every file and URL that was imported or skipped, with its outcome."),
    ),
    "export": (
        "studio.cli.share",
        _("Export the model of a run, and measure its parity."),
    ),
    "export_data": (
        "studio.cli.curate",
        _("Export the images and labels of a project as a dataset."),
    ),
    "doubtful": (
        "studio.cli.curate",
        _("List the labels of a project, most likely wrong ones first."),
    ),
    "copies": ("studio.cli.curate", _("List the duplicates and near-duplicates of a project.")),
    "retrain": (
        "studio.cli.retrain",
        _("Train a classifier on a folder of class folders, or on the labels of a project."),
    ),
    "backbones": (
        "studio.cli.backbones",
        _("List the backbones (pretrained networks), and measure their speed."),
    ),
    "runs": ("studio.cli.runs", _("List runs with their settings and results.")),
    "rerun": ("studio.cli.runs", _("Repeat a run and report whether its results are the same.")),
    "evaluate": ("studio.cli.predict", _("Evaluate a model on a folder of class folders.")),
    "label_image": ("studio.cli.predict", _("Classify images with a trained model.")),
}


class _Commands(click.Group):
    """A group that imports the module of a command when the command is run."""

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
    """Run a command; without one, open the studio. `--debug` is read in `run`."""
    if context.invoked_subcommand is None:
        from studio.cli.serve import serve

        context.invoke(serve)


def run(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 on success, 2 for wrong usage, 1 for any other error.

    An error is one line on standard error; `--debug` shows the traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        # The encodings of Windows consoles lack most characters: never fail on them.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given
    # `--debug` may stand anywhere, since people add it to a command that has just failed.
    given = [*(["--debug"] if debug else []), *(word for word in given if word != "--debug")]
    try:
        code = studio.main(given, prog_name="python -m studio", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo(_("Stopped. What was finished is kept; run the same command again to continue."), err=True)
        code = 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        else:
            click.echo(readable(error), err=True)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def readable(error: Exception) -> str:
    """Return a one-line message for an error; for an unexpected one, how to see the details."""
    if isinstance(error, StudioError):
        return " ".join(str(error).split())
    return _("Unexpected {kind}: {error}. Run the same command with --debug for the details.").format(
        kind=type(error).__name__, error=" ".join(str(error).split())
    )
