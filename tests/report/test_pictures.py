import numpy as np
import pytest

from keras_dss.report import accuracy_curve, hankel_values, kernels, pole_map
from keras_dss.report.pictures import plane_of
from keras_dss.report.style import COLORS, to_svg
from tests.report.svg import parse


def lines(figure):
    return [line.get_xydata() for line in figure.axes[0].get_lines()]


def test_hankel_values_are_relative_and_missing_states_are_left_out():
    values = np.array([[4.0, 2.0, 1.0, 0.0], [8.0, 8.0, 4.0, 0.0], [1.0, 0.1, 0.0, 0.0]])
    (median,) = lines(hankel_values(values))
    np.testing.assert_allclose(median, [[1, 1.0], [2, 0.5], [3, 0.375]])
    before, after = lines(hankel_values(values, before=np.ones((2, 6))))
    np.testing.assert_allclose(before, [[i, 1.0] for i in range(1, 7)])
    np.testing.assert_allclose(after, median)


def test_kernels_are_relative_to_those_before():
    before, after = np.array([[2.0, -4.0, 1.0]]), np.array([[1.0, -3.0, 1.0]])
    broad, thin, _ = lines(kernels(after, before, ["one"]))
    np.testing.assert_allclose(broad, [[1, 0.5], [2, -1.0], [3, 0.25]])
    np.testing.assert_allclose(thin, [[1, 0.25], [2, -0.75], [3, 0.25]])


def test_the_plane_is_the_one_that_tells_more():
    rng = np.random.default_rng(0)
    assert plane_of(np.exp(2j * np.pi * rng.uniform(size=50))) == "circle"
    assert plane_of(np.exp(-1e-3 * rng.uniform(size=50))) == "continuous"
    near = np.array([np.exp(-0.01 + 0.02j * np.pi), np.exp(-0.1)])
    points = pole_map(near).axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(points, [[100.0, 0.01], [10.0, 0.0]], atol=1e-12)
    points = pole_map(near, plane="circle").axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(points, [[z.real, abs(z.imag)] for z in near])
    with pytest.raises(ValueError, match="Received: plane='sphere'"):
        pole_map(near, plane="sphere")


def test_poles_outside_the_circle_and_at_zero_are_drawn():
    figure = pole_map(np.array([1.5, 0.0, -0.5]), before=np.array([0.99]), plane="continuous")
    assert "before, 1" in to_svg(figure, "p", "poles") and "growing after" in to_svg(
        figure, "q", "poles"
    )


def test_accuracy_is_in_per_cent_against_states():
    figure = accuracy_curve(
        {"a": [(8, 0.5), (4, 0.25)], "b": [(8, 0.5, 0.1)]}, [("mine", 8, 0.4)], reference=0.9
    )
    axis = figure.axes[0]
    np.testing.assert_allclose(axis.get_lines()[0].get_ydata(), [90.0, 90.0])
    np.testing.assert_allclose(axis.get_lines()[1].get_xydata(), [[4, 25.0], [8, 50.0]])
    assert axis.get_ylabel() == "accuracy (%)"
    assert (
        "less is better" in accuracy_curve({}, [("m", 4, 0.1)], metric="mse").axes[0].get_ylabel()
    )


def test_a_picture_is_an_element_that_takes_its_colours_from_the_page():
    figure = accuracy_curve({"a < b & c": [(8, 0.5), (4, 0.25)]}, reference=0.9)
    element = parse(to_svg(figure, "curve", 'say "50 %" <now>'))
    assert element.attrib["role"] == "img"
    assert element.attrib["aria-label"] == 'say "50 %" <now>'
    text = to_svg(figure, "curve", "x")
    assert not any(color in text for color in COLORS.values())
    assert "a &lt; b &amp; c" in text and "var(--blue)" in text
    ids = [item.attrib["id"] for item in element.iter() if "id" in item.attrib]
    assert len(ids) == len(set(ids)) and all(i.startswith("curve") for i in ids)
    assert all(f'id="{i}"' in text for i in set(find_references(text)))


def find_references(text):
    import re

    return re.findall(r'href="#([^"]+)"', text) + re.findall(r"url\(#([^)]+)\)", text)
