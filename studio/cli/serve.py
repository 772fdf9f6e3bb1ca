"""`python -m studio serve`: open the studio in the browser."""

import contextlib
import ipaddress
import socket
import sys

import click

from studio.errors import ServerError
from studio.files import APP_DIR
from studio.i18n import _
from studio.settings import Settings, settings

_MIN_SECRET_CHARACTERS = 8
_APP = APP_DIR / "streamlit_app.py"


@click.command(help=_("Open the studio in the browser."))
@click.option("--host", default="127.0.0.1", show_default=True, help=_("The address to listen on."))
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535))
@click.option("--no-browser", is_flag=True, help=_("Do not open a browser window."))
def serve(host: str = "127.0.0.1", port: int = 8501, no_browser: bool = False) -> None:
    """Check the settings and the port, print the address, and serve until Ctrl+C."""
    found = settings()
    _check_access(host, found)
    _check_free(host, port)
    # Importing Streamlit takes half a second: only this command does.
    from studio.data import open_database
    from studio.web.app import create_app
    from studio.web.middleware import check_identity_provider

    # Streamlit reads `.streamlit/` beside the script that it believes to be running.
    sys.argv = [str(_APP)]
    if found.permitted_users:
        check_identity_provider()
    open_database(found).close()
    click.echo(_("Retrain Studio is at {address}").format(address=f"http://{_reachable_name(host)}:{port}/"))
    click.echo(_("Its data is in {home}. Press Ctrl+C to stop it.").format(home=found.home))
    config = {"server.address": host, "server.port": port, "server.headless": no_browser}
    # Ctrl+C is the normal way to end the studio.
    with contextlib.suppress(KeyboardInterrupt):
        create_app(found).run(config=config)
    click.echo(_("Retrain Studio has stopped. Running jobs continue at the next start."))


def _check_access(host: str, found: Settings) -> None:
    """Raise ServerError if other machines could reach the studio without a secret or a login."""
    if found.permitted_users or not _is_reachable(host):
        return
    if len(found.secret) < _MIN_SECRET_CHARACTERS:
        raise ServerError(
            _(
                "expected a secret of {count} characters or more, since other machines can reach {host}. "
                "Set STUDIO_SECRET and share it with those who may use the studio; or set up a login "
                "(st.login) and list their addresses in STUDIO_USERS. Share links work without either."
            ).format(count=_MIN_SECRET_CHARACTERS, host=host)
        )


def _is_reachable(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def _reachable_name(host: str) -> str:
    """Return the name by which other machines reach a server that listens on `host`."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not listened on
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _check_free(host: str, port: int) -> None:
    """Raise ServerError if the port cannot be used, before anything is started."""
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            if sys.platform != "win32":  # there the option would allow sharing a port in use
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ServerError(
            _(
                "expected a free port; {host}:{port} cannot be used ({why}). If the studio is running "
                "already, open http://{host}:{port}; otherwise choose another port with --port."
            ).format(host=host, port=port, why=error.strerror or error)
        ) from error
