"""Trains what a config describes.

    ppcjax train --config ppc_shapes [--config.optim.lr=0.02]

Results go to runs/NAME; the same command resumes there. --config CONFIG --help lists
the settings of a config with their values. --inspect shows what is read, and a contact
sheet of it, without training. CONFIG is a shipped config by its name, or a file;
NAME:VARIANT is a variant of it.
"""

import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from ppcjax import cli
from ppcjax.evaluate import declared, training
from ppcjax.train import inspection, loop, mesh

CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Name of a shipped config, or file, as NAME[:VARIANT].",
    lock_config=True,
)
WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run; runs/NAME of the config where it is not given."
)
INSPECT = flags.DEFINE_bool(
    "inspect", False, "Only show what is read; writes WORKDIR/inspect/contact.png."
)
flags.mark_flag_as_required("config")


def main(argv: list[str]) -> None:
    """Trains what the arguments name, and exits."""
    # The flag of the config looks for its fields in the arguments of the process.
    sys.argv = ["ppcjax train", *argv]
    cli.run(_train, _help_text)


def _train(_) -> None:
    """Runs the training loop on all devices of all processes."""
    config = CONFIG.value
    workdir = WORKDIR.value or Path("runs") / config.name
    if INSPECT.value:
        sys.exit(not inspection.inspect(config, workdir))
    cli.keep_compiled_programs()
    mesh.maybe_distributed()
    loop.train(config, workdir, scorer=training.scorer)


def _help_text() -> str:
    """What --help says: of a config, all its settings."""
    if CONFIG.value is None:
        return __doc__
    return f"{__doc__}\n{declared.help_text(CONFIG.value.to_dict())}"
