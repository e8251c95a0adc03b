"""The benchmark of digests runs, and they cost what is promised."""

from benchmarks import checkpoints


def test_digests_take_less_than_a_fiftieth_of_the_steps(capsys):
    share = checkpoints.main(
        ["--megabytes=1", "--arrays=3", "--tries=1", "--interval=500"]
    )
    assert 0 < share < 0.02
    assert "evaluate, no digests" in capsys.readouterr().out
