"""EPS on your own photos with tags, and a saliency map of each: masks with clean edges.

    (none)   EPS
    ppc      PPC on EPS

data.saliency is a folder of grey maps, ID.png of the size of its photo, white where
something stands out, such as any saliency network makes.
Run: python train.py --config configs/eps_folder.py[:ppc] --config.data.root=PHOTOS
         --config.data.saliency=MAPS
"""

from ppcjax.configs import base, eps_voc, ppc_folder


def get_config(variant=""):
    base.choose(variant, eps_voc.VARIANTS)
    c = ppc_folder.get_config()
    c.name = "eps_folder_ppc" if variant else "eps_folder"
    c.method.update(eps_voc.METHOD)
    if not variant:
        c.method.update(eps_voc.ALONE)
    c.data.saliency = ""  # the folder of saliency maps
    c.eval.convention = "eps"
    c.eval.threshold = 0.22 if variant else 0.2
    return c
