"""State changes of replication tasks on the default event bus, and the faults that can be switched on for them and for
two calls.

AWS delivers these events best effort: a rule may see none, one or several of them, late and in any order. The sandbox
delivers each once and in order, unless a fault is in force (`checked_fault`).

The shape is documented at https://docs.aws.amazon.com/dms/latest/userguide/CHAP_EventBridge.html: the task's ARN is in
`resources[0]` alone, `resourceLink` ends in its name, and a failure has the category `Failure`. `detailMessage` of a
stopped task is its stop reason and that of a failed one its failure message, as public rules and recordings have
them. The names of `eventType` are those of payloads that public repositories recorded, except for
REPLICATION_TASK_MODIFIED, which is formed like the others and was not seen.
"""

import asyncio
import itertools
import json
import logging
import random
import re

logger = logging.getLogger("dms")

# eventType -> (eventId, category): https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Events.html
KINDS = {
    "REPLICATION_TASK_CREATED": ("DMS-EVENT-0074", "Creation"),
    "REPLICATION_TASK_STARTED": ("DMS-EVENT-0069", "StateChange"),
    "REPLICATION_TASK_STOPPED": ("DMS-EVENT-0079", "StateChange"),
    "REPLICATION_TASK_FAILED": ("DMS-EVENT-0078", "Failure"),
    "REPLICATION_TASK_MODIFIED": ("DMS-EVENT-0080", "ConfigurationChange"),
    "REPLICATION_TASK_DELETED": ("DMS-EVENT-0073", "Deletion"),
}
ENDINGS = ("REPLICATION_TASK_STOPPED", "REPLICATION_TASK_FAILED")
UNDER_WAY = ("ready", "starting", "running", "stopping")  # statuses of a task that was started and has not ended

# -- faults ------------------------------------------------------------------------------------------------------------

NO_EVENTS = ("throttle", "unanswered", "stale", "interrupt")  # those that do not happen to events
FAULTS = ("drop", "duplicate", "delay", "reorder", "early", *NO_EVENTS)
_LONGEST = 3600  # seconds
_SECONDS = {"delay": 2.0, "duplicate": 0.0, "reorder": 5.0, "early": 0.5}

_faults: list[dict] = []
_numbers = itertools.count(1)
_held: dict[str, list] = {}  # task ARN -> events that wait for the next one (reorder)
_awaited: list[tuple] = []  # (task ARN, event types, future) of start calls that wait (early)


class InvalidFaults(ValueError):
    """A fault that cannot be; one sentence says why."""


def get_faults():
    """The faults in force, each with what is left of its `count`."""
    return [dict(fault) for fault in _faults]


def add_fault(fault):
    """Add a checked fault to those in force; returns its id.

    They are added, so that those who use the sandbox side by side, each with faults for tasks of its own, do not take
    each other's away. A fault ends with its `count`, by its id or label, or with the task that it names, and all do
    when the account is emptied.
    """
    fault = {"id": f"dms-{next(_numbers)}", **fault}
    _faults.append(fault)
    return fault["id"]


def end_faults(meant):
    """End the faults of which `meant` is true; returns them."""
    ended = [fault for fault in _faults if meant(fault)]
    for fault in ended:
        _faults.remove(fault)
    return ended


def checked_fault(fault, where):
    """The fault, if it can be added. Raises InvalidFaults. where: how the sentence is to name it, as "faults[0]".

    For every event the first fault that fits it is applied. A fault is an object with

      fault         one of
                      drop        the event is not sent
                      duplicate   it is sent once more, `seconds` later (0)
                      delay       it is sent `seconds` later (2)
                      reorder     it is sent after the task's next event, or after `seconds` when none comes (5)
                      early       the call that started the task is not answered before the event was sent, and not
                                  for `seconds` after that (0.5), so that the rule's target acts before its caller
                                  knows that the task runs. Meant for short tasks: the call waits 30 seconds at most.
                      throttle    DescribeReplicationTasks, where it would tell of the task, is refused as too frequent
                      unanswered  StartReplicationTask starts the task, and its caller gets a server's error
                      stale       DescribeReplicationTasks tells of the task as it was before its latest run began, or
                                  where that has ended, before it ended: reported on AWS just after a start
                                  (https://github.com/boto/boto3/issues/1926); with a `status`, that it is in that one
                      interrupt   the task's next run stops by itself half-way through a table, as for lack of memory;
                                  `reason` is what its StopReason says then (STOPPED_DUE_TO_LOW_MEMORY)
      events        the event types it is for, such as ["REPLICATION_TASK_STOPPED"]; all when left out, and for
                    `early` the two that end a run
      task_arn      only this task's events
      count         only the next so many events, or calls
      probability   0 to 1: how often it happens to an event that fits; always when left out
      seconds       see above, 0 to 3600
      label         by which it can be ended

    `throttle`, `unanswered`, `stale` and `interrupt` do not happen to events, and know no `events` and no `seconds`.
    """
    if not isinstance(fault, dict) or fault.get("fault") not in FAULTS:
        raise InvalidFaults(f"{where}.fault must be one of {', '.join(FAULTS)}.")
    unknown = set(fault) - {"fault", "events", "task_arn", "count", "probability", "seconds", "label"}
    unknown -= {"stale": {"status"}, "interrupt": {"reason"}}.get(fault["fault"], set())
    if fault["fault"] in NO_EVENTS:
        unknown |= set(fault) & {"events", "seconds"}
    if unknown:
        raise InvalidFaults(f"{where} has unknown keys: {', '.join(sorted(unknown))}.")
    events = fault.get("events", [])
    if "events" in fault and (not isinstance(events, list) or not events or not all(e in KINDS for e in events)):
        raise InvalidFaults(f"{where}.events must list some of {', '.join(KINDS)}.")
    if not isinstance(fault.get("task_arn", ""), str):
        raise InvalidFaults(f"{where}.task_arn must be the ARN of a replication task.")
    if fault.get("status", "ready") not in UNDER_WAY:
        raise InvalidFaults(f"{where}.status must be one of {', '.join(UNDER_WAY)}.")
    if not re.fullmatch("[A-Z_]+", str(fault.get("reason", "X"))):
        raise InvalidFaults(f"{where}.reason must be a stop reason in capitals, such as STOPPED_DUE_TO_LOW_MEMORY.")
    if not isinstance(fault.get("label", ""), str):
        raise InvalidFaults(f"{where}.label must be a text.")
    count = fault.get("count", 1)
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise InvalidFaults(f"{where}.count must be a whole number of events, 1 or more.")
    for name, most in (("probability", 1), ("seconds", _LONGEST)):
        value = fault.get(name, 0)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
            raise InvalidFaults(f"{where}.{name} must be a number from 0 to {most}.")
    return dict(fault)


def _fault_for(task_arn, kind):
    """The fault that happens to this event, taken off its count, or None. `early` is not asked for here."""
    others = ("early", *NO_EVENTS)
    return _take(lambda fault: fault["fault"] not in others and kind in fault.get("events", KINDS), task_arn)


def call_fault(name, task_arn):
    """The fault of that name (one of NO_EVENTS) that happens to a call about this task now, or None.

    It is taken off its count.
    """
    return _take(lambda fault: fault["fault"] == name, task_arn)


def _take(fits, task_arn):
    for fault in list(_faults):
        if fault.get("task_arn", task_arn) != task_arn or not fits(fault):
            continue
        if random.random() >= fault.get("probability", 1):
            continue
        if "count" in fault:
            fault["count"] -= 1
            if not fault["count"]:
                _faults.remove(fault)
        return fault
    return None


def _seconds(fault):
    return fault.get("seconds", _SECONDS[fault["fault"]])


def early(task_arn):
    """For the call that starts a task: something to await before it is answered. Call it before the run begins."""
    fault = _take(lambda fault: fault["fault"] == "early", task_arn)
    if fault is None:
        return asyncio.sleep(0)
    sent = asyncio.get_running_loop().create_future()
    _awaited.append((task_arn, fault.get("events", ENDINGS), sent))

    async def wait():
        try:
            await asyncio.wait_for(sent, 30)
            await asyncio.sleep(_seconds(fault))
        except TimeoutError:
            logger.warning("No event to answer the start of %s after: the task runs for too long", task_arn)
        finally:
            _awaited[:] = [entry for entry in _awaited if entry[2] is not sent]

    return wait()


def reset():
    """Forget the plan and the events that are held back."""
    _faults.clear()
    _held.clear()
    _awaited.clear()


# -- sending -----------------------------------------------------------------------------------------------------------


async def task_changed(task_arn, task_name, kind, message):
    """Put the event `kind` (a key of KINDS) of a task on the default event bus, or let a fault happen to it."""
    event_id, category = KINDS[kind]
    region = task_arn.split(":")[3]
    entry = {
        "Source": "aws.dms",
        "DetailType": "DMS Replication Task State Change",
        "Resources": [task_arn],
        "Detail": json.dumps(
            {
                "type": "REPLICATION_TASK",
                "category": category,
                "eventType": kind,
                "eventId": event_id,
                "resourceLink": f"https://console.aws.amazon.com/dms/v2/home?region={region}#taskDetails/{task_name}",
                "detailMessage": message,
            }
        ),
    }
    fault = _fault_for(task_arn, kind)
    name = fault["fault"] if fault else None
    if name == "delay":
        later(_put(entry), _seconds(fault))
    elif name == "reorder":
        _held.setdefault(task_arn, []).append(entry)
        later(_release(task_arn, entry), _seconds(fault))
    elif name != "drop":
        await _put(entry)
        if name == "duplicate":
            later(_put(entry), _seconds(fault))
    if name != "reorder":
        for held in _held.pop(task_arn, []):
            await _put(held)
    for awaited_arn, kinds, sent in _awaited:
        if awaited_arn == task_arn and kind in kinds and not sent.done():
            sent.set_result(None)


async def _release(task_arn, entry):
    """Send an event that was held back for a next one that did not come."""
    if entry in _held.get(task_arn, []):
        _held[task_arn].remove(entry)
        await _put(entry)


async def _put(entry):
    """Hand an event to MiniStack's EventBridge, in a thread: a rule's target may take its time."""
    from ministack.services import eventbridge

    try:
        await asyncio.to_thread(eventbridge._put_events, {"Entries": [entry]}, allow_aws_source=True)
    except Exception:  # best effort, as on AWS: a rule that cannot be served must not end a migration
        logger.exception("The event of %s could not be sent", entry["Resources"][0])


# -- work in the background --------------------------------------------------------------------------------------------

_background: set[asyncio.Task] = set()


def later(work, seconds=0.0):
    """Run a coroutine in the background, after some seconds; `cancel_background` ends what still waits or runs."""

    async def run():
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            work.close()
            raise
        await work

    task = asyncio.create_task(run())
    _background.add(task)
    task.add_done_callback(_done)
    return task


def cancel_background():
    for task in list(_background):
        task.cancel()


def _done(task):
    _background.discard(task)
    if not task.cancelled() and task.exception():
        logger.error("Work in the background failed", exc_info=task.exception())
