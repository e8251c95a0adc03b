"""What a command line says of a frozen network, and what is said of mistakes in it."""

import numpy as np
import pytest

from ppcjax.cli import config_args
from ppcjax.configs import ppc_dino
from ppcjax.evaluate import declared
from ppcjax.frozen import kept, variables
from ppcjax.types import UserError
from ppcjax.weights import frozen
from ppcjax.weights.arrays import backbone_arrays
from tests.frozen.networks import network


def _settings(name, *options):
    words = [f"--config.frozen.{option}" for option in options]
    argv = config_args.with_config_first([f"--config={name}", *words])
    config = config_args.parse(config_args.define(argv), declared.hints)
    return kept.settings_of(config.to_dict())


@pytest.mark.parametrize(
    "name",
    ["ppc_dino_folder:affinity", "segment_dino", "panet_dino", "neighbours:frozen"],
)
def test_a_convolutional_network_is_chosen_on_the_command_line(name):
    found = _settings(
        name, "backbone=mobilenet_v2", 'backbone_settings={"output_stride": 16}'
    )
    assert variables.layout(found)["stride"] == 16
    assert _settings(name, "backbone=mobilenet_v2").backbone_settings is None


def test_an_empty_setting_is_none():
    """So that what was kept before there was one is found."""
    assert "backbone_settings" in ppc_dino.FROZEN
    config = {"method": {"backbone": "frozen"}, "frozen": dict(ppc_dino.FROZEN)}
    with_it = kept.settings_of(config)
    del config["frozen"]["backbone_settings"]
    assert kept.settings_of(config) == with_it


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (('backbone_settings={"output_stride": 16}',), "config.frozen.backbone_set"),
        (
            ("backbone=mobilenet_v2", "endpoint=prenorm"),
            "has stage3, stage4",
        ),
        (
            ("backbone=mobilenet_v2", 'backbone_settings={"output_stride": 12}'),
            "config.frozen.backbone_settings.output_stride=12: give one of 8, 16, 32",
        ),
        (("backbone=efficientnet_lite0", "debias=500"), ""),
        (("backbone=mobilenet_v2", "endpoint=stage3", "debias=192"), "debias=192"),
    ],
)
def test_what_a_network_lacks_is_said_of_its_own_settings(options, words):
    found = _settings("ppc_dino_folder:affinity", *options)
    if not words:  # it has channels enough
        assert variables.layout(found) == {"width": 1280, "stride": 8}
        return
    with pytest.raises(UserError) as caught:
        variables.layout(found)
    assert words in str(caught.value) and "config.method" not in str(caught.value)


def test_weights_of_another_network_name_the_setting_to_change(tmp_path):
    file = tmp_path / "resnet.npz"
    held = network(backbone="resnet18", backbone_settings=None).variables
    of_part = {name: {"backbone": value} for name, value in held.items()}
    arrays, _ = backbone_arrays(of_part.pop("params"), of_part)
    np.savez(file, **arrays)
    found = _settings("segment_dino_folder", "backbone=resnet34", f"weights={file}")
    with pytest.raises(UserError, match="config.frozen.backbone=resnet18") as caught:
        frozen.fetch(found, print)
    assert "config.method" not in str(caught.value)
