"""Files of the hub, through huggingface_hub and its cache.

HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE are heeded, as by everything that uses it.
"""

import contextlib
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ppcjax.checkout import install
from ppcjax.runs import checked
from ppcjax.types import UserError
from ppcjax.weights.download import (
    BROKE,
    Meter,
    Say,
    cannot,
    no_room,
    reason_of,
)

# The files that publishers write, in order of preference; see `choose`.
USUAL = ("model.safetensors", "pytorch_model.bin")
SUFFIXES = (".safetensors", ".pth", ".bin", ".pt", ".npz", ".params", ".ckpt", ".onnx")
CONFIGS = ("config.json", "preprocessor_config.json")
LARGEST_CONFIG = 1 << 20  # bytes


def cached_file(repository: str, file: str, revision: str) -> Path | None:
    """A file that huggingface_hub has already; None where it has not.

    Args:
        repository: OWNER/NAME.
        file: path in the repository.
        revision: branch, tag or commit; a branch is taken as it was when downloaded.
    """
    try:
        import huggingface_hub
    except ImportError:
        return None
    found = huggingface_hub.try_to_load_from_cache(repository, file, revision=revision)
    return Path(found) if isinstance(found, str) else None


def cached(repository: str, revision: str) -> str | None:
    """The usual weight file that huggingface_hub has already; None where it has none.

    Args:
        repository: OWNER/NAME.
        revision: branch, tag or commit.
    """
    there = (name for name in USUAL if cached_file(repository, name, revision))
    return next(there, None)


def download_file(
    repository: str,
    file: str,
    revision: str,
    target: Path,
    *,
    say: Say | None = None,
) -> Path:
    """A file of the hub, downloaded into the cache of huggingface_hub.

    Args:
        repository: OWNER/NAME.
        file: path in the repository.
        revision: branch, tag or commit.
        target: path at which a person may put the file instead, for messages.
        say: takes lines about the progress; None: they go to stderr.

    Raises:
        UserError: huggingface_hub is missing, or the file cannot be had.
    """
    hub = _hub(repository, target)
    errors = hub.errors
    given = {"repo_id": repository, "filename": file, "revision": revision}
    url = hub.hf_hub_url(**given, endpoint=hub.constants.ENDPOINT)

    meter = Meter(PurePosixPath(file).name, say)
    try:
        return Path(hub.hf_hub_download(**given, tqdm_class=_bar(meter)))
    except errors.LocalEntryNotFoundError as error:
        raise cannot(url, target, reason_of(error.__cause__ or error)) from error
    except errors.GatedRepoError as error:
        raise UserError(
            f"hf://{repository} asks for an agreement first: accept it at "
            f"{hub.constants.ENDPOINT}/{repository} and log in with `hf auth login`"
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise _unknown(repository, revision) from error
    except errors.EntryNotFoundError as error:
        raise UserError(f"hf://{repository} has no file {file}") from error
    except (errors.HTTPError, errors.XetDownloadError) as error:
        raise cannot(url, target, reason_of(error)) from error
    except OSError as error:
        if error.errno is None:  # a size that is not the announced one
            raise cannot(url, target, BROKE) from error
        raise no_room(Path(hub.constants.HF_HUB_CACHE), error, "HF_HOME") from error
    finally:
        meter.close()


def _bar(meter: Meter) -> type:
    """What huggingface_hub shows its progress with, in the place of its own bars.

    A download through Xet has two bars, of which the first counts the file's bytes.
    """
    from huggingface_hub.utils import tqdm

    bars = []

    class Shown(tqdm):
        """Updates of a meter in the place of a bar."""

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs | {"disable": True})
            bars.append(self)

        def update(self, n=1):
            if self is bars[0]:
                meter.total = self.total or 0
                meter.update(n)

    return Shown


def files_of_hub(repository: str, revision: str, target: Path) -> list[str]:
    """Names of all files of a repository.

    Args:
        repository: OWNER/NAME.
        revision: branch, tag or commit.
        target: folder where a person may put a file instead, for messages.

    Raises:
        UserError: the hub cannot be asked, or knows no such repository.
    """
    hub = _hub(repository, target)
    page = f"{hub.constants.ENDPOINT}/{repository}"
    if hub.constants.is_offline_mode():
        raise cannot(page, target, "HF_HUB_OFFLINE is set")
    try:
        return hub.HfApi().list_repo_files(repository, revision=revision)
    except (
        hub.errors.RepositoryNotFoundError,
        hub.errors.RevisionNotFoundError,
    ) as error:
        raise _unknown(repository, revision) from error
    except (hub.errors.HTTPError, OSError) as error:
        raise cannot(page, target, reason_of(error)) from error


def _unknown(repository: str, revision: str) -> UserError:
    return UserError(
        f"hf://{repository}@{revision}: there is no such repository or revision, or it "
        "is private (`hf auth login`)"
    )


def _hub(repository: str, target: Path) -> Any:
    # Nobody needs its warnings about tokens, and its bars are drawn here.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors  # noqa: F401
    except ImportError:
        raise UserError(
            f"hf://{repository}: downloads need huggingface_hub "
            f"({install('weights')}); or put the file at {target}"
        ) from None
    return huggingface_hub


def choose(files: Sequence[str], repository: str) -> str:
    """The weight file of a repository whose user named none.

    Args:
        files: paths in the repository.
        repository: OWNER/NAME, for messages.

    Raises:
        UserError: there is none, or there are several and none has a usual name.
    """
    for name in USUAL:
        if name in files:
            return name
    weights = [name for name in files if PurePosixPath(name).suffix in SUFFIXES]
    if not weights:
        raise UserError(f"hf://{repository} has no weight file that ppcjax reads")
    for suffix in SUFFIXES:
        alike = [name for name in weights if name.endswith(suffix)]
        if len(alike) == 1:
            return alike[0]
        if alike:
            break
    raise UserError(
        f"hf://{repository} has several weight files; name one of them, as in "
        f"hf://{repository}/{weights[0]}: {', '.join(weights)}"
    )


def with_configs(repository: str, revision: str) -> None:
    """Downloads, where they are there, the files that say what the input is."""
    hub = _hub(repository, Path())
    for name in CONFIGS:
        # Weights without them are weights.
        with contextlib.suppress(hub.errors.HTTPError, OSError, ValueError):
            hub.hf_hub_download(repository, name, revision=revision)


def facts_beside(folder: Path, say: Say) -> dict[str, Any]:
    """What the configs of timm or transformers in a folder say of the input.

    Args:
        folder: where config.json or preprocessor_config.json may lie.
        say: takes a line where one says what cannot be.

    Returns:
        Where known "pixel_mean" and "pixel_std" of RGB in [0, 1], "channels" ("rgb" or
        "bgr"), "padding" ("after" or "both") and "eps".
    """
    network, input_ = (_read(folder / name, say) for name in CONFIGS)
    timm = network.get("pretrained_cfg", network)
    facts = {}
    mean = input_.get("image_mean", timm.get("mean"))
    std = input_.get("image_std", timm.get("std"))
    if input_.get("do_normalize") is False:
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if mean is not None and std is not None:
        if _three(mean, 0.0) and _three(std, 1e-6):
            facts = {"pixel_mean": tuple(mean), "pixel_std": tuple(std)}
        else:
            say(
                f"{folder}: its config gives mean {mean} and deviation {std}, which "
                "are not those of RGB in 0 to 1; they are left out"
            )
    if input_.get("do_flip_channel_order"):
        facts["channels"] = "bgr"
    if str(network.get("architecture", "")).startswith("tf_"):
        facts |= {"padding": "after", "eps": 1e-3}
    if "tf_padding" in network:
        facts["padding"] = "after" if network["tf_padding"] else "both"
        eps = network.get("layer_norm_eps")
        if isinstance(eps, float) and 0 < eps < 1:
            facts["eps"] = eps
    return facts


def _read(path: Path, say: Say) -> Mapping[str, Any]:
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_CONFIG:
            return {}
        found = checked.parse(checked.read_bytes(path, LARGEST_CONFIG))
    except (OSError, ValueError) as error:
        say(f"{path} is no JSON ({error}); what it may say of the input is left out")
        return {}
    return found if isinstance(found, dict) else {}


def _three(values: Any, low: float) -> bool:
    """Whether it is three numbers between `low` and 1."""
    return (
        isinstance(values, list | tuple)
        and len(values) == 3
        and all(isinstance(x, int | float) and not isinstance(x, bool) for x in values)
        and all(math.isfinite(x) and low <= x <= 1 for x in values)
    )
