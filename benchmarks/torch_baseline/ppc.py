"""PPC on WideResNet-38 or MobileNetV2, as `ppcjax.methods.ppc`."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from benchmarks.torch_baseline import ppc_terms
from benchmarks.torch_baseline.cam_net import CamNet
from benchmarks.torch_baseline.layers import Normalize, full_precision, resize
from benchmarks.torch_baseline.mobilenet_v2 import MobileNetV2
from benchmarks.torch_baseline.wide_resnet38 import WideResNet38

HEADS = r"^f"
DEFAULTS = {"backbone": "wide_resnet38", "centred": False, "temperature": 0.1}


class Backbone(NamedTuple):
    """A network that PPC stands on.

    make: (num_classes, centred=...) -> network.
    frozen: pattern in the names of parameters that are never trained.
    colours: mean and deviation of RGB, unless those of `Normalize`.
    """

    make: Callable[..., CamNet]
    frozen: str
    colours: Sequence[tuple[float, float, float]] = ()


_HALF = (0.5, 0.5, 0.5)
BACKBONES = {
    "wide_resnet38": Backbone(WideResNet38, r"bn|^(conv1a|b2|b2_\d)\."),
    "mobilenet_v2": Backbone(MobileNetV2, r"^(stem|block[1-3])\.", (_HALF, _HALF)),
}


class PPC(nn.Module):
    """The network and the loss.

    settings: those of the config's method; the rest is DEFAULTS.
    num_classes: C, the background included.
    net: the network; None: the backbone's, of the published widths.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        num_classes: int,
        *,
        net: CamNet | None = None,
    ):
        super().__init__()
        self.settings = DEFAULTS | dict(settings)
        backbone = BACKBONES[self.settings["backbone"]]
        self.normalize = Normalize(*backbone.colours)
        self.net = net or backbone.make(num_classes, centred=self.settings["centred"])
        for name, p in self.net.named_parameters():
            p.requires_grad_(re.search(backbone.frozen, name) is None)

    def groups(self) -> list[dict[str, Any]]:
        """Parameters by the factor of their rate: the heads learn ten times as fast."""
        named = [(n, p) for n, p in self.net.named_parameters() if p.requires_grad]
        heads = [p for n, p in named if re.search(HEADS, n)]
        rest = [p for n, p in named if not re.search(HEADS, n)]
        return [{"params": heads, "factor": 10.0}, {"params": rest, "factor": 1.0}]

    def before(self, step: int) -> None:
        """Nothing to do before a step."""

    def compile(self) -> None:
        """Compiles network and loss."""
        self.net.compile()
        self.loss = torch.compile(self.loss)

    def loss(self, outputs, tags, sizes, **choices):
        """The loss and its terms.

        Args:
            outputs: maps of the view and of its smaller copy.
            tags: [B, C] in {0, 1}, the background column 1.
            sizes: rows and columns of both views.
            **choices: given to `ppc_terms.contrasts` in place of what is drawn.
        """
        grid = outputs[1].cam.shape[2:]
        count = max(1, int(grid[0] * grid[1] * 0.125))
        threshold = self.settings["pseudo_threshold"]
        views = [
            ppc_terms.contrast_view(output, tags, grid, threshold) for output in outputs
        ]
        choices = {"top": count} | choices
        terms = ppc_terms.seam_terms(outputs, tags, sizes) | ppc_terms.contrasts(
            views, temperature=self.settings["temperature"], **choices
        )
        weights = {"classification": 1.0} | self.settings
        return sum(weights[name] * term for name, term in terms.items()), terms

    def views(self, image):
        """Maps of a normalised view and of its smaller copy, and their sizes."""
        small = resize(image, (self.settings["small_view"],) * 2)
        outputs = [self.net(view) for view in (image, small)]
        return outputs, [tuple(image.shape[2:]), tuple(small.shape[2:])]

    def forward(self, batch):
        """The loss of "image" [B, 3, H, W] and "tags" [B, C]."""
        outputs, sizes = self.views(self.normalize(batch["image"]))
        with full_precision(batch["image"]):
            return self.loss(outputs, batch["tags"], sizes)[0]
