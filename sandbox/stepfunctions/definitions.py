"""Which definitions AWS refuses, and in what words.

The rules are those of https://states-language.net/spec.html and of the Step Functions guide. Codes, locations and most
messages are recorded (localstack/localstack, test_sfn_api*.snapshot.json) or measured (floci-io/floci, issues 2735 and
3733, pull request 2786, docs/services/step-functions); AWS promises none of its wording.
"""

import json
import re

from . import expressions, sdk
from .choices import OPERATORS, parse_timestamp
from .errors import json_problem, read_json
from .paths import PathError, is_definite, is_number, parse
from .templates import parse_call

SCHEMA = "SCHEMA_VALIDATION_FAILED"
TARGET = "MISSING_TRANSITION_TARGET"


def _words(text):
    return frozenset(text.split())


_FIELDS = {
    kind: _words(f"Type Comment QueryLanguage {fields}")
    for kind, fields in {
        "Pass": "Next End InputPath OutputPath ResultPath Parameters Result Output Assign",
        "Task": "Next End InputPath OutputPath ResultPath Parameters ResultSelector Arguments Output Assign Retry "
        "Catch Resource TimeoutSeconds TimeoutSecondsPath HeartbeatSeconds HeartbeatSecondsPath Credentials",
        "Choice": "Choices Default InputPath OutputPath Output Assign",
        "Wait": "Next End InputPath OutputPath Output Assign Seconds SecondsPath Timestamp TimestampPath",
        "Succeed": "InputPath OutputPath Output",
        "Fail": "Error ErrorPath Cause CausePath",
        "Parallel": "Next End InputPath OutputPath ResultPath Parameters ResultSelector Arguments Output Assign Retry "
        "Catch Branches",
        "Map": "Next End InputPath OutputPath ResultPath Parameters ResultSelector Output Assign Retry Catch "
        "ItemProcessor Iterator ItemsPath Items ItemSelector ItemReader ItemBatcher ResultWriter MaxConcurrency "
        "MaxConcurrencyPath ToleratedFailurePercentage ToleratedFailurePercentagePath ToleratedFailureCount "
        "ToleratedFailureCountPath Label",
    }.items()
}
_MACHINE = _words("Comment StartAt States Version TimeoutSeconds QueryLanguage")
_BRANCH = _words("Comment StartAt States")
_RETRIER = _words("ErrorEquals IntervalSeconds BackoffRate MaxAttempts MaxDelaySeconds JitterStrategy Comment")
_CATCHER = _words("ErrorEquals Next ResultPath Output Assign Comment")
_ONLY_JSONPATH = OPERATORS | _words(
    "InputPath OutputPath ResultPath Parameters ResultSelector Result ItemsPath SecondsPath TimestampPath "
    "TimeoutSecondsPath HeartbeatSecondsPath ErrorPath CausePath MaxConcurrencyPath ToleratedFailurePercentagePath "
    "ToleratedFailureCountPath Variable And Or Not"
)
_ONLY_JSONATA = _words("Arguments Output Items Condition")

_STRING, _NUMBER, _BOOLEAN, _OBJECT, _ARRAY = "STRING", "NUMBER", "BOOLEAN", "OBJECT", "ARRAY"
_TYPES = {
    name: kind
    for kind, names in {
        _STRING: "Type Comment QueryLanguage Next Default Resource StartAt Version Label Error Cause Timestamp "
        "JitterStrategy",
        _NUMBER: "TimeoutSeconds HeartbeatSeconds Seconds IntervalSeconds BackoffRate MaxAttempts MaxDelaySeconds "
        "MaxConcurrency ToleratedFailureCount ToleratedFailurePercentage",
        _OBJECT: "States Assign ItemProcessor Iterator ItemReader ItemBatcher ResultWriter Credentials",
        _ARRAY: "Choices Branches Retry Catch ErrorEquals",
        _BOOLEAN: "End Condition",
    }.items()
    for name in _words(names)
}
# What AWS has and the sandbox has not: a state with one of these is refused, since it would do something else there.
_NOT_IN_THE_SANDBOX = {
    "Credentials": "a Task acts with the execution role",
    "ItemBatcher": "a Map hands on one item at a time",
    "ResultWriter": "the results of a Map are its output",
}
# Lowest and highest value of numbers written as literals.
_RANGES = {
    "TimeoutSeconds": (1, 99_999_999), "HeartbeatSeconds": (1, 99_999_999), "Seconds": (0, 99_999_999),
    "IntervalSeconds": (1, 99_999_999), "MaxAttempts": (0, 99_999_999), "MaxDelaySeconds": (1, 31_622_400),
    "BackoffRate": (1.0, None), "MaxConcurrency": (0, None), "ToleratedFailureCount": (0, None),
    "ToleratedFailurePercentage": (0.0, 100.0),
}  # fmt: skip
_VALUES_OF_PROCESSORS = {"Mode": ["INLINE", "DISTRIBUTED"], "ExecutionType": ["STANDARD", "EXPRESS"]}
_VALUES = {
    **_VALUES_OF_PROCESSORS,
    "JitterStrategy": ["FULL", "NONE"],
    "QueryLanguage": ["JSONPath", "JSONata"],
    "Version": ["1.0"],
}
_TERMINAL = ("Succeed", "Fail")
# Optimized integrations that the workshop's account has, with the patterns each supports
# (docs.aws.amazon.com/step-functions/latest/dg/integrate-optimized.html).
_INTEGRATIONS = {
    "lambda": {"invoke", "invoke.waitForTaskToken"},
    "sqs": {"sendMessage", "sendMessage.waitForTaskToken"},
    "sns": {"publish", "publish.waitForTaskToken"},
    "events": {"putEvents", "putEvents.waitForTaskToken"},
    "dynamodb": {"getItem", "putItem", "updateItem", "deleteItem"},
    "states": {f"startExecution{how}" for how in ("", ".sync", ".sync:2", ".waitForTaskToken")},
}
# What each may be given, from the pages of that integration (connect-lambda.html and so on).
_PARAMETERS = {
    "lambda:invoke": _words("ClientContext FunctionName InvocationType LogType Payload Qualifier"),
    "sqs:sendMessage": _words(
        "DelaySeconds MessageAttributes MessageBody MessageDeduplicationId MessageGroupId QueueUrl"
    ),
    "sns:publish": _words(
        "Message MessageAttributes MessageDeduplicationId MessageGroupId MessageStructure PhoneNumber Subject "
        "TargetArn TopicArn"
    ),
    "events:putEvents": _words("Entries"),
    "states:startExecution": _words("Input Name StateMachineArn"),
}
# Of these the sandbox has not.
_PARAMETERS_NOT_HERE = {
    "lambda:invoke": _words("ClientContext LogType"),
    "sns:publish": _words("MessageDeduplicationId MessageGroupId PhoneNumber TargetArn"),
}
# Optimized integrations that AWS has and the sandbox has not, from the same page.
_OTHER_INTEGRATIONS = _words(
    "apigateway athena batch bedrock codebuild databrew ecs eks elasticmapreduce emr-containers emr-serverless glue "
    "http mediaconvert sagemaker"
)
# Services by boto3's (and the AWS CLI's) names, where `aws-sdk` has those of the AWS SDK for Java: databasemigration,
# sfn, eventbridge, cloudwatchlogs.
# https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
_ONLY_BOTO3_NAMES = _words("dms stepfunctions states events logs")


def diagnose(text, express=False):
    """What is wrong with a definition: a list of dicts of `severity`, `code`, `message` and perhaps `location`."""
    if not text.strip():
        return [_diagnostic(SCHEMA, "Definition must be a valid JSON object")]
    if problem := json_problem(text):
        return [_not_json(text, problem)]
    definition = json.loads(text)
    if not isinstance(definition, dict):
        return [_diagnostic(SCHEMA, "Definition must be a valid JSON object")]
    check = _Check(definition, express)
    check.machine()
    return check.found


def _diagnostic(code, message, location=None):
    place = {} if location is None else {"location": location}
    return {"severity": "ERROR", "code": code, "message": message, **place}


def _not_json(text, problem):
    line = column = 1
    try:
        read_json(text)
    except ValueError as error:
        line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
    if token := re.match(r"Unrecognized token '(\w+)'", problem):
        column += len(token.group(1))
    location = f'[Source: (String)"{text}"; line: {line}, column: {column}]'
    return _diagnostic("INVALID_JSON_DESCRIPTION", f"{problem}\n at {location}", location)


class _Check:
    """The walk through one definition; what is wrong gathers in `found`."""

    def __init__(self, definition, express):
        self.definition = definition
        self.express = express
        self.found = []
        self.names = set()

    def report(self, message, at, code=SCHEMA):
        self.found.append(_diagnostic(code, message, at))

    def machine(self):
        definition = self.definition
        self.fields(definition, _MACHINE, "/")
        self.require(definition, ("States", "StartAt"), "/")
        self.states(definition, "")

    # Forms of fields

    def fields(self, thing, known, at, jsonata=False):
        """Unknown fields, wrong types, numbers and words out of bounds. In JSONata an expression has any type."""
        where = "" if at == "/" else at
        for name, value in thing.items():
            if name not in known:
                self.report(f"Field '{name}' is not supported", at)
                continue
            if jsonata and _is_expression(value):
                continue
            wanted = _TYPES.get(name)
            if wanted and not _is_type(value, wanted):
                self.report(f"Expected value of type [{wanted}]", f"{where}/{name}")
            elif name in _VALUES and value not in _VALUES[name]:
                allowed = ", ".join(_VALUES[name])
                self.report(f"Value should be one of the following: [{allowed}]", f"{where}/{name}")
            elif wanted == _NUMBER and name in _RANGES:
                low, high = _RANGES[name]
                if value < low:
                    self.report(f"Minimum value is {low}", f"{where}/{name}")
                elif high is not None and value > high:
                    self.report(f"Maximum value is {high}", f"{where}/{name}")

    def require(self, thing, names, at):
        """Required fields; says whether all are there."""
        missing = [name for name in names if name not in thing]
        if missing:
            self.report(f"These fields are required: [{', '.join(missing)}]", at)
        return not missing

    def one_of(self, thing, names, at, required=True):
        """Fields of which there is to be one."""
        given = [name for name in names if name in thing]
        if len(given) > 1:
            self.report(f"There should only be one of the following fields: [{', '.join(given)}]", at)
        elif required and not given:
            self.report(f"There should be one of the following fields: [{', '.join(names)}]", at)

    # States

    def states(self, machine, at):
        """The states of a machine, branch or iteration: each by itself, then how they lead to one another."""
        states = machine.get("States")
        if not isinstance(states, dict):
            return
        for name, state in states.items():
            place = f"{at}/States/{name}"
            if name in self.names:
                self.report(f"Duplicate State name: {name}", place, "DUPLICATE_STATE_NAME")
            self.names.add(name)
            if len(name) > 80:
                self.report("State name exceeds the maximum length of 80 characters", place, "INVALID_STATE_NAME")
            if isinstance(state, dict):
                self.state(state, place)
            else:
                self.report("Expected value of type [OBJECT]", place)
        if "StartAt" in machine:
            self.transitions(machine, states, at)

    def state(self, state, at):
        kind = state.get("Type")
        if not self.require(state, ("Type",), at):
            return
        if kind not in _FIELDS:
            self.report(f"Value should be one of the following: [{', '.join(_FIELDS)}]", f"{at}/Type")
            return
        machine_language = self.definition.get("QueryLanguage", "JSONPath")
        language = state.get("QueryLanguage", machine_language)
        jsonata = language != "JSONPath"
        if machine_language == "JSONata" and language == "JSONPath":
            self.report("'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine", at)
        else:
            self.languages(state, jsonata, at)
        self.fields(state, _FIELDS[kind], at, jsonata)
        for name in _NOT_IN_THE_SANDBOX.keys() & state.keys() & _FIELDS[kind]:
            self.report(f"The sandbox does not support '{name}': {_NOT_IN_THE_SANDBOX[name]}", at)
        if "Next" in _FIELDS[kind]:
            self.one_of({k: v for k, v in state.items() if (k, v) != ("End", False)}, ("Next", "End"), at)
        for name in ("TimeoutSeconds", "HeartbeatSeconds", "MaxConcurrency", "ToleratedFailureCount", "Error", "Cause",
                     "ToleratedFailurePercentage"):  # fmt: skip
            self.one_of(state, (name, f"{name}Path"), at, required=False)
        self.values(state, jsonata, at)
        self.errors(state, jsonata, at)
        getattr(self, f"_{kind.lower()}", lambda *_: None)(state, jsonata, at)

    def languages(self, thing, jsonata, at):
        """Fields of the other query language."""
        mine, other = ("JSONata", "JSONPath") if jsonata else ("JSONPath", "JSONata")
        for name in thing:
            if name in (_ONLY_JSONPATH if jsonata else _ONLY_JSONATA):
                self.report(
                    f"The QueryLanguage is set to '{mine}', but field '{name}' is only supported for the "
                    f"'{other}' QueryLanguage",
                    at,
                )

    def errors(self, state, jsonata, at):
        """Retry and Catch."""
        for field, known in (("Retry", _RETRIER), ("Catch", _CATCHER)):
            clauses = state.get(field)
            if not isinstance(clauses, list) or field not in _FIELDS[state["Type"]]:
                continue
            for index, clause in enumerate(clauses):
                place = f"{at}/{field}[{index}]"
                if not isinstance(clause, dict):
                    self.report("Expected value of type [OBJECT]", place)
                    continue
                self.fields(clause, known, place)
                self.require(clause, ("ErrorEquals", "Next") if field == "Catch" else ("ErrorEquals",), place)
                if field == "Catch":
                    self.languages(clause, jsonata, place)
                    self.values(clause, jsonata, place, in_catch=True)
                names = clause.get("ErrorEquals")
                if not isinstance(names, list):
                    continue
                if not names:
                    self.report("Array should have at least one element", f"{place}/ErrorEquals")
                if "States.ALL" in names and (len(names) > 1 or index < len(clauses) - 1):
                    self.report(
                        f"'States.ALL' must appear alone, and only in the last element of {field}",
                        f"{place}/ErrorEquals",
                    )

    # Values: paths, templates and expressions

    def values(self, thing, jsonata, at, in_catch=False):
        inner = ("Branches", "ItemProcessor", "Iterator", "Retry", "Catch", "Choices", "Comment", "ItemReader",
                 "ItemBatcher", "ResultWriter", "States", "And", "Or", "Not")  # fmt: skip
        for name, value in thing.items():
            if name in inner:
                continue
            place = f"{at}/{name}"
            if jsonata:
                self.expressions(value, place, in_catch)
            elif name in ("Parameters", "ResultSelector", "Assign", "ItemSelector"):
                self.template(value, place)
            elif name == "ResultPath" and value is not None:
                self.path(value, place, reference=True)
            elif (name in ("InputPath", "OutputPath") and value is not None) or name == "Variable":
                self.path(value, place)
            elif name.endswith("Path") and name not in ("InputPath", "OutputPath", "ResultPath"):
                self.path(value, place, intrinsic=name in ("ErrorPath", "CausePath"))
        if "Assign" in thing and isinstance(thing["Assign"], dict):
            for name in thing["Assign"]:
                bare = name.removesuffix(".$")
                if bare == "states" or not re.fullmatch(r"[^\W\d]\w{0,79}", bare):
                    self.report(f"Variable name '{bare}' is not valid", f"{at}/Assign")

    def path(self, value, at, reference=False, intrinsic=False):
        if not isinstance(value, str):
            self.report("Expected value of type [STRING]", at)
        elif reference:
            if not _is_path(value) or not is_definite(value) or not re.match(r"\$(\.|\[|$)", value):
                self.report("Value is not a Reference Path", at)
        elif not _is_path(value) and not (intrinsic and _is_call(value)):
            self.report("Value is not a valid JSONPath", at)

    def template(self, value, at):
        if isinstance(value, list):
            for index, item in enumerate(value):
                self.template(item, f"{at}[{index}]")
        if isinstance(value, dict):
            for key, item in value.items():
                if not key.endswith(".$"):
                    self.template(item, f"{at}/{key}")
                elif not isinstance(item, str) or not (_is_path(item) or _is_call(item)):
                    self.report(
                        f"The value for the field '{key}' must be a valid JSONPath or a valid intrinsic function call",
                        at,
                    )

    def expressions(self, value, at, in_catch):
        if isinstance(value, dict):
            for key, item in value.items():
                self.expressions(item, f"{at}/{key}", in_catch)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self.expressions(item, f"{at}[{index}]", in_catch)
        elif _is_expression(value):
            try:
                tree = expressions.syntax_tree(value[2:-2].strip())
            except expressions.ExpressionError as problem:
                self.report(str(problem), at, "INVALID_JSONATA_EXPRESSION")
                return
            for name in sorted(set(_unsupported(tree, in_catch))):
                top = " at the top level" if name.isidentifier() else ""
                self.report(f"Reference to '{name}'{top} is not supported.", at, "UNSUPPORTED_JSONATA_EXPRESSION")

    # State types

    def _task(self, state, jsonata, at):
        self.require(state, ("Resource",), at)
        timeout, heartbeat = state.get("TimeoutSeconds"), state.get("HeartbeatSeconds")
        if is_number(timeout) and is_number(heartbeat) and heartbeat >= timeout:
            self.report("HeartbeatSeconds must be smaller than TimeoutSeconds", f"{at}/HeartbeatSeconds")
        resource = state.get("Resource")
        if isinstance(resource, str):
            self.resource(resource, f"{at}/Resource")
            self.parameters(resource, state, jsonata, at)

    def resource(self, resource, at):
        if not re.fullmatch(r"arn:aws[\w-]*:(states|lambda):[\w-]*:\d*:.+", resource):
            self.report("Value is not a valid resource ARN", at)
            return
        if self.express and (found := re.search(r"\.(waitForTaskToken|sync)\b", resource)):
            space = " " if found[1] == "waitForTaskToken" else ""  # recorded so: test_sfn_api_express
            self.report(f"Express state machine does not support '{found.group()}' service integration{space}", at)
        elif self.express and ":activity:" in resource:
            self.report("Express state machine does not support Activity ARN", at)
        elif (found := re.fullmatch(r"arn:aws[\w-]*:states:::([\w-]+):(.+)", resource)) and (
            problem := _no_integration(resource, *found.groups())
        ):
            self.report(problem, at)

    def parameters(self, resource, state, jsonata, at):
        """What an optimized integration is not given."""
        call = re.sub(r"\.(waitForTaskToken|sync(:2)?)$", "", resource).rpartition(":::")[2]
        name = "Arguments" if jsonata else "Parameters"
        given = state.get(name)
        if call not in _PARAMETERS or not isinstance(given, dict):
            return
        for field in sorted(key if jsonata else key.removesuffix(".$") for key in given):
            if field not in _PARAMETERS[call]:
                self.report(f'The field "{field}" is not supported by Step Functions', f"{at}/{name}")
            elif field in _PARAMETERS_NOT_HERE.get(call, ()):
                self.report(f"The sandbox does not support '{field}' of {call}", f"{at}/{name}")

    def _wait(self, state, jsonata, at):
        self.one_of(state, ("Seconds", "SecondsPath", "Timestamp", "TimestampPath"), at)
        timestamp = state.get("Timestamp")
        if (
            isinstance(timestamp, str)
            and not (jsonata and _is_expression(timestamp))
            and not parse_timestamp(timestamp)
        ):
            self.report("String does not match RFC3339 timestamp", f"{at}/Timestamp")

    def _choice(self, state, jsonata, at):
        if not self.require(state, ("Choices",), at) or not isinstance(state["Choices"], list):
            return
        if not state["Choices"]:
            self.report("Array should have at least one element", f"{at}/Choices")
        for index, rule in enumerate(state["Choices"]):
            place = f"{at}/Choices[{index}]"
            if not isinstance(rule, dict):
                self.report("Expected value of type [OBJECT]", place)
                continue
            self.languages(rule, jsonata, place)
            self.values(rule, jsonata, place)
            if jsonata:
                self.fields(rule, {"Condition", "Next", "Output", "Assign", "Comment"} | _ONLY_JSONPATH, place, True)
                self.require(rule, ("Condition", "Next"), place)
            else:
                self.require(rule, ("Next",), place)
                self.rule({k: v for k, v in rule.items() if k not in ("Next", "Assign", "Comment")}, place)

    def rule(self, rule, at):
        """A JSONPath condition, without what only a whole rule has."""
        if not isinstance(rule, dict):
            self.report("Expected value of type [OBJECT]", at)
            return
        tests = [name for name in rule if name in OPERATORS]
        groups = [name for name in rule if name in ("And", "Or", "Not")]
        for name in rule:
            if name not in OPERATORS and name not in ("And", "Or", "Not", "Variable", *_ONLY_JSONATA, "Comment"):
                self.report(f"Field '{name}' is not supported", at)
        if len(tests) + len(groups) != 1:
            self.report("There should be one comparison, And, Or or Not", at)
            return
        if tests:
            if self.require(rule, ("Variable",), at):
                self.path(rule["Variable"], f"{at}/Variable")
            self.operand(tests[0], rule[tests[0]], f"{at}/{tests[0]}")
        elif groups == ["Not"]:
            self.rule(rule["Not"], f"{at}/Not")
        elif not isinstance(rule[groups[0]], list) or not rule[groups[0]]:
            self.report("Array should have at least one element", f"{at}/{groups[0]}")
        else:
            for index, part in enumerate(rule[groups[0]]):
                self.rule(part, f"{at}/{groups[0]}[{index}]")

    def operand(self, operator, value, at):
        if operator.endswith("Path"):
            self.path(value, at)
        elif operator.startswith("Timestamp"):
            if not parse_timestamp(value):
                self.report("String does not match RFC3339 timestamp", at)
        else:
            kind = {"String": _STRING, "Numeric": _NUMBER}.get(re.match("[A-Z][a-z]+", operator).group(), _BOOLEAN)
            if not _is_type(value, kind):
                self.report(f"Expected value of type [{kind}]", at)

    def _parallel(self, state, jsonata, at):
        if not self.require(state, ("Branches",), at) or not isinstance(state["Branches"], list):
            return
        if not state["Branches"]:
            self.report("Array should have at least one element", f"{at}/Branches")
        for index, branch in enumerate(state["Branches"]):
            self.inner(branch, _BRANCH, f"{at}/Branches[{index}]")

    def _map(self, state, jsonata, at):
        self.one_of(state, ("ItemProcessor", "Iterator"), at)
        self.one_of(state, ("ItemSelector", "Parameters"), at, required=False)
        for name in ("ItemProcessor", "Iterator"):
            if name in state:
                self.inner(state[name], _BRANCH | {"ProcessorConfig"}, f"{at}/{name}")
        processor = state.get("ItemProcessor")
        config = processor.get("ProcessorConfig", {}) if isinstance(processor, dict) else {}
        if not isinstance(config, dict):
            self.report("Expected value of type [OBJECT]", f"{at}/ItemProcessor/ProcessorConfig")
            return
        self.fields(config, _VALUES_OF_PROCESSORS, f"{at}/ItemProcessor/ProcessorConfig")
        if config.get("Mode") == "DISTRIBUTED" and jsonata:
            self.report("The sandbox runs a distributed Map in JSONPath only", at)

    def inner(self, machine, known, at):
        if not isinstance(machine, dict):
            self.report("Expected value of type [OBJECT]", at)
            return
        self.fields(machine, known, at)
        self.require(machine, ("States", "StartAt"), at)
        self.states(machine, at)

    # Transitions

    def transitions(self, machine, states, at):
        """Targets that do not exist, states that nothing leads to, and a workflow without an end."""
        reached = set()
        self.target(machine.get("StartAt"), states, f"{at}/StartAt", reached)
        for name, state in states.items():
            for field, target in targets(state):
                self.target(target, states, f"{at}/States/{name}/{field}", reached)
        ends = [s for s in states.values() if isinstance(s, dict) and (s.get("Type") in _TERMINAL or s.get("End"))]
        if not ends:
            self.report("Workflow has no terminal state", None, "MISSING_END_STATE")
            return
        for name in states:
            if name not in reached:
                self.report(f'State "{name}" is not reachable.', f"{at}/States/{name}", TARGET)

    def target(self, target, states, at, reached):
        if isinstance(target, str):
            reached.add(target)
            if target not in states:
                self.report(f"Missing 'Next' target: {target}", at, TARGET)


def targets(state):
    """The names to which a state leads, each with the field that says so."""
    if not isinstance(state, dict):
        return
    for field in ("Next", "Default"):
        if field in state:
            yield field, state[field]
    for field in ("Choices", "Catch"):
        for index, clause in enumerate(state[field] if isinstance(state.get(field), list) else ()):
            if isinstance(clause, dict) and "Next" in clause:
                yield f"{field}[{index}]/Next", clause["Next"]


def _is_type(value, kind):
    if kind == _NUMBER:
        return is_number(value)
    return isinstance(value, {_STRING: str, _BOOLEAN: bool, _OBJECT: dict, _ARRAY: list}[kind])


def _is_expression(value):
    return isinstance(value, str) and value.startswith("{%") and value.endswith("%}")


def _is_path(value):
    try:
        parse(value)
    except PathError:
        return False
    return True


def _is_call(value):
    try:
        parse_call(value)
    except PathError:
        return False
    return True


def _no_integration(resource, service, action):
    """Why a Task cannot call an integration, None if it can. What AWS has and the sandbox has not is named."""
    unknown = (
        f"The resource provided {resource} is not recognized. The value is not a valid resource ARN, "
        "or the resource is not available in this region."
    )
    if service == "aws-sdk":
        service, _, call = action.partition(":")
        service = service.lower()
        if service in _ONLY_BOTO3_NAMES or not call or call.endswith((".sync", ".sync:2")):
            return unknown
        if service not in sdk.SERVICES:
            return f"The sandbox does not have the service '{service}'. It has {', '.join(sdk.SERVICES)}."
        operation = call.removesuffix(".waitForTaskToken")
        known = not operation[:1].isupper() and operation[:1].upper() + operation[1:] in sdk.operations(service)
        return None if known else unknown
    if service in _OTHER_INTEGRATIONS:
        return (
            f"The sandbox does not have the integration {service}:{action}. It has those of {', '.join(_INTEGRATIONS)}."
        )
    return None if action in _INTEGRATIONS.get(service, ()) else unknown


def _unsupported(node, in_catch, top=True):
    """Names that a JSONata expression reads where there is nothing: there is no context item at its top level."""
    if isinstance(node, list | tuple):
        for part in node:
            yield from _unsupported(part, in_catch, top)
    if not hasattr(node, "type"):
        return
    if node.type == "variable" and node.value == "$":
        yield "$$"
    if node.type == "path":
        first, *rest = node.steps
        names = [step.value for step in node.steps[:2]]
        if first.type == "name" and top:
            yield first.value
        if first.type == "variable" and names == ["states", "errorOutput"] and not in_catch:
            yield "$states.errorOutput"
        yield from _unsupported(first, in_catch, top and first.type != "name")
        yield from _unsupported(rest, in_catch, top=False)
        return
    for name, part in vars(node).items():
        if name != "_outer_instance" and name != "_parser":
            # What filters, sorts or groups a value has that value's items as its context.
            yield from _unsupported(part, in_catch, top and name not in ("predicate", "stages", "group", "terms"))
