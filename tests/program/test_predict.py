"""ppcjax predict: masks, overlays and a table of any photos, by one command."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppcjax import program
from ppcjax.console import allocator
from ppcjax.evaluate import predicting
from ppcjax.evaluate.masks import files, table
from ppcjax.evaluate.predicting import Options
from ppcjax.fields import fields_of
from ppcjax.predict import tta
from tests.program.toy import content, make_run, write_photo


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current folder, in which every RUN is the toy."""
    run = make_run(tmp_path / "run")
    monkeypatch.setattr(predicting.opening, "open_any", lambda *_, **__: run)
    monkeypatch.setattr(program.cli, "keep_compiled_programs", lambda: None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words):
    program.main("predict", *map(str, words))


def refused(capsys, *words):
    """The one line on stderr."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        call(*words)
    assert caught.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1, said
    return said


def rows(out):
    text = (out / table.NAME).read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(text.splitlines(keepends=True)))


def test_a_folder_a_file_and_a_pattern_together(place, capsys):
    for i, name in enumerate(["a/x.png", "a/y.jpg", "b/x.png", "c/z.png", "c/w.png"]):
        write_photo(place / name, i)
    (place / "a/notes.txt").write_text("nothing")
    (place / "readme.md").write_text("nothing")
    (place / "a/bad.jpg").write_bytes(b"no photo")
    call("run", "a", "b/x.png", "c/z*", "readme.md", "a/x.png", "--format=png_grey")
    out, said = place / "predicted", capsys.readouterr()
    ids = ["a/x", "a/y", "b/x", "c/z"]
    found = rows(out)
    assert [row["photo"] for row in found] == ["a/bad", *ids]
    assert "cannot be read" in found[0]["left out"] and found[0]["width"] == ""
    for name in ids:
        assert Image.open(out / f"masks/{name}.png").size == (30, 24)
        assert (out / f"overlays/{name}.jpg").is_file()
        assert (out / f"png_grey/masks/{name}.png").is_file()
    assert not (out / "scores").exists()
    for words in ("(readme.md)", "1 .txt", "given twice", "results go to predicted"):
        assert words in said.out
    assert "4 photos" in said.out and "1 photo could not be read" in said.out
    for name in ("report.html", "provenance.json", "metrics.json", "classes.txt"):
        assert (out / name).is_file()


def test_how_it_has_memory_is_said_once_it_predicts(place, capsys, monkeypatch):
    monkeypatch.setattr(allocator, "said", lambda: "in pages of such a size")
    write_photo(place / "p/x.png", 0)
    call("run", "p")
    assert "".join(capsys.readouterr()).count("in pages of such a size") == 1
    assert "pages of such" not in refused(capsys, "run", "p", "--threshold=2")


def test_the_table_says_what_the_masks_show(place):
    for i in range(3):
        write_photo(place / f"p/{i}.png", i)
    call("run", "p", "--out", "o")
    for row in rows(place / "o"):
        mask = np.asarray(Image.open(place / "o" / row["mask"]))
        assert (int(row["height"]), int(row["width"])) == mask.shape
        for c, name in enumerate(["background", "red", "green"]):
            assert float(row[f"{name} %"]) == round(100 * (mask == c).mean(), 2)
        assert 0 < float(row["uncertainty"]) < 1 and Path(row["file"]).is_file()


NAMES = [
    "=1+2",
    "+a",
    "-b",
    "@c",
    "a,b",
    'say "hi"',
    "a;b",
    "line\nfeed",
    "tab\t",
    "Zoë",
    " =x",
    "n" * 251,
    "x.jpg",
    "%s",
]


def test_names_of_any_letters(place):
    for i, name in enumerate(NAMES):
        write_photo(place / "p" / f"{name}.jpg", i)
    write_photo(place / "p/Zoë.png")  # two suffixes of one name
    call("run", "p", "--out=o")
    found = rows(place / "o")
    assert len(found) == len(NAMES) + 1
    masks = {p.relative_to(place / "o/masks") for p in (place / "o/masks").rglob("*")}
    assert len(masks) == len(found) and Path("Zoë.png.png") in masks
    for row in found:
        for cell in row.values():
            assert cell.isprintable() and not cell.lstrip().startswith(("=", "+", "@"))
    raw = (place / "o" / table.NAME).read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf") and raw.count(b"\r\n") == len(found) + 1


@pytest.fixture
def made(monkeypatch):
    """Ids of the photos whose files were written; kills once there are so many."""
    found, write = [], files.write_prediction

    def wrapped(prediction, *words, **more):
        if len(found) == wrapped.most:
            raise KeyboardInterrupt
        found.append(prediction.example.id)
        return write(prediction, *words, **more)

    wrapped.most = None
    monkeypatch.setattr(files, "write_prediction", wrapped)
    wrapped.found = found
    return wrapped


def test_goes_on_after_a_stop_and_with_new_photos(place, made, capsys):
    for i in range(7):
        write_photo(place / f"p/{i}.png", i)
    call("run", "p", "--out=o")
    (place / "o").rename(place / "whole")
    made.found.clear()
    made.most = 4
    with pytest.raises(SystemExit) as caught:
        call("run", "p", "--out=o")
    assert caught.value.code == 130
    assert "the same command goes on" in capsys.readouterr().err
    made.most = None
    made.found.clear()
    call("run", "p", "--out=o")
    assert "4 of 7 photos are finished and kept" in capsys.readouterr().out
    assert len(made.found) < 7
    assert content(place / "o") == content(place / "whole")
    # Added, changed and removed photos.
    write_photo(place / "p/new.png", 8)
    write_photo(place / "p/3.png", 4, (40, 30))
    (place / "p/5.png").unlink()
    made.found.clear()
    call("run", "p", "--out=o")
    said = capsys.readouterr().out
    shown = {"0", "new"}  # in the report
    assert set(made.found) == {"new", "3"} | shown
    assert "5 of 7 photos are finished" in said
    assert "predicted anew: 1" in said and "not among these photos: 1" in said
    assert [row["photo"] for row in rows(place / "o")] == [*"012346", "new"]


def test_other_settings_lose_no_finished_photos(place, made, capsys):
    for i in range(4):
        write_photo(place / f"p/{i}.png", i)
    call("run", "p")
    before, note = content(place), (place / "predicted/finished.jsonl").read_bytes()
    said = refused(capsys, "run", "p", "--threshold=0.4")
    for words in ("4 finished photos", "threshold none, now 0.4", "--anew"):
        assert words in said
    assert content(place) == before
    assert (place / "predicted/finished.jsonl").read_bytes() == note
    made.found.clear()
    call("run", "p", "--threshold=0.4", "--anew")
    assert set(made.found) == set("0123")
    call("run", "p", "--threshold=0.4")
    assert "4 of 4 photos are finished and kept" in capsys.readouterr().out


def test_results_never_lie_on_photos_or_become_some(place, capsys):
    for i in range(2):
        write_photo(place / f"p/{i}.png", i)
        write_photo(place / f"q/masks/{i}.png", i)
        write_photo(place / f"r/{i}.png", i)
    for _ in range(2):
        call("run", "p", "--out=p/results")
        assert [row["photo"] for row in rows(place / "p/results")] == ["0", "1"]
    assert "folder of results (results)" in capsys.readouterr().out
    assert "the photos lie there" in refused(capsys, "run", "p", "--out=p")
    assert "the photos lie there" in refused(capsys, "run", "p", "--out", "./p/../p")
    over = refused(capsys, "run", "q/masks", "--out=q")
    assert "q holds masks, which ppcjax did not write" in over
    other = refused(capsys, "run", "r", "--out=p/results")
    assert "take the place of" in other and "p/0.png" in other
    assert len(list((place / "q").rglob("*.*"))) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "no photos are given"),
        (["run", "nowhere"], "nowhere: no image there"),
        (["run", "empty"], "empty: no image there"),
        (["run", "text.txt"], "1 x .txt (text.txt)"),
        (["run", "a.jpg"], "no image there"),  # a folder of that name
        (["run", "p", "--crf"], "--crf needs a value"),
        (["run", "p", "--crff=k1"], "--crff is no option"),
        (["run", "p", "-o", "x"], "-o is no option"),
        (["run", "p", "--limit=0"], "--limit='0': give"),
        (["run", "p", "--format=bmp"], "--format='bmp': give"),
        (["run", "p", "--threshold=2"], "--threshold='2': give"),
        (["run", "p", "--out="], "--out needs a folder"),
        (["run", "p", "--support=p"], "classes of its own"),
        (["run", "p", "--out=text.txt"], "text.txt is there and no folder"),
        (["--config=nothing_there", "p"], "no config of that name"),
        (["--limit=2"], "RUN is missing"),
    ],
)
def test_mistakes_are_one_line(place, capsys, words, message):
    write_photo(place / "p/0.png")
    (place / "empty").mkdir()
    (place / "a.jpg").mkdir()
    (place / "text.txt").write_text("nothing")
    said = refused(capsys, *words)
    assert message in said
    if "is no option" in said:
        assert all(f"--{name}" in said for name in fields_of(Options))
    assert not (place / "predicted").exists()


def test_nothing_but_damaged_photos_is_an_error(place, capsys):
    (place / "p").mkdir()
    (place / "p/bad.jpg").write_bytes(b"no photo")
    with pytest.raises(SystemExit) as caught:
        call("run", "p")
    *_, said = capsys.readouterr().err.splitlines()
    assert caught.value.code == 1 and "none of the photos could be read" in said
    assert [row["photo"] for row in rows(place / "predicted")] == ["bad"]


@pytest.mark.parametrize(
    ("gives", "message"),
    [
        ("affinity", "--scores"),
        ("features", "config.init_from"),
        ("episodes", "--support EXAMPLES"),
    ],
)
def test_runs_without_masks_say_what_to_do(place, capsys, monkeypatch, gives, message):
    write_photo(place / "p/0.png")
    run = make_run(place / "run", gives=gives)
    monkeypatch.setattr(predicting.opening, "open_any", lambda *_, **__: run)
    assert message in refused(capsys, "run", "p")


def test_a_lack_of_memory_names_options_that_predict_has(place, capsys, monkeypatch):
    write_photo(place / "p/0.png")

    def lacks(*_, **__):
        raise MemoryError("Unable to allocate 3 GiB")

    monkeypatch.setattr(tta.devices, "compiled", lambda *_: lacks)
    said = refused(capsys, "run", "p")
    named = re.findall(r"--(\w+) \(", said)
    assert "out of memory" in said and named
    assert set(named) <= set(fields_of(Options)), said


def test_usage_is_short_and_help_names_all_options(capsys):
    call()
    assert len(capsys.readouterr().out.splitlines()) < 5
    call("--help")
    said = capsys.readouterr().out
    assert all(f"--{name}=" in said for name in fields_of(Options))


def test_words_of_the_command_line(monkeypatch):
    monkeypatch.setattr(predicting.opening, "read_config", lambda words: words or None)
    asked = predicting.read(
        ["run", "--scores", "a.jpg", "--limit", "3", "b", "--noscores", "--", "-c.jpg"],
        "usage",
    )
    assert asked.run == "run" and asked.photos == ("a.jpg", "b", "-c.jpg")
    assert asked.options == Options(limit=3) and asked.given == {"scores", "limit"}
    untrained = predicting.read(["--config", "x", "--support=e", "p.jpg"], "usage")
    assert (untrained.run, untrained.photos) == ("", ("p.jpg",))
