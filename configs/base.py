"""Fields that every config has; a config file imports this and overwrites."""

import ml_collections

from ppcjax import fields
from ppcjax.train.settings import RunSettings


def get_config():
    """The fields of RunSettings, which says what each means, at their defaults.

    name               results go to runs/NAME
    seed               decides the initial parameters and all that is drawn
    steps              updates of the run; 0: from passes and minutes
    passes             how often each photo is learnt from, where steps is 0
    minutes            bound on the time of training, where steps is 0
    log_every          updates between log lines
    checkpoint_every   updates between checkpoints
    keep_checkpoints   how many stay
    init_from          weight file or run whose matching weights start this one
    eval_every         updates between evaluations while training; 0: none
    patience           evaluations without a better score that end it; 0: never
    keep_best          whether the checkpoint that evaluates best stays, too
    track              "wandb" for Weights & Biases; "" for nowhere
    accumulate         parts of a batch whose gradients are formed one after another
    remat              whether blocks are computed once more in the backward pass
    """
    return ml_collections.ConfigDict(
        {name: field.default for name, field in fields.fields_of(RunSettings).items()}
    )


def choose(variant, variants):
    """What a table says of a variant; of a collection of names, the name itself.

    Args:
        variant: name on the command line, after the colon; "" where there is none.
        variants: names that there are, or a table of them.

    Raises:
        ValueError: there is no such variant.
    """
    if variant not in variants:
        known = ", ".join(name for name in variants if name)
        raise ValueError(f"no variant {variant!r}; there are {known}")
    return variants[variant] if isinstance(variants, dict) else variant
