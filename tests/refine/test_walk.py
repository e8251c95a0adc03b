"""What the background scores in a walk."""

import pytest

from ppcjax.refine.walk import WalkSettings
from ppcjax.types import UserError


def test_the_background_is_the_threshold_of_the_scores():
    assert WalkSettings().of_scores(0.57).background == 0.57
    assert WalkSettings(background=0.27).of_scores(0.57).background == 0.27
    assert WalkSettings(alpha=6).of_scores(0.57).background is None


def test_two_backgrounds_are_an_error():
    with pytest.raises(UserError, match="eval.background=0.3 and eval.alpha=6: both"):
        WalkSettings(background=0.3, alpha=6)
