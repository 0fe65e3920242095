"""The faults that calls of state machines' tasks meet, and the record of these calls (sandbox/faults)."""

import json

from sandbox.faults import calls, force, operations

from . import integrations, roles
from .errors import StateError


def call(execution, resource, arguments):
    """What `integrations.call` returns for a task of an execution, unless a fault has something else for it."""
    machine = execution.record["stateMachineArn"].split(":")[6].partition("/")[0]
    request = operations.Integration(":".join(roles.called(resource)), arguments)
    passage = None
    if force.faults:
        text = json.dumps(arguments, ensure_ascii=False)
        passage = force.Passage(force.Call(request.operation, text, state_machine=machine))
    about = {"execution": execution.record["executionArn"]}
    record = calls.note(("state_machine", machine), about, request, passage)
    outcome, done, error = "error", False, None
    try:
        if ending := passage and force.wait(passage.stage("before")):
            outcome = ending.outcome
            raise _failure(resource, ending, request)
        done = True
        result = integrations.call(resource, arguments, execution.role_arn)
        outcome = "ok"
        if ending := passage and force.wait(passage.stage("after")):
            outcome = ending.outcome
            raise _failure(resource, ending, request)
        return result
    except StateError as problem:
        error = {"status": None, "code": problem.error, "message": problem.cause or ""}
        raise
    finally:
        if passage is not None:
            passage.over(done)
        record.end(outcome, done, error)


def _failure(resource, ending, request):
    """The StateError that a fault has for a task."""
    if ending.kind == "lost" and ending.wanted["answer"] == "closed":
        return integrations.unanswered(resource)
    return integrations.failed(resource, *operations.failure(request.service, ending.wanted))
