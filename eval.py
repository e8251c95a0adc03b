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

from ppcjax import cli


def main(argv: list[str]) -> None:
    """Evaluates what the arguments name."""
    from ppcjax.evaluate import command  # after the libraries were told to be quiet

    command.main(argv)


if __name__ == "__main__":
    cli.run_options(main)
