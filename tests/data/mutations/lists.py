"""Class lists, colours and lists of splits, damaged or written in another way."""

from tests.data.mutations.base import COLOURED, LISTS, TABLES, Outcome, Table
from tests.data.scenes import COLOURS, LISTED, SORTED, lines, write_text

LISTS_OF_NAMES = Table()


@LISTS_OF_NAMES.on(*TABLES)
def class_list_in_another_order(place):
    """The list shifts the ids of all masks, which the tags contradict."""
    write_text(place.root / "classes.txt", lines(SORTED[1:] + SORTED[:1]))
    return Outcome(refused=("classes.txt", "tags"))


@LISTS_OF_NAMES.on(*TABLES)
def class_list_that_lacks_a_tag(place):
    write_text(place.root / "classes.txt", lines(SORTED[:2]))
    return Outcome(refused=("classes.txt", "grass", "tags.csv", "id 3"))


@LISTS_OF_NAMES.on(*LISTS)
def class_list_that_is_too_short(place):
    write_text(place.text, lines(LISTED[:2]))
    return Outcome(refused=(*(f.name for f in place.masks().values()), "classes.txt"))


@LISTS_OF_NAMES.on(*LISTS)
def class_list_with_a_name_twice(place):
    write_text(place.text, lines([LISTED[0], LISTED[1], LISTED[0]]))
    return Outcome(refused=("classes.txt", str(place.root)))


@LISTS_OF_NAMES.on(*LISTS)
def class_list_in_other_order(place):
    """Nothing contradicts it: the names are what the list says."""
    names = tuple(LISTED[i] for i in place.rng.permutation(3))
    write_text(place.text, lines(names))
    return place.exact(classes=("background", *names))


@LISTS_OF_NAMES.on(*LISTS)
def class_list_in_other_form(place):
    zero = str(place.rng.choice(["background", "Background", "__background__", "bg",
                                 "_background_", "BACKGROUND"]))  # fmt: skip
    names = (zero, *LISTED)
    rows = (
        names,
        [f"{i}: {name}" for i, name in enumerate(names)],
        [f"{i} {name}" for i, name in enumerate(names)],
        [f"{i},{name}" for i, name in enumerate(names)],
        [f"{name} " for name in names],
        [f"{i}\t{name}" for i, name in enumerate(names)],
        ["__ignore__", "_background_", *LISTED],
    )
    write_text(place.text, lines(rows[int(place.rng.integers(len(rows)))]))
    return place.either("classes.txt")


@LISTS_OF_NAMES.on(*COLOURED)
def colours_in_another_order(place):
    """Ids follow the list: the colours of the masks stay, their ids change."""
    if place.layout == "voc_ids":
        return place.exact()
    head, zero, *rows = place.text.read_text().splitlines()
    place.text.write_text(lines([head, zero, *rows[2::-1], *rows[3:]]))
    names = ("background", *LISTED[::-1])
    swap = place.other_masks(lambda mask: _swapped(mask, 1, 3))
    return place.exact(classes=names, scene=swap)


def _swapped(mask, one, other):
    found = mask.copy()
    found[mask == one], found[mask == other] = other, one
    return found


@LISTS_OF_NAMES.on("voc_colours")
def colour_list_that_lacks_a_class(place):
    kept = [r for r in place.text.read_text().splitlines() if "cow" not in r]
    place.text.write_text(lines(kept))
    return Outcome(refused=(*(f.name for f in place.masks().values()), "labelmap"))


@LISTS_OF_NAMES.on("voc_colours")
def colour_twice(place):
    text = place.text.read_text()
    first, second = (",".join(map(str, COLOURS[i])) for i in (1, 2))
    place.text.write_text(text.replace(second, first))
    return Outcome(refused=("labelmap.txt",))


@LISTS_OF_NAMES.on("voc_colours")
def colour_list_removed(place):
    place.text.unlink()
    names = (f.name for f in place.masks().values())
    return Outcome(refused=("labelmap", "classes", *names))


@LISTS_OF_NAMES.on(*COLOURED)
def split_list_in_other_form(place):
    file = place.root / "ImageSets/Segmentation/train.txt"
    names = place.good.splits["train"]
    photo, mask = place.base.photo, place.base.mask
    forms = (
        [f"{n}.jpg" for n in names],
        [photo.format(n) for n in names],
        [f"/{photo.format(n)} /{mask.format(n)}" for n in names],
        [f"{place.root}/{photo.format(n)}" for n in names],
        [f"{n} 1" for n in names],
        [f'"{n}"' for n in names],
        [f"{n} " for n in names for _ in range(2)],
        ["# names", *names],
    )
    which = int(place.rng.integers(len(forms)))
    write_text(file, lines(forms[which]), "utf-16" if which == 0 else "utf-8-sig")
    return place.exact() if which < 3 or which == 6 else place.either(file.name)


@LISTS_OF_NAMES.on(*COLOURED)
def split_list_of_a_photo_that_is_not_there(place):
    file = place.root / "ImageSets/Segmentation/val.txt"
    file.write_text(f"{file.read_text()}p99\n")
    return Outcome(refused=("val.txt",))


@LISTS_OF_NAMES.on(*COLOURED)
def empty_split_list(place):
    (place.root / "ImageSets/Segmentation/val.txt").write_text("\n")
    return Outcome(refused=("val",))
