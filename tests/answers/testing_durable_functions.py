"""Answers to the tasks of lab 06, right and wrong: {task: [answer, ...]}; see `answers/polling_loop.py`.

An answer is what stands in the answer cell in place of the solution: all of it (`text`), or what is changed in it
(`changes`, {what stands there: what is to stand there}). What more tests of one file can be, and what is refused
without a broken function, is in tests/checking/test_testing_durable_functions.py.
"""

from workshop import handed_over, scratch

from . import cells

CELLS = cells.of_solution("06-testing-durable-functions")
TASKS = sorted(int(name.split("-")[1]) for name in CELLS if name.endswith("-answer"))
SOLVED = {number: CELLS[f"task-{number}-answer"] for number in TASKS}


def give(lab, number, answer, _):
    """Put an answer where the learner works, with what is handed over."""
    before = list(CELLS)[: list(CELLS).index(f"task-{number}-check")]
    files = cells.written([*(CELLS[cell] for cell in before), cells.changed(SOLVED[number], answer)])
    folder = scratch.folder_of(lab.name("lab"))
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content)
    for function in ("poll", "migrate", "offers"):
        handed_over.compiled(function, folder)
    if number == 4:
        handed_over.deployed(lab.name("migrate"), handed_over.source("migrate"), folder / "outside.py")


# -- task 1 ------------------------------------------------------------------------------------------------------------

TASK_1 = [
    dict(name="the solution"),
    dict(
        name="as it comes",
        text="%%writefile test_poll.py\nfrom polling import *\n\ndef test_it_ends():\n"
        "    assert polled(RUNNING, FINISHED).status\n...  # your answer",
        says="not attempted",
        words="There is still a `...` in test_poll.py.",
    ),
    dict(
        name="a test more, which asks for nothing that could be otherwise",
        changes={"def test_any_other_error": "def test_it_has_a_status():\n"
                 "    assert polled(RUNNING, FINISHED).status\ndef test_any_other_error"},
        says="not yet",
        words="test_it_has_a_status passes with each broken function.",
    ),
    dict(
        name="looks at what errors say, and not at what they are",
        changes={'error.type.endswith("MigrationFailed") and ': ""},
        says="not yet",
        words="One that gets away: It fails with an error of another name.",
    ),
    dict(
        name="a class of tests, and a runner of its own",
        text="%%writefile test_poll.py\n"
        "import json\n"
        "import outside\n"
        "import polling\n"
        "from aws_durable_execution_sdk_python_testing import DurableFunctionTestRunner\n"
        "from poll import lambda_handler\n"
        "EVENT = {'ReplicationTaskArn': 'a', 'PollSeconds': 10, 'MaxPollSeconds': 30, 'MaxPolls': 5}\n"
        "class TestPoll:\n"
        "    def end(self, *says):\n"
        "        outside.did.clear()\n"
        "        outside.says[:] = says\n"
        "        with DurableFunctionTestRunner(lambda_handler) as runner:\n"
        "            execution = runner.run_async(EVENT)\n"
        "            return runner.wait_for_result(execution)\n"
        "    def test_success(self):\n"
        "        busy = [polling.STARTING, outside.Throttled('later'), polling.RUNNING, polling.RUNNING]\n"
        "        end = self.end(*busy, polling.FINISHED)\n"
        "        assert json.loads(end.result)['ReplicationTaskArn'] == 'a'\n"
        "        step = end.get_step('migration')\n"
        "        assert round((step.end_timestamp - step.start_timestamp).total_seconds()) in (90, 91, 92)\n"
        "    def test_failures(self):\n"
        "        for bad in (polling.BY_HAND, polling.WITH_ERRORS, polling.FAILED):\n"
        "            assert 'MigrationFailed' in self.end(bad).error.type\n"
        "        assert polling.FAILED['LastFailureMessage'] in self.end(polling.FAILED).error.message\n"
        "    def test_limits(self):\n"
        "        assert 'MigrationFailed' not in self.end(polling.RUNNING).error.type\n"
        "        assert len(outside.did) == 5\n"
        "        assert self.end(ValueError('no'), polling.FINISHED).error and len(outside.did) == 1",
    ),
    dict(
        name="a function that is imported anew for each test",
        changes={"def test_it_goes_on": "@pytest.fixture(autouse=True)\ndef anew():\n"
                 "    import importlib, poll, polling\n"
                 "    importlib.reload(poll)\n    importlib.reload(polling)\ndef test_it_goes_on"},
    ),
    dict(
        name="two tests look at what one run has left",
        changes={"def test_it_gives_up_after_so_many_polls():\n    error = polled(RUNNING, polls=3).error\n"
                 '    assert len(outside.did) == 3 and "MigrationFailed" not in error.type\n':
                 "@pytest.fixture(scope='module')\ndef endless():\n    return polled(RUNNING, polls=3)\n"
                 "def test_it_gives_up(endless):\n    assert 'MigrationFailed' not in endless.error.type\n"
                 "def test_it_asks_as_often_as_it_may(endless):\n    assert len(outside.did) == 3\n"},
        says="not yet",
        words="test_it_asks_as_often_as_it_may fails, where the tests run in another order, every second one",
    ),
]  # fmt: skip

# -- task 2 ------------------------------------------------------------------------------------------------------------

STATUSES = '[("running", "TimedOut"), ("failed", "Failed"), ("stopped", "arn:1")]'


def then_takes_the_id(waits):
    """Changes by which a test waits like this, and then takes the ID that the function has saved by now."""
    return {
        "    callback = runner.wait_for_callback(execution)\n": f"    import threading, time\n    {waits}\n"
        "    callback = outside.waits['arn:1']\n",
        ' and outside.waits["arn:1"] == callback': "",
    }


def answered_beside(*lines):
    """Changes by which a test goes on to the end at once, and somebody beside it answers."""
    beside = "".join(f"    {line}\n" for line in ["import threading, time", *lines])
    return {
        "    callback = runner.wait_for_callback(execution)\n"
        "    runner.send_callback_success(callback, b'{\"Rows\": 3376}')\n": beside,
        ' and outside.waits["arn:1"] == callback': "",
    }


SAVED = "runner.send_callback_success(outside.waits['arn:1'], b'{\"Rows\": 3376}')"

RETURNS = '    assert json.loads(runner.wait_for_result(execution).result) == {"Rows": 3376}\n'
DID = '    assert outside.did == [("save", "arn:1"), ("start", "arn:1")] and outside.waits["arn:1"] == callback\n'

TASK_2 = [
    dict(name="the solution"),
    dict(
        name="a timer answers, with the ID that was saved by then",
        changes=answered_beside(f"threading.Timer(3, lambda: {SAVED}).start()"),
        says="not yet",
        words="test_it_returns_the_answer sleeps for 3 s, and fails where the function begins later than that",
    ),
    dict(
        name="a thread sleeps and answers, with the ID that was saved by then",
        changes=answered_beside(
            f"threading.Thread(target=lambda: [time.sleep(3), {SAVED}]).start()",
        ),
        says="not yet",
        words="test_it_returns_the_answer sleeps for 3 s, and fails where the function begins later than that",
    ),
    dict(
        name="a thread that waits for the end is joined for a while, and then it takes the ID that was saved",
        changes=then_takes_the_id(
            "waits = threading.Thread(target=runner.wait_for_result, args=(execution,), daemon=True)\n"
            "    waits.start()\n    waits.join(3)"
        ),
        says="not yet",
        words="test_it_returns_the_answer sleeps for 3 s, and fails where the function begins later than that",
    ),
    dict(
        name="looks at what was done before it waits for the end",
        changes={
            f"{RETURNS}{DID}": f"{DID}{RETURNS}",
        },
        says="not yet",
        words="They catch 15 of 16 broken functions. One that gets away: It starts the migration again when",
    ),
    dict(
        name="left alone only while it runs",
        changes={STATUSES: '[("running", "TimedOut")]'},
        says="not yet",
        words="They catch 13 of 16 broken functions. One that gets away: ",
    ),
    dict(
        name="looks at what the failure says, and not at what it is",
        changes={'"MigrationFailed" in error.type and ': ""},
        says="not yet",
        words="One that gets away: It hands a failure on as the SDK has it.",
    ),
    dict(
        name="it sleeps, and takes the ID that was saved",
        changes=then_takes_the_id("time.sleep(0.7)"),
        says="not yet",
        words="test_it_returns_the_answer sleeps for 0.7 s, and fails where the function begins later than that",
    ),
    dict(
        name="it waits for an event that nobody sets, and takes the ID that was saved",
        changes=then_takes_the_id("threading.Event().wait(0.7)"),
        says="not yet",
        words="test_it_returns_the_answer sleeps for 0.7 s, and fails where the function begins later than that",
    ),
]  # fmt: skip

# -- task 3 ------------------------------------------------------------------------------------------------------------

TASK_3 = [
    dict(name="the solution"),
    dict(
        name="no vendor declines",
        changes={"market(seconds=1, Ann=None)": "market(seconds=1)"},
        says="not yet",
        words="It ends when one vendor declines.",
    ),
    dict(
        name="does not look whether an order was placed where no offer had come",
        changes={" and len(outside.did) == 3": ""},
        says="not yet",
        words="One that gets away: It accepts somebody when no offer has come.",
    ),
]

# -- task 4 ------------------------------------------------------------------------------------------------------------

HERE_ONLY = (  # a test more, which does this in the account
    "def test_it_starts_once(runner):\n"
    "    import outside\n"
    "    if isinstance(runner, DurableFunctionCloudTestRunner):\n        {}\n"
    "    outside.did.clear()\n"
    '    execution = runner.run_async({{"ReplicationTaskArn": "arn:1", "TimeoutSeconds": 60}})\n'
    "    runner.send_callback_success(runner.wait_for_callback(execution), b'[]')\n"
    '    assert runner.wait_for_result(execution).result == "[]" and len(outside.did) == 2\n'
    "def test_left_alone"
)

TASK_4 = [
    dict(name="the solution"),
    dict(
        name="only here",
        changes={'params=["here", "account"]': 'params=["here"]'},
        says="not yet",
        words="test_it_returns_the_answer uses no DurableFunctionCloudTestRunner.",
    ),
    dict(
        name="one test is left out in the account",
        changes={"def test_left_alone": HERE_ONLY.format("pytest.skip('There is no outside.')")},
        says="not yet",
        words="test_it_starts_once uses no DurableFunctionCloudTestRunner.",
    ),
    dict(
        name="one test does nothing in the account",
        changes={"def test_left_alone": HERE_ONLY.format("return")},
        says="not yet",
        words="test_it_starts_once uses no DurableFunctionCloudTestRunner.",
    ),
    dict(
        name="one runner for all tests",
        changes={'params=["here", "account"]': 'params=["here", "account"], scope="module"'},
    ),
    dict(
        name="both runners in each test",
        changes={
            '@pytest.fixture(params=["here", "account"])\ndef runner(request):\n    if request.param == "here":\n'
            "        with DurableFunctionTestRunner(migrate.lambda_handler, poll_interval=0.05) as here:\n"
            "            yield here\n    else:\n        yield ": "@pytest.fixture\ndef runners():\n"
            "    with DurableFunctionTestRunner(migrate.lambda_handler, poll_interval=0.05) as here:\n"
            "        yield here, ",
            "(runner):\n": "(runners):\n  for runner in runners:\n",
        },
    ),
    dict(
        name="the event is text",
        changes={'{"ReplicationTaskArn": "arn:1", "TimeoutSeconds": 1}':
                 'json.dumps({"ReplicationTaskArn": "arn:1", "TimeoutSeconds": 1})'},
        says="not yet",
        words="With the right function test_left_alone_it_says_so[account] fails",
    ),
    dict(
        name="run, where somebody would have to answer",
        changes={'    execution = runner.run_async({"ReplicationTaskArn": "arn:1", "TimeoutSeconds": 60})\n'
                 '    runner.send_callback_success(runner.wait_for_callback(execution), b\'{"Rows": 3376}\')\n'
                 "    assert json.loads(runner.wait_for_result(execution).result)":
                 '    result = runner.run({"ReplicationTaskArn": "arn:1", "TimeoutSeconds": 60}).result\n'
                 "    assert json.loads(result)"},
        says="not yet",
        words="was still waiting after 5 s. Where time is not skipped, let the event say a few seconds. If the "
        "function waits for you, start it with run_async, wait for its callback, and answer.",
    ),
]  # fmt: skip

ANSWERS = {1: TASK_1, 2: TASK_2, 3: TASK_3, 4: TASK_4}
