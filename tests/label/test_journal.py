"""The journal: whatever is cut off or damaged, all that was acknowledged is there."""

import pytest

from ppcjax.label.journal import Journal, line_of
from ppcjax.types import UserError

ENTRIES = [
    {"n": 1, "kind": "class_add", "class": 1, "name": "Küh", "colour": "#e6194b"},
    {"n": 2, "kind": "stroke", "photo": "a.jpg", "points": [[1.5, 2.25]], "width": 3.0},
    {"n": 3, "kind": "undo", "photo": "a.jpg"},
]


def _written(path):
    journal = Journal(path)
    journal.append(ENTRIES)
    journal.close()
    return path.read_bytes()


def _read(path):
    journal = Journal(path)
    journal.close()
    return [e for e in journal.entries if e["kind"] != "begin"], journal.said


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "labels" / "journal.jsonl"
    _written(path)
    assert _read(path) == (ENTRIES, [])
    journal = Journal(path)
    journal.append([{"n": 4, "kind": "redo", "photo": "a.jpg"}])
    journal.append([])
    assert [entry["n"] for entry in _read(path)[0]] == [1, 2, 3, 4]


def test_cut_off_at_every_byte(tmp_path):
    path = tmp_path / "journal.jsonl"
    content = _written(path)
    ends = [i + 1 for i, byte in enumerate(content) if byte == 10]
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        whole = sum(end <= size for end in ends) - 1
        found, said = _read(path)
        assert found == ENTRIES[: max(whole, 0)]
        assert len(said) == (size not in (0, *ends))
        # What comes next is not glued to what is left.
        journal = Journal(path)
        journal.append([{"n": 9, "kind": "undo", "photo": "b"}])
        journal.close()
        assert _read(path)[0][-1]["n"] == 9


def test_a_changed_byte_costs_its_line_alone_and_is_said(tmp_path):
    path = tmp_path / "journal.jsonl"
    content = _written(path)
    first = content.index(b"\n") + 1
    for place in range(first, len(content) - 1, 3):
        damaged = bytearray(content)
        damaged[place] ^= 0x15
        path.write_bytes(damaged)
        found, said = _read(path)
        assert len(found) < len(ENTRIES) and all(e in ENTRIES for e in found)
        assert len(said) >= 1 and "\n" not in said[0]


@pytest.mark.parametrize("content", [b"mine\n", b'{"n":1}\n', b"\0" * 40 + b"\n"])
def test_another_file_of_that_name_stays(tmp_path, content):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match="no journal"):
        Journal(path)
    assert path.read_bytes() == content


def test_a_later_version_is_left_alone(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(line_of({"n": 0, "kind": "begin", "format": 99}))
    with pytest.raises(UserError, match="later version"):
        Journal(path)


def test_numbers_that_are_none_are_not_kept(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    with pytest.raises(ValueError):
        journal.append([{"n": float("nan")}])
    assert _read(tmp_path / "journal.jsonl") == ([], [])
