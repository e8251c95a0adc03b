"""The benchmark of marked photos, on coloured squares and a tiny random network."""

import argparse

import numpy as np
import pytest
from PIL import Image

from benchmarks import labelling, labelling_world, study_table
from benchmarks import labelling_table as tables
from ppcjax import data_pipelines
from ppcjax.types import IGNORE, UserError
from tests.data import fake_data
from tests.label import worlds

RED, GREEN = 1, 2


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """46 photos, of which every second shows a red square, the others a green one.

    The first one is said to be red all over.
    """
    root = tmp_path_factory.mktemp("squares")
    worlds.write_photos(root / "images", 46)
    for i in range(46):
        mask = np.zeros((48, 60), np.uint8)
        mask[worlds.SQUARE if i else ...] = 1 + i % 2
        mask[0] = IGNORE
        fake_data.write_mask(root / "masks" / f"p{i}.png", mask)
    (root / "classes.txt").write_text("background\nred\ngreen\n")
    data = {"source": "folder", "root": str(root), "on_bad_image": "stop"}
    source = data_pipelines.make_source(data, "all")
    return labelling_world.World.of(source, worlds.network())


def test_photos_that_are_scored_are_never_marked():
    counts = np.zeros((30, 3), int)
    counts[:, 0] = 100
    counts[:25, 1] = 50
    counts[25, 1] = 1  # too small to be one that is marked
    pool, held = labelling_world.split(counts, 1, photos=40, most=10)
    assert sorted(pool + held) == list(range(25)) and len(held) == 5
    assert labelling_world.split(counts, 1, photos=3, most=10)[1] == held[:3]
    with pytest.raises(UserError, match="21 are needed"):
        labelling_world.split(counts, 2, photos=40, most=10)


@pytest.mark.parametrize("kind", ["scribbles", "boxes", "masks"])
def test_what_is_proposed_is_what_examples_give(world, kind):
    shown = [i for i, name in enumerate(world.source.ids) if int(name[1:]) % 2 == 0]
    full = world.source.ids.index("p0")
    pool, held = shown[:8], shown[8:12]
    assert full in pool
    with pytest.raises(UserError, match="red: 0 photos have a background"):
        labelling.measured(world, RED, kind, [full], held, [0], counts=(1,))
    rows = labelling.measured(world, RED, kind, pool, held, [0, 1], counts=(1, 5))
    assert [(row["seed"], row["marked"]) for row in rows] == [
        *[(0, 1), (0, 5)],
        *[(1, 1), (1, 5)],
    ]
    for row in rows:
        assert 0.6 < row["iou"] <= 1 and row["fit"] >= 0 and row["photo"] > 0
        assert ("fewshot" in row) == (row["marked"] == 5)
        assert row["iou"] == pytest.approx(row.get("fewshot", row["iou"]), abs=0.01)


def test_files_of_results_are_kept_and_shown(world, tmp_path):
    given = argparse.Namespace(
        **{"root": "squares", "classes": "red,green", "marks": ["boxes"]},
        **{"seeds": [0], "photos": 2, "backbone": "tiny", "out": tmp_path},
    )
    labelling.make(world, given, [])
    file = tmp_path / "tiny-squares-red-boxes.json"
    made = file.stat().st_mtime_ns
    (tmp_path / "tiny-squares-green-boxes.json").unlink()
    labelling.make(world, given, [])
    assert file.stat().st_mtime_ns == made
    rows = tables.read(tmp_path)
    assert [row["class"] for row in rows] == ["green", "red"]
    lines = tables.table(rows).splitlines()
    assert len(lines) == 5 and lines[-1].startswith("| tiny | squares | mean of 2 |")
    assert len({line.count("|") for line in lines}) == 1
    tables.plot(rows, tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 3
    with pytest.raises(UserError, match="no 'blue'"):
        labelling.make(
            world, argparse.Namespace(**{**vars(given), "classes": "blue"}), []
        )


def test_the_page_shows_what_was_found_and_no_path():
    rows = tables.read(labelling._RESULTS)
    page = study_table.PAGE.read_text()
    told = study_table.replaced(page, "labelling", tables.section(rows))
    assert told == page, "write it again: see benchmarks.labelling"
    assert all("/" not in found["command"] for found in rows)
    assert labelling.named(["--root", "/a", "--seeds", "0", "--out", "b"]) == [
        *("--root", "PHOTOS", "--seeds", "0", "--out", "DIR")
    ]
