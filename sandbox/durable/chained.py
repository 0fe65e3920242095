"""`context.invoke`: the function that a durable one invokes and waits for without running.

A durable target becomes an execution of its own, whose end the runner reports to its parent. Any other is invoked once.
"""

import json

from aws_durable_execution_sdk_python_testing.child_dispatcher import (
    ChildOutcome,
    RunInvocation,
    StartChild,
    failed_to_start,
    result_outcome,
)

from sandbox import permissions

from . import functions
from .functions import Refused


class Targets:
    """The runner's "child dispatcher": answers from MiniStack's functions as they are now."""

    def __init__(self, executions):
        self._executions = executions

    def preflight(self, target):
        """Refuse at once, in the answer to the checkpoint, what AWS refuses at once."""
        try:
            _find(target.name, target.qualifier)
        except Refused as refused:
            return failed_to_start(refused.message, refused.code).outcome
        return None

    def dispatch(self, request):
        """Invoke a target: what the runner is to do for it."""
        from .executions import start_input

        parent = self._executions.load(request.parent_execution_arn)
        try:
            target = _find(request.function_name, request.qualifier)
            _may_invoke(parent, target)
        except Refused as refused:
            return failed_to_start(refused.message, refused.code)
        parent.chained_to(request.operation_id, target.version)
        if target.durable:
            return StartChild(start_input(target, request.payload))
        return RunInvocation(lambda: _invoke(target, request.payload, parent.context))


def _find(name, qualifier):
    try:
        target = functions.find(name, qualifier)
    except Refused as missing:
        arn = functions.function_arn(name, qualifier or "$LATEST")
        raise Refused(missing.code, f"Function not found: {arn}", missing.status) from missing
    if target.durable and qualifier is None:
        message = "You cannot invoke a durable function using an unqualified ARN."
        raise Refused("InvalidParameterValueException", message)
    return target


def _may_invoke(parent, target):
    """The role of the function that invokes must be allowed to; how AWS words a denial here is not documented."""
    name = parent.start_input.function_name
    role = functions.find(name).record["config"]["Role"]
    resource = functions.function_arn(target.name, target.qualifier)
    denial = permissions.role_denial(role, name, "lambda:InvokeFunction", resource)
    if denial:
        raise Refused("AccessDeniedException", denial, 403)


def _invoke(target, payload, context):
    outcome = functions.run(target, json.loads(payload), context)
    if outcome.error is not None:
        from .executions import error_of

        return ChildOutcome(error=error_of(outcome.error))
    return result_outcome(json.dumps(outcome.body, ensure_ascii=False))
