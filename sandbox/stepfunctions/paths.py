"""JSONPath as Step Functions has it: paths, and reference paths.

AWS evaluates JSONPath with the Jayway library (github.com/json-path/JsonPath, "Operators" and "Filter Operators"): a
definite path (names and indices only) gives one value and fails where there is none; any other path gives the list of
what it finds, which may be empty. A dot may stand before a bracket, as in `$.abc.['def ghi']`
(docs.aws.amazon.com/step-functions/latest/dg/amazon-states-language-paths.html). Its functions, as `.length()`, are
left out: such a path is refused.
"""

import copy
import functools
import json
import re


class PathError(Exception):
    """A path that is malformed or finds nothing; the message is in the words of AWS's JSONPath library."""


_NAME = re.compile(r"""\*|[^.\[\]'"()\s,]+""")
_NAME_IN_A_FILTER = re.compile(r"""\*|[^.\[\]'"()\s,=!<>~&|]+""")
_QUOTED = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")
_NAMES = re.compile(rf"(?:{_QUOTED.pattern})(?:\s*,\s*(?:{_QUOTED.pattern}))*")
_SLICE = re.compile(r"(-?\d*)\s*:\s*(-?\d*)(?:\s*:\s*(-?\d*))?$")


@functools.lru_cache(4096)
def parse(path):
    """Split a path that starts at its root, as in `$.a[0]`, into (root, steps); raises PathError."""
    steps, end = scan(path, 0)
    if end < len(path) or path.startswith("@"):
        raise PathError(f"Invalid path '{path}'")
    return re.match(_ROOT, path).group(), steps


_ROOT = re.compile(r"\$\$|\$[A-Za-z_]\w*|\$|@")


def scan(text, at, names=_NAME):
    """The steps of a path that begins in a text at its root, and where it ends; raises PathError."""
    root = _ROOT.match(text, at)
    if not root:
        raise PathError(f"Invalid path '{text[at:]}'")
    steps, at = [], root.end()
    while at < len(text) and text[at] in ".[":
        if text.startswith("..", at):
            steps.append(("deep", None))
            at += 2
        elif text[at] == ".":
            at += 1
        if text.startswith("[", at):
            end = _closing(text, at)
            steps.append(_bracket(text[at + 1 : end].strip(), text))
            at = end + 1
        else:
            name = names.match(text, at)
            if not name:
                raise PathError(f"Invalid path '{text}'")
            steps.append(("all", None) if name.group() == "*" else ("names", [name.group()]))
            at = name.end()
    return tuple(steps), at


def _closing(text, at):
    """Where the bracket that opens at a place is closed; what is quoted, or a regular expression, does not count."""
    depth = 0
    while at < len(text):
        if skipped := _QUOTED.match(text, at) or re.compile(r"=~\s*/(?:[^/\\]|\\.)*/").match(text, at):
            at = skipped.end()
            continue
        depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return at
        at += 1
    raise PathError(f"Invalid path '{text}'")


def _bracket(text, path):
    if text == "*":
        return "all", None
    if re.fullmatch(r"-?\d+(\s*,\s*-?\d+)*", text):
        return "indices", [int(number) for number in text.split(",")]
    if _NAMES.fullmatch(text):
        return "names", [_unquoted(match) for match in _QUOTED.finditer(text)]
    if text.startswith("?(") and text.endswith(")"):
        return "filter", _Filter(text[2:-1]).parsed()
    if (parts := _SLICE.match(text)) and int(parts[3] or 1):
        return "slice", slice(*(int(part) if part else None for part in parts.groups()))
    raise PathError(f"Invalid path '{path}'")


def _unquoted(match):
    return re.sub(r"\\(.)", r"\1", match[1] if match[1] is not None else match[2])


def is_definite(path):
    """Whether a path names one place: what InputPath need not be and ResultPath must be."""
    return _definite(parse(path)[1])


def _definite(steps):
    return all(kind in ("names", "indices") and len(what) == 1 for kind, what in steps)


def find(path, data):
    """What a path finds in data, the value at its root; raises PathError where a definite path finds nothing."""
    return _find(parse(path)[1], data, data)


def _find(steps, data, document):
    """What steps find in data. document: what `$` in a filter stands for."""
    definite, values = _definite(steps), [data]
    for number, (kind, what) in enumerate(steps):
        values = [hit for value in values for hit in _take(kind, what, value, document)]
        if not values and definite:
            shown = "$" + "".join(f"[{w[0]!r}]" if k == "names" else f"[{w[0]}]" for k, w in steps[: number + 1])
            problem = "No results for path" if number == len(steps) - 1 else "Missing property in path"
            raise PathError(f"{problem}: {shown}" if number == len(steps) - 1 else f"{problem} {shown}")
    return values[0] if definite else values


def _take(kind, what, value, document):
    if kind == "names":
        return [value[name] for name in what if isinstance(value, dict) and name in value]
    if kind == "all":
        return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
    if kind == "deep":
        inside = _take("all", None, value, document)
        return [value] + [hit for item in inside for hit in _take("deep", None, item, document)]
    if kind == "filter":
        # A filter looks at the items of an array, and at an object as if it were one.
        items = value if isinstance(value, list) else [value] if isinstance(value, dict) else []
        return [item for item in items if what(item, document)]
    if not isinstance(value, list):
        return []
    if kind == "slice":
        return value[what]
    return [value[index] for index in what if -len(value) <= index < len(value)]


# -- filters -----------------------------------------------------------------------------------------------------------

_MISSING = object()
_TOKEN = re.compile(r"\s*(&&|\|\||!=?=?|===?|<=|>=|=~|<|>|\(|\)|\[|\]|,|[a-z]+\b)", re.IGNORECASE)
_REGEX = re.compile(r"\s*/((?:[^/\\]|\\.)*)/([a-z]*)")
_LITERAL = re.compile(r"\s*(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true\b|false\b|null\b)")
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE, "u": re.UNICODE, "d": 0}


class _Filter:
    """The text of a filter, read once; `parsed` returns the test of an item and the document."""

    def __init__(self, text):
        self.text = text
        self.at = 0

    def parsed(self):
        test = self.any_of()
        if self.text[self.at :].strip():
            self.wrong()
        return test

    def wrong(self):
        raise PathError(f"Could not compile filter {self.text}")

    def token(self, *wanted):
        """The next token if it is one of these, else None and nothing is read."""
        found = _TOKEN.match(self.text, self.at)
        if found and found[1].lower() in wanted:
            self.at = found.end()
            return found[1].lower()
        return None

    def any_of(self):
        tests = [self.all_of()]
        while self.token("||"):
            tests.append(self.all_of())
        return tests[0] if len(tests) == 1 else lambda item, document: any(test(item, document) for test in tests)

    def all_of(self):
        tests = [self.one()]
        while self.token("&&"):
            tests.append(self.one())
        return tests[0] if len(tests) == 1 else lambda item, document: all(test(item, document) for test in tests)

    def one(self):
        if self.token("!"):
            test = self.one()
            return lambda item, document: not test(item, document)
        if self.token("("):
            test = self.any_of()
            if not self.token(")"):
                self.wrong()
            return test
        left, is_path = self.operand()
        operator = self.token(*_OPERATORS, "=~")
        if operator == "=~":
            matches = self.regex()
            return lambda item, document: matches(left(item, document))
        if operator:
            compare, (right, _) = _OPERATORS[operator], self.operand()
            return lambda item, document: compare(left(item, document), right(item, document))
        if not is_path:
            self.wrong()
        return lambda item, document: left(item, document) is not _MISSING

    def operand(self):
        """A function that gives the operand's value for an item and the document, and whether it is a path."""
        blank = re.compile(r"\s*").match(self.text, self.at).end()
        if self.text[blank : blank + 1] in ("@", "$"):
            if self.text.startswith("$$", blank) or re.match(r"\$\w", self.text[blank:]):
                self.wrong()  # the library knows neither the context nor variables
            on_item = self.text[blank] == "@"
            steps, self.at = scan(self.text, blank, _NAME_IN_A_FILTER)

            def value(item, document):
                try:
                    return _find(steps, item if on_item else document, document)
                except PathError:
                    return _MISSING

            return value, True
        literal = self.literal()
        return (lambda item, document: literal), False

    def literal(self):
        if self.token("["):
            values = []
            while not self.token("]"):
                values.append(self.literal())
                if not self.token(",") and not re.match(r"\s*\]", self.text[self.at :]):
                    self.wrong()
            return values
        if found := _LITERAL.match(self.text, self.at):
            self.at = found.end()
            return json.loads(found[1])
        found = re.compile(rf"\s*(?:{_QUOTED.pattern})").match(self.text, self.at)
        if not found:
            self.wrong()
        self.at = found.end()
        return _unquoted(found)

    def regex(self):
        found = _REGEX.match(self.text, self.at)
        if not found or set(found[2]) - _FLAGS.keys():
            self.wrong()
        self.at = found.end()
        try:
            pattern = re.compile(
                found[1].replace("\\/", "/"), functools.reduce(lambda a, b: a | _FLAGS[b], found[2], 0)
            )
        except re.error:
            self.wrong()
        return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _ordered(test):
    def compare(left, right):
        comparable = (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str))
        return comparable and test(left, right)

    return compare


def _among(value, values):
    return isinstance(values, list) and any(same_json(value, other) for other in values)


def _contains(value, part):
    return part in value if isinstance(value, str) and isinstance(part, str) else _among(part, value)


def _lists(test):
    return lambda left, right: isinstance(left, list) and isinstance(right, list) and test(left, right)


_OPERATORS = {
    "==": lambda left, right: same_json(left, right),
    "!=": lambda left, right: not same_json(left, right),
    "<": _ordered(lambda left, right: left < right),
    "<=": _ordered(lambda left, right: left <= right),
    ">": _ordered(lambda left, right: left > right),
    ">=": _ordered(lambda left, right: left >= right),
    "in": _among,
    "nin": lambda left, right: isinstance(right, list) and not _among(left, right),
    "contains": _contains,
    "subsetof": _lists(lambda left, right: all(_among(item, right) for item in left)),
    "anyof": _lists(lambda left, right: any(_among(item, right) for item in left)),
    "noneof": _lists(lambda left, right: not any(_among(item, right) for item in left)),
    "size": lambda left, right: isinstance(left, list | str) and len(left) == (
        len(right) if isinstance(right, list | str) else right
    ),
    "empty": lambda left, right: isinstance(left, list | str) and (not left) is right,
}  # fmt: skip


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
