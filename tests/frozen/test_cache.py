"""What is kept of photos is what was put there, or nothing."""

import logging
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ppcjax.frozen import cache
from ppcjax.frozen.cache import Cache

KEY = {"weights": "a"}
GIB = 2**30
NAME = "ab" * 16


def features(seed=0, cells=(3, 5)):
    return np.random.default_rng(seed).standard_normal((*cells, 7)).astype(np.float16)


def files(folder):
    return sorted(folder.rglob("*.features"))


def test_it_gives_what_was_put(tmp_path):
    kept = Cache(tmp_path, KEY, GIB)
    assert kept.get(NAME) is None
    kept.put(NAME, features())
    for again in (kept, Cache(tmp_path, KEY, GIB)):
        np.testing.assert_array_equal(again.get(NAME), features())
        assert again.get(NAME).dtype == np.float16


def test_another_network_has_another_folder(tmp_path):
    Cache(tmp_path, KEY, GIB).put(NAME, features())
    assert Cache(tmp_path, {"weights": "b"}, GIB).get(NAME) is None


def test_a_folder_of_another_network_is_thrown_away(tmp_path):
    kept = Cache(tmp_path, KEY, GIB)
    kept.put(NAME, features())
    (kept.folder / "network.json").write_text('{"weights": "b"}')
    assert Cache(tmp_path, KEY, GIB).get(NAME) is None
    assert not files(tmp_path)


@pytest.mark.parametrize("damage", ["first", "middle", "last", "shorter", "empty"])
def test_damage_is_found(tmp_path, damage, caplog):
    kept = Cache(tmp_path, KEY, GIB)
    kept.put(NAME, features())
    (file,) = files(tmp_path)
    content = bytearray(file.read_bytes())
    at = {"first": 0, "middle": len(content) // 2, "last": -1}
    if damage in at:
        content[at[damage]] ^= 1
    file.write_bytes(content[: {"shorter": 40, "empty": 0}.get(damage)])
    with caplog.at_level(logging.WARNING):
        assert kept.get(NAME) is None
    assert "damaged" in caplog.text
    kept.put(NAME, features())
    np.testing.assert_array_equal(kept.get(NAME), features())


def test_it_does_not_grow_beyond_its_bound(tmp_path, caplog):
    kept = Cache(tmp_path, KEY, 2000)
    with caplog.at_level(logging.WARNING):
        for i in range(50):
            kept.put(f"{i:032x}", features(i))
    assert caplog.text.count("cache_gib") == 1
    found = files(tmp_path)
    assert 0 < len(found) < 50
    assert sum(file.stat().st_size for file in found) <= 2000
    again = Cache(tmp_path, KEY, 2000)  # what an earlier process kept counts, too
    again.put("f" * 32, features(99))
    assert len(files(tmp_path)) == len(found)


def test_500_photos_are_held_on_disk_alone(tmp_path):
    """A view takes its features and 28 bytes: 10,000 of 28 x 28 x 384 take 6.02 GB."""
    kept = Cache(tmp_path, KEY, GIB)
    for i in range(500):
        kept.put(f"{i:032x}", features(i))
    assert len(files(tmp_path)) == 500
    size = sum(file.stat().st_size for file in files(tmp_path))
    assert size == 500 * (features().nbytes + 28)
    held = [value for value in vars(kept).values() if isinstance(value, dict | list)]
    assert not held


def test_no_room_is_said_once_and_changes_nothing_else(tmp_path, caplog, monkeypatch):
    kept = Cache(tmp_path, KEY, GIB)
    monkeypatch.setattr(cache, "_SPARE", 1 << 62)
    with caplog.at_level(logging.WARNING):
        for i in range(5):
            kept.put(f"{i:032x}", features(i))
    assert caplog.text.count("less than 1 GiB") == 1
    assert kept.get(f"{0:032x}") is None


def test_a_folder_that_cannot_be_made_is_said(tmp_path, caplog):
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        kept = Cache(tmp_path / "file", KEY, GIB)
    assert "cannot be kept" in caplog.text
    kept.put(NAME, features())
    assert kept.get(NAME) is None


def test_left_overs_of_a_killed_process_go_after_an_hour(tmp_path):
    kept = Cache(tmp_path, KEY, GIB)
    kept.put(NAME, features())
    folder = files(tmp_path)[0].parent
    for name, age in (("old", 7200), ("new", 60)):
        (folder / name).write_bytes(b"half")
        then = time.time() - age
        os.utime(folder / name, (then, then))
    Cache(tmp_path, KEY, GIB)
    assert not (folder / "old").exists()
    assert (folder / "new").exists()


WRITER = """
import sys
from pathlib import Path
import numpy as np
from ppcjax.frozen.cache import Cache
print("ready", flush=True)
while True:
    kept = Cache(Path(sys.argv[1]), {"weights": "a"}, 2**30)
    for i in range(40):
        rng = np.random.default_rng(i)
        kept.put(f"{i:032x}", rng.standard_normal((60, 500, 7)).astype(np.float16))
"""


def test_nothing_wrong_is_read_after_50_kills_of_two_writers(tmp_path):
    rng, read = np.random.default_rng(0), 0
    for _ in range(25):
        two = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE
            )
            for _ in range(2)
        ]
        for process in two:
            process.stdout.readline()
        time.sleep(rng.uniform(0, 0.3))
        for process in two:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        kept = Cache(tmp_path, KEY, GIB)
        for i in range(40):
            found = kept.get(f"{i:032x}")
            if found is not None:
                read += 1
                np.testing.assert_array_equal(found, features(i, (60, 500)))
        assert not kept.damaged
        for file in files(tmp_path):
            file.unlink()
    assert read
