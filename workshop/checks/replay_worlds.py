"""The worlds in which the durable functions of lab 05 are explored: what stands in their `outside.py`, and who answers.

Each is made with the input of the execution and is the module `outside` for the function. `wrong(run)` says what is
wrong with a run: (name of a sentence of the contract, what happened in a sentence), or None. It looks at the first
sentence that is not kept, in the order of the contract. All time in them is the explorer's one clock.
"""

import contextlib

from workshop.exploring import World


class Outside(World):
    """What all of them have."""

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

    def wrong(self, run):
        raise NotImplementedError


def times(number):
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")


class Vendor(Outside):
    """A vendor who takes orders, task 1: order, wait, mail."""

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
            return "once", f"It was to order a check of {table}, and ordered one of {orders[0][0]}."
        if len(mails) != 1 and run.status == "SUCCEEDED":
            return "mails", f"It sent {len(mails)} mails."
        if mails and (not self.numbers or self.numbers[0] not in mails[0]):
            return "mails", f"The order was {', '.join(self.numbers) or 'not placed'}, and the mail said: {mails[0]}."
        if mails and self.when("mail")[0] < days:
            return "mails", f"It sent its mail after {self.when('mail')[0]} s, and Seconds was {days}."
        if run.status != "SUCCEEDED" or run.result != self.numbers[0]:
            return "returns", f"The order was {', '.join(self.numbers) or 'not placed'}, and {run.in_words()}."


class Prices(Outside):
    """A vendor whose price is another one whenever somebody asks, task 2."""

    prices = ()

    def __init__(self, input):
        super().__init__(input)
        self.told = []

    def price(self):
        self.told.append(self.prices[min(len(self.told), len(self.prices) - 1)])
        return self.told[-1]

    def order(self, table):
        self.did("order", str(table))

    def wrong(self, run):
        limit, table = self.input["Limit"], self.input["Table"]
        orders, mails, first = self.of("order"), self.mails, self.told[:1]
        failed = run.status != "SUCCEEDED"
        if orders not in ([], [(table,)]):
            return "decides", f"It ordered {times(len(orders))}: {', '.join(each[0] for each in orders)}."
        told = "The prices that it was told were " + ", ".join(map(str, self.told)) if self.told else "It never asked"
        if failed or not first:
            return "decides", f"{told}; {run.in_words()}."
        prices = [price for price in self.told if (price <= limit) == bool(orders)]
        if not prices:
            return "decides", f"{told}, with a limit of {limit}, and it ordered {times(len(orders))}."
        if len(mails) != 1:
            return "mails", f"It sent {len(mails)} mails."
        said = [price for price in prices if f"{table}: {price}" == mails[0]]
        if not said:
            did = "ordered" if orders else "did not order"
            return "mails", f"{told}, the limit is {limit}, it {did}, and its mail said: {mails[0]}."
        if run.result != {"Price": said[0], "Ordered": bool(orders)}:
            return "returns", f"Its mail said {mails[0]}, and {run.in_words()}."


class Rising(Prices):
    prices = (80, 120, 150, 190)


class Falling(Prices):
    prices = (130, 90, 70, 60)


class Moving(Prices):
    prices = (70, 75, 65, 85, 60)


class Rows(Outside):
    """Tables with rows to be counted, task 3."""

    rows_of = {"airports": 3376, "countries": 249, "airlines": 41, "routes": 7}

    def rows(self, table):
        self.did("count", table)
        return self.rows_of[table]

    def wrong(self, run):
        tables, mails = self.input["Tables"], self.mails
        counted = [table for (table,) in self.of("count")]
        total = sum(self.rows_of[table] for table in tables)
        if run.status == "SUCCEEDED" and counted != tables:
            return "counts", f"Tables was {', '.join(tables) or 'empty'}; it counted {', '.join(counted) or 'none'}."
        if mails and mails[0] != f"{total} rows":
            return "mails", f"There are {total} rows, and its mail said: {mails[0]}."
        if run.status == "SUCCEEDED" and len(mails) != 1:
            return "mails", f"It sent {len(mails)} mails."
        if run.status != "SUCCEEDED" or run.result != {"Rows": total}:
            return "returns", f"There are {total} rows, and {run.in_words()}."


class Listed(Outside):
    """Tables that are listed in another order whenever somebody asks, task 4."""

    def __init__(self, input):
        super().__init__(input)
        self.asked, self.numbers = 0, {}

    def tables(self):
        tables = self.input["Has"]
        self.asked += 1
        turn = (self.asked - 1) % max(len(tables), 1)
        return tables[turn:] + tables[:turn]

    def order(self, table):
        self.did("order", str(table))
        self.numbers.setdefault(table, f"order-{len(self.effects)}")
        return f"order-{len(self.effects)}"

    def wrong(self, run):
        tables, ordered = self.input["Has"], [table for (table,) in self.of("order")]
        again = next((table for table in ordered if ordered.count(table) > 1), None)
        if again:
            return "once", f"It ordered a check of {again} {times(ordered.count(again))}."
        if run.status == "SUCCEEDED" and sorted(ordered) != sorted(tables):
            return "once", f"There are {', '.join(tables)}; it ordered checks of {', '.join(ordered) or 'none'}."
        if run.status != "SUCCEEDED":
            return "once", f"{run.in_words().capitalize()}."
        if run.result != self.numbers:
            return "returns", f"The orders were {self.numbers}, and {run.in_words()}."
        steps = [event.get("Name") or "" for event in run.history if event["EventType"] == "StepStarted"]
        unnamed = [table for table in tables if not any(table in name for name in steps)]
        if unnamed:
            return "names", f"The steps were called {', '.join(filter(None, steps)) or 'nothing'}."


class Pages(Outside):
    """A table that is read page by page, task 5."""

    def page(self, table, number):
        self.did("read", f"page {number}")
        line = f"{table} {number} "
        return [line + "x" * (100 - len(line))] * (self.input["KB"] * 10)

    def tell(self, text):
        self.did("tell", str(text))

    def wrong(self, run):
        pages, kb, mails = self.input["Pages"], self.input["KB"], self.mails
        wanted = [(f"page {number}",) for number in range(1, pages + 1)]
        rows = pages * kb * 10
        for kind, word in (("read", "read"), ("tell", "told of")):
            got = self.of(kind)
            again = next((page for page in got if got.count(page) > 1), None)
            if again:
                return kind + "s", f"It {word} {again[0]} {times(got.count(again))}."
            if run.status == "SUCCEEDED" and got != wanted:
                said = ", ".join(page for (page,) in got) or "none"
                return kind + "s", f"There are {pages} pages; it {word} {said}."
        if mails and mails[0] != f"{rows} rows":
            return "mails", f"There are {rows} rows, and its mail said: {mails[0]}."
        if run.status == "SUCCEEDED" and len(mails) != 1:
            return "mails", f"It sent {len(mails)} mails."
        if run.status != "SUCCEEDED" or run.result != {"Rows": rows}:
            return "returns", f"There are {rows} rows, and {run.in_words()}."


class Locked(Outside):
    """A table with a lock, task 6. refuses: whether it cannot be published."""

    refuses = False

    def __init__(self, input):
        super().__init__(input)
        self.is_locked, self.unguarded = False, None

    def lock(self, table):
        self.did("lock", table)
        self.is_locked = True

    def unlock(self, table):
        self.did("unlock", table)
        self.is_locked = False

    @contextlib.contextmanager
    def locked(self, table):
        self.lock(table)
        try:
            yield
        finally:
            self.unlock(table)

    def order(self, table):
        self.did("order", table)
        if not self.is_locked:
            self.unguarded = "order a check"
        return "order-1"

    def publish(self, table):
        if not self.is_locked:
            self.unguarded = "publish it"
        if self.refuses:
            raise PermissionError("It cannot be published.")
        self.did("publish", table)

    def wrong(self, run):
        kinds = [effect[0] for effect in self.effects]
        seconds, table = self.input["Seconds"], self.input["Table"]
        if "lock" not in kinds:
            return "holds", "It never locked the table."
        if self.unguarded:
            return "holds", f"The table was not locked when it came to {self.unguarded}."
        if kinds.count("lock") > 1:
            return "holds", f"It locked the table {times(kinds.count('lock'))}."
        if kinds.count("order") > 1 or kinds.count("publish") > 1:
            twice = "ordered" if kinds.count("order") > 1 else "published"
            return "works", f"It {twice} {times(max(kinds.count('order'), kinds.count('publish')))}."
        ended = run.status in ("SUCCEEDED", "FAILED")
        if ended and ("order" not in kinds or ("publish" not in kinds and not self.refuses)):
            return "works", f"It {'did not order' if 'order' not in kinds else 'did not publish'}; {run.in_words()}."
        if "publish" in kinds and self.when("publish")[0] - self.when("order")[0] < seconds:
            return "works", f"It published before Seconds, {seconds}, were over."
        if kinds.count("unlock") != 1 and ended:
            return "unlocks", f"It unlocked the table {times(kinds.count('unlock'))}; {run.in_words()}."
        if any(effect[1] != table for effect in self.effects):
            return "works", f"It was about {table}, and it did {' '.join(self.effects[0])}."
        if self.refuses and run.status != "FAILED":
            return "fails", f"The table could not be published, and {run.in_words()}."
        if not self.refuses and run.status != "SUCCEEDED":
            return "works", f"{run.in_words().capitalize()}."


class Refused(Locked):
    refuses = True


class Keyed(Outside):
    """A vendor who knows an order by its key, task 7. An order without a key is a new one each time."""

    def __init__(self, input):
        super().__init__(input)
        self.keys = {}

    def order(self, table, key=None):
        if key in self.keys:
            return self.keys[key]
        self.did("order", str(table))
        number = f"order-{len(self.of('order'))}"
        if key is not None:
            self.keys[key] = number
        return number

    def wrong(self, run):
        table, orders = self.input["Table"], self.of("order")
        if len(orders) > 1:
            return "once", f"It ordered {times(len(orders))}."
        if run.status == "SUCCEEDED" and orders != [(table,)]:
            return "once", f"It was to order a check of {table}, and ordered {', '.join(each[0] for each in orders)}."
        if run.status != "SUCCEEDED" or run.result != "order-1":
            return "returns", f"The order was order-1, and {run.in_words()}."
