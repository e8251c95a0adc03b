"""Damage to photos, to names, and files that belong to nobody."""

import os
import shutil

import numpy as np
from PIL import Image

from tests.data.mutations.base import EVERY, IDS, MASKED, Outcome, Table, rename
from tests.data.scenes import save

FILES = Table()
_JUNK = {
    "Thumbs.db": b"\xd0\xcf\x11\xe0",
    ".DS_Store": b"\0\0\0\1Bud1",
    "desktop.ini": b"[.ShellClassInfo]\r\n",
    "notes.txt.bak": b"remember\n",
    ".hidden.jpg": b"no photo",
}
_NAMES = (
    "p[0]", "p*", "[!p]", "p 0", "two  words here", "p0.v2", "P-ONE", "\u65e5\u672c",
    "#p", "p'q", "-p", "p%200", "100%", "p+q", "p&q", "(p)", "~p", "$HOME", "p=q", "{}",
    "\u00fcber", "caf\u00e9.1", "p@2x",
)  # fmt: skip


def _photo(place):
    return place.photo(place.pick())


@FILES.on(*EVERY)
def truncated_photo(place):
    file = _photo(place)
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * place.rng.uniform(0.05, 0.7))])
    return Outcome(refused=(file.name,))


@FILES.on(*EVERY)
def empty_photo(place):
    file = _photo(place)
    file.write_bytes(b"")
    return Outcome(refused=(file.name,))


@FILES.on(*EVERY)
def photo_that_is_text(place):
    file = _photo(place)
    file.write_text("<html>404 not found</html>")
    return Outcome(refused=(file.name,))


@FILES.on(*EVERY)
def photo_of_another_format(place):
    """The content is of another format than the ending says."""
    file = _photo(place)
    form = str(place.rng.choice(["BMP", "TIFF", "PNG", "WEBP"]))
    with Image.open(file) as image:
        pixels = image.convert("RGB")
    settings = {"lossless": True} if form == "WEBP" else {}
    pixels.save(file, format=form, **settings)
    return place.exact()


@FILES.on(*EVERY)
def photo_with_another_ending(place):
    file = _photo(place)
    with Image.open(file) as image:
        pixels = image.convert("RGB")
    end = str(place.rng.choice([".bmp", ".tif", ".webp", ".JPEG", ".PNG"]))
    file.unlink()
    pixels.save(file.with_suffix(end))
    return place.exact()


@FILES.on(*EVERY)
def photo_of_another_mode(place):
    file = _photo(place)
    mode = str(place.rng.choice(["L", "P", "RGBA", "LA", "1"]))
    mode = "CMYK" if file.suffix == ".jpg" else mode
    with Image.open(file) as image:
        pixels = image.convert(mode)
    pixels.save(file)
    return place.exact()


@FILES.on(*EVERY)
def files_that_belong_to_nobody(place):
    for folder in (place.root, _photo(place).parent):
        for name, data in _JUNK.items():
            (folder / name).write_bytes(data)
        (folder / f"._{_photo(place).name}").write_bytes(b"\0\5\x16\7" + bytes(60))
    return place.exact()


@FILES.on(*EVERY)
def folders_of_systems(place):
    """Thumbnails of file servers, leftovers of archives, caches."""
    beside = _photo(place).parent
    for folder in ("@eaDir", "__MACOSX", ".ipynb_checkpoints", "#recycle"):
        save(beside / folder / "p0.jpg" / "thumb.jpg", np.zeros((9, 9, 3), np.uint8))
        save(beside / folder / "p1.jpg/SYNOPHOTO_THUMB_M.jpg", np.zeros((9, 9), "u1"))
    return place.exact()


@FILES.on(*EVERY)
def photos_that_cannot_be_read_here(place):
    file = _photo(place).with_name("IMG_7.HEIC")
    file.write_bytes(b"\0\0\0\x18ftypheic" + bytes(60))
    return place.either("IMG_7.HEIC", said=("heic",))


@FILES.on(*EVERY)
def raw_photos(place):
    file = _photo(place).with_name("DSC_7.NEF")
    file.write_bytes(b"MM\0*" + bytes(60))
    return place.either("DSC_7.NEF", said=("nef",))


@FILES.on(*EVERY)
def link_to_the_root(place):
    os.symlink(place.root, _photo(place).parent / "loop", target_is_directory=True)
    return place.either("loop")


@FILES.on(*EVERY)
def links_in_a_circle(place):
    folder = _photo(place).parent
    os.symlink(folder / "b", folder / "a")
    os.symlink(folder / "a", folder / "b")
    os.symlink(folder / "c.jpg", folder / "c.jpg")
    return place.either("c.jpg", said=())


@FILES.on(*EVERY)
def link_to_nothing(place):
    file = _photo(place).with_name("p9.jpg")
    os.symlink(place.root / "gone.jpg", file)
    return place.either("p9.jpg")


@FILES.on(*EVERY)
def photo_that_is_a_link(place):
    file = _photo(place)
    away = place.root.with_name(place.root.name + "_away")
    away.mkdir()
    shutil.move(file, away / "other_name.bin")
    os.symlink(away / "other_name.bin", file)
    return place.exact()


@FILES.on(*EVERY)
def folder_named_like_a_photo(place):
    (_photo(place).parent / "p9.jpg").mkdir()
    return place.either("p9.jpg")


@FILES.on(*EVERY)
def photo_under_another_name(place):
    name = str(place.rng.choice(_NAMES))
    return place.exact(**rename(place, "p1", name))


@FILES.on(*EVERY)
def file_names_decomposed(place):
    """As some systems keep them; tables and lists have the composed form."""
    return place.exact(**rename(place, "p2", "\u00e4\u00e9 \u00f6", file_form="NFD"))


@FILES.on(*EVERY)
def names_in_texts_decomposed(place):
    return place.exact(**rename(place, "p2", "a\u0308e\u0301"))


@FILES.on(*MASKED)
def only_the_mask_decomposed(place):
    changed = rename(place, "p2", "\u00e4\u00e9")
    file = place._replace(good=place.good._replace(**changed)).mask("\u00e4\u00e9")
    file.rename(file.with_name(file.name.replace("\u00e4\u00e9", "a\u0308e\u0301")))
    return place.exact(**changed)


@FILES.on(*IDS)
def photo_turned_by_exif(place):
    """The mask fits the photo as people see it."""
    name = place.pick()
    file = place.photo(name)
    with Image.open(file) as image:
        exif = image.getexif()
        exif[0x0112] = 3
        image.save(file, exif=exif)
    return place.exact()


@FILES.on(*IDS)
def photo_whose_sides_are_swapped_by_exif(place):
    name = place.pick()
    file = place.photo(name)
    with Image.open(file) as image:
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(file, exif=exif)
    return Outcome(refused=(file.name, f"{name}'", place.mask(name).name))


@FILES.on(*EVERY)
def second_photo_of_the_same_name(place):
    file = _photo(place)
    save(file.with_suffix(".bmp"), np.zeros((14, 24, 3), np.uint8))
    return Outcome(refused=(file.name, file.with_suffix(".bmp").name))


@FILES.on("plain", "suffix_mask", "listed_grey", "images_labels", "voc_ids")
def copy_of_the_mask_folder(place):
    masks = next(iter(place.masks().values())).parent
    shutil.copytree(masks, place.root / f"{masks.name} - Copy")
    return place.either(f"{masks.name} - Copy", "masks of the same photo")


@FILES.on("plain", "listed_grey", "images_labels", "suffix_mask", "voc_ids")
def folder_in_capitals(place):
    masks = next(iter(place.masks().values())).parent
    masks.rename(masks.with_name(masks.name.capitalize()))
    return place.either(masks.name.capitalize())
