"""The distributed mode of Map: MiniStack's map runs, with an execution of ours for each child.

The workshop has no lesson on it; it is here so that a state machine which uses it still runs. Left out: JSONata,
ItemBatcher and ResultWriter (MiniStack has neither), and children end only by themselves when the parent is stopped.
"""

import json

from ministack.services import stepfunctions as engine

from . import states
from .errors import RUNTIME, StateError
from .executions import Execution, Flow

_PROCESSED_BY_US = ("ResultSelector", "ResultPath", "OutputPath")


def run(here, processor):
    """The results of a distributed Map that is visited, one for each child; raises StateError."""
    if here.jsonata:
        raise here.failure(RUNTIME, "The sandbox runs a distributed Map in JSONPath only.")
    flow = here.flow
    context = {
        **flow.context,
        "QueryLanguage": "JSONPath",
        "variables": flow.variables,
        "_role": flow.execution.role_arn,
    }
    state = {key: value for key, value in here.state.items() if key not in _PROCESSED_BY_US}
    runs = set(engine._map_runs)
    failure = None
    try:
        results, _ = engine._run_distributed_map(
            state, here.input, here.effective_input(), processor, flow.execution.record, context
        )
    except engine._ExecutionError as problem:
        failure = StateError(problem.error, problem.cause)
    for arn in set(engine._map_runs) - runs:
        if engine._map_runs[arn]["executionArn"] == flow.execution.record["executionArn"]:
            flow.event("MapRunStarted", "mapRunStartedEventDetails", {"mapRunArn": arn})
    if failure:
        flow.event("MapRunFailed", "mapRunFailedEventDetails", failure.details)
        raise failure
    flow.event("MapRunSucceeded")
    return results


def run_child(inner, start_at, data, record, context):
    """In place of MiniStack's `_run_sub_machine`: one child execution, to its end; raises its error."""
    role_arn = context.pop("_role")
    definition = {"StartAt": start_at, "States": inner, "QueryLanguage": context.pop("QueryLanguage")}
    variables = context.pop("variables")
    record.update(input=json.dumps(data), sync=True)
    child = Execution(record, definition, role_arn)
    child.flow = Flow(child, context, variables)
    states.run(child)
    if record["status"] != "SUCCEEDED":
        raise engine._ExecutionError(record.get("error"), record.get("cause"))
    return json.loads(record["output"])
