"""A server on the loopback address: plain files, the hub's paths, and every mishap."""

import contextlib
import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ppcjax.types import UserError
from ppcjax.weights import fetch

WEIGHTS = b"PK\x03\x04" + bytes(range(256)) * 4096  # a megabyte
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
ROOT = Path(__file__).resolve().parents[3]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Web:
    """What a server has and was asked.

    files: content by path, such as "/net.pth".
    repositories: content by name of the file, by "OWNER/NAME".
    mishaps: by path, what goes wrong with the next downloads of it: a status such as
        500, "cut" after half of it, "slow", "stall" or a path to be sent to.
    gated: repositories that ask for an agreement.
    asked: (verb, path, first byte) of all requests.
    """

    def __init__(self, address):
        self.address = address
        self.files, self.repositories = {}, {}
        self.mishaps, self.gated, self.asked = {}, set(), []

    def downloads(self, path):
        return [asked for asked in self.asked if asked[:2] == ("GET", path)]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, *, body):
        web, path = self.server.web, self.path.partition("?")[0]
        begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = int(begin[1]) if begin else 0
        web.asked.append((self.command, path, begin))
        mishaps = web.mishaps.get(path, [])
        mishap = mishaps.pop(0) if mishaps and body else None
        if isinstance(mishap, int):
            return self._send(mishap, b"no", {})
        if mishap and mishap.startswith("/"):
            return self._send(302, b"", {"Location": web.address + mishap})
        listed = re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/.+", path)
        if listed and listed[1] in web.repositories:
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
                for name, data in web.repositories[listed[1]].items()
            ]
            return self._send(200, json.dumps(tree).encode(), {})
        data, headers = self._find(path)
        if data is None:
            return self._send(404, b"not here", headers)
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        self._send(206 if begin else 200, data[begin:], headers, mishap, body=body)

    def _find(self, path):
        web = self.server.web
        if path in web.files:
            return web.files[path], {}
        wanted = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        files = web.repositories.get(wanted[1]) if wanted else None
        if files is None:
            return None, {"X-Error-Code": "RepoNotFound"}
        if wanted[1] in web.gated:
            return None, {"X-Error-Code": "GatedRepo"}
        if wanted[2] not in ("main", "v2", COMMIT):
            return None, {"X-Error-Code": "RevisionNotFound"}
        headers = {"X-Repo-Commit": COMMIT, "X-Error-Code": "EntryNotFound"}
        data = files.get(wanted[3])
        if data is not None:
            headers["ETag"] = f'"{hashlib.sha256(data).hexdigest()}"'
            del headers["X-Error-Code"]
        return data, headers

    def _send(self, status, data, headers, mishap=None, *, body=True):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(data)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if not body or self.command == "HEAD":
            return
        pieces = {"cut": 2, "slow": 20, "stall": 2}.get(mishap, 1)
        step = -(-len(data) // pieces) or 1
        with contextlib.suppress(ConnectionError, BrokenPipeError):
            for at in range(0, len(data), step):
                self.wfile.write(data[at : at + step])
                self.wfile.flush()
                if mishap == "cut":
                    self.close_connection = True
                    return
                if mishap:
                    time.sleep(0.02 if mishap == "slow" else 30)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_):
        """Says nothing of clients that left."""


@contextlib.contextmanager
def serve():
    """A running server, as `Web`."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.web = Web(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.web
        finally:
            server.shutdown()
            thread.join()


def one_line(source, *needed, **given):
    """The message for a source; it says in one line what a user has to know."""
    with pytest.raises(UserError) as info:
        fetch.local_file(source, say=lambda _: None, **given)
    message = str(info.value)
    assert "\n" not in message
    for text in needed:
        assert str(text) in message, message
    return message


def nothing_kept(folder):
    return not [path for path in folder.rglob("*") if path.is_file()]


# A machine that only fetches has no data libraries.
FETCH = """
import sys
for name in ("tensorflow", "tensorflow_datasets"):
    sys.modules[name] = None  # an import of it raises ImportError
from ppcjax.weights.__main__ import main
main(["list", "vgg16_timm"])
sys.exit(main(["fetch", sys.argv[1]]))
"""


def start(source, cache, **environment):
    environment = {**os.environ, "PPCJAX_WEIGHTS": str(cache), **environment}
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, source],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
