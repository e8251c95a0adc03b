"""Whether a command can be typed: programs, configs, fields, options and files exist.

`check(command, networks)` raises at what does not; nothing is trained or read.
"""

import ast
import contextlib
import functools
import importlib.util
import io
import re
from collections.abc import Callable, Sequence
from unittest import mock

from ppcjax import cli, program
from ppcjax.evaluate import EVALUATIONS, command, fitting, opening
from ppcjax.evaluate.exporting import EXPORTS
from ppcjax.evaluate.training import settings_of
from ppcjax.fields.options import spellings
from ppcjax.train import settings, tracking
from ppcjax.types import UserError
from ppcjax.weights import known
from tests.docs import clusters, names, outside
from tests.docs.blocks import PROGRAMS, ROOT, Command
from tests.docs.names import Config
from tests.docs.networks import Networks, as_run


class Reached(Exception):
    """A program has read all its options, and would begin."""


def check(typed: Command, networks: Networks) -> None:
    """Raises AssertionError, with page and line, where a command cannot be typed.

    Args:
        typed: a command of a page.
        networks: what earlier commands of the page have trained; this one is added.
    """
    for words in names.spellings(typed.words):
        try:
            _check(words, networks, typed.fenced)
        except (UserError, AssertionError, SystemExit, ValueError) as error:
            raise AssertionError(f"{typed.place}\n    {error}") from error


def _check(words: tuple[str, ...], networks: Networks, fenced: bool) -> None:
    first, *rest = words
    if first in clusters.LAUNCHERS:
        _check(clusters.inside(words), networks, fenced)
    elif first == "python":
        _python(rest, networks, fenced)
    elif first == "ppcjax":
        _word(rest, networks, fenced)
    elif first in outside.OUTSIDE:
        outside.OUTSIDE[first](rest)
    else:
        assert first in PROGRAMS, f"{first!r} is no program that pages use"


def _python(words: Sequence[str], networks: Networks, fenced: bool) -> None:
    first, *rest = words
    if first in ("train.py", "eval.py"):
        _word([first.removesuffix(".py"), *rest], networks, fenced)
    elif first == "-m" and rest[:1] == ["ppcjax"]:
        _word(rest[1:], networks, fenced)
    elif first == "-m" and rest[:1] == ["pip"]:
        outside.pip(rest[1:])
    elif first == "-m":
        _module(rest[0], rest[1:])
    elif first == "-c":
        ast.parse(rest[0])
    else:
        assert (ROOT / first).is_file(), f"there is no {first}"


def _word(words: Sequence[str], networks: Networks, fenced: bool) -> None:
    if not words or words[0].startswith("-"):
        assert set(words) <= {"--help", "-h", "--version"}, f"ppcjax takes no {words}"
        return
    word, *rest = words
    if names.is_any(word):
        return
    program.command(word)  # UserError where there is none
    given = [command._value_of(name, rest) for name in ("ckpt", "config")]
    if not fenced and not any(given):
        _known_options(word, rest)  # a sentence about options
    elif word == "train":
        _train(rest, networks)
    elif word == "eval":
        _evaluate(rest, networks)
    elif word == "inspect" and "--help" not in rest:
        folder = [f"--config.data.root={x}" for x in rest[:1] if x[:1] != "-"]
        named = any(x.split("=")[0] == "--config" for x in rest)
        rest = rest[len(folder) :] + folder + ["--config=ppc_folder"] * (not named)
        _train(rest, networks)
    else:
        _known_options(word, rest)


def _train(words: Sequence[str], networks: Networks) -> None:
    """What is read before the data: flags, the config, and its settings."""
    of_config, rest = opening.split(cli.underscored(words))
    own = _values(rest, _flags_of_train())
    if "help" in own and not of_config:
        return
    meant = _some(_configs(of_config))
    for config in [x for x in meant if settings.trains(x.values["method"])] or meant:
        reads = settings.reads_of(config.values["method"])
        here = mock.patch.object(settings, "check_devices")  # the reader has others
        with here, mock.patch.object(tracking, "check"):
            settings.check(config.values, reads)
        _start(config.values.get("init_from", ""))
        evaluation = EVALUATIONS[fitting(as_run(config, tuple(words)).method)[0]]
        settings_of(evaluation, config.values.get("eval", {}), "the evaluation")
        networks.add(own.get("workdir") or f"runs/{config.values['name']}", config)


@functools.cache
def _flags_of_train() -> frozenset[str]:
    text = _source("ppcjax.program.train")
    return frozenset(re.findall(r'DEFINE_\w+\(\s*"(\w+)"', text)) | {"help"}


def _start(named: str) -> None:
    """Weights that are named, and are no path and no run, are known by that name."""
    for one in filter(None, named.split(",")):
        if re.fullmatch(r"[a-z]\w*", one):
            published = {"imagenet", *(row.id for row in known.rows())}
            assert one in published, f"config.init_from={one}: no such weights"


def _values(words: Sequence[str], declared: frozenset[str]) -> dict[str, str]:
    """Options and their values; AssertionError at one that there is not."""
    found: dict[str, str] = {}
    last = ""
    for word in words:
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            assert name in declared, (
                f"--{name}: there are {', '.join(sorted(declared))}"
            )
            found[name], last = value, "" if value else name
        else:
            assert last, f"{word!r} stands behind no option"
            found[last], last = word, ""
    return found


def _configs(of_config: Sequence[str]) -> tuple[list[str], list[str]]:
    """The configs that may be meant, and what is said of their fields."""
    named, fields = None, []
    words = list(of_config)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if not equals:
            assert words, f"{name} has no value"
            value = words.pop(0)
        if name == "--config":
            named = value
        else:
            fields.append(f"{name}={value}")
    return (names.configs(named) if named else names.configs("CONFIG")), fields


def _some(given: tuple[list[str], list[str]]):
    """Configs of a name, of which one at least must fit; of one alone, that one."""
    named, fields = given
    fitting, errors = [], []
    for one in named:
        try:
            fitting.append(names.read_config(one, fields))
        except (UserError, SystemExit, AssertionError) as error:
            errors.append(error)
    if not fitting:
        raise errors[0]
    return fitting


def _evaluate(words: Sequence[str], networks: Networks) -> None:
    """What eval.py reads before it opens the data, on each network it may be about."""
    of_config, rest = opening.split(cli.underscored(words))
    path = command._value_of("ckpt", rest)
    assert path or of_config, "--ckpt=RUN is missing"
    likely = _some(_configs(of_config)) if of_config else networks.find(path)
    errors: list[Exception] = []
    for config in likely:
        try:
            _read_options(config, rest)
        except Reached:
            _add_exports(rest, config, networks)
            return
        except UserError as error:
            errors.append(error)
    assert not errors, errors[0]


def _read_options(config: Config, words: Sequence[str]) -> None:
    """Runs eval.py up to where a plan would be made; Reached there."""
    run = as_run(config, tuple(words))
    plans = {
        name: x._replace(plan=_stopping(x.plan)) for name, x in EVALUATIONS.items()
    }
    exports = {name: _stopping(x) for name, x in EXPORTS.items()}
    with (
        mock.patch.object(opening, "open_any", lambda *_, **__: run),
        mock.patch.object(opening, "read_config", lambda *_: None),
        mock.patch.object(cli, "keep_compiled_programs", lambda: None),
        mock.patch.object(command, "EVALUATIONS", plans),
        mock.patch.object(command, "EXPORTS", exports),
        mock.patch.object(command, "help_text", _stopping(command.help_text)),
    ):
        known = "--ckpt=RUN" if command._value_of("ckpt", words) is None else ""
        command.main([*filter(None, [known]), *words])


def _stopping(function: Callable) -> Callable:
    """A function with the same arguments that raises Reached."""

    @functools.wraps(function)
    def stop(*_, **__):
        raise Reached

    return stop


def _add_exports(words: Sequence[str], config: Config, networks: Networks) -> None:
    for option in EXPORTS:
        path = command._value_of(option, words)
        if path:
            networks.add(path, config)


@functools.cache
def _options_of_all() -> frozenset[str]:
    """Options of evaluating and exporting any network."""
    found = {"ckpt", "evaluation", "help", "config"} | set(EXPORTS)
    for kind in names.KINDS:
        run = as_run(names.read_config(f"configs/{kind}.py", ()), ())
        for name in command.fitting_names(run):
            found |= spellings(command.options_of(name, run)) | {"ckpt"}
    for export in EXPORTS.values():
        found |= set(command.fields.fields_of(export, without=("run",)))
    return frozenset(found)


def _known_options(word: str, words: Sequence[str]) -> None:
    """Options of a word, whatever it is used on."""
    if word == "eval":
        known = _options_of_all()
    elif word == "train":
        known = _flags_of_train() | {"config"}
    else:
        known = _in_help(word)
    for option in re.findall(r"(?<!\S)--([\w-]+)", " ".join(words)):
        name = option.replace("-", "_")
        assert name in known, f"--{option}: {word} has {', '.join(sorted(known))}"


@functools.cache
def _in_help(word: str) -> frozenset[str]:
    """Options that a word names in its --help, in its module and those it calls."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        program.command(word)(["--help"])
    text = _source(f"ppcjax.program.{word}") + said.getvalue()
    found = set(re.findall(r"--([\w-]+)", text))
    return frozenset(name.replace("-", "_") for name in found | {"help"})


@functools.cache
def _source(module: str) -> str:
    spec = importlib.util.find_spec(module)
    assert spec and spec.origin, f"there is no module {module}"
    with open(spec.origin) as file:
        return file.read()


def _module(module: str, words: Sequence[str]) -> None:
    """A module of ours that can be run; its options are texts of its source."""
    assert importlib.util.find_spec(module), f"there is no module {module}"
    if not module.startswith(("ppcjax.", "benchmarks.", "docs.", "tests.")):
        return
    main = f"{module}.__main__"
    is_package = importlib.util.find_spec(module).submodule_search_locations
    text = _source(main if is_package else module)
    assert "__main__" in text, f"python -m {module} does nothing"
    known = {
        node.value.lstrip("-").replace("_", "-")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    } | {"help"}
    of_config, rest = opening.split(words)
    if of_config:
        _some(_configs(of_config))
    for word in rest:
        name = word.partition("=")[0]
        if name.startswith("--"):
            assert name[2:].replace("_", "-") in known, f"{module} has no {name}"
