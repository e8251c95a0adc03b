"""Trains what a config describes: `ppcjax train`.

python train.py --config configs/ppc_shapes.py [--config.optim.lr=0.02]
"""

import sys

from ppcjax.program import main

if __name__ == "__main__":
    main("train", *sys.argv[1:])
