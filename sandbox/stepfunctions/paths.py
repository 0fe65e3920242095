"""JSONPath as Step Functions has it: paths, reference paths and payload templates.

AWS evaluates JSONPath with the Jayway library: a definite path (names and indices only) gives one value and
fails where there is none; any other path gives the list of what it finds, which may be empty.
"""

import copy
import functools
import json
import re

from ministack.services import stepfunctions as engine


class PathError(Exception):
    """A path that is malformed or finds nothing; the message is in the words of AWS's JSONPath library."""


class IntrinsicError(PathError):
    """An intrinsic function that its arguments made fail."""


_STEP = re.compile(
    r"""\.\.(?P<deep>\*|[\w-]+)?          # ..name  ..*  or .. before a bracket
      | \.(?P<name>\*|[^.\[\]'"()\s]+)     # .name   .*
      | \[(?P<bracket>
            \s*(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?:\s*,\s*(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))*\s*
          | [^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*
        )\]""",
    re.X,
)
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_SLICE = re.compile(r"(-?\d*)\s*:\s*(-?\d*)(?:\s*:\s*(-?\d*))?$")


@functools.lru_cache(4096)
def parse(path):
    """Split a path that starts at its root, as in `$.a[0]`, into (root, steps); raises PathError."""
    root = re.match(r"\$\$|\$[A-Za-z_]\w*|\$", path)
    if not root:
        raise PathError(f"Invalid path '{path}'")
    steps, at = [], root.end()
    while at < len(path):
        found = _STEP.match(path, at)
        if not found or not found.group():
            raise PathError(f"Invalid path '{path}'")
        at = found.end()
        if found["name"] is not None:
            steps.append(("all", None) if found["name"] == "*" else ("names", [found["name"]]))
        elif found["bracket"] is not None:
            steps.append(_bracket(found["bracket"].strip(), path))
        else:
            steps.append(("deep", None))
            if found["deep"]:
                steps.append(("all", None) if found["deep"] == "*" else ("names", [found["deep"]]))
    return root.group(), tuple(steps)


def _bracket(text, path):
    if text == "*":
        return "all", None
    if re.fullmatch(r"-?\d+(\s*,\s*-?\d+)*", text):
        return "indices", [int(number) for number in text.split(",")]
    if text[:1] in "'\"" and text:
        return "names", [re.sub(r"\\(.)", r"\1", a or b) for a, b in _QUOTED.findall(text)]
    if text.startswith("?(") and text.endswith(")"):
        return "filter", text[2:-1]
    if parts := _SLICE.match(text):
        return "slice", slice(*(int(part) if part else None for part in parts.groups()))
    raise PathError(f"Invalid path '{path}'")


def is_definite(path):
    """Whether a path names one place: what InputPath need not be and ResultPath must be."""
    return all(kind in ("names", "indices") and len(what) == 1 for kind, what in parse(path)[1])


def find(path, data):
    """What a path finds in data, the value at its root; raises PathError where a definite path finds nothing."""
    steps = parse(path)[1]
    values = [data]
    for number, (kind, what) in enumerate(steps):
        values = [hit for value in values for hit in _take(kind, what, value)]
        if not values and is_definite(path):
            shown = "$" + "".join(f"[{w[0]!r}]" if k == "names" else f"[{w[0]}]" for k, w in steps[: number + 1])
            problem = "No results for path" if number == len(steps) - 1 else "Missing property in path"
            raise PathError(f"{problem}: {shown}" if number == len(steps) - 1 else f"{problem} {shown}")
    return values[0] if is_definite(path) else values


def _take(kind, what, value):
    if kind == "names":
        return [value[name] for name in what if isinstance(value, dict) and name in value]
    if kind == "all":
        return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
    if kind == "deep":
        inside = _take("all", None, value)
        return [value] + [hit for item in inside for hit in _take("deep", None, item)]
    if kind == "filter":
        return [item for item in _take("all", None, value) if _holds(what, item)]
    if not isinstance(value, list):
        return []
    if kind == "slice":
        return value[what]
    return [value[index] for index in what if -len(value) <= index < len(value)]


_COMPARISON = re.compile(r"(?P<left>@[^=!<>~&|]*?|'[^']*')\s*(?:(?P<op>==|!=|<=|>=|<|>|=~)\s*(?P<right>.+))?$")


def _holds(condition, item):
    """A filter: comparisons of `@.path` with a literal, joined by && and ||, or the path alone (it exists)."""
    if "||" in condition:
        return any(_holds(part, item) for part in condition.split("||"))
    if "&&" in condition:
        return all(_holds(part, item) for part in condition.split("&&"))
    condition = condition.strip()
    if condition.startswith("!"):
        return not _holds(condition[1:].strip("() "), item)
    match = _COMPARISON.match(condition.strip("() "))
    if not match:
        raise PathError(f"Could not compile filter {condition}")
    left = _operand(match["left"], item)
    if not match["op"]:
        return left is not _MISSING
    right = _operand(match["right"], item)
    if match["op"] in ("==", "!="):
        return same_json(left, right) == (match["op"] == "==")
    if match["op"] == "=~":
        return isinstance(left, str) and re.fullmatch(str(right).strip("/"), left) is not None
    if type(left) is not type(right) and not (is_number(left) and is_number(right)):
        return False
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[match["op"]]


_MISSING = object()
_LITERALS = {"true": True, "false": False, "null": None}


def _operand(text, item):
    text = text.strip()
    if text.startswith("@"):
        try:
            return find("$" + text[1:], item)
        except PathError:
            return _MISSING
    if text in _LITERALS:
        return _LITERALS[text]
    if text[:1] in "'\"/":
        return text[1:-1]
    return float(text) if "." in text else int(text)


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def same_json(a, b):
    """Equality of JSON values: unlike Python's, true is not 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    return a == b


def put(path, document, value):
    """A copy of document with value at a reference path, making the objects on the way (ResultPath).

    Raises PathError where a step does not fit what is there, as a name on an array.
    """
    steps = parse(path)[1]
    if not steps:
        return value
    whole = place = copy.deepcopy(document)
    for number, (kind, (key, *_)) in enumerate(steps):
        fits = isinstance(place, dict) if kind == "names" else isinstance(place, list) and key < len(place)
        if not fits:
            raise PathError(f'Unable to apply step "{key}" to input {json.dumps(place)}')
        if number == len(steps) - 1:
            place[key] = value
        else:
            if kind == "names" and key not in place:
                place[key] = {}
            place = place[key]
    return whole


class Scope:
    """What the paths of one state can reach: its data as `$`, the context as `$$`, variables as `$name`."""

    def __init__(self, data, context, variables):
        self.data = data
        self.context = context
        self.variables = variables

    def read(self, path):
        """The value of a path; raises PathError."""
        root, _ = parse(path)
        if root == "$$":
            return find(path, self.context)
        if root == "$":
            return find(path, self.data)
        if root[1:] not in self.variables:
            raise PathError(f"Variable '{root}' is not defined")
        return find(path, self.variables[root[1:]])

    def evaluate(self, expression):
        """The value of a path or of an intrinsic function; raises PathError."""
        if not expression.startswith("States."):
            return self.read(expression)
        try:
            call, _ = engine._parse_intrinsic_call(expression, 0)
            return self._call(call)
        except PathError:
            raise
        except Exception as problem:  # the engine's functions raise whatever their arguments provoke
            raise IntrinsicError(f"The function '{expression}' had the following error: {problem}") from problem

    def _call(self, node):
        """Evaluate the engine's syntax tree of a call, with our paths in its arguments."""
        _, name, arguments = node
        values = []
        for kind, *rest in arguments:
            if kind == "call":
                value = self._call((kind, *rest))
            elif kind == "path":
                value = self._argument(rest[0])
            else:
                value = rest[0]
            values.append(value)
        if name == "States.Format":  # the engine writes True and None, AWS true and null
            values[1:] = [v if isinstance(v, str) else json.dumps(v) for v in values[1:]]
        return engine._exec_intrinsic(("call", name, [("str", v) for v in values]), None, None)

    def _argument(self, path):
        try:
            return self.read(path)
        except PathError as problem:
            raise PathError(
                f"The JsonPath argument for the field '{path}' could not be found in the input '{self._source(path)}'"
            ) from problem

    def _source(self, path):
        """What a path would have read, as a cause shows it."""
        return json.dumps(self.context if path.startswith("$$") else self.data, separators=(",", ":"))

    def fill(self, template):
        """A payload template with the paths and functions of its `.$` fields evaluated; raises PathError."""
        if isinstance(template, list):
            return [self.fill(item) for item in template]
        if not isinstance(template, dict):
            return template
        filled = {}
        for key, value in template.items():
            if not key.endswith(".$"):
                filled[key] = self.fill(value)
                continue
            if self.data is None and re.match(r"\$(?![\$A-Za-z_])", value):
                raise PathError("Unable to apply Path transformation to null or empty input.")
            try:
                filled[key[:-2]] = copy.deepcopy(self.evaluate(value))
            except PathError as problem:
                if value.startswith("States."):
                    raise
                raise PathError(
                    f"The JSONPath '{value}' specified for the field '{key}' could not be found in the input "
                    f"'{self._source(value)}'"
                ) from problem
        return filled
