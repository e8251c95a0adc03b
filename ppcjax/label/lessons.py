"""How a training is typed: on the network that proposes, by masks or by tags."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ppcjax.frozen.settings import FrozenSettings
from ppcjax.frozen.variables import module_of
from ppcjax.nn.vit import VisionTransformer
from ppcjax.types import UserError

# What is learnt from -> the config that does.
CONFIGS = {"masks": "segment_dino_folder", "tags": "ppc_dino_folder"}
_NO_ATTENTION = {
    "tags": ":affinity"
}  # their variant where the network attends to nothing
# Fields of config.frozen that say which network it is, and what is kept of it; which of
# its outputs are taken each config knows best.
_SHARED = (
    *("backbone", "backbone_settings", "weights", "dtype"),
    *("batch_size", "cache", "cache_gib"),
)
_SHOWN = 40  # times that the page shows how far a training is
_RARELY = 50  # steps at most between two of them


@dataclasses.dataclass(frozen=True)
class Lessons:
    """What trainings have in common.

    frozen: fields of config.frozen, those of the network that proposes; empty for the
        defaults of CONFIGS.
    steps: updates of a training; 0: as many as its config takes.
    """

    frozen: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    steps: int = 0

    def words(self, by: str) -> list[str]:
        """Arguments of `ppcjax` but for the folders.

        Args:
            by: what is learnt from, a key of CONFIGS.

        Raises:
            UserError: it is none.
        """
        if by not in CONFIGS:
            raise UserError(f"by: give one of {', '.join(CONFIGS)}")
        variant = "" if self._attends() else _NO_ATTENTION.get(by, "")
        given = [
            f"--config.frozen.{name}={self.frozen[name]}"
            for name in _SHARED
            if name in self.frozen
        ]
        if self.steps:
            every = min(max(self.steps // _SHOWN, 1), _RARELY)
            given += [f"--config.steps={self.steps}", f"--config.log_every={every}"]
        return ["train", f"--config={CONFIGS[by]}{variant}", *given]

    def _attends(self) -> bool:
        names = ("backbone", "backbone_settings")
        given = {name: self.frozen[name] for name in names if name in self.frozen}
        try:
            return isinstance(module_of(FrozenSettings(**given))[0], VisionTransformer)
        except UserError:  # which the training says, too
            return True


DEFAULTS = Lessons()
