"""What config.frozen says: the network that looks at photos, and what is kept of it."""

import dataclasses
from typing import Annotated, Literal

from ppcjax.fields import Free, OneOf, Place, Range, kinds
from ppcjax.methods.common import Deviation, Fields
from ppcjax.nn.backbones import BACKBONES
from ppcjax.nn.modules import Share


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrozenSettings:
    """A network that is not trained, under a method whose backbone is "frozen".

    Each photo passes it once for each size at which it is looked at. What it gives is
    kept on disk as float16, and taken from there whenever the same pixels come again.

    backbone: name of the network.
    backbone_settings: fields of its module.
    weights: its weights, in any form that config.init_from takes; needed where a run
        begins, which then keeps them.
    endpoint: output of the network that is kept.
    beside: further outputs of a vision transformer that are kept with it:
        "class_attention", a channel, the weight that the class token gives a patch;
        "attention", two channels for each of the tokens', what the last block
        compares patches by.
    pixel_mean: mean of RGB in [0, 1] that the weights were trained with; None for the
        network's own.
    pixel_std: deviation of RGB that they were trained with, in the same units; None
        for the network's own.
    dtype: type of its products.
    debias: directions in which features tell places and not content, that are taken
        out, after which features have unit length; 0 for none. They come of a grey
        image; 10 to 20 suit 384 channels.
    whole_cells: whether photos are brought to sides of whole cells, so that none of the
        last ones lies beside the part of the photo that it stands for. None: those of
        convolutional networks are. A run notes it; those of before do not.
    batch_size: photos that pass the network at a time.
    cache: folder of what is kept; "" for ppcjax/features in the user's cache, "off"
        for none.
    digest: SHA-256 that its variables must have, hexadecimal; "" for any. A run notes
        that of its own.
    cache_gib: largest size of what is kept of this network, in GiB; photos beyond it
        pass the network anew each time.
    """

    backbone: Annotated[str, OneOf(BACKBONES)] = "vit_s14"
    backbone_settings: Fields = None
    weights: str = ""
    endpoint: str = "embedding"
    beside: tuple[Literal["class_attention", "attention"], ...] = ()
    pixel_mean: tuple[Share, Share, Share] | None = None
    pixel_std: tuple[Deviation, Deviation, Deviation] | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    debias: Annotated[int, Range(0, 500), "directions"] = 0
    whole_cells: Annotated[bool | None, Free()] = None
    batch_size: Annotated[kinds.Batch, "photos", Free()] = 4
    cache: Annotated[str, Place()] = ""
    digest: Annotated[str, Free()] = ""
    cache_gib: Annotated[float, Range(0, 10**6), "GiB", Free()] = 20.0
