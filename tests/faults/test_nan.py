"""Weights that are no numbers are named before anything is computed."""

import numpy as np

from ppcjax.runs import finite, open_run
from ppcjax.types import TrainState
from ppcjax.weights.runs import load_run
from tests.faults import strange_runs
from tests.faults.bounds import refused
from tests.faults.held import Fault, all_held, drawn, sizes


def poison(rng):
    """Some numbers of some array that are none."""
    value = [np.nan, np.inf, -np.inf][rng.integers(3)]
    part = ("params", "model_state")[rng.integers(2)]
    count = int(rng.integers(1, 4))
    return Fault(f"{count} of {part} are {value}", (part, count, value))


@sizes(quick=2, slow=50)
def test_weights_that_are_no_numbers_are_named(count, tmp_path, record_property):
    def attempt(fault):
        part, bad, value = fault
        parts = {"params": np.ones((4, 3)), "model_state": np.ones(3)}
        parts[part].flat[:bad] = value
        state = TrainState(
            *(np.int32(7), {"head": {"kernel": parts["params"]}}),
            *({"mean": parts["model_state"]}, {}),
        )
        number = len(list(tmp_path.iterdir()))
        folder = strange_runs.make(tmp_path / f"run{number}", state)
        named = f"({bad} of {parts[part].size})"
        name = "head/kernel" if part == "params" else "mean"
        ours = {"head": {"kernel": parts["params"]}}, {"mean": parts["model_state"]}
        for opens in (open_run, lambda path: load_run(*ours, path)):
            said = refused(opens, folder) or ""
            assert "NaN or infinite" in said and named in said and name in said, said

    all_held("strangers: NaN", drawn(poison, count), attempt, record_property)


def test_all_arrays_that_are_no_numbers_are_counted():
    arrays = {f"a{i}": np.float32([i, np.nan]) for i in range(5)}
    arrays["whole"] = np.ones(3)
    said = finite.not_finite(arrays)
    assert said.startswith("5 of 6 arrays hold NaN or infinite numbers: a0 (1 of 2), ")
    assert said.endswith(" and 2 more")
    assert finite.not_finite({"a": np.ones(3), "b": np.array("x")}) is None
