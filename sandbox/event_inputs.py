"""What the target of a rule is given in place of the event: Input, InputPath and InputTransformer.

Which paths there are: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html. What is
refused, and how values stand in a template, is recorded (localstack/localstack, tests/aws/services/events/
test_events_inputs.snapshot.json), as is that nothing arrives where a template renders to something that is no JSON.
"""

import datetime
import json
import re

MOST_PATHS = 100
_STEP = re.compile(r"\.(?P<name>[\w/-]+)|(?P<all>\.\*|\[\*\])|\[(?P<index>\d+)\]")
_PLACEHOLDER = re.compile(r"<([^<>\s]+)>")
_TEXT_OR_PLACEHOLDER = re.compile(r'"(?:\\.|[^"\\])*"|<[^<>\s]+>')
_PREDEFINED = "aws.events."
_TIME = f"{_PREDEFINED}event.ingestion-time"


class Unusable(Exception):
    """An event that cannot be made into what the target is to get."""


def problem(target):
    """What PutTargets refuses about the input of a target, as a sentence; None where nothing is wrong."""
    name = target.get("Id")
    if sum(target.get(field) is not None for field in ("Input", "InputPath", "InputTransformer")) > 1:
        return f"Only one of Input, InputPath, or InputTransformer must be provided for target {name}."
    if target.get("Input") is not None and not _is_json(target["Input"]):
        return f"JSON syntax error in Input for target {name}."
    transformer = target.get("InputTransformer") or {}
    paths = transformer.get("InputPathsMap") or {}
    if len(paths) > MOST_PATHS:
        return f"InputPathsMap for target {name} has more than {MOST_PATHS} paths."
    for path in (target.get("InputPath"), *paths.values()):
        if path is not None and _steps(path) is None:
            return (
                f"Invalid path {path} for target {name}. The sandbox takes what EventBridge documents: dots, names of "
                "letters, digits, _, - and /, array indices as [0], and wildcards (*)."
            )
    for wrong in (key for key in paths if key.lower().startswith("aws.")):
        return f"InputPathsMap for target {name} contains invalid key {wrong}."
    for placeholder in _PLACEHOLDER.findall(transformer.get("InputTemplate", "")):
        if placeholder not in paths and placeholder not in _predefined({}, {}, {}):
            return f"InputTemplate for target {name} contains invalid placeholder {placeholder}."
    return None


def payload(target, rule, event, envelope):
    """What the target gets, as text; None where that is the event as it is. Raises Unusable.

    event: the whole event as a dict. envelope: the event without its detail, for <aws.events.event>.
    """
    if transformer := target.get("InputTransformer"):
        found = {name: _find(path, event) for name, path in (transformer.get("InputPathsMap") or {}).items()}
        values = {name: "" if value is _NOTHING else value for name, value in found.items()}
        return _render(transformer.get("InputTemplate", ""), {**values, **_predefined(rule, event, envelope)})
    if target.get("Input"):
        return target["Input"]
    if target.get("InputPath") not in (None, "$"):
        value = _find(target["InputPath"], event)
        if value is _NOTHING:
            raise Unusable(f"The InputPath {target['InputPath']} finds nothing in the event")
        return json.dumps(value)
    return None


_NOTHING = object()


def _steps(path):
    """The steps of a path: names, indices, and None for all; None for what is no path."""
    if not path.startswith("$"):
        return None
    steps, at = [], 1
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            return None
        steps.append(None if step["all"] else step["name"] or int(step["index"]))
        at = step.end()
    return steps


def _find(path, event):
    """The value at a path, with a wildcard the list of all values; _NOTHING where there is none."""
    steps, values = _steps(path), [event]
    for step in steps:
        values = [inner for value in values for inner in _take(step, value)]
    if None in steps:
        return values
    return values[0] if values else _NOTHING


def _take(step, value):
    if step is None:
        return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if isinstance(step, int):
        return value[step : step + 1] if isinstance(value, list) else []
    return [value[step]] if isinstance(value, dict) and step in value else []


def _predefined(rule, event, envelope):
    """The variables that need no path."""
    return {
        f"{_PREDEFINED}rule-arn": rule.get("Arn", ""),
        f"{_PREDEFINED}rule-name": rule.get("Name", ""),
        f"{_PREDEFINED}event": envelope,
        f"{_PREDEFINED}event.json": event,
        _TIME: datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _render(template, values):
    """A template with its placeholders filled. Values are not escaped, and text needs no quotation marks of its own.

    An object or array loses its quotation marks inside a text, but not where the template is an object: there the
    result is no JSON, and AWS delivers nothing.
    """
    structured = template.lstrip()[:1] in ("{", "[")

    def inside(match):
        value = values[match[1]]
        if isinstance(value, str):
            return value
        return json.dumps(value) if structured else json.dumps(value).replace('"', "")

    def fill(match):
        if match[0].startswith('"'):
            return _PLACEHOLDER.sub(inside, match[0])
        return json.dumps(values[match[0][1:-1]], ensure_ascii=False)

    if '"' not in template:  # plain text, and no JSON
        return _PLACEHOLDER.sub(inside, template)
    text = _TEXT_OR_PLACEHOLDER.sub(fill, template)
    if structured and not _is_json(text):
        raise Unusable(f"The InputTemplate renders to something that is no JSON: {text}")
    return text


def _is_json(text):
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
