"""Trials that no other beats."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from keras_dss.tuner import draw_front, pareto_front


def trial(quality, states, size):
    return {"metrics": {"quality": quality, "states": states, "bytes": size}}


def beats(one, other):
    a, b = one["metrics"], other["metrics"]
    no_worse = (
        a["quality"] >= b["quality"] and a["states"] <= b["states"] and a["bytes"] <= b["bytes"]
    )
    return no_worse and a != b


@given(st.lists(st.builds(trial, *[st.integers(0, 4)] * 3)))
def test_front_is_what_nothing_beats(trials):
    front = pareto_front(trials)
    for one in trials:
        beaten = any(beats(other, one) for other in trials)
        assert beaten == (one["metrics"] not in [other["metrics"] for other in front])
    metrics = [tuple(one["metrics"].values()) for one in front]
    assert len(set(metrics)) == len(metrics)
    assert [one["metrics"]["states"] for one in front] == sorted(s for _, s, _ in metrics)


def test_picture(tmp_path):
    path = tmp_path / "front.png"
    trials = [trial(0.9, 64, 600), trial(0.5, 8, 90), trial(0.4, 16, 100)]
    draw_front(path, trials, trial(0.95, 128, 700)["metrics"], trials[0], title="a model")
    picture = path.read_bytes()
    width, height = struct.unpack(">II", picture[16:24])
    assert picture.startswith(b"\x89PNG") and width > 800 and height > 300
    assert list(tmp_path.iterdir()) == [path]
