"""The worlds in which the durable functions of lab 04 are explored: DMS, the table `waiting`, the vendor, who approves.

They are small: one replication task, one table, one vendor. All time in them is the explorer's one clock, so a
migration may last for an hour. A world knows how its execution should end (`wrong`). In most of them the function's
process crashes; in some, a function waits for as long as no check can wait in an account.
"""

import copy
import dataclasses
import datetime
import itertools
import json
import re
from collections.abc import Mapping

from workshop.checking.executions import durable_pauses
from workshop.checking.expressions import holds, projected, updated
from workshop.checking.outcomes import listed
from workshop.checking.stand_ins import Refused, Unknown
from workshop.exploring import World

ARN = "arn:aws:dms:us-east-1:111122223333:task:EXPLORED"
TABLE = "arn:aws:dynamodb:us-east-1:111122223333:table/explored"
WAITS = {"TimeoutSeconds": 86_400, "HeartbeatSeconds": 7200}
FINISHED, FATAL = "Stop Reason FULL_LOAD_ONLY_FINISHED", "Stop Reason FATAL_ERROR"
REASON = "Last Error Table travel.explored, line 49."
REFUSED = "Half of it is missing."
REPORT = {"rows": 3, "missing": {"city": 1}, "out_of_range": 0}
_NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


class Waiting(World):
    """A world with the table of who waits. about: what is special about it, as a case's `about`.

    input: what the execution gets in place of what others get. random: what it has got that should be random; a text.
    """

    about = ""
    input: Mapping = {}
    random = ""

    def __init__(self):
        self.items = {}

    def call(self, service, operation, parameters):
        if service != "dynamodb" or operation not in _KNOWN:
            raise Unknown
        if set(parameters) - _KNOWN[operation] - {"TableName", "ExpressionAttributeNames"}:
            raise Unknown
        key = {**parameters.get("Item", {}), **parameters.get("Key", {})}.get("Id", {}).get("S")
        if key is None or parameters.get("ReturnValues", "NONE") not in _RETURNED:
            raise Unknown
        item = self.items.get(key, {})
        names, values = (parameters.get(f"ExpressionAttribute{what}", {}) for what in ("Names", "Values"))
        if operation == "GetItem":
            wanted = parameters.get("ProjectionExpression")
            found = projected(wanted, item, names) if wanted else item
            return {"Item": copy.deepcopy(found)} if item else {}  # boto3 changes what it gets
        if "ConditionExpression" in parameters and not holds(parameters["ConditionExpression"], item, names, values):
            raise Refused("ConditionalCheckFailedException", "The conditional request failed")
        new = named = parameters.get("Item", {})
        if operation == "UpdateItem":
            new, named = updated(parameters.get("UpdateExpression", ""), {**item, **parameters["Key"]}, names, values)
            if "Id" in named:
                raise Refused("ValidationException", "Cannot update attribute Id. This attribute is part of the key")
        if new:
            self.did("save", " and ".join(sorted({*named} - _OF_EACH)) or "an item")
            self.items[key] = new
        else:
            self.did("delete", "an item")
            self.items.pop(key, None)
        told = _RETURNED[parameters.get("ReturnValues", "NONE")](item, new, named)
        return {"Attributes": copy.deepcopy(told)} if told else {}

    def request(self, method, path, headers, body):
        raise Unknown

    def waiting(self, key):
        """The callback ID of whoever waits under that key; None where nobody does."""
        return self.items.get(key, {}).get("CallbackId", {}).get("S")

    def times(self, kind):
        """How often effects of this kind happened."""
        return sum(effect[0] == kind for effect in self.effects)

    def wrong(self, run):
        """What is wrong with a run in this world, a sentence; None where it ended as it should."""
        raise NotImplementedError


_CONDITION = {"ConditionExpression", "ExpressionAttributeValues", "ReturnValues"}
_KNOWN = {
    "GetItem": {"Key", "ConsistentRead", "ProjectionExpression"},
    "PutItem": {"Item", *_CONDITION},
    "DeleteItem": {"Key", *_CONDITION},
    "UpdateItem": {"Key", "UpdateExpression", *_CONDITION},
}
_OF_EACH = {"Id", "CreatedAt", "WaitsUntil", "ExpiresAt"}  # what each item has, of which no story tells
_RETURNED = {
    "NONE": lambda old, new, named: {},
    "ALL_OLD": lambda old, new, named: old,
    "ALL_NEW": lambda old, new, named: new,
    "UPDATED_OLD": lambda old, new, named: {name: old[name] for name in named if name in old},
    "UPDATED_NEW": lambda old, new, named: {name: new[name] for name in named if name in new},
}


class Migrating(Waiting):
    """A world with a migration, of whose end an event tells whoever waits for it in the table.

    ran_before: whether it has run before. lasts: for so many seconds; 0: it is over before the start call returns.
    fails: whether it fails. told: how often its event comes. loses: whether the answer to its first start gets lost.
    """

    about = "a migration of an hour"
    ran_before, lasts, fails, told, loses = False, 3600, False, 1, False

    def __init__(self):
        super().__init__()
        self.status, self.began, self.asked = "ready", None, 0
        if self.ran_before:
            self.status, self.began = "stopped", _NOON - datetime.timedelta(days=1)

    def call(self, service, operation, parameters):
        if service != "dms":
            return super().call(service, operation, parameters)
        if operation == "DescribeReplicationTasks":
            wanted = [value for each in parameters.get("Filters", []) for value in each["Values"]]
            if wanted != [ARN]:
                raise Unknown
            self.asked += 1
            return {"ReplicationTasks": [self._described()]}
        if parameters.get("ReplicationTaskArn") != ARN:
            raise Unknown
        if operation == "StartReplicationTask":
            return self._start(parameters.get("StartReplicationTaskType"))
        if operation == "StopReplicationTask":
            return self._stop()
        raise Unknown

    def _described(self):
        task = {"ReplicationTaskArn": ARN, "Status": self.status}
        if self.began:
            task["ReplicationTaskStats"] = {"StartDate": self.began, "TablesErrored": 0}
        if self.status == "stopped":
            task["StopReason"] = FINISHED
        if self.status == "failed":
            task |= {"StopReason": FATAL, "LastFailureMessage": REASON}
        return task

    def _start(self, kind):
        if self.status not in ("ready", "stopped", "failed"):
            raise Refused("InvalidResourceStateFault", f"Replication Task cannot be started, it is {self.status}")
        if (self.began is None) != (kind == "start-replication"):
            raise Refused("InvalidParameterCombinationException", f"Start Type {kind} is not for this task")
        first = not self.times("start")
        self.did("start", "the migration")
        self.status = "starting"
        if self.lasts:
            self.later(1, self._runs)
        else:
            self._runs()
        if self.loses and first:
            raise TimeoutError("The answer to the start got lost.")
        return {"ReplicationTask": self._described()}

    def _runs(self):
        self.status, self.began = "running", _NOON + datetime.timedelta(seconds=self.now())
        began = self.began
        if self.lasts:
            self.later(self.lasts, lambda: self._ends(began))
        else:
            self._ends(began)

    def _stop(self):
        if self.status != "running":
            raise Refused("InvalidResourceStateFault", f"Replication Task is not running, it is {self.status}")
        self.status = "stopping"
        self.later(1, lambda: self._stopped())
        return {"ReplicationTask": self._described()}

    def _stopped(self):
        self.status = "stopped"

    def _ends(self, began):
        if self.status == "running" and self.began == began:
            self.status = "failed" if self.fails else "stopped"
            for _ in range(self.told):
                self._tells()

    def _tells(self):
        """What `resume` does when its event comes."""
        item, callback_id = self.items.get(ARN, {}), self.waiting(ARN)
        if callback_id is None or item.get("StartedBefore", {}).get("S") == str(self.began):
            return
        if self.fails:
            self.fail(callback_id, REASON, "MigrationFailed")
        else:
            self.succeed(callback_id, {"ReplicationTaskArn": ARN})
        self.items.pop(ARN, None)

    def _started(self):
        return _not_once("the migration was", "started", self.times("start"))

    def _late(self, run):
        if self.told and run.seconds >= WAITS["TimeoutSeconds"]:
            return "the event of its end found nobody to tell, and the execution waited for its timeout"
        return None

    def wrong(self, run):
        expected = ("FAILED", "MigrationFailed", REASON) if self.fails else ("SUCCEEDED", {"ReplicationTaskArn": ARN})
        return self._started() or self._late(run) or _ended_otherwise(run, *expected)


def _not_once(it_was, done, times):
    """What was done another number of times than once, in words; None where it was done once."""
    if not times:
        return f"{it_was} never {done}"
    return f"{it_was} {done} {'twice' if times == 2 else f'{times} times'}" if times > 1 else None


def _ended_otherwise(run, status, value, message=""):
    """How a run ended otherwise than so, in words. value: what it should return, or the name of its error."""
    error = run.error or {}
    if run.status == status == "SUCCEEDED" and run.result == value:
        return None
    named = value is None or str(error.get("ErrorType")).rpartition(".")[2] == value
    if run.status == status == "FAILED" and named and message in str(error.get("ErrorMessage")):
        return None
    return _ended(run)


def _ended(run):
    """How a run ended, in words."""
    return f"the execution{run.in_words().removeprefix('it')}"


class Twice(Migrating):
    about, told = "a migration whose event came twice", 2


class AtOnce(Migrating):
    about, lasts = "a migration that was over before its start call had returned", 0


class Again(Migrating):
    about, ran_before = "a migration that had run before", True


class AgainAtOnce(AtOnce):
    about, ran_before = "a migration that had run before, and was over before its start call had returned", True


class Fails(Migrating):
    about, fails = "a migration that failed", True


class Unheard(Migrating):
    about, told = "a migration whose event got lost", 0


class Lost(Migrating):
    about, loses = "a migration whose start was carried out, and the answer to it got lost", True


def _left_alone(run, limit, seconds, otherwise):
    """What is wrong with a run that was to wait for so long, in words. otherwise: how it ended otherwise, or None."""
    waited = f"with `{limit}` {seconds} it waited for {run.seconds} s without an answer"
    if run.status in ("SUCCEEDED", "FAILED") and run.seconds < seconds:
        return waited
    return otherwise or (waited if run.seconds > seconds + 60 else None)


class UnheardForADay(Unheard):
    about = "a migration whose event got lost, and nobody else answered"

    def wrong(self, run):
        return _left_alone(run, "seconds", WAITS["TimeoutSeconds"], super().wrong(run))


class RunsOn(Unheard):
    about, lasts = "a migration that still ran when its wait was over", 10**7

    def __init__(self):
        super().__init__()
        self.looked = 0

    def call(self, service, operation, parameters):
        if operation == "DescribeReplicationTasks" and self.now() >= WAITS["TimeoutSeconds"]:
            self.looked += 1
        return super().call(service, operation, parameters)

    def wrong(self, run):
        if self.looked > 1:
            return f"when nobody had answered for `seconds`, it looked {self.looked} times"
        otherwise = _ended_otherwise(run, "FAILED", "MigrationTimedOut")
        return _left_alone(run, "seconds", WAITS["TimeoutSeconds"], otherwise)


class Taken(Migrating):
    """Another execution waits for the task; it starts it a second later, and hears nothing of its end."""

    about, lasts, told = "a task for which another execution waited", 2, 0  # over before retries are

    def __init__(self):
        super().__init__()
        item = {"Id": {"S": ARN}, "CallbackId": {"S": "another's"}, "StartedBefore": {"S": ""}}
        self.items[ARN] = item | {"CreatedAt": {"N": "0"}, "WaitsUntil": {"N": str(10**11)}}

    def call(self, service, operation, parameters):
        if self.status == "ready" and not self.asked:
            self.later(1, self._runs)
        return super().call(service, operation, parameters)

    def wrong(self, run):
        if self.waiting(ARN) != "another's":
            return "its callback ID took the place of the other one"
        if self.times("start"):
            return "the migration was started"
        return _ended(run) if run.status == "SUCCEEDED" else None


class _NotStarted(Migrating):
    """DMS refuses its first start. code: of the error."""

    code, refused = "", False

    def _start(self, kind):
        if not self.refused:
            self.refused = True
            raise Refused(self.code, "It cannot be started.")
        return super()._start(kind)

    def wrong(self, run):
        if self.times("start"):
            return super().wrong(run)
        if run.status == "FAILED" and run.seconds < WAITS["TimeoutSeconds"]:
            return None
        return f"the migration was not started, and the execution waited for {run.seconds} s"


class StartDenied(_NotStarted):
    code = "AccessDeniedFault"
    about = f"a migration whose first start DMS refused ({code})"


class StartOfNothing(_NotStarted):
    code = "ResourceNotFoundFault"
    about = f"a migration whose first start DMS refused ({code})"


# What StartReplicationTask documents beside the InvalidResourceStateFault that an account plays:
# https://docs.aws.amazon.com/dms/latest/APIReference/API_StartReplicationTask.html
NOT_STARTED = {world.code: world for world in (StartDenied, StartOfNothing)}


# -- asking -----------------------------------------------------------------------------------------------------------

ASKING = {"ReplicationTaskArn": ARN, "PollSeconds": 60, "MaxPollSeconds": 600, "MaxPolls": 6}


class Polled(Migrating):
    """Somebody has started it, and nobody is told of its end."""

    about, lasts, told = "a migration of some minutes", 200, 0

    def __init__(self):
        super().__init__()
        self.status, self.began = "running", _NOON

    def call(self, service, operation, parameters):
        if self.status == "running" and self.now() >= self.lasts:
            self.status = "failed" if self.fails else "stopped"
        return super().call(service, operation, parameters)

    def wrong(self, run):
        expected = ("FAILED", "MigrationFailed", REASON) if self.fails else ("SUCCEEDED", {"ReplicationTaskArn": ARN})
        return _ended_otherwise(run, *expected)


class PolledFails(Polled):
    about, fails = "a migration that failed", True


class Outlives(Polled):
    about, lasts = "a migration that outlived all polls", 10**7

    def wrong(self, run):
        most = ASKING["MaxPolls"] + run.crashed  # a poll may be cut off just as it is made
        if self.asked > most:
            return f"with MaxPolls {ASKING['MaxPolls']} it asked {self.asked} times"
        return _ended_otherwise(run, "FAILED", None)


class ManyPolls(Polled):
    about, lasts = "a migration that was over at the 70th poll", 10**7
    input = {"MaxPolls": 100}

    def _described(self):
        if self.asked >= 70:
            self.status = "stopped"
        return super()._described()

    def wrong(self, run):
        # What it returns once the migration is over, other cases see, and say in better words.
        return super().wrong(run) if self.status == "running" else None


class OverAtLast(Polled):
    about, lasts = f"a migration that was over at poll {ASKING['MaxPolls']}, the last one", 10**7

    def _described(self):
        if self.asked == ASKING["MaxPolls"]:
            self.status = "stopped"
        return super()._described()

    def wrong(self, run):
        # Who asks less or more often than that is told so in other cases, in better words.
        return super().wrong(run) if self.asked == ASKING["MaxPolls"] else None


class Passing(Polled):
    """It is described with each status that it may have while it is under way, three times each; then it is over."""

    about, lasts = (
        "a migration that DMS called `ready`, `starting`, `running` and `stopping`, one after the other",
        10**7,
    )
    input = {"MaxPolls": 100}
    statuses = ("ready", "starting", "running", "stopping")

    def _described(self):
        passed = (self.asked - 1) // 3
        self.status = self.statuses[passed] if passed < len(self.statuses) else "stopped"
        return super()._described()

    def wrong(self, run):
        # What it returns once the migration is over, other cases see, and say in better words.
        return f"while DMS called it `{self.status}`, {_ended(run)}" if self.status != "stopped" else None


class Busy(Polled):
    """DMS refuses many questions in a row; then the migration is over. refused: how many it has refused."""

    about, lasts = "a migration about which DMS refused twenty questions in a row (ThrottlingException)", 10**7
    input = {"MaxPolls": 100}
    refused = 0

    def call(self, service, operation, parameters):
        if operation == "DescribeReplicationTasks" and self.asked and self.refused < 20:
            self.refused += 1
            raise Refused("ThrottlingException", "Rate exceeded")
        if self.refused == 20:
            self.status = "stopped"
        return super().call(service, operation, parameters)

    def wrong(self, run):
        if 0 < self.refused < 20:
            return f"when DMS had refused {self.refused} of them, {_ended(run)}"
        return None  # what it does otherwise, other cases see, and say in better words


class _Refusing(Polled):
    """DMS answers the first question, and refuses all others. code: of the error."""

    lasts, code = 10**7, ""
    input = {"MaxPolls": 5}

    def call(self, service, operation, parameters):
        if operation == "DescribeReplicationTasks" and self.asked:
            self.asked += 1
            raise Refused(self.code, "It cannot be described.")
        return super().call(service, operation, parameters)

    def wrong(self, run):
        if self.asked > 2:
            return f"it asked {self.asked - 2} times again"
        return None if run.status == "FAILED" else _ended(run)


def _refusing(code):
    about = f"a migration about which DMS refused the second question ({code})"
    return type(code, (_Refusing,), {"about": about, "code": code})


# What DescribeReplicationTasks documents, and some of the errors that all services have in common; each, but being
# throttled: https://docs.aws.amazon.com/dms/latest/APIReference/API_DescribeReplicationTasks.html and CommonErrors.html
REFUSING = {
    code: _refusing(code)
    for code in (
        "ResourceNotFoundFault",
        "AccessDeniedFault",
        "ExpiredTokenException",
        "InternalFailure",
        "ServiceUnavailable",
        "ValidationError",
    )
}
globals().update(REFUSING)


class LongPauses(Outlives):
    about = "a migration that outlived all polls by hours"

    def wrong(self, run):
        first, most = ASKING["PollSeconds"], ASKING["MaxPollSeconds"]
        pauses = durable_pauses(run.history)
        grows = all(later > earlier or later == most for earlier, later in itertools.pairwise(pauses))
        if pauses[:1] == [first] and grows and max(pauses) <= most:
            return None
        return f"with `first` {first} and `longest` {most} it waited {listed(pauses, nothing='0')} s between its polls"


# -- the vendor -------------------------------------------------------------------------------------------------------


class Vendor(Waiting):
    """A world with the vendor. takes: seconds of an audit; 0: its callback comes before the order's answer does.

    refuses: whether the audit fails. silent: whether it never calls. loses: whether the first order's answer gets lost.
    """

    about = "an audit of an hour"
    takes, refuses, silent, loses_order = 3600, False, False, False

    def __init__(self):
        super().__init__()
        self.checks, self.asks = {}, 0

    @property
    def random(self):
        return ", ".join(_address_in(check["order"]) for check in self.checks.values())

    def request(self, method, path, headers, body):
        asked = re.search(r"/v1/checks(?:/([^/]+))?$", path)  # its URL may have a path, too
        if method == "GET" and asked and asked[1] in self.checks:
            self.asks += 1
            return 200, self.checks[asked[1]]
        if method != "POST" or not asked or asked[1]:
            raise Unknown
        try:
            order = json.loads(body)
            _ = order["table"], order["callback_url"].rpartition("/")
        except (ValueError, TypeError, KeyError, AttributeError):
            return 400, {"message": "The body must be JSON with table and callback_url."}
        return self._order(headers.get("idempotency-key") or len(self.checks), order)

    def _order(self, key, order):
        known = [check for check in self.checks.values() if check["key"] == key]
        if known:
            if known[0]["order"] != order:
                return 422, {"message": "This Idempotency-Key came with another order before."}
            return 202, known[0]
        self.did("order", "an audit")
        name = f"chk_{len(self.checks) + 1}"
        self.checks[name] = check = {"check_id": name, "status": "running", "key": key, "order": order}
        if self.takes:
            self.later(self.takes, self._done, check)
        else:
            self._done(check)
        if self.loses_order and len(self.checks) == 1:
            raise TimeoutError("The answer to the order got lost.")
        return 202, {**check, "status": "running"}

    def _done(self, check):
        check |= (
            {"status": "failed", "error": {"message": REFUSED}}
            if self.refuses
            else {
                "status": "completed",
                "report": REPORT,
            }
        )
        if not self.silent:
            self._calls(check, 3)

    def _calls(self, check, tries):
        """It calls the URL, and what is behind that tells whoever waits; it calls again where that is nobody."""
        callback_id = self.waiting(_address_in(check["order"]))
        if callback_id is None:
            if tries > 1:
                self.later(60, self._calls, check, tries - 1)
        elif self.refuses:
            self.fail(callback_id, REFUSED, "CheckFailed")
        else:
            self.succeed(callback_id, REPORT)

    def _ordered(self):
        return _not_once("an audit was", "ordered", self.times("order"))

    def _late(self, run):
        if not self.silent and run.seconds >= WAITS["HeartbeatSeconds"]:
            return "the vendor's callback found nobody to tell, and the execution waited for its timeout"
        return None

    def wrong(self, run):
        expected = ("FAILED", "CheckFailed", REFUSED) if self.refuses else ("SUCCEEDED", REPORT)
        return self._ordered() or self._late(run) or _ended_otherwise(run, *expected)


def _address_in(order):
    return order["callback_url"].rpartition("/")[2]


class Quick(Vendor):
    about, takes = "an audit whose report came before the order was answered", 0


class Failing(Vendor):
    about, refuses = "an audit that failed", True


class Silent(Vendor):
    about, silent = "an audit of which the vendor, though it was done, told nothing", True


class LostOrder(Vendor):
    about, loses_order = "an audit that was ordered, and the answer to the order got lost", True


class Kept(Vendor):
    """What its address leads to is looked at when it is ordered, and when it is done. kept: for how long that waits."""

    about = "an audit of an hour, and what its address led to until then"

    def __init__(self):
        super().__init__()
        self.kept = []

    def _order(self, key, order):
        self._look(order)
        return super()._order(key, order)

    def _done(self, check):
        self._look(check["order"])
        super()._done(check)

    def _look(self, order):
        item = self.items.get(_address_in(order), {})
        if {"WaitsUntil", "CreatedAt"} <= set(item):
            self.kept.append(int(item["WaitsUntil"]["N"]) - int(item["CreatedAt"]["N"]))

    def wrong(self, run):
        # What becomes of the order and of the report, other cases see, and say in better words.
        wrong = [seconds for seconds in self.kept if seconds != WAITS["TimeoutSeconds"]]
        if not wrong:
            return None
        return (
            f"`seconds` was {WAITS['TimeoutSeconds']}, and the item that it saved said that it waits for {wrong[0]} s"
        )


class _LeftAlone(Vendor):
    """The vendor does not report. limit: which of the two ends the wait, as the function's parameter is called."""

    limit, name, ends = "silence", "HeartbeatSeconds", ("SUCCEEDED", REPORT)

    def wrong(self, run):
        if self.asks > 1:
            return f"it asked the vendor {self.asks} times"
        otherwise = self._ordered() or _ended_otherwise(run, *self.ends)
        return _left_alone(run, self.limit, WAITS[self.name], otherwise)


class SilentForHours(_LeftAlone, Silent):
    pass


class WorksOn(_LeftAlone):
    about, takes, silent = "an audit with a sign of life each hour, and without an end", 10**9, True
    limit, name, ends = "seconds", "TimeoutSeconds", ("FAILED", "VendorSilent")

    def _order(self, key, order):
        self.later(3600, self._beats, order)
        return super()._order(key, order)

    def _beats(self, order):
        callback_id = self.waiting(_address_in(order))
        if callback_id is not None and any(check["status"] == "running" for check in self.checks.values()):
            self.heartbeat(callback_id)
        self.later(3600, self._beats, order)


class DoneAtLast(WorksOn):
    about = "an audit with a sign of life each hour, which was done in the end, and nobody was told"
    takes, ends = WAITS["TimeoutSeconds"] - 600, ("SUCCEEDED", REPORT)


# -- two at once ------------------------------------------------------------------------------------------------------


class Night(Migrating, Vendor):
    """A migration and an audit."""

    about = "a night on which all went well"

    def wrong(self, run):
        both = {"Migration": {"ReplicationTaskArn": ARN}, "Report": REPORT}
        return self._started() or self._ordered() or _ended_otherwise(run, "SUCCEEDED", both)


class Slow(Night):
    about, lasts = "a night on which the report came first", 5000


class CheckFails(Night):
    about, refuses, takes = "a night on which the audit failed while the migration ran", True, 60

    def wrong(self, run):
        if self.status in ("starting", "running"):
            return f"the migration was left {self.status}"
        return _ended_otherwise(run, "FAILED", None, REFUSED)


class StartsForLong(CheckFails):
    """DMS refuses to stop what is starting, and takes longer to start it than a step is tried for by default."""

    about = "a night on which DMS took minutes to start the migration, and the audit failed meanwhile"
    starts = 240  # seconds; a step's attempts are over after 135 at most, if it has no retry strategy of its own

    def later(self, seconds, what, *args):
        super().later(self.takes + self.starts if what == self._runs else seconds, what, *args)


class MigrationFails(Night):
    about, fails, takes, silent = "a night on which the migration failed while the vendor said nothing", True, 0, True

    def wrong(self, run):
        return _ended_otherwise(run, "FAILED", None, REASON)


class NightOutlived(Night):
    about, lasts, told = "a night on which the time for the migration was over, and it ran on", 10**7, 0

    def wrong(self, run):
        if self.status in ("starting", "running"):
            return f"the migration was left {self.status}"
        return _ended_otherwise(run, "FAILED", None)


# -- asking for approval ----------------------------------------------------------------------------------------------

REQUEST = "explored"


class Approved(Migrating):
    """Somebody answers a request after an hour. after: or after so many seconds."""

    about, lasts, told = "somebody who approved", 150, 0
    after = 3600
    answer = {"Approved": True, "By": "Ana"}
    _looks = False

    def call(self, service, operation, parameters):
        if not self._looks:
            self._looks = True
            self.later(self.after, self._answers)
        return super().call(service, operation, parameters)

    def _answers(self):
        callback_id = self.waiting(REQUEST)
        if callback_id is not None:
            self.succeed(callback_id, self.answer)

    def wrong(self, run):
        wanted = {"Moved": self.answer["Approved"], "By": self.answer["By"]}
        started = self._started() if self.answer["Approved"] else None
        return started or _ended_otherwise(run, "SUCCEEDED", wanted)


class NotApproved(Approved):
    about, answer = "somebody who did not approve", {"Approved": False, "By": "Cem"}


class ApprovedAndFails(Approved):
    about, fails = "somebody who approved of a migration that failed", True

    def wrong(self, run):
        return self._started() or _ended_otherwise(run, "FAILED", "MigrationFailed", REASON)


class ApprovedForHours(Approved):
    """Its migration takes more polls than one may wait seconds for the answer."""

    about, lasts, after = "somebody who approved of a migration of 120 polls", 120 * 60, 100
    input = {"TimeoutSeconds": 110}

    def wrong(self, run):
        others = [pause for pause in durable_pauses(run.history) if pause != 60]
        if others:
            return f"with PollSeconds 60 it waited {listed(others)} s between polls"
        # What else it may do wrong, other cases see, and say in better words.
        return super().wrong(run) if self.times("start") and self.status in ("starting", "running") else None


class NobodyAnswers(Approved):
    about, answer = "a request that nobody answered for a day", {"Approved": False, "By": "nobody"}

    def _answers(self):
        pass

    def wrong(self, run):
        if self.times("start"):
            return None  # it takes silence for a yes, which a shorter silence shows, too
        return _left_alone(run, "TimeoutSeconds", WAITS["TimeoutSeconds"], super().wrong(run))


# -- all of them ------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Explored:
    """How a durable function is explored. event: its input.

    inside: the effects after which a crash inside of a step counts, too: those that the contract asks to bear it.
    """

    event: Mapping
    worlds: tuple[type[Waiting], ...]
    inside: frozenset = frozenset()


EXPLORED = {
    "poll": Explored(ASKING, (Polled, PolledFails, Outlives)),
    "migrate": Explored(
        {"ReplicationTaskArn": ARN, **WAITS},
        (Migrating, AtOnce, Twice, Again, AgainAtOnce, Fails, Unheard, Lost),
        frozenset({"save", "start"}),
    ),
    "check": Explored(
        {"Table": TABLE, **WAITS}, (Vendor, Quick, Failing, Silent, LostOrder), frozenset({"save", "order"})
    ),
    "nightly": Explored(
        {"ReplicationTaskArn": ARN, "Table": TABLE, **WAITS}, (Night, Slow, CheckFails, MigrationFails)
    ),
    "approve": Explored(
        {"ReplicationTaskArn": ARN, "Id": REQUEST, "PollSeconds": 60, **WAITS},
        (Approved, NotApproved, ApprovedAndFails),
    ),
}
