"""The settings of a run, and the check of a whole config before anything starts."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

import jax

from ppcjax import fields
from ppcjax.checkout import program
from ppcjax.console import memory
from ppcjax.fields import Name, OneOf, Range, kinds
from ppcjax.fields.values import LARGEST_INT
from ppcjax.frozen import kept
from ppcjax.train import length, needs, optim, tracking
from ppcjax.types import Method, UserError

# As many as a run has whose steps are not known yet.
LARGEST_STEPS = kinds.MOST
# Parts of a config that declare fields of their own.
PARTS = ("method", "data", "optim", "eval")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The fields of a config that belong to no part of it.

    name: name of the run, whose results go to runs/NAME.
    seed: number that decides the initial parameters, the order of the data and all
        that is drawn.
    steps: updates of the whole run; 0: as many as `passes` take, at least 200, and no
        more than fit into `minutes`. They stay those of the run when it goes on.
    passes: how often each photo is learnt from, where `steps` is 0; of episodes, the
        examples and queries count.
    minutes: bound on the time of training, by the speed of a few steps at the start,
        where `steps` is 0; 0: none.
    log_every: updates between two log lines.
    checkpoint_every: updates between two checkpoints.
    keep_checkpoints: how many of the newest checkpoints stay.
    init_from: weight file or run whose matching weights start this one; "" for none.
    eval_every: updates between two evaluations while training; 0: none.
    patience: evaluations without a better score after which training stops; 0: never.
    keep_best: whether the checkpoint that evaluates best stays too, and is the one
        that is evaluated and loaded.
    track: where all values go besides: "wandb" for Weights & Biases, whose own
        environment variables count; "" for nowhere.
    accumulate: parts of a batch whose gradients are formed one after another, for one
        update by their mean, so that a batch needs the memory of a part. Batch
        statistics, memories and target networks are those of parts, and move with each.
    remat: whether blocks of the network are computed once more in the backward pass, on
        GPUs and TPUs, so that what lies between their layers takes no memory.
    """

    name: Annotated[str, Name()] = "run"
    seed: kinds.Seed = 0
    steps: kinds.Updates = 1000
    passes: Annotated[float, Range(above=0, most=10**6)] = 30.0
    minutes: Annotated[float, Range(0, 10**6), "minutes"] = 60.0
    log_every: kinds.Interval = 50
    checkpoint_every: kinds.Interval = 500
    keep_checkpoints: Annotated[int, Range(1, 10**4)] = 2
    init_from: str = ""
    eval_every: kinds.Updates = 0
    patience: Annotated[int, Range(0, kinds.MOST), "evaluations"] = 0
    keep_best: bool = False
    track: Annotated[str, OneOf(("", *tracking.TRACKERS))] = ""
    accumulate: Annotated[kinds.Batch, "parts"] = 1
    remat: bool = False

    def __post_init__(self):
        """Raises UserError where a setting needs evaluations and there are none."""
        for name in ("patience", "keep_best"):
            if getattr(self, name) and not self.eval_every:
                raise UserError(
                    f"config.{name}={getattr(self, name)} needs evaluations while "
                    "training; set config.eval_every to the updates between two"
                )
            if getattr(self, name) and 0 < self.steps < self.eval_every:
                raise UserError(
                    f"config.{name}={getattr(self, name)} needs evaluations while "
                    f"training, and config.eval_every={self.eval_every} is above "
                    f"config.steps={self.steps}; lower it"
                )
        tracking.check(self.track)


def check(config: Any, reads: str) -> RunSettings:
    """Checks all of a config but its method and its evaluation.

    Args:
        config: a ConfigDict or a mapping.
        reads: what the method reads, see `reads_of`.

    Returns:
        The fields that belong to no part.

    Raises:
        UserError: a field is unknown or missing, its value is not allowed, the devices
            cannot share a batch, or there is nothing to train.
    """
    from ppcjax import data_pipelines  # the training loop itself needs no data side

    known = fields.fields_of(RunSettings)
    for name in set(known).intersection(getattr(config, "keys", tuple)()):
        # First, as settings of parts may be computed from them.
        fields.check(known[name].hint, config[name], f"config.{name}")
    given = fields.check(Mapping[str, Any], config, "config")
    check_trains(_part(given, "method"))
    parts = {name: _part(given, name) for name in PARTS}
    own = {k: v for k, v in given.items() if k not in (*PARTS, "frozen")}
    unknown = sorted(set(own) - set(known))
    if unknown:
        raise UserError(
            f"config.{unknown[0]} is not a setting; those of a config are "
            + ", ".join((*known, *PARTS))
        )
    run = fields.build(RunSettings, own, where="config", what="a run")
    kept.settings_of(given)
    # Whether the steps that passes take are enough for a warm-up is seen to later.
    optim.make(steps=run.steps or LARGEST_INT, **parts["optim"])
    data_pipelines.check(parts["data"], reads)
    check_devices(parts["data"]["batch_size"], run.accumulate)
    check_room(parts["data"], reads)
    return run


def check_method(config: Any) -> None:
    """Checks config.method before any data is opened; modules and classes come later.

    Args:
        config: ConfigDict whose other parts are right.

    Raises:
        UserError: a setting is unknown or missing, or its value is not allowed.
    """
    from ppcjax import methods

    # Where the steps are counted in passes, what refers to them follows.
    settings = length.at(config, config.get("steps") or LARGEST_STEPS)["method"]
    name = settings["name"]
    fields.checked(
        methods.METHODS[name],
        {key: settings[key] for key in settings if key != "name"},
        where="config.method",
        what=f"method {name!r}",
        without=("num_classes",),
    )


def check_trains(method: Mapping[str, Any]) -> None:
    """Raises UserError where the method of config.method has nothing to train."""
    if "name" in method and not trains(method):
        raise nothing_to_train(method["name"])


def nothing_to_train(name: str) -> UserError:
    """What is said where a method, or a method as it is set up, has no loss."""
    return UserError(
        f"method {name!r} has nothing to train; evaluate it: "
        f"{program('eval')} --config CONFIG"
    )


def check_room(data: Mapping[str, Any], reads: str) -> None:
    """Raises UserError where the photos of a batch alone do not fit into memory.

    Args:
        data: config.data, checked.
        reads: what the method reads.
    """
    crop = data["crop"]
    rows, columns = (crop, crop) if isinstance(crop, int) else crop
    photos = length.photos_per_step(data, reads) // jax.process_count()
    needed = photos * (2 if reads == "views" else 1) * rows * columns * 3
    held = memory.of_machine()
    if held and needed > held:
        lower = {name: data[name] for name in needs.OF_DATA if name in data}
        raise UserError(
            f"a batch of photos takes {memory.as_text(needed)}, and this machine has "
            f"{memory.as_text(held)}; lower "
            + " or ".join(f"config.data.{n}={v}" for n, v in lower.items())
        )


def check_devices(batch_size: int, parts: int = 1) -> None:
    """Raises UserError where the devices cannot share each part of a batch.

    Args:
        batch_size: rows of a batch.
        parts: number of its parts.
    """
    devices = jax.device_count()
    if parts > 1 and batch_size % (parts * devices):
        shared = f", each shared by {devices} devices" if devices > 1 else ""
        raise UserError(
            f"config.accumulate={parts} with config.data.batch_size={batch_size}: give "
            f"a batch that is a multiple of {parts * devices}, of {parts} parts{shared}"
        )
    if batch_size % devices:
        raise UserError(
            f"config.data.batch_size={batch_size}: give a multiple of the {devices} "
            "devices, which share each batch"
        )


def check_remat() -> None:
    """Raises UserError where XLA would take the second computation back."""
    if jax.default_backend() == "cpu":
        raise UserError(
            "config.remat=True saves no memory on a CPU, whose compiler joins what is "
            "computed twice; leave it out, or raise config.accumulate"
        )


def reads_of(method: Mapping[str, Any]) -> str:
    """What the method of config.method reads, whatever its settings and classes."""
    return _any_of(method).reads


def trains(method: Mapping[str, Any]) -> bool:
    """Whether the method of config.method has anything to train."""
    return _any_of(method).loss is not None


def _any_of(method: Mapping[str, Any]) -> Method:
    from ppcjax import methods

    return methods.make({"name": method.get("name")}, 3)


def _part(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    if name not in config and name != "eval":
        raise UserError(f"config.{name} is missing; give settings by name")
    return fields.check(Mapping[str, Any], config.get(name, {}), f"config.{name}")
