"""Writes docs/settings.md from the declarations: python -m docs.settings."""

from pathlib import Path

from ppcjax.evaluate.declared import as_markdown

PAGE = Path(__file__).with_suffix(".md")

if __name__ == "__main__":
    PAGE.write_text(as_markdown())
