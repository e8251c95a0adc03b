"""Which configs start from which published files, and the list of both."""

import functools
import importlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from ppcjax.weights import known
from ppcjax.weights.known import Row


class Start(NamedTuple):
    """What a config says of its start.

    name: config and variant, "NAME:VARIANT".
    init_from: value of `config.init_from`, or `config.frozen.weights` on a frozen
        network.
    networks: names and settings of its backbone, the frozen one where it has one, and
        of its "vit".
    """

    name: str
    init_from: str
    networks: tuple[tuple[str, Mapping[str, Any]], ...]


@functools.cache
def starts() -> tuple[Start, ...]:
    """Configs, and those of their variants that start from something else."""
    # By name, since configs stand beside ppcjax and not on one of its floors.
    folder = importlib.util.find_spec("ppcjax.configs").submodule_search_locations[0]
    found = []
    for path in sorted(Path(folder).glob("*.py")):
        module = importlib.import_module(f"ppcjax.configs.{path.stem}")
        if path.stem == "base" or not hasattr(module, "get_config"):
            continue
        seen = []
        for variant in ("", *_variants(module)):
            config = module.get_config(variant) if variant else module.get_config()
            start = _start(f"{path.stem}:{variant}".rstrip(":"), config)
            if start[1:] not in seen:
                seen.append(start[1:])
                found.append(start)
    return tuple(found)


def _start(name: str, config: Any) -> Start:
    method = config.method.to_dict()
    frozen = config.get("frozen", {})
    holder = frozen or method
    networks = [(holder.get("backbone", ""), holder.get("backbone_settings") or {})]
    if method.get("vit"):
        networks.append(("vit", method["vit"]))
    # Only what decides which file fits; strides and the like do not.
    networks = [
        (network, {k: v for k, v in settings.items() if k in known.deciding()})
        for network, settings in networks
    ]
    return Start(name, frozen.get("weights") or config.init_from, tuple(networks))


def _variants(module: Any) -> list[str]:
    """Those that a config lists when it is asked for one that it does not have."""
    try:
        module.get_config("?")
    except ValueError as error:
        return str(error).partition("; there are ")[2].split(", ")
    except TypeError:  # it takes none
        pass
    return []


def named_by(start: Start) -> list[Row]:
    """Rows that a config's `init_from`, or what its frozen network has, stands for."""
    found = []
    for part in filter(None, (part.strip() for part in start.init_from.split(","))):
        repository = "/".join(part.removeprefix("hf://").split("/")[:2])
        row = known.get(part) or known.of_file(PurePosixPath(part).name)
        row = row or next((row for row in known.rows() if row.hub == repository), None)
        if part == "imagenet":
            row = known.imagenet(*start.networks[0])
        found += [row] if row else []
    return found


def users(row: Row) -> tuple[list[str], list[str]]:
    """Configs that start from a file or evaluate it, and others that it fits.

    Args:
        row: the file.

    Returns:
        Two lists of "NAME:VARIANT".
    """
    naming = [row.config] if row.config else []
    fitting = []
    for start in starts():
        if row in named_by(start):
            naming.append(start.name)
        elif row.what == "backbone" and start.init_from:
            fits = any(row.fits(*network) for network in start.networks)
            fitting += [start.name] if fits else []
    return naming, fitting


def as_text(rows: Sequence[Row]) -> Iterator[str]:
    """Lines that list files for a terminal.

    Args:
        rows: what to list.
    """
    for row in rows:
        whole = "whole network, " if row.what == "checkpoint" else ""
        yield (
            f"{row.id}: {whole}{known.network_of(row)}; licence {row.licence}; "
            f"{known.size_of(row)}; "
            + ("fetched and read" if row.fetched else "nobody has fetched it yet")
        )
        yield f"    {row.source}"
        naming, fitting = users(row)
        if row.default:
            yield "    imagenet means this file for this network"
        if naming:
            yield f"    used by {', '.join(naming)}"
        if fitting:
            yield f"    fits {', '.join(fitting)}"
        if row.expect:
            yield f"    published: {row.expect}"
        if row.note:
            yield f"    {row.note}"
