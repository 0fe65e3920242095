"""One play of a durable handler: a schedule, a world, and what came of it."""

import contextlib
import datetime
import json
import re
import threading
from collections import Counter
from dataclasses import dataclass, field

from aws_durable_execution_sdk_python.serdes import deserialize, serialize

from workshop.exploring.engine import Clock, Crashed, Engine
from workshop.exploring.processes import Client, Hangs, Process, current, in_step, operation_here
from workshop.exploring.programs import importable
from workshop.exploring.schedules import Crash
from workshop.exploring.worlds import ProcessEnded

MOST_INVOCATIONS = 250  # of one execution; what goes on for longer never ends
LONGEST = 31_622_400  # seconds: the longest ExecutionTimeout that Lambda takes, 366 days
LONGEST_INVOCATION = 900  # seconds: the longest Timeout of a function that Lambda takes
_STATUSES = {"SUCCEEDED", "FAILED", "TIMED_OUT"}
_UNDER_WAY = {"STARTED", "PENDING", "READY"}


@dataclass
class Run:
    """What came of one schedule.

    schedule: a tuple of Crash; empty where nothing crashed. world: the name of the world it was played in. acted_on:
    that World itself, as the run left it.
    status: "SUCCEEDED", "FAILED" or "TIMED_OUT" as on AWS; "WAITS" where it waits for what never comes, "HANGS" where
        the handler did not come back, "ENDLESS" where it went on for 250 invocations, or for 366 days.
    result: what it returned, as data. error: {"ErrorType": ..., "ErrorMessage": ...}, or None.
    effects: what happened in the world, in order: a list of tuples.
    history: the events, as GetDurableExecutionHistory gives them with IncludeExecutionData; a list of dicts.
    story: what happened, in order: a list of (seconds on the one clock, sentence).
    faults: what is wrong with it whatever was intended, in words: a list. strays: whether one of them is that a replay
        leaves what is recorded, or that the handler is not suspended where it waits.
    seconds: how long it took on the one clock. invocations: how often the handler ran. crashed: how many of the
    schedule's crashes took place. branches: for each effect, the id of the branch of a parallel or map in which it
    happened, or None. marks: each place where it could have crashed, a Crash,
    and whether that lies inside of a step.
    """

    schedule: tuple = ()
    world: str = ""
    acted_on: object = None
    status: str = "RUNNING"
    result: object = None
    error: dict | None = None
    effects: list = field(default_factory=list)
    history: list = field(default_factory=list)
    story: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    strays: bool = False
    seconds: int = 0
    invocations: int = 0
    crashed: int = 0
    branches: list = field(default_factory=list)
    marks: list = field(default_factory=list)

    @property
    def outcome(self):
        """What it came to: (status, result, type of the error, its message)."""
        error = self.error or {}
        return self.status, self.result, error.get("ErrorType"), error.get("ErrorMessage")

    def replay(self):
        """The run as a Replay, which a notebook shows as a picture, invocation by invocation."""
        from workshop.replays import Replay

        execution = {
            "DurableExecutionArn": "arn:aws:lambda:us-east-1:123456789012:function:explored:$LATEST",
            "Status": self.status if self.status in _STATUSES else "RUNNING",
            "StartTimestamp": self.history[0]["EventTimestamp"],
            "Result": json.dumps(self.result),
            "Error": self.error,
        }
        end = self.history[-1]["EventTimestamp"]
        if self.status in _STATUSES:
            execution["EndTimestamp"] = end
        return Replay(execution, self.history, seen=end)

    def in_words(self):
        """How it ended, in a few words."""
        match self.status:
            case "SUCCEEDED":
                return f"it returned {_short(json.dumps(self.result))}"
            case "FAILED":
                named = _named(self.error)
                return f"it failed: {named if named.endswith('...') else named.removesuffix('.')}"
            case "TIMED_OUT":
                return "it timed out"
            case "WAITS":
                return "it waits for ever"
            case "HANGS":
                return "its handler did not come back"
        return "it never came to an end"

    def tell(self):
        """The story as text, a line for each thing that happened."""
        return "\n".join(f"{_time(seconds):>12}  {line}" for seconds, line in self.story)


class Play:
    """Plays one schedule: Play(program, event, world).run()."""

    def __init__(
        self, program, event, world, name="", schedule=(), inside=False, timeout=None, draws="", recorded=None
    ):
        self.program, self.world = program, world
        self.schedule = tuple(Crash.checked(*crash) for crash in schedule)
        self.inside, self.timeout, self.draws, self.recorded = inside, timeout, draws, recorded or {}
        self.result = Run(schedule=self.schedule, world=name, acted_on=world)
        self.clock = Clock()
        self.engine = Engine(self.clock, Client(self), self._invoke, self._called)
        self.process = None
        self._event = json.dumps(event)
        self._left = list(self.schedule)
        self._counts = {"checkpoint": 0, "effect": 0}
        self._printed = ""
        self._outside = []  # effects outside of steps: (invocation, effect)
        self._lock = threading.RLock()
        self._begun = Counter()  # id of a step -> how often its body has begun
        # For each effect, the id of the operation in whose function it happened, or None.
        self._within = [None] * len(world.effects)
        self._swallowed = False  # whether what suspends the handler did not come through

    def run(self):
        """Play it to its end; returns the Run."""
        self.world._play = self
        run = self.result
        try:
            with importable(self.world.modules, getattr(self.program, "folder", None)):
                self.engine.start(self._event, self.timeout)
                while not self.engine.execution.is_complete and run.status == "RUNNING":
                    if run.invocations >= MOST_INVOCATIONS:
                        run.status = "ENDLESS"
                        self._fault(f"It went on for {MOST_INVOCATIONS} invocations, and was not over.")
                    elif self.clock.seconds() > LONGEST:  # each sign of life is followed by another one, say
                        run.status = "ENDLESS"
                        self._fault("It went on for 366 days, which is the longest that an execution may take.")
                    elif not self.clock.run_next():
                        run.status = "WAITS"
                        self._fault(
                            f"It waits for {self._waits_for()}, and nothing will come: no answer, and no timeout."
                        )
        except Hangs as hang:
            run.status = "HANGS"
            self._fault(f"The handler does not come back: it is at {hang}.")
        finally:
            self.world._play = None
        self._close()
        return run

    def _close(self):
        run, execution = self.result, self.engine.execution
        if execution.is_complete:
            run.status = execution.current_status().value
            if execution.result.result:
                run.result = json.loads(execution.result.result)
            if execution.result.error:
                run.error = execution.result.error.to_dict()
        run.effects = list(self.world.effects)
        run.branches = self._branches()
        run.seconds = self.clock.seconds()
        run.history = self.engine.events()
        if _type(run.error) == "NonDeterministicExecutionError":
            self._fault("On replay the handler came to another operation than the first time: "
                        f"{_difference(run.error['ErrorMessage'])}.", first=True, strays=True)  # fmt: skip
        for invocation, effect in self._outside:
            again = [other for other, same in self._outside if same == effect and other > invocation]
            if again:
                self._fault(f"{say(effect)} happens outside of a step: it happened in invocation {invocation}, "
                            f"and again in invocation {again[0]}.")  # fmt: skip
                break
        self._tell(f"The end: {run.in_words()}")

    def _branches(self):
        """For each effect, the id of the branch (of parallel or map) in which it happened, or None."""
        operations = {each.operation_id: each for each in self.engine.execution.operations}
        branches = []
        for within in self._within:
            while within in operations and operations[within].sub_type not in ("ParallelBranch", "MapIteration"):
                within = operations[within].parent_id
            branches.append(within if within in operations else None)
        return branches

    def _fault(self, text, first=False, strays=False):
        if text not in self.result.faults:
            self.result.faults.insert(0 if first else len(self.result.faults), text)
            self.result.strays |= strays

    # -- the process --------------------------------------------------------------------------------------------------

    def _invoke(self, invocation_input, context):
        run = self.result
        run.invocations += 1
        cold = self.process is None
        if cold:
            self.process = Process(lambda: self.program(self.world), self)
        again = "" if run.invocations == 1 else ", and the handler begins again"
        self._tell(f"Invocation {run.invocations}{', in a new process' if cold and again else ''}{again}.")
        begun = self.clock.seconds()
        try:
            response = self.process.invoke(invocation_input, context)
            self._end_print()
            self._pass_by("end", run.invocations, in_step=False)
        except (Crashed, ProcessEnded):
            self.process = None
            raise Crashed("Runtime exited without providing a reason") from None
        except Hangs:
            raise
        except Exception as error:  # what Lambda calls a function error: the same process is not used again
            self._tell(f"The invocation fails: {type(error).__name__}: {_short(str(error))}")
            self.process = None
            raise
        self._judge_left(response.invocation_output.status.value)
        if (took := self.clock.seconds() - begun) > LONGEST_INVOCATION:
            self._fault(
                f"Invocation {run.invocations} took {_duration(took)}, and Lambda ends an invocation after 15 minutes. "
                "Wait with context.wait, which suspends the function, and not with time.sleep.",
                strays=True,
            )
        return response

    def handler_left(self, process, suspended):
        """The handler has returned or raised; suspended: whether it raised what the SDK suspends it with."""
        self._swallowed = process.suspended and not suspended and not process.ended

    def _judge_left(self, status):
        operations = [each for each in self.engine.execution.operations[1:] if each.parent_id is None]
        if self._swallowed:
            self._fault(
                f"The handler was told to stop at {self._waits_for()}, and went on: something in it, such as a bare "
                "except or a return in a finally, catches what suspends it.",
                strays=True,
            )
        elif status == "SUCCEEDED":
            passed = [self._name(each) for each in operations if each.operation_id not in self.process.reached]
            if passed:
                self._fault(
                    f"On replay the handler never came to {passed[0]}, which it had come to before.", strays=True
                )

    def _crash(self):
        self.process.ended = True
        self.result.crashed += 1
        crash = self._left.pop(0)
        self._end_print()
        self._tell(f"CRASH {crash}")

    def _pass_by(self, where, n, in_step):
        """A place where the process can crash; ends it there if the schedule says so."""
        crash = Crash(where, n)
        self.result.marks.append((crash, in_step))
        if self._left and self._left[0] == crash and (self.inside is True or not in_step):
            self._crash()
            raise Crashed("Runtime exited without providing a reason")

    # -- what happens -------------------------------------------------------------------------------------------------

    def checkpoint(self, token, updates, client_token):
        """A checkpoint call of the handler; raises Crashed where the process ends with it."""
        process = self.process
        if process is None or process.ended:
            raise Crashed("Runtime exited without providing a reason")
        with self._lock:
            process.progress()
            if not updates:
                return self.engine.checkpoint(token, updates, client_token)
            self._counts["checkpoint"] += 1
            n = self._counts["checkpoint"]
            self._pass_by("before", n, in_step=bool(process.open_steps))
            answer = self.engine.checkpoint(token, updates, client_token)
            self._note(n, updates, process)
            self._pass_by("after", n, in_step=bool(process.open_steps))
            return answer

    def _note(self, n, updates, process):
        operations = {each.operation_id: each for each in self.engine.execution.operations}
        ended = {each.operation_id for each in updates if each.action.value != "START"}
        for update in updates:
            operation = operations.get(update.operation_id)
            if operation is None:
                continue
            if update.operation_type.value == "STEP":
                if update.action.value == "START":
                    process.open_steps.add(update.operation_id)
                else:
                    process.open_steps.discard(update.operation_id)
            if update.action.value == "START" and update.operation_id in ended:
                continue  # its end says it all
            self._tell(f"Checkpoint {n}: {self._name(operation)} {_what(update)}")

    def step_begins(self, process, identifier):
        """Returns what this attempt of this step is called, a text."""
        process.progress()
        process.open_steps.add(identifier.operation_id)
        with self._lock:
            self._begun[identifier.operation_id] += 1
            return f"{self.draws}{identifier.operation_id} {self._begun[identifier.operation_id]}"

    def step_ends(self, identifier, result):
        """Returns the result of a step; as it was recorded, where nothing but an order differs from that."""
        id, text = identifier.operation_id, self.recorded.get(identifier.operation_id)
        if text is None:
            return result
        with contextlib.suppress(Exception):  # it cannot be stored as the SDK does it by itself
            if _unordered(json.loads(serialize(None, result, id, ""))) == _unordered(json.loads(text)):
                return deserialize(None, text, id, "")
        return result

    def called_in_step(self, identifier):
        name = f'"{identifier.name}"' if identifier.name else "one without a name"
        self._fault(f"A durable operation, {name}, is called inside of a step, which cannot contain any.")

    def exits(self, process):
        """The handler ended its own process."""
        process.ended = True
        self._end_print()
        self._tell("The handler ends its process.")

    def happens(self, effect):
        """Something is done in the world. Raises ProcessEnded where it is not, since who does it has crashed."""
        process = current()
        with self._lock:
            if process is not None:
                process.check()
                process.progress()
                self._end_print()
            self.world.effects.append(effect)
            self._within.append(operation_here())
            if process is None:  # the world does something by itself
                self._tell(say(effect))
                return
            self._tell(f"{say(effect)}{'' if in_step() else ', outside of a step'}")
            if not in_step():
                self._outside.append((self.result.invocations, effect))
            self._counts["effect"] += 1
            # The effect has happened, and so does what the world does in the same call. It is the process that cannot
            # go on: its next effect or checkpoint does not happen.
            with contextlib.suppress(Crashed):
                named = not isinstance(self.inside, bool) and effect[0] in self.inside
                self._pass_by("inside", self._counts["effect"], in_step=not named)

    def printed(self, text):
        self._printed += text

    def _end_print(self):
        for line in self._printed.splitlines():
            self.result.story.append((self.clock.seconds(), f"It prints: {_short(line)}"))
        self._printed = ""

    # -- the world ----------------------------------------------------------------------------------------------------

    def seconds(self):
        return self.clock.seconds()

    def later(self, seconds, do):
        self.clock.call_later(do, seconds)

    def answer(self, how, callback_id, value):
        operation = self._callback(callback_id)
        name = self._name(operation) if operation else f"callback {_short(str(callback_id))}, which does not exist,"
        word = {"succeed": "answered", "fail": "answered with a failure", "heartbeat": "kept alive"}[how]
        if operation and self.engine.answer(how, callback_id, value):
            self._tell(f"{_upper(name)} is {word}.")
            return True
        self._tell(f"{_upper(name)} is {word}, and that does nothing{': the callback was over' if operation else ''}.")
        return False

    def _callback(self, callback_id):
        """The operation of a callback, or None."""
        for operation in self.engine.execution.operations:
            if operation.callback_details and operation.callback_details.callback_id == callback_id:
                return operation
        return None

    def _called(self, function, payload):
        result = json.dumps(self.world.invoke(function, json.loads(payload or "{}")))
        self._tell(f"Function {function} returns {_short(result)}.")
        return result

    # -- words --------------------------------------------------------------------------------------------------------

    def _tell(self, line):
        self.result.story.append((self.clock.seconds(), line if line.endswith((".", "!", "?", '."')) else f"{line}."))

    def _name(self, operation):
        kind = operation.sub_type or operation.operation_type.value
        word = _KINDS.get(kind, kind.lower())
        return f'{word} "{operation.name}"' if operation.name else f"a {word} without a name"

    def _waits_for(self):
        waits = [
            each
            for each in self.engine.execution.operations[1:]
            if each.operation_type.value != "CONTEXT" and each.status.value in _UNDER_WAY
        ]
        return " and ".join(map(self._name, waits)) or "nothing"


_KINDS = {
    "Step": "step",
    "Wait": "wait",
    "Callback": "callback",
    "WaitForCallback": "the wait for callback",
    "WaitForCondition": "the polling loop",
    "ChainedInvoke": "the invoke",
    "RunInChildContext": "child context",
    "Parallel": "parallel",
    "ParallelBranch": "branch",
    "Map": "map",
    "MapIteration": "map item",
}


def say(effect):
    """An effect in words: ("order", "A-17") is 'order A-17'."""
    return _short(" ".join(each if isinstance(each, str) else repr(each) for each in effect), 100)


def _what(update):
    match update.action.value:
        case "START":
            options = update.wait_options
            return f"begins, {_duration(options.wait_seconds)} long" if options else "begins"
        case "SUCCEED":
            return (
                f"has ended with {_short(update.payload)}" if update.payload not in (None, "null", "") else "has ended"
            )
        case "FAIL":
            return f"has failed: {_named(update.error.to_dict())}"
        case "RETRY":
            delay = _duration(update.step_options.next_attempt_delay_seconds)
            if update.error:
                return f"has failed, and is tried again after {delay}: {_named(update.error.to_dict())}"
            return f"is not satisfied yet, and looks again after {delay}"
    return update.action.value.lower()


def _unordered(data):
    """A text that is the same for data in which nothing but an order differs."""
    if isinstance(data, list):
        return f"[{', '.join(sorted(map(_unordered, data)))}]"
    if isinstance(data, dict):
        return f"{{{', '.join(sorted(f'{key!r}: {_unordered(value)}' for key, value in data.items()))}}}"
    return json.dumps(data)


def _named(error):
    return _short(f"{_type(error)}: {(error or {}).get('ErrorMessage') or ''}".removesuffix(": "), 120)


def _type(error):
    """The class of an error, without its module."""
    return str((error or {}).get("ErrorType")).rpartition(".")[2]


def _difference(message):
    """What the SDK says of an operation that differs, in words."""
    _, _, said = message.partition(": ")
    parts = dict((what, values) for what, *values in re.findall(r"(\w+) checkpoint=(.*?) current=(.*?)(?:, |$)", said))
    if "type" in parts:
        parts.pop("subtype", None)  # it says the same once more
    return "; ".join(f"its {what} was {before}, and is {now}" for what, (before, now) in parts.items()) or message


def _short(text, width=60):
    text = " ".join(str(text).split())
    return text if len(text) <= width else text[: width - 4] + " ..."


def _upper(text):
    return text[:1].upper() + text[1:]


def _time(seconds):
    return str(datetime.timedelta(seconds=seconds))


def _duration(seconds):
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {word}{'s' * (seconds > size)}"
    return f"{seconds} second{'s' * (seconds != 1)}"
