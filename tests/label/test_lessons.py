"""Trainings stand on the network that proposes, however its config names it."""

import pytest

from ppcjax.evaluate import opening
from ppcjax.label.lessons import Lessons
from ppcjax.types import UserError


def test_a_config_reads_what_is_typed():
    """Settings of any type come out as they went in, and outputs are its own."""
    settings = {"patch": 8, "width": 12, "depth": 2, "heads": 2, "grid": (4, 4)}
    frozen = {
        **{"backbone": "vit_s14", "backbone_settings": settings, "weights": "a b.npz"},
        **{"endpoint": "stage4", "debias": 15, "cache": "off", "cache_gib": 2.5},
    }
    assert "--config.log_every=5" in Lessons(frozen, 200).words("masks")
    for by, beside in (("masks", ()), ("tags", ("class_attention",))):
        word, *rest = Lessons(frozen, 3).words(by)
        found = opening.read_config(rest)
        assert word == "train" and found["steps"] == 3
        taken = dict(found["frozen"])
        assert (taken["endpoint"], taken["debias"]) == ("embedding", 0)
        assert tuple(taken["beside"]) == beside
        for name in ("backbone", "weights", "cache", "cache_gib"):
            assert taken[name] == frozen[name]
        assert dict(taken["backbone_settings"]) == settings


def test_networks_that_attend_to_nothing_learn_from_tags_by_affinity():
    frozen = {"backbone": "mobilenet_v2", "backbone_settings": {"output_stride": 16}}
    assert Lessons(frozen).words("tags")[1] == "--config=ppc_dino_folder:affinity"
    assert Lessons(frozen).words("masks")[1] == "--config=segment_dino_folder"
    assert Lessons().words("tags") == ["train", "--config=ppc_dino_folder"]
    wrong = {"backbone": "none_such", "weights": "w"}
    assert "--config.frozen.backbone=none_such" in Lessons(wrong).words("tags")
    with pytest.raises(UserError, match="masks, tags"):
        Lessons().words("stars")
