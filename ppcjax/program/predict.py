"""Segments photos of your own: masks, overlays and a table.

    ppcjax predict RUN PHOTOS... [--out DIR]

RUN is a folder that training wrote, an exported model, or, with --config CONFIG, a file
of weights. PHOTOS are photos, folders and quoted patterns. A few-shot run learns its
classes from masked photos, also without any training:

    ppcjax predict --config panet_folder --support EXAMPLES PHOTOS...

DIR gets masks/, overlays/, photos.csv and report.html. The same command goes on where
it was stopped, and with photos that are new.
"""

import shlex

from ppcjax import checkout, cli, fields
from ppcjax.console import screen, signals
from ppcjax.fields.options import as_help

USAGE = f"{checkout.program('predict')} RUN PHOTOS... [--out DIR]"


def main(argv: list[str]) -> None:
    """Segments the photos that the arguments name."""
    words = cli.underscored(argv)
    if not words or cli.HELP & set(words):
        print(help_text() if words else short_help())
        return
    from ppcjax.evaluate import predicting  # after the libraries were told to be quiet

    cli.keep_compiled_programs()
    typed = f"{checkout.program('predict')} {shlex.join(argv)}"
    try:
        predicting.predict(predicting.read(words, USAGE), typed)
    except KeyboardInterrupt as error:
        number = signals.number_of(error)
        screen.line(f"{signals.line(number)}; the same command goes on")
        signals.end_by(number)


def short_help() -> str:
    """What is said where nothing is given."""
    return f"usage: {USAGE}\n\n--help says more."


def help_text() -> str:
    """What --help says."""
    from ppcjax.evaluate.predicting import Options

    return "\n".join([checkout.as_typed(__doc__), *as_help(fields.fields_of(Options))])
