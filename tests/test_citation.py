"""CITATION.cff names this version and the papers that the methods are from."""

from pathlib import Path

import pytest
import yaml

import ppcjax

CITATION = yaml.safe_load((Path(__file__).parents[1] / "CITATION.cff").read_text())
# Method -> what its paper's title must hold.
PAPERS = {
    "ppc": "Pixel-to-Prototype Contrast",
    "pixpro": "Propagate Yourself",
    "panet": "PANet",
    "asgnet": "Adaptive Prototype Learning and Allocation",
    "contrastive_seg": "Exploring Cross-Image Pixel Contrast",
}


def test_the_version_is_that_of_the_package():
    assert CITATION["version"] == ppcjax.__version__


def test_it_is_a_software_citation_with_what_the_format_asks_for():
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] == "software"
    for field in ("message", "title", "authors", "license"):
        assert CITATION[field], field


@pytest.mark.parametrize("words", PAPERS.values(), ids=PAPERS)
def test_the_paper_of_each_system_is_cited_whole(words):
    (paper,) = (p for p in CITATION["references"] if words in p["title"])
    assert paper["type"] == "conference-paper"
    assert paper["collection-title"] and paper["year"] >= 2019
    assert all(author["family-names"] for author in paper["authors"])


def test_every_method_has_a_paper():
    from ppcjax.methods import METHODS

    # AffinityNet and DeepLab are cited beside them, superpixels are ASGNet's; features
    # are of any backbone, and ridge regression is nobody's.
    others = {"affinity", "segment", "features", "superpixels", "ridge"}
    assert set(METHODS) - others == set(PAPERS)
