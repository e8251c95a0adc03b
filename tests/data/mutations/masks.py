"""Damage to masks, and masks written in another way."""

import numpy as np
from PIL import Image

from tests.data.mutations.base import IDS, LISTS, MASKED, TABLES, Outcome, Table
from tests.data.scenes import ENCODERS, VOID, coloured, palette, save

MASKS = Table()
_TAGS_FROM_TABLE = (*TABLES,)


def _without_ending(file):
    return file.with_name(file.name.removesuffix(file.suffix))


def _untagged(place, name):
    """What is expected where one photo has no mask any more."""
    scene, tags = place.good.scene, None
    if place.layout not in _TAGS_FROM_TABLE:
        tags = {n: () if n == name else place.good.tags_of(n) for n in scene}
    return {"missing": (name,), "tags": tags}


@MASKS.on(*MASKED)
def truncated_mask(place):
    file = place.mask(place.pick())
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * place.rng.uniform(0.05, 0.8))])
    return Outcome(refused=(file.name,))


@MASKS.on(*MASKED)
def empty_mask(place):
    file = place.mask(place.pick())
    file.write_bytes(b"")
    return Outcome(refused=(file.name,))


@MASKS.on(*MASKED)
def mask_that_is_text(place):
    file = place.mask(place.pick())
    file.write_text("version https://git-lfs.github.com/spec/v1\n")
    return Outcome(refused=(file.name,))


@MASKS.on(*MASKED)
def mask_removed(place):
    name = place.pick()
    file = place.mask(name)
    file.unlink()
    return place.either(file.name, name, **_untagged(place, name))


@MASKS.on(*MASKED)
def mask_under_another_name(place):
    name = place.pick()
    file = place.mask(name)
    file.rename(file.with_name(f"other{file.name[2:]}"))
    refused = (file.name, name, f"other{file.stem[2:]}")
    return place.either(*refused, said=("mask",), **_untagged(place, name))


@MASKS.on(*MASKED)
def mask_of_another_size(place):
    name = place.pick()
    file = place.mask(name)
    with Image.open(file) as image:
        image.load()
    turned = image.transpose(Image.Transpose.ROTATE_90)
    half = image.resize((12, 7), Image.Resampling.NEAREST)
    (turned, half)[int(place.rng.integers(2))].save(file)
    return Outcome(refused=(file.name, f"{name}'"))


@MASKS.on(*IDS)
def all_masks_written_in_another_way(place):
    how = str(place.rng.choice([h for h in ENCODERS if h not in ("grey", "palette")]))
    for name, file in place.masks().items():
        file.unlink()
        ENCODERS[how](_without_ending(file), place.good.scene[name].mask)
    return place.exact()


@MASKS.on(*IDS)
def one_mask_written_in_another_way(place):
    how = str(place.rng.choice(list(ENCODERS)))
    name = place.pick()
    file = place.mask(name)
    file.unlink()
    new = ENCODERS[how](_without_ending(file), place.good.scene[name].mask)
    return place.either(new.name)


@MASKS.on(*IDS)
def palettes_that_differ(place):
    for number, (name, file) in enumerate(place.masks().items()):
        colours = np.random.default_rng(number).integers(0, 256, 768)
        save(file, palette(place.good.scene[name].mask, colours))
    return place.either(*(file.name for file in place.masks().values()))


@MASKS.on(*IDS)
def masks_as_jpeg(place):
    for name, file in place.masks().items():
        file.unlink()
        mask = place.good.scene[name].mask
        save(file.with_suffix(".jpg"), mask, quality=int(place.rng.integers(40, 96)))
    found = (f.with_suffix(".jpg").name for f in place.masks().values())
    return place.either(*found)


@MASKS.on(*IDS)
def masks_in_unknown_colours(place):
    for name, file in place.masks().items():
        save(file, coloured(place.good.scene[name].mask))
    return Outcome(refused=tuple(f.name for f in place.masks().values()))


@MASKS.on(*IDS)
def one_id_too_high(place):
    name = place.pick()
    mask = place.good.scene[name].mask.copy()
    mask[0, 0] = int(place.rng.integers(4, 250))
    save(place.mask(name), mask)
    return Outcome(refused=(place.mask(name).name,))


@MASKS.on("voc_colours")
def one_pixel_of_another_colour(place):
    name = place.pick()
    drawn = coloured(place.good.scene[name].mask)
    drawn[0, 0] = (1, 2, 3)
    save(place.mask(name), drawn)
    return Outcome(refused=(place.mask(name).name,))


@MASKS.on(*LISTS)
def ids_swapped_in_masks(place):
    """Nothing contradicts them: they are what the masks say."""
    table = np.arange(256, dtype=np.uint8)
    table[[1, 2]] = 2, 1
    views = place.other_masks(lambda mask: table[mask])
    for name, file in place.masks().items():
        save(file, views[name].mask)
    return place.exact(scene=views)


@MASKS.on(*LISTS)
def ids_times_255(place):
    """Which class 255 would be is not known."""
    for name, file in place.masks().items():
        save(file, np.where(place.good.scene[name].mask > 0, 255, 0).astype(np.uint8))
    names = (file.name for file in place.masks().values())
    return Outcome(refused=("255", *names))


@MASKS.on("binary")
def binary_with_a_mask_of_ones(place):
    """Where 1 occurs, 255 is unknown as ever."""
    name = place.pick()
    ones = {n: v.mask * (1 if n == name else VOID) for n, v in place.good.scene.items()}
    save(place.mask(name), ones[name])
    views = {n: v._replace(mask=ones[n]) for n, v in place.good.scene.items()}
    refused = ("255", *(file.name for file in place.masks().values()))
    return place.either(*refused, scene=views)


@MASKS.on("binary")
def binary_with_soft_edges(place):
    name = place.pick()
    mask = place.good.scene[name].mask * 255
    mask[0, :3] = 12, 128, 200
    save(place.mask(name), mask)
    return Outcome(refused=(place.mask(name).name,))


@MASKS.on("binary")
def binary_as_jpeg(place):
    for name, file in place.masks().items():
        file.unlink()
        mask = place.good.scene[name].mask * 255
        save(file.with_suffix(".jpg"), mask, quality=int(place.rng.integers(60, 96)))
    found = (f.with_suffix(".jpg").name for f in place.masks().values())
    return place.either(*found)


@MASKS.on("binary")
def binary_inverted_alpha(place):
    """The object in the alpha channel alone, all colours black."""
    for name, file in place.masks().items():
        mask = place.good.scene[name].mask * 255
        black = np.zeros_like(mask)
        save(file, np.stack([black, black, black, mask], -1))
    return place.either(*(file.name for file in place.masks().values()))


@MASKS.on(*IDS, "binary")
def masks_of_nothing(place):
    for file in place.masks().values():
        with Image.open(file) as image:
            size = image.size
        save(file, Image.new("L", size))
    names = (file.name for file in place.masks().values())
    return Outcome(refused=("class", *names))


@MASKS.on(*IDS)
def masks_of_void(place):
    for file in place.masks().values():
        with Image.open(file) as image:
            size = image.size
        save(file, Image.new("L", size, VOID))
    return Outcome(refused=("class", "255"))


@MASKS.on(*LISTS)
def mask_of_32_bits(place):
    name = place.pick()
    mask = place.good.scene[name].mask.astype(np.int32)
    file = place.mask(name)
    file.unlink()
    save(_without_ending(file).with_suffix(".tif"), mask)
    return place.either(f"{_without_ending(file).name}.tif")


@MASKS.on(*LISTS)
def mask_of_floats(place):
    name = place.pick()
    file = place.mask(name)
    mask = place.good.scene[name].mask.astype(np.float64)
    file.unlink()
    file = file.with_suffix(".npy")
    whole = place.rng.random() < 0.5
    np.save(file, mask if whole else mask + 0.25)
    return place.either(file.name) if whole else Outcome(refused=(file.name,))


@MASKS.on(*LISTS)
def pickled_array(place):
    """Never unpickled: it could run anything."""
    file = place.mask(place.pick())
    file.unlink()
    np.save(file.with_suffix(".npy"), np.array([{1: 2}], object), allow_pickle=True)
    return Outcome(refused=(file.with_suffix(".npy").name,))


@MASKS.on(*IDS)
def two_masks_of_a_photo(place):
    """They differ, so one of them is wrong."""
    name = place.pick()
    file = place.mask(name)
    save(file.with_suffix(".bmp"), np.full_like(place.good.scene[name].mask, 2))
    return Outcome(refused=(file.name, file.with_suffix(".bmp").name))
