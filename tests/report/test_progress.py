"""How far a long loop is."""

from ppcjax.report import progress


def test_progress_in_a_log_is_plain_lines(capsys):
    assert list(progress.show_progress(range(3), 3, "val")) == [0, 1, 2]
    text = capsys.readouterr().err
    assert text.startswith("val: 3/3 images") and "\r" not in text


def test_speed_says_what_is_counted_and_the_time_left():
    assert progress.speed(0.0, "photos", 3.0) == ""
    assert progress.speed(2.5, "queries", None) == "2.5 queries/s"
    assert progress.speed(10, "photos", 3725) == "10 photos/s  ETA 1:02:05"
