"""Tables of tags as people write them, and tags that are no tags."""

from tests.data.reports.four import photos, refused, tagged, tags_read, views
from tests.data.scenes import lines, save, write_text

COW, GRASS, BOTH = ("cow",), ("grass",), ("cow", "grass")
TWO = ("traffic light", "fire hydrant", "stop sign")
WORDS = ((TWO[0],), (TWO[0],), (TWO[1],), (TWO[2],))


def _table(text, tags, *said, encoding="utf-8", **expected):
    """A member: four photos with this table, and the tags that it means."""

    def member(root):
        tagged(root, text, encoding=encoding)
        return tags_read(root, tags, *said, **expected)

    return member


def _refused(text, *parts, encoding="utf-8"):
    """A member: four photos with this table, which is refused."""

    def member(root):
        tagged(root, text, encoding=encoding)
        return refused(*parts)

    return member


def _rows(mark=",", header="image{}tags", between=" ", quote=""):
    cells = [quote + between.join(tags) + quote for tags in (BOTH, COW, GRASS, BOTH)]
    rows = [f"p{i}.jpg{mark}{cell}" for i, cell in enumerate(cells)]
    return lines([header.format(mark), *rows] if header else rows)


FOUR = (BOTH, COW, GRASS, BOTH)


def _folders(*names, expected, **arguments):
    """A member: one photo in a sub-folder of each name."""

    def member(root):
        scene = views()
        for folder, (name, view) in zip(names, scene.items(), strict=True):
            save(root / folder / f"{name}.jpg", view.photo)
        return tags_read(root, expected, **arguments)

    return member


def _listed(table, names, tags, *said, **expected):
    """A member: a table beside a class list."""

    def member(root):
        tagged(root, table)
        write_text(root / "classes.txt", lines(names))
        return tags_read(root, tags, *said, **expected)

    return member


def _in_config(root):
    tagged(root, "image,tags\np0.jpg,stop sign\np1.jpg,fire hydrant\n"
           "p2.jpg,stop sign fire hydrant\np3.jpg,stop sign\n")  # fmt: skip
    names = (TWO[1], TWO[2])
    tags = ((TWO[2],), (TWO[1],), names, (TWO[2],))
    return tags_read(root, tags, classes=("background", *names),
                     data={"classes": names})  # fmt: skip


def _many(count, table=False):
    def member(root):
        scene = {f"c{i:03d}": view for i, view in enumerate([*views().values()] * 100)}
        scene = dict(list(scene.items())[:count])
        for name, view in scene.items():
            save(root / ("" if table else name) / f"{name}.png", view.photo)
        if table:
            rows = [f"{name}.png,{name}" for name in scene]
            write_text(root / "tags.csv", lines(["image,tags", *rows]))
        return refused("254")

    return member


def _roboflow(root):
    scene = views()
    photos(root, scene)
    text = (
        "filename, cow, grass\np0.jpg, 1, 1\np1.jpg, 1, 0\np2.jpg, 0, 1\np3.jpg, 1, 1\n"
    )
    write_text(root / "_classes.csv", text)
    return tags_read(root, FOUR, refused=("_classes.csv", "tags"))


ONE_HOT = "p0.jpg,1,0\np1.jpg,1,1\np2.jpg,0,1\np3.jpg,1,0\n"
HOT = (COW, BOTH, GRASS, COW)
EVERYWHERE = (COW, COW, COW, COW)
KINDS = {
    "tags_comma": {
        "reported": _table(_rows(between=",", quote='"'), FOUR),
        "semicolon": _table(_rows(between=";"), FOUR),
        "bar": _table(_rows(between="|"), FOUR),
        "unquoted": _table(_rows(between=","), FOUR),
        "hashes": _table(
            "p0.jpg,#cow #grass\np1.jpg,#cow\np2.jpg,#grass\np3.jpg,#cow #grass\n",
            FOUR,
        ),
    },
    "tags_comma_space": {
        "reported": _table(_rows(between=", ", quote='"'), FOUR),
        "semicolon_space": _table(_rows(between="; "), FOUR),
        "tab_between": _table(_rows(between="\t", quote='"'), FOUR),
        "brackets": _table(
            "p0.jpg,\"['cow', 'grass']\"\np1.jpg,['cow']\np2.jpg,['grass']\n"
            "p3.jpg,\"['cow', 'grass']\"\n", FOUR,
        ),
        "json": _table(
            'image,tags\np0.jpg,"[""cow"", ""grass""]"\np1.jpg,"[""cow""]"\n'
            'p2.jpg,"[""grass""]"\np3.jpg,"[""cow"",""grass""]"\n', FOUR,
        ),
    },
    "tags_semicolon_table": {
        "reported": _table(_rows(";"), FOUR),
        "tab": _table(_rows("\t"), FOUR),
        "bar": _table(_rows("|"), FOUR),
        "no_header": _table(_rows(";", header=""), FOUR),
        "commas_in_cells": _table(_rows(";", between=","), FOUR),
        "other_language": _table(_rows(";", header="Bild{}Schlagw\u00f6rter"), FOUR),
        "windows": _table(
            _rows(";", header="Bild{}Schlagw\u00f6rter"), FOUR, encoding="cp1252"
        ),
    },
    "tags_two_words": {
        "reported": _table(
            'image,tags\np0.jpg,"traffic light"\np1.jpg,"traffic light"\n'
            'p2.jpg,"fire hydrant"\np3.jpg,"stop sign"\n',
            WORDS, classes=("background", *sorted(TWO)), refused=("classes.txt",),
        ),
        "underscores": _table(
            "p0.jpg,traffic_light\np1.jpg,traffic_light\np2.jpg,fire_hydrant\n"
            "p3.jpg,stop_sign cow\n",
            (("traffic_light",), ("traffic_light",), ("fire_hydrant",),
             ("stop_sign", "cow")),
            classes=("background", "cow", "fire_hydrant", "stop_sign", "traffic_light"),
        ),
        "with_commas": _table(
            'p0.jpg,"traffic light, stop sign"\np1.jpg,traffic light\n'
            'p2.jpg,"fire hydrant"\np3.jpg,"stop sign, fire hydrant"\n',
            ((TWO[0], TWO[2]), (TWO[0],), (TWO[1],), (TWO[2], TWO[1])),
            classes=("background", *sorted(TWO)),
        ),
        "folders": _folders(*(w[0] for w in WORDS), expected=WORDS,
                            classes=("background", *sorted(TWO))),
    },
    "tags_two_words_listed": {
        "reported": _listed(
            'image,tags\np0.jpg,"traffic light"\np1.jpg,"traffic light"\n'
            'p2.jpg,"fire hydrant"\np3.jpg,"fire hydrant"\n', TWO[:2],
            ((TWO[0],), (TWO[0],), (TWO[1],), (TWO[1],)),
            classes=("background", *TWO[:2]),
        ),
        "unquoted_pairs": _listed(
            "p0.jpg,traffic light fire hydrant\np1.jpg,traffic light\n"
            "p2.jpg,fire hydrant\np3.jpg,fire hydrant traffic light\n", TWO[:2],
            (TWO[:2], (TWO[0],), (TWO[1],), TWO[:2]),
            classes=("background", *TWO[:2]),
        ),
        "in_config": _in_config,
    },
    "tags_one_hot": {
        "reported": _table(f"filename,cow,grass\n{ONE_HOT}", HOT),
        "semicolons": _table(
            f"filename;cow;grass\n{ONE_HOT.replace(',', ';')}", HOT
        ),
        "words": _table(
            "filename,cow,grass\np0.jpg,True,False\np1.jpg,True,True\n"
            "p2.jpg,False,True\np3.jpg,True,False\n", HOT,
        ),
        "decimals": _table(
            "filename,cow,grass\np0.jpg,1.0,0.0\np1.jpg,1.0,1.0\np2.jpg,0.0,1.0\n"
            "p3.jpg,1.0,0.0\n", HOT, refused=("tags.csv",),
        ),
        "classifier_export": _roboflow,
        "not_only_ones": _refused(
            "filename,cow,grass\np0.jpg,1,0\np1.jpg,7,1\np2.jpg,0,1\np3.jpg,1,0\n",
            "tags.csv",
        ),
    },
    "tags_header_only": {
        "reported": _refused("image,tags\n", "tags.csv"),
        "empty": _refused("", "tags.csv"),
        "blank": _refused("\n \n\n", "tags.csv"),
        "mark": _refused("\ufeff", "tags.csv"),
        "one_hot": _refused("filename,cow,grass\n", "tags.csv"),
    },
    "tags_case": {
        "reported": _table(
            "image,tags\np0.jpg,Cow\np1.jpg,cow\np2.jpg,grass\np3.jpg,COW\n",
            (COW, COW, GRASS, COW), "case", "COW",
            classes=("background", "cow", "grass"),
        ),
        "once": _table(
            "p0.jpg,cow\np1.jpg,cow grass\np2.jpg,Grass grass\np3.jpg,Cow\n",
            (COW, BOTH, GRASS, COW), "case", "Grass",
        ),
        "folders": _folders("cow", "Cow", "grass", "grass",
                            expected=(COW, COW, GRASS, GRASS),
                            classes=("background", "cow", "grass")),
        "listed": _listed(
            "p0.jpg,COW\np1.jpg,Cow\np2.jpg,grass\np3.jpg,grass\n", ("Cow", "grass"),
            (("Cow",), ("Cow",), GRASS, GRASS),
            classes=("background", "Cow", "grass"), refused=("COW",),
        ),
    },
    "tags_background_case": {
        "reported": _table(
            "image,tags\np0.jpg,cow\np1.jpg,Background\np2.jpg,none\np3.jpg,cow\n",
            (COW, (), ("none",), COW), classes=("background", "cow", "none"),
            refused=("background",),
        ),
        "capitals": _table(
            "p0.jpg,cow\np1.jpg,BACKGROUND\np2.jpg,grass\np3.jpg,cow\n",
            (COW, (), GRASS, COW),
        ),
        "folder": _folders("Background", "cow", "grass", "cow",
                           expected=((), COW, GRASS, COW)),
        "beside_a_tag": _table(
            "p0.jpg,cow background\np1.jpg,background\np2.jpg,grass\np3.jpg,cow\n",
            (COW, (), GRASS, COW), refused=("background",),
        ),
    },
    "tags_one_class_everywhere": {
        "reported": _table(
            "image,tags\np0.jpg,cow\np1.jpg,cow\np2.jpg,cow\np3.jpg,cow\n",
            EVERYWHERE, "cow", "background", classes=("background", "cow"),
        ),
        "both": _table(
            "p0.jpg,cow grass\np1.jpg,cow grass\np2.jpg,cow grass\np3.jpg,grass cow\n",
            (BOTH,) * 4, "all 4 photos", "cow",
        ),
        "folder": _folders("cow", "cow", "cow", "cow", expected=EVERYWHERE,
                           classes=("background", "cow")),
    },
    "tags_utf16": {
        "reported": _table(_rows(), FOUR, encoding="utf-16"),
        "unicode_text": _table(_rows("\t"), FOUR, encoding="utf-16"),
        "marked": _table(_rows(), FOUR, encoding="utf-8-sig"),
        "unmarked": _table(_rows(), FOUR, encoding="utf-16-le", refused=("tags.csv",)),
    },
    "tags_300": {
        "reported": _many(300),
        "255": _many(255),
        "table": _many(300, table=True),
    },
}  # fmt: skip
