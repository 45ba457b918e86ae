"""The vocabulary of the pictures: scales and ticks, and the pictures' corner cases."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akd.report.blocks import Heading
from akd.report.charts import lines, matrix, rows, svg, tree

HEADING = Heading("key", "Title", "Description")
FINITE = st.floats(-1e6, 1e6, allow_nan=False)


@given(FINITE, st.floats(1e-6, 1e6), st.integers(2, 8))
def test_ticks_are_round_equally_far_apart_and_inside(low: float, width: float, count: int) -> None:
    high = low + width
    if not high - low > abs(low) * 1e-9:
        return
    found = svg.ticks(low, high, count)
    room = 1e-6 * (high - low)
    assert all(low - room <= tick <= high + room for tick in found)
    assert len(found) <= count + 2
    if len(found) > 1:
        step = found[1] - found[0]
        assert any(f"{step:.1e}".startswith(nice) for nice in ("1.0", "2.0", "5.0"))


@given(st.lists(FINITE, min_size=1, max_size=5))
def test_a_span_is_never_empty_and_holds_its_values(values: list[float]) -> None:
    for pad in (0.0, 0.05):
        low, high = svg.span(values, pad)
        assert low < high
        assert low <= min(values)
        assert max(values) <= high


def test_a_scale_maps_ends_to_ends() -> None:
    scale = svg.Scale(-1, 3, 100, 20)
    assert [scale(-1), scale(1), scale(3)] == [100, 60, 20]


def test_a_curve_of_values_that_are_not_finite_says_so() -> None:
    points = [(1.0, math.nan), (2.0, math.inf)]
    picture = svg.markup(lines.curve(HEADING, lines.Curve("loss", points), None, "step", "loss"))
    assert "no finite value" in picture
    assert "nan" not in picture


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    points = [(float(step), 1.0 + step) for step in range(10_001)]
    picture = svg.markup(lines.curve(HEADING, lines.Curve("loss", points), None, "step", "loss"))
    found = re.search(r'class="line series-0" d="M([^"]*)"', picture)
    assert found is not None
    drawn = found.group(1).split("L")
    assert 200 < len(drawn) <= 242
    ends = [float(place.split()[0]) for place in (drawn[0], drawn[-1])]
    long = ends[1] - ends[0]
    assert long == pytest.approx((svg.WIDTH - 54) / 1.04, rel=0.01)


def test_a_cell_is_as_deep_as_its_share_of_the_row() -> None:
    counts = {("a", "a"): 30, ("a", "b"): 10, ("b", "b"): 0}
    picture = svg.markup(matrix.confusion(HEADING, ["a", "b"], counts))
    assert re.findall(r'fill-opacity="([^"]*)"', picture) == ["0.3", "0.1", "0", "0"]
    assert re.findall(r">(\d+%)<", picture) == ["75%", "25%", "0%", "0%"]


def test_labels_over_columns_are_slanted_only_where_a_word_is_too_wide() -> None:
    short = ["risk and warning", "caution and advice", "safe and harmless"]
    assert "rotate" not in svg.markup(matrix.confusion(HEADING, short, {}))
    five = ["business", "entertainment", "politics", "sport", "tech"]
    picture = svg.markup(matrix.confusion(HEADING, five, {}))
    assert picture.count("rotate(35") == 5
    assert picture.count(">entertainment<") == 2


def test_words_are_clipped_by_how_wide_their_letters_are() -> None:
    assert svg.clipped("flood", 50) == "flood"
    assert svg.clipped("FLOOD WARNING", 50) == "FLOO…"
    assert svg.clipped("自然灾害与公共卫生", 50) == "自然灾…"


def test_a_large_tree_shows_its_best_nodes_with_their_ancestors() -> None:
    nodes = [tree.Node(0, -1, "seed", -9.0)]
    nodes += [tree.Node(number, number - 1, "step", -float(number)) for number in range(1, 100)]
    picture = svg.markup(tree.search_tree(HEADING, nodes, 60, 5))
    shown = [int(number) for number in re.findall(r">(\d+) (?:step|seed)", picture)]
    assert shown == list(range(61))


def test_marks_of_series_differ_by_shape() -> None:
    group = rows.Group("world", "n = 3", {0: 0.5, 1: 0.5, 2: 0.5, 3: 0.5})
    series = {0: "a", 1: "b", 2: "c", 3: "d"}
    picture = svg.markup(rows.groups(HEADING, [group], series, "accuracy"))
    shapes = re.findall(r'<(\w+) class="mark series-(\d)"', picture)
    assert shapes[:4] == [("circle", "0"), ("rect", "1"), ("path", "2"), ("path", "3")]
