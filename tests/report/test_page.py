"""Pages of reports: what stands in a page."""

import json

from ppcjax.report import page


def test_skipped_images_are_escaped():
    text = page.skipped({"a": "a<b>.jpg: cannot be read"})
    assert "a&lt;b&gt;.jpg: cannot be read" in text and page.skipped({}) == ""


def test_parts_are_no_placeholders_and_no_tags(tmp_path):
    shown = page.Page("{{data}} <b>", "lead & co", ["", "<p>{{style}}</p>"])
    page.write_page(tmp_path / "report.html", shown)
    text = (tmp_path / "report.html").read_text()
    assert "{{data}} &lt;b&gt;" in text and "lead &amp; co" in text
    assert "<p>{{style}}</p>" in text


def test_script_data_cannot_end_its_element():
    text = page.as_script_data({"id": "</script>"})
    assert "<" not in text and json.loads(text) == {"id": "</script>"}
