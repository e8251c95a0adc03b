"""Fields that every config has; a config file imports this and overwrites."""

import ml_collections


def get_config():
    c = ml_collections.ConfigDict()
    c.name = "run"  # results go to runs/NAME
    c.seed = 0
    c.steps = 1000  # optimizer updates
    c.log_every = 50  # steps between log lines
    c.checkpoint_every = 500  # steps between checkpoints
    c.keep_checkpoints = 2
    c.eval_every = 0  # steps between two evaluations while training; 0: none
    c.patience = 0  # evaluations without a better score until it stops; 0: never
    c.keep_best = False  # whether the best checkpoint is kept, and is what counts
    c.init_from = ""  # weight file or run whose matching weights start this one
    return c
