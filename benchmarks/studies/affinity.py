"""Why masks that walked along affinities were worse than those of the CRF alone."""

from pathlib import Path

from benchmarks.studies.base import Row, Study
from benchmarks.studies.words import VOC, config, learn, score, with_held_out

_LABELLED = 200  # photos of `tagged`, none of `train`
_CRF = "--crf=k1 --workers=2"


def with_walked(photos: Path, folder: Path) -> Path:
    """`with_held_out`, and lists `walked` and `labelled`.

    `walked` is every second photo of `train`, `labelled` 200 of `tagged` that are not
    in `train`: the affinity network learns from the latter alone.

    Args:
        photos: folder in VOC's layout with the lists `train` and `train_aug`.
        folder: empty; gets links.

    Returns: `folder`.
    """
    with_held_out(photos, folder)
    lists = folder / "ImageSets" / "Segmentation"
    train, tagged = (
        (lists / f"{name}.txt").read_text().split() for name in ("train", "tagged")
    )
    others = [name for name in tagged if name not in train]
    for name, ids in (("walked", train[::2]), ("labelled", others[:_LABELLED])):
        (lists / f"{name}.txt").write_text("\n".join(ids) + "\n")
    return folder


def _export(name: str, split: str, more: str = "") -> str:
    """Maps of a row's run, written beside it."""
    words = f"eval.py --ckpt={{run}} --split={split} --root={{photos}} {more}"
    return f"{words.strip()} --gallery=0 --export={{run}}-{name}"


def _walk(
    words: str = "",
    network: str = "{walk}",
    scores: str = "{cam}-maps",
) -> str:
    """Scores of a walk along the affinities of a run."""
    words = f"--cams={scores} --scores=false {words}".strip()
    return score(f"--ckpt={network}", VOC, "walked", words)


def _network(
    label: str,
    words: str = "",
    *,
    steps: int = 200,
    masks: str = "{cam}-labels/labels",
) -> Row:
    """An affinity network of its own."""
    what = "--config=configs/affinity_mobilenet.py --config.data.root={photos} "
    what += "--config.init_from={mobilenet} --config.data.train_split=labelled "
    what += f"--config.steps={steps} --config.data.masks={masks}"
    train = f"train.py {what} --config.seed={{seed}} --workdir={{run}}"
    return Row(label, (_walk(words, network="{run}"),), (train,))


def _settings(label: str, words: str, scores: str = "{cam}-maps") -> Row:
    """Another walk along the affinities of the row `walk`."""
    return Row(label, (_walk(words, scores=scores),))


_CHOSEN = "--val_cams={cam}-held"
_MAPS = score("--ckpt={run}", VOC, "walked", "--scores=false")
_BEHIND_CRF = score("--ckpt={cam}", VOC, "walked", _CRF)
_ROWS = {
    "cam": Row(
        "maps",
        (_MAPS,),
        (
            learn(config("ppc_dino:cam", VOC), VOC, VOC.tagged),
            _export("maps", "walked"),
            _export("held", "held_out"),
            _export("labels", "labelled", f"--affinity_labels=4,24 {_CRF}"),
        ),
    ),
    "crf": Row(
        "maps, CRF k1",
        (_BEHIND_CRF,),
        (_BEHIND_CRF.replace("{out}", "{run}"),),
    ),
    "before": _settings(
        "scores behind the CRF, walk, background 0.27, CRF k1: as before",
        f"--background=0.27 {_CRF}",
        "{crf}",
    ),
    "behind": _settings("scores behind the CRF, walk", "", "{crf}"),
    "walk": _network("maps, walk"),
    "chosen": _settings("maps, walk, background chosen", _CHOSEN),
    "chosen_k1": _settings(
        "maps, walk, background chosen, CRF k1", f"{_CHOSEN} {_CRF}"
    ),
    "chosen_k3": _settings(
        "maps, walk, background chosen, CRF k3", f"{_CHOSEN} --crf=k3 --workers=2"
    ),
    "steps_16": _settings(
        "maps, walk, background chosen, 16 steps", f"{_CHOSEN} --steps=16"
    ),
    "steps_256": _settings(
        "maps, walk, background chosen, 256 steps", f"{_CHOSEN} --steps=256"
    ),
    "power_16": _settings(
        "maps, walk, background chosen, power 16", f"{_CHOSEN} --power=16"
    ),
    "one": _network(
        "maps, walk, background chosen, network of one step", _CHOSEN, steps=1
    ),
    "long": _network(
        "maps, walk, background chosen, network of 600 steps", _CHOSEN, steps=600
    ),
    "true": _network(
        "maps, walk, background chosen, network taught true masks", _CHOSEN, masks=""
    ),
}
STUDIES = {
    "affinity_voc": Study(
        f"The affinity stage, {VOC.about}. The maps are those of CAM on the frozen "
        "transformer, learnt from 3,031 photos with tags; the affinity network is "
        "MobileNetV2 and learns 200 steps of 8 crops from labels of 200 photos, made "
        "of these maps. All is scored on every second photo of `train`, 219, of which "
        "it saw none. What is chosen is what is best on 100 others: the threshold of "
        "the maps, and of a walk what the background scores in it, which else is that "
        "threshold, or 0.5 for scores behind a CRF.",
        _ROWS,
        {
            "fixed": "arg-max, or default threshold",
            "chosen": "threshold chosen",
            "oracle": "best threshold",
        },
        with_walked,
    )
}
