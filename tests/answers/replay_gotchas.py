"""Answers to the tasks of lab 05, right and wrong: {task: [answer, ...]}; see `answers/polling_loop.py`.

An answer is what stands in the answer cell in place of the solution: all of it (`text`), or what is changed in it
(`changes`, {what stands there: what is to stand there}).
"""

from contextlib import suppress

from workshop import deploy

from . import cells

CELLS = cells.of_solution("05-replay-gotchas")
TASKS = sorted(int(name.split("-")[1]) for name in CELLS if name.endswith("-answer"))
SOLVED = {number: CELLS[f"task-{number}-answer"] for number in TASKS}


def give(lab, number, answer, scratch):
    """Put an answer into the account. scratch: a folder."""
    before = list(CELLS)[: list(CELLS).index(f"task-{number}-check")]
    files = cells.written([*(CELLS[cell] for cell in before), cells.changed(SOLVED[number], answer)])
    for name, content in files.items():
        (scratch / name).write_text(content)
    thing = SOLVED[number].split()[1].removesuffix(".py")
    with suppress(deploy.DeployError):  # a learner sees it, and then runs the check
        cells.Deploy(scratch).function(lab.name(thing), f"{thing}.py", modules=["outside.py"], durable=3600)


# -- task 1 ------------------------------------------------------------------------------------------------------------

ORDERS = 'context.step(lambda _: outside.order(event["Table"]), name="order")'
MAILS = 'context.step(lambda _: outside.mail(f"{number} should have come."), name="mail")'
WAITS = 'context.wait(Duration.from_seconds(event["Seconds"]), name="delivery")'

TASK_1 = [
    dict(name="the solution"),
    dict(name="as it is given", text=CELLS["task-1-given"], says="not yet", words="outside of a step: it happened in"),
    dict(
        name="only the order in a step",
        changes={MAILS: 'outside.mail(f"{number} should have come.")'},
        says="not yet",
        words="a new one goes on, and the end is the same",
    ),
    dict(
        name="only the mail in a step",
        changes={ORDERS: 'outside.order(event["Table"])'},
        says="not yet",
        words="order airports happens outside of a step",
    ),
    dict(
        name="the mail in the step of the order",
        changes={
            ORDERS: "context.step(both, name='order')",
            "    number = ": "    def both(_):\n"
            '        number = outside.order(event["Table"])\n'
            '        outside.mail(f"{number} should have come.")\n'
            "        return number\n\n    number = ",
            f"    {MAILS}\n": "",
        },
        says="not yet",
        words="It sent its mail after 0 s, and Seconds was 60.",
    ),
    dict(
        name="all of it in one step",
        changes={
            ORDERS: "context.step(both, name='order')",
            "    number = ": "    def both(_):\n"
            '        number = outside.order(event["Table"])\n'
            f"        {WAITS}\n"
            '        outside.mail(f"{number} should have come.")\n'
            "        return number\n\n    number = ",
            f"    {WAITS}\n    context": "    context",
            f"    {MAILS}\n": "",
        },
        says="not yet",
        words="inside of a step, which cannot contain any",
    ),
    dict(
        name="a variable of the module remembers the order",
        changes={
            "@durable": "ORDERS = []\n\n\n@durable",
            f"number = {ORDERS}": 'ORDERS or ORDERS.append(outside.order(event["Table"]))\n    number = ORDERS[0]',
        },
        says="not yet",
        words="its process crashed, and then: order airports happens outside of a step",
    ),
    dict(
        name="it orders where it is not replaying",
        changes={
            f"number = {ORDERS}": "number = None if context.is_replaying() else outside.order(event['Table'])",
        },
        says="not yet",
        words="it",
    ),
    dict(
        name="the mail names the table only",
        changes={'f"{number} should have come."': 'event["Table"]'},
        says="not yet",
        words="the mail said: airports",
    ),
    dict(name="it returns nothing", changes={"\n    return number": ""}, says="not yet", words="it returned null"),
    dict(
        name="it does not wait",
        changes={f"    {WAITS}\n": ""},
        says="not yet",
        words="It sent its mail after 0 s",
    ),
    dict(
        name="it waits for a minute, whatever is said",
        changes={WAITS: 'context.wait(Duration.from_seconds(60), name="delivery")'},
        says="not yet",
        words="With a delivery after days: It sent its mail after 60 s",
    ),
    dict(
        name="the order is placed before each wait of a slice",
        changes={
            f"number = {ORDERS}\n    {WAITS}": "for part in range(2):\n"
            f"        number = {ORDERS}\n        context.wait(Duration.from_seconds(event['Seconds'] // 2))"
        },
        says="not yet",
        words="It ordered twice.",
    ),
    dict(
        name="a step that is called later",
        changes={MAILS: 'context.step(lambda _: lambda: outside.mail(f"{number} should have come."), name="mail")'},
        says="not yet",
        words="",
    ),
    dict(name="steps without names", changes={', name="order"': "", ', name="mail"': ""}),
    dict(
        name="functions for the steps, and a child context",
        changes={
            f"number = {ORDERS}": "def place(child):\n"
            '        return child.step(lambda _: outside.order(event["Table"]), name="order")\n\n'
            "    number = context.run_in_child_context(place, name='vendor')",
        },
    ),
    dict(
        name="a durable step by its decorator",
        changes={
            "import durable_execution": "import durable_execution, durable_step",
            "@durable_execution": "@durable_step\ndef place(step, table):\n    return outside.order(table)\n\n\n"
            "@durable_execution",
            ORDERS: 'context.step(place(event["Table"]), name="order")',
        },
    ),
]

# -- task 2 ------------------------------------------------------------------------------------------------------------

ASKS = 'context.step(lambda _: outside.price(), name="price")'
BUYS = 'context.step(lambda _: outside.order(event["Table"]), name="order")'

TASK_2 = [
    dict(name="the solution"),
    dict(name="as it is given", text=CELLS["task-2-given"], says="not yet", words="With a price that rises: "),
    dict(
        name="only the decision in a step",
        text=CELLS["task-2-given"].replace(
            'outside.price() <= event["Limit"]',
            'context.step(lambda _: outside.price() <= event["Limit"], name="decide")',
        ),
        says="not yet",
        words="and its mail said: airports: 120",
    ),
    dict(
        name="two steps ask for it",
        text=CELLS["task-2-given"].replace("outside.price()", "context.step(lambda _: outside.price(), name='price')"),
        says="not yet",
        words="and its mail said: airports: 120",
    ),
    dict(
        name="asked once outside of steps",
        changes={ASKS: "outside.price()"},
        says="not yet",
        words="another operation than the first time",
    ),
    dict(
        name="the price in a variable that a step sets",
        changes={
            f"price = {ASKS}": "price = 0\n\n    def ask(_):\n        nonlocal price\n"
            "        price = outside.price()\n\n"
            "    context.step(ask, name='price')"
        },
        says="not yet",
        words="",
    ),
    dict(
        name="the order is outside of a step",
        changes={BUYS: 'outside.order(event["Table"])'},
        says="not yet",
        words="order airports happens outside of a step",
    ),
    dict(name="below the limit only", changes={"price <=": "price <"}),
    dict(name="it buys what is too dear", changes={"price <=": "price >"}, says="not yet", words="with a limit of"),
    dict(name="it never asks", changes={ASKS: "80"}, says="not yet", words="It never asked"),
    dict(
        name="the mail is not sent where nothing is ordered",
        changes={"    context.step(lambda _: outside.mail": "    ordered and context.step(lambda _: outside.mail"},
        says="not yet",
        words="It sent 0 mails.",
    ),
    dict(
        name="a step for all of it",
        changes={
            f"        {BUYS}\n": "        pass\n",
            f"price = {ASKS}": "def decide(_):\n"
            "        price = outside.price()\n"
            '        if price <= event["Limit"]:\n            outside.order(event["Table"])\n'
            "        return price\n\n    price = context.step(decide, name='decide')",
        },
    ),
    dict(
        name="a dict from the step",
        changes={
            f'price = {ASKS}\n    ordered = price <= event["Limit"]': "def ask(_):\n"
            '        price = outside.price()\n        return {"price": price, "ordered": price <= event["Limit"]}\n\n'
            "    decided = context.step(ask, name='decide')\n"
            "    price, ordered = decided['price'], decided['ordered']"
        },
    ),
]

ANSWERS = {1: TASK_1, 2: TASK_2}
