"""Names on pages that stand for others: RUN, CONFIG, VARIANT, ppc_*.py, [:byol], ...

A word in capitals is a name that a reader puts something of their own for.
"""

import fnmatch
import functools
import importlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ppcjax import checkout
from ppcjax.evaluate import opening

ANY = re.compile(r"[A-Z][A-Z_]*")
# The first config of each kind of network, for those that a page does not describe.
KINDS = ("ppc_folder", "segment_folder", "panet_folder", "affinity_folder")
KINDS += ("pixpro_folder", "ppc_voc")
_OPTIONAL = re.compile(r"\[(:[^\]]*)\]")
_MODULE = re.compile(r"(?:.*/)?([\w*]+?)(?:\.py)?(?::([\w\[\]]*))?$")


class Config(NamedTuple):
    """A config that a command names.

    named: what stands behind --config, without names that stand for others.
    words: all arguments about it.
    values: what it holds with them, JSON types.
    """

    named: str
    words: tuple[str, ...]
    values: dict[str, Any]

    def having(self, **values: Any) -> "Config":
        """The same with other top-level fields."""
        return self._replace(values=self.values | values)


def is_any(word: str) -> bool:
    """Whether a word stands for something that the reader has."""
    return ANY.fullmatch(word) is not None


def spellings(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """A command with and without each part that stands in brackets, without dots.

    Args:
        words: a command.
    """
    parts: list[list[list[str]]] = []
    inside = False
    for place, word in enumerate(words):
        if word == "...":
            if words[place - 1] == "--config":
                parts.append([["CONFIG"]])
            continue
        optional = _OPTIONAL.search(word)
        if optional:
            bare = word.replace(optional[0], "")
            parts.append([[bare], [bare + optional[1]]])
            continue
        begins = not inside and word.startswith("[")
        if begins:
            parts.append([[], []])
            inside = True
        clean = word[1:] if begins else word
        ends = inside and clean.endswith("]")
        clean = clean[:-1] if ends else clean
        if inside:
            parts[-1][1].append(clean)
        else:
            parts.append([[clean]])
        inside = inside and not ends
    for chosen in itertools.product(*parts):
        yield tuple(itertools.chain.from_iterable(chosen))


@functools.cache
def variants_of(name: str) -> tuple[str, ...]:
    """Variants of a shipped config, "" among them."""
    module = importlib.import_module(f"ppcjax.configs.{name}")
    try:
        module.get_config("?")
    except ValueError as error:
        known = str(error).partition("; there are ")[2].split(", ")
        return ("", *filter(None, known))
    except TypeError:
        return ("",)
    raise AssertionError(f"configs/{name}.py takes any variant")


def configs(named: str) -> list[str]:
    """The shipped configs that a name, a pattern or a word in capitals may mean.

    Args:
        named: what stands behind --config.

    Raises:
        AssertionError: it can mean none.
    """
    found = _MODULE.match(named)
    assert found, f"--config={named}: no name of a config"
    name, variant = found[1], found[2] or ""
    if is_any(name):
        names = list(checkout.shipped())
    elif "*" in name:
        names = fnmatch.filter(checkout.shipped(), name)
    else:
        return [named] if not ANY.search(variant) else _with_variants(named, variant)
    assert names, f"--config={named}: no shipped config has such a name"
    names.sort(key=lambda one: (not one.endswith("_folder"), one))
    if not variant:
        return [f"configs/{one}.py" for one in names]
    joined = [f"{one}:{variant}" for one in names if variant in variants_of(one)]
    assert joined, f"--config={named}: none of them has this variant"
    return joined


def _with_variants(named: str, variant: str) -> list[str]:
    path = named.partition(":")[0]
    name = _MODULE.match(path)[1]
    wanted = re.compile(ANY.sub("\\\\w*", variant))
    found = [one for one in variants_of(name) if wanted.fullmatch(one)]
    assert found, f"--config={named}: no variant fits"
    return [f"{path}:{one}" if one else path for one in found]


def read_config(named: str, words: Sequence[str]) -> Config:
    """The config that arguments describe, as train.py and eval.py read it.

    Args:
        named: one of `configs`.
        words: "--config.FIELD=VALUE" each; a word in capitals is the field's own
            value, unless that is a text.

    Raises:
        UserError or SystemExit: there is no such config or field, or a value is of
            another type.
    """
    plain = read_plain(named)
    kept = [
        word for word in words if not _is_any_value(plain, word.partition("=")[::2])
    ]
    of_config = (f"--config={named}", *kept)
    return Config(named, of_config, opening.read_config(list(of_config)))


@functools.cache
def read_plain(named: str) -> Mapping[str, Any]:
    """A shipped config without any change; of other files nothing."""
    found = _MODULE.match(named)
    if not found or found[1] not in checkout.shipped():
        return {}
    module = importlib.import_module(f"ppcjax.configs.{found[1]}")
    config = module.get_config(found[2]) if found[2] else module.get_config()
    return config.to_dict()


def _is_any_value(config: Mapping[str, Any], given: tuple[str, str]) -> bool:
    path, text = given
    if not is_any(text):
        return False
    value: Any = config
    for part in path.split(".")[1:]:
        value = value.get(part, "") if isinstance(value, Mapping) else ""
    return not isinstance(value, str)


@functools.cache
def config_of_run(name: str) -> str | None:
    """The shipped config whose runs have this name; None where there is none."""
    for module in checkout.shipped():
        if not name.startswith(module):
            continue
        for variant in variants_of(module):
            named = f"configs/{module}.py" + (f":{variant}" if variant else "")
            if read_plain(named).get("name") == name:
                return named
    return None
