"""How the commands of studies name photos and frozen networks."""

import random
from pathlib import Path
from typing import NamedTuple

_CLASSES = "background,cat,cow,dog,horse,person,sheep"
_HELD_OUT = slice(1000, 1100)  # of the photos beside `train`, shuffled


class Photos(NamedTuple):
    """A set of photos, and how commands name it.

    about: what it is, for readers.
    data: words that name the photos to both programs.
    config: what follows the name of a config.
    tagged: split with tags that is learnt from; "" as the config says.
    masked: split with masks that is learnt from; "" as the config says.
    held_out: split that nothing learns from.
    report: words that choose the classes of a score.
    episodes: words that choose photos and classes of episodes.
    rest: classes that are not those of episodes, as a setting.
    """

    about: str
    data: str
    config: str
    tagged: str
    masked: str
    held_out: str
    report: str
    episodes: str
    rest: str


VOC = Photos(
    "photos of VOC that show animals. Mean IoU is over background, cat, cow, dog, "
    "horse, person and sheep",
    "--config.data.root={photos}",
    "",
    "tagged",
    "train",
    "held_out",
    f"--report_classes={_CLASSES}",
    "--split=train",
    "('cat','horse','sheep','person')",
)
MSRC = Photos(
    "photos of MSRC-v2, 23 classes and no background, so that the best threshold is 0",
    "--config.data.root={photos} --config.data.void=(0,) --config.data.val_share=0.25",
    "_folder",
    "",
    "",
    "val",
    "",
    "--split=all",
    "()",
)


class Network(NamedTuple):
    """A frozen network.

    name: for readers.
    words: for commands.
    """

    name: str
    words: str


VIT = Network("ViT-S/14", "--config.frozen.weights={vit}")
_CONV = '--config.frozen.backbone_settings={{"output_stride":16}}'
MOBILENET = Network(
    "MobileNetV2",
    "--config.frozen.weights={mobilenet} --config.frozen.backbone=mobilenet_v2 "
    + _CONV,
)
EFFICIENTNET = Network(
    "EfficientNet-Lite0",
    "--config.frozen.weights=imagenet --config.frozen.backbone=efficientnet_lite0 "
    + _CONV,
)


def config(name: str, photos: Photos, network: Network | None = VIT) -> str:
    """Words that name a config, its photos and its frozen network, if it has one."""
    name, _, variant = name.partition(":")
    file = f"configs/{name}{photos.config}.py" + (f":{variant}" if variant else "")
    frozen = f"{network.words} --config.frozen.cache={{cache}}" if network else ""
    return f"--config={file} {photos.data} {frozen}".strip()


def learn(what: str, photos: Photos, split: str) -> str:
    """Training by what `config` names, on a split."""
    splits = f"--config.data.val_split={photos.held_out}"
    splits += f" --config.data.train_split={split}" if split else ""
    return f"train.py {what} {splits} --config.seed={{seed}} --workdir={{run}}"


def score(what: str, photos: Photos, split: str, more: str = "") -> str:
    """Evaluation of a run, weights or what `config` names, on a split."""
    words = (f"eval.py {what} --split={split}", photos.report, more)
    return f"{' '.join(filter(None, words))} --root={{photos}} --export={{out}}"


def with_held_out(photos: Path, folder: Path) -> Path:
    """VOC's layout once more, with lists `tagged` and `held_out`.

    `held_out` are a hundred of the photos beside `train`, for thresholds and what
    learns from masks; `tagged` are all others.

    Args:
        photos: folder in VOC's layout with the lists `train` and `train_aug`.
        folder: empty; gets links.

    Returns: `folder`.
    """
    lists = photos / "ImageSets" / "Segmentation"
    learnt = (lists / "train.txt").read_text().split()
    known = (lists / "train_aug.txt").read_text().split()
    others = [i for i in known if i not in learnt]
    random.Random(0).shuffle(others)
    for entry in photos.iterdir():
        if entry.name != "ImageSets":
            (folder / entry.name).symlink_to(entry)
    ours = folder / "ImageSets" / "Segmentation"
    ours.mkdir(parents=True)
    for file in lists.glob("*.txt"):
        (ours / file.name).symlink_to(file)
    held_out = others[_HELD_OUT]
    tagged = [i for i in learnt + others if i not in held_out]
    for name, ids in (("tagged", tagged), ("held_out", held_out)):
        (ours / f"{name}.txt").write_text("\n".join(ids) + "\n")
    return folder
