"""The rules of a Choice state."""

import datetime
import functools
import operator
import re

from .errors import RUNTIME
from .paths import PathError, is_number, same_json


def choose(here):
    """The output of the Choice visited, and the state that its first true rule, or Default, names."""
    for index, rule in enumerate(here.state["Choices"]):
        if _holds(here, rule, index):
            return here.finish(rule=rule, location=f"Choices[{index}]/"), rule["Next"]
    if "Default" not in here.state:
        # The guide lists States.NoChoiceMatched for this; what AWS records is States.Runtime.
        raise here.failure(RUNTIME, "Failed to transition out of the state. The state does not point to a next state.")
    return here.finish(), here.state["Default"]


def _holds(here, rule, index):
    if not here.jsonata:
        return evaluate(here, rule, here.scope(here.effective_input()))
    return here.typed(f"Choices[{index}]/Condition", "boolean", rule["Condition"])


def evaluate(here, rule, scope):
    """Whether a JSONPath rule holds; raises StateError where AWS ends the execution."""
    if "And" in rule:
        return all(evaluate(here, part, scope) for part in rule["And"])
    if "Or" in rule:
        return any(evaluate(here, part, scope) for part in rule["Or"])
    if "Not" in rule:
        return not evaluate(here, rule["Not"], scope)
    name, wanted = next((key, value) for key, value in rule.items() if key in _OPERATORS)
    if name == "IsPresent":
        return _present(scope, rule["Variable"]) == wanted
    value = _read(here, scope, rule["Variable"])
    if name.endswith("Path"):
        wanted = _read(here, scope, wanted)
    return _OPERATORS[name](value, wanted)


def _present(scope, path):
    try:
        scope.read(path)
    except PathError:
        return False
    return True


def _read(here, scope, path):
    try:
        return scope.read(path)
    except PathError as problem:
        cause = f"Invalid path '{path}': The choice state's condition path references an invalid value."
        raise here.failure(RUNTIME, cause) from problem


TIMESTAMP_FORMAT = "ISO-8601 extended offset date-time format string"
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


def parse_timestamp(value):
    """The moment of a timestamp as the States Language wants it (RFC 3339 with T and Z or an offset), or None."""
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        return None
    try:
        return datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value))
    except ValueError:
        return None


def _text(value):
    return value if isinstance(value, str) else None


def _number(value):
    return value if is_number(value) else None


def _compare(convert, test, value, wanted):
    value, wanted = convert(value), convert(wanted)
    return value is not None and wanted is not None and test(value, wanted)


@functools.lru_cache(1024)
def _pattern(text):
    r"""StringMatches: `*` stands for any text, `\*` for an asterisk, `\\` for a backslash."""
    parts = re.findall(r"\\[\\*]|\*|[^\\*]+|\\", text)
    regex = "".join(".*" if part == "*" else re.escape(re.sub(r"\\(.)", r"\1", part)) for part in parts)
    return re.compile(regex, re.S)


_TESTS = {
    "Equals": operator.eq, "LessThan": operator.lt, "GreaterThan": operator.gt,
    "LessThanEquals": operator.le, "GreaterThanEquals": operator.ge,
}  # fmt: skip

_OPERATORS = {
    f"{kind}{test}{path}": functools.partial(_compare, convert, _TESTS[test])
    for kind, convert in (("String", _text), ("Numeric", _number), ("Timestamp", parse_timestamp))
    for test in _TESTS
    for path in ("", "Path")
}
_OPERATORS |= {
    "BooleanEquals": lambda value, wanted: isinstance(value, bool) and same_json(value, wanted),
    "BooleanEqualsPath": lambda value, wanted: isinstance(value, bool) and same_json(value, wanted),
    "StringMatches": lambda value, wanted: isinstance(value, str) and bool(_pattern(wanted).fullmatch(value)),
    "IsPresent": None,
    "IsNull": lambda value, wanted: (value is None) == wanted,
    "IsNumeric": lambda value, wanted: is_number(value) == wanted,
    "IsString": lambda value, wanted: isinstance(value, str) == wanted,
    "IsBoolean": lambda value, wanted: isinstance(value, bool) == wanted,
    "IsTimestamp": lambda value, wanted: (parse_timestamp(value) is not None) == wanted,
}
OPERATORS = frozenset(_OPERATORS)
