"""What `ppcjax predict` costs beside the network: many photos, a kill, going on.

    python -m benchmarks.predicting --photos=100000

A stand-in for the network looks at the colours of tiny photos, so that what is measured
is the rest: finding and reading photos, masks, overlays, notes, the table, the report.
A process is killed when 60 % of the photos are finished, another one goes on, and its
results are compared with those of one that was not killed, file by file. Prints the
processor seconds and the largest memory of each process.
"""

import argparse
import io
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 8  # of the photos, pixels
FOLDER = 1000  # photos in one
KILLED_AT = 0.6  # share of the photos


def main() -> None:
    """Runs what the module says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--folder", help="where to; else a temporary folder")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        _predict(*given.step)
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        place = Path(folder)
        _write_photos(place / "photos", given.photos)
        _step("whole", place, 0)
        (place / "out").rename(place / "whole")
        _step("killed", place, round(KILLED_AT * given.photos))
        _step("goes on", place, 0)
        same, total = _compare(place / "out", place / "whole")
        print(f"{same} of {total} files are equal")
        if same != total:
            sys.exit(1)


def _write_photos(folder: Path, count: int) -> None:
    """Writes `count` photos, all of other colours."""
    rng = np.random.default_rng(0)
    for i in range(count):
        pixels = rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
        file = folder / f"{i // FOLDER:03d}" / f"{i % FOLDER:03d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "PNG")
        file.write_bytes(content.getvalue())


def _step(name: str, place: Path, kill_at: int) -> None:
    """One process; prints what it cost."""
    words = [sys.executable, "-m", "benchmarks.predicting", "--step"]
    words += [str(place / "photos"), str(place / "out"), str(kill_at)]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, -signal.SIGKILL):
        sys.exit(done.returncode)
    for line in done.stdout.splitlines():
        if "finished and kept" in line:
            print(f"  {line}")
    cpu = sum(getattr(after, x) - getattr(before, x) for x in ("ru_utime", "ru_stime"))
    print(
        f"{name}: {cpu:.1f} s of a processor, {time.monotonic() - begun:.1f} s, at "
        f"most {after.ru_maxrss // 1024} MiB so far",
        flush=True,
    )


def _predict(photos: str, out: str, kill_at: str) -> None:
    """What `ppcjax predict` does once it has opened a run."""
    from ppcjax.evaluate.driver import evaluate
    from ppcjax.evaluate.masks import evaluation, settings
    from ppcjax.evaluate.masks.photos import Photos
    from ppcjax.evaluate.protocol import Request
    from ppcjax.runs import Run
    from ppcjax.types import Method

    config = {"name": "stand-in", "data": {}, "method": {"name": "stand-in"}}
    method = Method(None, None, None, gives="logits")
    weights = {"w": np.zeros(1)}
    classes = ("background", "red", "green")
    run = Run(Path("stand-in"), 1, config, classes, method, weights, {})
    request = Request(photos=(photos,), export=out, on_bad_image="skip")
    chosen = settings.LogitSettings(output=settings.Output(scores=False))
    of = Photos.of(run, request).going_on(run, chosen)
    found = _predictions(of, int(kill_at))
    plan = evaluation.probabilities_plan(run, of, found, chosen.scoring, chosen.output)
    evaluate("logits", plan, chosen, Path(out))


def _predictions(of, kill_at: int) -> Iterator:
    from ppcjax.predict.prediction import Finished, Prediction

    examples = (e for e in of.examples() if not isinstance(e, Finished))
    for count, example in enumerate(examples):
        if kill_at and count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        red_green = example.image[..., :2].astype(np.float32) / 600
        background = 1 - red_green.sum(-1, keepdims=True)
        yield Prediction.of_probabilities(
            example, np.concatenate([background, red_green], -1)
        )


def _compare(ours: Path, whole: Path) -> tuple[int, int]:
    """How many files of two folders are equal, and how many there are in either."""
    names = [
        {f.relative_to(folder) for f in folder.rglob("*") if f.is_file()}
        for folder in (ours, whole)
    ]
    total = (names[0] | names[1]) - {Path("finished.jsonl")}
    both = (names[0] & names[1]) & total
    same = sum((ours / n).read_bytes() == (whole / n).read_bytes() for n in both)
    return same, len(total)


if __name__ == "__main__":
    main()
