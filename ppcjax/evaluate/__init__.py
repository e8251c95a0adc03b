"""Evaluations by name, and the ways to one: a command line, and scores in training."""

from ppcjax.evaluate.episodes import choice
from ppcjax.evaluate.episodes import evaluation as episodes
from ppcjax.evaluate.episodes.protocols import EpisodeSettings
from ppcjax.evaluate.masks import evaluation as masks
from ppcjax.evaluate.masks import settings, stages, walked
from ppcjax.evaluate.neighbours import evaluation as neighbours
from ppcjax.evaluate.protocol import Evaluation, nothing
from ppcjax.evaluate.views import evaluation as views
from ppcjax.types import Method

_SHARED = ("split", "root", "images", "export", "limit", "on_bad_image")
_MASKS = (*_SHARED, "anew")


def _giving(gives: str):
    def fits(method: Method) -> bool:
        return method.gives == gives

    return fits


def _is_on_views(method: Method) -> bool:
    return method.gives == "features" and method.reads == "views"


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
        walked.affinity,
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
        _is_on_views,
        _SHARED,
        "correspondences between two views, without labels",
    ),
    "neighbours": Evaluation(
        neighbours.NeighbourSettings,
        neighbours.neighbours,
        masks.check,
        None,
        _giving("features"),
        _MASKS,
        "photos labelled by the patches of masked photos that look most alike",
    ),
}


def fitting(method: Method) -> list[str]:
    """Evaluations of the runs of a method; the first is the one of config.eval.

    That is the one named after what the method gives, where it fits.

    Args:
        method: any method.
    """
    names = [name for name, entry in EVALUATIONS.items() if entry.fits(method)]
    return sorted(names, key=lambda name: name != method.gives)
