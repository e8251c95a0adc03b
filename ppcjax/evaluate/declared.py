"""All declared settings, for those who read about them: --help and docs/settings.md."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ppcjax import fields, methods
from ppcjax.data_pipelines import READERS, SOURCES, SourceSettings, SplitSettings
from ppcjax.evaluate import EVALUATIONS, fitting
from ppcjax.fields import Field
from ppcjax.frozen.settings import FrozenSettings
from ppcjax.train import optim, schedules
from ppcjax.train.settings import RunSettings
from ppcjax.types import UserError


class Section(NamedTuple):
    """Settings that belong together.

    title: what they are of.
    path: part of the config that holds them.
    settings: what is declared, by name.
    """

    title: str
    path: str
    settings: dict[str, Field]


_FROZEN = 'Below the backbone "frozen"'


def sections() -> list[Section]:
    """The settings of everything that a config can name."""
    found = [
        Section("Every run", "config", fields.fields_of(RunSettings)),
        Section(_FROZEN, "config.frozen", fields.fields_of(FrozenSettings)),
    ]
    found += [
        Section(f"Method {name}", "config.method", fields.fields_of(make))
        for name, make in methods.METHODS.items()
    ]
    common = fields.fields_of(SourceSettings) | fields.fields_of(SplitSettings)
    found.append(Section("Any data", "config.data", common))
    found += [
        Section(f"Source {name}", "config.data", fields.fields_of(make))
        for name, make in SOURCES.items()
    ]
    found += [
        Section(f"Training on {name}", "config.data", fields.fields_of(reader.settings))
        for name, reader in READERS.items()
    ]
    found += [
        Section(f"Optimizer {name}", "config.optim", fields.fields_of(make))
        for name, make in optim.OPTIMIZERS.items()
    ]
    found += [
        Section(f"Schedule {name}", "config.optim.schedule", fields.fields_of(make))
        for name, make in schedules.SCHEDULES.items()
    ]
    found += [
        Section(
            f"Evaluation {name}: {entry.text}",
            "config.eval",
            fields.fields_of(entry.settings),
        )
        for name, entry in EVALUATIONS.items()
    ]
    return found


def settings_of(config: Mapping[str, Any]) -> Iterator[tuple[str, Any, Field]]:
    """Path, value and declaration of the settings that fit a config.

    Args:
        config: JSON types or their like.

    Raises:
        UserError: it names no method, no data or, where something learns, no optimizer,
            or an unknown method.
    """
    if missing := _missing(config):
        raise UserError(
            f"config.{missing} is missing, which decides what else there is"
        )
    method = methods.make({"name": config["method"]["name"]}, 3)
    name = fitting(method)[0]
    shown = {
        "Every run",
        "Any data",
        f"Method {config['method']['name']}",
        f"Source {config['data']['source']}",
        f"Evaluation {name}: {EVALUATIONS[name].text}",
    }
    if config.get("frozen") is not None:
        shown.add(_FROZEN)
    if method.loss is not None:
        schedule = config["optim"].get("schedule") or {}
        shown |= {
            f"Training on {method.reads}",
            f"Optimizer {config['optim'].get('name', 'sgd')}",
            f"Schedule {schedule.get('name')}",
        }
    for section in sections():
        if section.title not in shown:
            continue
        values = config
        for part in section.path.split(".")[1:]:
            values = values.get(part, {})
        for name, field in section.settings.items():
            default = field.default
            default = None if default is inspect.Parameter.empty else default
            yield f"{section.path}.{name}", values.get(name, default), field


def _missing(config: Mapping[str, Any]) -> str:
    """What a config needs for others to be known; "" where it is there."""
    for part, name in (("method", "name"), ("data", "source")):
        if not isinstance(config.get(part), Mapping):
            return part
        if name not in config[part]:
            return f"{part}.{name}"
    learns = methods.make({"name": config["method"]["name"]}, 3).loss is not None
    return "optim" if learns and not isinstance(config.get("optim"), Mapping) else ""


def hints(config: Mapping[str, Any]) -> dict[str, Any]:
    """Annotations by path of the settings that fit a config; none of half a config."""
    if _missing(config):
        return {}
    return {path: field.hint for path, _, field in settings_of(config)}


def help_text(config: Mapping[str, Any]) -> str:
    """What --help says of a config: its settings with their values."""
    lines = []
    for path, value, field in settings_of(config):
        lines.append(f"  --{path}={value}")
        lines.append(f"      {field.text} Give {fields.describe(field.hint)}.")
    return "\n".join(lines)


def as_markdown() -> str:
    """All settings as a page."""
    lines = [
        "# Settings",
        "",
        "All fields that a config can have, made from their declarations by",
        "`python -m docs.settings`. `python train.py --config CONFIG --help` and",
        "`python eval.py --ckpt RUN --help` list those that fit, with their values.",
        "Each can be given as `--PATH.FIELD=VALUE`, whether the config holds it or",
        "not; `None`, where it is allowed, takes one out.",
    ]
    for section in sections():
        lines += ["", f"## {section.title}", "", f"`{section.path}`", ""]
        lines += [
            "| field | default | allowed | what it is |",
            "| --- | --- | --- | --- |",
        ]
        for name, field in section.settings.items():
            default = "" if field.default is inspect.Parameter.empty else field.default
            cells = (
                f"`{name}`",
                f"`{default!r}`" if default != "" else "",
                fields.describe(field.hint),
                field.text,
            )
            lines.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
    return "\n".join(lines) + "\n"
