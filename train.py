"""Trains what a config describes: `ppcjax train`.

python train.py --config configs/ppc_shapes.py [--config.optim.lr=0.02]
"""

import signal
import sys

if __name__ == "__main__":
    # Until the program has words of its own, Ctrl-C ends it without a traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    from ppcjax.program import main

    main("train", *sys.argv[1:])
