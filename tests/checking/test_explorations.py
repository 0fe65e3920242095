"""A learner's durable function, explored with crashes of its process: what is found, and of what nothing is said."""

from pathlib import Path

import pytest
from answers import cells, durable_functions

from workshop.checking.explorations import FEWEST_PAIRS, _in_few_lines, in_a_process
from workshop.checks.durable_exercises import Imagined
from workshop.checks.durable_functions import EXERCISES

ENVIRONMENT = {
    "TABLE": "waiting",
    "CALLBACKS": "https://callbacks.example/callbacks",
    "VENDOR_URL": "https://vendor.example/prod",
    "VENDOR_KEY": "key",
    "VENDOR_SECRET": "secret",
}
FUNCTIONS = {1: "poll", 2: "migrate", 4: "check", 5: "nightly", 6: "approve"}


def explored(folder, number, seconds=0, seed=1, tell=None, **answer):
    """What exploring with crashes finds in the function of an exercise of lab 04, with this answer as its solution."""
    return _found(folder, number, answer, seed=seed, seconds=seconds, tell=tell)[0]


def played(folder, number, world, **answer):
    """What playing that function without a crash finds, in this world."""
    [found] = _found(folder, number, answer, seed=None, seconds=0, worlds=[world])[1]
    return found


def _found(folder, number, answer, **options):
    known, function = durable_functions.CELLS, FUNCTIONS[number]
    before = list(known)[: list(known).index(f"task-{number}-check")]
    answered = cells.changed(durable_functions.SOLVED[number], answer)
    for name, content in cells.written([*(known[cell] for cell in before), answered]).items():
        (folder / name).write_text(content)
    (folder / "lambda_function.py").write_text((folder / f"{function}.py").read_text())
    return in_a_process(function, folder, ENVIRONMENT, **options)


@pytest.mark.parametrize("number", FUNCTIONS)
def test_solutions_bear_all_single_crashes(tmp_path, number):
    found = explored(tmp_path, number)
    assert (found.unknown, found.wrong) == ("", "")
    assert found.places > 10 and found.pairs and not found.left_out


HOURS = [
    (number, case.world)
    for number, exercise in EXERCISES.items()
    for case in exercise.cases.values()
    if isinstance(case, Imagined)
]


@pytest.mark.parametrize("number, world", HOURS)
def test_solutions_wait_for_hours(tmp_path, number, world):
    found = played(tmp_path, number, world)
    assert (found.wrong, found.unknown) == ("", "")


def test_who_waits_for_too_short_or_too_long_a_time(tmp_path):
    timeout = "timeout=Duration.from_seconds(seconds)"
    found = played(tmp_path, 2, "UnheardForADay", changes={timeout: "timeout=Duration.from_hours(23)"})
    assert found.wrong.endswith("with `seconds` 86400 it waited for 82800 s without an answer.") and found.story
    found = played(tmp_path, 2, "UnheardForADay", changes={timeout: "timeout=Duration.from_hours(25)"})
    assert found.wrong.endswith("with `seconds` 86400 it waited for 90000 s without an answer.")
    found = played(tmp_path, 2, "UnheardForADay", changes={f"{timeout}, ": ""})
    assert found.wrong.endswith("the execution waits for ever.")
    found = played(tmp_path, 4, "WorksOn", changes={"**limits": 'heartbeat_timeout=limits["heartbeat_timeout"]'})
    assert found.wrong.endswith("the execution never came to an end.")


def test_of_a_world_that_lacks_what_the_function_calls_nothing_is_said(tmp_path):
    changes = {"    try:\n": '    __import__("boto3").client("sns").list_topics()\n    try:\n'}
    found = played(tmp_path, 2, "Taken", changes=changes)
    assert (found.wrong, found.unknown) == ("", "it calls sns:ListTopics, which the explorer does not know")


def test_an_address_that_is_the_same_in_another_execution_with_the_same_arn_is_told(tmp_path):
    step = durable_functions.ADDRESS
    hashed = "__import__('hashlib').blake2b(context.execution_context.durable_execution_arn.encode()).hexdigest()"
    assert len(explored(tmp_path, 4, changes={step: hashed}).guessed) == 128
    for drawn in ("secrets.token_hex(20)", "'%x' % __import__('random').getrandbits(200)"):
        assert not explored(tmp_path, 4, changes={"secrets.token_urlsafe(32)": drawn}).guessed


def test_it_goes_on_with_pairs_for_as_long_as_it_may(tmp_path):
    found = explored(tmp_path, 6, seconds=20)
    assert FEWEST_PAIRS < found.pairs <= found.known


# Where the submitter begins a third time, it orders nothing: one crash does no harm.
TWO_TRIES = {
    durable_functions.SAVES_ALL: "        tries = int(find(address).get('Tries', 0)) + 1\n"
    "        save(address, callback_id, seconds, Tries=tries)\n        if tries < 3:\n"
    "            save(address, callback_id, seconds, Tries=tries, CheckId=order(table, address))\n"
}


def test_a_pair_that_was_found_comes_again_whatever_the_time(tmp_path):
    told = []
    found = explored(tmp_path, 4, seconds=600, tell=told.append, changes=TWO_TRIES)
    assert "crashed twice, and an audit was never ordered" in found.wrong and found.pairs
    assert any(f"crashed at {found.places} places and " in text for text in told)
    again = explored(tmp_path, 4, seed=found.turn, changes=TWO_TRIES)
    assert (again.wrong, again.turn) == (found.wrong, found.turn)
    assert again.pairs <= FEWEST_PAIRS


def test_a_callback_of_which_nobody_is_told_after_a_crash(tmp_path):
    looks = durable_functions.LOOKS
    found = explored(
        tmp_path,
        2,
        changes={
            "def migrated": "BEFORE = {}\n\ndef migrated",
            looks: looks.replace("before = ", "") + "    if arn not in BEFORE:\n"
            '        BEFORE[arn] = describe(arn)["Started"]\n    before = BEFORE[arn]\n',
        },
    )
    assert found.wrong == (
        "A migration of an hour: the function's process crashed, and the event of its end found nobody to tell, and "
        "the execution waited for its timeout."
    )
    assert found.inside
    told = "\n".join(found.story)
    assert told.index("start the migration.") < told.index("CRASH right after effect 2.") < told.index("The end")


def test_what_is_in_memory_is_gone_after_a_crash_between_two_steps(tmp_path):
    found = explored(
        tmp_path,
        4,
        changes={
            "import secrets\n": "import secrets\n\nCHECKS = {}\n",
            "save(address, callback_id, seconds, CheckId=order(table, address))": (
                "CHECKS[address] = order(table, address)"
            ),
            'find(address)["CheckId"]': "CHECKS[address]",
        },
    )
    assert found.wrong.startswith("An audit of which the vendor, though it was done, told nothing: the function's proc")
    assert "the execution failed: StepError" in found.wrong and not found.inside


ROW = {answer["name"]: answer for table in durable_functions.ANSWERS.values() for answer in table}


@pytest.mark.parametrize(
    "number, name, words",
    [
        (2, "starts without asking", "InvalidResourceStateFault"),
        (2, "starts outside of a step, and notes in the table that it has", "the migration was started twice"),
        (4, "another address where the step that orders runs again", "an audit was ordered twice"),
        (4, "takes what is saved for what is ordered", "an audit was never ordered"),
    ],
)
def test_wrong_answers(tmp_path, number, name, words):
    found = explored(tmp_path, number, **{how: ROW[name][how] for how in ("text", "changes") if how in ROW[name]})
    assert words in found.wrong and found.inside
    assert any("CRASH" in line for line in found.story) and "The end" in found.story[-1]


def test_a_crash_inside_of_a_step_counts_only_where_the_contract_says_so(tmp_path):
    """The start of exercise 6 has no key and is in a step: nothing is demanded of it."""
    found = explored(tmp_path, 6, seconds=20)
    assert (found.unknown, found.wrong) == ("", "")
    found = explored(tmp_path, 6, changes={"context.step(lambda _: start(arn, again=False), name=\"start\")": (
        "context.step(lambda _: None, name=\"start\")\n        started(arn) or start(arn, again=False)"
    ), "@durable_execution": "def started(arn):\n    from dms_task import describe\n"
        "    return describe(arn)[\"Status\"] != \"ready\"\n\n@durable_execution"})  # fmt: skip
    assert (found.unknown, found.wrong) == ("", "")  # outside of a step, and does no harm


@pytest.mark.parametrize(
    "does, unknown",
    [
        ('boto3.client("sns").publish(TopicArn="arn:aws:sns:us-east-1:111122223333:t", Message="m")', "sns:Publish"),
        ('boto3.client("dynamodb").scan(TableName="waiting")', "dynamodb:Scan"),
        ('boto3.client("dms").describe_endpoints()', "dms:DescribeEndpoints"),
        ('urllib.request.urlopen("https://vendor.example/v2/checks")', "GET https://vendor.example/v2/checks"),
        ('socket.create_connection(("127.0.0.1", 9))', "socket.connect"),
        ('subprocess.run(["true"])', "subprocess.Popen"),
        ('open("/tmp/mine-for-ever", "w")', "open('/tmp/mine-for-ever', 'w')"),
        ("threading.Thread(target=lambda: describe(arn)).run()", ""),
        ("started(lambda: describe(arn))", "dms:DescribeReplicationTasks"),
    ],
)
def test_of_code_that_calls_what_no_world_has_nothing_is_said(tmp_path, does, unknown):
    """Not even where it would be wrong, and not where it catches what is raised."""
    found = explored(
        tmp_path,
        2,
        changes={
            "def migrated": "import boto3, contextlib, socket, subprocess, threading, urllib.request\n"
            "def started(does):\n    thread = threading.Thread(target=does)\n    thread.start()\n    thread.join()\n\n"
            "def migrated",
            "        if not begun(describe(arn), before):\n": "        with contextlib.suppress(Exception):\n"
            f"            {does}\n        if True:\n",
        },
    )
    assert found.unknown == (unknown and f"it calls {unknown}, which the explorer does not know")
    assert bool(found.wrong) == (not unknown)


UPDATES = {
    "        save(arn, callback_id, seconds, StartedBefore=before)\n": """        import time
        from waiting import table
        sets = "SET CallbackId = :me, StartedBefore = :before, CreatedAt = :now, #w = :then, ExpiresAt = :then"
        values = {":me": callback_id, ":before": before, ":now": int(time.time()), ":then": int(time.time()) + seconds}
        table.update_item(
            Key={"Id": arn}, UpdateExpression=sets, ExpressionAttributeNames={"#w": "WaitsUntil"},
            ConditionExpression=Attr("Id").not_exists() | Attr("CallbackId").eq(callback_id) | Attr("WaitsUntil").lt(1),
            ExpressionAttributeValues=values, ReturnValues="ALL_NEW",
        )
""",
    "from waiting import save\n": "from waiting import save\nfrom boto3.dynamodb.conditions import Attr\n",
}


def test_who_updates_the_item_and_makes_conditions_in_python_is_explored_too(tmp_path):
    found = explored(tmp_path, 2, changes=UPDATES)
    assert (found.wrong, found.unknown, found.left_out) == ("", "", []) and found.places
    [condition] = [text for text in UPDATES.values() if "not_exists" in text]
    takes = condition.replace('Attr("Id").not_exists()', 'Attr("CallbackId").ne("x")')
    taken = played(tmp_path, 2, "Taken", changes=UPDATES | dict.fromkeys([next(iter(UPDATES))], takes))
    assert taken.wrong.endswith("its callback ID took the place of the other one.")


def test_of_code_that_hangs_nothing_is_said(tmp_path):
    """It may be the machine that is slow."""
    hangs = "import threading\ndef migrated(context, arn, seconds):\n    threading.Event().wait()\n"
    found = explored(tmp_path, 2, text=f"%%writefile told.py\n{hangs}")
    assert found.unknown == "it did not come back from what it waits for" and not found.wrong


def test_what_is_wrong_without_a_crash_is_left_to_the_cases(tmp_path):
    found = explored(tmp_path, 2, changes={"return context.wait_for_callback": "return 1, context.wait_for_callback"})
    assert not found.wrong
    assert found.left_out[0].startswith("in the case of a migration of an hour the execution returned [1, ")
    assert found.left_out[0].endswith(", without any crash")


def test_what_the_function_prints_is_no_part_of_the_report(tmp_path):
    prints = {
        "def migrated": 'print("at its import", flush=True)\n\ndef migrated',
        "    try:\n": "    print(1)\n    try:\n",
    }
    assert explored(tmp_path, 2, changes=prints).places


def test_an_exploration_that_fails_itself_says_so(tmp_path):
    with pytest.raises(RuntimeError, match="KeyError: 'nothing'"):
        in_a_process("nothing", tmp_path, {}, seed=1, seconds=0)


def test_it_runs_what_is_in_the_folder_with_the_functions_own_variables(tmp_path):
    (tmp_path / "json.py").write_text("raise ImportError('another json')\n")  # a module of the learner's, not ours
    found = explored(tmp_path, 1)
    assert found.places
    assert Path(tmp_path / "lambda_function.py").exists()


def test_a_story_in_few_lines():
    story = [*map(str, range(10)), "CRASH", *map(str, range(11, 20)), "The end"]
    assert [line.strip() for line in _in_few_lines(story)] == [
        "...", "7", "8", "9", "CRASH", "11", "12", "13", "...", "19", "The end",
    ]  # fmt: skip
    assert _in_few_lines(["1", "CRASH", "The end"]) == ["1", "CRASH", "The end"]
