"""The exercises of lab 05: the gotchas of replay. Each is to mend a durable function that is given and wrong.

What a function does is seen by exploring it, as it is deployed, in the worlds of replay_worlds.py: without a crash,
with each single crash between two steps, and with pairs of crashes until the time is over.
"""

import dataclasses
from collections.abc import Mapping

from workshop.checking.exercises import Case, Fault, contract, one_of
from workshop.checking.explorations import Crashing, Explored, crashed_at, explored_in
from workshop.checking.resources import durable_function

SECONDS = 4  # for all worlds of an exercise

REPLAYS = "It is suspended wherever it waits, and each replay comes to the same operations as the one before."
GOES_ON = "Wherever its process crashes between two steps, a new one goes on, and the end is the same."


@dataclasses.dataclass(frozen=True)
class In(Case):
    """A case that is a world of replay_worlds.py. world: the name of its class."""

    world: str = ""


class Mended(Crashing):
    """An exercise whose function is explored.

    function: its name in the lab. promises: the sentences of its contract but the last two, which all have: {the name
    by which a world calls it: the sentence}. goes_on: the last of them. inside: effects after
    which it crashes, too; see `explored_in`.
    """

    function: str
    promises: Mapping[str, str] = {}
    goes_on = GOES_ON
    inside = ()

    def __init_subclass__(cls):
        cases = ", ".join(cls.cases)
        for broken, sentence in {**cls.promises, "replays": REPLAYS, "crashes": cls.goes_on}.items():
            setattr(cls, broken, contract(sentence, cases=cases)(_judge(broken)))
        cls.crashing = tuple(cls.cases)
        super().__init_subclass__()

    def observe(self, lab, draw, cases):
        return self._explored(lab, draw, cases, seconds=SECONDS)

    def observe_crashes(self, lab, draw, seconds, tell):
        return self._explored(lab, draw, self.cases, seconds=seconds, tell=tell)

    def _explored(self, lab, draw, cases, **how):
        durable_function(lab, self.function)
        worlds = {
            name: {"about": case.about, "world": case.world, "input": draw.values(name, case.input)}
            for name, case in cases.items()
        }
        how |= {"seed": draw.turn(), "inside": self.inside}
        return explored_in("workshop.checks.replay_worlds", worlds, lab, self.function, **how)

    def says_more(self, seen):
        return crashed_at([*seen.values()])


def _judge(broken):
    """What judges one sentence. What takes a crash is about the last sentence, whatever it breaks."""

    def judge(self, seen: Explored):
        if not seen.broken or broken != ("crashes" if seen.crashed else seen.broken):
            return None
        crashes = {0: "", 1: " and one crash", 2: " and two crashes"}.get(seen.crashed, f" and {seen.crashed} crashes")
        observed = f"With {seen.about}{crashes}: {seen.wrong}"
        return Fault(observed, events=seen.story, slow=seen.hangs, whole=True, turn=seen.turn)

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
        "once": "It orders one audit of the table, before it waits.",
        "mails": "When Seconds are over, it sends one mail with the number of the order.",
        "returns": "It returns the number of the order.",
    }
    done = "It orders once and sends one mail, wherever it crashes."


class Price(Mended):
    title = "A price that is another one the next time"
    function = "price"
    hints = (
        "How often does the function ask for the price in one execution, and what does it do with each answer?",
        "A decision that is to stay as it was belongs in a step, and so does the value by which it was made.",
        "price = context.step(lambda _: ..., name=...), once, before the if.",
    )
    cases = {
        "rises": In("a price that rises", {"Table": "airports", "Limit": 100, "Seconds": 3600}, world="Rising"),
        "falls": In(
            "a price that falls",
            {"Table": one_of("countries", "airlines"), "Limit": 95, "Seconds": one_of(60, 86_400)},
            world="Falling",
        ),
        "moves": In(
            "a price that moves and is never too high",
            {"Table": "routes", "Limit": 90, "Seconds": 7200},
            world="Moving",
        ),
        "exact": In(
            "a price that is the limit at first", {"Table": "airlines", "Limit": 120, "Seconds": 1800}, world="Exact"
        ),
    }
    promises = {
        "decides": "It asks for the price. If that is not above Limit, it orders one audit of the table, before it "
        "waits.",
        "mails": "When Seconds are over it sends one mail, such as `airports: 80`: the table, and the price by which "
        "it has decided.",
        "returns": 'It returns `{"Price": 80, "Ordered": True}`: the same price, and whether it has ordered.',
    }
    done = "It decides once, and says by which price."


class Count(Mended):
    title = "A sum that is gone after the wait"
    function = "count"
    hints = (
        "Which lines of a step's function run on replay? And where, then, does the sum come from?",
        "What a step knows comes out of it in one way only: as its result.",
        "Let the step return the number, and add it up outside: total += context.step(...).",
    )
    cases = {
        "two": In("two tables", {"Tables": ["airports", "countries"], "Seconds": 60}, world="Rows"),
        "one": In("one table", {"Tables": ["routes"], "Seconds": one_of(1, 3600)}, world="Rows"),
        "three": In(
            "three tables",
            {"Tables": one_of(["airlines", "routes", "airports"], ["routes", "countries", "airlines"]), "Seconds": 900},
            world="Rows",
        ),
        "none": In("no table", {"Tables": [], "Seconds": 5}, world="Rows"),
    }
    promises = {
        "counts": "It counts the rows of each table in Tables once, in this order, and makes a pause of Seconds "
        "after each.",
        "mails": "At the end it sends one mail with the sum, such as `3625 rows`.",
        "returns": 'It returns the sum, as in `{"Rows": 3625}`.',
    }
    done = "It knows the sum, however often it sleeps and crashes."


class OrderAll(Mended):
    title = "Steps that change their names and places"
    function = "order_all"
    hints = (
        "Two things are different on each replay. One of them you see in the error. What is left when that is mended?",
        "uuid4() and tables() both belong to what can come out differently the next time.",
        "Get the list from a step, before the loop. Make each name from the name of the table.",
    )
    cases = {
        "three": In("three tables", {"Seconds": 60}, world="Listed"),
        "one": In("one table", {"Seconds": one_of(1, 3600)}, world="Single"),
        "changes": In("tables that come and go", {"Seconds": one_of(600, 86_400)}, world="Changing"),
    }
    promises = {
        "once": "It orders one audit of each table that is listed when it begins, and makes a pause of Seconds after "
        "each.",
        "returns": 'It returns the number of each order, by table, as in `{"airports": "order-4711"}`.',
        "names": "Each table has a step with the table in its name, so that one finds it in the history.",
    }
    done = "Each table has its own order, whatever order they come in."


class Read(Mended):
    title = "A report that has become too large"
    function = "read"
    hints = (
        "Run it with 20 KB a page, and with 100. What is different, and what is the same in both?",
        "The body of a child context is code like any other: what acts stands in a step. Until the child is over, "
        "that holds for small results, too.",
        "The function of a child gets a context of its own, and its steps are child.step(...). Only the number of rows "
        "is needed outside.",
    )
    cases = {
        "large": In("a table of 300 KB", {"Pages": 3, "KB": 100, "Seconds": 60}, world="Pages"),
        "small": In("a table of 40 KB", {"Pages": 2, "KB": 20, "Seconds": one_of(3600, 7200)}, world="Pages"),
        "one": In(
            "a table of one page",
            {"Pages": 1, "KB": one_of(1, 10), "Seconds": 600},
            world="Pages",
        ),
    }
    promises = {
        "reads": "It reads each page once, in order.",
        "tells": "It tells of each page once, when it has read it: `page 1`, `page 2`, and so on.",
        "mails": "When Seconds are over it sends one mail with the number of rows, such as `3000 rows`.",
        "returns": 'It returns the number of rows, as in `{"Rows": 3000}`.',
    }
    done = "Each page is read and told of once, however large the table is."


class Publish(Mended):
    title = "A lock that does not hold"
    function = "publish"
    hints = (
        "When is a `with` left? And how does the SDK end an invocation whose function is to sleep?",
        "Lock in a step, and unlock in a step. There are two places at which it has to be unlocked: at the end, and "
        "where it fails.",
        "try: ... except Exception: unlock in a step, then raise. What suspends a function is no Exception.",
    )
    cases = {
        "published": In("a table that is published", {"Table": "airports", "Seconds": 3600}, world="Locked"),
        "another": In(
            "another table", {"Table": one_of("countries", "routes"), "Seconds": one_of(1, 86_400)}, world="Locked"
        ),
        "refused": In("a table that cannot be published", {"Table": "airlines", "Seconds": 60}, world="Refused"),
        "no audit": In(
            "a table of which no audit can be ordered", {"Table": "airports", "Seconds": 90}, world="NoOrder"
        ),
        "busy": In("a table that is published at the second try", {"Table": "routes", "Seconds": 600}, world="Busy"),
    }
    promises = {
        "holds": "The table is locked once, before the order, and stays locked until it is published, also while the "
        "function sleeps.",
        "works": "It orders one audit of the table, waits for Seconds, and publishes the table once.",
        "unlocks": "Then it unlocks the table, once, and succeeds.",
        "fails": "When the order or publishing fails for good, it unlocks the table too, and fails.",
    }
    done = "The lock holds while the function sleeps, and it is gone at the end, also when something fails."


class OrderByKey(Mended):
    title = "An order with a key"
    function = "order_by_key"
    stretch = True
    inside = ("order",)
    goes_on = (
        "Wherever its process crashes, also in a step when the order is placed, a new one goes on, and the end is the "
        "same."
    )
    hints = (
        "A step that has crashed runs again. What of it must be the same then?",
        "The key must be there before the step that orders begins, and be written down.",
        "Make the key in one step, and order in the next.",
    )
    cases = {
        "a minute": In("a wait of a minute", {"Table": "airports", "Seconds": 60}, world="Keyed"),
        "days": In(
            "a wait of days",
            {"Table": one_of("countries", "airlines"), "Seconds": one_of(86_400, 200_000)},
            world="Keyed",
        ),
    }
    promises = {
        "orders": "It orders an audit of the table, waits for Seconds, and returns the number of the order.",
        "once": "It orders once.",
        "own": "Another execution with the same input gets an order of its own.",
    }
    done = "It orders once, even where the process dies in the middle of it."


EXERCISES = {1: Order(), 2: Price(), 3: Count(), 4: OrderAll(), 5: Read(), 6: Publish(), 7: OrderByKey()}
