"""`python -m studio serve`: the studio in the browser."""

import contextlib
import ipaddress
import socket
import sys

import click

from studio.errors import ServerError
from studio.files import APP_DIR
from studio.i18n import _
from studio.settings import Settings, settings

_SHORTEST_SECRET = 8
_APP = APP_DIR / "streamlit_app.py"


@click.command(help=_("Open the studio in the browser."))
@click.option("--host", default="127.0.0.1", show_default=True, help=_("The address to listen on."))
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535))
@click.option("--no-browser", is_flag=True, help=_("Do not open a browser window."))
def serve(host: str = "127.0.0.1", port: int = 8501, no_browser: bool = False) -> None:
    """Check that it can start, say where it is, and serve until Ctrl+C."""
    found = settings()
    _check_closed(host, found)
    _check_free(host, port)
    # Streamlit takes half a second to import: only this command pays for it.
    from studio.data import open_database
    from studio.web.app import build
    from studio.web.middleware import check_provider

    # Streamlit looks for its configuration beside the script that it believes to be running.
    sys.argv = [str(_APP)]
    if found.permitted_users:
        check_provider()
    open_database(found).close()
    click.echo(_("Retrain Studio is at {address}").format(address=f"http://{_shown(host)}:{port}/"))
    click.echo(_("Its data is in {home}. Press Ctrl+C to end it.").format(home=found.home))
    config = {"server.address": host, "server.port": port, "server.headless": no_browser}
    # Ctrl+C is how the studio is meant to end.
    with contextlib.suppress(KeyboardInterrupt):
        build(found).run(config=config)
    click.echo(_("Retrain Studio has ended. Work that was under way goes on at the next start."))


def _check_closed(host: str, found: Settings) -> None:
    """Raise ServerError where others could reach the studio and nothing would keep them out."""
    if found.permitted_users or not _open_to_others(host):
        return
    if len(found.secret) < _SHORTEST_SECRET:
        raise ServerError(
            _(
                "expected a secret of {count} letters or more, since others can reach {host}. Set "
                "STUDIO_SECRET to one, and tell it to those who may come in; or set up an identity provider "
                "(st.login) and name them in STUDIO_USERS. Links to models work without either."
            ).format(count=_SHORTEST_SECRET, host=host)
        )


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
