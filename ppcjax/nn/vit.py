"""Vision transformers, as a source of features.

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, as timm, DeiT and DINO
(Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", ICCV 2021)
have it, whose names these are up to "conv" and the words for kernels and scales; and as
DINOv2 has it (Oquab et al., TMLR 2024), whose residual branches are scaled by channel,
with the registers of Darcet et al., ICLR 2024.
"""

import functools
import re
from collections.abc import Sequence
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ppcjax.fields import Range, kinds
from ppcjax.nn.attention import Block, attention_weights
from ppcjax.nn.layers import clip_to, inside, shrink
from ppcjax.nn.modules import Channels, Count
from ppcjax.ops.positions import Rule, resize_positions

# Shares of the blocks after which the stages leave.
STAGES = {"stage2": (1, 2), "stage3": (2, 3), "stage4": (5, 6)}
# Rules of `ppcjax.nn.init.initialize` for training from scratch, DINO's.
INIT_RULES = (
    (r"backbone/.*kernel", lambda rng, shape: 0.02 * rng.standard_normal(shape)),
)
# Outputs that are given only where `want` names them.
ASKED = r"tokens|class|registers|class_attention|attention(\d+)"


class VisionTransformer(nn.Module):
    """The network without its classifier.

    patch: side of a patch in pixels.
    width: D, channels of a token.
    depth: number of blocks.
    heads: heads of each attention, a divisor of the width.
    grid: (rows, columns) of patches that positions are learnt for.
    registers: tokens besides the class token that belong to no patch.
    layer_scale: whether channels of what a block adds have factors, as in DINOv2.
    positions: how positions are resized to another grid, a rule of
        `ppcjax.ops.positions`. None: as the original does, "offset" (DINO, DINOv2)
        without registers and "antialias" with. timm always has "antialias", Hugging
        Face "bicubic" without registers.
    stage_norm: whether stage2 to stage4 pass the last normalisation as well, as what
        DINO and DINOv2 give of inner blocks does.
    attention_block: queries whose weights are formed at once.
    epsilon: what the normalisations add to variances.
    dtype: type of the products.
    """

    patch: Count = 16
    width: Channels = 768
    depth: Count = 12
    heads: Count = 12
    grid: tuple[Count, Count] = (14, 14)
    registers: Annotated[int, Range(0, 1000)] = 0
    layer_scale: bool = False
    positions: Rule | None = None
    stage_norm: bool = False
    attention_block: Annotated[kinds.Block, "tokens"] = 1024
    epsilon: Annotated[float, Range(above=0, most=1)] = 1e-6
    dtype: Any = jnp.float32

    endpoints = (*STAGES, "embedding", "prenorm", "queries", "keys")

    def __post_init__(self):
        """Raises ValueError for settings that do not fit each other."""
        if self.width % self.heads:
            raise ValueError(f"vit width={self.width} is no multiple of heads")
        super().__post_init__()

    @property
    def stride(self) -> int:
        """Pixels per cell of the features."""
        return self.patch

    @nn.compact
    def __call__(self, x, extent=None, *, train=False, want: Sequence[str] = ()):
        """Features of normalised images.

        Args:
            x: [B, H, W, 3]; filled with zeros, the mean colour, at the bottom and on
                the right up to whole patches.
            extent: [B, 2] true rows and columns, or None. Patches beyond it are not
                looked at, and positions are those of the image's own grid.
            train: ignored; the network has neither drop-out nor statistics.
            want: further outputs, which cost more or are no maps.

        Returns:
            Maps [B, h, w, D] of the patches, h = ceil(H / patch): embedding, after
            the last normalisation; prenorm, before it; queries and keys of the last
            block, heads side by side; stage2, stage3 and stage4 after 1/2, 2/3 and
            5/6 of the blocks, rounded up. Where wanted, after the last normalisation:
            tokens [B, T, D], which are the class token, R registers, then patches in
            row-major order; class [B, D]; registers [B, R, D]. Where wanted,
            attention0 and so on [B, heads, T, T] float32, the weights of that block;
            class_attention [B, h, w, 1] float32, the weight that the class token
            gives a patch in the last block, a mean over heads, times the number of
            patches, so that 1 is an even share.

        Raises:
            ValueError: an output is wanted that there is not.
        """
        del train
        layers = self._attentions(want)
        first = 1 + self.registers
        tokens, grid, mask = self._embed(x, extent)

        as_map = functools.partial(token_map, grid=grid, class_token="dropped")
        norm = nn.LayerNorm(epsilon=self.epsilon, dtype=self.dtype, name="norm")
        found, depths = {}, {}
        for name, (share, of) in STAGES.items():
            depths.setdefault(-(-self.depth * share // of), []).append(name)
        for i in range(self.depth):
            tokens, asked, weights = self._block(i)(tokens, mask, i in layers)
            if weights is not None:
                found[f"attention{i}"] = weights
            for name in depths.get(i + 1, ()):
                found[name] = as_map(norm(tokens) if self.stage_norm else tokens)
        found |= {"prenorm": as_map(tokens)}
        found |= dict(zip(("queries", "keys"), map(as_map, asked), strict=True))
        if "class_attention" in want:
            found["class_attention"] = as_map(self._class_attention(*asked, mask))
        tokens = norm(tokens)
        found["embedding"] = as_map(tokens)
        further = {
            "tokens": tokens,
            "class": tokens[:, 0],
            "registers": tokens[:, 1:first],
        }
        return found | {name: y for name, y in further.items() if name in want}

    def _class_attention(self, queries, keys, mask):
        """Weights [B, T, 1] of the class token, a mean over heads, times patches."""
        query, key = (
            x.reshape(*x.shape[:2], self.heads, -1) for x in (queries[:, :1], keys)
        )
        found = jnp.mean(attention_weights(query, key, mask)[:, :, 0], axis=1)
        looked_at = jnp.ones_like(found) if mask is None else mask
        patches = jnp.sum(looked_at[:, 1 + self.registers :], axis=1)
        return (found * patches[:, None])[..., None]

    def _attentions(self, want):
        """Numbers of the blocks whose weights are wanted."""
        found = [(name, re.fullmatch(ASKED, name)) for name in want]
        layers = {match[1]: name for name, match in found if match and match[1]}
        wrong = [name for name, match in found if match is None]
        wrong += [name for i, name in layers.items() if int(i) >= self.depth]
        if wrong:
            raise ValueError(
                f"vit has no output {wrong[0]!r} to ask for; it has tokens, class, "
                f"registers, class_attention and attention0 to "
                f"attention{self.depth - 1}"
            )
        return {int(i) for i in layers}

    def _block(self, i):
        return Block(
            self.heads,
            layer_scale=self.layer_scale,
            epsilon=self.epsilon,
            attention_block=self.attention_block,
            dtype=self.dtype,
            name=f"block{i}",
        )

    def _embed(self, x, extent):
        """First tokens [B, T, D], the grid, and which are looked at [B, T] or None."""
        x = clip_to(x, extent)
        beyond = ((0, -n % self.patch) for n in x.shape[1:3])
        x = jnp.pad(x, ((0, 0), *beyond, (0, 0)))
        batch, grid = x.shape[0], tuple(n // self.patch for n in x.shape[1:3])
        cells = grid[0] * grid[1]
        x = nn.Conv(
            self.width,
            (self.patch, self.patch),
            strides=self.patch,
            padding="VALID",
            dtype=self.dtype,
            conv_general_dilated=_of_patches,
            name="patch_embed",
        )(x)
        normal = nn.initializers.normal(0.02)
        first = self.param("cls_token", normal, (1, 1, self.width))
        size = self.grid[0] * self.grid[1]
        table = self.param("pos_embed", normal, (1, 1 + size, self.width))
        extent = shrink(extent, self.patch)
        rule = self.positions or ("antialias" if self.registers else "offset")
        positions = resize_positions(
            table[0, 1:].reshape(*self.grid, self.width), grid, rule, extent=extent
        )
        patches = (x + positions).reshape(batch, cells, self.width)
        parts = [first + table[:, :1]]
        if self.registers:
            shape = (1, self.registers, self.width)
            parts.append(self.param("register_tokens", normal, shape))
        parts = [jnp.broadcast_to(y, (batch, *y.shape[1:])) for y in parts]
        tokens = jnp.concatenate([*parts, patches], axis=1).astype(self.dtype)
        if extent is None:
            return tokens, grid, None
        mask = inside(positions, extent).reshape(batch, cells)
        mask = jnp.pad(mask, ((0, 0), (1 + self.registers, 0)), constant_values=True)
        return tokens, grid, mask


def _of_patches(x, kernel, strides, *_, precision=None, **__):
    """`jax.lax.conv_general_dilated` where the stride is the kernel's side.

    A matrix product has faster gradients than such a convolution on CPUs.
    """
    (rows, columns), (batch, height, width, depth) = strides, x.shape
    shape = (batch, height // rows, rows, width // columns, columns, depth)
    x = x.reshape(shape)
    return jnp.einsum("bhrwci,rcid->bhwd", x, kernel, precision=precision)


def token_map(
    tokens: jax.Array, grid: tuple[int, int], *, class_token: str
) -> jax.Array:
    """Tokens as a map.

    Args:
        tokens: [B, T, D], the class token and registers first.
        grid: (h, w).
        class_token: "dropped"; or "kept", a known mistake that leaves out the last
            patch instead, so that cell k shows patch k - 1 and cell 0 the class token.

    Returns:
        [B, h, w, D].
    """
    cells = grid[0] * grid[1]
    first = tokens.shape[1] - cells if class_token == "dropped" else 0
    found = tokens[:, first : first + cells]
    return found.reshape(tokens.shape[0], *grid, tokens.shape[-1])
