"""Class lists, and masks that they disagree with."""

import numpy as np

from tests.data.reports.four import (
    CLASSES,
    OF_FOUR,
    masked,
    photos,
    read,
    refused,
    tagged,
    views,
)
from tests.data.scenes import lines, save, write_text

WHICH = ("classes.txt",)


def _list(text, *, encoding="utf-8", classes=CLASSES, allowed=(), name="classes.txt"):
    """A member: masks of ids 1 and 2 with this class list."""

    def member(root):
        scene = masked(root)
        write_text(root / name, text, encoding)
        return read(root, scene, classes=classes, refused=allowed)

    return member


def _order(names, ids, rows):
    """A member: masks in the order of drawing, tags in the order of the alphabet."""

    def member(root):
        masked(root, ids)
        table = lines(["image,tags", *(f"p{i}.jpg,{t}" for i, t in enumerate(rows))])
        write_text(root / "tags.csv", table)
        if names:
            write_text(root / "classes.txt", lines(names))
        return refused("classes.txt", "tags", "masks")

    return member


def _order_in_folders(root):
    scene = views()
    for name, tag in zip(scene, ("zebra", "zebra", "ant", "ant"), strict=True):
        save(root / "images" / tag / f"{name}.jpg", scene[name].photo)
        save(root / "masks" / tag / f"{name}.png", scene[name].mask)
    return refused("classes.txt", "tags", "masks")


def _count(count, settings=False):
    """A member: a list of so many names."""

    def member(root):
        names = [f"c{i}" for i in range(1, count + 1)]
        masked(root, ((255,), (1,)), names=None if settings else names)
        return refused("254", **({"classes": tuple(names)} if settings else {}))

    return member


def _exactly_254(root):
    names = [f"c{i}" for i in range(1, 255)]
    scene = masked(root, [(i + 1,) for i in range(254)], names=names)
    return read(root, scene, classes=("background", *names))


def _exported(text, encoding="utf-8", allowed=None):
    """A member: tags, and masks in another folder with the list that goes with them."""

    def member(root):
        scene = tagged(
            root / "data", "p0.jpg,cow\np1.jpg,cow\np2.jpg,grass\np3.jpg,grass\n"
        )
        for name, view in scene.items():
            save(root / f"out/masks/{name}.png", view.mask)
        write_text(root / "out/classes.txt", text, encoding)
        data = {"masks": str(root / "out")}
        if allowed:
            return refused(*allowed, **data, root=str(root / "data"))
        return read(root / "data", scene, data={**data, "root": str(root / "data")})

    return member


def _colours_of_ids(root):
    """Names with colours, although the masks hold ids."""
    scene = masked(root)
    write_text(
        root / "classes.csv", "name,r,g,b\nbackground,0,0,0\ncow,9,9,9\ngrass,3,2,1\n"
    )
    return read(root, scene)


def _crowded(root):
    scene = views()
    photos(root, scene, folder="images")
    for name, view in scene.items():
        save(root / f"labels/{name}.png", view.mask)
    write_text(root / "labels/classes.txt", lines(CLASSES))
    return read(root, scene)


def _far_id(root):
    scene = masked(root, names=("cow", "grass"))
    save(root / "masks/p1.png", np.where(scene["p1"].mask > 0, 9, 0).astype(np.uint8))
    return refused("p1.png")


KINDS = {
    "class_list_colon": {
        "reported": _list("0: background\n1: cow\n2: grass\n", allowed=WHICH),
        "spaces": _list("0 background\n1 cow\n2 grass\n", allowed=WHICH),
        "table": _list("0,background\n1,cow\n2,grass\n", allowed=WHICH),
        "equals": _list("0=background\n1=cow\n2=grass\n", allowed=WHICH),
        "behind": _list("background: 0\ncow: 1\ngrass: 2\n", allowed=WHICH),
        "from_one": _list("1: cow\n2: grass\n", allowed=WHICH),
        "shuffled": _list("2: grass\n0: background\n1: cow\n", allowed=WHICH),
    },
    "class_list_short": {
        "reported": _list("bg\ncow\ngrass\n", allowed=WHICH),
        "capitals": _list("BG\ncow\ngrass\n", allowed=WHICH),
        "title": _list("Background\ncow\ngrass\n"),
        "spaces": _list("background \ncow \ngrass \n \n"),
        "windows": _list("\ufeffbackground\r\ncow\r\ngrass"),
    },
    "class_list_underscored": {
        "reported": _list("__background__\ncow\ngrass\n", allowed=WHICH),
        "one": _list("_background_\ncow\ngrass\n", allowed=WHICH),
        "with_ignore": _list("__ignore__\n_background_\ncow\ngrass\n", allowed=WHICH),
        "beside_masks": _crowded,
        "colours": _colours_of_ids,
    },
    "class_order": {
        "reported": _order((), OF_FOUR, ("zebra", "zebra", "ant", "ant")),
        "three": _order((), ((1,), (2,), (3,)), ("zebra", "ant", "cow")),
        "list_shifted": _order(
            ("dog", "cow", "grass"), OF_FOUR,
            ("cow", "cow", "grass", "grass"),
        ),
        "folders": _order_in_folders,
        "id_of_no_name": _far_id,
    },
    "classes_255": {
        "reported": _count(255),
        "300": _count(300),
        "config": _count(255, settings=True),
        "254_are_read": _exactly_254,
    },
    "classes_other_encoding": {
        "reported": _list("gr\u00fcn\nbraun\n", encoding="cp1252",
                          classes=("background", "gr\u00fcn", "braun")),
        "utf16": _list("vache\nherbe \u00e9paisse\n", encoding="utf-16",
                       classes=("background", "vache", "herbe \u00e9paisse")),
        "marked": _list("cow\ngrass\n", encoding="utf-8-sig"),
        "other_script": _list("\u725b\n\u8349\n",
                              classes=("background", "\u725b", "\u8349")),
    },
    "masks_setting_class_list": {
        "reported": _exported("background\ncow\ngrass"),
        "mark": _exported("background\ncow\ngrass\n", "utf-8-sig"),
        "no_background": _exported("cow\ngrass\n"),
        "windows": _exported("background\r\ncow\r\ngrass\r\n"),
        "utf16": _exported("background\ncow\ngrass\n", "utf-16"),
        "another_order": _exported("background\ngrass\ncow\n", allowed=("grass",)),
        "another_class": _exported("background\ncow\nsky\n", allowed=("sky",)),
    },
}  # fmt: skip
