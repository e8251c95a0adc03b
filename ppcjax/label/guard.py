"""Who may ask: the page of this server, opened with its token, and nobody else."""

import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.responses import JSONResponse, Response

MOST_BYTES = 8 << 20  # of what is posted
PAGE = "/page/"  # below it are the page's own files, which hold nothing of anybody's
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_App = Callable[[Any, Any, Any], Awaitable[None]]


class Refused(Exception):
    """A request that gets no answer but why.

    status: code of HTTP.
    text: one line.
    """

    def __init__(self, status: int, text: str):
        """Notes both."""
        super().__init__(text)
        self.status, self.text = status, text


def error(status: int, text: str) -> JSONResponse:
    """The answer to a request that is refused."""
    return JSONResponse({"error": " ".join(text.split())}, status_code=status)


class Guard:
    """What stands before the server: checks all requests, and marks all answers."""

    def __init__(self, app: _App, *, token: str, hosts: Iterable[str]):
        """Before an application.

        Args:
            app: the application, ASGI.
            token: what each request must know.
            hosts: values of the header Host that mean this server, with their ports.
        """
        self._app, self._token = app, token
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Passes a request on, or refuses it."""
        if scope["type"] != "http":
            return

        async def marked(message):
            if message["type"] == "http.response.start":
                own = [(k.lower().encode(), v.encode()) for k, v in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        try:
            self._check(scope)
        except Refused as why:
            await error(why.status, why.text)(scope, receive, marked)
            return
        await self._app(scope, receive, marked)

    def _check(self, scope: Mapping[str, Any]) -> None:
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            key = name.decode("latin-1").lower()
            headers.setdefault(key, []).append(value.decode("latin-1"))
        self._check_origin(headers, scope["path"])
        if scope["method"] not in ("GET", "HEAD", "POST"):
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and POST are known")
        if scope["method"] == "POST":
            _check_body(headers)
            given = headers.get("x-token", [])
        else:
            query = parse_qs(scope["query_string"].decode("latin-1"))
            given = [*query.get("token", []), *headers.get("x-token", [])]
        if scope["path"].startswith(PAGE) and scope["method"] != "POST":
            return
        if len(given) != 1 or not _alike(given[0], self._token):
            raise Refused(
                HTTPStatus.FORBIDDEN,
                "the token is missing or wrong: open the address that the server "
                "printed when it started",
            )

    def _check_origin(self, headers: Mapping[str, list[str]], path: str) -> None:
        hosts = headers.get("host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            raise Refused(HTTPStatus.FORBIDDEN, "this server has another name")
        for origin in headers.get("origin", []):
            found = urlsplit(origin.lower())
            if found.scheme != "http" or found.netloc not in self._hosts:
                raise Refused(
                    HTTPStatus.FORBIDDEN, "pages of other servers may not ask"
                )
        # A link to the page may stand anywhere: it is followed, and has the token.
        site = headers.get("sec-fetch-site", ["none"]) if path != "/" else ()
        if any(value not in ("same-origin", "none") for value in site):
            raise Refused(HTTPStatus.FORBIDDEN, "pages of other servers may not ask")


def _check_body(headers: Mapping[str, list[str]]) -> None:
    kind = headers.get("content-type", [""])[0].partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "post JSON, as application/json"
        )
    for length in headers.get("content-length", []):
        if not length.isdecimal() or len(length) > 12 or int(length) > MOST_BYTES:
            raise Refused(*_TOO_LARGE)


_TOO_LARGE = (
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    f"more than {MOST_BYTES >> 20} MiB are posted; post fewer actions at a time",
)


def _alike(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode(), token.encode())


async def body_of(request: Any) -> bytes:
    """What is posted, whatever its length claims to be.

    Raises:
        Refused: it is too long.
    """
    parts, count = [], 0
    async for part in request.stream():
        count += len(part)
        if count > MOST_BYTES:
            raise Refused(*_TOO_LARGE)
        parts.append(part)
    return b"".join(parts)


def kept_for(response: Response, seconds: int) -> Response:
    """An answer that a browser may keep for so many seconds."""
    kind = f"private, max-age={seconds}" if seconds else "no-store"
    response.headers["Cache-Control"] = kind
    return response
