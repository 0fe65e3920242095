"""What people have: files with definitions, templates, histories, event patterns and Python code, read into plain data.

Nothing here opens a socket. What a template does not say in its own text (an account's number, a name that AWS makes)
stays as a placeholder: `${Name}`.
"""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml


class UnreadableError(ValueError):
    """A file that cannot be read, or holds nothing to examine; says so in one sentence."""


@dataclasses.dataclass(frozen=True)
class Machine:
    """A state machine.

    file: as it was named. definition: of the Amazon States Language. express: not Standard.
    beside: the file with the definition, where a template names one.
    """

    file: str
    name: str
    definition: Mapping[str, Any]
    express: bool = False
    beside: Path | None = None


@dataclasses.dataclass(frozen=True)
class Trace:
    """The history of one execution. events: as GetExecutionHistory or GetDurableExecutionHistory returns them."""

    file: str
    name: str
    events: list[Mapping[str, Any]]
    durable: bool = False


@dataclasses.dataclass(frozen=True)
class Pattern:
    """An event pattern, of a rule in a template or alone in a file."""

    file: str
    name: str
    pattern: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Code:
    """Python code, of a file or in a template."""

    file: str
    name: str
    text: str


Found = Machine | Trace | Pattern | Code | UnreadableError  # the last for a part of a file, where the rest is read
_DATA = {".json", ".yaml", ".yml", ".asl", ".template", ".tpl", ".tmpl"}
_MOST_BYTES = 50_000_000  # a history of 25,000 events with its data is smaller


def files_of(path: str) -> list[str]:
    """The files that a word of the command line means: the file, or all in the folder that could be examined."""
    folder = Path(path)
    if not folder.is_dir():
        return [path]
    inside = (file for file in sorted(folder.rglob("*")) if file.is_file() and file.suffix in _DATA | {".py"})
    hidden = {".git", "node_modules", ".venv", "__pycache__", ".aws-sam"}
    return [str(file) for file in inside if not hidden & set(file.parts)]


def read(file: str) -> list[Found]:
    """What a file holds. Raises UnreadableError where it cannot be read or holds nothing to examine."""
    path = Path(file)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UnreadableError(f"{file} has more than {_MOST_BYTES // 1_000_000} MB, which no definition has.")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableError(f"{file} is not text in UTF-8.") from None
    except OSError as error:
        raise UnreadableError(f"{file} cannot be read: {error.strerror or error}.") from None
    if path.suffix == ".py":
        return [Code(file, path.stem, text)]
    try:
        found = [_checked(one) for one in _found(file, parse(text, file), path)]
    except RecursionError:
        raise UnreadableError(f"{file} is nested too deeply to be read.") from None
    if not found:
        raise UnreadableError(
            f"{file} holds no state machine, no history, no event pattern and no Python function. "
            "Give a definition, a template, or what `workshop examine --export` fetches."
        )
    return found


def seems_meant(file: str) -> bool:
    """Whether a file that cannot be read was probably meant to hold a state machine; a folder has others, too."""
    try:
        text = Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    # With the name of a state: in the model of a service it is a field with a shape, or a number.
    return bool(re.search(r"\bStartAt[\"']?\s*:\s*[\"'!]?[A-Za-z$]|::StateMachine\b", text))


def parse(text: str, file: str) -> Any:
    """JSON or YAML as plain data; placeholders that stand bare (`"Seconds": ${Pause}`) become texts."""
    if not text.strip():
        raise UnreadableError(f"{file} is empty.")
    looks_json = text.lstrip().startswith(("{", "["))
    for tried in (text, _BARE.sub(r'"\1"', text)) if looks_json else ():
        try:
            return json.loads(tried)
        except ValueError as error:
            complaint = error
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError) as error:
        if looks_json:
            where = f"line {complaint.lineno}" if isinstance(complaint, json.JSONDecodeError) else "an unknown line"
            raise UnreadableError(f"{file} is no JSON: there is a fault in {where}.") from None
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "an unknown line"
        raise UnreadableError(f"{file} is neither JSON nor YAML: there is a fault in {where}.") from None


_BARE = re.compile(r'(?<=[:\[,])\s*(\$\{[^}"]*\})(?=\s*[,}\]\n])')


_TEXTS = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool")


class _Loader(yaml.SafeLoader):
    """YAML as CloudFormation has it: `!GetAtt A.B` and its like become {"Fn::GetAtt": ["A", "B"]}."""


def _short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


def _mapping(loader, node):
    """A mapping whose names are texts, as in JSON: a state may be called Yes, or 1."""
    loader.flatten_mapping(node)
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            key.tag = "tag:yaml.org,2002:str"
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _short_form)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
# What YAML takes for dates, and for yes and no, stays as it is written: in an ASL these are texts and names of states.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _TEXTS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF")


# -- what a document is ------------------------------------------------------------------------------------------------


def _found(file, document, path) -> Iterator[Found]:
    name = path.name.split(".")[0]
    if isinstance(document, list) and document and all(_is_event(event) for event in document):
        document = {"events": document}
    if not isinstance(document, dict):
        return
    if is_definition(document):
        yield Machine(file, name, document)
    elif isinstance(document.get("definition"), str) or is_definition(document.get("definition")):
        # DescribeStateMachine; also with one more layer, as some tools store it
        yield _described(file, document, name)
    elif isinstance(document.get("events"), list):
        events = document["events"]
        if not events or not all(_is_event(event) for event in events):
            raise UnreadableError(f"{file} has `events`, but they are not the events of an execution's history.")
        yield Trace(file, name, events)
    elif isinstance(document.get("Events"), list) and all("EventType" in event for event in document["Events"]):
        yield Trace(file, name, document["Events"], durable=True)
    elif isinstance(document.get("Resources"), dict):
        yield from _template(file, document, path)
    elif "EventPattern" in document and isinstance(document["EventPattern"], str):  # DescribeRule
        yield Pattern(file, document.get("Name", name), _json_in(document["EventPattern"], file, "EventPattern"))
    elif isinstance(document.get("source"), list) and set(document) <= _PATTERN:
        yield Pattern(file, name, document)


_PATTERN = {"source", "detail-type", "detail", "account", "region", "resources", "id", "time", "version", "$or"}


def _is_event(event):
    return isinstance(event, dict) and {"type", "id"} <= set(event)


def is_definition(document: Any) -> bool:
    """Whether this is an object with StartAt and States."""
    return isinstance(document, dict) and "StartAt" in document and isinstance(document.get("States"), dict)


# What the rest of the package takes for granted of a state, as AWS does: (fields, what they are, whether this is one).
_SHAPES = (
    (("Type", "Next", "Default", "Resource", "QueryLanguage"), "text", lambda value: isinstance(value, str)),
    (
        ("Choices", "Catch", "Retry", "Branches"),
        "list of objects",
        lambda value: isinstance(value, list) and all(isinstance(one, dict) for one in value),
    ),
    (("ItemProcessor", "Iterator"), "object with States", lambda value: _has_states(value)),
)


def _checked(found: Found) -> Found:
    """The same, or an UnreadableError where it is a state machine that AWS would not take."""
    try:
        if isinstance(found, Machine):
            _check(found.definition, found)
    except UnreadableError as error:
        return error
    return found


def _check(machine, found):
    """Raise UnreadableError where a state is none that AWS would take, so that nobody has to expect it."""
    for name, state in machine["States"].items():
        where = f"{found.file}: the state {name!r} of {found.name}"
        if not isinstance(state, dict):
            continue  # something that was meant for the machine itself and stands among its states: it is no state
        for fields, kind, fits in _SHAPES:
            for field in fields:
                if state.get(field) is not None and not fits(state[field]):
                    raise UnreadableError(f"{where} has something else than a {kind} in {field}.")
        if not all(_is_rule(one) for one in state.get("Choices") or []):
            raise UnreadableError(f"{where} has a rule in Choices that compares nothing.")
        for one in [*(state.get("Catch") or []), *(state.get("Retry") or [])]:
            errors = one.get("ErrorEquals", [])
            if not (isinstance(errors, list) and all(isinstance(error, str) for error in errors)):
                raise UnreadableError(f"{where} has something else than a list of texts in ErrorEquals.")
        branches = state.get("Branches") or []
        if not all(_has_states(branch) for branch in branches):
            raise UnreadableError(f"{where} has a branch without States.")
        for inner in (state.get("ItemProcessor"), state.get("Iterator"), *branches):
            if inner is not None:
                _check(inner, found)


def _has_states(value):
    return isinstance(value, dict) and isinstance(value.get("States"), dict)


def _is_rule(rule):
    """Whether a rule of a Choice has the shape of one: texts, and rules within And, Or and Not."""
    if not isinstance(rule, dict) or not all(
        isinstance(rule.get(field, ""), str) for field in ("Next", "Variable", "Condition")
    ):
        return False
    inner = [one for field in ("And", "Or") for one in _listed(rule.get(field))]
    return all(_is_rule(one) for one in [*inner, *([rule["Not"]] if "Not" in rule else [])])


def _listed(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def _described(file, document, name):
    definition = document["definition"]
    if isinstance(definition, str):
        definition = _json_in(definition, file, "definition")
    if not is_definition(definition):
        raise UnreadableError(f"{file}: its `definition` has no StartAt and States.")
    return Machine(file, document.get("name", name), definition, document.get("type") == "EXPRESS")


def _json_in(text, file, field):
    try:
        return json.loads(text)
    except ValueError:
        raise UnreadableError(f"{file}: its `{field}` is no JSON.") from None


# -- templates of CloudFormation, SAM and CDK --------------------------------------------------------------------------

_MACHINES = ("AWS::StepFunctions::StateMachine", "AWS::Serverless::StateMachine")
_FUNCTIONS = ("AWS::Lambda::Function", "AWS::Serverless::Function", "AWS::Lambda::Alias", "AWS::Lambda::Version")


def _template(file, template, path) -> Iterator[Found]:
    resolver = _Resolver(template)
    for name, resource in template["Resources"].items():
        if isinstance(resource, dict):
            try:
                yield from _resource(file, name, resource, resolver, path)
            except UnreadableError as error:
                yield error
            except (TypeError, AttributeError, KeyError, IndexError, ValueError):
                yield UnreadableError(
                    f"{file}: the resource {name} has a property or a function that CloudFormation does not know."
                )


def _resource(file, name, resource, resolver, path):
    kind, properties = resource.get("Type"), resource.get("Properties") or {}
    if kind in _MACHINES:
        yield _machine_of(file, name, properties, resolver, path)
    elif kind == "AWS::Events::Rule" and "EventPattern" in properties:
        yield Pattern(file, name, resolver.plain(properties["EventPattern"]))
    if kind in ("AWS::Serverless::StateMachine", "AWS::Serverless::Function"):
        for event, source in (properties.get("Events") or {}).items():
            if isinstance(source, dict) and source.get("Type") in ("EventBridgeRule", "CloudWatchEvent"):
                pattern = (source.get("Properties") or {}).get("Pattern")
                if isinstance(pattern, dict):
                    yield Pattern(file, f"{name}{event}", resolver.plain(pattern))
    if kind in ("AWS::Lambda::Function", "AWS::Serverless::Function"):
        inline = properties.get("InlineCode") or (properties.get("Code") or {}).get("ZipFile")
        if isinstance(inline, str) and str(properties.get("Runtime", "python")).startswith("python"):
            yield Code(file, name, inline)


def _machine_of(file, name, properties, resolver, path):
    substitutions = {key: resolver.plain(value) for key, value in
                     (properties.get("DefinitionSubstitutions") or {}).items()}  # fmt: skip
    beside = None
    if "DefinitionString" in properties:
        definition = resolver.text(properties["DefinitionString"])
    elif "Definition" in properties:
        definition = resolver.plain(properties["Definition"])
    else:
        beside = _beside(file, name, properties, path)
        definition = beside.read_text(encoding="utf-8-sig")
    if isinstance(definition, str):
        definition = parse(_substituted(definition, substitutions), f"{file}, resource {name},")
    else:
        definition = _walk(definition, substitutions)
    if not is_definition(definition):
        raise UnreadableError(f"{file}: the definition of {name} has no StartAt and States.")
    express = (properties.get("Type") or properties.get("StateMachineType")) == "EXPRESS"
    own = properties.get("Name") or properties.get("StateMachineName")
    return Machine(file, own if isinstance(own, str) and "${" not in own else name, definition, express, beside)


def _beside(file, name, properties, path):
    """The file with the definition, where that stands beside the template."""
    uri = properties.get("DefinitionUri", properties.get("DefinitionS3Location"))
    if isinstance(uri, str) and not uri.startswith("s3://"):
        other = path.parent / uri
        if not other.is_file():
            raise UnreadableError(f"{file}: {name} names the definition {uri}, and there is no such file beside it.")
        return other
    key = uri.get("Key") if isinstance(uri, dict) else None
    if isinstance(key, str) and (digest := re.match(r"[0-9a-f]{32,}", key)):  # an asset of cdk.out
        for other in sorted(path.parent.glob(f"asset.{digest[0]}*")):
            if other.is_file():
                return other
    raise UnreadableError(f"{file}: the definition of {name} is not in this folder, so it was not examined.")


def _substituted(text, substitutions):
    """A text with the values of its placeholders. A number may stand in quotes or bare, so quotes are left alone."""

    def value(match):
        found = substitutions.get(match[1])
        return match[0] if found is None or isinstance(found, dict | list) else _escaped(found)

    return re.sub(r"\$\{([A-Za-z0-9_:.]+)\}", value, text)


def _escaped(value):
    return json.dumps(value) if isinstance(value, bool) else json.dumps(str(value))[1:-1]


def _walk(value, substitutions):
    """The same within plain data; a text that is one placeholder becomes the value itself."""
    if isinstance(value, dict):
        return {key: _walk(one, substitutions) for key, one in value.items()}
    if isinstance(value, list):
        return [_walk(one, substitutions) for one in value]
    if isinstance(value, str):
        whole = re.fullmatch(r"\$\{([A-Za-z0-9_:.]+)\}", value)
        if whole and whole[1] in substitutions:
            return substitutions[whole[1]]
        return re.sub(r"\$\{([A-Za-z0-9_:.]+)\}", lambda match: str(substitutions.get(match[1], match[0])), value)
    return value


class _Resolver:
    """What the intrinsic functions of a template come to, as far as its text says it."""

    def __init__(self, template):
        self._resources = template["Resources"]
        parameters = template["Parameters"] if isinstance(template.get("Parameters"), dict) else {}
        self._defaults = {
            name: one["Default"] for name, one in parameters.items() if isinstance(one, dict) and "Default" in one
        }

    def plain(self, value):
        """The value with its functions resolved; a dict or list stays one."""
        if isinstance(value, list):
            return [self.plain(one) for one in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            function, argument = next(iter(value.items()))
            if function in ("Ref", "Fn::GetAtt", "Fn::Sub", "Fn::Join", "Fn::ToJsonString", "Fn::If", "Fn::ImportValue",
                            "Fn::FindInMap", "Fn::Select", "Fn::Split", "Fn::GetAZs", "Fn::Base64"):  # fmt: skip
                return self._called(function, argument)
        return {key: self.plain(one) for key, one in value.items()}

    def text(self, value):
        """The same as a text: a definition in DefinitionString may be an object where a tool writes it so."""
        resolved = self.plain(value)
        return resolved if isinstance(resolved, str | dict) else str(resolved)

    def _called(self, function, argument):
        if function == "Ref":
            return self._named(argument)
        if function == "Fn::GetAtt":
            name, *attribute = argument if isinstance(argument, list) else str(argument).split(".", 1)
            return self._attribute(name, str(attribute[0]) if attribute else "Arn")
        if function == "Fn::Sub":
            text, own = argument if isinstance(argument, list) else (argument, {})
            own = {key: self.plain(one) for key, one in own.items()}
            return re.sub(r"\$\{([^!}][^}]*)\}", lambda match: self._in_text(match[1].strip(), own), text)
        if function == "Fn::Join":
            parts = self.plain(argument[1])
            return argument[0].join(map(str, parts)) if isinstance(parts, list) else str(parts)
        if function == "Fn::ToJsonString":
            return json.dumps(self.plain(argument))
        if function == "Fn::If":
            return self.plain(argument[1])
        if function == "Fn::Base64":
            return self.plain(argument)
        return f"${{{function.removeprefix('Fn::')}}}"

    def _in_text(self, name, own):
        if name in own:
            return str(own[name])
        if "." in name:
            return str(self._attribute(*name.split(".", 1)))
        return str(self._named(name))

    def _named(self, name):
        if self._is_function(name):
            return self._arn(name)
        return self._defaults.get(name, f"${{{name}}}")

    def _attribute(self, name, attribute):
        return self._arn(name) if self._is_function(name) and "Arn" in attribute else f"${{{name}.{attribute}}}"

    def _is_function(self, name):
        resource = self._resources.get(name)
        return isinstance(resource, dict) and resource.get("Type") in _FUNCTIONS

    @staticmethod
    def _arn(name):
        return f"arn:aws:lambda:${{AWS::Region}}:${{AWS::AccountId}}:function:{name}"
