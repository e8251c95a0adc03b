"""Studies: their commands can be run, what was made is kept, the page shows it."""

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks import study, study_grid, study_making, study_table
from benchmarks.studies import STUDIES, base
from benchmarks.studies.words import with_held_out
from ppcjax.cli import config_args
from ppcjax.evaluate import declared

ROWS = [
    pytest.param(STUDIES[name], row, id=f"{name}-{row}")
    for name in STUDIES
    for row in STUDIES[name].rows
]


@pytest.mark.parametrize("name", STUDIES)
def test_rows_have_names_of_their_own(name):
    assert STUDIES[name].against in {"", *STUDIES[name].rows}
    assert not STUDIES[name].rows.keys() & {*base.PLACES, *base.OWN}


@pytest.mark.parametrize(("of", "name"), ROWS)
def test_every_row_says_all_that_it_needs(of, name):
    row = of.rows[name]
    assert row.names() <= {*base.PLACES, *base.OWN, *of.rows}
    assert "out" in set(base.of(row.evaluate[-1]))
    assert not row.train or "run" in set(base.of(row.train[-1]))
    assert all(of.rows[other].train for other in of.needed(name))
    chooser = study_grid.chooser(of, name)
    assert ("choice" in row.names()) == bool(chooser)
    if chooser:
        assert len(of.rows[chooser].grid) > 1 and of.rows[chooser].train
        assert "out" in set(base.of(of.rows[chooser].judge))
        assert study_grid.SEED not in of.seeds


def test_every_command_names_a_config_that_takes_its_settings():
    commands = {
        tuple(word for word in words if word.startswith("--config"))
        for of in STUDIES.values()
        for name, row in of.rows.items()
        for choice in of.rows[study_grid.chooser(of, name) or name].grid or ("",)
        for command in (*row.train, *row.evaluate)
        if any((words := shlex.split(study_making.typed(command, choice)))[1:])
    }
    named = [c for c in commands if any(w.startswith("--config=") for w in c)]
    assert len(named) > 20
    for words in named:
        settings = [word.replace("=SEED", "=0") for word in words]
        given = config_args.with_config_first(settings)
        config_args.parse(config_args.define(given), declared.hints)


def toy():
    return base.Study(
        "Rows.",
        {
            "used": base.Row("Used", ("eval {run} {out}",), ("train {photos} {run}",)),
            "uses": base.Row("Uses", ("eval {used} {seed} {out}",)),
        },
        {"chosen": "chosen", "oracle": "best"},
        seeds=(0, 1),
    )


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A study whose programs do nothing but say that they were run."""
    ran, logs = [], []

    def run(command, filled, log):
        words = study_making.words_of(command, filled)
        logs.append(log)
        ran.append(words)
        folder = Path(words[-1])
        folder.mkdir(parents=True, exist_ok=True)
        score = 0.7 if "--rate=2" in filled["choice"] else 0.5
        found = {"thresholds": {"chosen": {"mean_iou": score}, "fixed": None}}
        (folder / "metrics.json").write_text(json.dumps(found))

    page = tmp_path / "page.md"
    page.write_text("before\n<!-- study toy -->\n<!-- end of study toy -->\nafter\n")
    monkeypatch.setitem(STUDIES, "toy", toy())
    monkeypatch.setattr(study_making, "run_command", run)
    monkeypatch.setattr(study_table, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(study_table, "PAGE", page)
    made = study_table.write

    def write(name):
        return made(name, tmp_path / "results", page)

    monkeypatch.setattr(study_table, "write", write)
    return tmp_path, ran, page


def make(folder, *more):
    words = ["toy", "--photos", str(folder), "--work", str(folder / "work")]
    study.main([*words, *more])


def test_what_was_made_is_kept_and_shown(world):
    folder, ran, page = world
    make(folder, "--rows", "uses", "--seeds", "1")
    assert [words[0] for words in ran] == ["train", "eval"]
    make(folder)
    # Two seeds: used is trained once more, and evaluated twice, uses once more.
    assert [words[0] for words in ran[2:]].count("train") == 1
    assert [words[0] for words in ran[2:]].count("eval") == 3
    made = page.read_text()
    assert "| Uses | 50.0 +- 0.0 |  | 0, 1 |" in made
    assert made.startswith("before\n") and made.endswith("\nafter\n")
    assert (folder / "studies" / "toy.png").stat().st_size > 1000
    ran.clear()
    make(folder)
    assert not ran and page.read_text() == made


def test_the_commands_that_are_kept_name_no_path(world):
    folder, _, _ = world
    make(folder)
    for file in (folder / "results").rglob("*.json"):
        assert str(folder) not in file.read_text()
        assert json.loads(file.read_text())["commands"]


def test_a_grid_is_tried_once_and_its_choice_kept(world, monkeypatch):
    folder, ran, page = world
    train, evaluate = ("train {choice} {run}",), ("eval {run} {out}",)
    grid = {"grid": ("--rate=1", "--rate=2 --more", ""), "judge": "judge {run} {out}"}
    rows = {
        "tuned": base.Row("Tuned", evaluate, train, **grid),
        "same": base.Row("Same", evaluate, train, like="tuned"),
    }
    monkeypatch.setitem(STUDIES, "toy", toy()._replace(rows=rows))
    make(folder, "--rows", "same", "--seeds", "1")
    assert [words[0] for words in ran] == [*["train", "judge"] * 3, "train", "eval"]
    assert ran[-2][1:3] == ["--rate=2", "--more"]
    make(folder)
    assert sum(words[0] == "judge" for words in ran) == 3
    trained = [words for words in ran if words[0] == "train"]
    assert len(trained) == 3 + 4
    assert sum("--rate=2" in words for words in trained) == 1 + 4
    assert (
        "- Tuned: `--rate=2 --more`, of `--rate=1` 50.0, `--rate=2 --more` 70.0, "
        "as it is 50.0"
    ) in page.read_text()
    assert "| Tuned | 70.0 +- 0.0 |  | 0, 1 |" in page.read_text()


def test_seconds_are_those_of_two_cores(world):
    folder, _, page = world
    make(folder)
    file = folder / "results" / "toy" / "used-0.json"
    told = json.loads(file.read_text())
    for machine, shown in (("A, 2 cores", "7"), ("A, 16 cores, GPU", "")):
        told |= {"machine": machine, "seconds": {"train": 7.0, "evaluate": 7.0}}
        for name in ("used-0", "used-1"):
            file.with_stem(name).write_text(json.dumps(told))
        study_table.write("toy")
        assert f"| Used | 50.0 +- 0.0 |  | 0, 1 | {shown} | {shown} |" in (
            page.read_text()
        )


def test_several_at_a_time_make_the_same(world):
    folder, ran, page = world
    make(folder)
    alone, commands = page.read_text(), sorted(map(tuple, ran))
    for file in (folder / "results").rglob("*.json"):
        file.unlink()
    shutil.rmtree(folder / "work")
    ran.clear()
    make(folder, "--jobs", "3")
    assert page.read_text() == alone
    # Folders of prepared photos differ.
    assert [words[0] for words in sorted(map(tuple, ran))] == [w[0] for w in commands]


def test_a_row_that_fails_stops_no_other_and_is_named(world, monkeypatch):
    folder, ran, page = world
    real = study_making.run_command

    def failing(command, filled, log):
        if command.startswith("train") and filled["seed"] == 0:
            raise subprocess.CalledProcessError(1, ["python", "train.py"])
        real(command, filled, log)

    monkeypatch.setattr(study_making, "run_command", failing)
    with pytest.raises(SystemExit) as caught:
        make(folder)
    assert str(caught.value) == (
        "not done: toy/used-0 run, toy/used-0, toy/uses-0 run, toy/uses-0"
    )
    assert "| Used | 50.0 |  | 1 |" in page.read_text()


def test_no_row_is_begun_after_the_end(world):
    folder, ran, _ = world
    with pytest.raises(SystemExit, match="not done: toy/used-0 run, toy/used-0, "):
        make(folder, "--minutes", "1e-9")
    assert not ran


def test_what_commands_say_goes_to_a_file_where_several_run(tmp_path):
    log = tmp_path / "work" / "run.log"
    filled = {"choice": "", "out": str(tmp_path)}
    for _ in range(2):
        study_making.run_command("-c print(7*6)", filled, str(log))
    assert log.read_text() == "42\n42\n"
    with pytest.raises(subprocess.CalledProcessError):
        study_making.run_command("-c raise(SystemExit(3))", filled, str(log))


def test_a_study_without_photos_needs_none(world, monkeypatch):
    folder, ran, _ = world
    row = base.Row("Row", ("eval {out}",))
    monkeypatch.setitem(STUDIES, "toy", toy()._replace(rows={"row": row}))
    study.main(["toy", "--work", str(folder / "work")])
    assert len(ran) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["toy", "--photos", ""], "give --photos"),
        (["toy", "--photos", ".", "--rows", "none"], "has no row none; it has used"),
        (["ploy"], "no study ploy; there are "),
    ],
)
def test_what_is_missing_is_said(world, words, said):
    with pytest.raises(SystemExit, match=said):
        study.main(words)


def test_a_killed_evaluation_leaves_the_training(world, monkeypatch):
    folder, ran, _ = world
    real = study_making.run_command

    def killed(command, filled, log):
        if command.startswith("eval"):
            raise KeyboardInterrupt
        real(command, filled, log)

    monkeypatch.setattr(study_making, "run_command", killed)
    with pytest.raises(KeyboardInterrupt):
        make(folder, "--seeds", "0")
    monkeypatch.setattr(study_making, "run_command", real)
    make(folder, "--seeds", "0")
    assert [words[0] for words in ran] == ["train", "eval", "eval"]


def test_a_page_without_a_place_is_an_error(world):
    folder, _, page = world
    page.write_text("nothing")
    with pytest.raises(SystemExit, match="needs the lines"):
        make(folder)


def test_held_out_photos_are_in_no_other_list(tmp_path):
    photos, folder = tmp_path / "photos", tmp_path / "folder"
    lists = photos / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    folder.mkdir()
    (photos / "JPEGImages").mkdir()
    every = [f"{i:04}" for i in range(1500)]
    (lists / "train.txt").write_text("\n".join(every[:200]))
    (lists / "train_aug.txt").write_text("\n".join(every))
    with_held_out(photos, folder)
    ours = folder / "ImageSets" / "Segmentation"
    tagged, held_out, learnt = (
        set((ours / f"{name}.txt").read_text().split())
        for name in ("tagged", "held_out", "train")
    )
    assert len(held_out) == 100 and not held_out & (tagged | learnt)
    assert tagged | held_out == set(every)
