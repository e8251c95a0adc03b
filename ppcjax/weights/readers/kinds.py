"""What a file is, told by its bytes and not by its name."""

import re
from collections.abc import Callable

from ppcjax.weights.readers.errors import Refusal, quoted

HEAD_SIZE = 4096
READ_HERE = (
    "PyTorch (.pth, .pt, .bin, .ckpt, .pkl), safetensors, MXNet .params, .npz and ONNX"
)

# First bytes of files that are known and not read, and what to do with them.
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (
        b"version https://git-lfs",
        "is a pointer of git-lfs, not the weights; run `git lfs pull` where it is from",
    ),
    (
        b"\x89HDF\r\n\x1a\n",
        "is an HDF5 file (Keras); load it there and save the weights with numpy.savez",
    ),
    (b"GGUF", "is a GGUF file; take the safetensors file of these weights"),
    (b"\x1f\x8b", "is compressed with gzip; unpack it (gunzip) and give the result"),
    (b"BZh", "is compressed with bzip2; unpack it (bunzip2) and give the result"),
    (b"\xfd7zXZ\0", "is compressed with xz; unpack it (unxz) and give the result"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd; unpack it and give the result"),
    (b"7z\xbc\xaf", "is a 7z archive; unpack it and give the file inside"),
    (b"Rar!", "is a RAR archive; unpack it and give the file inside"),
    (
        b"\x93NUMPY",
        "is one array without a name; put the arrays into an .npz with numpy.savez",
    ),
    (
        b"MATLAB 5.0",
        "is a MATLAB file; load it with scipy.io and save it with numpy.savez",
    ),
    (
        b"model_checkpoint_path:",
        "is the list of a TensorFlow checkpoint; read that with "
        "tf.train.load_checkpoint and save the weights with numpy.savez",
    ),
    (
        b"\x08\x01\x12",
        "is a TensorFlow SavedModel; load it there and save the weights with "
        "numpy.savez",
    ),
)
_TABLE_END = bytes.fromhex("57fb808b247547db")
_ONNX = re.compile(rb"\x08[\x02-\x40][\x12\x1a\x22\x28\x32\x3a\x42\x72]")
_MSGPACK = re.compile(rb"[\x81-\x8f\xde\xdf].{0,4}[\xa1-\xbf\xd9]", re.DOTALL)
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]*")


def kind_of(head: bytes, tail: bytes) -> str:
    """What a file is.

    Args:
        head: its first bytes, 4096 of them if there are as many.
        tail: its last 8 bytes.

    Returns:
        "safetensors", "zip", "torch", "mxnet" or "onnx".

    Raises:
        Refusal: it is something else; the text says what and what to do.
    """
    if not head:
        raise Refusal("is empty; download it again")
    if head[8:9] == b"{" and not (head[:8].isascii() and _printable(head[:8])):
        return "safetensors"
    for magic, text in _FOREIGN:
        if head.startswith(magic):
            raise Refusal(text)
    if head[4:8] == b"TFL3":
        raise Refusal(
            "is a TensorFlow Lite model; take weights of before the conversion"
        )
    if tail == _TABLE_END:
        raise Refusal(
            "is the index of a TensorFlow checkpoint; read that with "
            "tf.train.load_checkpoint and save the weights with numpy.savez"
        )
    for kind, is_kind in _KINDS.items():
        if is_kind(head):
            return kind
    if _MSGPACK.match(head):
        raise Refusal("is a msgpack file (Flax); save the weights with numpy.savez")
    _refuse_text(head)
    raise Refusal(f"is of an unknown format; what is read: {READ_HERE}")


_KINDS: dict[str, Callable[[bytes], bool]] = {
    "zip": lambda head: head[:2] == b"PK",
    "torch": lambda head: head[257:262] == b"ustar" or _is_pickle(head),
    "mxnet": lambda head: head[:8] == (0x112).to_bytes(8, "little"),
    "onnx": lambda head: _ONNX.match(head) is not None,
}


def _is_pickle(head: bytes) -> bool:
    return head[:1] == b"\x80" and 2 <= int.from_bytes(head[1:2]) <= 5


def _printable(head: bytes) -> bool:
    return _TEXT.fullmatch(head) is not None


def _refuse_text(head: bytes) -> None:
    """Says what a text is, if it is one."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not _printable(head):
        return
    excerpt = quoted(start[:60].decode("utf-8", "replace"))
    if start[:1] == b"<":
        raise Refusal(
            f"is a web page, not weights ({excerpt}); the address needs a login or is "
            "not that of the file itself; download it again"
        )
    if b'"weight_map"' in head:
        raise Refusal(
            "is the list of a checkpoint in several files; give one of them, or join "
            "them"
        )
    if start[:1] in (b"{", b"["):
        raise Refusal(
            f"is JSON, perhaps the answer of a server, not weights ({excerpt}); "
            "download it again"
        )
    raise Refusal(f"is a text, not weights ({excerpt}); download it again")
