"""Marks on a few photos become masks of all the rest, on a page of your browser.

    ppcjax label PHOTOS [--OPTION=VALUE ...] [--config.FIELD=VALUE ...]

PHOTOS is a folder of photos. What is drawn, accepted and proposed goes to
PHOTOS-labels beside it, and nothing else is changed; the same command goes on there.
The features are those of --config panet_dino:ridge, or another few-shot config;
--config.frozen.weights=FILE names its weights.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Annotated, Any

from ppcjax import checkout, cli, fields
from ppcjax.errors import UserError
from ppcjax.fields import Place, Range, options

CONFIG = "panet_dino:ridge"
_USAGE = f"{checkout.program('label')} PHOTOS [--OPTION=VALUE ...]"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Where labels go, and where the page is.

    labels: folder that gets the labels; "" for PHOTOS-labels beside the photos.
    host: address at which the server listens; others than this machine's own let
        other machines in.
    port: its port; 0 for 8765, or the next one that is free.
    steps: updates of a training that the page starts; 0 for as many as its config
        takes.
    """

    labels: Annotated[str, Place()] = ""
    host: str = "127.0.0.1"
    port: Annotated[int, Range(0, 65535)] = 0
    steps: Annotated[int, Range(0, 10**7), "updates"] = 0


def main(argv: list[str]) -> None:
    """Serves the page until it is stopped.

    Raises:
        UserError: an option is foreign, there is no such folder, or a library that the
            page needs is not installed.
    """
    words = cli.underscored(argv)
    if not words or cli.HELP & set(words):
        print(help_text())
        return
    checkout.require("label", "starlette", "uvicorn")
    # After the libraries were told to be quiet.
    from ppcjax.evaluate import opening
    from ppcjax.label import lessons, serving

    of_config, rest = opening.split(words)
    given = options.read(rest, fields.fields_of(Options), what="label")
    chosen = fields.build(Options, given.values, where="options", what="label")
    if len(given.words) != 1:
        raise UserError(
            f"label takes one folder, and {len(given.words)} are given; usage: {_USAGE}"
        )
    photos = Path(given.words[0]).expanduser().resolve()
    if not photos.is_dir():
        raise UserError(f"{given.words[0]}: no such folder; usage: {_USAGE}")
    folder = folder_of(photos, chosen.labels)
    config = opening.read_config(_with_config(of_config))
    cli.keep_compiled_programs()
    serving.serve(
        photos,
        folder,
        functools.partial(_open, config),
        host=chosen.host,
        port=chosen.port,
        lessons=lessons.Lessons(dict(config.get("frozen", {})), chosen.steps),
    )


def folder_of(photos: Path, labels: str) -> Path:
    """Where the labels of a folder of photos go.

    Args:
        photos: the folder, in full.
        labels: what --labels says; "" for nothing.

    Raises:
        UserError: they would go among the photos.
    """
    folder = Path(labels).expanduser().resolve() if labels else None
    if photos == photos.parent:
        raise UserError(f"{photos} is a whole disk; give a folder of photos on it")
    folder = folder or photos.with_name(f"{photos.name}-labels")
    if folder.is_relative_to(photos):
        raise UserError(
            f"--labels={labels}: lies among the photos, which are left as they are; "
            "give a folder beside them"
        )
    return folder


def _with_config(words: list[str]) -> list[str]:
    named = any(word == "--config" or word.startswith("--config=") for word in words)
    return list(words) if named else [f"--config={CONFIG}", *words]


def _open(config: dict[str, Any]) -> Any:
    """The network of a config, which learns from examples, ready for the first ones."""
    from ppcjax.label.warming import warm
    from ppcjax.predict.supports import open_few_shot
    from ppcjax.weights.untrained import open_untrained

    run = open_few_shot(open_untrained(config))
    warm(run)
    return run


def help_text() -> str:
    """What --help says: the options with their values."""
    lines = [checkout.as_typed(__doc__.strip()), ""]
    return "\n".join([*lines, *options.as_help(fields.fields_of(Options))])
