"""All that is declared anywhere: settings of configs and modules, options of commands.

What is new in one of the tables is found here, and so by all who ask.
"""

import inspect
import typing
from collections.abc import Iterator
from typing import Any, NamedTuple

from ppcjax import fields
from ppcjax.evaluate import EVALUATIONS, declared, predicting
from ppcjax.evaluate.exporting import EXPORTS
from ppcjax.evaluate.protocol import Request
from ppcjax.methods import asgnet, segment
from ppcjax.nn import backbones, contrast_net
from ppcjax.nn.fpn import FeaturePyramid
from ppcjax.nn.vit import VisionTransformer
from ppcjax.program import score

# What `ppcjax.nn.modules.build` is called with, and what the code itself gives.
MODULES = {
    **{f"backbone {n}": b.make for n, b in backbones.BACKBONES.items()},
    **{f"asgnet head {n}": head for n, head in asgnet.HEADS.items()},
    **{f"segment head {n}": head for n, head in segment.HEADS.items()},
    **{f"contrast head {n}": head for n, head in contrast_net.HEADS.items()},
    "auxiliary head": contrast_net.AuxiliaryHead,
    "pyramid": FeaturePyramid,
    "vit": VisionTransformer,
}
BY_CODE = ("parent", "name", "dtype", "num_classes")
# What each command is told by options; those of train and inspect are configs.
OPTIONS = {
    "predict": predicting.Options,
    "score": score.Options,
    "eval": Request,
    **{f"eval --evaluation={n}": e.settings for n, e in EVALUATIONS.items()},
    **{f"eval --{n}": f for n, f in EXPORTS.items()},
}
# Options that are no setting: what is opened, or is read by the command itself.
OTHERS = ("run", "photos", "trial")


class Declared(NamedTuple):
    """A number, a text or a list that somebody may set.

    owner: what it is a setting of.
    name: what it is called there.
    hint: its annotation.
    """

    owner: str
    name: str
    hint: Any


def of_modules() -> Iterator[Declared]:
    """Fields of modules that a config sets, each class once."""
    seen = set()
    for owner, make in MODULES.items():
        of_class = getattr(make, "func", make)
        hints = typing.get_type_hints(of_class, include_extras=True)
        for name in inspect.signature(make).parameters:
            if name not in BY_CODE and (of_class, name) not in seen:
                seen.add((of_class, name))
                yield Declared(owner, name, hints[name])


def of_options() -> Iterator[Declared]:
    """Options of commands."""
    for owner, what in OPTIONS.items():
        for name, field in fields.fields_of(what, without=OTHERS).items():
            yield Declared(owner, name, field.hint)


def of_configs() -> Iterator[Declared]:
    """Settings of configs."""
    for section in declared.sections():
        for name, field in section.settings.items():
            yield Declared(section.title, name, field.hint)


def all_declared() -> list[Declared]:
    """All of them."""
    return [*of_configs(), *of_modules(), *of_options()]
