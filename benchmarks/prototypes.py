"""Whether a run of PPC has what its contrasts assume: pixels of a class are near.

    python -m benchmarks.prototypes --ckpt RUN --split SPLIT --out DIR [--root PHOTOS]

On batches of masked photos, cut as training cuts them: what pseudo labels are of true
masks, how near pixels lie to the prototypes that the program makes of a batch, and of
what these are made. Chance for a class is the share of all pixels of the photos tagged
with it that get its label. DIR gets prototypes.json, confusion.png, maps.png and a page
of all, prototypes.html. Runs without contrasts have a projection, too, which learnt
nothing.
"""

import argparse
import functools
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import prototype_page
from benchmarks.facts import facts
from benchmarks.prototype_counts import Counts, Photo
from ppcjax import cli, data_pipelines, fields
from ppcjax.evaluate import opening
from ppcjax.methods import common, ppc, ppc_network, ppc_terms
from ppcjax.ops import prototypes
from ppcjax.runs import Run
from ppcjax.types import UserError


class Looked(NamedTuple):
    """What a run makes of a batch, on the grid of the contrasts; classes, not channels.

    truth: [B, h, w] int32 class ids, or IGNORE.
    labels: [B, h, w] int32 pseudo labels.
    near: [B, h, w, C] cosines of pixels to prototypes by name: "own" of the first view,
        "tagged" the same of photos tagged with the class, "other" of the second view,
        "true" of all pixels that masks say; -1 there for a class without one.
    made_of: [B, h, w, C] bool, pixels of those prototypes but the last.
    """

    truth: jax.Array
    labels: jax.Array
    near: dict[str, jax.Array]
    made_of: dict[str, jax.Array]


class Looker(NamedTuple):
    """A run's network, and how its contrasts look at it.

    built: the network.
    contrast: settings of the contrasts.
    small_view: side of the second view, pixels; 0 where there is none.
    aligned: whether corner cells lie on the corners of the photo.
    """

    built: ppc_network.Built
    contrast: ppc_terms.Contrast
    small_view: int
    aligned: bool = True

    @classmethod
    def of(cls, run: Run, threshold: float | None = None) -> "Looker":
        """That of a run, perhaps with another background score in pseudo labels.

        Raises:
            UserError: it is no run of PPC.
        """
        given = dict(run.config["method"])
        if given.pop("name") != "ppc":
            raise UserError(f"{run.name} has no prototypes: give a run of method 'ppc'")
        if threshold is not None:
            given["pseudo_threshold"] = threshold

        def made(declared, **extra):
            known = fields.fields_of(declared)
            chosen = {name: given[name] for name in given if name in known}
            how = {"where": "config.method", "what": "method 'ppc'"}
            return fields.build(declared, chosen, **how, **extra)

        built = made(ppc_network.build, num_classes=len(run.classes))
        seen = run.method.look is None or run.method.second_view
        side = given.get("small_view", fields.fields_of(ppc.ppc)["small_view"].default)
        contrast = made(ppc_terms.Contrast)
        return cls(built, contrast, side if seen else 0, run.method.aligned)

    def look(self, params: Any, model_state: Any, batch: Mapping[str, Any]) -> Looked:
        """What is found of a batch, which has masks."""
        net, entry, order = self.built
        background, classes = net.heads.background, len(order)
        image = common.normalized(batch, entry)
        views = [image]
        if self.small_view:
            views.append(ppc_network.second_view(image, batch, self.small_view))
        outputs = [net.apply({"params": params, **model_state}, v) for v in views]
        grid = outputs[-1].refined.shape[1:3]
        count = ppc_terms.prototype_pixels(grid, self.contrast.prototype_share)
        threshold = self.contrast.pseudo_threshold
        how = {"background": background, "threshold": threshold}
        tagged = self.contrast.prototype_photos == "tagged"
        looked = {"own": (outputs[0], tagged), "tagged": (outputs[0], True)}
        if len(outputs) > 1:
            looked["other"] = outputs[1], tagged
        each = {
            name: ppc_terms.contrast_view(
                output, batch["tags"][:, order], grid, tagged=alone, **how
            )
            for name, (output, alone) in looked.items()
        }
        own = each["own"]
        cells = outputs[0].refined.shape[1:3]
        truth = at_grid(batch["mask"], cells, grid, self.aligned)
        columns = np.argsort(order)  # channel of each class
        near, made_of = {}, {}
        for name, view in each.items():
            centres, top = ppc_terms.view_prototypes(view, count)
            near[name] = own.pixels @ centres[columns].T
            made_of[name] = (top & (view.scores > 0))[:, columns]
        # Of all pixels of a class, each as good as any other.
        shown = jax.nn.one_hot(truth.reshape(-1), classes)
        centres = prototypes.estimate(own.features, shown, shown > 0)
        there = shown.any(0)[None]
        near["true"] = jnp.where(there, own.pixels @ centres.T, -1.0)
        shape = (*truth.shape, classes)
        return Looked(
            truth,
            jnp.asarray(order)[own.labels].reshape(truth.shape),
            {name: value.reshape(shape) for name, value in near.items()},
            {name: value.reshape(shape) for name, value in made_of.items()},
        )


def at_grid(
    mask: jax.Array, cells: tuple[int, int], grid: tuple[int, int], aligned: bool
) -> jax.Array:
    """Masks at the places of a grid to which maps are resized, corners on corners.

    Args:
        mask: [B, H, W].
        cells: rows and columns of the maps.
        grid: rows and columns that they are resized to.
        aligned: whether corner cells of the maps lie on the corners of the photo; else
            each covers a square of pixels.
    """
    places = []
    for side, count, wanted in zip(mask.shape[1:3], cells, grid, strict=True):
        at = np.linspace(0, count - 1, wanted)
        if aligned:
            at *= (side - 1) / max(count - 1, 1)
        else:
            at = (at + 0.5) * side / count - 0.5
        places.append(np.round(at).astype(int))
    rows, columns = places
    return mask[:, rows][:, :, columns]


def batches_of(run: Run, split: str, root: str) -> Iterator[dict[str, np.ndarray]]:
    """Endless batches of masked photos of a split, cut as training cuts them.

    Raises:
        UserError: there is no such split, or a photo of it has no mask.
    """
    data = dict(run.config["data"], with_masks=True, masks="", saliency="", limit=0)
    data["root"] = root or data.get("root", "")
    source = data_pipelines.make_source(
        data, split, classes=run.classes, evaluation=True, lists=run.lists
    )
    return data_pipelines.make_train(data, source, reads="dense", seed=0)


def measure(
    run: Run, looker: Looker, batches: Iterator[Any], *, count: int, shown: int
) -> tuple[Counts, list[Photo]]:
    """Counts over batches, and photos to be drawn.

    Args:
        run: whose network looks.
        looker: how its contrasts look.
        batches: photos with masks, as training cuts them.
        count: how many.
        shown: photos that are drawn, the first ones.
    """
    look = jax.jit(looker.look)
    counts, photos = Counts.empty(run.classes), []
    for batch in itertools.islice(batches, count):
        images = _in_place(batch) if run.method.look else batch["image"]
        batch = run.method.look(batch) if run.method.look else batch
        found = jax.tree.map(np.asarray, look(run.params, run.model_state, batch))
        counts.add(found, batch["tags"])
        for i in range(min(len(images), shown - len(photos))):
            near = found.near["own"][i]
            one = Photo(images[i], batch["mask"][i], found.labels[i], near)
            photos.append(one)
    return counts, photos


def _in_place(batch: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Photos moved to the corners of their canvases, as a frozen network moves them."""
    corners = batch["valid"][:, :2]
    pairs = zip(batch["image"], corners, strict=True)
    return [np.roll(image, -corner, (0, 1)) for image, corner in pairs]


def main(argv: Sequence[str] | None = None) -> None:
    """Measures a run, and writes numbers, pictures and the page."""
    given = _parser().parse_args(argv)
    run = opening.open_any(given.ckpt, None)
    looker = Looker.of(run, given.pseudo_threshold)
    batches = batches_of(run, given.split, given.root)
    counts, photos = measure(
        run, looker, batches, count=given.batches, shown=given.photos
    )
    batches.close()
    found = counts.results() | {
        "run": run.config["name"],
        "step": run.step,
        "split": given.split,
        "pseudo_threshold": looker.contrast.pseudo_threshold,
    }
    said = ["--ckpt", "RUN", "--split", given.split]
    out = Path(given.out).expanduser()
    out.mkdir(parents=True, exist_ok=True)
    head = facts("benchmarks.prototypes", said)
    prototype_page.write(out, found | head, run.classes, photos)
    (out / "prototypes.json").write_text(json.dumps(found | head, indent=1) + "\n")
    print("\n".join(prototype_page.lines(found)))
    print(f"page: {out / 'prototypes.html'}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = functools.partial(parser.add_argument, metavar="")
    add("--ckpt", required=True, help="run of method ppc")
    add("--split", required=True, help="photos with masks")
    add("--out", required=True, help="folder of what is found")
    add("--root", default="", help="where the photos lie now")
    add("--batches", type=int, default=25, help="of the size of training")
    add("--photos", type=int, default=8, help="that are drawn")
    add("--pseudo_threshold", type=float, help="in place of the run's")
    return parser


if __name__ == "__main__":
    cli.one_line(main)
