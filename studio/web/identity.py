"""Who is let in by an identity provider, as Streamlit's own login has it (`st.login`)."""

import json
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.config import get_config_files
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from studio.errors import ServerError
from studio.language import _
from studio.settings import Settings

_OURS = "/studio/"
_NEEDED = ("redirect_uri", "cookie_secret")


def check_provider() -> None:
    """Raise ServerError, saying what to do, where no identity provider is set up."""
    auth = _secrets_of_login()
    missing = [name for name in _NEEDED if not auth.get(name)]
    if missing:
        raise ServerError(
            _(
                "STUDIO_USERS names who may come in, but no identity provider is set up: {missing} is "
                "missing from [auth] in .streamlit/secrets.toml. Streamlit's page about st.login says what "
                "belongs there."
            ).format(missing=", ".join(missing))
        )
    try:
        import_module("authlib.integrations.starlette_client")
    except ImportError as error:
        raise ServerError(
            _("An identity provider needs libraries that are not here. Run: pip install streamlit[auth]")
        ) from error


def _secrets_of_login() -> dict[str, Any]:
    """Return what `[auth]` holds, in the files where Streamlit looks; the later ones go before.

    Not through `st.secrets`, which makes Streamlit read its whole configuration before the server's is told.
    """
    found: dict[str, Any] = {}
    for path in map(Path, get_config_files("secrets.toml")):
        if not path.is_file():
            continue
        try:
            found |= tomllib.loads(path.read_text(encoding="utf-8")).get("auth", {})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ServerError(
                _("{path} cannot be used: {why}. Mend it, or take it away.").format(path=path, why=error)
            ) from error
    return found


def is_permitted(user: Any, settings: Settings) -> bool:
    """Whether somebody may come in. user: a mapping, what the provider says of them."""
    mail = str(user.get("email") or "").strip().lower()
    if not user.get("is_logged_in") or user.get("email_verified") is False:
        return False
    return "*" in settings.permitted_users or mail in settings.permitted_users


class IdentityGate:
    """ASGI middleware around our own routes, which Streamlit does not guard; its pages ask for themselves."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through or refuse."""
        ours = scope["type"] == "http" and scope["path"].startswith(_OURS)
        if ours and not is_permitted(_user(HTTPConnection(scope)), self._settings):
            answer = PlainTextResponse(_("Log in first: open the studio's start page."), 401)
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def let_in(settings: Settings) -> None:
    """Stop a page's script where its visitor has not logged in, or may not come in. Nothing to do else."""
    if not settings.permitted_users:
        return
    user = st.user.to_dict()
    if is_permitted(user, settings):
        return
    st.title("Retrain Studio", anchor=False)
    if user.get("is_logged_in"):
        st.warning(_("You are logged in as {name}, who may not come in here.").format(name=user.get("email")))
        st.button(_("Log in as somebody else"), on_click=st.logout)
    else:
        st.button(_("Log in"), on_click=st.login, type="primary", icon=":material/login:")
    st.stop()


def _user(visitor: HTTPConnection) -> dict[str, Any]:
    """Return what the provider said of a visitor, out of the cookie that Streamlit has signed."""
    secret = get_cookie_secret()

    def signed(name: str) -> bytes | None:
        value = visitor.cookies.get(name)
        return decode_signed_value(secret, name, value) if value and secret else None

    try:
        found = get_cookie_with_chunks(signed, USER_COOKIE_NAME)
        user = json.loads(found) if found else {}
    except ValueError:
        return {}
    return user if isinstance(user, dict) else {}
