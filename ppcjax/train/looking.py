"""The frozen network under a run that is trained, and its look at the photos before."""

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from ppcjax.console import loops, screen
from ppcjax.frozen import kept
from ppcjax.frozen.batches import attached
from ppcjax.frozen.network import Frozen
from ppcjax.runs import checkpoint
from ppcjax.train import feed
from ppcjax.types import Method, UserError

Batches = Iterator[dict[str, np.ndarray]]


class Looking(NamedTuple):
    """What looks at the photos of a run.

    network: the frozen network; None where the method sees photos itself.
    """

    network: Frozen | None

    @classmethod
    def of(cls, config: Any, workdir: Path) -> "Looking":
        """The network that a run keeps, or the one with which a new run begins.

        Args:
            config: ConfigDict, checked.
            workdir: folder of the run.

        Raises:
            UserError: the weights cannot be had, those of the run are missing or
                damaged, or it began with other cells.
        """
        settings = kept.settings_of(config.to_dict())
        if settings is None:
            return cls(None)
        meta = checkpoint.newest_meta(workdir)
        if (
            meta is None
        ):  # a file of a run that never got to a checkpoint counts nothing
            from ppcjax.weights import frozen

            return cls(frozen.fetch(settings, screen.line))
        began = meta["config"].get("frozen") or {}
        whole = began.get("whole_cells") or False
        if settings.whole_cells not in (None, whole):
            raise UserError(
                f"config.frozen.whole_cells={settings.whole_cells}: the run in "
                f"{workdir} began with {whole}; leave it out, or choose another "
                "--workdir"
            )
        noted = settings.digest or began.get("digest", "")
        settings = dataclasses.replace(settings, digest=noted, whole_cells=whole)
        return cls(kept.needed(workdir, settings))

    @property
    def config(self) -> dict[str, Any]:
        """What the run notes of it, as a part of its config."""
        if self.network is None:
            return {}
        settings = dataclasses.asdict(self.network.settings)
        return {"frozen": settings | {"digest": self.network.digest}}

    def fitted(self, method: Mapping[str, Any]) -> dict[str, Any]:
        """config.method with the size of what it stands on."""
        network = self.network
        return kept.fitted(method, None if network is None else network.settings)

    def under(self, method: Method) -> Method:
        """A method that sees what the network gives."""
        return method if self.network is None else attached(method, self.network)

    def keep(self, workdir: Path) -> None:
        """Keeps the network in the folder of the run."""
        if self.network is not None and jax.process_index() == 0:
            kept.keep(workdir, self.network)


def looked_at(
    method: Method, batches_from: Callable[[int], Batches]
) -> Callable[[int], Batches]:
    """The same batches as a method reads them, with features for photos."""
    if method.look is None:
        return batches_from

    def looked(step: int) -> Batches:
        batches = batches_from(step)
        with contextlib.closing(batches):
            yield from map(method.look, batches)

    return looked


def begin(
    job: Any, workdir: Path, batches_from: Callable[[int], Batches], photos: int
) -> None:
    """Keeps the network of a new run, and has it look at the photos of the first pass.

    Args:
        job: a `ppcjax.train.jobs.Job`.
        workdir: folder of the run, which this process holds.
        batches_from: step -> batches of photos from there on.
        photos: number of photos of the split.
    """
    if job.frozen.network is None or checkpoint.newest_step(workdir) is not None:
        return
    job.frozen.keep(workdir)
    _ahead(job.method, batches_from(0), photos, job.steps)


def _ahead(method: Method, batches: Batches, photos: int, steps: int) -> None:
    """Looks at the photos of the first pass, so that training finds them kept."""
    with contextlib.closing(batches):
        first = next(batches)
        each = feed.count_images(first) // jax.process_count()
        count = min(math.ceil(photos / each), steps)
        taken = itertools.chain([first], itertools.islice(batches, count - 1))
        looked = map(method.look, taken)
        # The last batch begins the next pass, whose photos are those of the first.
        total = min(photos, count * each)
        shown = loops.show_progress(
            itertools.islice((None for _ in looked for _ in range(each)), total),
            total,
            "looking at photos",
            unit="photos",
            compiles="the frozen network",
        )
        for _ in shown:
            pass
