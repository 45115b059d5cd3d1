import pytest

from opdex.search.fusion import K, fuse


def test_score_is_one_when_every_channel_has_the_key_first() -> None:
    key, score, channels = fuse({"a": ["x", "y"], "b": ["x", "z"]})[0]

    assert (key, channels) == ("x", ["a", "b"])
    assert score == pytest.approx(1.0)


def test_key_of_both_channels_wins_when_each_has_another_first() -> None:
    fused = fuse({"a": ["x", "both"], "b": ["y", "both"]})

    assert [key for key, _, _ in fused] == ["both", "x", "y"]
    assert fused[0][1] == pytest.approx((2 / (K + 2)) / (2 / (K + 1)))
    assert fused[1][2] == ["a"]


def test_nothing_is_found_when_no_channel_found_anything() -> None:
    assert fuse({"a": [], "b": []}) == []
