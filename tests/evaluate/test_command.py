"""The command line of evaluation: its options are those that fit the run."""

import json

import numpy as np
import pytest

from ppcjax import fields, methods
from ppcjax.evaluate import EVALUATIONS, command, fitting
from ppcjax.evaluate.masks import files
from ppcjax.evaluate.protocol import Request
from ppcjax.runs.files import write_file
from ppcjax.types import UserError
from tests.small_methods import first_of_each_kind
from tests.wrong_values import allows, wrong_values

METHODS = list(methods.METHODS)
EVERY_OPTION = {
    *(name for entry in EVALUATIONS.values() for name in entry.takes),
    *(n for e in EVALUATIONS.values() for n in fields.fields_of(e.settings)),
    *("export_backbones", "crff", "trial"),
}
HEAD = ("config", "method", "evaluation", "run", "step", "split", "skipped")


@pytest.fixture
def cams(tmp_path):
    """Scores of all photos, as another run exports them."""
    scores = np.zeros((32, 32, 6), np.float32)
    scores[4:20, 4:20, 2] = 0.8
    for index in range(40):
        path = tmp_path / "cams" / "scores" / f"test_{index:05d}.npz"
        write_file(path, files.scores_bytes(scores, np.arange(6) == 2))
    return tmp_path / "cams"


def options_of_run(run):
    """Options that some evaluation of a run has."""
    names = command.fitting_names(run)
    return set().union(*(command.options_of(name, run) for name in names))


@pytest.mark.parametrize("name", METHODS)
def test_foreign_options_are_one_line_that_names_those_that_exist(
    name, run_of, folder_of, monkeypatch
):
    run = run_of(name)
    monkeypatch.setattr(command.opening, "open_any", lambda *_: run)
    own = options_of_run(run)
    foreign = EVERY_OPTION - own
    assert len(foreign) > 5
    default = command.options_of(command.fitting_names(run)[0], run)
    for option in foreign:
        for words in ([f"--{option}=1"], [f"--{option}", "1"], [f"--no{option}"]):
            with pytest.raises(UserError) as caught:
                command.main(["--ckpt", str(folder_of(name)), *words])
            message = str(caught.value)
            assert f"{words[0].partition('=')[0]} is no option" in message
            assert "\n" not in message
            assert all(f"--{known}" in message for known in default)


@pytest.mark.parametrize("name", list(EVALUATIONS))
def test_what_an_option_reads_is_allowed_by_its_declaration(name):
    entry = EVALUATIONS[name]
    shared = fields.fields_of(Request)
    declared = fields.fields_of(entry.settings) | {n: shared[n] for n in entry.takes}
    for option, field in declared.items():
        refused = 0
        for value in ["", "nan", "1e999", "a\0b", "x", *wrong_values(field.hint)]:
            try:
                found = fields.parse(field.hint, str(value), f"--{option}")
            except UserError as error:
                assert str(error).startswith(f"--{option}=") and "give" in str(error)
                assert "\n" not in str(error)
                refused += 1
            else:
                assert allows(field.hint, found), (option, value, found)
        assert refused, option


@pytest.mark.parametrize("name", METHODS)
def test_help_lists_the_options_of_the_run_with_its_values(
    name, run_of, folder_of, capsys
):
    run = run_of(name)
    command.main([f"--ckpt={folder_of(name)}", "--help"])
    text = capsys.readouterr().out
    first, *others = command.fitting_names(run)
    assert f"* --evaluation={first}:" in text
    assert all(f"  --evaluation={other}:" in text for other in others)
    for option, field in command.options_of(first, run).items():
        assert f"\n  --{option}=" in text and field.text in text
    for option, value in run.evaluation.items():
        shown = ",".join(map(str, value)) if isinstance(value, list) else value
        assert f"\n  --{option}={shown}\n" in text


def test_help_without_a_run_lists_the_evaluations(capsys):
    command.main(["--help"])
    text = capsys.readouterr().out
    assert all(f"{name} " in text and e.text in text for name, e in EVALUATIONS.items())
    for words in ([], ["--ckpt="], ["--crf", "k1"]):
        with pytest.raises(UserError, match="--ckpt=RUN is missing"):
            command.main(words)


@pytest.mark.parametrize(
    "name", first_of_each_kind(METHODS, lambda method: fitting(method)[0])
)
def test_all_evaluations_share_their_files_and_the_head_of_their_metrics(
    name, folder_of, run_of, cams, tmp_path, capsys
):
    out = tmp_path / "out"
    words = ["--ckpt", str(folder_of(name)), "--export", str(out), "--limit=20"]
    kind = fitting(run_of(name).method)[0]
    if kind == "affinity":
        words += ["--cams", str(cams)]
    command.main(words)
    metrics = json.loads((out / "metrics.json").read_text())
    assert tuple(metrics)[: len(HEAD)] == HEAD
    assert (metrics["method"], metrics["evaluation"]) == (name, kind)
    assert (metrics["step"], metrics["split"]) == (7, "test")
    record = json.loads((out / "provenance.json").read_text())
    assert record["checkpoint"] == {"run": str(folder_of(name)), "step": 7}
    assert record["evaluation"] == kind and "commit" in record
    declared = fields.fields_of(EVALUATIONS[kind].settings)
    assert set(record["settings"]) == set(declared)
    page = (out / "report.html").read_text()
    assert "Loss terms while training" in page and "Scores while training" in page
    text = capsys.readouterr().out
    assert str(out / "report.html") in text
    assert text.startswith("data: shapes (split test): 20 photos, 32 x 32 pixels\n")
    data = metrics["data"]
    assert (data["source"], data["photos"]) == ("shapes (split test)", 20)
    learnt = 0 if kind == "features" else 20
    assert data["masks"]["photos"] == data["tags"]["photos"] == learnt
    assert "<h2>Data</h2>" in page and "test 40" in page


def test_any_setting_can_be_given_anew(folder_of, tmp_path):
    out = tmp_path / "out"
    words = ["--ckpt", str(folder_of("panet")), "--export", str(out)]
    command.main([*words, "--protocol=hsnet", "--shots=2,1", "--size", "64"])
    metrics = json.loads((out / "metrics.json").read_text())
    assert list(metrics["shots"]) == ["2", "1"]
    assert metrics["protocol"]["name"] == "hsnet"
    assert metrics["protocol"]["size"] == 64 and metrics["protocol"]["episodes"] == 3
    words = ["--ckpt", str(folder_of("segment")), "--export", str(out), "--limit=2"]
    command.main([*words, "--scales", "0.5,1", "--noflip", "--noscores"])
    record = json.loads((out / "provenance.json").read_text())
    assert record["settings"]["scales"] == [0.5, 1.0]
    assert not record["settings"]["flip"] and not record["settings"]["scores"]


def test_options_that_belong_to_another_evaluation_of_the_run_choose_it(
    folder_of, tmp_path, capsys
):
    words = ["--ckpt", str(folder_of("panet")), f"--images={tmp_path}"]
    with pytest.raises(UserError, match="both --support=EXAMPLES and"):
        command.main(words)
    assert "evaluation 'supports'" in capsys.readouterr().out
    with pytest.raises(UserError, match="no such directory"):
        command.main([*words, "--support", str(tmp_path / "none")])
    with pytest.raises(UserError, match="can be evaluated as episodes or supports"):
        command.main([*words, "--evaluation=maps"])
    with pytest.raises(UserError, match="--images is no option of the evaluation 'ep"):
        command.main([*words, "--evaluation", "episodes"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["photo.jpg"], "unexpected argument 'photo.jpg'"),
        (["-x"], "-x is no option of"),
        (["--limit"], "--limit needs a value"),
        (["--limit", "0"], "--limit='0': give a whole number of at least 1"),
        (["--images=x", "--split=test"], "--split=test would do nothing"),
        (["--alpha=8"], "give crf, too"),
        (["--affinity_labels=24,4"], "a low and a high alpha"),
        (["--report_classes=horse"], "no class 'horse'"),
        (["--split=nope"], "no split 'nope'"),
        (["--export_backbone=x.npz"], "NAME.safetensors"),
        (["--export_backbone=x.safetensors", "--crf=k1"], "--crf is no option of"),
    ],
)
def test_mistakes_are_one_line(words, message, folder_of):
    with pytest.raises(UserError, match=message) as caught:
        command.main([f"--ckpt={folder_of('ppc')}", *words])
    assert "\n" not in str(caught.value)
