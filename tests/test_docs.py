"""Pages that are made from the code say what the code says."""

from docs import settings
from ppcjax import fields
from ppcjax.evaluate.declared import as_markdown, sections


def test_the_page_of_settings_is_up_to_date():
    """If it is not: python -m docs.settings."""
    assert settings.PAGE.read_text() == as_markdown()


def test_every_setting_says_what_it_is():
    for section in sections():
        for name, field in section.settings.items():
            assert field.text, f"{section.title}: {name} has no line in its docstring"
            assert fields.describe(field.hint) != "a value", f"{section.title}: {name}"
