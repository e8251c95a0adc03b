"""What pages say to clusters: Slurm, Kubernetes and Cloud TPU.

Their own options are those that pages use and that their manuals have: a slip of the
keyboard is found. What they start is a command of ours, and is checked as one.
"""

import re
import shlex
from collections.abc import Iterator, Sequence

import yaml

from tests.docs.blocks import Block, Command

# Programs that start a command of ours on other machines, and their options.
LAUNCHERS = {
    "srun": (),
    "gcloud": ("worker", "command", "zone", "project"),
}
_SBATCH = (
    *("nodes", "ntasks-per-node", "gpus-per-node", "cpus-per-task"),
    *("time", "signal", "requeue", "open-mode"),
)
# What a pod of a JobSet and its container have, as far as pages use it.
_CONTAINER = {"name", "image", "command", "args", "env", "resources", "volumeMounts"}


def inside(words: Sequence[str]) -> tuple[str, ...]:
    """The command that a launcher starts.

    Args:
        words: a launcher, its options, and the command or --command="COMMAND".
    """
    name, *rest = words
    if name == "srun":
        return tuple(rest)
    assert rest[:4] == ["compute", "tpus", "tpu-vm", "ssh"], f"pages say no {rest[:4]}"
    given = dict(word[2:].partition("=")[::2] for word in rest if word[:2] == "--")
    unknown = set(given) - set(LAUNCHERS[name])
    assert not unknown, f"{name} has no option {unknown} that pages use"
    assert given.get("worker") == "all", "a run needs all hosts: --worker=all"
    return tuple(shlex.split(given["command"]))


def check_sbatch(block: Block) -> None:
    """Raises AssertionError at an option behind #SBATCH that there is not."""
    for line in block.text.splitlines():
        for option in re.findall(r"(\S+)", line[7:] if line[:7] == "#SBATCH" else ""):
            name = option.partition("=")[0]
            assert name.startswith("--") and name[2:] in _SBATCH, (
                f"{block.page}:{block.line}: sbatch has no {name} that pages use"
            )


def commands_of(block: Block) -> Iterator[Command]:
    """The commands that containers of a YAML file start, whose image is ours."""
    for container in _containers(yaml.safe_load(block.text)):
        unknown = set(container) - _CONTAINER
        assert not unknown, f"{block.page}:{block.line}: a container has no {unknown}"
        program = container.get("command") or ["ppcjax"]  # the image's entry point
        words = (*program, *container.get("args", ()))
        named = {entry["name"]: entry.get("value", "") for entry in container["env"]}
        yield Command(block.page, block.line, words, named, True)


def _containers(found) -> Iterator[dict]:
    for value in found.values() if isinstance(found, dict) else found or ():
        if isinstance(value, dict | list):
            yield from _containers(value)
    if isinstance(found, dict):
        yield from found.get("containers", ())
