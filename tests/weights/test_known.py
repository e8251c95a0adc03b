"""The table of published files: well formed, complete, and as its page says."""

import importlib
import re
from urllib.parse import urlsplit

import pytest

from docs import weights as page
from ppcjax.nn.backbones import BACKBONES
from ppcjax.types import UserError
from ppcjax.weights import known, uses
from ppcjax.weights.__main__ import main

ROWS = known.rows()


def test_ids_and_files_are_unique():
    ids = [row.id for row in ROWS]
    assert len(set(ids)) == len(ids)
    # What is downloaded without a hub lies in one folder.
    names = [row.name for row in ROWS if not row.hub]
    assert len(set(names)) == len(names)
    assert len({(row.hub, row.file) for row in ROWS if row.hub}) == len(
        [row for row in ROWS if row.hub]
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_row_is_well_formed(row):
    assert re.fullmatch(r"[a-z0-9_]+", row.id) and row.id != "imagenet"
    sources = [row.hub, row.url, row.package, row.by_hand]
    assert len(list(filter(None, sources))) == 1
    assert bool(row.url) != bool(row.file) and row.name
    assert not row.hub or re.fullmatch(r"[\w.-]+/[\w.-]+", row.hub)
    assert not row.url or all(urlsplit(row.url)[:3])
    assert row.licence and row.naming and row.what in ("backbone", "checkpoint")
    assert row.network in (*BACKBONES, "vit")
    assert re.fullmatch(r"([0-9a-f]{64}|[0-9a-f]{8})?", row.sha256)
    assert row.size is None or 1 < row.size < 5000
    assert (row.pixel_mean is None) == (row.pixel_std is None)
    for values in filter(None, (row.pixel_mean, row.pixel_std)):
        assert len(values) == 3 and all(0 < value < 1 for value in values)
    assert row.channels in ("rgb", "bgr") and row.padding in ("", "after", "both")
    assert 0 < row.eps < 0.01
    # PyTorch's names hold the checksum.
    digits = re.search(r"-([0-9a-f]{8})\.pth$", row.name)
    assert not digits or row.sha256.startswith(digits[1])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_whole_checkpoints_say_what_evaluates_them(row):
    whole = row.what == "checkpoint"
    assert bool(row.config) == whole and (row.expect or not whole)
    assert not (whole and row.default)
    if whole:
        name, _, variant = row.config.partition(":")
        module = importlib.import_module(f"ppcjax.configs.{name}")
        method = module.get_config(*filter(None, [variant])).method
        assert row.fits(method.backbone, method.get("backbone_settings"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_layers_of_stride_two_have_a_padding(row):
    """Where a network leaves the choice, a row makes it."""
    free = row.network in ("mobilenet_v2", "efficientnet_lite0")
    assert bool(row.padding) == free


def test_every_start_has_a_row():
    """A config that names weights of a network has weights that are known for it."""
    for start in uses.starts():
        if start.init_from:
            assert known.imagenet(*start.networks[0])
        if "imagenet" in start.init_from.split(","):
            assert uses.named_by(start)


def test_configs_on_a_frozen_network_use_its_weights():
    named = [s.name for s in uses.starts() if s.name.startswith("ppc_dino")]
    assert named == ["ppc_dino", "ppc_dino_folder"]
    used, fitting = uses.users(known.get("dinov2_vits14"))
    assert {*named, "neighbours", "neighbours:frozen"} <= set(used) and not fitting
    assert set(uses.users(known.get("dinov2_vits14_timm"))[1]) == set(used)


@pytest.mark.parametrize("network", sorted({row.network for row in ROWS} - {"vit"}))
def test_one_default_for_each_network(network):
    kinds = {str(row.settings) for row in ROWS if row.network == network}
    defaults = [row for row in ROWS if row.network == network and row.default]
    assert {str(row.settings) for row in defaults} == kinds
    assert len(defaults) == len(kinds)
    for row in defaults:
        assert known.imagenet(network, row.settings) is row
    assert known.imagenet(network)


def test_defaults_of_settings_are_those_of_the_networks():
    """What a config does not say decides, too."""
    plain = known.imagenet("resnet50")
    assert plain is known.imagenet("resnet50", {"stem": "plain", "output_stride": 8})
    assert known.imagenet("resnet50", {"stem": "deep"}) is not plain
    assert BACKBONES["resnet50"].make().stem == "plain"


def test_a_network_without_weights():
    with pytest.raises(UserError, match="small_resnet.*resnet18"):
        known.imagenet("small_resnet")


def test_find():
    assert known.find("") == ROWS
    assert {row.network for row in known.find("vgg16")} == {"vgg16"}
    assert known.get("ppc_seam") in known.find("ppc_voc")
    with pytest.raises(UserError, match="did you mean resnet50"):
        known.find("resnt50")


# ---- the page and the list ----


def test_the_page_is_up_to_date():
    """If it is not: python -m docs.weights."""
    assert page.PAGE.read_text() == page.as_markdown()


def test_the_page_has_every_row_and_its_command():
    text = page.as_markdown()
    for row in ROWS:
        assert f"`{row.id}`" in text and row.licence in text
        assert row.name in text or row.url in text
        if row.what == "checkpoint":
            assert page.command(row) in text


def test_list(capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for row in ROWS:
        assert re.search(rf"^{row.id}: .*{re.escape(known.network_of(row))}", out, re.M)
        assert row.source in out and known.size_of(row) in out
    assert out.count("fetched and read") == len([row for row in ROWS if row.fetched])
    assert main(["list", "vgg16_timm"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("vgg16_timm") and "panet_voc" in out and "resnet" not in out
