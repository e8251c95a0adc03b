import json

import pytest

from ppcjax.data_pipelines.sources import class_lists
from ppcjax.types import UserError
from tests.data.test_text import ENCODINGS, encoded

COLOURS = ((0, 0, 0), (128, 0, 0), (0, 128, 0))
NAMES = ("background", "cow", "traffic light")


def listed(tmp_path, content, name="classes.txt", **options):
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return class_lists.read(file, **options)


def refuses(tmp_path, message, content, name="classes.txt", **options):
    with pytest.raises(UserError) as caught:
        listed(tmp_path, content, name, **options)
    assert message in str(caught.value) and name in str(caught.value)
    assert "\n" not in str(caught.value)


def lines(form, last="\n", names=NAMES):
    text = "\n".join(
        form.format(i=i, name=name, rgb=COLOURS[i], hex=f"#{bytes(COLOURS[i]).hex()}")
        for i, name in enumerate(names)
    )
    return text + last


NUMBERED = (
    "{i}: {name}",
    "{i} {name}",
    "{i},{name}",
    "{i}\t{name}",
    "{i} -> {name}",
    "{i}. {name}",
    "{name}: {i}",
    "{name}={i}",
    "{name} {i}",
    "{name};{i}",
)
COLOURED = (
    "{name}:{rgb[0]},{rgb[1]},{rgb[2]}::",
    "{name}:{rgb[0]},{rgb[1]},{rgb[2]}",
    "{rgb[0]} {rgb[1]} {rgb[2]} {name}",
    "{rgb[0]} {rgb[1]} {rgb[2]}\t\t{name}",
    "{name} {rgb[0]} {rgb[1]} {rgb[2]}",
    "{name},{rgb[0]},{rgb[1]},{rgb[2]}",
    "{name} {hex}",
    "{hex} {name}",
    "{i} {name} {rgb[0]} {rgb[1]} {rgb[2]}",
    "{i} {rgb[0]} {rgb[1]} {rgb[2]} {name}",
    "{name} {i} {rgb[0]} {rgb[1]} {rgb[2]}",
)
TABLES = (
    ("name,r,g,b", "{name},{rgb[0]},{rgb[1]},{rgb[2]}"),
    ("id,name,r,g,b", "{i},{name},{rgb[0]},{rgb[1]},{rgb[2]}"),
    ("id;name;red;green;blue", "{i};{name};{rgb[0]};{rgb[1]};{rgb[2]}"),
    ("name,color", '{name},"{hex}"'),
    ("Class,Colour", '"{name}","{rgb[0]},{rgb[1]},{rgb[2]}"'),
)


@pytest.mark.parametrize("last", ["\n", "", "\n\n", "\r\n"])
@pytest.mark.parametrize("form", ["{name}", '"{name}"', "- {name}", "  {name} "])
@pytest.mark.parametrize("background", [True, False])
def test_one_name_a_line(tmp_path, form, last, background):
    found = listed(tmp_path, "# mine\n\n" + lines(form, last))
    assert found.names == NAMES[1:] and found.has_background and not found.label_ids
    found = listed(tmp_path, lines(form, last, NAMES[1:]))
    assert found.names == NAMES[1:] and not found.has_background
    found = listed(tmp_path, lines(form, last), background=False)
    assert found.names == NAMES and not found.label_ids


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings(tmp_path, encoding, end):
    found = listed(tmp_path, encoded(f"background{end}grün{end}Kühe", encoding))
    assert found.names == ("grün", "Kühe")
    assert bool(found.warnings) == (encoding == "windows-1252")


@pytest.mark.parametrize("form", NUMBERED)
def test_numbered(tmp_path, form):
    found = listed(tmp_path, lines(form))
    assert found.names == NAMES[1:] and not found.label_ids and found.has_background
    rows = lines(form).replace("2", "9").split("\n")[:-1]
    found = listed(tmp_path, "\n".join((rows[2], *rows[:2])))
    assert found.names == NAMES[1:] and found.label_ids == (0, 1, 9)
    refuses(tmp_path, "has id 0", lines(form, names=("sky", *NAMES[1:])))
    found = listed(tmp_path, "\n".join(rows[1:]))
    assert found.names == NAMES[1:] and found.label_ids == (0, 1, 9)


@pytest.mark.parametrize("form", COLOURED)
def test_coloured(tmp_path, form):
    found = listed(tmp_path, "# label:color\n" + lines(form), "label_colors.txt")
    assert found.names == NAMES[1:] and found.colours == COLOURS
    assert found.has_background and found.by_colour == ("{i}" not in form)


@pytest.mark.parametrize(("header", "form"), TABLES)
@pytest.mark.parametrize("name", ["classes.csv", "class_dict.csv"])
def test_tables_with_colours(tmp_path, header, form, name):
    found = listed(tmp_path, f"{header}\n{lines(form)}", name)
    assert found.names == NAMES[1:] and found.colours == COLOURS


@pytest.mark.parametrize(
    "header", ["Pixel Value, Class\n", "id,name\n", "Nr,Name\n", ""]
)
def test_tables_with_ids(tmp_path, header):
    found = listed(tmp_path, header + lines("{i}, {name}"), "_classes.csv")
    assert found.names == NAMES[1:] and not found.colours


@pytest.mark.parametrize(
    "data",
    [
        dict(enumerate(NAMES)),
        {name: i for i, name in enumerate(NAMES)},
        list(NAMES),
        {"id2label": dict(enumerate(NAMES))},
        {"names": list(NAMES)},
        [{"id": i, "name": name} for i, name in enumerate(NAMES)],
        [{"name": n, "color": c} for n, c in zip(NAMES, COLOURS, strict=True)],
        {n: list(c) for n, c in zip(NAMES, COLOURS, strict=True)},
        {"0": {"name": NAMES[0]}, "1": {"name": NAMES[1]}, "2": {"name": NAMES[2]}},
    ],
)
@pytest.mark.parametrize("name", ["classes.json", "classes.txt"])
def test_json(tmp_path, data, name):
    found = listed(tmp_path, json.dumps(data), name)
    assert found.names == NAMES[1:] and found.has_background
    assert found.colours in ((), COLOURS)


@pytest.mark.parametrize(
    "word",
    [
        *("background", "Background", "BG", "_background_", "__background__"),
        *("back_ground", "Hintergrund", "fond", "fondo", "背景", "void", "Unlabeled"),
    ],
)
def test_words_for_the_background(tmp_path, word):
    found = listed(tmp_path, f"{word}\ncow\ngrass\n")
    assert found.names == ("cow", "grass") and found.has_background
    assert found.text.startswith("classes.txt, 2 names, ")


@pytest.mark.parametrize(
    ("content", "names", "label_ids", "void"),
    [
        ("background\ncow\nvoid\ngrass", ("cow", "grass"), (0, 1, 3), (2,)),
        ("cow\ngrass\nvoid:255", ("cow", "grass"), (), (255,)),
        ("0 background\n1 cow\n11 unlabelled", ("cow",), (), (11,)),
        ("0: void\n1: background\n2: cow", ("cow",), (1, 2), (0,)),
        ("__ignore__\n_background_\ncow", ("cow",), (), ()),
        ("-1: __ignore__\n0: _background_\n1: cow", ("cow",), (), ()),
        ("cow\nvoid", ("cow",), (), (2,)),
    ],
)
def test_void(tmp_path, content, names, label_ids, void):
    found = listed(tmp_path, content)
    assert (found.names, found.label_ids, found.void) == (names, label_ids, void)


def test_black_void_of_a_list_of_colours(tmp_path):
    content = "name,r,g,b\nanimal,64,128,64\nvoid,0,0,0\n"
    found = listed(tmp_path, content, "class_dict.csv")
    assert found.names == ("animal",) and found.colours == ((0, 0, 0), (64, 128, 64))
    found = listed(tmp_path, content, "class_dict.csv", background=False)
    assert found.names == ("animal",) and found.colours == ((64, 128, 64),)
    assert found.void_colours == ((0, 0, 0),)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("cow,grass", ("cow", "grass")),
        ("background; cow; grass", ("cow", "grass")),
        ("['cow', 'grass']", ("cow", "grass")),
        ("0: background, 1: cow", ("cow",)),
        ("bus, coach\ncar", ("bus, coach", "car")),
        ("class 1\nclass 2", ("class 1", "class 2")),
        ("T-shirt\n3d printer", ("T-shirt", "3d printer")),
        ("other\ncow", ("other", "cow")),
    ],
)
def test_names_with_separators_and_numbers(tmp_path, content, names):
    assert listed(tmp_path, content).names == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "names no class"),
        ("\n\n# nothing\n", "names no class"),
        ("background\n", "names no class beside the background"),
        ("none\ncow", "'none' may be the background or a class"),
        ("0: Nothing\n1: cow", "'Nothing' may be the background or a class"),
        ("cow\ngrass\nbackground", "'background' is name 3; write it first"),
        ("cow\nCow", "'cow' and 'Cow' have the same name"),
        ("background\nbg\ncow", "have the same meaning"),
        ("0: background\n1: cow\ngrass", "'grass' has no id while lines are numbered"),
        ("0 background\n1 cow\n1 grass", "there twice while lines are numbered"),
        ("0: background\n255: cow", "the id 255 of 'cow' is that of unknown pixels"),
        ("0: background\n70000: cow", "the id 70000 of 'cow' is no id of a mask"),
        ("cow 9 0 0\ngrass 9 0 0", "have the same colour"),
        ("cow 0 0 0\ngrass 9 0 0", "black is a class"),
        ("background:0,0,0::\ncow:::\n", "'cow' has no colour while others do"),
        ("names: [cow, grass\n", "is no list of classes"),
        ("cow]\ngrass", "'cow]' looks like a part of a list"),
        ("x" * 600, "too long for a name"),
        ('{"0": "background", ', "is no list of classes"),
        (b"cow\0grass", "is no text"),
    ],
)
def test_what_is_refused(tmp_path, content, message):
    refuses(tmp_path, message, content)


def test_what_is_refused_of_other_files(tmp_path):
    refuses(tmp_path, "'animal' has id 0", "animal\nbus\n", "codes.txt")
    refuses(tmp_path, "columns are not clear", "cow,big\ngrass,low\n", "classes.csv")
    refuses(tmp_path, "has no colour 0..255", "name,r,g,b\ncow,1,2,x\n", "classes.csv")
    refuses(tmp_path, "holds no row", "name,r,g,b\n", "classes.csv")
    data = '[{"name": "cow", "color": [0.5, 0, 1]}]'
    refuses(tmp_path, "is no list of classes", data, "classes.json")


@pytest.mark.parametrize("background", [True, False])
def test_number_of_classes(tmp_path, background):
    most = 254 + (not background)
    names = [f"c{i}x" for i in range(most + 1)]
    found = listed(tmp_path, "\n".join(names[:most]), background=background)
    assert len(found.names) == most
    refuses(
        tmp_path, f"more than {most} classes", "\n".join(names), background=background
    )


def test_no_list(tmp_path):
    assert class_lists.find(tmp_path) is None
    (tmp_path / "_classes.csv").write_text("filename, cow\na.jpg, 1\n")
    assert class_lists.find(tmp_path) is None
    (tmp_path / "labels.txt").mkdir()
    assert class_lists.find(tmp_path) is None


@pytest.mark.parametrize("name", class_lists.FILES)
def test_every_file_is_found(tmp_path, name):
    content = json.dumps(NAMES) if name.endswith("json") else "\n".join(NAMES)
    (tmp_path / name).write_text(content)
    found = class_lists.find(tmp_path)
    assert found.names == NAMES[1:] and found.file.name == name


def test_two_lists_must_agree(tmp_path):
    (tmp_path / "classes.txt").write_text("traffic light\ncow\n")
    (tmp_path / "labelmap.txt").write_text(lines(COLOURED[0]))
    found = class_lists.find(tmp_path)
    assert found.names == ("traffic light", "cow")
    assert found.colours == (COLOURS[0], COLOURS[2], COLOURS[1])
    assert found.text.endswith("colours of labelmap.txt")
    (tmp_path / "labels.txt").write_text("traffic light\ncow\n")
    assert "labels.txt agrees" in class_lists.find(tmp_path).text
    (tmp_path / "labels.txt").write_text("cow\ntraffic light\n")
    with pytest.raises(UserError, match="labels.txt: its classes cow, traffic light"):
        class_lists.find(tmp_path)
