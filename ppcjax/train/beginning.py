"""What a new run begins with: weights of others, and the settings that go with them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ppcjax.runs import checkpoint

Adapt = Callable[..., tuple[Any, Any]]


def begin(
    init_from: str, method: Mapping[str, Any], workdir: Path
) -> tuple[dict[str, Any], Adapt | None]:
    """config.method with what belongs to its weights, and what puts these in place.

    A run that goes on needs no weights: it has its own, and its settings too.

    Args:
        init_from: config.init_from; "" for none.
        method: config.method, JSON types.
        workdir: folder of the run.

    Returns:
        config.method; and (params, model_state, log=) -> the same with the weights
        loaded, or None where the run starts from random ones.

    Raises:
        UserError: weights cannot be had or read.
    """
    if not init_from:
        return dict(method), None
    from ppcjax import weights

    meta = checkpoint.newest_meta(workdir)
    if meta is not None:
        return weights.as_before(method, meta["config"].get("method", {})), None
    sources = weights.find(init_from, method)
    lines: list[str] = []
    method = weights.settings_of(sources, method, lines.append)

    def adapt(params, model_state, log):
        for line in lines:
            log(line)
        bgr = method.get("channels") == "bgr"
        loaded = weights.load_into(params, model_state, sources, bgr=bgr, log=log)
        sources.clear()  # as large as the network, and not needed again
        return loaded

    return method, adapt
