"""train.py --inspect: what is read, as text and as a picture; nothing is trained."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from ppcjax.configs import asgnet_folder, pixpro_folder, ppc_folder, segment_folder
from ppcjax.runs.there import LIST
from ppcjax.train import inspection
from tests.data import fake_data

TAGS = ("cat", "dog", "cat dog", "dog", "background", "cat")


def inspect(module, root, workdir, **fields):
    config = module.get_config()
    splits = {"train_split": "all", "val_split": "", "eval_split": "all"}
    config.data.update(splits | {"root": str(root)} | fields)
    return inspection.inspect(config, workdir)


@pytest.fixture
def root(tmp_path):
    return fake_data.write_folder(tmp_path / "mine", TAGS)


@pytest.fixture(autouse=True)
def nothing_is_compiled(monkeypatch):
    monkeypatch.setattr("jax.jit", lambda *_, **__: pytest.fail("compiles"))


MODULES = (asgnet_folder, pixpro_folder, ppc_folder, segment_folder)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_folders_of_every_kind_are_shown(module, root, tmp_path, capsys):
    assert inspect(module, root, tmp_path / "run")
    text = capsys.readouterr().out
    file = tmp_path / "run" / "inspect" / "contact.png"
    assert f"contact sheet: {file}" in text and "6 photos, 30 x 20 pixels" in text
    assert ("cat 3, dog 3" in text) == (module is not pixpro_folder)
    with Image.open(file) as picture:
        assert picture.mode == "RGB" and min(picture.size) > 200
    assert {place.name for place in (tmp_path / "run").rglob("*")} == {
        "inspect",
        "contact.png",
        LIST,
    }


@pytest.mark.parametrize("tagged", [0, 1, 6])
def test_photos_have_lines_of_tags_where_there_are_any(
    root, tmp_path, monkeypatch, tagged
):
    seen, sheet = [], inspection.contact.sheet
    make = inspection.data_pipelines.make_source

    def untagged(*words, **more):
        found = make(*words, **more)
        return dataclasses.replace(
            found, untagged=dict.fromkeys(range(tagged, 6), "none")
        )

    def watched(title, shots, *rest, **more):
        seen.extend(shot.tags for shot in shots)
        return sheet(title, shots, *rest, **more)

    monkeypatch.setattr(inspection.data_pipelines, "make_source", untagged)
    monkeypatch.setattr(inspection.contact, "sheet", watched)
    inspect(segment_folder, root, tmp_path / "run")
    assert len(seen) == 6
    assert seen.count("no tags") == (6 - tagged if tagged else 0)
    assert seen.count("") == (0 if tagged else 6)


def test_what_would_stop_is_said_after_the_sheet(root, tmp_path, capsys):
    for file in (root / "masks").iterdir():
        fake_data.write_mask(file, np.zeros((20, 30)))
    assert not inspect(segment_folder, root, tmp_path / "run")
    text = capsys.readouterr().out
    assert "  error       the tags name classes and no mask shows one" in text
    assert (tmp_path / "run" / "inspect" / "contact.png").is_file()
    assert inspect(ppc_folder, root, tmp_path / "run")


def test_damaged_photos_are_errors_and_not_on_the_sheet(root, tmp_path, capsys):
    (root / "images" / "photo_2.jpg").write_bytes(b"\xff\xd8\xffnothing")
    assert not inspect(ppc_folder, root, tmp_path / "run", on_bad_image="stop")
    assert "photo_2.jpg: cannot be read" in capsys.readouterr().out
    assert inspect(ppc_folder, root, tmp_path / "run", on_bad_image="skip")


def test_other_splits_are_shown_and_may_be_missing(root, tmp_path, capsys):
    splits = {"train_split": "all", "val_split": "val", "eval_split": "gone"}
    assert inspect(ppc_folder, root, tmp_path / "run", **splits)
    text = capsys.readouterr().out
    assert "(split all): 6 photos" in text and "(split val): " in text
    assert "data: split gone cannot be read: " in text
