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

from ppcjax import checkout, cli
from ppcjax.cli import config_args
from ppcjax.errors import UserError


def main(argv: list[str]) -> None:
    """Trains what the arguments name.

    Raises:
        UserError: no config is given, something about it is wrong, or a library that
            training needs is not installed.
    """
    argv = cli.underscored(argv)
    wants_help = bool(cli.HELP & set(argv))
    if not wants_help and "--inspect" not in argv:
        checkout.require("training", "tensorflow", "tensorboardX")
    argv = config_args.with_config_first(word for word in argv if word not in cli.HELP)
    if not argv or not argv[0].startswith("--config="):
        if wants_help:
            print(help_text())
            return
        cli.complain("--config=CONFIG is missing: one of these, or a file of yours")
        print(listing())
        sys.exit(1)
    given = config_args.define(argv)
    values = given.values
    flags.DEFINE_string("workdir", None, "Folder of the run.", flag_values=values)
    flags.DEFINE_bool("inspect", False, "Only show what is read.", flag_values=values)
    # Here, after the libraries were told to be quiet.
    from ppcjax.evaluate import declared

    config_args.parse(given, declared.hints)
    if wants_help:
        print(help_text(values.config.to_dict()))
    else:
        _train(values, hints(argv[0].partition("=")[2]))


def hints(file: str) -> list[str]:
    """What to say to those who begin a run of a config: what else there is for it.

    Args:
        file: FILE.py or FILE.py:VARIANT.
    """
    other = checkout.on_frozen(file)
    if not other:
        return []
    return [
        f"--config {other} learns from the same photos on a frozen transformer, which "
        "looks at each of them once: docs/frozen.md"
    ]


def _train(values: flags.FlagValues, said: list[str]) -> None:
    """Runs the training loop on all devices of all processes."""
    from ppcjax.evaluate import training
    from ppcjax.train import inspection, loop, mesh, step

    config = values.config
    if values.workdir == "":
        raise UserError("--workdir needs a folder: --workdir=DIR")
    workdir = values.workdir or Path("runs") / str(config.get("name"))
    if values.inspect:
        sys.exit(not inspection.inspect(config, workdir))
    cli.keep_compiled_programs()
    step.inline_on_cpus()
    mesh.maybe_distributed()
    loop.train(
        config,
        workdir,
        scorer=training.scorer,
        check=training.check,
        hints=said,
    )


def help_text(config: dict | None = None) -> str:
    """What --help says: of a config, all its settings.

    Args:
        config: the whole config; None where none is given.
    """
    if config is None:
        return f"{checkout.as_typed(__doc__)}\nShipped configs:\n{listing()}"
    from ppcjax.evaluate import declared

    return f"{checkout.as_typed(__doc__)}\n{declared.help_text(config)}"


def listing() -> str:
    """The shipped configs, a line each."""
    width = max(map(len, checkout.shipped())) + 2
    lines = [f"  {name:<{width}}{text}" for name, text in checkout.shipped().items()]
    return "\n".join(lines)
