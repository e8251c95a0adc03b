from ppcjax.console import loops


def test_progress_in_a_log_is_plain_lines(capsys):
    assert list(loops.show_progress(range(3), 3, "val")) == [0, 1, 2]
    text = capsys.readouterr().err
    assert text.startswith("val: 3/3 images") and "\r" not in text


def test_unit_and_unknown_end_are_said(capsys):
    assert list(loops.show_progress("ab", None, "fit", unit="photos")) == ["a", "b"]
    text = capsys.readouterr().err
    assert text.startswith("fit: 2 photos, ") and "photos/s" in text
    assert "ETA" not in text
