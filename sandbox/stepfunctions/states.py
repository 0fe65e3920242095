"""The interpreter of the Amazon States Language: walks a flow from state to state.

https://states-language.net/spec.html ; the events and their order follow recordings of AWS
(localstack/localstack, tests/aws/services/stepfunctions/v2/**/*.snapshot.json).
"""

import contextvars
import datetime
import json
import logging
import random
import threading

from ministack.services import stepfunctions as engine

from . import choices, tasks
from .choices import TIMESTAMP_FORMAT, parse_timestamp
from .data import Visit, is_whole
from .errors import QUERY, RUNTIME, Cancelled, StateError
from .executions import to_json

logger = logging.getLogger("sandbox.stepfunctions")

INLINE_MAP_CONCURRENCY = 40  # docs.aws.amazon.com/step-functions/latest/dg/state-map-inline.html


def run(execution):
    """Walk an execution to its end, in the calling thread."""
    flow, definition = execution.flow, execution.definition
    try:
        data = json.loads(execution.record["input"])
        execution.succeed(walk(flow, definition["States"], definition["StartAt"], data))
    except StateError as error:
        execution.fail(error)
    except Cancelled:
        pass
    except Exception as problem:  # a fault of ours must not leave an execution running for ever
        logger.exception("execution %s", execution.record["executionArn"])
        execution.fail(StateError(RUNTIME, f"The sandbox failed: {problem!r}"))


def walk(flow, states, name, data):
    """Run states from `name` on until one ends, and return its output; raises StateError."""
    while name:
        data, name = visit(flow, name, states[name], data)
    return data


def visit(flow, name, state, data):
    """Enter a state, run it and leave it; returns its output and the name of the next state, None at the end."""
    kind = state["Type"]
    if flow.execution.deleted:  # repost.aws/knowledge-center/step-functions-stuck-deleting-status
        machine = flow.execution.record["stateMachineArn"].rpartition(":")[2]
        raise StateError(RUNTIME, f"State machine {machine} has been deleted.")
    # The first state of the workflow follows nothing, not even ExecutionStarted.
    entered = flow.event(f"{kind}StateEntered", "stateEnteredEventDetails", {
        "name": name, "input": to_json(data), "inputDetails": {"truncated": False},
    })  # fmt: skip
    flow.state_type = kind
    flow.context.pop("Task", None)
    flow.context["State"] = {"EnteredTime": engine.now_iso(), "Name": name}
    here = Visit(flow, name, state, data, entered)
    try:
        output, following = HANDLERS[kind](here)
    except StateError as error:
        _record_evaluation(here, error)
        raise
    details = {"name": name, "output": to_json(output), "outputDetails": {"truncated": False}}
    if here.assigned:
        details["assignedVariables"] = {key: to_json(value) for key, value in here.assigned.items()}
        details["assignedVariablesDetails"] = {"truncated": False}
    flow.event(f"{kind}StateExited", "stateExitedEventDetails", details)
    flow.state_type = None
    flow.variables.update(here.assigned)
    return output, following


def _record_evaluation(here, error):
    """A failed JSONata expression has an event of its own, once."""
    if error.location and not error.recorded:
        error.recorded = True
        details = {**error.details, "location": error.location, "state": here.name}
        here.flow.event("EvaluationFailed", "evaluationFailedEventDetails", details)


def _next(here):
    return None if here.state.get("End") else here.state["Next"]


def _pass(here):
    if here.jsonata:
        return here.finish(), _next(here)
    result = here.state["Result"] if "Result" in here.state else here.arguments()
    return here.finish(result), _next(here)


def _succeed(here):
    return here.finish(), None


def _fail(here):
    raise StateError(_fail_text(here, "Error"), _fail_text(here, "Cause"))


def _fail_text(here, name):
    if f"{name}Path" in here.state:
        return here.path_field(f"{name}Path", "a string", lambda value: isinstance(value, str))
    if here.jsonata and name in here.state:
        return here.typed(name, "string")
    return here.state.get(name)


def _choice(here):
    return choices.choose(here)


def _wait(here):
    here.flow.sleep(_wait_seconds(here))
    return here.finish(), _next(here)


def _wait_seconds(here):
    state = here.state
    if "SecondsPath" in state:
        return here.path_field("SecondsPath", "an integer value", is_whole)
    if "TimestampPath" in state:
        return _until(here.path_field("TimestampPath", f"a valid {TIMESTAMP_FORMAT}", parse_timestamp))
    if "Seconds" in state:
        return here.whole_number("Seconds")
    timestamp = here.typed("Timestamp", "string") if here.jsonata else state["Timestamp"]
    if parse_timestamp(timestamp) is None:
        cause = f"The Timestamp field cannot be parsed as an {TIMESTAMP_FORMAT}: {timestamp}"
        raise here.failure(QUERY, cause, location="Timestamp")
    return _until(timestamp)


def _until(timestamp):
    return max(0, (parse_timestamp(timestamp) - datetime.datetime.now(datetime.UTC)).total_seconds())


def _task(here):
    return _with_retry_and_catch(here, lambda: here.finish(tasks.run(here)))


def _with_retry_and_catch(here, attempt):
    """The output of an attempt at a state, repeated by its Retry and caught by its Catch."""
    retries = {}  # index of retrier -> how often it was used
    while True:
        here.flow.context["State"]["RetryCount"] = sum(retries.values())
        try:
            return attempt(), _next(here)
        except StateError as error:
            _record_evaluation(here, error)
            index, retrier = first_match(here.state.get("Retry", []), error)
            used = retries.get(index, 0)
            if retrier is not None and used < retrier.get("MaxAttempts", 3):
                retries[index] = used + 1
                here.flow.sleep(_delay(retrier, used))
                continue
            if here.state["Type"] != "Task" and (error.state is not here or error.location):
                here.flow.event(f"{here.state['Type']}StateFailed")
            index, catcher = first_match(here.state.get("Catch", []), error)
            if catcher is None:
                raise
            return here.catch(catcher, f"Catch[{index}]/", error), catcher["Next"]


def first_match(clauses, error):
    return next(((i, c) for i, c in enumerate(clauses) if error.matches(c["ErrorEquals"])), (None, None))


def _delay(retrier, used):
    """Seconds before the next attempt (states-language.net, "Errors": Retry)."""
    delay = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** used
    delay = min(delay, retrier.get("MaxDelaySeconds", delay))
    return random.uniform(0, delay) if retrier.get("JitterStrategy") == "FULL" else delay


def _parallel(here):
    return _with_retry_and_catch(here, lambda: here.finish(_run_branches(here)))


def _run_branches(here):
    flow = here.flow
    data = here.arguments()
    started = flow.event("ParallelStateStarted")
    group = _Group(flow)
    for branch in here.state["Branches"]:
        group.start(flow.branch(dict(flow.context), started), branch, data)
    group.join()
    flow.previous = group.last
    flow.event("ParallelStateSucceeded", chain=False)
    return group.results


def _map(here):
    return _with_retry_and_catch(here, lambda: here.finish(_run_iterations(here)))


def _run_iterations(here):
    flow, state = here.flow, here.state
    processor = state.get("ItemProcessor") or state["Iterator"]
    if processor.get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED":
        from . import distributed

        return distributed.run(here, processor)
    items = _items(here)
    flow.event("MapStateStarted", "mapStateStartedEventDetails", {"length": len(items)})
    started = flow.previous
    width = _concurrency(here) or INLINE_MAP_CONCURRENCY
    group = _Group(flow, here.name)
    for index, item in enumerate(items):
        group.join(below=width)  # a place is free
        context = {**flow.context, "Map": {"Item": {"Index": index, "Value": item}}}
        details = {"name": here.name, "index": index}
        previous = started if index < width else group.last
        begun = flow.event(
            "MapIterationStarted", "mapIterationStartedEventDetails", details, previous=previous, chain=False
        )
        child = flow.branch(context, begun)
        group.start(child, processor, _item_input(here, item, context))
    group.join()
    flow.previous = group.ended or started
    flow.event("MapStateSucceeded", chain=False)
    return group.results


def _items(here):
    if here.jsonata:
        path, items = "$states.input", here.typed("Items", "array") if "Items" in here.state else here.input
    else:
        path = here.state.get("ItemsPath", "$")
        items = here.reference(path, here.effective_input())
    if not isinstance(items, list):
        raise here.failure(RUNTIME, f'Reference path "{path}" must point to array.')
    return items


def _concurrency(here):
    if "MaxConcurrencyPath" in here.state:
        return here.path_field("MaxConcurrencyPath", "an integer value", is_whole)
    return here.whole_number("MaxConcurrency") or 0


def _item_input(here, item, context):
    selector = here.state.get("ItemSelector", here.state.get("Parameters"))
    if selector is None:
        return item
    outer, here.flow.context = here.flow.context, context
    try:
        if here.jsonata:
            return here.jsonata_value(selector, "ItemSelector")
        return here.template(selector, here.effective_input())
    finally:
        here.flow.context = outer


class _Group:
    """The flows of a Parallel or Map: runs each in a thread, and ends the others when one fails."""

    def __init__(self, parent, map_name=None):
        with parent.execution.lock:
            parent.children = []
        self.parent = parent
        self.map_name = map_name
        self.flows = []
        self.results = []
        self.open = 0
        self.error = None
        self.failed = None  # the flow that failed first
        self.last = 0  # last event of the state that ended last
        self.ended = 0  # the event of the iteration that ended last

    def start(self, flow, machine, data):
        index = len(self.flows)
        self.flows.append(flow)
        self.results.append(None)
        self.open += 1
        context = contextvars.copy_context()  # account and region of the request
        threading.Thread(target=context.run, args=(self._run, flow, machine, data, index), daemon=True).start()

    def _run(self, flow, machine, data, index):
        lock = flow.execution.lock
        try:
            output = walk(flow, machine["States"], machine["StartAt"], data)
            with lock:
                flow.check()
                self.results[index] = output
                self.last = flow.previous
                if self.map_name is not None:
                    self.ended = self._iteration("Succeeded", flow, index, flow.previous)
                flow.state_type = "done"
        except Cancelled:
            return
        except Exception as problem:
            error = problem if isinstance(problem, StateError) else StateError(RUNTIME, repr(problem))
            if error is not problem:
                logger.exception("a branch of %s", flow.execution.record["executionArn"])
            with lock:
                if self.error is None and not flow.cancelled:
                    self.error, self.failed = error, flow
        finally:
            with lock:
                self.open -= 1
            self.parent.wake()

    def join(self, below=1):
        """Wait until fewer than `below` flows are open; if one failed, end the rest and raise its error."""
        self.parent.wait(lambda: self.error is not None or self.open < below)
        if self.error is None:
            return
        parent = self.parent
        with parent.execution.lock:
            parent.check()
            for flow in self.flows:
                flow.cancel()
            previous = self.failed.previous
            for index, flow in enumerate(self.flows):
                if flow.state_type == "done":
                    continue
                if self.map_name is not None:
                    self._iteration("Failed" if flow is self.failed else "Aborted", parent, index, previous)
                if flow.state_type not in (None, "Fail"):
                    parent.event(f"{flow.state_type}StateAborted", previous=previous, chain=False)
            parent.previous = previous
        raise self.error

    def _iteration(self, outcome, flow, index, previous):
        key = f"mapIteration{outcome}EventDetails"
        details = {"name": self.map_name, "index": index}
        return flow.event(f"MapIteration{outcome}", key, details, previous=previous, chain=False)


HANDLERS = {
    "Pass": _pass, "Task": _task, "Choice": _choice, "Wait": _wait,
    "Succeed": _succeed, "Fail": _fail, "Parallel": _parallel, "Map": _map,
}  # fmt: skip
