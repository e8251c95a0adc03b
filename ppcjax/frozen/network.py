"""A frozen network: photos in, features out, as a pure function and as one that keeps.

    f = backbone(photo)                                    [h, w, D]
    f' = (f / |f|) (I - U U^T), of unit length             with `debias`

U are the first right singular vectors of the features of an image without content, less
their mean (positional debiasing of INSID3).
"""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppcjax.console import caches
from ppcjax.frozen.cache import Cache, digest
from ppcjax.frozen.placing import whole_cells
from ppcjax.frozen.settings import FrozenSettings
from ppcjax.frozen.variables import as_bytes, layout, module_of
from ppcjax.nn.frozen import FrozenFeatures
from ppcjax.nn.layers import clip_to, shrink
from ppcjax.ops import colour

_PROBE = 32  # cells of a side of the image without content
_TINY = 1e-12
_BESIDE = ("class_attention", "attention")  # as they lie behind the features


class Frozen:
    """A network of FrozenSettings with its weights.

    settings: how it is set up.
    variables: its parameters and statistics, NumPy arrays.
    digest: SHA-256 of them, hexadecimal.
    stride: pixels per cell of the features.
    width: channels D of what it gives, those beside the features included.
    """

    def __init__(self, settings: FrozenSettings, variables: Mapping[str, Any]):
        """From settings, and variables of the shapes that `variables.shapes` says."""
        self.settings = settings
        self.variables = variables
        self.digest = hashlib.sha256(as_bytes(variables)).hexdigest()
        self.module, self.entry = module_of(settings)
        features = FrozenFeatures(**layout(settings))
        self.stride, self.width = features.stride, features.in_channels

    def features(self, image: Any, valid: Any = None) -> jax.Array:
        """Features of photos that lie in the top left corners of canvases.

        Args:
            image: [B, H, W, 3] uint8.
            valid: [B, 4] int32 rectangles (0, 0, rows, columns); None: photos fill
                their canvases.

        Returns:
            [B, ceil(H / stride), ceil(W / stride), D] float16, zero beyond the photos.
        """
        return self._features(self.variables, self._directions, image, valid)

    def _features(self, variables, directions, image, valid):
        found, *beside = self._plain(variables, image, valid)
        if directions is not None:
            found = _unit(found)
            found = _unit(found - (found @ directions) @ directions.T)
        return jnp.concatenate([found, *beside], axis=-1).astype(jnp.float16)

    def _plain(self, variables, image, valid):
        """The endpoint and what is kept beside it, as `FrozenFeatures` reads it."""
        extent = None if valid is None else valid[:, 2:]
        pixels = colour.normalize(
            image.astype(jnp.float32) / 255.0,
            valid,
            mean=self.entry.mean,
            std=self.entry.std,
        )
        placed = pixels, extent
        if self.settings.whole_cells:
            placed = whole_cells(pixels, extent, self.stride)
        given = self.module.apply(variables, *placed, **self._wanted)
        names = [self.settings.endpoint, *self._wanted.get("want", ())]
        if "attention" in self.settings.beside:
            names += ["queries", "keys"]
        # Of this output: inner ones may be finer than the last, whose stride is known.
        low = shrink(extent, self.stride)
        return [clip_to(given[name].astype(jnp.float32), low) for name in names]

    @property
    def _wanted(self):
        """Arguments that ask the module for outputs which it gives only then."""
        if "class_attention" in self.settings.beside:
            return {"want": ("class_attention",)}
        return {}

    @functools.cached_property
    def _directions(self):
        """U [D, r] float32; None without `debias`."""
        count = self.settings.debias
        if not count:
            return None
        side = _PROBE * self.stride
        grey = np.full((1, side, side, 3), 128, np.uint8)
        # Compiled first, so that it also runs where another program is being traced.
        given = self.variables, grey, None
        found = np.asarray(jax.jit(self._plain).lower(*given).compile()(*given)[0])
        tokens = found.reshape(-1, found.shape[-1]).astype(np.float64)
        tokens /= np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), _TINY)
        _, _, right = np.linalg.svd(tokens - tokens.mean(0), full_matrices=False)
        return right[:count].T.astype(np.float32)

    @functools.cached_property
    def _placed(self):
        """Arrays on the device once, and the compiled function."""
        return jax.device_put(self.variables), jax.jit(self._features)

    @functools.cached_property
    def cache(self) -> Cache | None:
        """What is kept of it on disk; None where nothing is."""
        root = self._root
        return None if root is None else Cache(root, self._key(), self._most)

    @functools.cached_property
    def _wider(self) -> list[Cache]:
        """What is kept of the same network with more beside the same features."""
        ours = len(self._beside)
        if self._root is None or self._beside != _BESIDE[:ours]:
            return []
        more = [_BESIDE[:count] for count in range(ours + 1, len(_BESIDE) + 1)]
        keys = [self._key() | {"beside": names} for names in more]
        opened = [Cache.existing(self._root, key, self._most) for key in keys]
        return [cache for cache in opened if cache is not None]

    @property
    def _beside(self) -> tuple[str, ...]:
        """What lies behind the features, in that order."""
        return tuple(name for name in _BESIDE if name in self.settings.beside)

    @property
    def _root(self) -> Path | None:
        where = self.settings.cache
        if where == "off":
            return None
        return Path(where).expanduser() if where else caches.folder("features")

    @property
    def _most(self) -> int:
        return int(self.settings.cache_gib * 2**30)

    def _kept(self, name: str) -> np.ndarray | None:
        """The features of that name; None where none are kept."""
        if self.cache is None:
            return None
        found = self.cache.get(name)
        for cache in self._wider if found is None else ():
            found = cache.get(name) if found is None else found
        return None if found is None else found[..., : self.width]

    def _key(self) -> dict[str, Any]:
        """All that decides the features of given pixels, JSON types."""
        free = ("weights", "digest", "batch_size", "cache", "cache_gib")
        settings = dataclasses.asdict(self.settings)
        kept = {name: value for name, value in settings.items() if name not in free}
        # Nothing, as of what was kept before there was more.
        del kept["beside"]
        if not self.settings.whole_cells:
            del kept["whole_cells"]
        if self._beside:
            kept["beside"] = self._beside
        colours = {"pixel_mean": self.entry.mean, "pixel_std": self.entry.std}
        return {**kept, **colours, "weights": self.digest}

    def of_photos(self, images: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """The same for photos on the host, each looked up before it is computed.

        Args:
            images: [M, H, W, 3] uint8, photos in the top left corners.
            sizes: [M, 2] their rows and columns.

        Returns:
            [M, h, w, D] float16.
        """
        names = [_name(image, size) for image, size in zip(images, sizes, strict=True)]
        known = {name: self._kept(name) for name in dict.fromkeys(names)}
        # A single pixel is no photo: it fills a batch.
        real = [i for i, size in enumerate(sizes) if size.max() > 1]
        new = [i for i in real if known[names[i]] is None]
        new = list({names[i]: i for i in new}.values())  # equal photos pass once
        step = self.settings.batch_size
        for at in range(0, len(new), step):
            rows = new[at : at + step]
            for i, found in zip(rows, self._compute(images, sizes, rows), strict=False):
                cells = -(-sizes[i] // self.stride)
                known[names[i]] = found[: cells[0], : cells[1]]
                if self.cache is not None:
                    self.cache.put(names[i], known[names[i]])
        grid = [-(-n // self.stride) for n in images.shape[1:3]]
        out = np.zeros((len(images), *grid, self.width), np.float16)
        for i in real:
            found = known[names[i]]
            out[i, : found.shape[0], : found.shape[1]] = found
        return out

    def _compute(self, images, sizes, rows) -> np.ndarray:
        """Features of some rows, in a batch filled up to a power of two."""
        count = 1 << (len(rows) - 1).bit_length()
        filled = rows + rows[-1:] * (count - len(rows))
        valid = np.concatenate([np.zeros((count, 2), np.int32), sizes[filled]], axis=1)
        variables, function = self._placed
        found = function(variables, self._directions, images[filled], valid)
        return np.asarray(found)


def _unit(x: jax.Array) -> jax.Array:
    """Vectors [..., D] divided by their norms; a zero vector stays zero."""
    return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), _TINY)


def _name(image: np.ndarray, size: np.ndarray) -> str:
    """What pixels are kept under."""
    rows, columns = map(int, size)
    shape = np.array([rows, columns], np.int64).tobytes()
    return digest(shape + np.ascontiguousarray(image[:rows, :columns]).tobytes()).hex()
