"""What a frozen network gives from tags, masks and examples, as a table of rows.

    python -m benchmarks.frozen --root VOC --weights FILE --out RESULTS [--rows cam ...]
    python -m benchmarks.frozen --root PHOTOS --folder --weights FILE --out RESULTS
    python -m benchmarks.frozen ... --backbone mobilenet_v2 --rows affinity linear

Each row is trained and evaluated by the commands that a user has, for three seeds, and
kept as RESULTS/ROW-SEED.json; what is there is not made again. What learns from tags
does so on `train` and all photos of `train_aug` but a hundred, and is scored on `train`
with tags told; thresholds are chosen on that hundred. What learns from masks does so on
`train`, and is scored on that hundred. In a folder of photos, with tags.csv and masks/,
the split `val` stands for the hundred.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.facts import facts

CLASSES = "background,cat,cow,dog,horse,person,sheep"
HELD_OUT = slice(1000, 1100)  # of the photos beside `train`, shuffled
_ROOT = Path(__file__).parents[1]


class Row(NamedTuple):
    """A line of the table.

    config: a shipped config, its variant behind a colon.
    train: options of train.py; None where nothing is trained.
    evaluate: options of eval.py.
    of: name of the row whose run is evaluated, where it is not its own; with another
        config, what that run learnt is.
    """

    config: str
    train: tuple[str, ...] | None = ()
    evaluate: tuple[str, ...] = ()
    of: str = ""


_FEW = ("--split=train", "--episodes=60", "--shots=1,5")
ROWS = {
    "cam": Row("ppc_dino:cam"),
    "plain": Row("ppc_dino:plain", None, (), "cam"),
    "affinity": Row("ppc_dino:affinity", None, (), "cam"),
    "self_attention": Row("ppc_dino:self_attention", None, (), "cam"),
    "cam_pixel_refine": Row("ppc_dino:cam", None, ("--pixel_refine=10",), "cam"),
    "cam_crf": Row("ppc_dino:cam", None, ("--crf=k1",), "cam"),
    "seam": Row("ppc_dino:seam"),
    "ppc": Row("ppc_dino"),
    "conv": Row("ppc_dino:affinity"),
    "linear": Row("segment_dino:linear"),
    "decoder": Row("segment_dino"),
    "memory": Row("segment_dino:memory"),
    "neighbours": Row("neighbours:frozen", None, ("--memory_split=train",)),
    "few": Row("panet_dino", None, _FEW),
    "few_scribbles": Row("panet_dino", None, (*_FEW, "--marks=scribbles")),
    "few_boxes": Row("panet_dino", None, (*_FEW, "--marks=boxes")),
    "few_stage4": Row("panet_dino", None, (*_FEW, "--config.frozen.endpoint=stage4")),
    "few_ridge": Row("panet_dino:ridge", None, _FEW),
    "few_ridge_scribbles": Row("panet_dino:ridge", None, (*_FEW, "--marks=scribbles")),
    "few_ridge_boxes": Row("panet_dino:ridge", None, (*_FEW, "--marks=boxes")),
    "few_superpixels": Row("panet_dino:superpixels", None, _FEW),
}


def main() -> None:
    """Makes the rows that are missing, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True, help="folder of the photos")
    parser.add_argument("--folder", action="store_true", help="not in VOC's layout")
    parser.add_argument("--backbone", default="vit_s14", help="the frozen network")
    parser.add_argument("--weights", required=True, help="for config.frozen.weights")
    parser.add_argument("--cache", default="", help="for config.frozen.cache")
    parser.add_argument("--out", required=True, type=Path, help="folder of results")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(given.root).expanduser().resolve()
        root = root if given.folder else _with_held_out(root, Path(folder))
        for name in given.rows:
            for seed in given.seeds:
                file = given.out / f"{name}-{seed}.json"
                if not file.exists():
                    found = _made(name, seed, root, given)
                    file.write_text(json.dumps(found, indent=1) + "\n")
                    print(f"{name} {seed}: {found['scores']}", flush=True)
    print(table(given.out, given.rows))


def _with_held_out(root: Path, folder: Path) -> Path:
    """VOC's layout once more, with lists of photos to learn from and for thresholds."""
    lists = root / "ImageSets" / "Segmentation"
    learnt = (lists / "train.txt").read_text().split()
    known = (lists / "train_aug.txt").read_text().split()
    others = [i for i in known if i not in learnt]
    random.Random(0).shuffle(others)
    for entry in root.iterdir():
        if entry.name != "ImageSets":
            (folder / entry.name).symlink_to(entry)
    ours = folder / "ImageSets" / "Segmentation"
    ours.mkdir(parents=True)
    for file in lists.glob("*.txt"):
        (ours / file.name).symlink_to(file)
    held_out = others[HELD_OUT]
    tagged = [i for i in learnt + others if i not in held_out]
    made = {"tagged": tagged, "held_out": held_out}
    for name, ids in made.items():
        (ours / f"{name}.txt").write_text("\n".join(ids) + "\n")
    return folder


def _made(name: str, seed: int, root: Path, given: Any) -> dict[str, Any]:
    row = ROWS[name]
    run = given.out / "runs" / f"{row.of or name}-{seed}"
    out = given.out / "runs" / f"{name}-{seed}-eval"
    tagged = row.config.startswith("ppc")
    config = _config(row, root, given)
    held_out = "val" if given.folder else "held_out"
    begun = time.monotonic()
    if row.train is not None:
        learnt = [f"--config.seed={seed}", *row.train]
        if not given.folder:
            split = "tagged" if tagged else "train"
            learnt += [f"--config.data.train_split={split}"]
            learnt += [f"--config.data.val_split={held_out}"]
        _run("train.py", *config, *learnt, f"--workdir={run}")
    trained = time.monotonic()
    what = [f"--ckpt={run}"] if row.train is not None or row.of else config
    if row.of and row.config != ROWS[row.of].config:
        file = given.out / "runs" / f"{row.of}-{seed}.safetensors"
        _run("eval.py", f"--ckpt={run}", f"--export_weights={file}")
        what = [*config, f"--config.data.val_split={held_out}", f"--ckpt={file}"]
    if row.config.startswith("panet"):
        what += [f"--seeds={seed}"]
    else:
        what += [f"--split={'train' if tagged else held_out}"]
        what += [] if given.folder else [f"--report_classes={CLASSES}"]
    _run("eval.py", *what, *row.evaluate, f"--root={root}", f"--export={out}")
    metrics = json.loads((out / "metrics.json").read_text())
    return {
        "scores": scores(metrics),
        "seconds": {
            "train": round(trained - begun, 1),
            "evaluate": round(time.monotonic() - trained, 1),
        },
        **facts("benchmarks.frozen", sys.argv[1:]),
    }


def _config(row: Row, root: Path, given: Any) -> list[str]:
    """Arguments that name a row's config, its photos and its network."""
    name, _, variant = row.config.partition(":")
    name += "_folder" if given.folder and name != "panet_dino" else ""
    found = [f"--config=configs/{name}.py" + (f":{variant}" if variant else "")]
    found += [f"--config.data.root={root}", f"--config.frozen.weights={given.weights}"]
    found += [f"--config.frozen.cache={given.cache}"]
    if given.backbone != "vit_s14":
        found += [f"--config.frozen.backbone={given.backbone}"]
        found += ['--config.frozen.backbone_settings={"output_stride": 16}']
    return found


def scores(metrics: dict[str, Any]) -> dict[str, float]:
    """Mean IoU in percent: of the chosen threshold or the arg-max, or of episodes."""
    if "thresholds" in metrics:
        found = metrics["thresholds"]
        kinds = ("chosen", "fixed", "oracle")
        return {k: round(100 * found[k]["mean_iou"], 2) for k in kinds if found.get(k)}
    shots = metrics["shots"]
    return {
        f"{n}-shot": round(100 * of["mean_iou"]["mean"], 2) for n, of in shots.items()
    }


def _run(*words: str) -> None:
    subprocess.run([sys.executable, *words], cwd=_ROOT, check=True)


def table(out: Path, rows: list[str]) -> str:
    """Mean and deviation over seeds of the rows that are there, as Markdown."""
    lines = ["| row | score | mean IoU | seeds | seconds |", "| --- " * 5 + "|"]
    for name in rows:
        found = [json.loads(f.read_text()) for f in sorted(out.glob(f"{name}-?.json"))]
        for kind in found[0]["scores"] if found else ():
            values = [one["scores"][kind] for one in found]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            seconds = statistics.mean(sum(one["seconds"].values()) for one in found)
            lines.append(
                f"| {name} | {kind} | {statistics.mean(values):.1f} +- {spread:.1f} | "
                f"{len(values)} | {seconds:.0f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
