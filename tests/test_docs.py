"""Pages that are made from the code say what the code says."""

import importlib

import pytest

from docs import settings
from ppcjax import fields
from ppcjax.evaluate.declared import as_markdown, sections, settings_of
from tests.test_configs import NAMES


def test_the_page_of_settings_is_up_to_date():
    """If it is not: python -m docs.settings."""
    assert settings.PAGE.read_text() == as_markdown()


def test_every_setting_says_what_it_is():
    for section in sections():
        for name, field in section.settings.items():
            assert field.text, f"{section.title}: {name} has no line in its docstring"
            assert fields.describe(field.hint) != "a value", f"{section.title}: {name}"


@pytest.mark.parametrize("name", NAMES)
def test_help_lists_every_field_of_a_config(name):
    config = importlib.import_module(f"ppcjax.configs.{name}").get_config().to_dict()
    listed = {path for path, _, _ in settings_of(config)}
    for part in ("method", "data", "optim", "eval"):
        missing = {f"config.{part}.{field}" for field in config.get(part, {})} - listed
        # A name chooses which settings are listed; a schedule has its own.
        assert missing <= {f"config.{part}.name", "config.optim.schedule"}, missing
    own = {f"config.{field}" for field, v in config.items() if not isinstance(v, dict)}
    assert own <= listed
