"""Speed of the input pipeline: of one config, or of all that training uses, per core.

    python -m benchmarks.input --config configs/ppc_voc.py --step-ms 350
    python -m benchmarks.input --published --json benchmarks/results/input.json

The first prints images per second of a config on its own data and, where the time of a
step is given (benchmarks.step tells it), whether the pipeline keeps up with it. The
second makes photos of usual sizes by itself and counts images per second of CPU, of all
threads, which is images/s of one core: other work on the machine hardly changes it.
Beside it stands what a GPU takes, by the races in benchmarks/results, how many cores
eight such GPUs want, and the share of 16 cores per GPU that is busy then. Few-shot
methods count episodes, and views are two of each photo.
"""

import argparse
import functools
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections

from benchmarks import config as configs
from benchmarks import photo_sets
from benchmarks.facts import facts
from ppcjax import cli, data_pipelines
from ppcjax.train.settings import reads_of

RESULTS = Path(__file__).with_name("results")
GPUS, CORES = 8, 16  # of a machine, and cores for each of its GPUs


class Pipeline(NamedTuple):
    """A pipeline that is measured.

    title: what it gives.
    config: the config whose data section it is.
    write: makes the data in a folder; gives fields of config.data.
    race: the method whose races say what a GPU takes; "" where there is none.
    """

    title: str
    config: str
    write: Callable[[Path], dict[str, Any]]
    race: str = ""


_jpegs = functools.partial(
    photo_sets.write_folder, size=photo_sets.STREETS, count=8, tags=False
)
_phone = functools.partial(photo_sets.write_folder, size=photo_sets.PHONE, count=4)
PIPELINES = {
    "ppc": Pipeline(
        "VOC, tags, 448", "configs/ppc_voc.py", photo_sets.write_voc, "ppc"
    ),
    "eps": Pipeline(
        "VOC, tags and saliency, 448", "configs/eps_voc.py:ppc", photo_sets.write_eps
    ),
    "deeplab": Pipeline(
        "VOC, masks, 448", "configs/deeplab_voc.py", photo_sets.write_voc
    ),
    "pixpro": Pipeline(
        "ImageNet, two views, 224",
        "configs/pixpro_imagenet.py",
        photo_sets.write_imagenet,
        "pixpro",
    ),
    "panet": Pipeline(
        "VOC, episodes, 417", "configs/panet_voc.py", photo_sets.write_voc
    ),
    "asgnet": Pipeline(
        "VOC, episodes, 473", "configs/asgnet_voc.py", photo_sets.write_voc, "asgnet"
    ),
    "contrastive": Pipeline(
        "Cityscapes (PNG), masks, 512 x 1024",
        "configs/contrastive_cityscapes.py",
        photo_sets.write_streets,
        "contrastive_seg",
    ),
    "folder": Pipeline(
        "folder of 12 megapixels, tags", "configs/ppc_folder.py", _phone
    ),
    "folder_masks": Pipeline(
        "folder of 2048 x 1024 (JPEG), masks", "configs/contrastive_folder.py", _jpegs
    ),
}


def stream_of(data: Any, *, reads: str, batch_size: int | None = None):
    """Training batches of config.data."""
    source = data_pipelines.make_source(data, data.train_split, reads=reads)
    return data_pipelines.make_train(
        data, source, reads=reads, seed=0, batch_size=batch_size
    )


def measure(data: Any, *, reads: str, batches: int, warm_up: int = 3) -> float:
    """Images per second of the training batches of config.data.

    Args:
        data: config.data.
        reads: what the method reads.
        batches: number of timed batches.
        warm_up: batches before, which fill the queues.
    """
    stream = stream_of(data, reads=reads)
    for _ in itertools.islice(stream, warm_up):
        pass
    start = time.perf_counter()
    images = sum(rows(batch) for batch in itertools.islice(stream, batches))
    return images / (time.perf_counter() - start)


def rows(batch: Mapping[str, Any]) -> int:
    """Photos, or episodes, of a batch."""
    return len(next(iter(batch.values())))


def per_core(
    data: Any, *, reads: str, seconds: float, batch_size: int = 8, warm_up: int = 3
) -> float:
    """Images per second of CPU, that of all threads of this process.

    Args:
        data: config.data.
        reads: what the method reads.
        seconds: CPU that is spent at least.
        batch_size: rows of a batch, which change little.
        warm_up: batches before, which fill the queues.
    """
    stream = stream_of(data, reads=reads, batch_size=batch_size)
    for _ in itertools.islice(stream, warm_up):
        pass
    start, images = time.process_time(), 0
    while time.process_time() - start < seconds:
        images += rows(next(stream))
    return images / (time.process_time() - start)


def of_gpus(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """What a GPU takes by method: "images_per_s", and the "result" with the most."""
    found: dict[str, dict[str, Any]] = {}
    for file in sorted(folder.glob("*.json")):
        record = json.loads(file.read_text())
        rate = record.get("sides", {}).get("ppcjax", {}).get("images_per_s", 0.0)
        if not rate or record["options"]["device"] != "gpu":
            continue
        method = record["options"]["method"]
        if rate > found.get(method, {}).get("images_per_s", 0.0):
            found[method] = {"images_per_s": rate, "result": file.name}
    return found


def verdict(rate: float, needed: Mapping[str, Any] | None) -> dict[str, Any]:
    """The arithmetic of a pipeline.

    Args:
        rate: images/s of a core.
        needed: entry of `of_gpus`, or None.

    Returns:
        "fed_by_16": images/s that the cores of one GPU make; and where it is known what
        a GPU takes, "cores_of_8": cores that eight of them want, and "busy": the share
        of their 16 cores each.
    """
    found: dict[str, Any] = {"per_core": rate, "fed_by_16": CORES * rate}
    if needed:
        cores = GPUS * needed["images_per_s"] / rate
        found |= {"gpu": needed, "cores_of_8": cores}
        found["busy"] = cores / (GPUS * CORES)
    return found


def measure_published(name: str, seconds: float) -> dict[str, Any]:
    """What the JSON says of a pipeline."""
    pipeline = PIPELINES[name]
    settings = ml_collections.ConfigDict(configs.load(pipeline.config))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        settings.data.update(pipeline.write(root))
        files = [f for f in root.rglob("*") if f.suffix in (".jpg", ".JPEG")]
        files = files or list(root.rglob("*leftImg8bit.png"))
        kilobytes = sum(file.stat().st_size for file in files) / len(files) / 1e3
        reads = reads_of(settings.method)
        rate = per_core(settings.data, reads=reads, seconds=seconds)
    found = {"title": pipeline.title, "config": pipeline.config}
    found |= {"photo_kilobytes": kilobytes}
    return found | verdict(rate, of_gpus().get(pipeline.race))


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The Markdown table of docs/performance.md."""
    head = ["pipeline", "kB a photo", "images/s of a core", "16 cores feed"]
    head += ["a GPU takes", f"cores for {GPUS} GPUs", "busy of 16 each"]
    lines = [head, ["---"] * len(head)]
    for found in results.values():
        cells = [found["title"], f"{found['photo_kilobytes']:,.0f}"]
        cells += [f"{found['per_core']:,.1f}", f"{found['fed_by_16']:,.0f}"]
        if "gpu" in found:
            cells += [f"{found['gpu']['images_per_s']:,.0f}"]
            cells += [f"{found['cores_of_8']:,.0f}", f"{found['busy']:.0%}"]
        else:
            cells += ["not measured", "", ""]
        lines.append(cells)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main(argv: list[str] | None = None) -> None:
    """Prints the speed and the verdict, or the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--config", help="a .py[:VARIANT] or .json")
    what.add_argument(
        "--published",
        nargs="*",
        choices=list(PIPELINES),
        help="pipelines on made photos; all unless named",
    )
    add("--batches", type=int, default=30, help="timed batches of --config")
    add("--step-ms", type=float, help="time of a training step of --config")
    add("--seconds", type=float, default=20.0, help="CPU for each of --published")
    add("--json", type=Path, help="file for the numbers of --published")
    arguments = parser.parse_args(argv)
    if arguments.config is None:
        names = arguments.published or list(PIPELINES)
        found = {}
        for name in names:
            found[name] = measure_published(name, arguments.seconds)
            print(f"{name}: {found[name]['per_core']:.1f} a second of CPU", flush=True)
        print(table(found))
        if arguments.json:
            head = facts("benchmarks.input", ["--published", *names])
            text = json.dumps(head | {"pipelines": found}, indent=1)
            arguments.json.write_text(text + "\n")
        return
    settings = ml_collections.ConfigDict(configs.load(arguments.config))
    reads = reads_of(settings.method)
    rate = measure(settings.data, reads=reads, batches=arguments.batches)
    print(f"pipeline      {rate:.1f} images/s")
    if arguments.step_ms:
        needed = settings.data.batch_size / arguments.step_ms * 1e3
        found = "keeps up" if rate >= needed else "does NOT keep up"
        print(f"step needs    {needed:.1f} images/s: the pipeline {found}")


if __name__ == "__main__":
    cli.one_line(main)
