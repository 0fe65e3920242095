"""TestState: one state by itself, run by the interpreter that runs executions.

https://docs.aws.amazon.com/step-functions/latest/apireference/API_TestState.html and test-state-isolation.html. Map and
Parallel, `stateConfiguration` but for the number of retries, and what `fieldValidationMode` checks of a mock are left
out: the first two are refused by name.
"""

import json

from ministack.services import stepfunctions as engine

from . import definitions, roles, states, tasks
from .data import Visit
from .errors import StateError, json_problem
from .executions import Execution, Flow, to_json

_LEVELS = ("INFO", "DEBUG", "TRACE")


def test_state(data):
    """TestState: `definition` of a state, or of a machine with `stateName`; `roleArn` unless there is a `mock`."""
    name, state, language, refusal = _state(data)
    refusal = refusal or _refusal(data, state)
    if refusal:
        return engine.error_response_json(*refusal, 400)
    try:
        if "mock" not in data:
            roles.require_trust(data.get("roleArn") or "")
    except roles.Denied as denial:
        return engine.error_response_json("AccessDeniedException", str(denial), 400)
    execution = _execution(name, state, language, data)
    try:
        return engine.json_response(_run(execution, name, state, data))
    finally:
        execution.discard()


def _state(data):
    """(name, state, query language, None), or the refusal in its place, as code and message."""
    text, name = data.get("definition") or "", data.get("stateName")
    if problem := json_problem(text):
        return None, None, None, ("InvalidDefinition", f"Invalid State Machine Definition: '{problem}'")
    definition = json.loads(text)
    if not isinstance(definition, dict):
        return None, None, None, ("InvalidDefinition", "Invalid State Machine Definition: 'not a JSON object'")
    if "States" in definition:
        machine, name = definition, name or definition.get("StartAt")
        if name not in definition["States"]:
            return None, None, None, ("ValidationException", f"There is no state '{name}' in the definition.")
    else:
        name = name or "TestState"
        machine = {"StartAt": name, "States": {name: definition}}
        for _, target in definitions.targets(definition):
            machine["States"].setdefault(target, {"Type": "Succeed"})
    if found := definitions.diagnose(json.dumps(machine)):
        said = ", ".join(f"{one['code']}: {one['message']} at {one.get('location', 'null')}" for one in found)
        return None, None, None, ("InvalidDefinition", f"Invalid State Machine Definition: '{said}'")
    return name, machine["States"][name], machine.get("QueryLanguage", "JSONPath"), None


def _refusal(data, state):
    for field in ("input", "variables", "context"):
        if problem := json_problem(data.get(field) or "{}"):
            code = "InvalidExecutionInput" if field == "input" else "ValidationException"
            return code, f"{field} is not JSON: {problem}"
    if state["Type"] in ("Map", "Parallel"):
        return "ValidationException", f"The sandbox's TestState has no {state['Type']} states."
    if data.get("inspectionLevel", "INFO") not in _LEVELS:
        return "ValidationException", f"inspectionLevel must be one of {', '.join(_LEVELS)}."
    if left := (data.get("stateConfiguration") or {}).keys() - {"retrierRetryCount"}:
        return "ValidationException", f"The sandbox's TestState does not support {', '.join(sorted(left))}."
    resource = str(state.get("Resource"))
    if "mock" not in data and (resource.endswith((tasks.CALLBACK, *tasks.SYNC)) or ":activity:" in resource):
        return "InvalidDefinition", f"TestState calls {resource} with a mock only."
    if "mock" in data and state["Type"] != "Task":
        return "ValidationException", "A mock stands for the result or the error of a Task."
    mock = data.get("mock") or {}
    if len(mock.keys() & {"result", "errorOutput"}) != ("mock" in data):
        return "ValidationException", "A mock has either a result or an errorOutput."
    if "result" in mock and (problem := json_problem(mock["result"])):
        return "ValidationException", f"The result of the mock is not JSON: {problem}"
    return None


def _execution(name, state, language, data):
    """An execution of this state that nobody else sees."""
    region, account, identity = engine.get_region(), engine.get_account_id(), engine.new_uuid()
    arn = f"arn:aws:states:{region}:{account}:execution:TestState:{identity}"
    machine = f"arn:aws:states:{region}:{account}:stateMachine:TestState"
    text = data.get("input") or "{}"
    record = {"executionArn": arn, "stateMachineArn": machine, "name": identity, "status": "RUNNING",
              "startDate": engine.now_iso(), "input": text}  # fmt: skip
    definition = {"StartAt": name, "States": {name: state}, "QueryLanguage": language}
    execution = Execution(record, definition, data.get("roleArn"))
    context = {
        "Execution": {"Id": arn, "Input": json.loads(text), "StartTime": record["startDate"], "Name": identity,
                      "RoleArn": data.get("roleArn"), "RedriveCount": 0},
        "StateMachine": {"Id": machine, "Name": "TestState"},
        **json.loads(data.get("context") or "{}"),
        "State": {"EnteredTime": engine.now_iso(), "Name": name, "RetryCount": _retries(data)},
    }  # fmt: skip
    execution.flow = Flow(execution, context, json.loads(data.get("variables") or "{}"))
    return execution


def _retries(data):
    return (data.get("stateConfiguration") or {}).get("retrierRetryCount", 0)


def _run(execution, name, state, data):
    """The answer: how the state ended, and what it handed on."""
    here = Visit(execution.flow, name, state, json.loads(data.get("input") or "{}"), 0)
    answer, seen = {}, {"input": to_json(here.input)}
    try:
        try:
            if state["Type"] == "Task":
                result = _result(here, data.get("mock"), seen)
                seen["result"] = to_json(result)
                output, following = here.finish(result), None if state.get("End") else state["Next"]
            else:
                output, following = states.HANDLERS[state["Type"]](here)
            answer = {"status": "SUCCEEDED", "output": to_json(output)}
        except StateError as error:
            answer = {"status": "FAILED", **error.details}
            output, following = _handled(here, state, error, _retries(data), answer)
            if output is not None:
                answer["output"] = to_json(output)
        if following:
            answer["nextState"] = following
    except StateError as error:  # of a catcher's own fields
        answer = {"status": "FAILED", **error.details}
    if here.assigned:
        seen["variables"] = to_json({**execution.flow.variables, **here.assigned})
    if data.get("inspectionLevel", "INFO") != "INFO":
        answer["inspectionData"] = seen
    return answer


def _result(here, mock, seen):
    """The result of a Task, its own or a mock's; raises StateError."""
    if mock is None:
        return tasks.run(here)
    if "Task" not in here.flow.context and here.state["Resource"].endswith((tasks.CALLBACK, *tasks.SYNC)):
        here.flow.context["Task"] = {"Token": engine.new_uuid()}
    arguments = here.arguments()
    seen["afterArguments" if here.jsonata else "afterParameters"] = to_json(arguments)
    if "errorOutput" in mock:
        raise StateError(mock["errorOutput"].get("error"), mock["errorOutput"].get("cause"))
    return json.loads(mock["result"])


def _handled(here, state, error, retries, answer):
    """What Retry and Catch make of an error: (output, next state). Sets the answer's status."""
    _, retrier = states.first_match(state.get("Retry", []), error)
    if retrier is not None and retries < retrier.get("MaxAttempts", 3):
        answer["status"] = "RETRIABLE"
        return None, None
    index, catcher = states.first_match(state.get("Catch", []), error)
    if catcher is None:
        return None, None
    answer["status"] = "CAUGHT_ERROR"
    return here.catch(catcher, f"Catch[{index}]/", error), catcher["Next"]
