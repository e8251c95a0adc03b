"""A feature pyramid: the stages of a backbone as maps of one width at many strides.

Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017, section 3; the
coarser levels as in RetinaNet (Lin et al., ICCV 2017), on the pyramid's own last map.
"""

import functools
from collections.abc import Sequence
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.fields import Length, Range
from ppcjax.nn.init import Initializer, OfFanIn
from ppcjax.nn.layers import Conv, clip_to, shrink, stride_of
from ppcjax.nn.modules import Channels
from ppcjax.types import UserError


class FeaturePyramid(nn.Module):
    """Each level is a stage, plus what the coarser ones say of the place.

    A 1x1 convolution brings each stage to `width` channels (the lateral); from coarse
    to fine, the map below is added, each of its cells repeated over those it covers; a
    3x3 convolution gives the level. Further levels are 3x3 convolutions of stride 2,
    with a ReLU before all but the first of them.

    endpoints: stages of the backbone, from fine to coarse. Strides may be equal: the
        sum then has no repetition.
    width: channels of all levels.
    coarser: how many levels to add after the last stage.
    dtype: type of the convolutions.
    """

    endpoints: Annotated[tuple[str, ...], Length(1)] = ("stage2", "stage3", "stage4")
    width: Channels = 256
    coarser: Annotated[int, Range(0, 8)] = 1
    dtype: Any = jnp.float32

    def __post_init__(self):
        """Raises ValueError for a stage that is named twice."""
        if len(set(self.endpoints)) < len(self.endpoints):
            raise ValueError(
                f"pyramid endpoints={self.endpoints!r}: give different stages, fine to "
                "coarse"
            )
        super().__post_init__()

    @nn.compact
    def __call__(
        self, stages: dict[str, jax.Array], size: tuple[int, int], extent=None
    ) -> list[jax.Array]:
        """Maps of all levels, from fine to coarse.

        Args:
            stages: outputs [B, h, w, D] of the backbone, by name.
            size: rows and columns of the image that they are of.
            extent: [B, 2] true rows and columns of the images, or None.

        Returns:
            For each endpoint [B, h, w, width] on its grid, then `coarser` maps of half
            the rows and columns each, rounded up; zero beyond the extent.

        Raises:
            UserError: no such endpoint, or one whose grid is finer than the one before.
        """
        unknown = [name for name in self.endpoints if name not in stages]
        if unknown:
            raise UserError(
                f"method.pyramid.endpoints has {unknown[0]!r}: the backbone has "
                f"{', '.join(stages)}"
            )
        conv = functools.partial(Conv, self.width, use_bias=True, dtype=self.dtype)
        sums = [
            conv(kernel=1, name=f"lateral_{name}")(stages[name])
            for name in self.endpoints
        ]
        grids = [size, *(x.shape[1:3] for x in sums)]
        strides = [stride_of(*pair) for pair in zip(grids, grids[1:], strict=False)]
        for i in range(len(sums) - 1, 0, -1):
            sums[i - 1] = sums[i - 1] + self._repeated(sums[i], strides[i], i, grids[i])
        levels = []
        for name, x, stride in zip(self.endpoints, sums, strides, strict=True):
            extent = shrink(extent, stride)
            levels.append(clip_to(conv(name=f"output_{name}")(x, extent), extent))
        for i in range(1, self.coarser + 1):
            x = levels[-1] if i == 1 else nn.relu(levels[-1])
            x, extent = conv(stride=2, name=f"coarser{i}")(x, extent), shrink(extent, 2)
            levels.append(clip_to(x, extent))
        return levels

    def _repeated(self, x, stride, i, grid):
        """Level i on the finer grid of the one before: the nearest cell's values."""
        cells = zip(x.shape[1:3], grid, strict=True)
        if not all(m <= n * stride < m + stride for n, m in cells):
            fine, coarse = self.endpoints[i - 1 : i + 1]
            raise UserError(
                f"method.pyramid.endpoints: the grid {x.shape[1:3]} of {coarse} does "
                f"not cover {grid} of {fine}; name stages from fine to coarse"
            )
        x = jnp.repeat(jnp.repeat(x, stride, axis=1), stride, axis=2)
        return x[:, : grid[0], : grid[1]]


def _he_uniform(rng, shape, fan_in):
    if len(shape) == 1:  # biases
        return np.zeros(shape)
    return rng.uniform(-1.0, 1.0, shape) * np.sqrt(3.0 / fan_in)


def init_rules(name: str = "pyramid") -> Sequence[tuple[str, Initializer | OfFanIn]]:
    """Rules of `ppcjax.nn.init.initialize` for the pyramid that a module calls `name`.

    Kernels are uniform within sqrt(3 / fan-in), biases 0: He et al. (2015) for a layer
    without ReLU, PyTorch's kaiming_uniform_(a=1), which detection programs call Xavier.
    """
    return ((rf"params/{name}/", OfFanIn(_he_uniform)),)
