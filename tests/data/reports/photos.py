"""Photos of phones and cameras, and files that are passed over."""

import numpy as np

from tests.data.reading import Outcome
from tests.data.reports.four import photos, read, refused, tags_read, views
from tests.data.scenes import Good, save, write_text

HEIC = b"\0\0\0\x18ftypheic" + bytes(60)
TAGS = "p0{0},cow\np1{0},cow\np2{0},grass\np3{0},grass\n"
ROWS = (("cow",), ("cow",), ("grass",), ("grass",))


def _only(*names):
    """A member: nothing but files that cannot be read."""

    def member(root):
        root.mkdir(parents=True, exist_ok=True)
        for name in names:
            (root / name).write_bytes(HEIC)
        end = names[0].rpartition(".")[2]
        return refused(end.upper(), f".{end.lower()}", names[0])

    return member


def _among(*names):
    """A member: files that cannot be read among photos."""

    def member(root):
        scene = views()
        tags = ("cat", "dog", "cat", "dog")
        for (name, view), tag in zip(scene.items(), tags, strict=True):
            save(root / tag / f"{name}.jpg", view.photo)
        for name in names:
            (root / "cat" / name).write_bytes(HEIC)
        end = names[0].rpartition(".")[2].lower()
        rows = [(tag,) for tag in tags]
        return tags_read(root, rows, end, str(len(names)),
                         classes=("background", "cat", "dog"), scene=scene,
                         refused=(names[0],))  # fmt: skip

    return member


def _bits(bits, end=".png"):
    """A member: grey photos of so many bits in 16-bit files."""

    def member(root):
        scene = views()
        for name, view in scene.items():
            wide = view.photo[..., 0].astype(np.uint16) << (bits - 8)
            save(root / f"{name}{end}", wide)
        write_text(root / "tags.csv", TAGS.format(end))
        return tags_read(root, ROWS)

    return member


def _leavings(root):
    """What an archive of another system unpacks beside the photos."""
    scene = views()
    tags = ("cat", "dog", "cat", "dog")
    for (name, view), tag in zip(scene.items(), tags, strict=True):
        save(root / tag / f"{name}.jpg", view.photo)
        write_text(root / f"__MACOSX/{tag}/._{name}.jpg", "x")
        write_text(root / tag / f"._{name}.jpg", "x")
        save(root / tag / f"@eaDir/{name}.jpg/SYNOPHOTO_THUMB_S.jpg", view.photo)
    write_text(root / "cat/Thumbs.db", "x")
    named = {name: (tag,) for name, tag in zip(scene, tags, strict=True)}
    good = Good(root, ("background", "cat", "dog"), scene, {"all": tuple(scene)},
                tags=named, masks=False)  # fmt: skip
    return Outcome(good)


def _odd_names(*names):
    """A member: names that are patterns, or that other systems write otherwise."""

    def member(root):
        found = dict(zip(names, views().values(), strict=True))
        photos(root, found, folder="images")
        for name, view in found.items():
            save(root / f"masks/{name}.png", view.mask)
        write_text(root / "classes.txt", "cow\ngrass\n")
        return read(root, found)

    return member


KINDS = {
    "photo_heic": {
        "reported": _only("IMG_0.HEIC", "IMG_1.HEIC", "IMG_2.HEIC"),
        "heif": _only("IMG_0.heif"),
        "raw": _only("IMG_0.CR2", "IMG_1.CR2"),
        "video": _only("IMG_0.MOV"),
    },
    "photo_heic_among_jpeg": {
        "reported": _among("IMG_0.HEIC", "IMG_1.HEIC", "IMG_2.HEIC"),
        "raw": _among("IMG_0.nef", "IMG_1.nef"),
        "drawings": _among("IMG_0.psd"),
    },
    "photo_12_bit": {
        "reported": _bits(12),
        "10_bit": _bits(10),
        "16_bit": _bits(16),
        "tif": _bits(12, ".tif"),
    },
    "layout_zip_leftovers": {
        "reported": _leavings,
        "patterns": _odd_names("a[1]", "b*", "c{d}", "[!x]"),
        "spaces": _odd_names("two words", " lead", "100% (copy)", "p.q.r"),
    },
}
