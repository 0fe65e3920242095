"""What to do instead of a loop that polls: `.sync` before tokens, and an honest "leave it" where it hardly costs."""

import copy
import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from workshop.examining import services
from workshop.examining.costing import LoopCost, Usage, cost_of_sync, cost_of_token
from workshop.examining.loops import Loop, nexts, words_of
from workshop.examining.reading import Machine
from workshop.examining.rules import LAMBDA_ERRORS

LEAVE_BELOW = 1.0  # USD a month that a change must save, or it is not worth the work


@dataclasses.dataclass(frozen=True)
class Advice:
    """What to do about a loop.

    says: in a sentence or two. leave: whether to leave it as it is. usd: of a month with what is recommended, None
    where that is not known; without: what of it has no price here. change: the changed part of the definition, as a
    start; None where there is none.
    removes: the states that it makes needless. pattern: of the event that answers the token.
    """

    says: str
    leave: bool = False
    usd: float | None = None
    change: Mapping[str, Any] | None = None
    removes: tuple[str, ...] = ()
    pattern: Mapping[str, Any] | None = None
    without: tuple[str, ...] = ()


def job_of(loop: Loop) -> services.Job | None:
    """The job that a loop asks about, as the table knows it."""
    return next((job for resource in loop.asks if (job := services.asked(resource))), None)


def advise(machine: Machine, loop: Loop, cost: LoopCost, usage: Usage) -> Advice:
    """What to do about a loop that polls, or may poll."""
    if loop.kind == "paces":
        return Advice("It slows down its own work and asks nobody, so nobody could tell it more.", leave=True)
    advice = _instead(machine, loop, usage)
    saved = cost.usd - (advice.usd or 0)
    if saved < LEAVE_BELOW and not cost.outgrows:
        late = f", unless {_short_time(cost.worst_delay)} late is too late for you" if loop.kind == "polls" else ""
        return dataclasses.replace(
            advice, leave=True, says=f"Leave it: {cost.usd:,.2f} USD a month{late}. {advice.says}"
        )
    return advice


def _short_time(seconds):
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:g} min"


def _instead(machine, loop, usage):
    job, express = job_of(loop), machine.express
    start = _start(machine, loop, job) if job else None
    if express:
        return Advice("An Express workflow has neither `.sync` nor task tokens, and ends after 5 minutes: wait in a "
                      "Standard one.")  # fmt: skip
    if job and job.sync:
        bill = cost_of_sync(usage)
        where = f"in {start!r} " if start else ""
        says = f"Let Step Functions wait {where}with {job.sync}: it is told by an event, and asks now and then."
        return Advice(
            says, usd=bill.usd, change=_sync_change(machine, loop, job, start, usage), removes=tuple(loop.states)
        )
    if job and job.source_of_events:
        sure = f" ({job.delivery}, so keep a timeout and one last question)" if job.delivery else ""
        says = (
            f"There is no `.sync`, but {job.source_of_events} sends {_listed(job.detail_types)}{sure}: wait with a "
            "task token, and let the event answer it (lab 02)."
        )
        return _token_advice(machine, loop, usage, says, job, start)
    if job:
        says = f"There is no `.sync`. {job.tells} Let that answer a task token."
        return _token_advice(machine, loop, usage, says, job, start)
    says = (
        "Whether that can tell you is unknown here: where it can call a URL or send an event, wait with a task token "
        "(labs 02 and 03). Where it can do neither, poll in a durable function, which costs about a seventh (lab 04)."
    )
    return _token_advice(machine, loop, usage, says, None, None, "callback")


def _listed(names):
    return " and ".join(f"“{name}”" for name in names)


def _token_advice(machine, loop, usage, says, job, start, design="token"):
    change = _token_change(machine, loop, start, usage)
    pattern = job.event_pattern if job and job.source_of_events else None
    bill = cost_of_token(usage, design)
    return Advice(says, usd=bill.usd, change=change, removes=tuple(loop.states), pattern=pattern, without=bill.left_out)


def _start(machine, loop, job):
    """The state beside the loop that begins the job."""
    return next((name for name, state in loop.scope.items()
                 if name not in loop.states and services.started(state.get("Resource"), job)), None)  # fmt: skip


def _sync_change(machine, loop, job, start, usage):
    found = copy.deepcopy(dict(loop.scope[start])) if start else {"Type": "Task"}
    found["Resource"] = job.sync
    if start is None:
        found[_arguments(machine, {})] = {"...": f"what {job.starts[0]} takes"}
    for field in ("Catch", "Next", "End", "ResultSelector", "OutputPath", "Output", "Assign"):
        found.pop(field, None)
    found["Comment"] = "Its result is now what the job ended with: write anew what the states after it need of that"
    return {start or "Run it": _with_ends(found, loop, usage)}


def _token_change(machine, loop, start, usage):
    before = loop.scope[start] if start else {}
    jsonata = _arguments(machine, before) == "Arguments"
    given = before.get("Arguments") or before.get("Parameters") or {}
    token = {"token": "{% $states.context.Task.Token %}"} if jsonata else {"token.$": "$$.Task.Token"}
    request = {"request": given} if given else {"request": "{% $states.input %}"} if jsonata else {"request.$": "$"}
    found = {
        "Type": "Task",
        "Comment": "The function saves the token under the job's name, then starts the job",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Arguments" if jsonata else "Parameters": {
            "FunctionName": "${SaveTokenAndStart}",
            "Payload": {**token, **request},
        },
        "Retry": [{"ErrorEquals": list(LAMBDA_ERRORS), "IntervalSeconds": 2, "MaxAttempts": 6, "BackoffRate": 2}],
    }
    if "QueryLanguage" in before:
        found["QueryLanguage"] = before["QueryLanguage"]
    return {start or "Start and wait": _with_ends(found, loop, usage)}


def _arguments(machine, state):
    language = state.get("QueryLanguage") or machine.definition.get("QueryLanguage")
    return "Arguments" if language == "JSONata" else "Parameters"


def _with_ends(state, loop, usage):
    """The same with a timeout, and with what came after the loop: where it went well, and where not."""
    good, bad = _exits(loop)
    state["TimeoutSeconds"] = max(60, int(2 * usage.job_seconds))  # twice what a job takes
    if bad:
        state["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": bad}]
    state.update({"Next": good} if good else {"End": True})
    return state


_GOOD = re.compile(
    r"^(succe|complete|done|ready|avail|finish|active|ok|true|stopped|created|in_?service)", re.IGNORECASE
)
_BAD = re.compile(r"^(fail|error|cancel|abort|timed|reject|expired|false)", re.IGNORECASE)


def _exits(loop):
    """Where a loop leads when it went well, and when not: names of states, or None."""
    good, bad = [], []
    for name in loop.states:
        state = loop.scope[name]
        for rule in state.get("Choices") or []:
            target = rule.get("Next")
            if target in loop.scope and target not in loop.states:
                values = re.findall(r"'([^']*)'|\"([^\"]*)\"", str({k: v for k, v in rule.items() if k != "Next"}))
                words = [word for pair in values for word in pair if word]
                says_bad, says_good = (any(kind.match(word) for word in words) for kind in (_BAD, _GOOD))
                (bad if says_bad and not says_good else good).append(target)
        for target in nexts(state):
            if target in loop.scope and target not in loop.states and target not in good + bad:
                (bad if _is_bad(target, loop.scope[target]) else good).append(target)
    bad += [one for one in good if _is_bad(one, loop.scope[one])]
    good = [one for one in good if not _is_bad(one, loop.scope[one])]
    return good[0] if good else None, bad[0] if bad else None


def _is_bad(name, state):
    return state.get("Type") == "Fail" or bool({"fail", "failed", "failure", "error"} & set(words_of(name)))
