"""Boxes and arrows as a figure of matplotlib: a state machine from above to below, or a list of operations.

JupyterLab draws a state machine from `pictures.draw` by itself; this is for pictures that change and that are kept.
All lengths are in inches, from the upper left corner.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from workshop.pictures import COLOURS, INK, catches_of, exits_of, flows_in, states_of

_WIDE, _HIGH = 2.0, 0.42  # of a box
_APART, _BELOW = 0.25, 0.28  # between boxes of a row, and between rows
_LANE = 0.13  # between arrows that go around boxes, on the left or right of them
_TEXT = 4.3  # of the lines beside it
_TITLE = 0.42  # of a box with others in it
_QUIET, _NOW = "#8A8A8A", "#F0E442"


@dataclasses.dataclass
class Box:
    """name; kind: "Task", "Wait", ..., which decides its colours; left, top, width, height; holds: boxes within."""

    name: str
    kind: str
    left: float
    top: float
    width: float = _WIDE
    height: float = _HIGH
    holds: bool = False


@dataclasses.dataclass(frozen=True)
class Look:
    """How a box looks. note: its second line. reached: whether it is drawn in its colours. now: whether it is lit."""

    note: str
    reached: bool = False
    now: bool = False


@dataclasses.dataclass
class Arrow:
    """From a box to another. side: 0 where it leads straight down; else it goes around what lies in between.

    side: -1 on the left, for what leads back; 1 on the right. lane: where it goes there, from the left.
    below: where the row of the source ends.
    """

    source: Box
    target: Box
    dashed: bool
    below: float
    side: int = 0
    lane: float = 0.0


@dataclasses.dataclass
class Graph:
    """Boxes and arrows, and how much room they take."""

    width: float = 0.0
    height: float = 0.0
    boxes: list[Box] = dataclasses.field(default_factory=list)
    arrows: list[Arrow] = dataclasses.field(default_factory=list)

    def add(self, other: "Graph", left: float, top: float):
        """Take over what is in another graph, moved."""
        for box in other.boxes:
            box.left, box.top = box.left + left, box.top + top
        for arrow in other.arrows:
            arrow.lane, arrow.below = arrow.lane + left, arrow.below + top
        self.boxes += other.boxes
        self.arrows += other.arrows


def graph_of(definition: Mapping[str, Any]) -> Graph:
    """A state machine as a graph: each state below all that lead to it, but for what leads back."""
    states = states_of(definition)
    rows, back = _rows(definition, states)
    depths = {name: depth for depth, row in enumerate(rows) for name in row}
    leads = []  # from, to, whether it is a Catch, side
    for name, state in states.items():
        for into, dashed in ((exits_of(state), False), (catches_of(state), True)):
            for following in dict.fromkeys(each for _, each in into if each in states):
                around = -1 if (name, following) in back else 1
                leads.append((name, following, dashed, 0 if depths[following] - depths[name] == 1 else around))
    inside = {name: [graph_of(flow) for flow in flows_in(state)] for name, state in states.items()}
    sizes = {name: _size(flows) for name, flows in inside.items()}
    widths = [sum(sizes[name][0] for name in row) + _APART * (len(row) - 1) for row in rows]
    beside = {side: _LANE * (1.5 + sum(lead[3] == side for lead in leads)) for side in (-1, 1)}
    middle = beside[-1] + max(widths, default=0) / 2
    graph, boxes, ends, top = Graph(beside[-1] + max(widths, default=0) + beside[1]), {}, {}, 0.0
    for row, width in zip(rows, widths, strict=True):
        left = middle - width / 2
        for name in row:
            boxes[name] = Box(name, states[name].get("Type", ""), left, top, *sizes[name], holds=bool(inside[name]))
            graph.boxes.append(boxes[name])
            within = left + _APART
            for flow in inside[name]:
                graph.add(flow, within, top + _TITLE)
                within += flow.width + _APART
            left += sizes[name][0] + _APART
        ends |= dict.fromkeys(row, top + max(sizes[name][1] for name in row))
        top = ends[row[0]] + _BELOW
    graph.height = max(top - _BELOW, 0)
    used = {-1: 0, 0: 0, 1: 0}
    for name, following, dashed, side in leads:
        used[side] += 1
        lane = middle + side * (max(widths) / 2 + _LANE * used[side])
        graph.arrows.append(Arrow(boxes[name], boxes[following], dashed, ends[name], side, lane))
    return graph


def list_of(entries: Sequence[tuple[str, str, int]]) -> Graph:
    """Boxes one below the other. entries: (name, kind, how deep it is within others)."""
    graph = Graph()
    for number, (name, kind, deep) in enumerate(entries):
        graph.boxes.append(Box(name, kind, 0.1 + 0.25 * deep, number * (_HIGH + 0.1), width=_WIDE + 0.6))
    graph.width = max((box.left + box.width for box in graph.boxes), default=_WIDE) + 0.2
    graph.height = len(entries) * (_HIGH + 0.1)
    return graph


def draw(graph: Graph, looks: Sequence[Look], title: str, lines: Collection[str]):
    """The graph, and beside it lines of text; a figure of matplotlib. looks: one for each of its boxes, in order."""
    # Not at the top: it takes long to load. No pyplot, so no figure is kept in memory.
    from matplotlib.figure import Figure

    width, height = graph.width + _TEXT + 0.3, max(graph.height, 0.19 * len(lines)) + 0.65
    figure = Figure(figsize=(width, height), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height - 0.5, -0.5))
    axes.axis("off")
    axes.text(0.1, -0.3, title, size=10, color=INK, weight="bold", va="center")
    for box, look in zip(graph.boxes, looks, strict=True):
        _draw_box(axes, box, look)
    for arrow in graph.arrows:
        _draw_arrow(axes, arrow)
    for number, line in enumerate(lines):
        text = _fitting(line, _TEXT, 13.8)
        axes.text(graph.width + 0.2, 0.1 + 0.19 * number, text, size=8.5, color=INK, va="center", family="monospace")
    return figure


def _rows(definition, states):
    """The names of the states, row by row, and what leads back: {(from, to)}."""
    leads = {
        name: [each for _, each in exits_of(state) + catches_of(state) if each in states]
        for name, state in states.items()
    }
    done, path, back = [], [], set()

    def walk(name):
        path.append(name)
        for following in leads[name]:
            if following in path:
                back.add((name, following))
            elif following not in done:
                walk(following)
        done.append(path.pop())

    for name in [definition.get("StartAt"), *states]:
        if name in states and name not in done:
            walk(name)
    depths = dict.fromkeys(states, 0)
    for name in reversed(done):
        for following in leads[name]:
            if (name, following) not in back:
                depths[following] = max(depths[following], depths[name] + 1)
    rows = [[] for _ in range(max(depths.values(), default=-1) + 1)]
    for name, depth in depths.items():
        rows[depth].append(name)
    return rows, back


def _size(flows):
    """The width and height of a box in which these graphs lie side by side."""
    if not flows:
        return _WIDE, _HIGH
    return sum(flow.width + _APART for flow in flows) + _APART, max(flow.height for flow in flows) + _TITLE + 0.15


def _draw_box(axes, box, look):
    from matplotlib.patches import FancyBboxPatch

    line, filling = COLOURS.get(box.kind, COLOURS["Pass"])
    if not look.reached:
        line, filling = _QUIET, "white"
    if box.holds:
        filling = "none"
    style = {"linewidth": 1.2, "linestyle": "solid" if look.reached else "dashed"}
    if look.now:
        line, filling, style = INK, "none" if box.holds else _NOW, {"linewidth": 2.6}
    shape = "round,pad=0,rounding_size=0.07"
    axes.add_patch(
        FancyBboxPatch((box.left, box.top), box.width, box.height, shape, facecolor=filling, edgecolor=line, **style)
    )
    colour = INK if look.reached or look.now else "#5A5A5A"
    middle = box.left + box.width / 2
    name = ("▶ " if look.now else "") + _fitting(box.name, box.width)
    axes.text(middle, box.top + 0.14, name, size=9, color=colour, ha="center", va="center", weight="bold")
    axes.text(middle, box.top + 0.3, _fitting(look.note, box.width, 14), size=7.5, color=colour, ha="center",
              va="center")  # fmt: skip


def path_of(arrow: Arrow) -> list[tuple[float, float]]:
    """The points of an arrow, from its source to its target. Between the rows, so that it crosses no box."""
    source, target, side = arrow.source, arrow.target, arrow.side
    bottom = source.top + source.height
    if side == 0:
        return [(_middle(source), bottom), (_middle(source), arrow.below), (_middle(target), target.top)]
    out, gap = (bottom, arrow.below + 0.09) if side > 0 else (source.top, source.top - 0.09)
    start, end = (_middle(box) + side * (box.width / 2 - 0.25) for box in (source, target))
    last = target.top - 0.12
    return [(start, out), (start, gap), (arrow.lane, gap), (arrow.lane, last), (end, last), (end, target.top)]


def _draw_arrow(axes, arrow):
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    style = {"linestyle": "dashed" if arrow.dashed else "solid", "joinstyle": "round", "linewidth": 0.9, "color": INK}
    axes.add_patch(FancyArrowPatch(path=Path(path_of(arrow)), arrowstyle="-|>", mutation_scale=9, **style))


def _middle(box):
    return box.left + box.width / 2


def _fitting(text, width, letters=12):
    """The text, cut where it is longer than so many letters for each inch."""
    most = int(width * letters)
    return text if len(text) <= most else text[: most - 1] + "…"
