"""Damaged tables and class lists are read or refused; nothing else happens."""

import csv
import json

import numpy as np
import pytest

from ppcjax.types import UserError
from tests.data.test_class_lists import COLOURED, NAMES, NUMBERED, lines, listed
from tests.data.test_tables import IDS, rows_of, tags, written

SIGNS = b",;:\t|\"\n\r '[]{}#/=019\x00\xff"


def damaged(content, count, seed=0):
    """Copies of a file with a few bytes changed, lost, added, or the rest cut off."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        data = bytearray(content)
        for _ in range(rng.integers(1, 4)):
            place, kind = rng.integers(len(data)), rng.integers(4)
            if kind == 0:
                data[place] = rng.integers(256)
            elif kind == 1 and len(data) > 1:
                del data[place]
            elif kind == 2:
                data.insert(place, rng.choice(list(SIGNS)))
            else:
                del data[place + 1 :]
        yield bytes(data)


@pytest.mark.parametrize("form", ["plain", "quoted", "hot", "utf-16"])
def test_damaged_tables_are_read_or_refused(tmp_path, form):
    content = {
        "plain": written(rows_of(("image", "tags"), " ".join)),
        "quoted": written(rows_of(("image", "tags"), ",".join), ";", csv.QUOTE_ALL),
        "hot": "image,cow,grass\na,1,0\nb,1,1\nsub/c,0,1\nd,1,0\n",
        "utf-16": written(rows_of(("image", "tags"), repr)),
    }[form].encode("utf-16" if form == "utf-16" else "utf-8")
    for data in damaged(content, 200):
        try:
            assert set(tags(tmp_path, data)) <= set(IDS)
        except UserError as error:
            assert "\n" not in str(error) and "tags.csv" in str(error)


@pytest.mark.parametrize("form", [NUMBERED[0], COLOURED[0], COLOURED[8], "{name}"])
@pytest.mark.parametrize("name", ["classes.txt", "classes.csv", "classes.json"])
def test_damaged_lists_are_read_or_refused(tmp_path, form, name):
    content = lines(form).encode()
    if name.endswith("json"):
        content = json.dumps(dict(enumerate(NAMES))).encode()
    for data in damaged(content, 60):
        try:
            assert listed(tmp_path, data, name).names
        except UserError as error:
            assert "\n" not in str(error) and name in str(error)
