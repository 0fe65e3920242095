"""Payload templates of JSONPath states, and the intrinsic functions in them."""

import copy
import functools
import json
import re

from ministack.services import stepfunctions as engine

from .paths import PathError, find, parse, scan


class IntrinsicError(PathError):
    """An intrinsic function that its arguments made fail."""


# https://docs.aws.amazon.com/step-functions/latest/dg/intrinsic-functions.html
_FUNCTIONS = {
    "Array", "ArrayContains", "ArrayGetItem", "ArrayLength", "ArrayPartition", "ArrayRange", "ArrayUnique",
    "Base64Decode", "Base64Encode", "Format", "Hash", "JsonMerge", "JsonToString", "MathAdd", "MathRandom",
    "StringSplit", "StringToJson", "UUID",
}  # fmt: skip
_BLANK = re.compile(r"\s*")
_ARGUMENT = re.compile(r"'((?:[^'\\]|\\.)*)'|(-?\d+(?:\.\d+)?|true\b|false\b|null\b)")


@functools.lru_cache(4096)
def parse_call(text):
    """The tree of an intrinsic function call: ("call", name, arguments), each ("call", ...), ("path", text) or
    ("value", value); raises PathError."""
    call, end = _scan_call(text, 0)
    if text[end:].strip():
        raise PathError(f"Invalid intrinsic function '{text}'")
    return call


def _scan_call(text, at):
    begun = re.compile(r"States\.([A-Za-z0-9]+)\(").match(text, at)
    if not begun or begun[1] not in _FUNCTIONS:
        raise PathError(f"Invalid intrinsic function '{text[at:]}'")
    arguments, at = [], _BLANK.match(text, begun.end()).end()
    while not text.startswith(")", at):
        argument, at = _scan_argument(text, at)
        arguments.append(argument)
        at = _BLANK.match(text, at).end()
        if text.startswith(",", at):
            at = _BLANK.match(text, at + 1).end()
            if not text.startswith(")", at):
                continue
        elif text.startswith(")", at):
            break
        raise PathError(f"Invalid intrinsic function '{text}'")
    return ("call", f"States.{begun[1]}", tuple(arguments)), at + 1


def _scan_argument(text, at):
    if text.startswith("States.", at):
        return _scan_call(text, at)
    if text.startswith("$", at):
        _, end = scan(text, at)
        return ("path", text[at:end]), end
    found = _ARGUMENT.match(text, at)
    if not found:
        raise PathError(f"Invalid intrinsic function '{text}'")
    # States.Format resolves the escapes of its template itself.
    return ("value", found[1] if found[1] is not None else json.loads(found[2])), found.end()


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
        call = parse_call(expression)
        try:
            return self._call(call)
        except PathError:
            raise
        except Exception as problem:  # the engine's functions raise whatever their arguments provoke
            raise IntrinsicError(f"The function '{expression}' had the following error: {problem}") from problem

    def _call(self, node):
        """Evaluate the tree of a call, by the engine's functions."""
        _, name, arguments = node
        values = []
        for argument in arguments:
            if argument[0] == "call":
                values.append(self._call(argument))
            else:
                values.append(self._argument(argument[1]) if argument[0] == "path" else argument[1])
        if name == "States.Format":  # the engine writes True and None, AWS true and null
            places = re.sub(r"\\.", "", values[0]).count("{}")
            if places != len(values) - 1:
                raise ValueError(f"number of arguments do not match the occurrences of {{}} in {values[0]}")
            values[1:] = [v if isinstance(v, str) else json.dumps(v) for v in values[1:]]
        if name == "States.ArrayRange":
            first, last, step = (int(value) for value in values)
            return list(range(first, last + (1 if step > 0 else -1), step))
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
