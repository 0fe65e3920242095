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
    dict(
        name="it waits, and then orders",
        changes={f"    number = {ORDERS}\n": "", WAITS: f"{WAITS}\n    number = {ORDERS}"},
        says="not yet",
        words="It ordered after 60 s",
    ),
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
        words="and one crash: order airports happens outside of a step",
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
        name="it sleeps and is not suspended",
        changes={WAITS: 'time.sleep(event["Seconds"])', "import outside": "import time\n\nimport outside"},
        says="not yet",
        words="and Lambda ends an invocation after 15 minutes",
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
        words="The order was order-1, and it failed: SerDesError",
    ),
    dict(
        name="it waits for as many minutes",
        changes={WAITS: WAITS.replace("from_seconds", "from_minutes")},
        says="not yet",
        words="It sent its mail after 3600 s, and Seconds was 60.",
    ),
    dict(
        name="it waits for some days, whatever is said",
        changes={WAITS: 'context.wait(Duration.from_seconds(200000), name="delivery")'},
        says="not yet",
        words="It sent its mail after 200000 s, and Seconds was 60.",
    ),
    dict(
        name="it waits for a while, and then orders",
        changes={f"number = {ORDERS}": f"context.wait(Duration.from_seconds(30))\n    number = {ORDERS}"},
        says="not yet",
        words="It ordered after 30 s",
    ),
    dict(name="steps without names", changes={', name="order"': "", ', name="mail"': ""}),
    dict(
        name="the wait in two parts",
        changes={
            WAITS: "first = event['Seconds'] // 2\n"
            "    context.wait(Duration.from_seconds(first))\n"
            "    context.wait(Duration.from_seconds(event['Seconds'] - first))"
        },
    ),
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
    dict(
        name="as it is given",
        text=CELLS["task-2-given"],
        says="not yet",
        words="it ordered when it knew 70, and its mail said: routes: 65",
    ),
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
        words="it ordered when it knew 70, and its mail said: routes: 75",
    ),
    dict(
        name="the price in a variable that a step sets",
        changes={
            f"price = {ASKS}": "price = 0\n\n    def ask(_):\n        nonlocal price\n"
            "        price = outside.price()\n\n"
            "    context.step(ask, name='price')"
        },
        says="not yet",
        words="and its mail said: airports: 0.",
    ),
    dict(
        name="the order is outside of a step",
        changes={BUYS: 'outside.order(event["Table"])'},
        says="not yet",
        words="order airports happens outside of a step",
    ),
    dict(
        name="below the limit only",
        changes={"price <=": "price <"},
        says="not yet",
        words="The prices that it was told were 120, with a limit of 120, and it ordered 0 times",
    ),
    dict(
        name="its limit is 100, whatever is said",
        changes={'event["Limit"]': "100"},
        says="not yet",
        words="The prices that it was told were 98, with a limit of 95, and it ordered once",
    ),
    dict(
        name="it asks once more where the price is too high",
        changes={f"price = {ASKS}": f"price = {ASKS}\n    if price > event['Limit']:\n        price = {ASKS}"},
        says="not yet",
        words="The prices that it was told were 98, 90, with a limit of 95, and it ordered once",
    ),
    dict(
        name="it says how often it has ordered, and not whether",
        changes={'"Ordered": ordered': '"Ordered": int(ordered)'},
        says="not yet",
        words='it returned {"Price": 80, "Ordered": 1}',
    ),
    dict(name="it buys what is too dear", changes={"price <=": "price >"}, says="not yet", words="with a limit of"),
    dict(name="it never asks", changes={ASKS: "80"}, says="not yet", words="It never asked"),
    dict(
        name="the mail is not sent where nothing is ordered",
        changes={"    context.step(lambda _: outside.mail": "    ordered and context.step(lambda _: outside.mail"},
        says="not yet",
        words="It sent 0 mails.",
    ),
    dict(
        name="it does not wait",
        changes={'    context.wait(Duration.from_seconds(event["Seconds"]), name="hour")\n': ""},
        says="not yet",
        words="It sent its mail after 0 s",
    ),
    dict(
        name="it asks again for the mail, in a step",
        changes={
            "    context.step(lambda _: outside.mail": f"    price = {ASKS}\n    context.step(lambda _: outside.mail"
        },
        says="not yet",
        words="and its mail said: airports: 120",
    ),
    dict(
        name="it waits for as many minutes",
        changes={'from_seconds(event["Seconds"])': 'from_minutes(event["Seconds"])'},
        says="not yet",
        words="It sent its mail after 216000 s; Seconds is 3600.",
    ),
    dict(
        name="it waits for a while, and then orders",
        changes={f"        {BUYS}": f"        context.wait(Duration.from_seconds(30))\n        {BUYS}"},
        says="not yet",
        words="It ordered after 30 s",
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

# -- task 3 ------------------------------------------------------------------------------------------------------------

COUNTS = 'context.step(lambda _: outside.rows(table), name=f"count {table}")'
SENDS = 'context.step(lambda _: outside.mail(f"{total} rows"), name="mail")'
PAUSE = 'context.wait(Duration.from_seconds(event["Seconds"]), name=f"pause after {table}")'

TASK_3 = [
    dict(name="the solution"),
    dict(
        name="no pauses",
        changes={f"        {PAUSE}\n": ""},
        says="not yet",
        words="Its pauses were 0 s, 0 s; Seconds is 60",
    ),
    dict(
        name="it makes the pause before it counts",
        changes={
            f"        total += {COUNTS}\n": "",
            PAUSE: f"{PAUSE}\n        total += {COUNTS}",
        },
        says="not yet",
        words="Its pauses were 60 s, 0 s; Seconds is 60",
    ),
    dict(name="as it is given", text=CELLS["task-3-given"], says="not yet", words="its mail said: 0 rows"),
    dict(
        name="a list that steps add to",
        changes={
            "total = 0": "counted = []",
            f"total += {COUNTS}": f"{COUNTS.replace('outside.rows(table)', 'counted.append(outside.rows(table))')}",
            "{total} rows": "{sum(counted)} rows",
            '"Rows": total': '"Rows": sum(counted)',
        },
        says="not yet",
        words="its mail said: 0 rows",
    ),
    dict(
        name="a variable of the module",
        changes={
            "@durable": "TOTALS = {}\n\n\n@durable",
            f"total += {COUNTS}": "context.step(lambda _: TOTALS.update({table: outside.rows(table)}))",
            "    context.step(lambda _: outside.mail": "    total = sum(TOTALS.values())\n"
            "    context.step(lambda _: outside.mail",
        },
        says="not yet",
        words="and one crash: There are 3625 rows, and its mail said:",
    ),
    dict(
        name="counted outside of steps",
        changes={COUNTS: "outside.rows(table)"},
        says="not yet",
        words="count airports happens outside of a step",
    ),
    dict(
        name="the mail outside of a step",
        changes={SENDS: 'outside.mail(f"{total} rows")'},
        says="not yet",
        words="and one crash: mail",
    ),
    dict(
        name="only the last one",
        changes={"total += ": "total = "},
        says="not yet",
        words="There are 3625 rows, and its mail said: 249 rows",
    ),
    dict(
        name="the mail in the loop",
        changes={f"    {SENDS}": f"        {SENDS}"},
        says="not yet",
        words="its mail said: 3376 rows",
    ),
    dict(
        name="tables in alphabetic order",
        changes={'in event["Tables"]': 'in sorted(event["Tables"])'},
        says="not yet",
        words="It counts the rows of each table in Tables once, in this order",
    ),
    dict(name="no mail", changes={f"    {SENDS}\n": ""}, says="not yet", words="It sent 0 mails."),
    dict(
        name="the mail only where there was something to count",
        changes={f"    {SENDS}": f"    if total:\n        {SENDS}"},
        says="not yet",
        words="With no table: It sent 0 mails.",
    ),
    dict(
        name="it returns what the mail returned",
        changes={f"    {SENDS}": f"    total = {SENDS}"},
        says="not yet",
        words='it returned {"Rows": null}',
    ),
    dict(
        name="all counts in one step",
        changes={
            '    for table in event["Tables"]:\n        total += ' + COUNTS + f"\n        {PAUSE}\n": "    total = "
            'context.step(lambda _: sum(map(outside.rows, event["Tables"])), name="count")\n'
        },
        says="not yet",
        words="Its pauses were",
    ),
    dict(
        name="pauses of an hour, whatever is said",
        changes={PAUSE: PAUSE.replace('from_seconds(event["Seconds"])', "from_hours(1)")},
        says="not yet",
        words="Its pauses were 3600 s, 3600 s; Seconds is 60",
    ),
    dict(
        name="the mail before the last pause",
        changes={
            f"    {SENDS}\n": f"    if not event['Tables']:\n        {SENDS}\n",
            PAUSE: f"if table == event['Tables'][-1]:\n            {SENDS}\n        {PAUSE}",
        },
        says="not yet",
        words="It sent its mail 0 s after the last count; Seconds is 60.",
    ),
    dict(
        name="a map",
        changes={
            '    for table in event["Tables"]:\n        total += ' + COUNTS + f"\n        {PAUSE}\n": "\n"
            "    def count(branch, table, number, tables):\n"
            "        rows = branch.step(lambda _: outside.rows(table), name=f'count {table}')\n"
            "        branch.wait(Duration.from_seconds(event['Seconds']))\n        return rows\n\n"
            "    one = MapConfig(max_concurrency=1)\n"
            "    total = sum(context.map(event['Tables'], count, name='counts', config=one).get_results())\n",
            "import Duration": "import Duration, MapConfig",
        },
    ),
    dict(
        name="a dict of results",
        changes={
            "total = 0": "counts = {}",
            "total += ": "counts[table] = ",
            f"    {SENDS}": f"    total = sum(counts.values())\n    {SENDS}",
        },
    ),
    dict(
        name="the total goes through the steps",
        changes={
            f"total += {COUNTS}": "total = context.step(lambda _: total + outside.rows(table), name=table)",
        },
    ),
]

# -- task 4 ------------------------------------------------------------------------------------------------------------

LISTS = 'context.step(lambda _: outside.tables(), name="tables")'
NAMED = 'name=f"order {table}"'

TASK_4 = [
    dict(name="the solution"),
    dict(name="as it is given", text=CELLS["task-4-given"], says="not yet", words="its name was 'order "),
    dict(
        name="no names, and the list as it comes",
        changes={LISTS: "outside.tables()", f", {NAMED}": "", ', name="pause"': ""},
        says="not yet",
        words="It ordered an audit of",
    ),
    dict(
        name="names of tables, and the list as it comes",
        changes={LISTS: "outside.tables()"},
        says="not yet",
        words="its name was 'order airports', and is 'order airlines'",
    ),
    dict(
        name="the same name for all",
        changes={NAMED: 'name="order"'},
        says="not yet",
        words="Its steps were called tables, order, order",
    ),
    dict(
        name="no names, and the list from a step",
        changes={f", {NAMED}": ""},
        says="not yet",
        words="Each table has a step with the table in its name",
    ),
    dict(
        name="sorted, as it comes",
        changes={LISTS: "sorted(outside.tables())"},
        says="not yet",
        words="With tables that come and go",
    ),
    dict(
        name="it looks whether a table is still there, and leaves it out where not",
        changes={
            "        numbers[table] =": "        listed = context.step(lambda _: outside.tables(), "
            "name=f'is {table} there')\n        if table not in listed:\n            continue\n        numbers[table] ="
        },
        says="not yet",
        words="At first countries, routes were listed; it ordered countries, and it returned",
    ),
    dict(
        name="a set of what a step has listed",
        changes={LISTS: f"set({LISTS})"},
        says="not yet",
        words="A set has another order in each process",
    ),
    dict(
        name="uuids in the names, and the list from a step",
        changes={NAMED: 'name=f"order {table} {uuid.uuid4()}"'},
        says="not yet",
        words="its name was 'order",
    ),
    dict(
        name="orders outside of steps",
        changes={"context.step(lambda _: outside.order(table), " + NAMED + ")": "outside.order(table)"},
        says="not yet",
        words="happens outside of a step",
    ),
    dict(
        name="one step for all orders",
        changes={
            f"    for table in {LISTS}:\n"
            f"        numbers[table] = context.step(lambda _: outside.order(table), {NAMED})\n"
            '        context.wait(Duration.from_seconds(event["Seconds"]), name="pause")\n': "    def all_of_them(_):\n"
            "        return {table: outside.order(table) for table in outside.tables()}\n\n"
            "    numbers = context.step(all_of_them, name='orders')\n"
        },
        says="not yet",
        words="Its pauses were 0 s, 0 s, 0 s",
    ),
    dict(
        name="it returns a list",
        changes={"return numbers": "return list(numbers.values())"},
        says="not yet",
        words="The orders were {",
    ),
    dict(
        name="only new ones are ordered, as they come",
        changes={
            LISTS: "outside.tables()",
            "        numbers[table] =": "        numbers[table] = numbers.get(table) or",
        },
        says="not yet",
        words="its name was 'order airports', and is 'order airlines'",
    ),
    dict(
        name="pauses of as many minutes",
        changes={'from_seconds(event["Seconds"])': 'from_minutes(event["Seconds"])'},
        says="not yet",
        words="Its pauses were 3600 s, 3600 s, 3600 s; Seconds is 60",
    ),
    dict(
        name="all tables in the name of each step",
        changes={
            f"    for table in {LISTS}:": f"    tables = {LISTS}\n    for table in tables:",
            NAMED: 'name=f"order {tables}"',
        },
        says="not yet",
        words="Its steps were called tables, order [",
    ),
    dict(
        name="the list from a child context",
        changes={
            LISTS: "context.run_in_child_context(lambda child: child.step(lambda _: outside.tables()), name='tables')"
        },
    ),
    dict(name="sorted, from a step", changes={LISTS: f"sorted({LISTS})"}),
    dict(
        name="a step records a set, in the order that it has there",
        changes={LISTS: LISTS.replace("outside.tables()", "tuple(set(outside.tables()))")},
    ),
    dict(
        name="a step records keys",
        changes={LISTS: LISTS.replace("outside.tables()", "dict.fromkeys(set(outside.tables()))")},
    ),
    dict(name="numbers in the names, too", changes={NAMED: 'name=f"{len(numbers)}: order of {table}"'}),
    dict(name="the table alone in the name", changes={NAMED: "name=table"}),
    dict(
        name="all tables in the name, after its own",
        changes={
            f"    for table in {LISTS}:": f"    tables = {LISTS}\n    for table in tables:",
            NAMED: 'name=f"{table} of {tables}"',
        },
    ),
]

# -- task 5 ------------------------------------------------------------------------------------------------------------

TELLS = 'child.step(lambda _: outside.tell(f"page {number}"), name=f"tell of page {number}")'
READS = 'child.step(lambda _: outside.page(number, event["KB"]), name=f"page {number}")'
CHILD = 'context.run_in_child_context(read, name="read")'
SMALL = {  # the child returns the number of rows
    "        rows = []": "        rows = 0",
    READS: f"len({READS})",
    "{len(rows)} rows": "{rows} rows",
    '"Rows": len(rows)': '"Rows": rows',
}

TASK_5 = [
    dict(name="the solution"),
    dict(
        name="it tells before it has read",
        changes={f"            {TELLS}\n": "", "            rows += ": f"            {TELLS}\n            rows += "},
        says="not yet",
        words="It did, in this order: tell page 1, read page 1",
    ),
    dict(
        name="as it is given", text=CELLS["task-5-given"], says="not yet", words="tell page 1 happens outside of a step"
    ),
    dict(
        name="a small result, and the telling outside of a step",
        changes={TELLS: 'outside.tell(f"page {number}")', **SMALL},
        says="not yet",
        words="and one crash: tell page 1 happens outside of a step",
    ),
    dict(
        name="no child, and the telling outside of steps",
        changes={TELLS: 'outside.tell(f"page {number}")', CHILD: "read(context)"},
        says="not yet",
        words="tell page 1 happens outside of a step",
    ),
    dict(
        name="the steps of the child by the context of the handler, and a small result",
        changes={**SMALL, "child.step": "context.step"},
        says="not yet",
        words="its type was 'STEP', and is 'WAIT'",
    ),
    dict(
        name="reading outside of steps",
        changes={READS: 'outside.page(number, event["KB"])'},
        says="not yet",
        words="read page 1 happens outside of a step",
    ),
    dict(
        name="it tells of all pages at the end",
        changes={f"            {TELLS}": "        child.step(lambda _: outside.tell(f'page {number}'))"},
        says="not yet",
        words="There are 3 pages; it told of page 3",
    ),
    dict(
        name="pages from 0",
        changes={'range(1, event["Pages"] + 1)': 'range(event["Pages"])'},
        says="not yet",
        words="There are 3 pages; it read page 0, page 1, page 2",
    ),
    dict(
        name="it tells while it is not replaying",
        changes={TELLS: 'child.is_replaying() or outside.tell(f"page {number}")'},
        says="not yet",
        words="tell page 3 happens outside of a step",
    ),
    dict(
        name="it remembers of which pages it has told, in a variable of the module",
        changes={
            "@durable": "TOLD = set()\n\n@durable",
            TELLS: "number in TOLD or TOLD.add(number) or outside.tell(f'page {number}')",
        },
        says="not yet",
        words="and one crash: tell page 1 happens outside of a step",
    ),
    dict(
        name="the mail at once",
        changes={'    context.wait(Duration.from_seconds(event["Seconds"]), name="pause")\n': ""},
        says="not yet",
        words="after 0 s; Seconds is 60",
    ),
    dict(
        name="it sleeps and is not suspended",
        changes={
            'context.wait(Duration.from_seconds(event["Seconds"]), name="pause")': 'time.sleep(event["Seconds"])',
            "import outside": "import time\n\nimport outside",
        },
        says="not yet",
        words="and Lambda ends an invocation after 15 minutes",
    ),
    dict(
        name="it tells by the context of the handler, within the child",
        changes={TELLS: TELLS.replace("child", "context")},
        says="not yet",
        words="each replay comes to the same operations as the one before",
    ),
    dict(
        name="it counts pages",
        changes={"rows += ": "rows.append(1) or "},
        says="not yet",
        words="There are 2997 rows, and its mail said: 3 rows",
    ),
    dict(
        name="it multiplies the rows of a page by the pages",
        changes={**SMALL, "rows += ": "rows = event['Pages'] * "},
        says="not yet",
        words="There are 2997 rows, and its mail said: 2991 rows",
    ),
    dict(
        name="it waits for as many minutes",
        changes={'from_seconds(event["Seconds"])': 'from_minutes(event["Seconds"])'},
        says="not yet",
        words="after 3600 s; Seconds is 60",
    ),
    dict(name="a small result", changes=SMALL),
    dict(
        name="a map of pages, one at a time",
        changes={
            "    def read(child):\n        rows = []\n"
            '        for number in range(1, event["Pages"] + 1):\n': "    def read(child, number, *_):\n",
            f"            rows += {READS}\n            {TELLS}\n        return rows": f"        rows = {READS}\n"
            f"        {TELLS}\n        return rows",
            CHILD: 'sum(context.map([*range(1, event["Pages"] + 1)], read, config=ONE).get_results(), [])',
            "@durable": "ONE = MapConfig(max_concurrency=1)\n\n\n@durable",
            "import Duration": "import Duration, MapConfig",
        },
    ),
    dict(
        name="read and told in one step",
        changes={
            f"            {TELLS}\n": "",
            'outside.page(number, event["KB"])': "both(number)",
            "    def read(child)": "    def both(number):\n"
            '        rows = outside.page(number, event["KB"])\n        outside.tell(f"page {number}")\n'
            "        return rows\n\n"
            "    def read(child)",
        },
    ),
    dict(name="no child", changes={CHILD: "read(context)"}),
]

# -- task 6 ------------------------------------------------------------------------------------------------------------

LOCKS = 'context.step(lambda _: outside.lock(table), name="lock")'
UNLOCKS = 'context.step(lambda _: outside.unlock(table), name="unlock")'
AFTER = 'context.step(lambda _: outside.unlock(table), name="unlock after a failure")'
FAILING = f"    except Exception:\n        {AFTER}\n        raise\n    {UNLOCKS}"

TASK_6 = [
    dict(name="the solution"),
    dict(
        name="as it is given",
        text=CELLS["task-6-given"],
        says="not yet",
        words="lock airports happens outside of a step",
    ),
    dict(
        name="finally",
        changes={FAILING: f"    finally:\n        {UNLOCKS}"},
        says="not yet",
        words="its name was 'unlock', and is 'publish'",
    ),
    dict(
        name="finally, outside of a step",
        changes={FAILING: "    finally:\n        outside.unlock(table)"},
        says="not yet",
        words="unlock airports happens outside of a step",
    ),
    dict(
        name="a bare except",
        changes={"except Exception": "except BaseException"},
        says="not yet",
        words="its name was 'unlock after a failure', and is 'publish'",
    ),
    dict(
        name="it does not unlock after a failure",
        changes={FAILING: f"    except Exception:\n        raise\n    {UNLOCKS}"},
        says="not yet",
        words="The table was unlocked 0 times, and it failed",
    ),
    dict(
        name="it swallows the failure",
        changes={f"        {AFTER}\n        raise\n": "        pass\n"},
        says="not yet",
        words="The table could not be published. The table was unlocked once, and it returned null",
    ),
    dict(
        name="it unlocks twice after a failure",
        changes={f"        {AFTER}\n        raise\n": f"        {AFTER}\n        {AFTER}\n        raise\n"},
        says="not yet",
        words="The table was unlocked twice",
    ),
    dict(
        name="the lock outside of a step",
        changes={LOCKS: "outside.lock(table)"},
        says="not yet",
        words="lock airports happens outside of a step",
    ),
    dict(
        name="the unlocking outside of a step",
        changes={f"    {UNLOCKS}": "    outside.unlock(table)"},
        says="not yet",
        words="and one crash: unlock airports happens outside of a step",
    ),
    dict(
        name="no lock",
        changes={f"    {LOCKS}\n": ""},
        says="not yet",
        words="The table was not locked when it was ordered",
    ),
    dict(
        name="locked after the order",
        changes={
            f"    {LOCKS}\n": "",
            "        context.wait": f"        {LOCKS}\n        context.wait",
        },
        says="not yet",
        words="The table was not locked when it was ordered",
    ),
    dict(
        name="unlocked for the wait",
        changes={
            "        context.wait": f"        {UNLOCKS}\n        context.wait",
            "        context.step(lambda _: outside.publish": f"        {LOCKS}\n"
            "        context.step(lambda _: outside.publish",
        },
        says="not yet",
        words="and was open in between",
    ),
    dict(
        name="it never unlocks", changes={f"\n    {UNLOCKS}": ""}, says="not yet", words="It unlocked the table 0 times"
    ),
    dict(
        name="it does not wait",
        changes={'        context.wait(Duration.from_seconds(event["Seconds"]), name="check")\n': ""},
        says="not yet",
        words="It published 0 s after the order",
    ),
    dict(
        name="it unlocks and then publishes",
        changes={
            "        context.step(lambda _: outside.publish": f"        {UNLOCKS}\n        context.step(lambda _: "
            "outside.publish",
            f"\n    {UNLOCKS}": "",
        },
        says="not yet",
        words="The table was not locked when it was published",
    ),
    dict(
        name="it waits for as many minutes",
        changes={'from_seconds(event["Seconds"])': 'from_minutes(event["Seconds"])'},
        says="not yet",
        words="It published 216000 s after the order",
    ),
    dict(
        name="publishing is not tried again",
        changes={
            'name="publish")': 'name="publish", config=StepConfig(retry_strategy=RetryPresets.none()))',
            "import Duration\n": "import Duration, StepConfig\n"
            "from aws_durable_execution_sdk_python.retries import RetryPresets\n",
        },
        says="not yet",
        words="It published 0 times, and it failed",
    ),
    dict(
        name="the step of publishing takes the refusal for its result",
        changes={
            "    try:\n": "\n    def publish(_):\n        try:\n            outside.publish(table)\n"
            "        except PermissionError:\n            return False\n        return True\n\n    try:\n",
            "        context.step(lambda _: outside.publish(table), ": "        published = context.step(publish, ",
            f"    {UNLOCKS}": f"    {UNLOCKS}\n    if not published:\n        raise PermissionError(table)",
        },
        says="not yet",
        words="It published 0 times, and it failed",
    ),
    dict(
        name="lock and order in one step",
        changes={
            f"    {LOCKS}\n    try:\n": "    def begin(_):\n        outside.lock(table)\n"
            "        outside.order(table)\n\n"
            "    context.step(begin, name='begin')\n    try:\n",
            '        context.step(lambda _: outside.order(table), name="order")\n': "",
        },
        says="not yet",
        words="It was locked 6 times.",
    ),
    dict(
        name="only publishing is guarded",
        changes={
            "    try:\n": "",
            '        context.step(lambda _: outside.order(table), name="order")\n'
            '        context.wait(Duration.from_seconds(event["Seconds"]), name="check")\n': "    "
            'context.step(lambda _: outside.order(table), name="order")\n'
            '    context.wait(Duration.from_seconds(event["Seconds"]), name="check")\n    try:\n',
        },
        says="not yet",
        words="No audit could be ordered. The table was unlocked 0 times, and it failed",
    ),
    dict(
        name="a flag, and finally",
        changes={
            "    try:\n": "    suspended = False\n    try:\n",
            FAILING: "    except SuspendExecution:\n        suspended = True\n        raise\n    finally:\n"
            f"        if not suspended:\n            {UNLOCKS}",
            "import durable_execution\n": "import durable_execution\n"
            "from aws_durable_execution_sdk_python.exceptions import SuspendExecution\n",
        },
    ),
    dict(
        name="the failure is kept, and raised when the table is unlocked",
        changes={
            "    try:\n": "    failure = None\n    try:\n",
            FAILING: f"    except Exception as error:\n        failure = error\n    {UNLOCKS}\n"
            "    if failure:\n        raise failure",
        },
    ),
    dict(
        name="publishing is tried a few times, with a strategy",
        changes={
            'name="publish")': 'name="publish", config=StepConfig(retry_strategy=RetryPresets.transient()))',
            "import Duration\n": "import Duration, StepConfig\n"
            "from aws_durable_execution_sdk_python.retries import RetryPresets\n",
        },
    ),
    dict(
        name="except and else",
        changes={f"        raise\n    {UNLOCKS}": f"        raise\n    else:\n        {UNLOCKS}"},
    ),
    dict(
        name="the work in a child context",
        changes={
            "    try:\n": "\n    def work(child):\n"
            "        child.step(lambda _: outside.order(table), name='order')\n"
            "        child.wait(Duration.from_seconds(event['Seconds']), name='check')\n"
            "        child.step(lambda _: outside.publish(table), name='publish')\n\n    try:\n",
            '        context.step(lambda _: outside.order(table), name="order")\n'
            '        context.wait(Duration.from_seconds(event["Seconds"]), name="check")\n'
            '        context.step(lambda _: outside.publish(table), name="publish")\n': "        "
            "context.run_in_child_context(work, name='work')\n",
        },
    ),
]

# -- task 7 ------------------------------------------------------------------------------------------------------------

KEY = 'context.step(lambda _: str(uuid.uuid4()), name="key")'
PLACES = 'context.step(lambda _: outside.order(event["Table"], key=key), name="order")'

TASK_7 = [
    dict(name="the solution"),
    dict(
        name="it does not wait",
        changes={'    context.wait(Duration.from_seconds(event["Seconds"]), name="delivery")\n': ""},
        says="not yet",
        words="It was over 0 s after the order",
    ),
    dict(name="as it is given", text=CELLS["task-7-given"], says="not yet", words="It ordered twice, with the keys"),
    dict(
        name="a key outside of a step",
        changes={KEY: "str(uuid.uuid4())"},
        says="not yet",
        words="It ordered twice, with the keys",
    ),
    dict(
        name="the table is the key",
        changes={KEY: 'event["Table"]'},
        says="not yet",
        words="Another execution with the same input gets an order of its own",
    ),
    dict(
        name="a hash of the input is the key",
        changes={
            "import uuid": "import hashlib\nimport json",
            KEY: "hashlib.sha256(json.dumps(event).encode()).hexdigest()",
        },
        says="not yet",
        words="Another execution with the same input gets an order of its own",
    ),
    dict(
        name="it waits for as many minutes",
        changes={'from_seconds(event["Seconds"])': 'from_minutes(event["Seconds"])'},
        says="not yet",
        words="It was over 3600 s after the order",
    ),
    dict(
        name="a word is the key",
        changes={KEY: '"audit"'},
        says="not yet",
        words="Its key was 'audit', and another execution had the same key",
    ),
    dict(
        name="a hash of the sorted input is the key",
        changes={
            "import uuid": "import hashlib\nimport json",
            KEY: "hashlib.sha256(json.dumps(event, sort_keys=True).encode()).hexdigest()",
        },
        says="not yet",
        words="Another execution with the same input gets an order of its own",
    ),
    dict(
        name="a UUID of a sentence with the table is the key",
        changes={KEY: """str(uuid.uuid5(uuid.NAMESPACE_URL, f"audit of {event['Table']}"))"""},
        says="not yet",
        words="Another execution with the same input gets an order of its own",
    ),
    dict(
        name="no key",
        changes={", key=key": ""},
        says="not yet",
        words="It ordered twice, with the keys None",
    ),
    dict(
        name="the order outside of a step, with a key from one",
        changes={PLACES: 'outside.order(event["Table"], key=key)'},
    ),
    dict(
        name="it looks whether it has ordered, in a variable",
        changes={
            "@durable": "KEYS = []\n\n\n@durable",
            f"key = {KEY}": "KEYS or KEYS.append(str(uuid.uuid4()))\n    key = KEYS[0]",
        },
        says="not yet",
        words="It ordered twice",
    ),
    dict(
        name="at most once",
        changes={
            f"key = {KEY}": "key = str(uuid.uuid4())",
            'name="order")': 'name="order", config=StepConfig(step_semantics=StepSemantics.AT_MOST_ONCE_PER_RETRY))',
            "import Duration": "import Duration, StepConfig, StepSemantics",
        },
        says="not yet",
        words="and one crash: It ordered twice, with the keys",
    ),
    dict(
        name="the name of the execution",
        changes={KEY: "context.execution_context.durable_execution_arn"},
    ),
    dict(
        name="the table and a part from a step",
        changes={KEY: 'event["Table"] + ' + KEY},
    ),
    dict(
        name="a random number from a step",
        changes={KEY: 'context.step(lambda _: random.random(), name="key")', "import uuid": "import random"},
    ),
    dict(
        name="a UUID of the execution and of the input",
        changes={
            KEY: "str(uuid.uuid5(uuid.NAMESPACE_URL, context.execution_context.durable_execution_arn + event['Table']))"
        },
    ),
    dict(
        name="the request ID of the first invocation, from a step",
        changes={KEY: 'context.step(lambda _: context.lambda_context.aws_request_id, name="key")'},
    ),
    dict(
        name="a random number of few digits",
        changes={KEY: 'context.step(lambda _: random.randrange(10**6), name="key")', "import uuid": "import random"},
    ),
    dict(
        name="at most once in a try, with a key from a step",
        changes={
            'name="order")': 'name="order", config=StepConfig(step_semantics=StepSemantics.AT_MOST_ONCE_PER_RETRY))',
            "import Duration": "import Duration, StepConfig, StepSemantics",
        },
    ),
]

ANSWERS = {1: TASK_1, 2: TASK_2, 3: TASK_3, 4: TASK_4, 5: TASK_5, 6: TASK_6, 7: TASK_7}
