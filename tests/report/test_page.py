"""Pages of reports: what stands in a page."""

import json
import re

from markupsafe import Markup

from ppcjax.report import page


def test_skipped_images_are_escaped():
    text = page.skipped({"a": "a<b>.jpg: cannot be read"})
    assert "a&lt;b&gt;.jpg: cannot be read" in text and page.skipped({}) == ""


def test_parts_are_no_placeholders_and_no_tags():
    parts = ["", Markup("<p>{{style}}</p>"), "<p>text</p>"]
    shown = page.Page("{{data}} <b>", "lead & co", parts)
    text = page.as_html(shown)
    assert "{{data}} &lt;b&gt;" in text and "lead &amp; co" in text
    assert "<p>{{style}}</p>" in text and "&lt;p&gt;text&lt;/p&gt;" in text


def test_every_section_is_led_to():
    named = Markup('<section id="photos">\n<h2>Photos</h2></section>')
    bad = page.section("<section><h2>a</h2>", "<section><h2>b</h2>")
    sections = [page.section("A & B", "c"), "", named, bad]
    found, jumps = page.numbered(sections)
    assert len(found) == 3 and all(isinstance(one, Markup) for one in found)
    assert [jump.anchor for jump in jumps] == ["section-1", "photos", "section-3"]
    assert jumps[0].heading == "A &amp; B" and "<section>" not in jumps[2].heading
    assert found[2].count("<section") == 1
    text = page.as_html(page.Page("t", "l", sections))
    assert re.findall('href="#([^"]*)"', text) == [jump.anchor for jump in jumps]


def test_what_made_a_page_stands_at_its_end():
    made = {"Command": "eval.py --split='<b>'", "Commit": None}
    text = page.as_html(page.Page("t", "l", [], made=made))
    assert "eval.py --split=&#39;&lt;b&gt;&#39;" in text and "Commit" not in text


def test_script_data_cannot_end_its_element():
    text = page.as_script_data({"id": "</script>"})
    assert "<" not in text and json.loads(text) == {"id": "</script>"}
