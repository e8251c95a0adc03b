"""Masks on the disk, beside the photos and never among them.

accepted/DIGEST.png   what was accepted, before marks: named by content, for ever
proposals/ID.png      what the program proposes, with what it thinks of it
masks/ID.png          accepted masks with all marks, made anew from the others
"""

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ppcjax.console import writing
from ppcjax.data_pipelines.images import DAMAGE
from ppcjax.data_pipelines.masks.colours import voc_colours
from ppcjax.data_pipelines.pictures import picture
from ppcjax.runs import checked
from ppcjax.types import UserError

_NOTE = "ppcjax"
_LONGEST = 1 << 16  # bytes of a note


@dataclasses.dataclass(frozen=True)
class Proposal:
    """What is known of a proposed mask without opening it.

    made: number that no other proposal has; larger ones are newer.
    after: number of the last entry of the journal that it knew of.
    uncertainty: from 0, sure, to 1.
    areas: share of the photo of each class id.
    """

    made: int
    after: int
    uncertainty: float
    areas: dict[int, float]


class Store:
    """The masks of a folder of labels."""

    def __init__(self, folder: Path):
        """In a folder, which need not be there yet."""
        self._folder = folder

    def accept(self, mask: np.ndarray) -> str:
        """Keeps a mask [H, W] uint8 for ever; returns its digest."""
        size = np.array(mask.shape, "<i8").tobytes()
        digest = hashlib.blake2b(size + mask.tobytes(), digest_size=16).hexdigest()
        file = self._base(digest)
        if not file.is_file():
            writing.write_file(file, as_png(mask), forced=True)
        return digest

    def accept_proposal(self, key: str) -> str:
        """The same of the proposal of a photo, which is not decoded for it.

        Raises:
            UserError: it is gone or damaged.
        """
        file = self._proposal(key)
        try:
            content = file.read_bytes()
            with picture(content, ("PNG",)) as image:
                image.verify()  # its checksums
        except DAMAGE as error:
            raise UserError(f"{file}: is gone or damaged; propose anew") from error
        digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        writing.write_file(self._base(digest), content, forced=True)
        return digest

    def accepted(self, digest: str) -> np.ndarray:
        """What `accept` kept. Raises: UserError, it is gone or damaged."""
        return read(self._base(digest))

    def propose(self, key: str, mask: np.ndarray, said: Proposal) -> None:
        """Keeps a proposal [H, W] uint8 in the place of an earlier one."""
        note = json.dumps(dataclasses.asdict(said))
        writing.write_file(self._proposal(key), as_png(mask, note))

    def proposed(self, key: str) -> np.ndarray:
        """The proposal of a photo. Raises: UserError, it is gone or damaged."""
        return read(self._proposal(key))

    def proposal(self, key: str) -> Proposal | None:
        """What is noted of it; None where there is none that can be read."""
        note = note_of(self._proposal(key))
        try:
            return Proposal(
                int(note["made"]),
                int(note["after"]),
                float(note["uncertainty"]),
                _areas(note["areas"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def write_mask(
        self, key: str, mask: np.ndarray, changed: int, areas: dict[int, float]
    ) -> None:
        """Writes what a photo's mask has become.

        Args:
            key: id of the photo.
            mask: [H, W] uint8.
            changed: number of the entry that it is after.
            areas: share of the photo of each class id.
        """
        note = json.dumps({"changed": changed, "areas": areas})
        writing.write_file(self.mask_file(key), as_png(mask, note))

    def written(self, key: str, changed: int) -> dict[int, float] | None:
        """Areas of the mask that was written after an entry; None for no such mask."""
        note = note_of(self.mask_file(key))
        if note.get("changed") != changed:
            return None
        try:
            return _areas(note["areas"])
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    def remove_mask(self, key: str) -> None:
        """Takes the mask of a photo away that is none any more."""
        writing.remove_file(self.mask_file(key))

    def mask_file(self, key: str) -> Path:
        """Where the mask of a photo lies, or would lie."""
        return self._folder / "masks" / f"{key}.png"

    def _base(self, digest: str) -> Path:
        return self._folder / "accepted" / f"{digest}.png"

    def _proposal(self, key: str) -> Path:
        return self._folder / "proposals" / f"{key}.png"


def _areas(noted: Any) -> dict[int, float]:
    return {int(key): float(share) for key, share in noted.items()}


def as_png(mask: np.ndarray, note: str = "", colours: Any = None) -> bytes:
    """A mask as a palette PNG.

    Args:
        mask: [H, W] uint8, whose values are the indices.
        note: text that it carries.
        colours: 256 colours (r, g, b); None: those of PASCAL VOC.
    """
    image = Image.fromarray(np.ascontiguousarray(mask))
    image.putpalette(_palette(tuple(colours or ())))
    told = PngInfo()
    if note:
        told.add_text(_NOTE, note)
    content = io.BytesIO()
    image.save(content, "PNG", pnginfo=told, compress_level=3)
    return content.getvalue()


@functools.lru_cache(maxsize=4)
def _palette(colours: tuple) -> bytes:
    """Colours as bytes; those of PASCAL VOC take longer to make than a small mask."""
    return np.array(colours or voc_colours(), np.uint8).tobytes()


def read(file: Path) -> np.ndarray:
    """The values of a mask that this program wrote, [H, W] uint8.

    Raises:
        UserError: it is not there, or damaged.
    """
    try:
        with picture(file, ("PNG",)) as image:
            if image.mode not in ("P", "L"):
                raise ValueError(f"it has the mode {image.mode}")
            return np.asarray(image)
    except DAMAGE as error:
        raise UserError(f"{file}: is gone or damaged; put it back") from error


def note_of(file: Path) -> dict[str, Any]:
    """What a mask carries as its note; {} for none."""
    with contextlib.suppress(*DAMAGE):
        with picture(file, ("PNG",)) as image:
            text = image.info.get(_NOTE, "")
        found = checked.parse(text[:_LONGEST])
        return found if isinstance(found, dict) else {}
    return {}
