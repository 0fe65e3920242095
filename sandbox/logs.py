"""CloudWatch Logs: filter patterns as AWS reads them, FilterLogEvents with pages, and writing from inside the sandbox.

MiniStack takes a pattern for JSON to match everything, and other patterns without regard to case. The syntax:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html. Patterns of space-delimited
fields, `[a, b=1]`, are refused: nothing here needs them. Not documented, and so a choice: a comparison with a field
that is missing is false, one with != as well.
"""

import base64
import heapq
import itertools
import json
import re
import time

_loaded = False
_event_ids = itertools.count()


class InvalidPattern(ValueError):
    """AWS would refuse the pattern; the message says why."""


def install():
    """Put this over MiniStack's module when the first request to CloudWatch Logs comes."""
    from ministack import app

    get_module = app._get_module

    def get_module_with_ours(name):
        module = get_module(name)
        if name == "cloudwatch_logs" and not _loaded:
            _put_over(module)
        return module

    app._get_module = get_module_with_ours


def _put_over(engine):
    global _loaded
    put_subscription_filter, put_metric_filter = engine._put_subscription_filter, engine._put_metric_filter
    engine._filter_log_events = filter_log_events
    engine._subscription_pattern_matches = lambda pattern, message: matcher(pattern or "")(message)
    engine._put_subscription_filter = lambda data: _refusal(data) or put_subscription_filter(data)
    engine._put_metric_filter = lambda data: _refusal(data) or put_metric_filter(data)
    _loaded = True


def append(group, stream, messages):
    """Add messages, texts, to a log group that there is; the stream is made where there is none of that name."""
    from ministack.services import cloudwatch_logs as engine

    streams = engine._log_groups[group]["streams"]
    if stream not in streams:
        engine._create_log_stream({"logGroupName": group, "logStreamName": stream})
    now = int(time.time() * 1000)
    events = [
        {"timestamp": now, "message": message, "ingestionTime": now, "eventId": f"{next(_event_ids):056d}"}
        for message in messages
    ]
    engine._append_log_events(streams[stream], events)
    engine._fanout_to_subscription_filters(group, stream, events)


def reset():
    """Nothing is kept."""


def filter_log_events(data):
    """The call FilterLogEvents: the events of a group, or of some of its streams, that match a pattern."""
    from ministack.services import cloudwatch_logs as engine

    group = engine._log_groups.get(engine._resolve_log_group_name(data))
    if group is None:
        return engine.error_response_json("ResourceNotFoundException", "The specified log group does not exist.", 400)
    if refusal := _refusal(data):
        return refusal
    try:
        offset = int(base64.b64decode(data.get("nextToken", "")) or 0)
    except ValueError:
        message = "The specified nextToken is invalid."
        return engine.error_response_json("InvalidParameterException", message, 400)
    matches = matcher(data.get("filterPattern") or "")
    first, last = data.get("startTime", 0), data.get("endTime")
    names, prefix = data.get("logStreamNames"), data.get("logStreamNamePrefix", "")
    with engine._log_events_lock:
        streams = {
            name: list(stream["events"])
            for name, stream in group["streams"].items()
            if name.startswith(prefix) and (not names or name in names)
        }
    found = heapq.merge(
        *(
            [
                {**event, "logStreamName": name}
                for event in events
                if event["timestamp"] >= first and (last is None or event["timestamp"] <= last)
                if matches(event["message"])
            ]
            for name, events in streams.items()
        ),
        key=lambda event: (event["timestamp"], event["ingestionTime"]),
    )
    found = list(found)
    end = offset + min(data.get("limit", 10_000), 10_000)
    answer = {"events": found[offset:end], "searchedLogStreams": []}
    if end < len(found):
        answer["nextToken"] = base64.b64encode(str(end).encode()).decode()
    return engine.json_response(answer)


def _refusal(data):
    """The answer to a request whose filter pattern cannot be read, None where it can."""
    from ministack.services import cloudwatch_logs as engine

    try:
        matcher(data.get("filterPattern") or "")
    except InvalidPattern as problem:
        return engine.error_response_json("InvalidParameterException", str(problem), 400)
    return None


# -- patterns ----------------------------------------------------------------------------------------------------------


def matcher(pattern):
    """A function that says whether a message matches a filter pattern. Raises InvalidPattern."""
    pattern = pattern.strip()
    if pattern.startswith("{"):
        return _of_json(pattern)
    if pattern.startswith("["):
        raise InvalidPattern("The sandbox has no filter patterns of space-delimited fields.")
    return _of_terms(pattern)


_TERM = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|%([^%]+)%|([^\s"%]+))(?=\s|$)\s*')


def _of_terms(pattern):
    """Words, phrases in quotes and expressions between percent signs, with - for what must not be there, ? for any."""
    terms = {"": [], "-": [], "?": []}
    at = 0
    while at < len(pattern):
        term = _TERM.match(pattern, at)
        if term is None:
            raise InvalidPattern("Invalid filter pattern")
        sign, phrase, expression, word = term.groups()
        if word is not None and not re.fullmatch(r"\w+", word, re.ASCII):
            raise InvalidPattern(f"Invalid character(s) in term '{word}'")
        terms[sign].append(_expression(expression) if expression else re.compile(re.escape(_unquoted(phrase, word))))
        at = term.end()
    required, unwanted, optional = terms[""], terms["-"], terms["?"]

    def matches(message):
        if required or unwanted:  # then those with a question mark do not count
            return all(t.search(message) for t in required) and not any(t.search(message) for t in unwanted)
        return not optional or any(t.search(message) for t in optional)

    return matches


def _unquoted(phrase, word):
    return word if phrase is None else re.sub(r"\\(.)", r"\1", phrase)


def _expression(text):
    try:
        return re.compile(text)
    except re.error as problem:
        raise InvalidPattern(f"Invalid regular expression: {problem}") from None


_TOKEN = re.compile(
    r"""\s*(?:(?P<symbol>&&|\|\||!=|<=|>=|[=<>(){}])
        |"(?P<phrase>(?:[^"\\]|\\.)*)"
        |%(?P<expression>[^%]+)%
        |(?P<word>[^\s=<>!(){}&|"%]+))""",
    re.VERBOSE,
)
_STEP = re.compile(r"\.([\w-]+|\*)|\[(\d+|\*)\]|\['([^']+)'\]")


def _of_json(pattern):
    """Comparisons of an object's fields, as in { $.level = "ERROR" && ($.code >= 500 || $.fatal IS TRUE) }."""
    tokens, at = [], 0
    while at < len(pattern.rstrip()):
        token = _TOKEN.match(pattern, at)
        if token is None:
            raise InvalidPattern("Invalid filter pattern")
        tokens.append((token.lastgroup, token[token.lastgroup]))
        at = token.end()
    tokens.append((None, None))
    reader = iter(tokens)
    parser = _Parser(reader)
    parser.expect("{")
    condition = parser.either()
    parser.expect("}")
    if parser.token[0] is not None:
        raise InvalidPattern("Invalid filter pattern")

    def matches(message):
        try:
            document = json.loads(message)
        except (ValueError, RecursionError):
            return False
        return isinstance(document, dict) and condition(document)

    return matches


class _Parser:
    """Reads the tokens of a pattern for JSON; gives functions from a document to whether it matches."""

    def __init__(self, tokens):
        self._tokens = tokens
        self.token = next(tokens)

    def _next(self):
        token, self.token = self.token, next(self._tokens, (None, None))
        return token

    def expect(self, symbol):
        if self._next() != ("symbol", symbol):
            raise InvalidPattern("Invalid filter pattern")

    def either(self):
        parts = [self._both()]
        while self.token == ("symbol", "||"):
            self._next()
            parts.append(self._both())
        return lambda document: any(part(document) for part in parts)

    def _both(self):
        parts = [self._one()]
        while self.token == ("symbol", "&&"):
            self._next()
            parts.append(self._one())
        return lambda document: all(part(document) for part in parts)

    def _one(self):
        if self.token == ("symbol", "("):
            self._next()
            inner = self.either()
            self.expect(")")
            return inner
        kind, selector = self._next()
        if kind != "word" or not selector.startswith("$"):
            raise InvalidPattern("Invalid filter pattern")
        select = _selected(selector)
        kind, operator = self._next()
        if kind == "word":
            test = self._word_test(operator.upper(), self._next()[1])
        elif kind == "symbol" and operator in ("=", "!=", "<", ">", "<=", ">="):
            test = _comparison(operator, *self._next())
        else:
            raise InvalidPattern("Invalid filter pattern")
        return lambda document: test(list(select(document)))

    @staticmethod
    def _word_test(operator, argument):
        tests = {
            ("IS", "NULL"): lambda values: any(value is None for value in values),
            ("IS", "TRUE"): lambda values: any(value is True for value in values),
            ("IS", "FALSE"): lambda values: any(value is False for value in values),
            ("NOT", "EXISTS"): lambda values: not values,
        }
        try:
            return tests[operator, (argument or "").upper()]
        except KeyError:
            raise InvalidPattern("Invalid filter pattern") from None


def _selected(selector):
    """A function that gives the values which a selector such as $.a.b[0] finds in a document."""
    steps, at = [], 1
    while at < len(selector):
        step = _STEP.match(selector, at)
        if step is None:
            raise InvalidPattern(f"Invalid property selector '{selector}'")
        steps.append(next(filter(None, step.groups())))
        at = step.end()

    def select(value, rest=tuple(steps)):
        if not rest:
            yield value
            return
        step, *rest = rest
        if isinstance(value, dict):
            inner = value.values() if step == "*" else [value[step]] if step in value else []
        elif isinstance(value, list) and (step == "*" or step.isdigit()):
            inner = value if step == "*" else value[int(step) : int(step) + 1]
        else:
            inner = []
        for each in inner:
            yield from select(each, rest)

    return select


def _comparison(operator, kind, operand):
    """A function that says whether one of some values compares so with an operand of a pattern."""
    if kind not in ("phrase", "word", "expression"):
        raise InvalidPattern("Invalid filter pattern")
    if operator in ("=", "!="):
        if kind == "expression":
            fits = _expression(operand).search
        else:
            text = _unquoted(operand, None) if kind == "phrase" else operand
            fits = re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL).fullmatch
        number = _number(operand) if kind == "word" else None

        def equal(value):
            if number is not None and type(value) in (int, float):
                return value == number
            return isinstance(value, str) and fits(value) is not None

        return lambda values: any(equal(value) == (operator == "=") for value in values)
    bound = _number(operand)
    if bound is None:
        raise InvalidPattern("Invalid filter pattern")
    compare = {"<": float.__lt__, ">": float.__gt__, "<=": float.__le__, ">=": float.__ge__}[operator]
    return lambda values: any(type(value) in (int, float) and compare(float(value), bound) for value in values)


def _number(text):
    try:
        return float(text)
    except ValueError:
        return None
