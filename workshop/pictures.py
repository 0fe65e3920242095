"""Pictures: a state machine as a graph, and executions as a timeline.

Every picture has the same in words for those who cannot see it, and tells nothing by colour alone. The colours are
those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which colour-blind readers can tell apart.
"""

import base64
import datetime
import io
import re

from workshop.deploy import read_definition
from workshop.names import counted

# Type of a state -> (line, filling). Text on a filling is dark, so it is readable in JupyterLab's dark theme too.
COLOURS = {
    "Task": ("#0072B2", "#D3E8F5"),
    "Wait": ("#6B6B6B", "#EEEEEE"),
    "Choice": ("#B87700", "#FCECC9"),
    "Succeed": ("#007A5A", "#D2EFE5"),
    "Fail": ("#C14F00", "#FADFCB"),
    "Pass": ("#6B6B6B", "#FFFFFF"),
    "Map": ("#A0527F", "#F5E3EC"),
    "Parallel": ("#A0527F", "#F5E3EC"),
}
INK = "#1A1A1A"
DPI = 110
_HATCHES = {"Wait": "////", "Map": "....", "Parallel": "....", "Fail": "xxxx"}

# Type of a state -> its shape as a mermaid node. A Task is a box, a Wait has round ends, a Choice is a diamond.
_SHAPES = {"Wait": "([{}])", "Choice": "{{{}}}", "Succeed": "[[{}]]", "Fail": "[/{}\\]", "Pass": "({})"}


def draw(definition):
    """A state machine as a graph: JupyterLab draws it, and a reader of text gets its states and where each leads.

    definition: a dict or JSON text. Blanks (`...`) are drawn as such. Raises DeployError where it is no JSON object.
    """
    return StateMachineView(read_definition(_without_blanks(definition)))


class StateMachineView:
    """The graph of a state machine. mermaid: its source in the language of https://mermaid.js.org; str(): in words."""

    def __init__(self, definition):
        self.definition = definition
        self.mermaid = "\n".join(_graph(definition))

    def __str__(self):
        comment = self.definition.get("Comment")
        return "\n".join([comment, *_outline(self.definition)] if comment else _outline(self.definition))

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/vnd.mermaid": self.mermaid, "text/plain": str(self)}


def timeline(*histories, titles=None, job_ended=None):
    """Executions over time: a panel for each, in it a row for each state, in that a bar for each stay.

    histories: of executions.History. titles: a text for each; by default the names of their state machines.
    job_ended: when the job that an execution waited for really ended, in seconds since that execution's start or as a
        datetime with a time zone: one for each, or one for all, or None. It is marked, and so is the time until the
        execution ended.
    """
    if titles is not None and len(titles) != len(histories):
        raise ValueError(f"There are {len(histories)} executions, but {len(titles)} titles.")
    if not isinstance(job_ended, list | tuple):
        job_ended = [job_ended] * len(histories)
    if len(job_ended) != len(histories):
        raise ValueError(f"There are {len(histories)} executions, but {len(job_ended)} times in job_ended.")
    titles = titles or [history.name for history in histories]
    return Timeline([*zip(histories, titles, map(_seconds_since_start, job_ended, histories), strict=True)])


class Picture:
    """A picture, and the same in words. figure: of matplotlib, e.g. to save it; str(): what it shows, in words."""

    def __init__(self, figure, words):
        self.figure, self._words = figure, words

    def __str__(self):
        return self._words

    def png(self):
        """The picture as the bytes of a PNG file."""
        return as_png(self.figure)

    def _ipython_display_(self):
        from IPython.display import display

        show(self.figure, self._words)
        # JupyterLab (4.6) does not read `alt`, though others do, so the words are also shown below the picture.
        display({"text/plain": self._words}, raw=True)


class Timeline(Picture):
    """A picture of executions over time.

    The words name the states and how each execution ended but no measured time, so that they are the same in every
    run; print(history) has all times.
    """

    def __init__(self, panels):
        words = ["A timeline of executions, a row for each state.", *map(_panel_in_words, panels)]
        super().__init__(_figure(panels), "\n".join(words))


def as_png(figure):
    """A figure of matplotlib as the bytes of a PNG file; it should be white, to be readable in a dark theme too."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    # With 64 colours it is a third as large, and notebooks keep their pictures in themselves.
    Image.open(drawn).convert("RGB").quantize(64).save(small, "PNG", optimize=True)
    return small.getvalue()


def show(figure, words):
    """Show a figure of matplotlib in a notebook; words: the same as text, for those who cannot see it."""
    from IPython.display import display

    picture = {"image/png": base64.b64encode(as_png(figure)).decode(), "text/plain": words}
    display(picture, metadata={"image/png": {"alt": words}}, raw=True)


def states_of(definition):
    """The states of a definition, or of a flow inside one: {name: state}. A blank in place of a state has no more."""
    states = definition.get("States")
    states = states if isinstance(states, dict) else {}
    return {name: state if isinstance(state, dict) else {"Type": str(state)} for name, state in states.items()}


def _each(state, field):
    """The objects in one of a state's lists (Choices, Retry, Catch, Branches), blanks left out."""
    listed = state.get(field)
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def exits_of(state):
    """Where a state leads: a list of (when, name of the next state); `when` is empty where it simply goes on."""
    exits = [(f"if {_condition(rule)}", rule.get("Next")) for rule in _each(state, "Choices")]
    if "Default" in state:
        exits.append(("otherwise", state["Default"]))
    if "Next" in state:
        exits.append(("", state["Next"]))
    return [(when, name) for when, name in exits if name]


def catches_of(state):
    """Where a state leads when it fails: a list of (errors, name of the next state)."""
    return [(", ".join(each.get("ErrorEquals", [])), each["Next"]) for each in _each(state, "Catch") if "Next" in each]


def _retries(state):
    """How a state is retried, a list of texts."""
    return [
        f"retried up to {each.get('MaxAttempts', 3)} times on {', '.join(each.get('ErrorEquals', []))}"
        for each in _each(state, "Retry")
    ]


def flows_in(state):
    """The flows inside a Parallel (its branches) or a Map (what it does with each item)."""
    processor = state.get("ItemProcessor", state.get("Iterator"))
    return [processor] if isinstance(processor, dict) else _each(state, "Branches")


def _summary(state):
    """What a state does, in a few words."""
    kind = state.get("Type", "no Type")
    if kind == "Task":
        return f"Task: {_resource(state)}"
    if kind == "Wait":
        for field in ("Seconds", "SecondsPath"):
            if field in state:
                return f"Wait: {_expression(state[field])} seconds"
        return f"Wait: until {_expression(state.get('Timestamp', state.get('TimestampPath', '?')))}"
    if kind == "Fail":
        return ": ".join(["Fail", *(_expression(state[f]) for f in ("Error", "ErrorPath") if f in state)])
    if kind == "Map":
        return "Map: for each item"
    if kind == "Parallel":
        return f"Parallel: {len(flows_in(state))} branches"
    return kind


def _resource(state):
    """What a Task calls: "lambda:invoke" of arn:aws:states:::lambda:invoke, its name of the ARN of a function."""
    resource = str(state.get("Resource", "no Resource"))
    if ":lambda:" in resource and ":function:" in resource:
        return f"function {resource.split(':function:')[1]}"
    return resource.rsplit(":::", 1)[-1].removeprefix("aws-sdk:")


_COMPARISONS = {
    "Equals": "=",
    "LessThan": "<",
    "GreaterThan": ">",
    "LessThanEquals": "≤",
    "GreaterThanEquals": "≥",
    "Matches": "matches",
}
_TESTS = {
    "IsPresent": "present",
    "IsNull": "null",
    "IsString": "a string",
    "IsNumeric": "a number",
    "IsBoolean": "true or false",
    "IsTimestamp": "a timestamp",
}


def _condition(rule):
    """A rule of a Choice in short: $.status = "stopped" and not $.progress < 100."""
    if "Condition" in rule:  # JSONata
        return _expression(rule["Condition"])
    for word in ("And", "Or"):
        if word in rule:
            return f" {word.lower()} ".join(
                f"({_condition(part)})" if {"And", "Or"} & set(part) else _condition(part) for part in _each(rule, word)
            )
    if isinstance(rule.get("Not"), dict):
        return f"not ({_condition(rule['Not'])})"
    variable = rule.get("Variable", "?")
    for operator, value in rule.items():
        compared = re.fullmatch(r"(?:String|Numeric|Boolean|Timestamp)(\w+?)(?:Path)?", operator)
        if compared and compared[1] in _COMPARISONS:
            literal = f'"{value}"' if isinstance(value, str) and not operator.endswith("Path") else str(value).lower()
            return f"{variable} {_COMPARISONS[compared[1]]} {literal if isinstance(value, bool | str) else value}"
        if operator in _TESTS:
            return f"{variable} is {'' if value else 'not '}{_TESTS[operator]}"
    return "…"


def _expression(value):
    """A JSONata expression without its {% %}; anything else as it is."""
    return str(value).removeprefix("{%").removesuffix("%}").strip()


def _outline(definition, indent=""):
    """The state machine in words, a list of lines: every state, and below it where it leads."""
    lines = [f"{indent}Starts with {definition.get('StartAt', '?')}"]
    for name, state in states_of(definition).items():
        lines.append(f"{indent}{name} ({_summary(state)})")
        lines += [f"{indent}    {retry}" for retry in _retries(state)]
        for flow in flows_in(state):
            lines += _outline(flow, indent + "    | ")
        for when, following in exits_of(state):
            lines.append(f"{indent}    {when}{', ' if when else ''}then {following}")
        lines += [f"{indent}    on {errors}, then {following}" for errors, following in catches_of(state)]
        if state.get("End"):
            lines.append(f"{indent}    end")
    return lines


def _graph(definition):
    """The state machine as a mermaid flowchart, a list of lines."""
    title = _line_of_text(definition.get("Comment", "A state machine"))
    words = _line_of_text(" / ".join(line.strip() for line in _outline(definition)))
    lines = ["flowchart TD", f"accTitle: {title}", f"accDescr: {words}"]
    lines += _flow(definition, "s")
    for kind, (line, filling) in COLOURS.items():
        lines.append(f"classDef {kind} fill:{filling},stroke:{line},color:{INK}")
    lines.append(f"classDef Dot fill:{INK},stroke:#888888,color:#FFFFFF")
    return lines


def _flow(definition, prefix):
    """The lines of one flow: the state machine itself, or what is inside a Parallel or Map. prefix: of its ids."""
    states = states_of(definition)
    ids = {name: f"{prefix}{number}" for number, name in enumerate(states)}
    start, end = f"{prefix}start", f"{prefix}end"
    lines = [f"{start}(({_label('start')})):::Dot"]
    arrows = [(start, "-->", "", definition.get("StartAt", "?"))]
    for name, state in states.items():
        kind, node = state.get("Type"), ids[name]
        if flows_in(state):
            lines += [f"subgraph {node}[{_label(f'{name}, {_summary(state)}')}]", "direction TB"]
            for number, flow in enumerate(flows_in(state)):
                lines += _flow(flow, f"{node}_{number}_")
            lines.append("end")
        else:
            lines.append(node + _SHAPES.get(kind, "[{}]").format(_label(name, _summary(state), *_retries(state))))
            lines += [f"class {node} {kind}"] if kind in COLOURS else []
        arrows += [(node, "-->", when, following) for when, following in exits_of(state)]
        arrows += [(node, "-.->", errors, following) for errors, following in catches_of(state)]
        if state.get("End"):
            lines += [f"{end}(({_label('end')})):::Dot", f"{node} --> {end}"]
    for node, arrow, when, following in arrows:
        if following not in ids:
            ids[following] = f"{prefix}{len(ids)}"
            lines.append(f"{ids[following]}[{_label(f'{following} (no such state)')}]")
        lines.append(f"{node} {arrow}{f'|{_label(when)}|' if when else ''} {ids[following]}")
    return lines


def _label(*parts):
    """Text as a mermaid label, each part on its line; what mermaid or HTML would take for its own becomes a code."""
    # Two of its own it finds in spite of that: $$ begins a formula, \\n ends a line. A space of no width parts them.
    parts = (part.replace("$$", "$\u200b$").replace("\\n", "\\\u200bn") for part in parts)
    lines = ("".join(c if c.isalnum() or c in " ,:-_=/?!…≤≥" else f"#{ord(c)};" for c in part) for part in parts)
    return f'"{"<br/>".join(lines)}"'


def _line_of_text(text):
    """Text for a mermaid title or description: one line, without the characters that mean something to mermaid."""
    words = str(text).replace("<", " less than ").replace(">", " greater than ")
    return " ".join(re.sub(r"[;#{}]", " ", words).split())


def _without_blanks(value):
    if isinstance(value, dict):
        return {_without_blanks(key): _without_blanks(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_blanks(each) for each in value]
    return "…" if value is ... else value


def _seconds_since_start(moment, history):
    return (moment - history.started).total_seconds() if isinstance(moment, datetime.datetime) else moment


def _panel_in_words(panel):
    history, title, job_ended = panel
    names = ", ".join(dict.fromkeys(visit.name for visit in history.states()))
    marked = " The end of its job is marked." if job_ended is not None else ""
    return f"{title}: {history.status}, through the states {names}.{marked}"


def _figure(panels):
    # Not at the top: it takes longer to load than all the rest of the workshop. No pyplot, so no figure is kept
    # in memory or drawn a second time.
    from matplotlib.figure import Figure

    rows = [len({visit.name for visit in history.states()}) for history, _, _ in panels]
    span = max(max(history.seconds, job_ended or 0) for history, _, job_ended in panels) or 1
    figure = Figure(figsize=(9, sum(0.3 * n + 0.95 for n in rows)), facecolor="white", layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=[0.3 * n + 0.95 for n in rows])[:, 0]
    for axis, (history, title, job_ended) in zip(axes, panels, strict=True):
        _draw_panel(axis, history, title, job_ended, span)
    axes[-1].set_xlabel("seconds since the execution started", color=INK)
    return figure


def _draw_panel(axis, history, title, job_ended, span):
    visits = history.states()
    rows = {name: row for row, name in enumerate(dict.fromkeys(visit.name for visit in visits))}
    stays = {name: [] for name in rows}  # seconds
    for visit in visits:
        left = history.seconds if visit.left is None else visit.left
        stays[visit.name].append(left - visit.entered)
        line, filling = COLOURS.get(visit.type, COLOURS["Pass"])
        axis.barh(
            rows[visit.name],
            max(left - visit.entered, 0.005 * span),  # a stay of a few milliseconds must still be seen
            0.62,
            visit.entered,
            facecolor=filling,
            edgecolor=line,
            hatch=_HATCHES.get(visit.type),
        )
        notes = [f"{visit.attempts} attempts"] if visit.attempts > 1 else []
        notes += [f"✗ {visit.error}"] if visit.error else []
        # Behind the bar or before it, where half of the picture is free; else in it.
        at = left if left < span / 2 else visit.entered
        towards, align = (-5, "right") if at == visit.entered > span / 2 else (5, "left")
        _write(axis, ", ".join(notes), (at, rows[visit.name]), towards, ha=align, color=COLOURS["Fail"][0])
    types = {visit.name: visit.type for visit in visits}
    for name, row in rows.items():
        summary = f"{len(stays[name])} × {types[name]}, {sum(stays[name]):.1f} s"
        _write(axis, summary, (1, row), 5, xycoords=("axes fraction", "data"))
    transitions = counted(history.transitions, "state transition")
    heading = f"{title}: {history.status}, {history.seconds:.1f} s, {transitions}"
    if job_ended is not None:
        axis.axvspan(job_ended, history.seconds, facecolor="#F0E442", alpha=0.35, zorder=0)
        axis.axvline(job_ended, color=INK, linestyle="--", linewidth=1.2)
        _write(axis, "job ended", (job_ended, len(rows) - 0.15), -5, ha="right")
        later = history.seconds - job_ended
        heading += f", {abs(later):.1f} s {'after' if later >= 0 else 'before'} its job ended"
    axis.set_title(heading, loc="left", size=10, color=INK)
    axis.set_yticks([*rows.values()], [*rows], color=INK)
    axis.set_ylim(len(rows) - (0.5 if job_ended is None else -0.2), -0.6)
    axis.set_xlim(0, span * 1.02)
    axis.spines[["top", "right"]].set_visible(False)


def _write(axis, text, at, towards, color=INK, **options):
    """Text beside a point of the picture. towards: how far to its right, in points."""
    axis.annotate(text, at, (towards, 0), textcoords="offset points", va="center", size=9, color=color, **options)
