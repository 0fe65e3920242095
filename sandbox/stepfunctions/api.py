"""The calls about state machines and executions.

In the form of MiniStack's handlers: a dict of the request in, a triple of status, headers and body out.
"""

import contextvars
import json
import re
import threading

from ministack.services import stepfunctions as engine

from . import definitions, logs, roles, states, tasks
from .errors import MAX_DATA_BYTES, json_problem
from .executions import Execution, Flow, forget_deleted, running

MOST_SECONDS_OF_EXPRESS = 300  # https://docs.aws.amazon.com/step-functions/latest/dg/choosing-workflow-type.html
_WRONG_TYPE = "This operation is not supported by this type of state machine"

# State machines


def create_state_machine(data):
    """CreateStateMachine, by MiniStack once name and definition are found right."""
    problem = _invalid_name(data.get("name")) or _invalid_definition(data, data.get("type"))
    problem = problem or _untrusting(data.get("roleArn")) or _not_kept(data, data.get("roleArn"))
    arn = f"arn:aws:states:{engine.get_region()}:{engine.get_account_id()}:stateMachine:{data.get('name')}"
    return problem or _deleting(arn) or _engine_create(data)


def update_state_machine(data):
    """UpdateStateMachine, by MiniStack once the definition is found right."""
    machine = engine._state_machines.get(data.get("stateMachineArn"))
    if machine is None:
        return _no_machine(data.get("stateMachineArn"))
    problem = _deleting(machine["stateMachineArn"])
    if not problem and "definition" in data:
        problem = _invalid_definition(data, machine["type"])
    role_arn = data.get("roleArn", machine["roleArn"])
    return problem or _untrusting(role_arn) or _not_kept(data, role_arn) or _engine_update(data)


def delete_state_machine(data):
    """DeleteStateMachine: `stateMachineArn`, of one that there is or not (recorded, test_delete_nonexistent_sm).

    Its versions and aliases go at once. While executions of it run it is DELETING; they fail at their next transition.
    """
    arn = data.get("stateMachineArn")
    machine = engine._state_machines.get(arn)
    if machine is None:
        return engine.json_response({})
    for kept in (engine._state_machine_versions, engine._state_machine_aliases):
        for qualified in [known for known in kept if known.rpartition(":")[0] == arn]:
            del kept[qualified]
    engine._tags.pop(arn, None)
    machine["status"] = "DELETING"
    forget_deleted(arn)
    return engine.json_response({})


def validate_state_machine_definition(data):
    """ValidateStateMachineDefinition: `definition`, and perhaps `type`, `maxResults` (at most 100; 0 means 100)."""
    limit = data.get("maxResults") or 100
    if not isinstance(limit, int) or not 0 < limit <= 100:
        return _error("ValidationException", "maxResults must be between 0 and 100")
    found = definitions.diagnose(data.get("definition", ""), data.get("type") == "EXPRESS")
    return engine.json_response({
        "result": "FAIL" if found else "OK", "diagnostics": found[:limit], "truncated": len(found) > limit,
    })  # fmt: skip


def _invalid_definition(data, kind):
    found = definitions.diagnose(data.get("definition", ""), kind == "EXPRESS")
    if not found:
        return None
    said = ", ".join(f"{d['code']}: {d['message']} at {d.get('location', 'null')}" for d in found)
    return _error("InvalidDefinition", f"Invalid State Machine Definition: '{said}'")


def _deleting(arn):
    if engine._state_machines.get(arn, {}).get("status") == "DELETING":
        return _error("StateMachineDeleting", f"State Machine is being deleted: '{arn}'")
    return None


def _not_kept(data, role_arn):
    """What a request asks a state machine to have that the sandbox does not do."""
    if (data.get("tracingConfiguration") or {}).get("enabled"):
        return _error("ValidationException", "The sandbox has no X-Ray: tracingConfiguration cannot be enabled.")
    if (data.get("encryptionConfiguration") or {}).get("type") == "CUSTOMER_MANAGED_KMS_KEY":
        return _error("ValidationException", "The sandbox has no KMS: encryptionConfiguration cannot name a key.")
    return logs.problem(data.get("loggingConfiguration"), role_arn)


def _untrusting(role_arn):
    try:
        roles.require_trust(role_arn or "")
    except roles.Denied as denial:
        return _error("AccessDeniedException", str(denial))
    return None


def _invalid_name(name):
    if isinstance(name, str) and re.fullmatch(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}", name):
        return None
    return _error("InvalidName", f"Invalid Name: '{name}'")


# Executions


def _error(code, message):
    return engine.error_response_json(code, message, 400)


def _no_machine(arn):
    return _error("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")


def _no_execution(arn):
    return _error("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")


def start_execution(data):
    """StartExecution: `stateMachineArn`, and perhaps `name` and `input` (JSON text)."""
    execution, problem = _begin(data)
    if problem is not None:
        return problem
    if isinstance(execution, dict):  # the same name and input while it runs: the same execution
        record = execution
    else:
        record = execution.record
        execution.tell()
        context = contextvars.copy_context()  # account and region of the request
        threading.Thread(target=context.run, args=(states.run, execution), daemon=True).start()
    return engine.json_response({"executionArn": record["executionArn"], "startDate": record["startDate"]})


def start_sync_execution(data):
    """StartSyncExecution: runs an execution to its end. MiniStack calls this off its event loop."""
    machine = engine._state_machines.get(engine._resolve_state_machine_arn(data.get("stateMachineArn", "")))
    if machine and machine["type"] == "STANDARD":
        return _error("StateMachineTypeNotSupported", _WRONG_TYPE)
    execution, problem = _begin(data, sync=True)
    if problem is not None:
        return problem
    states.run(execution)
    record = execution.record
    answer = {
        key: record[key]
        for key in ("executionArn", "stateMachineArn", "name", "startDate", "stopDate", "status", "error", "cause",
                    "input", "inputDetails", "output")
        if record.get(key) is not None
    }  # fmt: skip
    if "output" in answer:
        answer["outputDetails"] = {"included": True}
    milliseconds = engine._iso_to_epoch_ms(record["stopDate"]) - engine._iso_to_epoch_ms(record["startDate"])
    billed = max(100, -(-milliseconds // 100) * 100)  # by 100 ms: aws.amazon.com/step-functions/pricing
    answer["billingDetails"] = {"billedDurationInMilliseconds": billed, "billedMemoryUsedInMB": 64}
    return engine.json_response(answer)


def _begin(data, sync=False):
    """A new Execution for a request, or the record of the one that it repeats; else None and the refusal."""
    wanted = data.get("stateMachineArn", "")
    base = engine._resolve_state_machine_arn(wanted)
    if base is None:
        return None, _no_machine(wanted)
    machine = engine._state_machines[base]
    if problem := _deleting(base):
        return None, problem
    version = engine._execution_version_arn(wanted)
    source = engine._state_machine_versions.get(version) or machine
    text = data.get("input", "{}")
    if wrong := json_problem(text):
        wrong = wrong if text.strip() else "Invalid execution input."
        return None, _error("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{wrong}'")
    if len(text.encode()) > MAX_DATA_BYTES:
        message = (
            "1 validation error detected: Value at 'input' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_DATA_BYTES}"
        )
        return None, _error("ValidationException", message)
    name = data.get("name") or engine.new_uuid()
    if problem := _invalid_name(name):
        return None, problem
    express = machine["type"] == "EXPRESS"
    kind, own = ("express", f":{engine.new_uuid()}") if express else ("execution", "")
    arn = f"arn:aws:states:{engine.get_region()}:{engine.get_account_id()}:{kind}:{machine['name']}:{name}{own}"
    if earlier := engine._executions.get(arn):
        if earlier["status"] == "RUNNING" and earlier["input"] == text:
            return earlier, None
        return None, _error("ExecutionAlreadyExists", f"Execution Already Exists: '{arn}'")
    record = {
        "executionArn": arn, "stateMachineArn": base, "name": name, "status": "RUNNING",
        "startDate": engine.now_iso(), "stopDate": None, "input": text, "inputDetails": {"included": True},
        "output": None, "outputDetails": {"included": True}, "sync": sync,
        "encryptionConfiguration": source.get("encryptionConfiguration"),
    }  # fmt: skip
    if version:
        record["stateMachineVersionArn"] = version
    if wanted in engine._state_machine_aliases:
        record["stateMachineAliasArn"] = wanted
    log = logs.Log(source.get("loggingConfiguration"), record)
    execution = Execution(record, json.loads(source["definition"]), source["roleArn"], log)
    if express:
        execution.limit(MOST_SECONDS_OF_EXPRESS)
    context = {
        "Execution": {
            "Id": arn, "Input": json.loads(text), "StartTime": record["startDate"], "Name": name,
            "RoleArn": source["roleArn"], "RedriveCount": 0,
        },
        "StateMachine": {"Id": base, "Name": machine["name"]},
    }  # fmt: skip
    execution.flow = Flow(execution, context, {})
    engine._executions[arn] = record
    return execution, None


def _of_express(arn):
    """The refusal of a call about an Express execution, of which nothing is kept (recorded: test_sfn_api_express)."""
    if str(arn).split(":")[5:6] == ["express"]:
        return _error("InvalidArn", "Invalid Arn: 'Resource type not valid in this context: express'")
    return None


def list_executions(data):
    """ListExecutions: `stateMachineArn` or `mapRunArn`, and perhaps a filter; Express ones are not listed."""
    wanted = data.get("stateMachineArn")
    if wanted is not None:
        base = engine._resolve_state_machine_arn(wanted)
        if base is None:
            return _no_machine(wanted)
        if engine._state_machines[base]["type"] == "EXPRESS":
            return _error("StateMachineTypeNotSupported", _WRONG_TYPE)
    return _engine_list_executions(data)


def stop_execution(data):
    """StopExecution: `executionArn`, and perhaps `error` and `cause`. A second stop answers as the first did."""
    arn = data.get("executionArn")
    record = engine._executions.get(arn)
    if problem := _of_express(arn):
        return problem
    if record is None:
        return _no_execution(arn)
    execution = running.get(arn)
    if execution is not None:
        execution.abort(data.get("error"), data.get("cause"))
    return engine.json_response({"stopDate": record["stopDate"]})


def describe_execution(data):
    """DescribeExecution: `executionArn`."""
    if problem := _of_express(data.get("executionArn")):
        return problem
    record = engine._executions.get(data.get("executionArn"))
    if record is None:
        return _no_execution(data.get("executionArn"))
    status = record["status"]
    shown = ("executionArn", "stateMachineArn", "name", "status", "startDate", "stopDate", "input", "inputDetails",
             "output", "error", "cause", "mapRunArn", "stateMachineVersionArn", "stateMachineAliasArn")  # fmt: skip
    answer = {key: record[key] for key in shown if record.get(key) is not None}
    if "output" in answer:
        answer["outputDetails"] = {"included": True}
    answer["redriveCount"] = 0
    if status in ("FAILED", "TIMED_OUT", "ABORTED"):
        answer["redriveStatus"] = "REDRIVABLE"
    else:
        answer["redriveStatus"] = "NOT_REDRIVABLE"
        answer["redriveStatusReason"] = f"Execution is {status} and cannot be redriven"
    return engine.json_response(answer)


def get_execution_history(data):
    """GetExecutionHistory, paged by MiniStack; events show the execution's data unless that is not asked for."""
    arn = data.get("executionArn")
    if problem := _of_express(arn):
        return problem
    if arn not in engine._executions:
        return _no_execution(arn)
    status, headers, body = _engine_get_execution_history(data)
    if data.get("includeExecutionData", True) or status != 200:
        return status, headers, body
    answer = json.loads(body)
    for event in answer["events"]:
        event.update({key: logs.without_data(event[key]) for key in event if key.endswith("EventDetails")})
    return engine.json_response(answer)


async def get_activity_task(data):
    """GetActivityTask: `activityArn`, and perhaps `workerName`; waits up to 60 s, and skips work that is over."""
    status, headers, body = await _engine_get_activity_task(data)
    answer = json.loads(body)
    attempt = tasks.tokens.get(answer.get("taskToken"))
    if attempt is not None:
        attempt.start(data.get("workerName"))
    return status, headers, body


_engine_create = engine._create_state_machine
_engine_update = engine._update_state_machine
_engine_list_executions = engine._list_executions
_engine_get_activity_task = engine._get_activity_task
_engine_get_execution_history = engine._get_execution_history
