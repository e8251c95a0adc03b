"""Segmentation with few masks or none, in JAX.

load      a trained run, to segment photos
fewshot   new classes from one to five masked examples
score     how well masks agree with the true ones

What is public is named here; docs/python.md shows how it is used. Errors that tell a
person what to do are `UserError`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ppcjax.checkout import find_packages
from ppcjax.errors import UserError
from ppcjax.version import __version__

if TYPE_CHECKING:
    from ppcjax.evaluate.scoring.result import Scores
    from ppcjax.evaluate.scoring.scoring import score
    from ppcjax.predict.photos import Predictor, Segmentation, load
    from ppcjax.predict.prototypes import Prototypes
    from ppcjax.predict.supports import fewshot

__all__ = [
    "Predictor",
    "Prototypes",
    "Scores",
    "Segmentation",
    "UserError",
    "__version__",
    "fewshot",
    "load",
    "score",
]

# Where the names are that are imported when they are asked for: JAX and what restores
# checkpoints take seconds, which `import ppcjax` and --help need not.
_LATER = {
    "Predictor": "ppcjax.predict.photos",
    "Prototypes": "ppcjax.predict.prototypes",
    "Scores": "ppcjax.evaluate.scoring.result",
    "Segmentation": "ppcjax.predict.photos",
    "fewshot": "ppcjax.predict.supports",
    "load": "ppcjax.predict.photos",
    "score": "ppcjax.evaluate.scoring.scoring",
}

find_packages()


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'ppcjax' has no attribute {name!r}")
    found = getattr(importlib.import_module(_LATER[name]), name)
    globals()[name] = found  # the next time it is found at once
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
