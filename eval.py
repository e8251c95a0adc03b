"""Evaluates a checkpoint: scores, masks and a report.

python eval.py --ckpt runs/NAME                        the config's eval split
python eval.py --ckpt runs/NAME --help                 the options of this run
python eval.py --ckpt runs/NAME --images photos/       photos of your own
python eval.py --ckpt runs/NAME --crf k1 --alpha 8     masks refined by a dense CRF
python eval.py --ckpt runs/AFFINITY --cams EXPORTED    scores carried along affinities
python eval.py --ckpt runs/FEWSHOT --shots 1,5         episodes of a protocol
python eval.py --ckpt runs/FEWSHOT --support DIR --images photos/
python eval.py --ckpt runs/PIXPRO                      correspondences of two views
python eval.py --ckpt runs/NAME --export_backbone FILE.safetensors

Writes to --export (default RUN/eval-SPLIT): metrics.json, provenance.json, report.html,
and of photos masks/ID.png, scores/ID.npz, overlays/ID.jpg and classes.txt.
"""

import signal
import sys

if __name__ == "__main__":
    # Until the program has words of its own, Ctrl-C ends it without a traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    from ppcjax.program import main

    main("eval", *sys.argv[1:])
