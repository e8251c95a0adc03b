"""The addresses of the server; docs/label.md lists them."""

import importlib.resources
import traceback
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ppcjax.console import screen
from ppcjax.label import album, composing, exporting, store, view
from ppcjax.label.guard import PAGE, Guard, Refused, body_of, error, kept_for
from ppcjax.label.session import Session
from ppcjax.label.training import Training
from ppcjax.label.worker import Worker
from ppcjax.runs import checked
from ppcjax.types import IGNORE, UserError

_INDEX = "index.html"
_KINDS = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_MOST_ACTIONS = 1000  # of a request
_SMALLEST = 64  # pixels
_KEEP = 600  # seconds that a browser keeps a photo


class App:
    """What the addresses answer with."""

    def __init__(self, session: Session, worker: Worker, training: Training):
        """For a session, its worker and its trainings."""
        self._session, self._worker, self._training = session, worker, training

    def made(self, token: str, hosts: Iterable[str]) -> Guard:
        """The application with its guard; see `Guard` for the arguments."""
        routes = [
            Route(path, self._page, methods=["GET"]) for path in ("/", PAGE + "{name}")
        ]
        for path, answer in (
            ("/api/state", self._state),
            ("/thumbnail/{id}", self._thumbnail),
            ("/photo/{id}", self._photo),
            ("/mask/{id}", self._mask),
            ("/marks/{id}", self._marks),
        ):
            routes.append(Route(path, _read(answer), methods=["GET"]))
        for path, answer in (
            ("/api/actions", self._actions),
            ("/api/propose", self._propose),
            ("/api/export", self._export),
            ("/api/train", self._train),
        ):
            routes.append(Route(path, _posted(answer), methods=["POST"]))
        handlers = {HTTPException: _of_http, Exception: _unexpected}
        inner = Starlette(routes=routes, exception_handlers=handlers)
        return Guard(inner, token=token, hosts=hosts)

    async def _page(self, request: Request) -> Response:
        folder = importlib.resources.files("ppcjax.label") / "page"
        if "name" not in request.path_params:
            content = (folder / _INDEX).read_bytes()
            return kept_for(Response(content, media_type="text/html"), 0)
        name = request.path_params["name"]
        for file in folder.iterdir():  # names that are there, none that is made up
            kind = _KINDS.get(PurePosixPath(file.name).suffix)
            if file.name == name and kind:
                return kept_for(Response(file.read_bytes(), media_type=kind), 0)
        return error(HTTPStatus.NOT_FOUND, "the page has no such file")

    # ---- what is read
    def _state(self, request: Request) -> Response:
        since, version = request.query_params.get("since"), self._session.version
        self._session.missing()
        if since == str(self._session.version):
            return JSONResponse({"version": version, "same": True})
        progress = {**self._worker.progress(), "training": self._training.progress()}
        return kept_for(JSONResponse(view.of(self._session, progress)), 0)

    def _thumbnail(self, request: Request) -> Response:
        return self._shown(self._id(request), album.THUMBNAIL)

    def _photo(self, request: Request) -> Response:
        i = self._id(request)
        self._worker.view(i)
        return self._shown(i, _side(request))

    def _shown(self, i: int, side: int) -> Response:
        shown = self._session.album.shown(i, side)
        height, width = map(str, shown.full)
        sizes = {"X-Full-Width": width, "X-Full-Height": height}
        answer = Response(shown.content, media_type="image/jpeg", headers=sizes)
        return kept_for(answer, _KEEP)

    def _mask(self, request: Request) -> Response:
        i = self._id(request)
        mask = composing.mask(self._session, i, _side(request))
        if mask is None:
            return error(HTTPStatus.NOT_FOUND, "there is no mask of this photo")
        colours = [(0, 0, 0)] * (IGNORE + 1)
        with self._session.lock:
            for key, one in self._session.state.classes.items():
                colours[key] = tuple(bytes.fromhex(one.colour[1:]))
        content = store.as_png(mask, colours=colours)
        return kept_for(Response(content, media_type="image/png"), 0)

    def _marks(self, request: Request) -> Response:
        found = view.marks_of(self._session, self._id(request))
        return kept_for(JSONResponse(found), 0)

    def _id(self, request: Request) -> int:
        text = request.path_params["id"]
        fits = text.isascii() and text.isdecimal() and len(text) < 10
        if not fits or int(text) >= len(self._session.album):
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such photo")
        return int(text)

    # ---- what is posted
    def _actions(self, given: dict[str, Any]) -> dict[str, Any]:
        asked = given.get("actions")
        if not isinstance(asked, list) or len(asked) > _MOST_ACTIONS:
            raise UserError(f"actions: give a list of up to {_MOST_ACTIONS}")
        return self._session.do(asked)

    def _propose(self, given: dict[str, Any]) -> dict[str, Any]:
        photo = given.get("photo")
        place = -1 if photo is None else self._session.place(photo)
        self._worker.propose(place, str(given.get("by", "")))
        return {"started": True}

    def _export(self, given: dict[str, Any]) -> dict[str, Any]:
        return exporting.export(
            self._session, given.get("formats"), given.get("which", "accepted")
        )

    def _train(self, given: dict[str, Any]) -> dict[str, Any]:
        asked = given.get("do", "start")
        if asked == "start":
            return {"run": self._training.start(str(given.get("by", "masks")))}
        if asked == "go on":
            return {"run": self._training.go_on()}
        if asked == "stop":
            return {"stopped": self._training.stop()}
        raise UserError("do: give one of start, go on, stop")


def _side(request: Request) -> int:
    text = request.query_params.get("side", str(album.REDUCED))
    if not (text.isascii() and text.isdecimal() and len(text) < 6):
        raise UserError(f"side: give pixels from {_SMALLEST} to {album.REDUCED}")
    return min(max(int(text), _SMALLEST), album.REDUCED)


def _read(answer: Callable[[Request], Response]) -> Callable:
    """An address that is read, in a thread of its own."""

    async def endpoint(request: Request) -> Response:
        return await _guarded(answer, request)

    return endpoint


def _posted(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable:
    """An address that takes JSON and gives JSON."""

    def answered(body: bytes) -> Response:
        try:
            given = checked.parse(body, finite=True)
        except ValueError as why:
            raise UserError(f"what was posted is no JSON ({why})") from why
        if not isinstance(given, dict):
            raise UserError("post a JSON object")
        return JSONResponse(answer(given))

    async def endpoint(request: Request) -> Response:
        try:
            body = await body_of(request)
        except Refused as why:
            return error(why.status, why.text)
        except ClientDisconnect:
            return error(HTTPStatus.BAD_REQUEST, "the connection ended")
        return await _guarded(answered, body)

    return endpoint


async def _guarded(answer: Callable[[Any], Response], value: Any) -> Response:
    try:
        return await run_in_threadpool(answer, value)
    except Refused as why:
        return error(why.status, why.text)
    except UserError as why:
        return error(HTTPStatus.BAD_REQUEST, str(why))


async def _of_http(request: Request, why: HTTPException) -> Response:
    return error(why.status_code, str(why.detail))


async def _unexpected(request: Request, why: Exception) -> Response:
    screen.line("".join(traceback.format_exception(why)))
    return error(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        f"the server met a fault of its own ({type(why).__name__}); its terminal says "
        "more",
    )
