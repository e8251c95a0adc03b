"""Flat names for the tensors of nested containers."""

from collections.abc import Iterator
from typing import Any

from ppcjax.weights.readers.errors import Refusal
from ppcjax.weights.readers.stand_ins import Stub, is_scalar

_MAX_DEPTH = 64
_MAX_NAME = 1000
_MAX_ENTRIES = 4_000_000
_MAX_LEAVES = 200_000


def flat(tree: Any, leaf_types: tuple[type, ...]) -> dict[str, Any]:
    """The leaves of nested dictionaries, lists and modules, by names such as "a.b.0".

    Args:
        tree: what a pickle held.
        leaf_types: classes of the leaves; everything else is left out.

    Returns:
        Leaves by name: keys and indices joined by ".".

    Raises:
        Refusal: two leaves have one name, or there is no end of entries.
    """
    found: dict[str, Any] = {}
    for name, leaf in _Walk(leaf_types).leaves(tree, "", ()):
        if name in found:
            raise Refusal(
                f"has two tensors of the name {name[:80]!r}; save the dictionary that "
                "you need alone"
            )
        found[name] = leaf
        if len(found) > _MAX_LEAVES:
            raise Refusal(f"names more than {_MAX_LEAVES} tensors; split the file")
    return found


class _Walk:
    def __init__(self, leaf_types: tuple[type, ...]):
        self.leaf_types, self.left = leaf_types, _MAX_ENTRIES
        self.barren: set[int] = set()  # containers without leaves
        self.found = 0

    def leaves(self, tree: Any, name: str, above: tuple[int, ...]) -> Iterator:
        if isinstance(tree, self.leaf_types):
            self.found += 1
            yield name, tree
            return
        if id(tree) in self.barren or id(tree) in above:
            return
        before, entries = self.found, _entries(tree, name)
        # Shared containers make a small file as wide as it likes.
        self.left -= len(entries)
        if self.left < 0 or len(above) > _MAX_DEPTH:
            raise Refusal(
                "nests containers without end; save the state_dict alone, and take "
                "weights from people that you trust"
            )
        for key, value in entries:
            if is_scalar(value):
                continue
            key = key.decode("latin-1") if isinstance(key, bytes) else str(key)
            longer = f"{name}.{key}" if name else key
            if len(longer) > _MAX_NAME:
                raise Refusal(f"has a name of more than {_MAX_NAME} letters")
            yield from self.leaves(value, longer, (*above, id(tree)))
        if self.found == before:
            self.barren.add(id(tree))


def _entries(tree: Any, name: str) -> list[tuple[Any, Any]]:
    """Keys and values of a container; none of anything else."""
    if isinstance(tree, list | tuple):
        return list(enumerate(tree))
    if isinstance(tree, dict):
        return list(tree.items())
    if not isinstance(tree, Stub):
        return []
    maker = getattr(tree.maker, "name", "")
    module = getattr(tree.maker, "module", "")
    if module.startswith("torch") and maker.startswith("_rebuild_"):
        raise Refusal(
            f"holds {name[:80]!r}, a tensor of a kind that is not read here ({maker}); "
            "save it as a plain float tensor"
        )
    if tree.entries is not None:
        return list(tree.entries.items())
    state = (
        tree.state[0] if isinstance(tree.state, tuple) and tree.state else tree.state
    )
    if not isinstance(state, dict):
        return []
    if module.startswith("__torch__"):  # compiled by TorchScript
        return list(state.items())
    return _module_entries(state)


def _module_entries(state: dict[Any, Any]) -> list[tuple[Any, Any]]:
    """What a torch.nn.Module would list in its state_dict."""
    passing = state.get("_non_persistent_buffers_set")
    passing = passing if isinstance(passing, set) else ()
    found = []
    for part in ("_parameters", "_buffers", "_modules"):
        entries = state.get(part)
        for key, value in entries.items() if isinstance(entries, dict) else ():
            if part != "_buffers" or key not in passing:
                found.append((key, value))
    return found
