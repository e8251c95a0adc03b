"""URLs end at a whole file, or at one line."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from ppcjax.weights import download, fetch
from tests.weights.fetch.web import WEIGHTS, nothing_kept, one_line, start


def test_url_is_downloaded_once_and_shown(web, cache):
    lines = []
    found = fetch.local_file(web.address + "/net.pth", say=lines.append)
    assert found.path.read_bytes() == WEIGHTS and found.path.is_relative_to(cache)
    assert found.path.suffix == ".pth" and found.row is None
    assert any("100 %" in line for line in lines) and str(found.path) in lines[-1]
    assert len(lines) <= 11
    assert fetch.local_file(web.address + "/net.pth") == found
    assert len(web.downloads("/net.pth")) == 1


def test_same_name_at_two_addresses(web, cache):
    web.files["/other/net.pth"] = b"PK" + WEIGHTS
    paths = {
        fetch.local_file(web.address + at, say=print).path
        for at in ("/net.pth", "/other/net.pth", "/net.pth?version=2")
    }
    assert len(paths) == 3


@pytest.mark.parametrize(
    "mishaps", [["cut"], [500], [503, "cut"], ["slow"], ["/moved.pth"]], ids=str
)
def test_what_passes_is_tried_again(web, cache, mishaps):
    web.files["/moved.pth"] = WEIGHTS
    web.mishaps["/net.pth"] = mishaps
    found = fetch.local_file(web.address + "/net.pth", say=print)
    assert found.path.read_bytes() == WEIGHTS
    assert [path for path in cache.rglob("*") if path.is_file()] == [found.path]


@pytest.mark.parametrize(
    ("mishaps", "words"),
    [
        (["cut"] * 3, "broke off"),
        ([500] * 3, "answered 500"),
        ([403], "answered 403"),
        (["/nowhere"], "answered 404"),
        (["stall"] * 3, "too slow"),
    ],
    ids=str,
)
def test_what_does_not_pass(web, cache, mishaps, words, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.1)
    web.mishaps["/net.pth"] = mishaps
    url = web.address + "/net.pth"
    message = one_line(url, url, words, cache, "put it at")
    assert nothing_kept(cache)
    # A person who does what it says is through.
    target = Path(message.partition("put it at ")[2].partition(" and start")[0])
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(WEIGHTS)
    assert fetch.local_file(url).path == target


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n<!DOCTYPE html><html>log in</html>", "web page"),
        (b"<html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "LFS pointer"),
    ],
)
def test_what_is_no_weight_file(web, cache, content, words):
    web.files["/net.pth"] = web.repositories["owner/net"]["a.pth"] = content
    for source in (web.address + "/net.pth", "hf://owner/net/a.pth"):
        one_line(source, source, words)
        assert nothing_kept(cache) and not list(cache.parent.glob("hub/**/a.pth"))


def test_nobody_there(cache, web):
    one_line("http://127.0.0.1:9/net.pth", "no connection", "put it at", cache)


@pytest.mark.parametrize(
    ("source", "setting"),
    [("{}/net.pth", "PPCJAX_WEIGHTS"), ("hf://owner/net", "HF_HOME")],
)
def test_full_disk(web, cache, monkeypatch, source, setting):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download.Meter, "update", full)
    one_line(
        source.format(web.address), "No space left on device", cache.parent, setting
    )
    kept = [path for path in cache.parent.rglob("*") if path.is_file()]
    assert all(path.stat().st_size < 1000 for path in kept)  # locks, tags


def test_folder_that_cannot_be_made(web, cache):
    cache.write_text("in the way")
    one_line(web.address + "/net.pth", cache, "PPCJAX_WEIGHTS")


def test_without_the_libraries(web, cache, monkeypatch):
    for name in ("pooch", "huggingface_hub"):
        monkeypatch.setitem(sys.modules, name, None)
    one_line(
        web.address + "/net.pth",
        "need pooch (pip install -r requirements-weights.txt)",
        cache,
    )
    one_line(
        "hf://owner/net/a.pth",
        "huggingface_hub (pip install -r requirements-weights.txt)",
        cache,
    )


def test_killed_and_started_twice_at_once(web, cache, tmp_path):
    """What a killed process leaves is no file of that name, and goes later."""
    elsewhere = tmp_path / "elsewhere"
    web.files["/stalls.pth"] = WEIGHTS
    web.mishaps = {"/stalls.pth": ["stall"], "/net.pth": ["slow", "slow"]}
    killed = start(web.address + "/stalls.pth", elsewhere)
    other = start(web.address + "/net.pth", cache)
    while not [path for path in elsewhere.rglob("*") if path.stat().st_size]:
        assert killed.poll() is None
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    while not web.downloads("/net.pth"):
        assert other.poll() is None
        time.sleep(0.01)
    path = fetch.local_file(web.address + "/net.pth", say=print).path
    told = other.communicate()[0].splitlines()[-1]
    assert other.returncode == 0 and told == str(path)
    kept = [path for path in cache.rglob("*") if path.is_file()]
    assert kept == [path] and path.read_bytes() == WEIGHTS
    (left,) = [path for path in elsewhere.rglob("*") if path.is_file()]
    assert left.suffix != ".pth"
    os.utime(left, (0, 0))
    left.rename(cache / left.name)
    fetch.local_file(web.address + "/stalls.pth", say=print)
    assert not (cache / left.name).exists()
