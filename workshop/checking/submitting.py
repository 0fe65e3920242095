"""Executions that wait while the learner's function `submit` is invoked for them: once, again, late, twice at once.

Exercises 1 and 2 of lab 03 look at what the vendor gets then, and at where its report leads.
"""

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from workshop import clients, faults, logs
from workshop.checking.attacks import is_success
from workshop.checking.exercises import Case, Exercise
from workshop.checking.guessing import pieces
from workshop.checking.outcomes import NotAttempted, NotYet, TooBusy, shortened
from workshop.checking.resources import Invoked, function, invoke, was_held
from workshop.checking.vendors import (
    Attempt,
    Messages,
    Order,
    Waiting,
    Waits,
    orders_of,
    rehearse,
    signed_up,
)
from workshop.checking.waiting import side_by_side, until

FILES = {"callbacks.py": 1, "submit.py": 2, "signature.py": 3, "answer.py": 4}  # whose exercise it is
TOO_BUSY = "This machine is too busy: an order got no answer within two seconds, again and again. Try again later."
SOON = 8  # seconds of patience, for what comes only if the answer is right
LONG = 60  # seconds of patience, for what comes whatever the answer is
AT_A_TIME = 4  # scenes: the vendor has two seconds for its answer, on a machine that may have two processors
QUIET = {
    "silent": True,
    "seconds": 3600,
    "answers": [],
    "slow_seconds": 4,
    "rows": None,
}  # nobody hears of such an audit


def built(lab, thing):
    """The ARN of a function that deploy_all() deploys. Raises NotAttempted where it is not there."""
    try:
        return function(lab, thing)
    except NotAttempted:
        raise NotAttempted(
            f"There is no function named {lab.name(thing)}: a file of it is still blank, or deploy_all() was not run."
        ) from None


# -- executions for which the learner's submit is invoked --------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Submitted:
    """What was seen of one execution for which `submit` was invoked.

    about: what is special about it. execution: its ARN. tokens: of its attempts, in their order.
    invoked: how each invocation of submit ended, in the order in which they began, and events: what each got.
    orders: what the vendor got. audits: what it makes of them, as Vendor.checks tells.
    answer: to a report that was sent to its URL in the end; None where none was sent, or none came.
    status: of the execution after that, and output. item: what the learner's table has under its ARN.
    logged: the functions in whose logs one of its tokens stands.
    facts: what else there is to know, as the exercise says.
    """

    about: str
    execution: str
    tokens: Sequence[str] = ()
    invoked: Sequence[Invoked] = ()
    orders: Sequence[Order] = ()
    audits: Sequence[Mapping] = ()
    answer: int | None = None
    status: str = "RUNNING"
    output: object = None
    item: Mapping = dataclasses.field(default_factory=dict)
    logged: Sequence[str] = ()
    facts: Mapping = dataclasses.field(default_factory=dict)
    events: Sequence[Mapping] = ()

    @property
    def invocations(self) -> list[str]:
        """Of each, in order, with what `submit` was invoked and how it ended; a token by its last characters."""
        told = (
            f"submit got Attempt {event['Attempt']!r} and the TaskToken …{event['TaskToken'][-8:]}: it {end.in_words()}"
            for event, end in zip(self.events, self.invoked, strict=False)
        )
        return [shortened(line, 300) for line in told]

    @property
    def evidence(self) -> list[str]:
        return self.invocations + [shortened(f"the vendor got: {order.text}", 300) for order in self.orders]

    def in_words(self) -> str:
        return "was still running" if self.status == "RUNNING" else f"ended {self.status}"


class Scene:
    """One execution that waits while its case plays. Its `play` gets it.

    case: the Case. run: the execution. table: the ARN of the table of which an audit is ordered for it. how: how that
    audit goes.
    """

    def __init__(self, lab, verirow, waits: Waits, table: str, case: Case, how: Mapping):
        self._lab, self._verirow, self._waits, self._messages = lab, verirow, waits, Messages(verirow)
        self.runs = [waits.begin()]
        self.run, self.table, self.case = self.runs[0], table, case
        self.tokens: list[str] = []
        self.invoked: list[Invoked] = []
        self.events: list[dict] = []
        self._one_by_one = threading.Lock()
        self.facts: dict = {"how": how}
        self.answer = None
        self.broken_off: NotYet | None = None  # what ended its play, as an answer to its token by whomever does

    def attempt(self, retries: Attempt | None = None) -> Attempt:
        """The first attempt of its state, or the next one: then the token of the one before is dead.

        retries: the attempt of which it is to be the retry. A state that is retried was entered at the same time as
        before, and its RetryCount is higher. (A retry takes a second at least, so here it is entered anew.)
        """
        attempt = self.run.next_attempt() if self.tokens else self.run.attempt()
        if retries:
            entered, _, count = retries.order.rpartition(" ")
            attempt = dataclasses.replace(attempt, order=f"{entered} {int(count) + 1:03}")
        self.tokens.append(attempt.token)
        return attempt

    def another_run(self) -> Waiting:
        """Another execution that waits."""
        self.runs.append(self._waits.begin())
        return self.runs[-1]

    def namesake(self) -> Waiting:
        """An execution that has the same name, and is of another state machine."""
        others = Waits(self._lab, self.name("waiting"), "check-waits-too")
        self.runs.append(others.begin(name=self.run.arn.rpartition(":")[2]))
        return self.runs[-1]

    def submit(self, attempt: Attempt, run: Waiting | None = None) -> Invoked:
        """Invoke `submit` for an attempt, as the state machine would; returns how it ended. run: of another one."""
        event = {"Execution": (run or self.run).arn, "TaskToken": attempt.token, "Attempt": attempt.order}
        event["Table"] = self.table
        with self._one_by_one:
            place, began = len(self.invoked), time.monotonic()
            self.invoked.append(Invoked(None))
            self.events.append(event)
        self.invoked[place] = invoke(self.name("submit"), event)
        answer = dict(enumerate(self.facts["how"]["answers"])).get(place)
        # What the machine has held up shows nothing: a timeout that struck as late as the vendor's answer was to come
        # may be one of two seconds or one of five.
        patience = max(2, self.facts["how"]["slow_seconds"]) if answer == "slow" else 1.5
        if is_unavailable(self.invoked[place]) and time.monotonic() - began > patience:
            self.facts["busy"] = True
        return self.invoked[place]

    def name(self, thing: str) -> str:
        return self._lab.name(thing)

    def orders(self) -> list[Order]:
        return orders_of(self._verirow, self.table)

    def audits(self) -> list[dict]:
        return self._verirow.checks(self.table)

    def progress(self):
        """Send genuine progress to the URL that the vendor got first."""
        if self._has_url():
            self._messages.progress(self.run)

    def report(self, patience=SOON):
        """Send a genuine report to the URL that the vendor got first, and wait for the execution to end."""
        if self._has_url():
            self.answer = self._messages.report(self.run)
            # Where the function says that it has failed, there is not much to wait for.
            until(self.run.look, patience if is_success(self.answer) else 2, "an execution to end")

    def _has_url(self):
        """Whether the vendor got a URL; the first one is that of the execution from then on."""
        self.run.url = next((order.url for order in self.orders() if order.url), None)
        return self.run.url is not None

    def seen(self, logged: Mapping[str, Sequence[str]]) -> Submitted:
        """All that is known of it now. logged: the lines in the logs of the learner's functions."""
        self.run.look()
        output, _, _ = self.run.outcome() if self.run.status != "RUNNING" else (None, "", "")
        items = clients.table(self.name("waiting"))
        parts = [part for token in self.tokens for part in (token[:32], token[-32:])]
        return Submitted(
            self.case.about,
            self.run.arn,
            tokens=list(self.tokens),
            invoked=list(self.invoked),
            orders=self.orders(),
            audits=self.audits(),
            answer=self.answer,
            status=self.run.status,
            output=output,
            item=items.get_item(Key={"Id": self.run.arn}, ConsistentRead=True).get("Item", {}),
            logged=[thing for thing, lines in logged.items() if any(part in line for line in lines for part in parts)],
            facts=self.facts,
            events=list(self.events),
        )


class Ordering(Exercise):
    """An exercise in which `submit` orders audits for executions that wait."""

    by_default: Callable[[Scene], object]
    ALONE: Sequence[str] = ()  # cases that play when the others have, one after the other

    def observe(self, lab, draw, cases):
        built(lab, "submit"), built(lab, "callback")
        scenes = self.scenes(lab, draw, cases)
        try:
            self.play(lab, scenes)
            logged = {thing: logs.lines(lab.name(thing)) for thing in ("submit", "callback")}
            seen = side_by_side(*(lambda scene=scene: scene.seen(logged) for scene in scenes.values()))
        finally:
            side_by_side(*(run.stop for scene in scenes.values() for run in scene.runs))
        addresses = [one.orders[0].address for one in seen if one.orders]
        facts = {"addresses": sorted(set(addresses)), "executions": len(addresses)}
        seen = {name: dataclasses.replace(one, facts=one.facts | facts) for name, one in zip(scenes, seen, strict=True)}
        wrong = next((scene.broken_off for scene in scenes.values() if scene.broken_off), None)
        if not wrong:
            return seen
        # What all others show comes first, such as one address for two.
        whole = {name: one for name, one in seen.items() if not (scenes[name].broken_off or "story" in one.facts)}
        if not self.judge(whole):
            raise wrong
        return whole

    def play(self, lab, scenes: Mapping[str, Scene]):
        """Play all scenes, a few at a time, and send a report to each in the end."""
        together = [scene for name, scene in scenes.items() if name not in self.ALONE]
        side_by_side(*(lambda scene=scene: self._play_one(scene) for scene in together), most=AT_A_TIME)
        for name in self.ALONE:
            if name in scenes:
                self._play_one(scenes[name])

    def _play_one(self, scene: Scene):
        try:
            self._play(scene)
        except NotYet as wrong:
            scene.broken_off = wrong

    def _play(self, scene: Scene):
        (scene.case.play or self.by_default)(scene)
        scene.report()

    def scenes(self, lab, draw, cases) -> dict[str, Scene]:
        """An execution for each case, with a table of its own."""
        verirow, waits = signed_up(lab), Waits(lab, lab.name("waiting"))
        how = {name: self.rehearsal(draw, name, case) for name, case in cases.items()}
        tables = rehearse(lab, verirow, how)
        return {name: Scene(lab, verirow, waits, tables[name], case, how[name]) for name, case in cases.items()}

    def rehearsal(self, draw, name, case) -> Mapping:
        """How the vendor's audit of that case's table goes."""
        return {**QUIET, **case.input}


# -- plays: how submit is invoked for an execution ---------------------------------------------------------------------


def once(scene: Scene):
    scene.submit(scene.attempt())


def again(scene: Scene):
    """The state is tried again, with a new token."""
    once(scene)
    once(scene)


def called_meanwhile(scene: Scene):
    """The vendor calls, and then the state is tried again, with a new token."""
    once(scene)
    scene.progress()
    once(scene)


def with_a_namesake(scene: Scene):
    """An execution of the same name is there, of another state machine, for the same table."""
    once(scene)
    other = scene.namesake()
    scene.submit(other.attempt(), other)


def late(scene: Scene):
    """The function of the first attempt begins late: when that of its retry is done."""
    first = scene.attempt()
    second = scene.attempt(retries=first)
    scene.submit(second)
    scene.submit(first)


def overtaken(scene: Scene):
    """The function of the first attempt is slow, and the second one passes."""
    overtake(scene, scene.attempt(), scene.attempt())


def overtake(scene: Scene, first: Attempt, second: Attempt) -> list[Invoked]:
    """The first one's function is held before it writes its token; returns how both ended, the second one first."""
    hold = {"fault": "hold", "operation": "dynamodb:*", "resource": first.token}
    with faults.during(hold, label="check") as gate:
        over = []

        def slow():
            over.append(scene.submit(first))

        def fast():
            until(lambda: over or gate.wait_until_held(1, 0), LONG, "a function to write its token")
            passed = scene.submit(second)
            gate.end()
            return passed

        _, passed = side_by_side(slow, fast)
    was_held(gate, over[0].error)
    return [passed, *over]


def at_once(scene: Scene):
    """The function is invoked twice at the same moment."""
    attempt = scene.attempt()
    twice_at_once(scene.run.arn, lambda: scene.submit(attempt))


def twice_at_once(execution: str, call: Callable[[], Invoked]) -> list[Invoked]:
    """Make this call twice at the same moment; returns how both ended.

    execution: an ARN that both name in their first call to DynamoDB: both have made it before either is answered.
    """
    hold = {"fault": "hold", "operation": "dynamodb:*", "resource": execution, "where": "after", "together": 2}
    with faults.during({**hold, "seconds": 15}, label="check") as gate:
        both = side_by_side(call, call)
    if gate.records[0].get("unmet"):
        raise TooBusy("This machine is too busy to invoke a function twice at the same moment. Try again later.")
    return both


def killed(scene: Scene):
    """The function's process ends just before it writes its token; the state is tried again."""
    attempt = scene.attempt()
    with faults.during({"fault": "kill", "operation": "dynamodb:*", "resource": attempt.token}, label="check"):
        scene.submit(attempt)
    once(scene)


def gives_away(text: str, tokens: Sequence[str]) -> bool:
    """Whether a text contains one of these tokens, or a longer part of it, in whatever encoding."""
    return any(piece in text for token in tokens for piece in pieces(token))


def has_token(seen: Submitted) -> bool:
    return any(gives_away(order.text, seen.tokens) for order in seen.orders)


def is_unavailable(invoked: Invoked) -> bool:
    return invoked.kind == "VendorUnavailable"


# -- words of refusals -------------------------------------------------------------------------------------------------


def many(number: int, what: str) -> str:
    """As in "1 order" and "2 orders"."""
    return f"{number or 'no'} {what}" + "s" * (number != 1)


def belongs_to_earlier(places: Sequence[str], number: int) -> str | None:
    """What is missing where an error was raised in a file of an exercise before this one; None where it was not.

    places: where it was raised, innermost last: "callbacks.py, line 9: ..."
    """
    for place in reversed(places):
        file = place.partition(",")[0]
        if file in FILES:
            earlier = FILES[file]
            return f"Exercise {earlier} is about {file}: run lab.check({earlier}) first." if earlier < number else None
    return None
