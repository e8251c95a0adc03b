"""The command line of evaluation: a run first, then the options that fit it."""

import shlex
from collections.abc import Sequence
from typing import Any

from ppcjax import cli, fields
from ppcjax.checkout import program
from ppcjax.console import memory
from ppcjax.evaluate import EVALUATIONS, fitting, opening
from ppcjax.evaluate.driver import evaluate
from ppcjax.evaluate.exporting import EXPORTS
from ppcjax.evaluate.protocol import Request
from ppcjax.evaluate.results import looked_at
from ppcjax.evaluate.training import settings_of
from ppcjax.fields.options import as_help, read, spellings
from ppcjax.predict import needs
from ppcjax.runs import Run, lock
from ppcjax.runs.files import check_writable
from ppcjax.types import UserError

USAGE = f"{program('eval')} --ckpt RUN [--OPTION=VALUE ...]"


def main(argv: Sequence[str]) -> None:
    """Evaluates what the arguments name; writes files and the report.

    Args:
        argv: arguments behind the program's name.

    Raises:
        UserError: an option is foreign or holds a wrong value.
    """
    typed = f"{program('eval')} {shlex.join(argv)}"
    of_config, argv = opening.split(cli.underscored(argv))
    path = _value_of("ckpt", argv)
    if not path and not of_config:
        if "--help" in argv or "-h" in argv:
            print(general_help())
            return
        raise UserError(f"--ckpt=RUN is missing; usage: {USAGE}")
    cli.keep_compiled_programs()
    photos = _is_given("support", argv)
    run = opening.open_any(path or "", opening.read_config(of_config), photos)
    for option, export in EXPORTS.items():
        if _is_given(option, argv):
            declared = fields.fields_of(export, without=("run",))
            export(run, **parse(argv, declared, f"--{option}"))
            return
    name = choose(run, argv)
    options = options_of(name, run)
    if "--help" in argv or "-h" in argv:
        print(help_text(name, run, options))
        return
    given = parse(argv, options, f"the evaluation {name!r}")
    evaluation = EVALUATIONS[name]
    values = {
        **defaults(name, run),
        **_part(given, fields.fields_of(evaluation.settings)),
    }
    settings = settings_of(evaluation, values, f"the evaluation {name!r}")
    shared = _part(given, evaluation.takes)
    request = fields.build(Request, shared, where="options", what="evaluation")
    data = request.data(run)
    evaluation.check(settings, data, run.classes)
    with memory.guarded("evaluating", needs.advice(fields.flat(settings), "--")):
        out = looked_at(run, request)
        check_writable(out.path / "metrics.json", "--export=DIR")
        plan = evaluation.plan(run, settings, request, frozenset(given))
        with lock.written(out.path):
            evaluate(name, plan, settings, out, command=typed)


def choose(run: Run, argv: Sequence[str]) -> str:
    """Name of the evaluation: the one asked for, else the first with all options.

    The default of the run comes first. Where another is taken, a line says so.
    """
    fitting = fitting_names(run)
    asked = _value_of("evaluation", argv)
    if asked is not None:
        if asked not in fitting:
            raise UserError(
                f"--evaluation={asked}: {run.name} can be evaluated as "
                + " or ".join(fitting)
            )
        return asked
    given = {name for name, _ in _options(argv)}
    for name in fitting:
        if given <= {*spellings(options_of(name, run)), "ckpt", "help"}:
            if name != fitting[0]:
                print(f"evaluation {name!r}: {EVALUATIONS[name].text}")
            return name
    return fitting[0]


def fitting_names(run: Run) -> list[str]:
    """Evaluations of a run, its default first."""
    return fitting(run.method)


def options_of(name: str, run: Run) -> dict[str, fields.Field]:
    """The options of an evaluation of a run; their defaults are the run's values."""
    evaluation = EVALUATIONS[name]
    shared = fields.fields_of(Request)
    known = {field: shared[field] for field in evaluation.takes}
    values = defaults(name, run)
    for field in fields.fields_of(evaluation.settings).values():
        value = values.get(field.name, field.default)
        known[field.name] = field._replace(default=value)
    return known


def defaults(name: str, run: Run) -> dict[str, Any]:
    """Settings of config.eval, which are those of the default evaluation."""
    return run.evaluation if name == fitting(run.method)[0] else {}


def parse(
    argv: Sequence[str], options: dict[str, fields.Field], what: str
) -> dict[str, Any]:
    """Values of the options that were given, by name.

    Raises:
        UserError: an option is not among `options`, or its value is not allowed.
    """
    given = read(argv, options, what=what, further=("ckpt", "evaluation"))
    if given.words:
        raise UserError(
            f"unexpected argument {given.words[0]!r}; options begin with --, and a "
            "pattern such as 'photos/*.jpg' needs quotes"
        )
    return given.values


def general_help() -> str:
    """What --help says without a run."""
    lines = [f"usage: {USAGE}", "", "What a run gives decides how it is evaluated:"]
    lines += [f"  {name:<10} {entry.text}" for name, entry in EVALUATIONS.items()]
    lines += [
        "",
        "--ckpt=RUN --help lists the options of a run with its own values.",
        "",
        "--config=CONFIG beside --ckpt=FILE evaluates a released checkpoint; without",
        "--ckpt, weights as they are: photos by examples, docs/few_shot.md, or by the",
        "patches that look most alike, docs/neighbours.md.",
        "",
        "Instead of evaluating:",
        *(
            f"  --{option:<16} {export.__doc__.splitlines()[0]}"
            for option, export in EXPORTS.items()
        ),
    ]
    return "\n".join(lines)


def help_text(name: str, run: Run, options: dict[str, fields.Field]) -> str:
    """What --help says of a run: its options with their values."""
    lines = [f"usage: {USAGE}", "", f"{run.name}, step {run.step}"]
    for other in fitting_names(run):
        mark = "*" if other == name else " "
        lines.append(f"{mark} --evaluation={other}: {EVALUATIONS[other].text}")
    return "\n".join([*lines, *as_help(options)])


def _options(argv: Sequence[str]) -> list[tuple[str, str | None]]:
    """Options and their values where they are joined by "="."""
    words = [word.partition("=") for word in argv if word.startswith("--")]
    return [(name[2:], value if equals else None) for name, equals, value in words]


def _value_of(name: str, argv: Sequence[str]) -> str | None:
    for place, word in enumerate(argv):
        if word == f"--{name}" and place + 1 < len(argv):
            return argv[place + 1]
        if word.startswith(f"--{name}="):
            return word.partition("=")[2]
    return None


def _is_given(name: str, argv: Sequence[str]) -> bool:
    return any(option == name for option, _ in _options(argv))


def _part(values: dict[str, Any], names: Any) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}
