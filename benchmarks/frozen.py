"""What a frozen transformer gives from tags, masks and examples, as a table of rows.

    python -m benchmarks.frozen --root VOC --weights FILE --out RESULTS [--rows cam ...]

Each row is trained and evaluated by the commands that a user has, for three seeds, and
kept as RESULTS/ROW-SEED.json; what is there is not made again. What learns from tags
does so on `train` and a thousand photos of `train_aug`, and is scored on `train` with
tags told; thresholds are chosen on a hundred photos beside them. What learns from masks
does so on `train`, and is scored on that hundred.
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
MORE, HELD_OUT = 1000, 100  # photos beside `train` to learn from, and for thresholds
_ROOT = Path(__file__).parents[1]


class Row(NamedTuple):
    """A line of the table.

    config: a shipped config, its variant behind a colon.
    train: options of train.py; None where nothing is trained.
    evaluate: options of eval.py.
    of: name of the row whose run is evaluated, where it is not its own.
    """

    config: str
    train: tuple[str, ...] | None = ()
    evaluate: tuple[str, ...] = ()
    of: str = ""


_FEW = ("--split=train", "--episodes=60", "--shots=1,5")
ROWS = {
    "cam": Row("ppc_dino:cam"),
    "cam_pixel_refine": Row("ppc_dino:cam", None, ("--pixel_refine=10",), "cam"),
    "affinity": Row("ppc_dino:affinity"),
    "affinity_pixel_refine": Row(
        "ppc_dino:affinity", None, ("--pixel_refine=10",), "affinity"
    ),
    "affinity_crf": Row("ppc_dino:affinity", None, ("--crf=k1",), "affinity"),
    "seam": Row("ppc_dino:seam"),
    "ppc": Row("ppc_dino"),
    "ppc_pixel_refine": Row("ppc_dino", None, ("--pixel_refine=10",), "ppc"),
    "ppc_crf": Row("ppc_dino", None, ("--crf=k1",), "ppc"),
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
    parser.add_argument("--root", required=True, help="folder in VOC's layout")
    parser.add_argument("--weights", required=True, help="for config.frozen.weights")
    parser.add_argument("--cache", default="", help="for config.frozen.cache")
    parser.add_argument("--out", required=True, type=Path, help="folder of results")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        root = _with_held_out(Path(given.root).expanduser().resolve(), Path(folder))
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
    made = {"tagged": learnt + others[:MORE], "held_out": others[MORE:][:HELD_OUT]}
    for name, ids in made.items():
        (ours / f"{name}.txt").write_text("\n".join(ids) + "\n")
    return folder


def _made(name: str, seed: int, root: Path, given: Any) -> dict[str, Any]:
    row = ROWS[name]
    run = given.out / "runs" / f"{row.of or name}-{seed}"
    common = [
        f"--config.data.root={root}",
        f"--config.frozen.weights={given.weights}",
        f"--config.frozen.cache={given.cache}",
    ]
    config = f"--config=configs/{row.config.replace(':', '.py:', 1)}"
    config += "" if ":" in row.config else ".py"
    tagged = row.config.startswith("ppc")
    begun = time.monotonic()
    if row.train is not None:
        learnt = (
            f"--config.seed={seed}",
            f"--config.data.train_split={'tagged' if tagged else 'train'}",
            "--config.data.val_split=held_out",
        )
        _run("train.py", config, *common, *learnt, *row.train, f"--workdir={run}")
    trained = time.monotonic()
    out = given.out / "runs" / f"{name}-{seed}-eval"
    what = [f"--ckpt={run}"] if row.train is not None or row.of else [config, *common]
    if row.config.startswith("panet"):
        what += [f"--seeds={seed}", *row.evaluate]
    else:
        split = "train" if tagged else "held_out"
        what += [f"--split={split}", f"--report_classes={CLASSES}", *row.evaluate]
    _run("eval.py", *what, f"--root={root}", f"--export={out}")
    metrics = json.loads((out / "metrics.json").read_text())
    return {
        "scores": scores(metrics),
        "seconds": {
            "train": round(trained - begun, 1),
            "evaluate": round(time.monotonic() - trained, 1),
        },
        **facts("benchmarks.frozen", [name]),
    }


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
