"""The exercises of lab 05: the gotchas of replay. Each is to mend a durable function that is given and wrong.

What a function does is seen by exploring it, as it is deployed, in the worlds of replay_worlds.py: without a crash,
with each single crash between two steps, and with pairs of crashes until the time is over.
"""

import dataclasses
from collections.abc import Mapping

from workshop.checking.exercises import SEEDS, Case, Exercise, Fault, contract, one_of
from workshop.checking.explorations import Explored, explored_in
from workshop.checking.resources import durable_function

SECONDS = 5  # for all worlds of an exercise

REPLAYS = "It is suspended wherever it waits, and each replay comes to the operations that the one before came to."
GOES_ON = "Wherever between two steps its process crashes, a new one goes on, and the end is the same."


@dataclasses.dataclass(frozen=True)
class In(Case):
    """A case that is a world of replay_worlds.py. world: the name of its class."""

    world: str = ""


class Mended(Exercise):
    """An exercise whose function is explored.

    function: its name in the lab. promises: the sentences of its contract but the last two, which all have: {the name
    by which a world calls it: the sentence}. inside: effects after which it crashes, too; see `explored_in`.
    """

    function: str
    promises: Mapping[str, str] = {}
    inside = ()

    def __init_subclass__(cls):
        cases = ", ".join(cls.cases)
        for broken, sentence in {**cls.promises, "replays": REPLAYS, "crashes": GOES_ON}.items():
            setattr(cls, broken, contract(sentence, cases=cases)(_judge(broken)))
        super().__init_subclass__()

    def observe(self, lab, draw, cases):
        durable_function(lab, self.function)
        worlds = {
            name: {"about": case.about, "world": case.world, "input": draw.values(name, case.input)}
            for name, case in cases.items()
        }
        where = {"seed": draw.random("crashes").randrange(SEEDS), "seconds": SECONDS, "inside": self.inside}
        return explored_in("workshop.checks.replay_worlds", worlds, lab, self.function, **where)


def _judge(broken):
    """What judges one sentence. What takes a crash is about the last sentence, whatever it breaks."""

    def judge(self, seen: Explored):
        if not seen.broken or broken != ("crashes" if seen.crashed else seen.broken):
            return None
        crashed = {0: "", 1: "its process crashed, and then: ", 2: "its process crashed twice, and then: "}
        before = crashed.get(seen.crashed, f"its process crashed {seen.crashed} times, and then: ")
        return Fault(f"With {seen.about}: {before}{seen.wrong}", events=seen.story, slow=seen.hangs, whole=True)

    return judge


class Order(Mended):
    title = "An order that is placed twice"
    function = "order"
    hints = (
        "What runs again on replay? Everything that does not stand in a step. Go through the handler and ask of each "
        "line: what if it runs again?",
        "There are two such lines, and only one of them does harm without a crash.",
        "context.step(lambda _: ..., name=...) calls its function once, and returns what that has returned: the first "
        "time, and on each replay.",
    )
    cases = {
        "a minute": In("a delivery after a minute", {"Table": "airports", "Seconds": 60}, world="Vendor"),
        "days": In(
            "a delivery after days",
            {"Table": one_of("countries", "airlines"), "Seconds": one_of(86_400, 200_000)},
            world="Vendor",
        ),
    }
    promises = {
        "once": "It orders a check of the table once.",
        "mails": "When Seconds are over it sends one mail, in which the number of the order stands.",
        "returns": "It returns the number of the order.",
    }
    done = "One order, one mail, wherever it crashes."


class Price(Mended):
    title = "A price that is another one the next time"
    function = "price"
    hints = (
        "How often does the function ask for the price in one execution, and what does it do with each answer?",
        "A decision that is to stay as it was belongs into a step; so does what it was decided by.",
        "price = context.step(lambda _: ..., name=...), once, before the if.",
    )
    cases = {
        "rises": In("a price that rises", {"Table": "airports", "Limit": 100, "Seconds": 3600}, world="Rising"),
        "falls": In(
            "a price that falls",
            {"Table": one_of("countries", "airlines"), "Limit": 110, "Seconds": one_of(60, 86_400)},
            world="Falling",
        ),
        "moves": In(
            "a price that moves and is never too high",
            {"Table": "routes", "Limit": 90, "Seconds": 7200},
            world="Moving",
        ),
    }
    promises = {
        "decides": "It asks for the price, and orders a check of the table, once, if that is not above Limit.",
        "mails": "When Seconds are over it sends one mail, such as `airports: 80`: the table, and the price by which "
        "it has decided.",
        "returns": 'It returns `{"Price": 80, "Ordered": True}`: the same price, and whether it has ordered.',
    }
    done = "It decides once, and says by which price."


EXERCISES = {1: Order(), 2: Price()}
