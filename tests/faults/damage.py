"""Two small runs with checkpoints, and what can happen to the files of one."""

import contextlib
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ppcjax.runs import checkpoint
from ppcjax.types import TrainState

STEPS = (2, 4)
BEST_STEP = 3
PLACES = [f"checkpoints/{step}" for step in STEPS] + [f"best/{BEST_STEP}"]


class Damage(NamedTuple):
    """What happens to a run.

    what: key of `DAMAGES`.
    seed: seed of everything that is left to chance.
    """

    what: str
    seed: int


def state_of(run: int, step: int) -> TrainState:
    """What a run saves: other numbers for each run and step."""
    rng = np.random.default_rng((run, step))

    def array(*shape):
        return jnp.asarray(rng.standard_normal(shape, dtype=np.float32))

    params = {"head": {"kernel": array(24, 24), "bias": array(24)}, "tail": array(300)}
    moments = {"mu": array(24, 24), "count": jnp.int32(step)}
    return TrainState(jnp.int32(step), params, {"mean": array(24)}, moments)


def save(folder: Path, run: int, place: str, steps, keep: int = 2) -> None:
    """Saves the states of some steps."""
    config = {"name": f"run{run}", "keep_best": False, "method": {"name": "toy"}}
    saver = checkpoint.Checkpoints(
        folder, keep=keep, config=config, classes=("background", "cat"), place=place
    )
    with contextlib.closing(saver):
        for step in steps:
            saver.save(state_of(run, step), step)


def two_runs(root: Path) -> tuple[Path, Path]:
    """Two runs of the same kind, with two checkpoints and a best one each."""
    for number in (0, 1):
        save(root / str(number), number, checkpoint.FOLDER, STEPS)
        save(root / str(number), number, checkpoint.BEST, (BEST_STEP,))
    return root / "0", root / "1"


def files_of(folder: Path) -> list[Path]:
    """All files below a folder, in one order."""
    return sorted(p for p in folder.rglob("*") if p.is_file())


def contents(folder: Path) -> Counter:
    """How often each content lies below a folder, whatever its name."""
    return Counter(
        hashlib.sha256(path.read_bytes()).hexdigest() for path in files_of(folder)
    )


def is_sound(place: Path, saved: Path) -> bool:
    """Whether all that is read of a step is as it was saved; its digests may be gone.

    Args:
        place: the step.
        saved: the same step of the run that nothing happened to.
    """
    found, wanted = (
        {str(p.relative_to(f)): p.read_bytes() if p.is_file() else None for p in paths}
        for f, paths in ((f, _all_but_folders(f)) for f in (place, saved))
    )
    for name in ("_CHECKPOINT_METADATA", "commit_success.txt"):  # nobody reads them
        if found.get(name, b"") is not None:  # but a pipe or a link to nothing
            found.pop(name, None), wanted.pop(name)
    sums = place / "SHA256SUMS"
    if not sums.exists() and not sums.is_symlink():
        del wanted["SHA256SUMS"]
    return found == wanted


def _all_but_folders(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir()]


def _place(run: Path, rng) -> Path:
    return run / PLACES[rng.integers(len(PLACES))]


def _file(folder: Path, rng, least: int = 1) -> Path:
    files = [p for p in files_of(folder) if p.stat().st_size >= least]
    # Most bytes lie in few files, and most files are small: half of the draws each.
    if rng.integers(2):
        sizes = np.array([p.stat().st_size for p in files], float)
        return files[rng.choice(len(files), p=sizes / sizes.sum())]
    return files[rng.integers(len(files))]


def _write(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def flip(run: Path, other: Path, rng) -> None:
    """One bit."""
    path = _file(_place(run, rng), rng)
    content = bytearray(path.read_bytes())
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    _write(path, bytes(content))


def flips(run: Path, other: Path, rng) -> None:
    """Some bits in several steps."""
    for _ in range(rng.integers(2, 9)):
        flip(run, other, rng)


def flip_of_run(run: Path, other: Path, rng) -> None:
    """One bit of the file that says which run it is."""
    path = run / "run_id"
    content = bytearray(path.read_bytes())
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    path.write_bytes(bytes(content))


def truncate(run: Path, other: Path, rng) -> None:
    """A file ends early."""
    path = _file(_place(run, rng), rng)
    _write(path, path.read_bytes()[: rng.integers(path.stat().st_size)])


def lengthen(run: Path, other: Path, rng) -> None:
    """A file goes on."""
    path = _file(_place(run, rng), rng)
    _write(path, path.read_bytes() + rng.bytes(rng.integers(1, 99)))


def zeros(run: Path, other: Path, rng) -> None:
    """A block was never written, as after a power cut."""
    path = _file(_place(run, rng), rng, 8)
    content = bytearray(path.read_bytes())
    start = rng.integers(len(content) - 4)
    stop = rng.integers(start + 1, len(content))
    content[start:stop] = bytes(stop - start)
    _write(path, bytes(content))


def missing(run: Path, other: Path, rng) -> None:
    """A file is gone."""
    _file(_place(run, rng), rng, 0).unlink()


def missing_folder(run: Path, other: Path, rng) -> None:
    """A folder is gone."""
    folders = [p for p in sorted(_place(run, rng).rglob("*")) if p.is_dir()]
    shutil.rmtree(folders[rng.integers(len(folders))])


def swap_within(run: Path, other: Path, rng) -> None:
    """Two files of a step have each other's names."""
    place = _place(run, rng)
    _swap(_file(place, rng), _file(place, rng))


def swap_between(run: Path, other: Path, rng) -> None:
    """A file has the place of that of another step."""
    one, two = rng.permutation(PLACES)[:2]
    _take(run / one, run / two, rng)


def swap_with_other(run: Path, other: Path, rng) -> None:
    """A file has the place of that of another run."""
    place = _place(run, rng)
    _take(place, other / place.relative_to(run), rng)


def swap_items(run: Path, other: Path, rng) -> None:
    """State or meta of a step are those of another step or run, digests stay."""
    one = run / PLACES[rng.integers(len(PLACES))]
    places = [r / p for r in (run, other) for p in PLACES if r / p != one]
    two = places[rng.integers(len(places))]
    item = rng.choice(["state", "meta"])
    shutil.rmtree(one / item)
    shutil.copytree(two / item, one / item)


def swap_steps(run: Path, other: Path, rng) -> None:
    """Two whole steps have each other's numbers."""
    one, two = rng.permutation(PLACES)[:2]
    _swap(run / one, run / two)


def step_of_other(run: Path, other: Path, rng) -> None:
    """A whole step is that of another run."""
    place = _place(run, rng)
    shutil.rmtree(place)
    shutil.copytree(other / place.relative_to(run), place)


def added(run: Path, other: Path, rng) -> None:
    """A file that nobody saved."""
    place = _place(run, rng)
    path = _file(place, rng, 0)
    name = ["process_1", "manifest.ocdbt", "copy of it", "checkpoint"][rng.integers(4)]
    target = path.with_name(name)
    if not target.exists():
        target.write_bytes(path.read_bytes())


def replaced(run: Path, other: Path, rng) -> None:
    """A folder, a pipe or a link to nothing in the place of a file."""
    path = _file(_place(run, rng), rng, 0)
    path.unlink()
    makers = (path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to("nothing"))
    makers[rng.integers(len(makers))]()


def without_digests(run: Path, other: Path, rng) -> None:
    """No digests, and all else as it was."""
    (_place(run, rng) / "SHA256SUMS").unlink()


def without_run(run: Path, other: Path, rng) -> None:
    """Nothing says which run it is, and a bit is flipped."""
    (run / "run_id").unlink()
    flip(run, other, rng)


def stray(run: Path, other: Path, rng) -> None:
    """Folders and files whose names look like steps."""
    names = ["9", "007", "²", "9" * 30, "4.orbax-checkpoint-tmp", "trash"]
    name = names[rng.integers(len(names))]
    path = run / ["checkpoints", "best"][rng.integers(2)] / name
    path.mkdir() if rng.integers(2) else path.write_bytes(b"mine")


DAMAGES: dict[str, Callable] = {
    made.__name__: made
    for made in (
        flip,
        flips,
        flip_of_run,
        truncate,
        lengthen,
        zeros,
        missing,
        missing_folder,
        swap_within,
        swap_between,
        swap_with_other,
        swap_items,
        swap_steps,
        step_of_other,
        added,
        replaced,
        without_digests,
        without_run,
        stray,
    )
}


def do(damage: Damage, run: Path, other: Path) -> None:
    """Does what a damage says to a run."""
    DAMAGES[damage.what](run, other, np.random.default_rng(damage.seed))


def _swap(one: Path, two: Path) -> None:
    if one != two:
        aside = one.with_name("aside")
        one.rename(aside)
        two.rename(one)
        aside.rename(two)


def _take(place: Path, source: Path, rng) -> None:
    """A file of the one step replaces one of the other, of the same name if it can."""
    path = _file(place, rng)
    same = source / path.relative_to(place)
    _write(path, (same if same.is_file() else _file(source, rng)).read_bytes())
