"""What is missing around waits: a rule for each, which its docstring explains (`workshop examine --explain RULE`)."""

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from workshop.examining import services
from workshop.examining.loops import Loop, function_of, is_activity, loops_of, role_of, scopes
from workshop.examining.reading import Machine, Pattern


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a rule found. state: the name of the state (of code: of the function), None for the whole."""

    rule: str
    state: str | None
    says: str
    line: int | None = None


Found = Iterator[tuple[str | None, str]]
MACHINE_RULES: dict[str, Callable[[Machine, list[Loop]], Found]] = {}
YEAR = 31_536_000  # seconds that an execution may last at most


def _rule(function):
    MACHINE_RULES[function.__name__.replace("_", "-")] = function
    return function


def findings_of(machine: Machine, loops: list[Loop] | None = None) -> list[Finding]:
    """What all rules find in a state machine."""
    loops = loops_of(machine.definition) if loops is None else loops
    return [Finding(name, state, says) for name, rule in MACHINE_RULES.items() for state, says in rule(machine, loops)]


def explanation(function: Callable) -> str:
    """What a rule's docstring says."""
    return inspect.getdoc(function)


def _tasks(machine):
    """All Tasks: (name, state, the Maps and Parallels around it)."""
    for states, around in scopes(machine.definition):
        for name, state in states.items():
            if state.get("Type") == "Task":
                yield name, state, around


def waits_for_token(task: Mapping[str, Any]) -> bool:
    """Whether somebody else ends this Task with its token."""
    resource = task.get("Resource")
    return isinstance(resource, str) and (resource.endswith(".waitForTaskToken") or is_activity(task))


def _limit(task, field):
    """A limit in seconds: a number, "computed", or None where there is none."""
    value = task.get(field)
    if value is None:
        return "computed" if task.get(f"{field}Path") is not None else None
    if isinstance(value, str) and re.fullmatch(r"\d+", value.strip()):
        return int(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else "computed"


@_rule
def token_without_timeout(machine, loops) -> Found:
    """A Task that waits for its token has neither a timeout nor a heartbeat.

    Whoever has the token may crash, or the event that should bring the answer may be lost. Without TimeoutSeconds or
    HeartbeatSeconds the Task then waits for as long as the execution may last: a year. A TimeoutSeconds of the whole
    state machine ends it, but no Catch can see that.

    What to do: give the Task a TimeoutSeconds that is longer than the longest job, and a Catch for States.Timeout that
    asks once what became of the job.

    Source: https://docs.aws.amazon.com/step-functions/latest/dg/sfn-stuck-execution.html
    """
    for name, task, _ in _tasks(machine):
        if not waits_for_token(task):
            continue
        timeout, heartbeat = _limit(task, "TimeoutSeconds"), _limit(task, "HeartbeatSeconds")
        if isinstance(timeout, int | float) and timeout >= YEAR:
            timeout = None
        if timeout is None and heartbeat is None:
            if "TimeoutSeconds" in machine.definition:
                ends = "only the TimeoutSeconds of the whole state machine ends it, which no Catch can see"
            else:
                ends = "if the answer is lost, it waits for a year"
            yield name, f"It waits for a token and has no timeout: {ends}. Set TimeoutSeconds."


@_rule
def heartbeat_not_shorter(machine, loops) -> Found:
    """A heartbeat is not shorter than the timeout of its Task.

    A heartbeat says after how many silent seconds the worker counts as dead. Where that is as long as the timeout, the
    timeout always comes first, and the heartbeat finds nothing. Step Functions wants it to be smaller.

    What to do: set HeartbeatSeconds to a few times the interval in which the worker sends heartbeats, and smaller than
    TimeoutSeconds.

    Source: https://docs.aws.amazon.com/step-functions/latest/dg/amazon-states-language-task-state.html
    """
    for name, task, _ in _tasks(machine):
        timeout, heartbeat = _limit(task, "TimeoutSeconds"), _limit(task, "HeartbeatSeconds")
        if isinstance(timeout, int | float) and isinstance(heartbeat, int | float) and heartbeat >= timeout:
            says = (
                f"Its heartbeat ({heartbeat} s) is not shorter than its timeout ({timeout} s), so it finds nothing. "
                "Make HeartbeatSeconds smaller."
            )
            yield name, says


@_rule
def loop_without_bound(machine, loops) -> Found:
    """Nothing but the answer ends a loop that waits.

    Where the answer never comes, such a loop goes on until the history has 25,000 events, and then the execution fails,
    hours or weeks later: about 2,777 passes of Wait, Task and Choice. Until then every pass costs.

    What to do: set TimeoutSeconds of the state machine to more than the longest job takes, or count the passes and
    let a Choice end them.

    Source: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
    """
    for loop in loops:
        if loop.bounded or (loop.kind == "paces" and not loop.endless):
            continue
        wait = next(name for name in loop.cycle if loop.scope[name].get("Type") == "Wait")
        if loop.endless:
            yield wait, "Nothing leads out of its loop, which ends when the history is full. Give it an end."
        else:
            says = (
                "Its loop ends only with the answer: if that never comes, the execution goes on until its history is "
                "full. Set TimeoutSeconds of the state machine, or count the passes."
            )
            yield wait, says


_CATCH_TIMEOUT = {"States.ALL", "States.Timeout"}


@_rule
def catch_misses_timeout(machine, loops) -> Found:
    """A Task has a timeout and a Catch, and the Catch does not match the timeout.

    States.TaskFailed matches every error except States.Timeout, and the name of an error of your own matches only that.
    So where the Task times out, the execution fails past its Catch. States.HeartbeatTimeout matches a missed heartbeat
    only.

    What to do: add a catcher for States.Timeout, or let the last one match States.ALL.

    Source: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    """
    for name, task, around in _tasks(machine):
        timeout, heartbeat = _limit(task, "TimeoutSeconds"), _limit(task, "HeartbeatSeconds")
        caught = _names(task.get("Catch"))
        if not caught or (timeout is None and heartbeat is None):
            continue
        enough = _CATCH_TIMEOUT | ({"States.HeartbeatTimeout"} if timeout is None else set())
        if not caught & enough and not any(_names(outer.get("Catch")) & enough for outer in around):
            listed = ", ".join(sorted(caught))
            says = (
                f"It can time out, and its Catch ({listed}) does not match that: the execution fails past it. "
                "Catch States.Timeout, too."
            )
            yield name, says


def _names(handlers, *, only_working=False):
    """The error names of a Catch or Retry."""
    return {
        error
        for one in handlers or []
        if isinstance(one, dict) and not (only_working and one.get("MaxAttempts") == 0)
        for error in one.get("ErrorEquals") or []
        if isinstance(error, str)
    }


# https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception
LAMBDA_ERRORS = ("Lambda.ClientExecutionTimeoutException", "Lambda.ServiceException", "Lambda.AWSLambdaException",
                 "Lambda.SdkClientException", "Lambda.TooManyRequestsException")  # fmt: skip
_RETRY_ENOUGH = {"States.ALL", "States.TaskFailed", "Lambda.ServiceException", "Lambda.AWSLambdaException"}


@_rule
def lambda_without_retry(machine, loops) -> Found:
    """A Task invokes a Lambda function and does not retry when Lambda itself has a fault.

    Lambda's service has short faults, and then the Task fails although the function has none. In a loop that asks a
    thousand times, one such fault ends the wait for a job that is well.

    What to do: give every Task that invokes a function a Retry for Lambda.ClientExecutionTimeoutException,
    Lambda.ServiceException, Lambda.AWSLambdaException, Lambda.SdkClientException and Lambda.TooManyRequestsException.

    Source: https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html (bp-lambda-serviceexception)
    """
    for name, task, around in _tasks(machine):
        if function_of(task) is None:
            continue
        retried = _names(task.get("Retry"), only_working=True)
        if retried & _RETRY_ENOUGH:
            continue
        if any(_names(outer.get("Retry"), only_working=True) & _RETRY_ENOUGH for outer in around):
            continue
        says = (
            "It invokes a Lambda function and does not retry Lambda's own faults. Add a Retry for "
            "Lambda.ServiceException and the others that `--explain` names."
        )
        yield name, says


_NOT_YET = re.compile(
    r"not_?(yet|ready|finished|complete|done|stable|available|started|active|terminal)|still|pending|in_?progress"
    r"|running|incomplete|unfinished|waiting|busy|tryagain|try_again|poll",
    re.IGNORECASE,
)


@_rule
def retry_as_poll(machine, loops) -> Found:
    """A Retry is used as a polling loop: the function raises "not ready yet", and the Task tries again.

    Each try is a state transition and costs as much as one of a loop, and each is an invocation. The history shows a
    Task that fails all the time, so alarms on failures mean nothing any more, and real faults are retried as well.

    What to do: the same as with a loop: `.sync` where the service has it, a task token where it has events.

    Source: https://aws.amazon.com/step-functions/pricing/ (retries count as state transitions)
    """
    for name, task, _ in _tasks(machine):
        for retrier in task.get("Retry") or []:
            if not isinstance(retrier, dict):
                continue
            errors = [error for error in retrier.get("ErrorEquals") or [] if isinstance(error, str)]
            tries = retrier.get("MaxAttempts", 3)
            own = [error for error in errors if not error.startswith(("States.", "Lambda."))]
            says_so = [error for error in own if _NOT_YET.search(error)]
            many = not isinstance(tries, int | float) or tries >= 5
            even = retrier.get("BackoffRate") == 1 or "MaxDelaySeconds" in retrier
            steady = even and isinstance(tries, int | float) and tries >= 30
            if (says_so and many) or (steady and (own or role_of(name, task) == "asks")):
                seconds = retrier.get("IntervalSeconds", 1)
                says = (
                    f"Its Retry on {', '.join(says_so or own or errors)} is a polling loop in disguise: up to {tries} "
                    f"times, first after {seconds} s, and each try is a state transition."
                )
                yield name, says
                break


# -- event patterns ----------------------------------------------------------------------------------------------------

_FIELDS = {"source", "detail-type", "detail", "account", "region", "resources", "id", "time", "version", "$or",
           "replay-name"}  # fmt: skip


def pattern_matches_nothing(pattern: Pattern) -> Iterator[Finding]:
    """An event pattern can match no event of its source.

    A pattern is compared letter by letter. A detail-type that the source does not send, a field that its events do not
    have, or a value that the field never has ("State Change" where the event says "StateChange") makes a rule that
    never fires, and nothing reports that. A state machine that waits for it waits until its timeout.

    What to do: copy the field names from an event that has really arrived, or from the page of the service.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
    """
    for why in _impossible(pattern.pattern):
        yield Finding("pattern-matches-nothing", None, f"The event pattern of {pattern.name} can match nothing: {why}.")


def _impossible(pattern):
    if not isinstance(pattern, dict) or not isinstance(pattern.get("source"), list):
        return
    sources = [source for source in pattern["source"] if isinstance(source, str)]
    rows = [services.SENDS.get(source) for source in sources]
    if not sources or None in rows or len(sources) != len(pattern["source"]):
        return
    for field in set(pattern) - _FIELDS:
        yield f"an event has no field `{field}`"
    sent = [kind for row in rows for kind in row["detail_types"]]
    wanted = pattern.get("detail-type")
    if isinstance(wanted, list) and not any(_may_match(one, [*sent, *_FROM_CLOUDTRAIL]) for one in wanted):
        yield f"{' and '.join(sources)} sends no {' or '.join(repr(one) for one in wanted)}"
        return
    details = pattern.get("detail")
    events = [event for (source, kind), event in services.EVENTS.items()
              if source in sources and (not isinstance(wanted, list) or kind in wanted)]  # fmt: skip
    if len(events) != 1 or not isinstance(details, dict):
        return
    if isinstance(wanted, list) and len(wanted) != 1:
        return
    event = events[0]
    for field, options in details.items():
        if field.startswith("$"):
            continue
        if field not in event["fields"]:
            if not (isinstance(options, list) and any(_absent(one) for one in options)):
                yield f"its events have no `detail.{field}`; they have {', '.join(event['fields'])}"
        elif isinstance(options, list) and field in event["values"]:
            known = event["values"][field]
            if not any(_may_match(one, known) for one in options):
                yield f"`detail.{field}` is never {' or '.join(repr(one) for one in options)}, but {', '.join(known)}"
    yield from _wrong_category(details, event.get("categories", {}))


_FROM_CLOUDTRAIL = ("AWS API Call via CloudTrail", "AWS Service Event via CloudTrail",
                    "AWS Console Sign In via CloudTrail", "AWS Insight via CloudTrail")  # fmt: skip


def _absent(option):
    return isinstance(option, dict) and option.get("exists") is False


def _may_match(option, values):
    """Whether an option of a pattern can match one of these texts; where it is no plain text it is believed to."""
    if isinstance(option, str):
        return option in values
    if isinstance(option, dict) and isinstance(option.get("prefix"), str):
        return any(value.startswith(option["prefix"]) for value in values)
    if isinstance(option, dict) and isinstance(option.get("suffix"), str):
        return any(value.endswith(option["suffix"]) for value in values)
    return True


def _wrong_category(details, categories):
    """Event ids that never come in the categories that the same pattern asks for."""
    asked, ids = details.get("category"), details.get("eventId")
    if not (isinstance(asked, list) and isinstance(ids, list) and all(isinstance(one, str) for one in ids)):
        return
    known = [categories.get(one) for one in ids]
    if None not in known and not any(_may_match(one, known) for one in asked):
        come = " and ".join(f"{one} comes as {category}" for one, category in zip(ids, known, strict=True))
        yield f"{come}, and the pattern wants {', '.join(map(str, asked))}"
