from ppcjax.evaluate.episodes.plans import evaluated_classes
from ppcjax.evaluate.episodes.protocols import PROTOCOLS, EpisodeSettings


def test_named_settings_can_be_changed_in_part():
    changed = EpisodeSettings(protocol="panet", episodes=7, seeds=(3,))
    assert changed.resolved() == PROTOCOLS["panet"]._replace(episodes=7, seeds=(3,))
    assert EpisodeSettings(protocol="mlc").resolved() == PROTOCOLS["mlc"]


def test_panet_is_as_published():
    protocol = PROTOCOLS["panet"]
    assert protocol.seeds == (1234, 1235, 1236, 1237, 1238)
    assert (protocol.episodes, protocol.size, protocol.fit) == (1000, 417, "squash")


def test_classes_are_of_three_kinds():
    classes = ("background", "a", "b", "c")
    data = {"novel": ("a",), "validation_classes": ("b",)}
    assert evaluated_classes(data, "novel", classes) == [1]
    assert evaluated_classes(data, "validation", classes) == [2]
    assert evaluated_classes(data, "base", classes) == [3]
    assert evaluated_classes({"novel": ("a",)}, "validation", classes) == [2, 3]
