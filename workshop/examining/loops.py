"""The loops of a state machine: sets of states that can reach each other and hold a Wait, and what each is for.

A loop *polls* where it asks something that its exit then depends on. It *paces* where it slows down work of its own:
the next page, the next batch, a counter. Where the text does not say which, the kind is "unknown".
"""

import dataclasses
import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from workshop.examining import services

State = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Loop:
    """One loop.

    states: names, in the order of the definition. kind: "polls", "paces" or "unknown"; why: it is that, in words.
    wait_seconds: that one pass waits, None where it is computed. asks: the resources of what it asks.
    cycle: the states of its shortest pass that waits. bounded: whether something ends it that is not the answer.
    endless: whether nothing leads out of it. scope: the states beside it, {name: state}.
    """

    states: list[str]
    kind: str
    why: str
    wait_seconds: float | None
    asks: list[str]
    cycle: list[str]
    bounded: bool
    endless: bool
    scope: Mapping[str, State]


def scopes(definition: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, State], tuple[State, ...]]]:
    """Each machine within a definition: (its states, the Maps and Parallels around it, the outermost first)."""
    waiting = deque([(definition, ())])
    while waiting:
        machine, around = waiting.popleft()
        states = machine.get("States")
        states = {name: state for name, state in states.items() if isinstance(state, dict)} if states else {}
        yield states, around
        for state in states.values():
            for inner in inner_machines(state):
                waiting.append((inner, (*around, state)))


def inner_machines(state: State) -> list[Mapping[str, Any]]:
    """The machines inside of a Map or Parallel; none in another state."""
    found = [state.get("ItemProcessor"), state.get("Iterator"), *(state.get("Branches") or [])]
    return [machine for machine in found if isinstance(machine, dict) and isinstance(machine.get("States"), dict)]


def nexts(state: State) -> list[str]:
    """The names of the states that may follow, a Catch included; a Retry leads nowhere else."""
    found = [state.get("Next"), state.get("Default")]
    for field in ("Choices", "Catch"):
        found += [one.get("Next") for one in state.get(field) or [] if isinstance(one, dict)]
    return [name for name in dict.fromkeys(found) if isinstance(name, str)]


def loops_of(definition: Mapping[str, Any]) -> list[Loop]:
    """All loops of a definition, those inside of Map and Parallel included."""
    return [loop for states, _ in scopes(definition) for loop in _loops(states, "TimeoutSeconds" in definition)]


def _loops(states, has_timeout):
    follows = {name: [one for one in nexts(state) if one in states] for name, state in states.items()}
    before = {name: [] for name in states}
    for name, those in follows.items():
        for one in those:
            before[one].append(name)
    done = set()
    for name, state in states.items():
        if state.get("Type") != "Wait" or name in done:
            continue
        together = _reached(name, follows) & _reached(name, before)
        if together:  # else it cannot be reached again
            done |= together
            yield _loop([one for one in states if one in together], states, follows, has_timeout)


def _reached(start, follows):
    """The states that can be reached in one step or more."""
    found, waiting = set(), deque(follows[start])
    while waiting:
        name = waiting.popleft()
        if name not in found:
            found.add(name)
            waiting.extend(follows[name])
    return found


def _loop(names, states, follows, has_timeout):
    cycle = _shortest_cycle(names, states, follows)
    kind, why, asks = _kind(names, states)
    if kind == "paces" and len(cycle) < len(names):
        # What goes through a list may wait for each item: then its shortest pass asks, and goes through nothing.
        within = _kind(cycle, states)
        kind, why, asks = within if within[0] == "polls" else (kind, why, asks)
    inside = set(names)
    leads_out = any(set(follows[name]) - inside for name in names)
    # A Choice that nothing matches fails, and so does a Task without a Catch: that is no way out that was meant.
    endless = not leads_out and not any(states[name].get("End") for name in names)
    bounded = has_timeout or _counts(names, states)
    waits = [seconds_of(states[name]) for name in cycle if states[name].get("Type") == "Wait"]
    seconds = None if None in waits else sum(waits)
    return Loop(names, kind, why, seconds, asks, cycle, bounded, endless, states)


def _shortest_cycle(names, states, follows):
    """The shortest way from a Wait back to itself; of several the first."""
    inside, best = set(names), None
    for start in names:
        if states[start].get("Type") != "Wait":
            continue
        came, waiting = {}, deque([start])
        while waiting and start not in came:
            here = waiting.popleft()
            for one in follows[here]:
                if one in inside and one not in came:
                    came[one] = here
                    waiting.append(one)
        way, here = [start], came[start]
        while here != start:
            way.append(here)
            here = came[here]
        way = [way[0], *reversed(way[1:])]
        if best is None or len(way) < len(best):
            best = way
    return best


def seconds_of(wait: State) -> float | None:
    """The seconds of a Wait; None where they are computed or a point in time is given."""
    value = wait.get("Seconds")
    if isinstance(value, str):
        value = value.strip().removeprefix("{%").removesuffix("%}").strip()
        if not re.fullmatch(r"\d+(\.\d+)?", value):
            return None
        value = float(value)
        return int(value) if value == int(value) else value
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


# -- what a loop is for ------------------------------------------------------------------------------------------------

_STATUS = re.compile(
    r"status|state\b|phase|progress|complete|completion|done|ready|finish|running|success|succeed|active|availab|pending|exist"
    r"|stable|in_?service|synced|healthy|approved|alive|outcome|job",
    re.IGNORECASE,
)
_STATUS_VALUES = re.compile(
    r"^(succe|fail|running|complete|completing|done|in[ _-]?progress|pending|active|availab|ready|stop|finish|error"
    r"|submitted|queued|create|creating|delete|deleting|cancel|timed?[ _-]?out|abort|start|provision|enabled|processing"
    r"|in_?service|ok$|update|updating|executing|initiali|terminat|approved|rejected|current|outdated)",
    re.IGNORECASE,
)
# Where a loop goes on in a list: that is no answer to whether something has ended.
_TOKENS = re.compile(
    r"(next|page|continuation|start|sync)_?token|marker|cursor|page|has_?more|offset|exclusivestart|lastevaluated",
    re.IGNORECASE,
)
# What a loop goes through: items, a counter.
_PAGES = re.compile(
    _TOKENS.pattern + r"|index|iterat|remaining|batch|items?\b|list|length|size|chunk|records", re.IGNORECASE
)
# The same, or the answer of whoever is asked.
_PACING = re.compile(r"count|continue|loop|more\b|next|left|empty|number|total|cycle|queue", re.IGNORECASE)
_BOUND = re.compile(
    r"attempt|retr(y|ies)|tries|iterat|loop|index|polls|elapsed|waited|deadline|\bi\b|\bn\b|cycle|timeout|expire|count",
    re.IGNORECASE,
)
_READS = re.compile(r"^(describe|get|list|batchGet|head|check|query|scan|search|lookup|test|poll|receive|filter)", re.I)
_ASK_WORDS = {"check", "checks", "poll", "polls", "polling", "status", "describe", "is", "query", "monitor", "verify",
              "watch", "get", "probe", "list", "ready", "wait", "fetch", "state", "test", "checker", "poller", "are",
              "has", "lookup", "progress", "completion", "completed", "finished", "complete"}  # fmt: skip
_DO_WORDS = {"process", "send", "publish", "delete", "create", "start", "submit", "update", "put", "write", "copy",
             "move", "upload", "run", "execute", "notify", "load", "insert", "transform", "purge", "archive", "do",
             "import", "export", "scrape", "backfill", "migrate", "work", "worker", "increment", "set", "add", "remove",
             "restart", "retry", "generate", "extract", "trigger", "sync", "stop", "kickoff", "call"}  # fmt: skip


# Words in the name of a Wait that slows down work.
_PACES = re.compile(r"\b(batch|batches|throttle|throttling|rate limit|pages?|cool ?down|pace|pacing)\b")
_QUEUES = {("sqs", "receiveMessage"), ("sfn", "getActivityTask")}


def _kind(names, states):
    """What the loop is for: (kind, why, the resources that it asks)."""
    tasks = [task for name in names for task in _tasks(name, states[name])]
    roles = [(role_of(name, state), state.get("Resource")) for name, state in tasks]
    reads = [resource for role, resource in roles if role == "asks"]
    others = [resource for role, resource in roles if role == "unknown"]
    # What is known to ask; where nothing is, what may.
    asks = [resource for resource in dict.fromkeys(reads or others) if isinstance(resource, str)]
    tests = [test for name in names for test in _exit_tests(states[name], set(names))]
    known = [resource for resource in reads if services.asked(resource)]
    is_status = [test for test in tests if test.is_status]
    is_pacing = [test for test in tests if not test.is_status and test.is_pacing]
    if any(_PACES.search(" ".join(words_of(name))) for name in names if states[name].get("Type") == "Wait") and any(
        role != "asks" for role, _ in roles
    ):
        return "paces", "its Wait says so, and each pass does some work", reads
    if is_status and (reads or others):
        return "polls", f"its exit depends on {is_status[0].subject}", asks
    if known:
        return "polls", f"it asks {services.called(known[0])[1]}", asks
    if _tries(names, states):
        return "polls", "it tries again until what it wants is free", [
            *asks, *(state["Resource"] for name, state in tasks if _is_conditional(state) and
                     state["Resource"] not in asks)]  # fmt: skip
    if any(services.called(resource) in _QUEUES for resource in reads):
        return "polls", "it asks for work that may be there", asks
    only_asks = roles and all(role == "asks" for role, _ in roles)
    if any(_TOKENS.search(test.subject) for test in is_pacing):
        only_asks = False
    if is_pacing and not only_asks and (not reads or any(test.is_page for test in is_pacing)):
        return "paces", f"its exit depends on {is_pacing[0].subject}", reads
    if tests and reads:
        return "polls", f"it asks, and its exit depends on {tests[0].subject}", asks
    if not tasks and any(_counting(states[name]) for name in names):
        return "paces", "it counts, and asks nothing", []
    if tasks and not reads and not others:
        return "paces", "it asks nothing: each pass does some work", []
    return "unknown", "its text does not say whether it asks or works", asks


def _tasks(name, state):
    """The Tasks of a state: itself, or those inside of a Map or Parallel."""
    if state.get("Type") == "Task":
        yield name, state
    for machine in inner_machines(state):
        for inner, one in machine["States"].items():
            if isinstance(one, dict):
                yield from _tasks(inner, one)


def role_of(name: str, task: State) -> str:
    """Whether a Task "asks" for something, "does" something, or it is "unknown"."""
    resource = task.get("Resource")
    resource = resource if isinstance(resource, str) else ""
    if resource.endswith((".waitForTaskToken", ".sync", ".sync:2")):
        return "does"
    if function_of(task) is not None:
        return _role_of_words(name, function_of(task))
    called = services.called(resource)
    if called is None:
        return _role_of_words(name, re.sub(r"[${}]", "", resource) if "${" in resource else "")
    if called[1] == "invoke":  # an HTTP Task, or Amazon API Gateway
        arguments = task.get("Parameters") or task.get("Arguments") or {}
        method = arguments.get("Method", arguments.get("Method.$", "")) if isinstance(arguments, dict) else ""
        return "asks" if method in ("GET", "HEAD") else _role_of_words(name, "")
    return "asks" if _READS.match(called[1]) else "does"


def function_of(task: State) -> str | None:
    """The Lambda function that a Task invokes, as its text names it; None where it invokes none."""
    resource = task.get("Resource")
    if not isinstance(resource, str) or task.get("Type") != "Task":
        return None
    called = services.called(resource)
    if called and called[0] == "lambda" and called[1] in ("invoke", "invokeAsync"):
        arguments = task.get("Parameters") or task.get("Arguments") or {}
        named = arguments.get("FunctionName", arguments.get("FunctionName.$")) if isinstance(arguments, dict) else None
        return _short(named) if isinstance(named, str) else ""
    if called or is_activity(task):
        return None
    if ":lambda:" in resource:
        return _short(resource)
    # A placeholder that nothing resolves is a function's where it says so.
    if resource.startswith("${") and re.search(r"lambda|func|fn", resource, re.IGNORECASE):
        return re.sub(r"[${}]", "", resource)
    return None


def is_activity(task: State) -> bool:
    """Whether an activity does this Task: a worker asks for it, and answers with its token."""
    return isinstance(task.get("Resource"), str) and ":activity:" in task["Resource"]


def _short(name):
    """The name of a function out of its ARN or placeholder."""
    if ":function:" in name:
        name = name.split(":function:", 1)[1].split(":")[0]
    return re.sub(r"[${}]", "", name)


def _role_of_words(state_name, function):
    words = [word for name in (state_name, function) for word in words_of(name)]
    if {"status", "check", "poll", "ready", "checker", "poller", "monitor", "progress"} & set(words):
        return "asks"
    first = next((word for word in words if word in _ASK_WORDS | _DO_WORDS), None)
    return "unknown" if first is None else "asks" if first in _ASK_WORDS else "does"


def words_of(name: str) -> list[str]:
    """The words of a name in whatever case: "GetJobStatus", "get-job-status"."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


@dataclasses.dataclass(frozen=True)
class _Test:
    """What a Choice compares. subject: the variable or expression. value: what it is compared with, as text."""

    subject: str
    value: str
    operator: str

    @property
    def is_status(self):
        if self.operator.startswith("Numeric") and not re.search("status|code|running|pending", self.subject, re.I):
            return False
        last = " ".join(re.split(r"[.\[\]'\"]+", self.subject)[-4:])
        return bool(_STATUS.search(last) or _STATUS_VALUES.match(self.value))

    @property
    def is_pacing(self):
        return self.is_page or bool(_PACING.search(self.subject))

    @property
    def is_page(self):
        return bool(_PAGES.search(self.subject))


def _exit_tests(state, inside):
    """The comparisons of a Choice of which some way leads out of the loop, or back in by another way."""
    if state.get("Type") != "Choice":
        return
    rules = [rule for rule in state.get("Choices") or [] if isinstance(rule, dict)]
    ways = [rule.get("Next") in inside for rule in rules]
    ways.append(state.get("Default") in inside if "Default" in state else False)
    if all(ways):
        return  # no way out: it sorts
    for rule in rules:
        yield from _comparisons(rule)


def _comparisons(rule):
    condition = rule.get("Condition")
    if isinstance(condition, str):
        text = condition.replace("{%", "").replace("%}", "").strip()
        constants = re.findall(r"'([^']*)'|\"([^\"]*)\"", text)
        subject = re.split(r"\s*(?:!=|<=|>=|=|<|>|\bin\b)\s*", text)[0]
        for part in re.split(r"\s+(?:and|or)\s+", text):
            subject = re.split(r"\s*(?:!=|<=|>=|=|<|>|\bin\b)\s*", part)[0]
            value = re.search(r"'([^']*)'|\"([^\"]*)\"", part)
            value = (value[1] or value[2] or "") if value else ""
            numeric = re.search(r"[<>]|=\s*-?\d", part)
            operator = "Numeric" if numeric else "String" if constants else ""
            yield _Test(subject.strip(" ()"), value, operator)
        return
    if isinstance(rule.get("Variable"), str):
        for operator, value in rule.items():
            if operator not in ("Variable", "Next", "Comment", "Assign", "Output"):
                yield _Test(rule["Variable"], value if isinstance(value, str) else "", operator)
    for operator in ("And", "Or"):
        for one in rule.get(operator) or []:
            if isinstance(one, dict):
                yield from _comparisons(one)
    if isinstance(rule.get("Not"), dict):
        yield from _comparisons(rule["Not"])


def _tries(names, states):
    """Whether it tries to get something (a lock, a place) with a conditional write, and waits where it was refused."""
    inside = set(names)
    return any(
        _is_conditional(states[name])
        and any(one.get("Next") in inside for one in states[name].get("Catch") or [] if isinstance(one, dict))
        for name in names
    )


def _is_conditional(state):
    arguments = state.get("Parameters") or state.get("Arguments")
    return isinstance(arguments, dict) and "ConditionExpression" in arguments


def _counting(state):
    """Whether a state adds one to something."""
    text = str(
        {key: state.get(key) for key in ("Parameters", "Assign", "Output", "Arguments", "Result", "ItemSelector")}
    )
    return "States.MathAdd" in text or bool(re.search(r"[\w.)]\s*[+-]\s*1\b", text))


def _counts(names, states):
    """Whether a count or a point in time ends the loop: a Choice that compares one and leads out."""
    inside = set(names)
    counting = any(_counting(states[name]) for name in names)
    for name in names:
        for test in _exit_tests(states[name], inside):
            if "Timestamp" in test.operator or re.search(r"\$now\(|\$millis\(|toMillis", test.subject):
                return True
            numeric = test.operator.startswith("Numeric")
            if numeric and (counting or (_BOUND.search(test.subject) and not _STATUS.search(test.subject))):
                return True
            if re.search(r"iterat|attempt|retry|retries|timed?_?out|expired", test.subject, re.IGNORECASE):
                return True
    return False
