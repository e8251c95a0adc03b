"""The one loader of runs."""

import numpy as np
import pytest

from ppcjax.runs import export_run, open_run
from ppcjax.runs.run import counted_checkpoint
from ppcjax.types import UserError
from tests.evaluate.conftest import folder_of  # noqa: F401


@pytest.mark.parametrize("suffix", ["", "checkpoints", "checkpoints/7"])
def test_a_run_opens_by_any_of_its_folders(folder_of, suffix):  # noqa: F811
    folder = folder_of("contrastive_seg")
    run = open_run(folder / suffix)
    assert (run.step, run.folder, run.classes[0]) == (7, folder, "background")
    assert run.named == suffix.endswith("7")
    # What serves training alone is left out.
    assert set(run.params) == {"backbone", "head"} and "memory" not in run.model_state


def test_what_is_no_run_is_one_line(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError) as caught:
            open_run(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_exported_run_holds_what_predicts_and_no_more(folder_of, tmp_path):  # noqa: F811
    folder = folder_of("pixpro")
    export_run(folder, tmp_path / "small")
    one, two = open_run(folder), open_run(tmp_path / "small")
    assert "target" not in two.model_state and two.step == one.step
    batch = {
        "image": np.full((1, 32, 32, 3), 99, np.uint8),
        "valid": np.int32([[0, 0, 32, 32]]),
    }
    maps = [
        run.method.predict(run.params, run.model_state, batch) for run in (one, two)
    ]
    for name in maps[0]:
        np.testing.assert_array_equal(maps[0][name], maps[1][name])
    with pytest.raises(UserError, match="holds a run already"):
        export_run(folder, tmp_path / "small")


def test_a_note_of_a_choice_counts_while_its_checkpoints_are_there(
    folder_of,  # noqa: F811
    tmp_path,
):
    folder = tmp_path / "run"
    export_run(folder_of("segment"), folder)
    note = folder / "choice.json"
    note.write_text('{"step": 7, "mean_iou": {"7": 0.5}}')
    assert counted_checkpoint(folder) == folder.resolve() / "checkpoints" / "7"
    note.write_text('{"step": 3, "mean_iou": {"3": 0.5, "7": 0.1}}')
    assert counted_checkpoint(folder) == folder.resolve()


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"step": ', "\x00"])
def test_a_damaged_note_is_one_line(folder_of, tmp_path, content):  # noqa: F811
    folder = tmp_path / "run"
    export_run(folder_of("segment"), folder)
    (folder / "choice.json").write_text(content)
    with pytest.raises(UserError, match="choice.json") as caught:
        open_run(folder)
    assert "\n" not in str(caught.value) and "remove it" in str(caught.value)


@pytest.mark.parametrize(
    "note",
    [
        '{"step": 7}',
        '{"mean_iou": {"7": 0.5}}',
        '{"step": null, "mean_iou": {"7": 0.5}}',
        '{"step": 7, "mean_iou": {"last": 0.5}}',
        '{"step": 7, "mean_iou": 5}',
    ],
)
def test_a_note_that_names_no_checkpoint_is_one_line(tmp_path, note):
    (tmp_path / "choice.json").write_text(note)
    with pytest.raises(UserError, match="choice.json names no checkpoint; remove it"):
        counted_checkpoint(tmp_path)
