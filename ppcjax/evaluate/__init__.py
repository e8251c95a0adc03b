"""Evaluations by name, and the ways to one: a command line, and scores in training."""

from ppcjax.evaluate.episodes import choice
from ppcjax.evaluate.episodes import evaluation as episodes
from ppcjax.evaluate.episodes.protocols import EpisodeSettings
from ppcjax.evaluate.masks import evaluation as masks
from ppcjax.evaluate.masks import settings, stages
from ppcjax.evaluate.protocol import Evaluation, nothing
from ppcjax.evaluate.views import evaluation as views
from ppcjax.types import Method

_SHARED = ("split", "root", "images", "export", "limit", "on_bad_image")
_MASKS = (*_SHARED, "anew")


def _giving(gives: str):
    def fits(method: Method) -> bool:
        return method.gives == gives

    return fits


# What a method gives is the name of its default evaluation; others fit it, too.
EVALUATIONS: dict[str, Evaluation] = {
    "maps": Evaluation(
        settings.MapSettings,
        masks.maps,
        masks.check,
        masks.trial,
        _giving("maps"),
        _MASKS,
        "masks from activation maps, mean IoU at every threshold",
    ),
    "logits": Evaluation(
        settings.LogitSettings,
        masks.logits,
        masks.check,
        masks.trial,
        _giving("logits"),
        _MASKS,
        "masks from class probabilities, mean IoU",
    ),
    "affinity": Evaluation(
        settings.AffinitySettings,
        stages.affinity,
        masks.check,
        None,
        _giving("affinity"),
        _MASKS,
        "scores of an earlier export, carried along affinities",
    ),
    "episodes": Evaluation(
        EpisodeSettings,
        episodes.episodes,
        episodes.check,
        choice.trial,
        _giving("episodes"),
        ("split", "root", "export", "limit", "on_bad_image"),
        "mean IoU on episodes of a published protocol",
    ),
    "supports": Evaluation(
        settings.SupportSettings,
        stages.supports,
        nothing,
        None,
        _giving("episodes"),
        ("images", "export", "limit", "on_bad_image", "anew"),
        "photos segmented by masked examples",
    ),
    "features": Evaluation(
        views.ViewSettings,
        views.features,
        nothing,
        views.trial,
        _giving("features"),
        _SHARED,
        "correspondences between two views, without labels",
    ),
}
