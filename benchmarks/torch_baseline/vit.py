"""A vision transformer without its classifier, under the names of DINO and DINOv2."""

import torch
import torch.nn.functional as F
from torch import nn


class Scale(nn.Module):
    """A factor for each channel."""

    def __init__(self, width: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * self.gamma


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(query, key, value)
        return self.proj(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and a perceptron, each normalised before, scaled and added."""

    def __init__(self, width: int, heads: int, *, layer_scale: bool):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)}
        )
        self.ls1 = Scale(width) if layer_scale else nn.Identity()
        self.ls2 = Scale(width) if layer_scale else nn.Identity()

    def forward(self, x):
        x = x + self.ls1(self.attn(self.norm1(x)))
        y = self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))
        return x + self.ls2(y)


class VisionTransformer(nn.Module):
    """[B, 3, H, W] to tokens of the patches [B, n, width].

    patch: side of a patch in pixels, of which those of photos are multiples.
    width: channels of a token.
    depth: number of blocks.
    heads: heads of each attention.
    grid: rows and columns of patches that positions are learnt for.
    layer_scale: whether channels of what a block adds have factors.

    Positions of another grid are resized as Hugging Face does.
    """

    def __init__(
        self,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        grid: tuple[int, int],
        *,
        layer_scale: bool,
    ):
        super().__init__()
        self.grid = grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(
            0.02 * torch.randn(1, 1 + grid[0] * grid[1], width)
        )
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, patch, patch)})
        self.blocks = nn.ModuleList(
            Block(width, heads, layer_scale=layer_scale) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x):
        x = self.patch_embed["proj"](x)
        table = self.pos_embed[:, 1:].unflatten(1, self.grid).permute(0, 3, 1, 2)
        if x.shape[2:] != table.shape[2:]:
            table = F.interpolate(
                table, x.shape[2:], mode="bicubic", align_corners=False
            )
        patches = (x + table).flatten(2).transpose(1, 2)
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(x), -1, -1)
        tokens = torch.cat([first, patches], 1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)[:, 1:]
