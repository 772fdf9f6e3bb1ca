"""`python -m studio serve`: the studio in the browser."""

import contextlib
import ipaddress
import secrets
import socket
import sys
from pathlib import Path

import click

from studio.errors import ServerError
from studio.language import _
from studio.settings import settings

_APP = Path(__file__).resolve().parents[2] / "streamlit_app.py"


@click.command(help=_("Open the studio in the browser."))
@click.option("--host", default="127.0.0.1", show_default=True, help=_("The address to listen on."))
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535))
@click.option("--no-browser", is_flag=True, help=_("Do not open a browser window."))
def serve(host: str = "127.0.0.1", port: int = 8501, no_browser: bool = False) -> None:
    """Check that it can start, say where it is, and serve until Ctrl+C."""
    _check_free(host, port)
    # Streamlit takes half a second to import: only this command pays for it.
    from studio.data import open_database
    from studio.web.app import build

    found = settings()
    open_database(found).close()
    if _open_to_others(host) and not found.secret:
        found = found.model_copy(update={"secret": secrets.token_urlsafe(16)})
    query = f"?secret={found.secret}" if found.secret else ""
    click.echo(_("Retrain Studio is at {address}").format(address=f"http://{_shown(host)}:{port}/{query}"))
    click.echo(_("Its data is in {home}. Press Ctrl+C to end it.").format(home=found.home))
    # Streamlit looks for its configuration beside the script that it believes to be running.
    sys.argv = [str(_APP)]
    config = {"server.address": host, "server.port": port, "server.headless": no_browser or bool(query)}
    # Ctrl+C is how the studio is meant to end.
    with contextlib.suppress(KeyboardInterrupt):
        build(found).run(config=config)
    click.echo(_("Retrain Studio has ended. Work that was under way goes on at the next start."))


def _open_to_others(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def _shown(host: str) -> str:
    """Return what others can type to reach a server that listens on `host`."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not listened on
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _check_free(host: str, port: int) -> None:
    """Raise ServerError, before anything is started, where the address cannot be listened on."""
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            if sys.platform != "win32":  # there the option means something else: to share a port in use
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ServerError(
            _(
                "expected a free port; {host}:{port} cannot be used ({why}). If the studio is open already, "
                "go to http://{host}:{port}; otherwise choose another with --port."
            ).format(host=host, port=port, why=error.strerror or error)
        ) from error
