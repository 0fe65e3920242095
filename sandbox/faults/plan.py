"""What a plan of faults may say. All of it is checked before any of it is in force.

A call fault is an object. What it applies to:

  operation      one operation, a list of them, "dynamodb:*" for all of a service, or "*". Names are those of IAM's
                 prefix and the API's operation: "dynamodb:PutItem", "dms:StartReplicationTask", "lambda:Invoke",
                 "states:SendTaskSuccess", "lambda:CheckpointDurableExecution"; also "execute-api:Invoke" for the
                 stages of APIs and "lambda:InvokeFunctionUrl" for function URLs
  function       only calls that this function's processes make, by its name
  state_machine  only calls that this state machine's tasks make, by its name
  resource       only calls in whose request this text occurs: in the path, the query or the body, as they are sent
  nth            the first call that it happens to, counted among those that fit: 1 when left out
  count          how many calls it happens to, from there on: 1 when left out, and for `together` so many

What happens to them:

  fault   refuse  nothing is done; the caller gets the error `code` (default: what the service says when it throttles)
                  with `message`
          lost    it is done; the caller's connection closes without an answer ("answer": "closed", the default), or
                  it gets the service's own failure with the status 500 ("answer": "error")
          slow    `seconds` (0 to 300) pass before it is done or before it is answered (`where`)
          hold    it waits at a gate before it is done or before it is answered (`where`), `seconds` at most (10; up
                  to 50, since boto3 gives up after 60), until
                    until     {"operation", "function", "state_machine", "resource", "passed"}: so many other calls
                              that fit this were done and answered since the fault was added (passed: 1)
                    together  so many calls stand at the gate; they all go on at the same moment
                  or, with neither, until the fault is ended. What is held or slow is done in the end, even if the
                  process that called it has ended meanwhile
          kill    the function's process that makes the call is killed (SIGKILL) before it is done, or after it is
                  done and before it is answered (`where`)
  where   "before" (the default) or "after"

  tries   for refuse and lost: "one" (the default) or "all". boto3 tries again by itself what is throttled, ends in a
          5xx or closes without an answer: three times in all (DynamoDB: four), within 0.15 s (0.2 s), and within 3 s
          (7 s) where it is throttled. With "one" the next of these tries is a call of its own, and the caller's code
          sees no error. With "all" they get the same answer and do nothing, so that the code sees the error. Code that
          asks for `retries={"total_max_attempts": 1}`, and state machines, try once.

Its life: it ends after `seconds_to_live` (120; up to 3600), when it is ended by its id or its `label`, or when the
account is emptied. A call that fits several faults meets all of them, in the order in which they were added, until one
of them ends it.
"""

import re

from . import operations

OF_DMS = ("drop", "duplicate", "delay", "reorder", "early", "throttle", "unanswered", "stale", "interrupt")
_WHO = {"operation", "function", "state_machine", "resource"}
_COMMON = {"fault", "nth", "count", "label", "seconds_to_live", *_WHO}
_OWN = {
    "refuse": {"code", "message", "tries"},
    "lost": {"answer", "tries"},
    "slow": {"seconds", "where"},
    "hold": {"seconds", "where", "until", "together"},
    "kill": {"where"},
}
KINDS = (*OF_DMS, *_OWN)

LONGEST_HOLD = 50  # seconds
_DEFAULTS = {
    "refuse": {"tries": "one"},
    "lost": {"answer": "closed", "tries": "one"},
    "slow": {"where": "before"},
    "hold": {"where": "before", "seconds": 10},
    "kill": {"where": "before"},
}


class Invalid(ValueError):
    """A plan that cannot be followed; one sentence names the field and says why."""


def checked(plan):
    """The faults of {"faults": [fault, ...]}, with what was left out filled in. Raises Invalid."""
    if not isinstance(plan, dict) or set(plan) != {"faults"} or not isinstance(plan["faults"], list):
        raise Invalid('The plan must be an object with one key: {"faults": [...]}.')
    return [_checked(fault, f"faults[{index}]") for index, fault in enumerate(plan["faults"])]


def checked_end(wanted):
    """(ids, label or None) of {"ids": [...], "label": ...}. Raises Invalid."""
    if not isinstance(wanted, dict) or not wanted or not set(wanted) <= {"ids", "label"}:
        raise Invalid('Say which faults end: {"ids": [...]}, {"label": "..."}, or both.')
    ids = wanted.get("ids", [])
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise Invalid("ids must be a list of faults' ids.")
    if "label" in wanted:
        _text(wanted, "label", "", "a text")
    return set(ids), wanted.get("label")


def _checked(fault, where):
    kind = fault.get("fault") if isinstance(fault, dict) else None
    if kind not in KINDS:
        raise Invalid(f"{where}.fault must be one of {', '.join(KINDS)}.")
    if kind in OF_DMS:
        from sandbox import dms

        return dms.checked_fault(fault, where)
    unknown = set(fault) - _COMMON - _OWN[kind]
    if unknown:
        raise Invalid(f"{where} has unknown keys: {', '.join(sorted(unknown))}. {kind} may have {_list(kind)}.")
    _check_who(fault, f"{where}.")
    _check_life(fault, f"{where}.")
    _CHECKS[kind](fault, f"{where}.")
    return {**_DEFAULTS[kind], "nth": 1, "count": fault.get("together", 1), "seconds_to_live": 120, **fault}


def _list(kind):
    return ", ".join(sorted(_COMMON | _OWN[kind]))


def _check_who(fault, where):
    if "operation" not in fault:
        raise Invalid(f'{where}operation is missing: say which, such as "dynamodb:PutItem", or "*" for all.')
    names = fault["operation"] if isinstance(fault["operation"], list) else [fault["operation"]]
    if not names or not all(isinstance(name, str) for name in names):
        raise Invalid(f'{where}operation must be an operation such as "dynamodb:PutItem", a list of them, or "*".')
    for name in names:
        problem = operations.problem_with(name)
        if problem:
            raise Invalid(f"{where}operation: {problem}")
    for who in ("function", "state_machine"):
        _text(fault, who, where, "a name, not an ARN", r"[\w.-]+")
    _text(fault, "resource", where, "a text that occurs in the request, of 1 character or more")


def _check_life(fault, where):
    _whole(fault, "nth", where, 1, 1_000_000)
    _whole(fault, "count", where, fault.get("together", 1) if isinstance(fault.get("together"), int) else 1, 1_000_000)
    _text(fault, "label", where, "a text")
    _number(fault, "seconds_to_live", where, 3600)


def _check_refuse(fault, where):
    _text(fault, "code", where, "the name of an error, such as AccessDeniedException", r"[\w.:-]+")
    _text(fault, "message", where, "a text")
    _tries(fault, where)


def _check_lost(fault, where):
    if fault.get("answer", "closed") not in ("closed", "error"):
        raise Invalid(f'{where}answer must be "closed" (the connection closes) or "error" (a server\'s error).')
    _tries(fault, where)


def _check_slow(fault, where):
    if "seconds" not in fault:
        raise Invalid(f"{where}seconds is missing: say how slow.")
    _number(fault, "seconds", where, 300)
    _where(fault, where)


def _check_hold(fault, where):
    _number(fault, "seconds", where, LONGEST_HOLD)
    _where(fault, where)
    if "until" in fault and "together" in fault:
        raise Invalid(f"{where}until and {where}together exclude each other.")
    _whole(fault, "together", where, 2, 100)
    until = fault.get("until", {"operation": "*"})
    if not isinstance(until, dict) or not set(until) <= {*_WHO, "passed"}:
        raise Invalid(f"{where}until must be an object with some of {', '.join(sorted(_WHO))}, passed.")
    _check_who(until, f"{where}until.")
    _whole(until, "passed", f"{where}until.", 1, 1_000_000)


def _check_kill(fault, where):
    _where(fault, where)
    if "state_machine" in fault:
        raise Invalid(f"{where}state_machine: a state machine has no process to kill. Name a function.")


_CHECKS = {
    "refuse": _check_refuse,
    "lost": _check_lost,
    "slow": _check_slow,
    "hold": _check_hold,
    "kill": _check_kill,
}


def _where(fault, where):
    if fault.get("where", "before") not in ("before", "after"):
        raise Invalid(f'{where}where must be "before" (it is done) or "after" (and before it is answered).')


def _text(fault, name, where, what, pattern=None):
    value = fault.get(name, "x")
    if not isinstance(value, str) or not value or (pattern and not re.fullmatch(pattern, value)):
        raise Invalid(f"{where}{name} must be {what}.")


def _tries(fault, where):
    if fault.get("tries", "one") not in ("one", "all"):
        raise Invalid(f'{where}tries must be "one" or "all" (what boto3 tries again by itself gets the same).')


def _whole(fault, name, where, least, most):
    value = fault.get(name, least)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Invalid(f"{where}{name} must be a whole number from {least} to {most}.")


def _number(fault, name, where, most):
    value = fault.get(name, 0)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
        raise Invalid(f"{where}{name} must be a number of seconds from 0 to {most}.")
