"""Graphs of state machines: each box has a place of its own, and no arrow crosses a box."""

import itertools

import pytest
from test_pictures import POLLING

from workshop import graphs
from workshop.graphs import Look

FINE = {"Type": "Succeed"}
NESTED = {
    "StartAt": "Each",
    "States": {
        "Each": {"Type": "Map", "ItemProcessor": POLLING, "Next": "Both"},
        "Both": {"Type": "Parallel", "Branches": [POLLING, {"StartAt": "One", "States": {"One": FINE}}], "Next": "End"},
        "End": FINE,
    },
}
MANY = {  # a row of boxes of several heights, arrows that pass rows on both sides, a state that nothing leads to
    "StartAt": "A",
    "States": {
        "A": {"Type": "Task", "Next": "B", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Z"}]},
        "B": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.a", "IsPresent": True, "Next": name} for name in ("C", "D", "A")],
            "Default": "E",
        },
        "C": {"Type": "Parallel", "Branches": [POLLING], "Next": "Z"},
        "D": {"Type": "Wait", "Seconds": 1, "Next": "B"},
        "E": {"Type": "Pass", "Next": "F"},
        "F": {"Type": "Pass", "Next": "Z"},
        "Z": FINE,
        "Lost": {"Type": "Wait", "Seconds": 1, "Next": "Z"},
    },
}
ALL = pytest.mark.parametrize("definition", [POLLING, NESTED, MANY, {}], ids=["polling", "nested", "many", "none"])


def edges(box):
    return box.left, box.top, box.left + box.width, box.top + box.height


def within(box, other):
    left, top, right, bottom = edges(other)
    return left <= box.left and top <= box.top and box.left + box.width <= right and box.top + box.height <= bottom


def apart(box, other):
    left, top, right, bottom = edges(other)
    return box.left >= right or box.left + box.width <= left or box.top >= bottom or box.top + box.height <= top


@ALL
def test_boxes_lie_apart_or_one_within_the_other(definition):
    boxes = graphs.graph_of(definition).boxes
    for one, other in itertools.combinations(boxes, 2):
        holds = (one.holds and within(other, one)) or (other.holds and within(one, other))
        assert holds or apart(one, other), (one, other)


@ALL
def test_no_arrow_crosses_a_box(definition):
    """But those that it is drawn in, and those that it comes from and leads to."""
    graph = graphs.graph_of(definition)
    for arrow in graph.arrows:
        path = graphs.path_of(arrow)
        for box in graph.boxes:
            if box in (arrow.source, arrow.target) or (box.holds and within(arrow.source, box)):
                continue
            for (x1, y1), (x2, y2) in itertools.pairwise(path):
                points = [(x1 + (x2 - x1) * n / 50, y1 + (y2 - y1) * n / 50) for n in range(51)]
                left, top, right, bottom = edges(box)
                inside = [point for point in points if left < point[0] < right and top < point[1] < bottom]
                assert not inside, (arrow.source.name, arrow.target.name, box.name)


def test_what_leads_back_goes_up_on_the_left():
    graph = graphs.graph_of(POLLING)
    ways = {(arrow.source.name, arrow.target.name): (arrow.side, arrow.dashed) for arrow in graph.arrows}
    assert ways == {
        ("Start", "Wait"): (0, False),
        ("Start", "Give up"): (1, True),
        ("Wait", "Poll"): (0, False),
        ("Poll", "Done?"): (0, False),
        ("Done?", "Done"): (0, False),
        ("Done?", "Give up"): (0, False),
        ("Done?", "Wait"): (-1, False),
    }


def test_a_picture_tells_nothing_by_colour_alone():
    graph = graphs.graph_of(POLLING)
    names = [box.name for box in graph.boxes]
    looks = [Look("note", reached=name != "Give up", now=name == "Wait") for name in names]
    [axes] = graphs.draw(graph, looks, "title", ["a line"]).axes
    texts = [text.get_text() for text in axes.texts]
    assert "▶ Wait" in texts and "Poll" in texts and "a line" in texts and "title" in texts
    styles = {name: patch.get_linestyle() for name, patch in zip(names, axes.patches, strict=False)}
    assert styles["Give up"] == "dashed" and styles["Poll"] == "solid"


def test_a_long_name_stays_in_its_box():
    graph = graphs.list_of([("x" * 100, "Task", 2)])
    [axes] = graphs.draw(graph, [Look("y" * 100, reached=True)], "title", []).axes
    figure = axes.figure
    figure.draw_without_rendering()
    box = axes.patches[0].get_window_extent()
    for text in axes.texts[1:]:
        extent = text.get_window_extent()
        assert box.x0 <= extent.x0 and extent.x1 <= box.x1
