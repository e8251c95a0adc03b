"""Files from the web, whole and checked: never a part of one under its final name."""

import contextlib
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from ppcjax.checkout import install
from ppcjax.console import screen
from ppcjax.console.loops import speed
from ppcjax.errors import UserError, chain

Say = Callable[[str], None]
TRIES = 3
PAUSE = 1.0  # seconds before the second try; twice that before the third
TIMEOUT = 30.0  # seconds without a byte
BROKE, SLOW = "it broke off", "the server is too slow"
# What libraries say -> what it means.
REASONS = (
    ("OfflineMode", "HF_HUB_OFFLINE is set"),
    ("Timeout", SLOW),
    ("timed out", SLOW),
    ("ChunkedEncoding", BROKE),
    ("Protocol", BROKE),
    ("Connect", "no connection"),
)
STALE = 86_400.0  # seconds after which what a killed process left behind is removed


class Meter:
    """How far a download is: a row of the bar on a terminal, else a line per tenth.

    It has the methods that pooch expects of a progress bar.

    name: what is downloaded.
    say: where lines go; None: stderr, or a bar there where that is a terminal.
    total: bytes; 0 where that is not known.
    """

    def __init__(self, name: str, say: Say | None):
        self.name, self.total = name, 0
        self.say = say or to_stderr
        self.done = self.shown = 0
        self.begun = time.monotonic()
        drawn = say is None and screen.is_drawn()
        self.row = screen.Row(name) if drawn else None

    def update(self, count: int = 1) -> None:
        """Counts bytes, and shows them where that is due."""
        self.done += count
        if self.row:
            rate = self.done / max(time.monotonic() - self.begun, 1e-3)
            total = max(self.total, self.done) if self.total else None
            left = (total - self.done) / rate if total and rate else None
            note = f"MB  {speed(rate / 1e6, 'MB', left)}"
            self.row.show(self.done / 1e6, total=total and total / 1e6, note=note)
        elif self.total:
            tenth = min(10 * self.done // self.total, 10)
            if tenth > self.shown:
                self.shown = tenth
                size = f"{self.total / 1e6:.1f} MB"
                self.say(f"{self.name}: {10 * tenth} % of {size}")

    def reset(self) -> None:
        """Counts anew."""
        self.done = 0

    def close(self) -> None:
        """Takes the row off the terminal."""
        if self.row:
            self.row.close()


def to_stderr(line: str) -> None:
    """Prints a line."""
    screen.line(line)


def by_url(url: str, target: Path, *, sha256: str = "", say: Say | None = None) -> None:
    """Downloads a file with pooch; restarts what breaks off.

    It has another name until it is whole and checked. Two processes at once both
    download it, and the later one puts the same file in the place of the first.

    Args:
        url: address, http or https.
        target: path of the file; its folder is made.
        sha256: its checksum or how that begins; "" where it is not known.
        say: takes lines about the progress; None: they go to stderr.

    Raises:
        UserError: pooch is missing, or the file cannot be had, is not weights, has
            another checksum or does not fit on the disk.
    """
    try:
        import pooch
        import requests
    except ImportError:
        raise UserError(
            f"{url}: downloads need pooch ({install('weights')}); or download it "
            f"yourself and put it at {target}"
        ) from None

    def checked(url, output, _):
        meter = Meter(target.name, say)
        try:
            pooch.HTTPDownloader(meter, 1 << 18, timeout=TIMEOUT)(url, output, None)
        finally:
            meter.close()
        check(Path(output), url, sha256)

    pooch.get_logger().setLevel("WARNING")
    for attempt in range(TRIES):
        try:
            pooch.retrieve(url, None, target.name, target.parent, downloader=checked)
        except requests.RequestException as error:
            if attempt == TRIES - 1 or not _may_pass(error):
                raise cannot(url, target, reason_of(error)) from error
            time.sleep(PAUSE * 2**attempt)
        except OSError as error:
            raise no_room(target.parent, error, "PPCJAX_WEIGHTS") from error
        else:
            break
    _sweep(target.parent)


def _may_pass(error: Exception) -> bool:
    """Whether another try may do: broken off, too slow, or a server in trouble."""
    response = getattr(error, "response", None)
    if response is not None:
        return response.status_code >= 500 or response.status_code in (408, 429)
    return reason_of(error) in (BROKE, SLOW)


def reason_of(error: BaseException) -> str:
    """What went wrong, in a few words; what libraries say runs over many lines."""
    last = error
    for last in chain(error):
        response = getattr(last, "response", None)
        if getattr(response, "status_code", None):
            return f"the server answered {response.status_code}"
        named = " ".join(cls.__name__ for cls in type(last).__mro__) + str(last)
        for word, meaning in REASONS:
            if word in named:
                return meaning
    return " ".join(str(last).split())[:200] or type(last).__name__


def cannot(url: str, target: Path, reason: str) -> UserError:
    """What to do where a program cannot have a file and a person perhaps can.

    Args:
        url: address of the file.
        target: path where it will be found.
        reason: what went wrong.
    """
    return UserError(
        f"{url} cannot be downloaded ({reason}); download it elsewhere, put it at "
        f"{target} and start again"
    )


def no_room(folder: Path, error: OSError, setting: str) -> UserError:
    """What to do where a folder cannot be written.

    Args:
        folder: where the file should go.
        error: what the system said.
        setting: environment variable that names another folder.
    """
    return UserError(
        f"a weight file cannot be written to {folder} ({error.strerror or error}); "
        f"make room, or set {setting} to another folder"
    )


def check(path: Path, source: str, sha256: str = "") -> None:
    """Refuses what was not meant: web pages, pointers, another checksum.

    Args:
        path: file to look at.
        source: where it is from, for messages.
        sha256: its checksum or how that begins; "" where it is not known.

    Raises:
        UserError: it is not the file.
    """
    with path.open("rb") as file:
        head = file.read(512).lstrip().lower()
        if not head:
            raise UserError(f"{source} gives an empty file")
        if head.startswith((b"<!doctype", b"<html", b"<?xml")):
            raise UserError(
                f"{source} gives a web page, not weights; open it in a browser, "
                "download the file and give its path"
            )
        if head.startswith(b"version https://git-lfs"):
            raise UserError(
                f"{source} gives a Git LFS pointer, not weights; download the file "
                "itself (git lfs pull)"
            )
        if not sha256:
            return
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(sha256):
        raise UserError(
            f"{source} gives another file than was published: SHA-256 begins with "
            f"{digest[: min(len(sha256), 16)]}, not {sha256[:16]}; it was not kept"
        )


def _sweep(folder: Path) -> None:
    """Removes what killed downloads left behind, some time later."""
    for left in folder.glob("tmp????????"):
        with contextlib.suppress(OSError):  # another process was faster
            if time.time() - left.stat().st_mtime > STALE:
                left.unlink()
