"""JSONata as Step Functions has it: version 2.0.6, without `$eval`, with six functions of its own.

https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html. The engine, the package `jsonata`, is of a
later version and a port of a port. What it has more, or says or computes otherwise, is mended in it here, so that
everything in the sandbox that evaluates JSONata has the same language. Values and texts of AWS were measured by others:
floci-io/floci, issues 2662, 2668, 2669, 2737, 2745 and pull request 2684. JavaScript's numbers are written as
https://tc39.es/ecma262/#sec-numeric-types-number-tostring says, after 15 digits as jsonata-js has it.
"""

import json
import math
import random
import re

from jsonata import functions, jexception, jsonata, tokenizer, utils
from ministack.services import stepfunctions as engine

from .errors import json_problem

NULL = utils.Utils.NULL_VALUE
MOST_MILLISECONDS = 5_000  # AWS says only that there is a limit


class ExpressionError(Exception):
    """An expression that is no JSONata, or fails; the message is in the words of AWS's engine."""


def syntax_tree(expression):
    """The syntax tree of an expression; raises ExpressionError, without a code as AWS's diagnostics have none."""
    try:
        return jsonata.Jsonata.jsonata(expression).ast
    except Exception as problem:  # a JException, or a slip of the parser on broken text
        raise ExpressionError(str(problem)) from problem


def evaluate(expression, variables, states):
    """The value of an expression, and whether it has one: `undefined` is (None, False). Raises ExpressionError.

    variables: of the workflow, JSON values by name. states: what `$states` has.
    """
    bindings = {name: NULL if value is None else value for name, value in variables.items()}
    bindings["states"] = states
    try:
        program = jsonata.Jsonata.jsonata(expression, timeout=MOST_MILLISECONDS)
        engine._register_sfn_jsonata_functions(program)
        value = program.evaluate(None, bindings)
    except Exception as problem:
        raise ExpressionError(_reason(problem)) from problem
    return value, value is not None or engine._jsonata_result_defined(expression, bindings)


def _reason(problem):
    """What an evaluation failed for. Where the engine is out of its depth, AWS's code for such a failure."""
    code = getattr(problem, "error", None)
    if isinstance(code, str):
        # Some texts stand in the engine where a code should.
        code = next((known for known, text in jexception.JException.error_codes.items() if text == code), code)
        return f"{code}: {problem}"
    if isinstance(problem, ZeroDivisionError | OverflowError):
        return "D1001: Number out of range: null"
    if isinstance(problem, RecursionError):
        return f"D1011: {jexception.JException.error_codes['D1011']}"
    if unknown := re.match(
        r"could not convert string to float: '(.*)'$|invalid literal for int.*: '(.*)'$", str(problem)
    ):
        return f"D3030: Unable to cast value to a number: {json.dumps(unknown[1] or unknown[2])}"
    if isinstance(problem, AttributeError | TypeError | KeyError | IndexError | AssertionError):
        return "an argument has a type that does not fit"
    return str(problem)


# -- the engine, mended ------------------------------------------------------------------------------------------------


def _mend():
    scan = tokenizer.Tokenizer.next
    register = engine._register_sfn_jsonata_functions

    def next_token(self, prefix):
        token = scan(self, prefix)
        if token is not None and token.type == "operator" and token.value in ("??", "?:"):
            self.position -= 1  # of version 2.1; in 2.0.6 it is a ternary operator, and what follows it is wrong
            return self.create("operator", "?")
        return token

    def register_functions(program):
        register(program)
        program.register_lambda("count", _count)

    tokenizer.Tokenizer.next = next_token
    jexception.JException.msg = staticmethod(_message)
    codes = jexception.JException.error_codes
    jexception.JException.error_codes = {code: text.replace("Object", "function") for code, text in codes.items()}
    functions.Functions._string = staticmethod(_string)
    jsonata.Jsonata.static_frame.bindings.pop("eval")
    engine._register_sfn_jsonata_functions = register_functions
    engine._sfn_jsonata_random = _random
    engine._sfn_jsonata_parse = _parse


_ARRAYS_OF = {"a": "arrays", "b": "booleans", "f": "functions", "n": "numbers", "o": "objects", "s": "strings"}
# In these the values do not come in the order of the text's places.
_ORDER = {"D1002": (1,), "T0411": (1, 2)}


def _message(error, location, *values, details=False):
    """The text of an error. The engine's own has lost the word "function", the quotation marks and some values."""
    text = jexception.JException.error_codes.get(error)
    if text is None:
        return str(error)
    if error == "T0412":
        values = (*values[:2], _ARRAYS_OF.get(str(values[2])[:1], values[2]))
    values = [values[i] if i < len(values) else None for i in _ORDER.get(error, range(len(values)))]
    for place in re.findall(r"\{\{\{\w+\}\}\}|\{\{\w+\}\}", text):
        value = values.pop(0) if values else None
        if value is None:  # the engine does not say
            text = text.replace(f" {place}", "", 1)
        else:
            text = text.replace(place, str(value) if place.startswith("{{{") else _string(value, False), 1)
    return text


def _string(value, prettify):
    """`$string`, and what `&` makes of a value that is no text."""
    return _json(value, "\n" if prettify else None)


def _json(value, line):
    """JSON text as JavaScript writes it. line: what begins a line, None where all stands in one."""
    inner = None if line is None else line + "  "
    if value is None or value is NULL:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        colon = ":" if line is None else ": "
        parts = [json.dumps(key, ensure_ascii=False) + colon + _json(part, inner) for key, part in value.items()]
        ends = "{}"
    elif isinstance(value, list | tuple | range):
        parts, ends = [_json(part, inner) for part in value], "[]"
    else:  # a function
        return '""'
    if not parts or line is None:
        return ends[0] + ",".join(parts) + ends[1]
    return ends[0] + inner + f",{inner}".join(parts) + line + ends[1]


def number_text(value):
    """A number as JavaScript writes it, after 15 digits: 1e+21 but 100000000000000000000, 1e-7 but 0.000001."""
    if not math.isfinite(value):
        raise jexception.JException("D3001", -1)
    mantissa, _, exponent = f"{float(value):.14e}".partition("e")
    digits, point = mantissa.lstrip("-").replace(".", "").rstrip("0"), int(exponent) + 1
    sign = "-" if value < 0 else ""
    if not digits:
        return "0"
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"


def _count(items=None):
    """`$count`: what is no array counts as one of a single item, null too."""
    if items is None:
        return 0
    return len(items) if isinstance(items, list | tuple | range) else 1


def _parse(text=None):
    """`$parse`: the value of a JSON text."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError("The argument of the parse function must be a string")
    if problem := json_problem(text):
        raise ValueError(problem)
    value = json.loads(text)
    return NULL if value is None else value


def _random(seed=None):
    """`$random`: with a seed, the first number of java.util.Random with that seed."""
    if seed is None:
        return random.random()
    state = (math.floor(seed) ^ 0x5DEECE66D) & (1 << 48) - 1
    drawn = []
    for bits in (26, 27):
        state = (state * 0x5DEECE66D + 0xB) & (1 << 48) - 1
        drawn.append(state >> 48 - bits)
    return ((drawn[0] << 27) + drawn[1]) / (1 << 53)


_mend()
