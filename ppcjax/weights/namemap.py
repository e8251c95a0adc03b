"""Names of published weights for the parameters of ppcjax, as data.

`maps/NETWORK.toml` holds a table for each naming of a network. A row maps a layer of
ours to the layer of a published file:

    "layer{s}_{i}/conv{n}" = "layer{s}.{i}.conv{n}"    numbers are carried over
    "stage{s}" = "encoder.stages.{s-1}"                or moved
    "block{i}/expand" = "blocks.{i}.conv * blocks.{i}.bn"
                                   a convolution with its batch normalisation folded in
    "attn/qkv" = "query | key | value"                 rows side by side
    "pos_embed" = "0 | pos_embed"                      behind a row of zeros

Layers of ours are written without the "conv" that `ppcjax.nn.layers.Conv` adds; what
belongs to a layer (its kernel, its scale) has the name that the style of the file has
for it. A row whose left side is a whole parameter names one. Other keys of a table:

    style      "torch" (the default), "mxnet" or "folded"
    eps        added to variances where they are folded; 1e-5 where it is missing
    include    parts of ours and the naming of another network that they have there
    new        layers of ours that no file has, which keep their initial values
    requires   parameters that a network must have, for its files to be named so
    excludes   parameters that it must not have
    pixel_mean, pixel_std, padding   what the weights were trained with
"""

import functools
import importlib.resources
import re
import tomllib
from collections.abc import Mapping
from typing import Any, NamedTuple

_LEAVES = {
    "torch": {
        "kernel": "{}.weight",
        "scale": "{}.weight",
        "bias": "{}.bias",
        "mean": "{}.running_mean",
        "var": "{}.running_var",
        "": "{}.{leaf}",
    },
    "mxnet": {
        "kernel": "arg:{}_weight",
        "scale": "arg:{}_gamma",
        "bias": "arg:{}_beta",
        "mean": "aux:{}_moving_mean",
        "var": "aux:{}_moving_var",
        "": "arg:{}_{leaf}",
    },
    "folded": {"": "{}/{leaf}"},
}


class Term(NamedTuple):
    """One of the arrays that stand side by side in a parameter.

    name: name of the array; "" for a row of zeros.
    norm: names of the scale, bias, mean and variance of the batch normalisation that
        is folded into it; () for none.
    kernel: name of the kernel where this is the bias of a folded layer, else "".
    """

    name: str
    norm: tuple[str, ...] = ()
    kernel: str = ""


class NameMap(NamedTuple):
    """How one kind of file names the parameters of one network.

    network: name of the network, that of the file in maps/.
    naming: whose names these are.
    style: key of the table of leaves.
    rows: pattern of our layers and the template of their names.
    included: parts of ours, each with its map and what stands before its names.
    new: pattern of the layers that no file has.
    facts: eps, pixel_mean, pixel_std and padding, where they are told.
    own: whether a layer without a row has our own name, with dots.
    requires: parameters that a network must have for this naming.
    excludes: parameters that it must not have.
    """

    network: str
    naming: str
    style: str
    rows: tuple[tuple[re.Pattern[str], str], ...]
    included: tuple[tuple[str, "NameMap", str], ...]
    new: re.Pattern[str] | None
    facts: dict[str, Any]
    own: bool = False
    requires: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()

    @property
    def eps(self) -> float:
        """What is added to variances that are folded."""
        return self.facts.get("eps", 1e-5)

    @property
    def oihw(self) -> bool:
        """Whether kernels have their output channels first."""
        return self.style != "folded"

    def terms(self, path: str) -> tuple[Term, ...] | None:
        """The arrays of a file that make a parameter.

        Args:
            path: path of the parameter, such as "layer1_0/conv1/conv/kernel".

        Returns:
            The terms, side by side; () where no file has the parameter; None where
            this map knows no such parameter.
        """
        for part, inner, prefix in self.included:
            if path.startswith(part):
                found = inner.terms(path.removeprefix(part))
                return found and tuple(_prefixed(term, prefix) for term in found)
        *layers, leaf = (step for step in path.split("/") if step != "conv")
        layer = "/".join(layers)
        if self.new is not None and self.new.fullmatch(layer):
            return ()
        whole = self._template("/".join((*layers, leaf)))
        if whole is not None or (self.own and not layer):
            return tuple(_literal(name) for name in (whole or leaf).split(" | "))
        template = self._template(layer)
        if template is None and self.own:
            template = layer.replace("/", ".")
        if template is None:
            return None
        return tuple(self._term(name, leaf) for name in template.split(" | "))

    def _template(self, ours: str) -> str | None:
        for pattern, template in self.rows:
            found = pattern.fullmatch(ours)
            if found is not None:
                return _filled(template, found.groupdict())
        return None

    def _term(self, name: str, leaf: str) -> Term:
        layer, _, norm = name.partition(" * ")
        if not norm:
            return Term(self._leaf(layer, leaf))
        wanted = ("scale", "bias", "mean", "var")
        norm_names = tuple(self._leaf(norm, one) for one in wanted)
        # The convolution's own bias is one that a file may lack.
        kernel = self._leaf(layer, "kernel") if leaf == "bias" else ""
        return Term(self._leaf(layer, leaf), norm_names, kernel)

    def _leaf(self, layer: str, leaf: str) -> str:
        names = _LEAVES[self.style]
        return names.get(leaf, names[""]).format(layer, leaf=leaf)

    def ending(self) -> re.Pattern[str]:
        """Matches names of a file that end in one of this map's."""
        return _ending(self.network, self.naming)


def _prefixed(term: Term, prefix: str) -> Term:
    if not term.name:
        return term
    norm = tuple(prefix + name for name in term.norm)
    return Term(prefix + term.name, norm, term.kernel and prefix + term.kernel)


def _literal(name: str) -> Term:
    return Term("" if name == "0" else name)


def _filled(template: str, numbers: Mapping[str, str]) -> str:
    def fill(found: re.Match[str]) -> str:
        return str(int(numbers[found[1]]) + int(found[2] or 0))

    return re.sub(r"\{(\w)([+-]\d+)?\}", fill, template)


def _pattern(template: str) -> re.Pattern[str]:
    """Matches what a template gives; a number that comes again is the same."""
    seen: set[str] = set()

    def group(found: re.Match[str]) -> str:
        letter = found[1]
        if letter in seen:
            return rf"(?P={letter})"
        seen.add(letter)
        return rf"(?P<{letter}>\d+)"

    parts = re.split(r"(\{\w\})", template)
    return re.compile(
        "".join(
            re.sub(r"\{(\w)\}", group, part)
            if part.startswith("{")
            else re.escape(part)
            for part in parts
        )
    )


@functools.cache
def _table(network: str) -> dict[str, Any]:
    folder = importlib.resources.files("ppcjax.weights") / "maps"
    return tomllib.loads((folder / f"{network}.toml").read_text())


@functools.cache
def networks() -> tuple[str, ...]:
    """Names of the networks that have maps."""
    folder = importlib.resources.files("ppcjax.weights") / "maps"
    files = (file.name for file in folder.iterdir())
    return tuple(sorted(n.removesuffix(".toml") for n in files if n.endswith(".toml")))


def variants(network: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Backbones of a network, and their settings, that published files may be of."""
    table = _table(network)
    settings = table.get("variants", [{}])
    return tuple(
        (name, dict(one)) for name in table.get("backbones", ()) for one in settings
    )


def namings(network: str) -> dict[str, NameMap]:
    """The maps of a network by naming."""
    table = _table(network)
    kinds = (name for name, value in table.items() if isinstance(value, dict))
    return {naming: _map(network, naming) for naming in kinds}


@functools.cache
def _map(network: str, naming: str) -> NameMap:
    table = dict(_table(network)[naming])
    style = table.pop("style", "torch")
    new = table.pop("new", None)
    requires = tuple(table.pop("requires", ()))
    excludes = tuple(table.pop("excludes", ()))
    include = table.pop("include", {})
    facts = {
        key: table.pop(key)
        for key in ("eps", "pixel_mean", "pixel_std", "padding")
        if key in table
    }
    rows = tuple((_pattern(ours), theirs) for ours, theirs in table.items())
    included = tuple(
        (part, _map(*whose.split(":")), before)
        for part, (whose, before) in include.items()
    )
    pattern = None
    if new:
        forms = (re.sub(r"\?P<\w>", "", _pattern(one).pattern) for one in new)
        pattern = re.compile("|".join(forms))
    limits = {"requires": requires, "excludes": excludes}
    return NameMap(network, naming, style, rows, included, pattern, facts, **limits)


def of_ppcjax(backbone: NameMap | None) -> NameMap:
    """Names of a whole network that nobody else has: ours, in PyTorch's layout.

    Args:
        backbone: map of the part "backbone", whose names then stand behind
            "backbone."; None for our own names there, too.
    """
    included = () if backbone is None else (("backbone/", backbone, "backbone."),)
    eps = {} if backbone is None else {"eps": backbone.eps}
    return NameMap("", "ppcjax", "torch", (), included, None, eps, own=True)


@functools.cache
def _ending(network: str, naming: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|[./])(?:{'|'.join(_forms(_map(network, naming)))})$")


def _forms(names: NameMap) -> list[str]:
    """Expressions for all names that a map can give, at any numbers."""
    forms = []
    for _, template in names.rows:
        for name in re.split(r" [*|] ", template):
            form = r"\d+".join(map(re.escape, re.split(r"\{[^}]*\}", name)))
            forms.append(form)
            for leaf in _LEAVES[names.style].values():
                before, _, after = leaf.replace("{leaf}", "\0").partition("{}")
                ending = re.escape(after).replace(re.escape("\0"), r"\w+")
                forms.append(re.escape(before) + form + ending)
    for _, inner, prefix in names.included:
        forms += [re.escape(prefix) + form for form in _forms(inner)]
    return forms
