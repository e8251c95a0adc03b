"""What a run that goes on may read elsewhere, and what it must not."""

import errno
import os
from pathlib import Path

import pytest

from ppcjax import fields
from ppcjax.console import disk
from ppcjax.data_pipelines import READERS, SOURCES, SourceSettings, SplitSettings
from ppcjax.fields import Free, Place
from ppcjax.train import guard
from ppcjax.types import UserError

DECLARED = (
    SourceSettings,
    SplitSettings,
    *SOURCES.values(),
    *(reader.settings for reader in READERS.values()),
)
FIELDS = [
    pytest.param(field, id=f"{declared.__name__}-{name}")
    for declared in DECLARED
    for name, field in fields.fields_of(declared).items()
]


def goes_on(was, now, name="x", **more):
    meta = {"config": {"data": {name: was}}, "classes": more.pop("learnt", None)}
    said = []
    more["log"] = said.append
    guard.check_same_run(meta, {"data": {name: now}}, Path("run"), **more)
    return said


@pytest.mark.parametrize("field", FIELDS)
def test_every_setting_of_data_is_free_a_place_or_must_stay(field):
    kinds = {type(mark) for mark in fields.marks_of(field.hint)} & {Free, Place}
    if Free in kinds:
        assert goes_on("one", "other", field.name) == []
    elif Place in kinds:
        (line,) = goes_on("old/folder", "new/folder", field.name)
        assert line == f"config.data.{field.name} is new/folder now; it was old/folder"
        with pytest.raises(UserError, match=field.name):
            goes_on("", "new/folder", field.name)
    else:
        with pytest.raises(UserError, match=rf"data\.{field.name} \(there "):
            goes_on("one", "other", field.name)


def test_a_name_means_the_same_wherever_it_is_declared():
    found = {}
    for declared in DECLARED:
        for name, field in fields.fields_of(declared).items():
            marks = {type(m) for m in fields.marks_of(field.hint)} & {Free, Place}
            assert found.setdefault(name, marks) == marks, name


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, Free) for name in ("workers", "on_bad_image", "eval_masks", "index")),
        *((name, Place) for name in ("root", "masks", "saliency", "tfds_dir")),
        *((name, None) for name in ("batch_size", "crop", "train_split", "void")),
    ],
)
def test_what_a_resumed_run_needs(name, kind):
    marks = {type(mark) for mark in guard.data_marks()[f"data.{name}"]}
    assert (marks & {Free, Place}) == ({kind} if kind else set())


def test_other_classes_are_another_run():
    with pytest.raises(UserError, match="classes .there background, cat, now backgr"):
        goes_on(1, 1, learnt=["background", "cat"], classes=("background", "dog"))
    assert goes_on(1, 1, learnt=["background", "cat"]) == []


def test_a_run_keeps_its_parts_and_an_older_one_had_a_batch_whole():
    def go_on(was, now):
        guard.check_same_run({"config": was}, now, Path("run"), log=lambda line: None)

    go_on({}, {"accumulate": 1})
    go_on({"accumulate": 2}, {"accumulate": 2})
    for was in ({}, {"accumulate": 1}):
        with pytest.raises(UserError, match=r"accumulate \(there 1, now 2\)"):
            go_on(was, {"accumulate": 2})


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_file_that_vanished_in_a_run_says_that_the_run_was_taken(
    tmp_path, inside, wrapped
):
    run = tmp_path / "run"
    file = run / "metrics.jsonl" if inside else tmp_path / "elsewhere" / "file"
    error = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))
    known = disk.cannot_write(file, error) if wrapped else error
    said = "was removed or moved" if inside else "is gone"
    with (
        pytest.raises(
            UserError if inside or wrapped else FileNotFoundError,
            match=said if inside or wrapped else "No such file",
        ),
        guard.enough_room(run, {}),
    ):
        raise known
