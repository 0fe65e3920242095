"""The functions that lab 06 hands over to be tested, and broken ones that its tests are to catch.

The right ones stand in workshop/data/handed_over. A broken one is a change of it, chosen from its mutants: {what stands
there: what stands there instead}. The tests of the solution catch each of them (tests/answers).
"""

import dataclasses
from collections.abc import Mapping

from workshop.handed_over import source as right


@dataclasses.dataclass(frozen=True)
class Broken:
    """A broken function. name: what it does, as in "It polls for ever". hurts: what comes of that in production.

    endless: whether a test waits in vain for its end, or for longer than it may: so it is caught, too.
    """

    name: str
    hurts: str
    changes: Mapping[str, str]
    endless: bool = False


def broken(function: str, row: Broken) -> str:
    """The source of a broken one. Raises ValueError where what is to be changed does not stand there once."""
    source = right(function)
    for what, instead in row.changes.items():
        if source.count(what) != 1:
            raise ValueError(f"{row.name}: {what!r} stands in {function}.py {source.count(what)} times.")
        source = source.replace(what, instead)
    return source


# In each list those come first that are caught most easily.

_ENDED_BADLY = """    if task["Status"] == "failed":
        raise MigrationFailed(task["LastFailureMessage"])
"""
_NOT_ALL_LOADED = """    if task["StopReason"] != "Stop Reason FULL_LOAD_ONLY_FINISHED":
        raise MigrationFailed(task["StopReason"])
"""
_WITH_ERRORS = """    if task["TablesErrored"] > 0:
        raise MigrationFailed(f"Tables with errors: {task['TablesErrored']}")
"""
_POLLED = """    return outcome(arn, context.wait_for_condition(ask, config, name="migration"))"""
_POLLED_OR_FAILED = """    try:
        task = context.wait_for_condition(ask, config, name="migration")
    except Exception as error:
        raise MigrationFailed(str(error)) from None
    return outcome(arn, task)"""

POLL = [
    Broken(
        "It returns nothing",
        "Whoever waits for the result gets null, and goes on with no table.",
        {"    return outcome(": "    outcome("},
    ),
    Broken(
        "It takes a migration that has failed for one that has succeeded",
        "The vendor audits half a table, and nobody hears that the other half is missing.",
        {_ENDED_BADLY: '    if task["Status"] == "failed":\n        return {"ReplicationTaskArn": arn}\n'},
    ),
    Broken(
        "It polls for ever",
        "It asks about a task that hangs until the execution times out, and nobody is told before.",
        {'max_attempts=event["MaxPolls"]': "max_attempts=1_000_000"},
        endless=True,
    ),
    Broken(
        "It gives up when it is throttled",
        "One refused question ends the wait, hours before the migration is over.",
        {"        except outside.Throttled:\n            return task\n": "        finally:\n            pass\n"},
    ),
    Broken(
        "It says that the migration has failed when it has only used up its polls",
        "Somebody cleans up after a failed migration, which is still writing.",
        {_POLLED: _POLLED_OR_FAILED},
    ),
    Broken(
        "It takes each stop for success",
        "Somebody stops the task by hand, and a table that is half full goes live.",
        {_NOT_ALL_LOADED: ""},
    ),
    Broken(
        "It overlooks that a table had errors",
        "DMS says that it has finished; the table that it could not load is empty.",
        {_WITH_ERRORS: ""},
    ),
    Broken(
        "It goes on whatever the error is",
        "The task has been deleted, and the function asks about it until its polls are used up.",
        {"        except outside.Throttled:": "        except Exception:"},
    ),
    Broken(
        "It takes a task that is still starting for one that is over",
        "It fails just after the start, while the migration begins.",
        {
            'task["Status"] not in ("stopped", "failed")': 'task["Status"] in ("running", "stopping", "unknown")',
            _NOT_ALL_LOADED: '    if task["Status"] == "starting":\n        raise MigrationFailed("starting")\n'
            + _NOT_ALL_LOADED,
        },
    ),
    Broken(
        "It asks once more than it may",
        "Whoever allows it one question, because an answer costs money, pays for two.",
        {'max_attempts=event["MaxPolls"]': 'max_attempts=event["MaxPolls"] + 1'},
    ),
    Broken(
        "It returns what DMS has said last, and not the replication task",
        "The next step looks for the ARN of the task that it is to go on with, and fails there.",
        {'    return {"ReplicationTaskArn": arn}': "    return task"},
    ),
    Broken(
        "It gives up one question too early",
        "The last question would find the migration over; nobody asks it, and the migration counts as lost.",
        {'max_attempts=event["MaxPolls"]': 'max_attempts=event["MaxPolls"] - 1'},
    ),
    Broken(
        "It fails with an error of another name",
        "Whoever catches MigrationFailed, to clean up after it, does not hear of it.",
        {
            "class MigrationFailed(Exception):": "class Failed(Exception):",
            "def under_way(task):": "MigrationFailed = Failed\n\n\ndef under_way(task):",
        },
    ),
    Broken(
        "It loses the message of the failure",
        "Whoever is woken up by it has to find the reason first.",
        {'MigrationFailed(task["LastFailureMessage"])': 'MigrationFailed("It has failed.")'},
    ),
    Broken(
        "Its pauses do not grow",
        "It asks 2,880 times about a migration of two days, and each poll is an operation that is paid for.",
        {"backoff_rate=2": "backoff_rate=1"},
    ),
    Broken(
        "Its pauses grow without a bound",
        "The end of a migration of nine hours is noticed eight hours late.",
        {'Duration.from_seconds(event["MaxPollSeconds"])': "Duration.from_days(366)"},
    ),
]

_TIMED_OUT = """    except CallbackTimeoutError:
        task = context.step(lambda _: outside.describe(arn), name="look again")
    return outcome(arn, task)"""
_FAILED_UNHEARD = """    if task["Status"] == "failed":
        raise MigrationFailed(task["LastFailureMessage"])
"""
_STILL_RUNNING = """        raise MigrationTimedOut(f"It is {task['Status']}.")"""

MIGRATE = [
    Broken(
        "It loses the answer",
        "The migration has succeeded, and whoever waits for the number of rows gets null.",
        {"        return context.wait": "        context.wait",
         "    return outcome(arn, task)": "    else:\n        return None\n    return outcome(arn, task)"},
    ),
    Broken(
        "Told of a failure, it succeeds",
        "The vendor audits a table that is not there.",
        {"        raise MigrationFailed(str(error)) from None": '        return {"ReplicationTaskArn": arn}'},
    ),
    Broken(
        "It returns the answer as text",
        "The next step looks for a field in a string, and fails there, far from the cause.",
        {", serdes=JsonSerDes())": ")"},
    ),
    Broken(
        "It starts the migration twice",
        "DMS refuses the second start, or loads everything anew.",
        {"        outside.start(arn)\n": "        outside.start(arn)\n        outside.start(arn)\n"},
    ),
    Broken(
        "It starts the migration again when it goes on",
        "The migration is over, and its end is what starts it once more.",
        {"    config = WaitForCallbackConfig(": '    if context.is_replaying():\n        outside.start(arn)\n'
         "    config = WaitForCallbackConfig("},
    ),
    Broken(
        "It saves something else than the callback ID",
        "The event comes, the answer goes to an ID that nobody knows, and it waits for its timeout.",
        {"        outside.save(arn, callback_id)": '        outside.save(arn, event["ReplicationTaskArn"])'},
    ),
    Broken(
        "It starts the migration before it saves the callback ID",
        "A small table is done in between. Its event finds nobody to tell.",
        {"        outside.save(arn, callback_id)\n        outside.start(arn)\n":
         "        outside.start(arn)\n        outside.save(arn, callback_id)\n"},
    ),
    Broken(
        "It loses the message of the failure",
        "Whoever is woken up by it has to find the reason first.",
        {"MigrationFailed(str(error))": 'MigrationFailed("It has failed.")'},
    ),
    Broken(
        "It hands a failure on as the SDK has it",
        "Whoever catches MigrationFailed, to clean up after it, does not hear of it.",
        {"        raise MigrationFailed(str(error)) from None": "        raise error"},
    ),
    Broken(
        "Left alone, it succeeds when the migration has failed",
        "The event of the failure is lost, and the vendor audits half a table.",
        {_FAILED_UNHEARD: ""},
    ),
    Broken(
        "Left alone, it says of a finished migration that it still runs",
        "The event of the end is lost, and somebody starts the migration again.",
        {'task["Status"] not in ("stopped", "failed")': 'task["Status"] != "failed"'},
    ),
    Broken(
        "It swallows the timeout",
        "The event is lost and the migration still runs, but the next step begins.",
        {_STILL_RUNNING: '        return {"ReplicationTaskArn": arn}'},
    ),
    Broken(
        "It takes a migration that still runs for one that has failed",
        "Somebody cleans up after it while it writes.",
        {_STILL_RUNNING: _STILL_RUNNING.replace("TimedOut", "Failed")},
    ),
    Broken(
        "It gives up at the timeout without a look",
        "One event is lost, and a migration that has succeeded counts as failed.",
        {_TIMED_OUT: '    except CallbackTimeoutError:\n        raise MigrationTimedOut("It is late.") from None'},
    ),
    Broken(
        "It waits for an hour, whatever its event says",
        "A lost event costs an hour instead of five minutes, or the wait ends before the migration.",
        {'Duration.from_seconds(event["TimeoutSeconds"])': "Duration.from_hours(1)"},
        endless=True,
    ),
    Broken(
        "It waits anew at each timeout, for ever",
        "A lost event is never noticed, and each round is four more operations.",
        {
            _TIMED_OUT: "    except CallbackTimeoutError:\n        while True:\n"
            "            with suppress(CallbackTimeoutError):\n"
            '                return context.wait_for_callback(submit, name="again", config=config)',
            "import outside\n": "from contextlib import suppress\n\nimport outside\n",
        },
        endless=True,
    ),
]  # fmt: skip

_NO_OFFER = """    if first is None:
        raise NoOffer(f"None of {len(event['Vendors'])} vendors has answered.")
"""
_ACCEPT = """    context.step(lambda _: outside.accept(first["Vendor"], table), name="accept")
"""

OFFERS = [
    Broken(
        "It never accepts an offer",
        "The vendor waits for an order, and its offer runs out.",
        {_ACCEPT: ""},
    ),
    Broken(
        "It asks only the first vendor",
        "One vendor is away, and nobody has asked the other one.",
        {'[*map(asking, event["Vendors"]), deadline]': '[*map(asking, event["Vendors"][:1]), deadline]'},
        endless=True,
    ),
    Broken(
        "It succeeds when no offer has come",
        "The next step has no offer to work with, and fails far from the cause.",
        {_NO_OFFER: "    if first is None:\n        return None\n"},
    ),
    Broken(
        "It accepts somebody when no offer has come",
        "A vendor who has offered nothing gets the order, and nobody knows the price.",
        {_NO_OFFER: """    if first is None:
        context.step(lambda _: outside.accept(event["Vendors"][0], table), name="accept")
""" + _NO_OFFER.partition("\n")[2]},
    ),
    Broken(
        "It accepts the first vendor's offer, whoever has made one",
        "A vendor who has offered nothing gets the order.",
        {'outside.accept(first["Vendor"], table)': 'outside.accept(event["Vendors"][0], table)'},
    ),
    Broken(
        "It returns the offer as text",
        "The next step looks for a price in a string.",
        {"WaitForCallbackConfig(serdes=JsonSerDes())": "WaitForCallbackConfig()"},
    ),
    Broken(
        "It waits until all vendors have answered",
        "One vendor never does, and the offer of the other is lost.",
        {"CompletionConfig.first_successful()": "CompletionConfig(min_successful=len(branches) - 1)"},
        endless=True,
    ),
    Broken(
        "It has no deadline",
        "No vendor answers, and it waits until its execution times out.",
        {'event["Vendors"]), deadline]': 'event["Vendors"])]'},
        endless=True,
    ),
    Broken(
        "It takes the seconds of its deadline for minutes",
        "An offer that was to come within an hour is waited for until Wednesday.",
        {'Duration.from_seconds(event["Seconds"])': 'Duration.from_minutes(event["Seconds"])'},
        endless=True,
    ),
    Broken(
        "It does not wait for its deadline",
        "No vendor is so quick, and each request for an offer ends with none.",
        {'        child.wait(Duration.from_seconds(event["Seconds"]), name="deadline")\n': "        return None\n"},
    ),
    Broken(
        "It ends when one vendor declines",
        "One does not want the job, and the better offer of the other is never seen.",
        {"CompletionConfig.first_successful()": "CompletionConfig(min_successful=1, tolerated_failure_count=0)"},
    ),
    Broken(
        "It asks the vendors again when it goes on",
        "Each vendor gets a second request, whose answer nobody waits for.",
        {"    first = context": '    if context.is_replaying():\n        for vendor in event["Vendors"]:\n'
         "            outside.ask(vendor, table, None)\n    first = context"},
    ),
]  # fmt: skip

_BY_NAME = {row.name: row for row in MIGRATE}

# Those of `migrate` that can be told without a look at what was done outside, which nobody has in an account.
HERE = [
    _BY_NAME[name]
    for name in (
        "It loses the answer",
        "It returns the answer as text",
        "It swallows the timeout",
        "It takes a migration that still runs for one that has failed",
        "It waits for an hour, whatever its event says",
    )
]
IN_ACCOUNT = [
    dataclasses.replace(row, name=f"In the account, {row.name[0].lower()}{row.name[1:]}")
    for row in (_BY_NAME["It loses the answer"], _BY_NAME["It swallows the timeout"])
]
