"""Fake Openverse and Wikimedia Commons on loopback, with a log of their requests."""

import json
import math
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.collect.material import image_bytes

LICENCES = ("by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd", "cc0", "pdm")
Item = dict[str, Any]


@dataclass(frozen=True)
class ServiceRequest:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """Names in lower case."""


@dataclass
class ServiceReply:
    """A response."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class FakeSearchService:
    """A server on the loopback with images of its own; `with` starts and ends it.

    slow_previews: previews come only when the stand-in ends. broken_previews: numbers of images whose small
    copy is no image. image_px: the size of the images themselves.
    """

    def __init__(
        self,
        *,
        slow_previews: bool = False,
        broken_previews: Sequence[int] = (),
        image_px: tuple[int, int] = (320, 240),
    ) -> None:
        self.log: list[ServiceRequest] = []
        self._slow, self._broken, self._image_px = slow_previews, set(broken_previews), image_px
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def requests_to(self, path: str) -> list[ServiceRequest]:
        """Return the requests for `path`, in order."""
        with self._lock:
            return [request for request in self.log if request.path == path]

    def reply(self, asked: ServiceRequest, form: dict[str, str]) -> ServiceReply:
        """Return the response to a request for anything but the service's own URLs."""
        found = re.fullmatch(r"/(pictures|thumbs)/(\d+)\.jpg", asked.path)
        if found is None:
            return ServiceReply(404, b"nothing here", "text/plain")
        return self._image(int(found[2])) if found[1] == "pictures" else self._preview(int(found[2]))

    def _note(self, asked: ServiceRequest, form: dict[str, str]) -> ServiceReply:
        if self._ended.is_set():
            raise ConnectionResetError  # nobody answers any more on a connection that was kept
        with self._lock:
            self.log.append(asked)
        return self.reply(asked, form)

    def _image(self, number: int) -> ServiceReply:
        return ServiceReply(200, image_bytes(number, *self._image_px), "image/jpeg")

    def _preview(self, number: int) -> ServiceReply:
        if self._slow:
            self._ended.wait(30)
        if number in self._broken:
            return ServiceReply(200, b"<svg onload=alert(1)></svg>", "image/jpeg")
        return ServiceReply(200, image_bytes(number, 640, 480), "image/jpeg")


def _handler(service: FakeSearchService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer({name: values[-1] for name, values in parse_qs(body).items()})

        def _answer(self, form: dict[str, str]) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = service._note(ServiceRequest(str(self.command), parts.path, query, headers), form)
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_arguments: object) -> None:
            """Log nothing: the fake service has its own log."""

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:  # who asked has left
                self.close_connection = True

    return Handler


def _json(status: int, found: Any, headers: Mapping[str, str] | None = None) -> ServiceReply:
    return ServiceReply(status, json.dumps(found).encode(), headers=headers or {})


class FakeOpenverse(FakeSearchService):
    """A fake Openverse with `results` by phrase; other phrases find nothing.

    A result is what `openverse_result` gives; `{origin}` in its texts becomes the stand-in's address.
    key: the id and secret that it gives tokens for. allowance: how many searches a stranger has before it
    answers 429. depth: of how many results it shows pages, whatever it says of their number.
    """

    def __init__(
        self,
        results: Mapping[str, Sequence[Item]],
        *,
        key: tuple[str, str] = ("", ""),
        allowance: int | None = None,
        retry_after: str = "3000",
        depth: int | None = None,
        **images: Any,
    ) -> None:
        super().__init__(**images)
        self.results = dict(results)
        self.tokens: set[str] = set()
        self._given = 0
        self._key, self._allowance, self._retry_after, self._depth = key, allowance, retry_after, depth

    @property
    def searches(self) -> list[ServiceRequest]:
        """The search requests, in order."""
        return self.requests_to("/v1/images/")

    def reply(self, asked: ServiceRequest, form: dict[str, str]) -> ServiceReply:
        """Answer as Openverse does."""
        if asked.path == "/v1/images/":
            return self._search(asked)
        if asked.path == "/v1/auth_tokens/token/":
            return self._token(asked, form)
        found = re.fullmatch(r"/v1/images/picture-(\d+)/thumb/", asked.path)
        return super().reply(asked, form) if found is None else self._preview(int(found[1]))

    def _token(self, asked: ServiceRequest, form: dict[str, str]) -> ServiceReply:
        if asked.method != "POST" or form.get("grant_type") != "client_credentials":
            return _json(400, {"error": "unsupported_grant_type"})
        if not all(self._key) or (form.get("client_id"), form.get("client_secret")) != self._key:
            return _json(401, {"error": "invalid_client"})
        self._given += 1
        token = f"token-{self._given}"
        self.tokens.add(token)
        return _json(
            200, {"access_token": token, "token_type": "Bearer", "scope": "read write", "expires_in": 36000}
        )

    def _search(self, asked: ServiceRequest) -> ServiceReply:  # noqa: PLR0911 - one for each way to refuse
        query, bearer = asked.query, asked.headers.get("authorization", "")
        known = bearer.removeprefix("Bearer ") in self.tokens
        if bearer and not known:
            return _json(401, {"detail": "Authentication credentials were not provided."})
        if not known and self._allowance is not None and len(self.searches) > self._allowance:
            response_text = f"Request was throttled. Expected available in {self._retry_after} seconds."
            return _json(429, {"detail": response_text}, {"Retry-After": self._retry_after})
        page, size = int(query.get("page", "1")), int(query.get("page_size", "20"))
        licences = query["license"].split(",") if "license" in query else list(LICENCES)
        if not known and size > 20:
            return _json(401, {"detail": "page_size may not exceed 20 for anonymous requests"})
        for name, wrong in (
            ("q", len(query.get("q", "")) > 200),
            ("page", not 1 <= page <= 20),
            ("page_size", not 1 <= size <= 500),
            ("license", not set(licences) <= set(LICENCES)),
        ):
            if wrong:
                return _json(
                    400,
                    {"error": "InputError", "detail": f"Invalid input given for {name}.", "fields": [name]},
                )
        found = [item for item in self.results.get(query.get("q", ""), ()) if item["license"] in licences]
        pages = min(math.ceil(len(found) / size), 20)
        if self._depth is not None and page * size > self._depth:
            return _json(401, {"detail": f"pagination depth may not exceed {self._depth}"})
        if page > max(pages, 1):
            return _json(404, {"detail": "Not found."})
        shown = json.dumps(found[(page - 1) * size : page * size]).replace("{origin}", self.url)
        answer = {"result_count": len(found), "page_count": pages, "page_size": size, "page": page}
        return _json(HTTPStatus.OK, {**answer, "results": json.loads(shown)})


def openverse_result(number: int, **changes: Any) -> Item:
    """A result as Openverse gives it; a change to `...` leaves the field out."""
    result = {
        "id": f"picture-{number}",
        "title": f"Image {number}",
        "indexed_on": "2020-01-01T00:00:00Z",
        "foreign_landing_url": f"https://photos.example.org/{number}",
        "url": f"{{origin}}/pictures/{number}.jpg",
        "creator": f"Creator {number}",
        "creator_url": "https://photos.example.org/people/1",
        "license": "by",
        "license_version": "2.0",
        "license_url": "https://creativecommons.org/licenses/by/2.0/",
        "provider": "flickr",
        "source": "flickr",
        "category": "photograph",
        "filesize": 896128,
        "filetype": "jpg",
        "tags": [{"accuracy": None, "name": "tree"}],
        "attribution": f'"Image {number}" by Creator {number} is licensed under CC BY 2.0.',
        "mature": False,
        "height": 240,
        "width": 320,
        "thumbnail": f"{{origin}}/v1/images/picture-{number}/thumb/",
    }
    return {name: value for name, value in {**result, **changes}.items() if value is not ...}


class FakeCommons(FakeSearchService):
    """A fake Wikimedia Commons with `pages` by phrase.

    A page is what `commons_page` gives. lagged: how often it first answers that it lags behind, with
    `error_code` and `retry_after`. page_size: how many it gives at a time, whatever is asked for.
    """

    def __init__(
        self,
        pages: Mapping[str, Sequence[Item]],
        *,
        lagged: int = 0,
        error_code: str = "maxlag",
        retry_after: str = "0",
        page_size: int = 50,
        needs_contact: bool = True,
        goes_on_for_ever: bool = False,
        **images: Any,
    ) -> None:
        super().__init__(**images)
        self.pages = dict(pages)
        self._lagged, self._error_code, self._retry_after = lagged, error_code, retry_after
        self._page_size, self._needs_contact, self._for_ever = page_size, needs_contact, goes_on_for_ever
        self._under_way = self.most_at_once = 0

    @property
    def api_address(self) -> str:
        """URL of its `api.php`."""
        return f"{self.url}/w/api.php"

    @property
    def searches(self) -> list[ServiceRequest]:
        """The search requests, in order."""
        return self.requests_to("/w/api.php")

    def reply(self, asked: ServiceRequest, form: dict[str, str]) -> ServiceReply:
        """Answer as Commons does."""
        if asked.path != "/w/api.php":
            return super().reply(asked, form)
        with self._lock:
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            return self._search(asked)
        finally:
            with self._lock:
                self._under_way -= 1

    def _search(self, asked: ServiceRequest) -> ServiceReply:
        query = asked.query
        if self._needs_contact and not re.fullmatch(r"\S+/\S+ \(.+\)", asked.headers.get("user-agent", "")):
            return ServiceReply(403, b"Please set a user-agent and respect our policy.", "text/plain")
        if self._lagged > 0:
            self._lagged -= 1
            response_text = {
                "code": self._error_code,
                "info": "Waiting for a database server: 7.2 seconds lagged.",
            }
            return _json(200, {"error": response_text}, {"Retry-After": self._retry_after})
        expected = {
            "action": "query",
            "format": "json",
            "generator": "search",
            "gsrnamespace": "6",
            "prop": "imageinfo",
        }
        wrong = [name for name, value in expected.items() if query.get(name) != value]
        if wrong or "gsrsearch" not in query:
            response_text = {
                "code": "badvalue",
                "info": f"Unrecognized value for parameter: {', '.join(wrong)}.",
            }
            return _json(200, {"error": response_text})
        found = self.pages.get(query["gsrsearch"].removeprefix("filetype:bitmap "), ())
        start = int(query.get("gsroffset", "0"))
        end = start + min(self._page_size, int(query["gsrlimit"]))
        answer: Item = {"batchcomplete": ""}
        if end < len(found):
            answer = {"continue": {"gsroffset": end, "continue": "gsroffset||"}}
        if self._for_ever:
            answer = {"continue": {"gsroffset": start, "continue": "gsroffset||"}}
        shown = [{**page, "index": start + place + 1} for place, page in enumerate(found[start:end])]
        if shown:
            # In no order that means anything.
            pages = {
                str(page["pageid"]): page for page in sorted(shown, key=lambda page: -page["pageid"] % 7)
            }
            answer["query"] = {"pages": pages}
        text = json.dumps(answer).replace("{origin}", self.url)
        return ServiceReply(200, text.encode())


def commons_page(number: int, *, metadata: Mapping[str, Any] | None = None, **changes: Any) -> Item:
    """A page as Commons gives it. metadata: into its extmetadata, name → value; `...` leaves a field out.

    changes: of its image's fields; `imageinfo=...` leaves all of them out.
    """
    values = {
        "Artist": f'<a href="//commons.wikimedia.org/wiki/User:C{number}" title="User:C">C {number}</a>',
        "License": "cc-by-sa-4.0",
        "LicenseShortName": "CC BY-SA 4.0",
        "LicenseUrl": "https://creativecommons.org/licenses/by-sa/4.0",
        "Credit": '<span class="int-own-work" lang="en">Own work</span>',
        "AttributionRequired": "true",
        **(metadata or {}),
    }
    info = {
        "url": f"{{origin}}/pictures/{number}.jpg",
        "thumburl": f"{{origin}}/thumbs/{number}.jpg",
        "thumbwidth": 330,
        "thumbheight": 248,
        "descriptionurl": f"https://commons.wikimedia.org/wiki/File:Picture_{number}.jpg",
        "width": 320,
        "height": 240,
        "size": 123456,
        "mime": "image/jpeg",
        "sha1": "0" * 40,
        "extmetadata": {
            name: {"value": value, "source": "commons-desc-page"}
            for name, value in values.items()
            if value is not ...
        },
        **changes,
    }
    page = {
        "pageid": 1000 + number,
        "ns": 6,
        "title": f"File:Image {number}.jpg",
        "imagerepository": "local",
    }
    if info.pop("imageinfo", None) is not ...:
        page["imageinfo"] = [{name: value for name, value in info.items() if value is not ...}]
    return page
