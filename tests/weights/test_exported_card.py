"""The model card: what a reader of the hub needs, and nothing of its writer's disk."""

import json

import pytest

from ppcjax.predict.export.card import card, share, share_words, start_weights
from ppcjax.runs import Run
from ppcjax.types import Method

CONFIG = {
    "name": "birds",
    "steps": 20,
    "init_from": "",
    "method": {"name": "ppc", "backbone": "resnet50"},
    "data": {"source": "folder", "root": "birds", "batch_size": 4},
    "eval": {"scales": [1.0]},
}
NOTE = {
    "method": "ppc",
    "threshold": 0.3,
    "config": CONFIG,
    "output": {"scores": "[b, h, w, classes]: how much it looks like it"},
    "program": {"jax": "0.10.2"},
    "weights": {"start": "random weights", "start_licence": "none"},
}


def text_of(folder, sizes=None, **changes):
    method = Method(None, None, None, gives="maps")
    run = Run(folder, 9, CONFIG, ("background", "owl", "hen"), method, {}, {})
    return card(run, NOTE | changes, sizes or {"model.jaxexp": 1_500_000}).decode()


def write_evaluation(folder, step, split, table, command):
    folder.mkdir(parents=True)
    metrics = {"step": step, "split": split, "images_with_masks": 12}
    metrics["thresholds"] = table
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "provenance.json").write_text(json.dumps({"command": command}))


def test_it_has_front_matter_classes_data_and_how_to_use_it(tmp_path):
    text = text_of(tmp_path)
    front, _, rest = text.removeprefix("---\n").partition("\n---\n")
    keys = [line.partition(":")[0] for line in front.splitlines()]
    assert keys == ["library_name", "pipeline_tag", "tags", "license"]
    for part in (
        "3 classes",
        "background, owl, hen",
        "for 9 steps",
        "| images seen | `80` |",
        "exceeds 0.3, set before any mask was looked at",
        "import json\n\nimport jax",
        "eval.py --ckpt EXPORT --images",
        'ppcjax.load("EXPORT")',
        "`model.jaxexp`: 1.5 MB",
        "hf upload OWNER/NAME EXPORT",
        "No evaluation with masks",
        "random weights. Their licence: none",
    ):
        assert part in rest, part
    assert "onnx" not in text
    both = {"model.jaxexp": 1, "model.onnx": 2}
    assert "onnxruntime" in text_of(tmp_path, both, onnx={"size": [32, 48]})


def test_scores_come_with_their_commands_and_thresholds(tmp_path):
    fixed = {"fixed": {"threshold": 0.26, "mean_iou": 0.5}, "chosen": None}
    chosen = {"chosen": {"threshold": 0.3, "mean_iou": 0.625, "split": "val"}}
    oracle = {"oracle": {"threshold": 0.35, "mean_iou": 0.75}}
    command = "python eval.py --ckpt=/home/ann/runs/birds --split test"
    write_evaluation(tmp_path / "eval-test", 9, "test", fixed | oracle, command)
    write_evaluation(tmp_path / "eval-new", 9, "new", fixed | chosen, None)
    write_evaluation(tmp_path / "eval-old", 8, "old", fixed, command)
    write_evaluation(tmp_path / "eval-images", 9, "images", {"fixed": {}}, command)
    (tmp_path / "threshold.json").write_text(
        '{"threshold": 0.3, "step": 9, "split": "val"}'
    )
    rows = [line for line in text_of(tmp_path).splitlines() if "| 12 |" in line]
    assert rows == [
        "| new | 12 | chosen, 0.3 | 62.5 | `not recorded` |",
        "| new | 12 | fixed, 0.26 | 50.0 | `not recorded` |",
        "| test | 12 | fixed, 0.26 | 50.0 | "
        "`python eval.py --ckpt=birds --split test` |",
    ]
    assert "which was best on the split val" in text_of(tmp_path)


def test_no_folder_of_the_writer_is_told():
    config = {"root": "/home/ann/birds", "a": ["~/x/y.npz", 3], "masks": "runs/a/masks"}
    config["init_from"] = "/a/one.pth,/a/two.pth"
    assert share(config) == {
        "root": "birds",
        "a": ["y.npz", 3],
        "masks": "runs/a/masks",
        "init_from": "one.pth,two.pth",
    }
    assert share_words("eval.py --ckpt /a/b --root=~/c") == "eval.py --ckpt b --root=c"


@pytest.mark.parametrize(
    ("start", "what", "licence"),
    [
        ("", "random weights", "none"),
        ("imagenet", "resnet50", "BSD-3-Clause"),
        ("/home/ann/own.pth", "`own.pth`", "unknown"),
        ("runs/pixpro", "`runs/pixpro`", "unknown"),
    ],
)
def test_the_weights_it_started_from_and_their_licence(start, what, licence):
    stands_on = {"method": {"backbone": "frozen"}, "frozen": {"weights": start}}
    stands_on["frozen"]["backbone"] = CONFIG["method"]["backbone"]
    for changes in ({"init_from": start}, stands_on):
        found = start_weights(CONFIG | changes)
        assert what in found[0] and found[1].lower() == licence.lower()
        assert "ann" not in found[0]
