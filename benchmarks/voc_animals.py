"""The photos that studies call voc_animals, made of the official archives.

    python -m benchmarks.voc_animals --voc VOCtrainval_11-May-2012.tar \
        --sbd benchmark.tgz --out DIR

The archives are those of PASCAL VOC 2012 (host.robots.ox.ac.uk/pascal/VOC/voc2012) and
of the Semantic Boundaries Dataset (home.bharathh.info/pubs/codes/SBD); they are read as
they are and not unpacked. Of the photos that VOC does not validate with, those whose
mask shows a cat, cow, dog, horse or sheep are kept, as VOC's folders have them, the
longest side reduced to 384 pixels: `JPEGImages`, `SegmentationClassAug`, the lists
`train` (VOC's own masks) and `train_aug` (SBD's, too) and `tags.csv`, of what masks
show. JPEG loses in the second writing, so that numbers of others' copies may differ.
"""

import argparse
import csv
import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import scipy.io
from PIL import Image

from ppcjax.data_pipelines.sources.voc import CLASSES
from ppcjax.report import palette

ANIMALS = ("cat", "cow", "dog", "horse", "sheep")
SIDE = 384  # pixels
_QUALITY = 92
_LISTS = "ImageSets/Segmentation"


def main(argv: Sequence[str] | None = None) -> None:
    """Reads both archives and writes the folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--voc", required=True, help="archive of VOC 2012")
    parser.add_argument("--sbd", required=True, help="archive of SBD")
    parser.add_argument("--out", required=True, help="folder to write, new or empty")
    given = parser.parse_args(argv)
    out = Path(given.out).expanduser()
    if out.exists() and any(out.iterdir()):
        raise SystemExit(f"{out} is not empty: name a new folder")
    lists, theirs = _of_voc(given.voc)
    others = _of_sbd(given.sbd, leave=lists["val"] | theirs.keys())
    masks = (*theirs.items(), *((i, m) for i, m in others if shown(m, ANIMALS)))
    kept = {
        i: mask
        for i, mask in sorted(masks, key=lambda each: each[0])
        if shown(mask, ANIMALS)
    }
    if not kept:
        raise SystemExit(f"{given.voc} and {given.sbd}: no mask shows an animal")
    _write(out, kept, lists["train"])
    left = _write_photos(given.voc, out, set(kept))
    if left:
        raise SystemExit(f"{given.voc} lacks {len(left)} photos, such as {min(left)}")
    print(f"{len(kept)} photos in {out}")


def shown(mask: np.ndarray, names: Sequence[str] = CLASSES[1:]) -> list[str]:
    """Names of classes that a mask [h, w] of ids shows, in their order."""
    ids = set(np.unique(mask).tolist())
    return [name for name in names if CLASSES.index(name) in ids]


def _of_voc(archive: str) -> tuple[dict[str, set[str]], dict[str, np.ndarray]]:
    """Ids of VOC's lists, and its masks of what it trains with."""
    lists, masks = {}, {}
    for name, content in _members(archive, (f"{_LISTS}/", "SegmentationClass/")):
        if name.parent.name == "Segmentation":
            lists[name.stem] = set(content.decode().split())
        else:
            masks[name.stem] = np.asarray(Image.open(io.BytesIO(content)))
    missing = {"train", "val"} - lists.keys()
    if missing:
        raise SystemExit(f"{archive} has no list {_LISTS}/{min(missing)}.txt")
    return lists, {i: mask for i, mask in masks.items() if i in lists["train"]}


def _of_sbd(archive: str, leave: set[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Masks of SBD by id, without those that are left out."""
    for name, content in _members(archive, ("dataset/cls/",)):
        if name.suffix == ".mat" and name.stem not in leave:
            told = scipy.io.loadmat(io.BytesIO(content), squeeze_me=True)
            yield name.stem, told["GTcls"]["Segmentation"].item().astype(np.uint8)


def _members(
    archive: str, within: Sequence[str]
) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Names and contents of the files of an archive that lie in some folders."""
    try:
        with tarfile.open(Path(archive).expanduser(), "r|*") as opened:
            for member in opened:
                if member.isfile() and any(part in member.name for part in within):
                    yield PurePosixPath(member.name), opened.extractfile(member).read()
    except (OSError, tarfile.TarError) as error:
        raise SystemExit(f"{archive} cannot be read as an archive: {error}") from error


def _write(out: Path, masks: Mapping[str, np.ndarray], own: set[str]) -> None:
    """Masks, lists and tags."""
    for folder in ("JPEGImages", "SegmentationClassAug", _LISTS):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for name, ids in (("train", [i for i in masks if i in own]), ("train_aug", masks)):
        (out / _LISTS / f"{name}.txt").write_text("\n".join(ids) + "\n")
    with (out / "tags.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("image", "tags"))
        rows.writerows((f"{i}.jpg", " ".join(shown(m))) for i, m in masks.items())
    colours = palette.voc_palette().reshape(-1).tolist()
    for i, mask in masks.items():
        image = Image.fromarray(mask)
        image = image.resize(reduced(image.size), Image.Resampling.NEAREST)
        image.putpalette(colours)
        image.save(out / "SegmentationClassAug" / f"{i}.png")


def _write_photos(archive: str, out: Path, wanted: set[str]) -> set[str]:
    """Photos; returns ids of those that the archive lacks."""
    left = set(wanted)
    for name, content in _members(archive, ("JPEGImages/",)):
        if name.stem in left:
            left.remove(name.stem)
            photo = Image.open(io.BytesIO(content)).convert("RGB")
            photo = photo.resize(reduced(photo.size), Image.Resampling.LANCZOS)
            photo.save(out / "JPEGImages" / f"{name.stem}.jpg", quality=_QUALITY)
    return left


def reduced(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height whose longer one is SIDE pixels."""
    share = SIDE / max(size)
    return tuple(max(1, round(side * share)) for side in size)


if __name__ == "__main__":
    main()
