"""A server of `ppcjax label` in a process of its own, with a tiny random network."""

import os
import re
import selectors
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from ppcjax.data_pipelines import shapes
from tests.frozen.networks import SETTINGS, network
from tests.test_layering import ROOT

_CONFIG = """
from ppcjax.configs import panet_dino

def get_config():
    c = panet_dino.get_config("ridge")
    c.frozen.update(backbone_settings={settings}, weights={weights!r}, cache="off")
    c.frozen.update(debias=2)
    c.data.crop = c.eval.size = {side}
    c.data.long_side = ({side}, {side})
    return c
"""
_PATIENCE = 120  # seconds until it listens
SIDE = 64  # pixels of photos in the network


def write_photos(folder: Path, count: int = 10, side: int = 96) -> Path:
    """Photos of drawn shapes, 00.png and on."""
    folder.mkdir(parents=True)
    for i in range(count):
        pixels = shapes.scene(0, "test", i, side).image
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
    return folder


def write_config(folder: Path) -> Path:
    """A config of the tiny network, and its weights."""
    from ppcjax.weights.arrays import backbone_arrays

    found = network().variables
    arrays, _ = backbone_arrays({"backbone": found["params"]}, {})
    np.savez(folder / "vit.npz", **arrays)
    weights, file = str(folder / "vit.npz"), folder / "tiny.py"
    settings = SETTINGS["backbone_settings"]
    file.write_text(_CONFIG.format(settings=settings, weights=weights, side=SIDE))
    return file


class Server:
    """A server that runs until it is killed; `url` is the address it printed."""

    def __init__(self, photos: Path, config: Path, *more: str):
        words = ["label", str(photos), f"--config={config}", *more]
        environment = {
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
        }
        self._log = (config.parent / "server.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ppcjax", *words],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self.url = self._opened()

    def _opened(self) -> str:
        end, said = time.monotonic() + _PATIENCE, b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while time.monotonic() < end:
                if not selector.select(timeout=1):
                    continue
                part = os.read(self.process.stdout.fileno(), 4096)
                said += part
                found = re.search(rb"open (http://\S+)\s", said)
                if found:
                    return found[1].decode()
                if not part:
                    break
        self.kill()
        raise AssertionError(Path(self._log.name).read_text()[-2000:])

    @property
    def port(self) -> str:
        """Its port."""
        return re.search(r":(\d+)/", self.url)[1]

    def kill(self) -> None:
        """Ends it with signal 9."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self._log.close()
