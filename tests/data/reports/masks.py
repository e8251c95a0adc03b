"""Masks as tools write them: 0 and 255, colours, endings, names, folders."""

import numpy as np

from tests.data.reports.four import masked, photos, read, refused, views
from tests.data.scenes import (
    COLOURS,
    ENCODERS,
    coloured,
    lines,
    palette,
    save,
    write_text,
)

POLYP = ("background", "polyp")
GREYS = np.arange(256).repeat(3)
ONE = ((1,), (1,), (1,), (1,))
TAGS = "image,tags\np0.jpg,cow\np1.jpg,cow\np2.jpg,grass\np3.jpg,grass\n"


def _times_255(mask):
    return np.where(mask > 0, 255, 0).astype(np.uint8)


def _binary(ids=ONE, change=_times_255):
    """A member: masks of 0 and 255 of the single class that is named."""

    def member(root):
        scene = masked(root, ids, names=("polyp",), change=change)
        return read(root, scene, "255", classes=POLYP)

    return member


def _binary_refused(names, ids=ONE, change=_times_255):
    """A member: masks whose 255 cannot be a class."""

    def member(root):
        masked(root, ids, names=names, change=change)
        return refused("255", "masks/p", "show no class")

    return member


def _void_beside_ones(root):
    scene = masked(root, ((1, 255), (1,), (1, 255), (1,)), names=("polyp",))
    return read(root, scene, classes=POLYP)


def _binary_tagged(root):
    scene = masked(root, change=_times_255, ids=ONE)
    write_text(root / "tags.csv", lines(f"{name}.jpg,polyp" for name in scene))
    return read(root, scene, "255", classes=POLYP)


def _nothing(value, names=("polyp",), tags="", **data):
    """A member: masks that hold one value everywhere."""

    def member(root):
        masked(root, names=names, change=lambda mask: np.full_like(mask, value))
        if tags:
            write_text(root / "tags.csv", tags)
        return refused("no mask shows", "void", "nothing", "255", **data)

    return member


def _one_shows(root):
    """One mask of four shows something: enough not to be refused."""
    scene = masked(root, ((1,), (), (), ()), names=("polyp",))
    return read(root, scene, classes=POLYP)


def _encoded(how, after="", folder="masks", allowed=(), **tags):
    """A member: masks written in some way, with a table of tags."""

    def member(root):
        scene = views()
        photos(root, scene, folder=tags.get("photos", ""))
        for name, view in scene.items():
            place = root / folder / after.replace("*", name) if after else None
            ENCODERS[how](place or root / folder / name, view.mask)
        write_text(root / "tags.csv", TAGS)
        return read(root, scene, refused=allowed, needs="masks")

    return member


def _jpeg(quality, end=".jpg", binary=False):
    """A member: masks as JPEG; they are read exactly or refused by name."""

    def member(root):
        scene = views(ONE) if binary else views()
        photos(root, scene)
        for name, view in scene.items():
            drawn = _times_255(view.mask) if binary else view.mask
            save(root / f"masks/{name}{end}", drawn, quality=quality)
        if binary:
            write_text(root / "classes.txt", "polyp\n")
            return read(root, scene, classes=POLYP, refused=("masks/p",))
        write_text(root / "tags.csv", TAGS)
        return read(root, scene, refused=("masks/p",))

    return member


def _colour_list(name, row, head="", drawn=coloured):
    """A member: masks in colours, with a list of them in some form."""

    def member(root):
        scene = masked(root, change=drawn)
        names = ("background", "cow", "grass")
        rows = [
            row.format(*colour, name=name, i=i)
            for i, (name, colour) in enumerate(zip(names, COLOURS[:3], strict=True))
        ]
        write_text(root / name, lines([head, *rows] if head else rows))
        return read(root, scene)

    return member


def _colours_without_list(root):
    masked(root, names=("cow", "grass"), change=coloured)
    return refused("masks/p")


def _colours_of_voc(root):
    """VOC's own colours and class names, without any list of colours."""
    names = ("aeroplane", "bicycle")
    colours = ((0, 0, 0), (128, 0, 0), (0, 128, 0))
    scene = masked(root, names=names, change=lambda mask: coloured(mask, colours))
    return read(root, scene, classes=("background", *names), refused=("masks/p",))


def _palettes(root):
    """The same colours, but indices in the order of each file."""
    scene = masked(root)
    for name, view in scene.items():
        here = (0, *sorted(set(np.unique(view.mask)) - {0}))
        table = np.zeros((256, 3), np.uint8)
        table[: len(here)] = [COLOURS[i] for i in here]
        indices = np.searchsorted(here, view.mask).astype(np.uint8)
        save(root / f"masks/{name}.png", palette(indices, table))
    rows = [f"{n}:{','.join(map(str, c))}::" for n, c in
            zip(("background", "cow", "grass"), COLOURS, strict=False)]  # fmt: skip
    write_text(root / "labelmap.txt", lines(["# label:color_rgb:parts:actions", *rows]))
    return read(root, scene)


KINDS = {
    "mask_0_255": {
        "reported": _binary(),
        "some_show_nothing": _binary(((1,), (), (1,), ())),
        "palette": _binary(change=lambda m: palette(_times_255(m), GREYS)),
        "palette_of_colours": _binary_refused(
            ("polyp",), change=lambda m: palette(_times_255(m))
        ),
        "rgb": _binary(change=lambda m: np.stack([_times_255(m)] * 3, -1)),
        "tagged": _binary_tagged,
        "two_classes": _binary_refused(("cow", "grass")),
        "soft_edges": _binary_refused(
            ("polyp",),
            change=lambda m: np.maximum(_times_255(m), np.eye(16, 24, dtype="u1") * 77),
        ),
        "void_beside_ones": _void_beside_ones,
    },
    "mask_all_background": {
        "reported": _nothing(0, None, TAGS),
        "listed": _nothing(0),
        "two_listed": _nothing(0, ("cow", "grass")),
        "one_shows": _one_shows,
    },
    "mask_all_void": {
        "reported": _nothing(255),
        "tagged": _nothing(255, None, TAGS),
        "by_setting": _nothing(0, ("cow", "grass"), void=(0,)),
    },
    "mask_file_jpg": {
        "reported": _jpeg(95),
        "best": _jpeg(100),
        "poor": _jpeg(30, ".jpeg"),
        "binary": _jpeg(90, binary=True),
        "binary_poor": _jpeg(20, binary=True),
    },
    "mask_file_tif": {
        "reported": _encoded("tif"),
        **{how: _encoded(how) for how in ENCODERS if how not in ("grey", "tif")},
    },
    "mask_folder_SegmentationClassPNG": {
        "reported": _encoded("palette", folder="SegmentationClassPNG", photos="images"),
        **{
            folder: _encoded("grey", folder=folder, photos="images")
            for folder in ("SegmentationClass", "SegmentationClassAug", "mask")
        },
        "capitals": _encoded("grey", folder="Masks", photos="Images"),
        "unusual": _encoded("grey", folder="painted", photos="images",
                            allowed=("painted",)),
    },
    "mask_folder_labels": {
        "reported": _encoded("grey", folder="labels", photos="images"),
        **{
            folder: _encoded("grey", folder=folder, photos="images")
            for folder in ("label", "annotations", "ann_dir", "gt", "Labels")
        },
        "ground_truth": _encoded("grey", folder="ground_truth", photos="images",
                                 allowed=("ground_truth",)),
        "beside_photos": _encoded("grey", folder="labels"),
    },
    "mask_name_suffix": {
        "reported": _encoded("grey", "*_mask"),
        **{
            after: _encoded("grey", after)
            for after in ("*_label", "*-mask", "*_gt", "*_seg", "mask_*")
        },
        **{
            after: _encoded("grey", after, allowed=(after.strip("*"),))
            for after in ("*.jpg", "*_labelIds", "*_segmentation", "*_1", "*mask")
        },
    },
    "mask_colours_labelmap": {
        "reported": _colour_list("labelmap.txt", "{name}:{0},{1},{2}::",
                                 "# label:color_rgb:parts:actions"),
        "no_head": _colour_list("labelmap.txt", "{name}:{0},{1},{2}::"),
        "classes_csv": _colour_list("classes.csv", "{name},{0},{1},{2}", "name,r,g,b"),
        "class_dict": _colour_list("class_dict.csv", "{name}, {0}, {1}, {2}",
                                   "name, r, g, b"),
        "palette": _palettes,
        "rgba": _colour_list(
            "labelmap.txt", "{name}:{0},{1},{2}::",
            drawn=lambda m: np.concatenate(
                [coloured(m), np.full((*m.shape, 1), 255, np.uint8)], -1),
        ),
        "no_list": _colours_without_list,
        "voc": _colours_of_voc,
    },
}  # fmt: skip
