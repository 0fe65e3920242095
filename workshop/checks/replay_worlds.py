"""The worlds in which the durable functions of lab 05 are explored: what stands in their `outside.py`, and who answers.

Each is made with the input of the execution and is the module `outside` for the function. `wrong(run)` says what is
wrong with a run: (name of a sentence of the contract, what happened in a sentence), or None. It looks at the first
sentence that is not kept, in the order of the contract. All time in them is the explorer's one clock.
"""

import contextlib
import itertools

from workshop.checking.outcomes import times
from workshop.exploring import World

A_CRASH = 60  # seconds that one may add: 5 until the next invocation, and the pause before its step is tried again
SMALL = 5  # seconds that the code between waits may add, where there are many of them


class Outside(World):
    """What all of them have.

    another: the world of another execution with the same input, as that has left it; None where there is none.
    """

    another = None

    def __init__(self, input):
        self.input = input
        self.mails = []
        self.times = []  # when each effect happened

    @property
    def modules(self):
        return {"outside": self}

    def did(self, *effect):
        super().did(*effect)
        self.times.append(self.now())

    def mail(self, text):
        self.did("mail", f'"{text}"')
        self.mails.append(str(text))

    def of(self, kind):
        """The effects of a kind, in order, without the word: [("airports",), ...]."""
        return [effect[1:] for effect in self.effects if effect[0] == kind]

    def when(self, kind):
        """When the effects of that kind happened, in seconds since the execution began."""
        return [time for effect, time in zip(self.effects, self.times, strict=True) if effect[0] == kind]

    def paused_otherwise(self, kind, run):
        """What is wrong with the pauses of Seconds after effects of a kind, in a sentence; None where nothing is."""
        began = self.when(kind)
        pauses = [later - earlier for earlier, later in zip(began, [*began[1:], run.seconds], strict=False)]
        if any(self.not_seconds(pause, run) for pause in pauses):
            return f"Its pauses were {listed(f'{pause} s' for pause in pauses)}; Seconds is {self.input['Seconds']}."
        return None

    def not_seconds(self, waited, run):
        """Whether that is another time than Seconds. On the one clock a wait takes what it says."""
        return waited < self.input["Seconds"] or late(waited, run, self.input["Seconds"] + SMALL)

    def ordered_late(self, run):
        """That it has waited before its first order, in a sentence; None where it has not."""
        after = self.when("order")[:1]
        if after and (late(after[0], run) or after[0] >= self.input["Seconds"]):
            return f"It ordered after {after[0]} s."
        return None

    def wrong(self, run):
        raise NotImplementedError


def late(after, run, seconds=0):
    """Whether a run has done something later than so many seconds, which its crashes do not account for."""
    return after > seconds + A_CRASH * run.crashed


def listed(texts):
    return ", ".join(texts) or "nothing"


class Vendor(Outside):
    """A vendor who takes orders, exercise 1: order, wait, mail."""

    def __init__(self, input):
        super().__init__(input)
        self.numbers = []

    def order(self, table):
        self.did("order", str(table))
        self.numbers.append(f"order-{len(self.numbers) + 1}")
        return self.numbers[-1]

    def wrong(self, run):
        table, days = self.input["Table"], self.input["Seconds"]
        orders, mails = self.of("order"), self.mails
        if len(orders) != 1 and run.status == "SUCCEEDED":
            return "once", f"It ordered {times(len(orders))}."
        if orders and orders != [(table,)]:
            return "once", f"It was to order an audit of {table}, and ordered one of {orders[0][0]}."
        if ordered_late := self.ordered_late(run):
            return "once", ordered_late
        if len(mails) != 1 and run.status == "SUCCEEDED":
            return "mails", f"It sent {len(mails)} mails."
        if mails and (not self.numbers or self.numbers[0] not in mails[0]):
            return "mails", f"The order was {', '.join(self.numbers) or 'not placed'}, and the mail said: {mails[0]}."
        if mails and self.not_seconds(self.when("mail")[0], run):
            return "mails", f"It sent its mail after {self.when('mail')[0]} s, and Seconds was {days}."
        if run.status != "SUCCEEDED" or run.result != self.numbers[0]:
            return "returns", f"The order was {', '.join(self.numbers) or 'not placed'}, and {run.in_words()}."


class Prices(Outside):
    """A vendor whose price is another one whenever somebody asks, exercise 2."""

    prices = ()

    def __init__(self, input):
        super().__init__(input)
        self.told, self.told_before = [], None  # told_before: those that it knew when it ordered

    def price(self):
        self.told.append(self.prices[min(len(self.told), len(self.prices) - 1)])
        return self.told[-1]

    def order(self, table):
        self.did("order", str(table))
        self.told_before = self.told_before or list(self.told)

    def wrong(self, run):
        limit, table = self.input["Limit"], self.input["Table"]
        orders, mails, first = self.of("order"), self.mails, self.told[:1]
        failed = run.status != "SUCCEEDED"
        if orders not in ([], [(table,)]):
            return "decides", f"It ordered {times(len(orders))}: {', '.join(each[0] for each in orders)}."
        if ordered_late := self.ordered_late(run):
            return "decides", ordered_late
        told = "The prices that it was told were " + ", ".join(map(str, self.told)) if self.told else "It never asked"
        if failed or not first:
            return "decides", f"{told}; {run.in_words()}."
        prices = [price for price in self.told_before or self.told if (price <= limit) == bool(orders)]
        if (self.told[0] <= limit) != bool(orders):
            return "decides", f"{told}, with a limit of {limit}, and it ordered {times(len(orders))}."
        if len(mails) != 1:
            return "mails", f"It sent {len(mails)} mails."
        said = [price for price in prices if f"{table}: {price}" == mails[0]]
        if not said:
            did = f"it ordered when it knew {listed(map(str, self.told_before))}" if orders else "it did not order"
            return "mails", f"{told}; the limit is {limit}; {did}, and its mail said: {mails[0]}."
        if self.not_seconds(self.when("mail")[0], run):
            return "mails", f"It sent its mail after {self.when('mail')[0]} s; Seconds is {self.input['Seconds']}."
        returned = {"Price": said[0], "Ordered": bool(orders)}
        if run.result != returned or run.result["Ordered"] is not returned["Ordered"]:  # 1 is True for Python
            return "returns", f"Its mail said {mails[0]}, and {run.in_words()}."


class Rising(Prices):
    prices = (80, 120, 150, 190)


class Falling(Prices):
    prices = (98, 90, 70, 60)


class Moving(Prices):
    prices = (70, 75, 65, 85, 60)


class Exact(Prices):
    """The first price is the limit of the exercise's case."""

    prices = (120, 60, 140, 120)


class Rows(Outside):
    """Tables with rows to be counted, exercise 3."""

    rows_of = {"airports": 3376, "countries": 249, "airlines": 41, "routes": 7}

    def rows(self, table):
        self.did("count", str(table))
        return self.rows_of[table]

    def wrong(self, run):
        tables, mails = self.input["Tables"], self.mails
        counted = [table for (table,) in self.of("count")]
        total, ended = sum(self.rows_of[table] for table in tables), run.status == "SUCCEEDED"
        if (ended and counted != tables) or len(counted) > len(tables):
            return "counts", f"Tables is {listed(tables)}; it counted {listed(counted)}."
        if ended and (paused := self.paused_otherwise("count", run)):
            return "counts", paused
        if mails and mails[0] != f"{total} rows":
            return "mails", f"There are {total} rows, and its mail said: {mails[0]}."
        if len(mails) > 1 or (ended and not mails):
            return "mails", f"It sent {len(mails)} mails."
        if mails and counted and (after := self.when("mail")[0] - self.when("count")[-1]) < self.input["Seconds"]:
            return "mails", f"It sent its mail {after} s after the last count; Seconds is {self.input['Seconds']}."
        if not ended or run.result != {"Rows": total}:
            return "returns", f"There are {total} rows, and {run.in_words()}."


class Listed(Outside):
    """Tables that are listed in another order whenever somebody asks, exercise 4. later: what is listed later."""

    has = later = ("airports", "countries", "airlines")

    def __init__(self, input):
        super().__init__(input)
        self.asked, self.numbers = 0, {}

    def tables(self):
        self.asked += 1
        tables = [*(self.later if self.asked > 1 else self.has)]
        turn = -(self.asked - 1) % len(tables)
        return tables[turn:] + tables[:turn]

    def order(self, table):
        self.did("order", str(table))
        number = f"order-{len(self.effects)}"
        self.numbers.setdefault(table, number)
        return number

    def wrong(self, run):
        ordered = [table for (table,) in self.of("order")]
        again = next((table for table in ordered if ordered.count(table) > 1), None)
        if again:
            return "once", f"It ordered an audit of {again} {times(ordered.count(again))}."
        if run.status != "SUCCEEDED" or sorted(ordered) != sorted(self.has):
            return (
                "once",
                f"At first {listed(self.has)} were listed; it ordered {listed(ordered)}, and {run.in_words()}.",
            )
        if paused := self.paused_otherwise("order", run):
            return "once", paused
        if run.result != self.numbers:
            return "returns", f"The orders were {self.numbers}, and {run.in_words()}."
        steps = [event.get("Name") or "" for event in run.history if event["EventType"] == "StepStarted"]
        names = {table: {name for name in steps if table in name} for table in self.has}
        if not all(names.values()) or len(set().union(*names.values())) < len(names):
            return "names", f"Its steps were called {listed(filter(None, steps))}."


class Single(Listed):
    has = later = ("routes",)


class Changing(Listed):
    has, later = ("countries", "routes"), ("airlines", "countries")


class Pages(Outside):
    """A table that is read page by page, exercise 5. shorter: by so many rows its last page is."""

    shorter = 3

    def page(self, number, kilobytes):
        self.did("read", f"page {number}")
        return ["x" * 100] * (10 * kilobytes - self.shorter * (number == self.input["Pages"]))

    def tell(self, text):
        self.did("tell", str(text))

    def wrong(self, run):
        pages, mails, ended = self.input["Pages"], self.mails, run.status == "SUCCEEDED"
        wanted = [f"page {number}" for number in range(1, pages + 1)]
        rows = pages * 10 * self.input["KB"] - self.shorter
        for kind, sentence, word in (("read", "reads", "read"), ("tell", "tells", "told of")):
            got = [page for (page,) in self.of(kind)]
            again = next((page for page in got if got.count(page) > 1), None)
            if again:
                return sentence, f"It {word} {again} {times(got.count(again))}."
            if ended and got != wanted:
                return sentence, f"There are {pages} pages; it {word} {listed(got)}."
        kinds = [effect[0] for effect in self.effects if effect[0] != "mail"]
        if kinds != (["read", "tell"] * pages)[: len(kinds)]:
            return "tells", f"It did, in this order: {listed(map(' '.join, self.effects))}."
        if mails and (mails[0] != f"{rows} rows" or self.not_seconds(self.when("mail")[0], run)):
            after = f"after {self.when('mail')[0]} s; Seconds is {self.input['Seconds']}"
            return "mails", f"There are {rows} rows, and its mail said: {mails[0]}, {after}."
        if len(mails) > 1 or (ended and not mails):
            return "mails", f"It sent {len(mails)} mails."
        if not ended or run.result != {"Rows": rows}:
            return "returns", f"There are {rows} rows, and {run.in_words()}."


_REFUSALS = {"order": "No audit could be ordered.", "publish": "The table could not be published."}


class Locked(Outside):
    """A table with a lock, exercise 6. refused: what cannot be done, if anything. busy: how often it cannot at first.

    Both are of what is done between locking and unlocking.
    """

    refused, busy = None, 0

    def __init__(self, input):
        super().__init__(input)
        self.is_locked, self.unguarded = False, None
        self.tried = []  # when somebody published it, or tried to

    def lock(self, table):
        self.did("lock", str(table))
        self.is_locked = True

    def unlock(self, table):
        self.did("unlock", str(table))
        self.is_locked = False

    @contextlib.contextmanager
    def locked(self, table):
        self.lock(table)
        try:
            yield
        finally:
            self.unlock(table)

    def order(self, table):
        if self.refused == "order":
            raise PermissionError(_REFUSALS["order"])
        self.did("order", str(table))
        self.unguarded = self.unguarded or (None if self.is_locked else "ordered")

    def publish(self, table):
        self.tried.append(self.now())
        if self.refused == "publish" or len(self.tried) <= self.busy:
            raise PermissionError(_REFUSALS["publish"])
        self.did("publish", str(table))
        self.unguarded = self.unguarded or (None if self.is_locked else "published")

    def wrong(self, run):
        kinds = [effect[0] for effect in self.effects]
        ended, works = run.status in ("SUCCEEDED", "FAILED"), {"order": "ordered", "publish": "published"}
        possible = [*itertools.takewhile(lambda kind: kind != self.refused, works)]
        if self.unguarded:
            return "holds", f"The table was not locked when it was {self.unguarded}."
        if kinds.count("lock") > 1:
            between = ", and was open in between" * ("unlock" in kinds)
            return "holds", f"It was locked {times(kinds.count('lock'))}{between}."
        if any(effect[1] != self.input["Table"] for effect in self.effects):
            return "works", f"The table is {self.input['Table']}, and it did: {listed(map(' '.join, self.effects))}."
        for kind, word in works.items():
            if kinds.count(kind) > 1 or (ended and kind in possible and kind not in kinds):
                return "works", f"It {word} {times(kinds.count(kind))}, and {run.in_words()}."
        if self.tried and "order" in kinds and self.not_seconds(after := self.tried[0] - self.when("order")[0], run):
            return "works", f"It published {after} s after the order."
        if self.refused and (kinds.count("unlock") != 1 or run.status != "FAILED"):
            unlocked = f"The table was unlocked {times(kinds.count('unlock'))}"
            return "fails", f"{_REFUSALS[self.refused]} {unlocked}, and {run.in_words()}."
        if not self.refused and (kinds.count("unlock") > 1 or (ended and "unlock" not in kinds)):
            return "unlocks", f"It unlocked the table {times(kinds.count('unlock'))}."
        if not self.refused and run.status != "SUCCEEDED":
            return "unlocks", f"It was to succeed, and {run.in_words()}."


class Refused(Locked):
    refused = "publish"


class NoOrder(Locked):
    refused = "order"


class Busy(Locked):
    busy = 1


class Keyed(Outside):
    """A vendor who knows an order by its key, exercise 7. An order without a key is a new one each time."""

    def __init__(self, input):
        super().__init__(input)
        self.keys = {}

    def order(self, table, key=None):
        if key is None or key not in self.keys:
            self.did("order", str(table))
            self.keys[key] = f"order-{len(self.of('order'))}"
        return self.keys[key]

    def wrong(self, run):
        table, orders = self.input["Table"], self.of("order")
        if orders and orders != [(table,)] * len(orders):
            return "orders", f"The table is {table}, and it ordered {listed(each for (each,) in orders)}."
        if run.status != "SUCCEEDED" or not orders or run.result not in self.keys.values():
            return "orders", f"It ordered {times(len(orders))}, and {run.in_words()}."
        if self.not_seconds(after := run.seconds - self.when("order")[0], run):
            return "orders", f"It was over {after} s after the order."
        if len(orders) > 1:
            return "once", f"It ordered {times(len(orders))}, with the keys {listed(map(repr, self.keys))}."
        for key in self.keys:
            if self.another and key is not None and key in self.another.keys:
                return "own", f"Its key was {key!r}, and another execution had the same key."
