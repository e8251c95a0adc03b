"""Damaged files of every format: a result, or one line that names the file."""

import copy
import json
import random

import pytest

from ppcjax.data_pipelines import formats
from ppcjax.types import UserError
from tests.data.formats.test_recorded import SETS, copied

ODD = (
    None, True, -1, 0, 1e308, 10**30, -0.5, 2.5, "", "a", "\0", "é\ud800", [], {}, [[]],
    [1], {"a": 1}, "9" * 400, [None] * 3, float("nan"), float("inf"), 2**31, 2**53,
)  # fmt: skip
LETTERS = b'\0\xff<>&"{}[],:;.- 0a\n'


def nodes(value, found=None):
    """Every (container, key) of a JSON value."""
    found = [] if found is None else found
    rows = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in list(rows):
        found.append((value, key))
        if isinstance(child, dict | list):
            nodes(child, found)
    return found


def change_json(content, draw):
    data = json.loads(content)
    for _ in range(draw.randint(1, 2)):
        places = nodes(data)
        if not places:
            break
        table, key = draw.choice(places)
        kind = draw.randrange(4)
        if kind == 0:
            del table[key]
        elif kind == 1:
            table[key] = draw.choice(ODD)
        elif kind == 2:
            table[key] = copy.deepcopy(draw.choice(places)[0])
        elif isinstance(table[key], list):
            table[key] = table[key] * 2
        else:
            table[key] = [table[key]]
    return json.dumps(data).encode("utf-8", "surrogatepass")


def change_bytes(content, draw):
    data = bytearray(content)
    kind = draw.randrange(4)
    start = draw.randrange(len(data))
    if kind == 0:
        del data[start:]
    elif kind == 1:
        del data[start : start + draw.randint(1, 20)]
    elif kind == 2:
        for _ in range(draw.randint(1, 5)):
            data[draw.randrange(len(data))] = draw.choice(LETTERS)
    else:
        piece = data[start : start + draw.randint(1, 40)]
        data[start:start] = piece * draw.randint(1, 3)
    return bytes(data)


def outcome(root, photos):
    """Reads all; "" or the line that says why not."""
    try:
        found = formats.find(root, photos)
        for draw in found.masks.values() if found else ():
            mask = draw()
            assert 0 <= mask.min() and mask.max() <= 255
        return ""
    except UserError as error:
        assert "\n" not in str(error) and str(error).strip(), error
        return str(error)


@pytest.mark.parametrize("name", SETS)
def test_damage_is_a_result_or_a_line(tmp_path, name):
    damage(tmp_path, name, range(40))


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_much_damage_is_a_result_or_a_line(tmp_path, name):
    damage(tmp_path, name, range(40, 600))


def damage(tmp_path, name, seeds):
    photos, _ = copied(name, tmp_path, SETS[name][0])
    texts = (".json", ".xml", ".txt", ".yaml")
    files = sorted(f for f in tmp_path.rglob("*") if f.suffix in texts)
    refused = 0
    for seed in seeds:
        draw = random.Random(f"{name} {seed}")
        file = draw.choice(files)
        content = file.read_bytes()
        as_json = file.suffix == ".json" and seed % 4
        change = change_json if as_json else change_bytes
        file.write_bytes(change(content, draw))
        line = outcome(tmp_path, photos)
        refused += bool(line)
        file.write_bytes(content)
    assert refused
    assert outcome(tmp_path, photos) == ""


def test_depth_and_entities_are_refused(tmp_path):
    photos, _ = copied("datumaro_cvat", tmp_path, "images/{}.jpg")
    xml = tmp_path / "train.xml"
    good = xml.read_text()
    bomb = '<!DOCTYPE a [<!ENTITY x "lol">]>' + good.partition("?>")[2]
    deep = good.replace("<meta>", "<meta>" + "<b>" * 9999 + "</b>" * 9999, 1)
    for content, why in ((bomb, "a DTD or entities"), (deep, "elements in each other")):
        xml.write_text(content)
        assert why in outcome(tmp_path, photos) and "train.xml" in outcome(
            tmp_path, photos
        )
    xml.unlink()
    file = tmp_path / "instances_train.json"
    for content in ('{"images": ' + "[" * 99_999, '{"images": [NaN]}', '{"images": 9'):
        file.write_text(content)
        assert "instances_train.json: cannot be read as JSON" in outcome(
            tmp_path, photos
        )
