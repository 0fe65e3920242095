"""Answers to the tasks of lab 02, right and wrong: {task: [answer, ...]}; see `answers/polling_loop.py`.

An answer is what it does differently from the solution, whose files and parts stand for all it does not name:
`files`, {name: text}; `machine`, a definition; `rule`, a pattern, with `rule_options`; `functions`, the text of task 6;
`permissions` of the function or state machine that the task is about; `ended`, the same of the rule, in another task;
`beside`, further parts that are there.
"""

import json
from contextlib import suppress

import boto3
from flows import DONE

from workshop import deploy

from . import cells

# A rule hears of the migrations of every learner, and functions need processes: not too many of them at a time.
# What the solution writes with %%writefile: {name: text}.
FILES = cells.written(cells.of_solution("02-task-tokens-and-events").values())

# -- giving an answer --------------------------------------------------------------------------------------------------

# task: the parts that its check needs; what the task is about comes first
_PARTS = {
    1: ["start"],
    2: ["migrate", "start"],
    3: ["ended", "resume"],
    4: ["resume", "ended", "migrate", "start"],
    5: ["reconcile"],
}


def give(lab, number, answer, scratch):
    """Put an answer into the account, and what the tasks before it make. scratch: a folder."""
    if number == 6:
        exec(answer["functions"], lab._names)
        return
    deploy.table(lab.name("waiting"), key="ReplicationTaskArn")
    files = FILES | answer.get("files", {})
    for name, text in files.items():
        (scratch / name).write_text(text)
    for part in sorted([*_PARTS[number], *answer.get("beside", [])], key=[*_GIVE].index):
        with suppress(deploy.DeployError):  # a learner sees it, and then runs the check
            _GIVE[part](lab, scratch, answer if part == _PARTS[number][0] else answer.get(part, {}))


def take_back(lab):
    """Switch off the learner's rule: it would go on to invoke a function at the end of everybody's migrations."""
    events = boto3.client("events")
    with suppress(events.exceptions.ResourceNotFoundException):
        events.disable_rule(Name=lab.name("ended"))


def _function(thing, source, modules, *actions, timeout=10):
    def deploy_it(lab, scratch, answer):
        items = deploy.arn("dynamodb", f"table/{lab.name('waiting')}")
        resources = {"dynamodb": items, "dms": "*", "states": "*"}
        permissions = {action: resources[action.split(":")[0]] for action in answer.get("actions", actions)}
        deploy.function(
            lab.name(thing),
            scratch / source,
            modules=[scratch / module for module in modules],
            environment={"TABLE": lab.name("waiting")},
            permissions=permissions,
            timeout=timeout,
        )

    return deploy_it


def _machine(lab, scratch, answer):
    function = deploy.arn("lambda", f"function:{lab.name('start')}")
    text = json.dumps(answer.get("machine", MACHINE), default=lambda blank: "BLANK")
    machine = json.loads(text.replace("START", lab.name("start")).replace("FUNCTION_ARN", function))
    if "BLANK" in text:
        return
    permissions = answer.get("permissions", {"lambda:InvokeFunction": function})
    deploy.state_machine(lab.name("migrate"), machine, permissions=permissions)


def _rule(lab, scratch, answer):
    options, name = answer.get("rule_options", {}), lab.name("ended")
    pattern, functions = answer.get("rule", PATTERN), boto3.client("lambda")
    if pattern is None:
        return
    pattern = json.loads(json.dumps(pattern).replace("LAB_TASKS", deploy.arn("dms", f"task:{lab.name('')}")))
    events, resume = boto3.client("events"), lab.name("resume")
    arn = events.put_rule(Name=name, EventPattern=json.dumps(pattern), State=options.get("state", "ENABLED"))["RuleArn"]
    target = options.get("target", "RESUME").replace("RESUME", resume)
    function = deploy.arn("lambda", f"function:{target}")
    if target:
        events.put_targets(Rule=name, Targets=[{"Id": "resume", "Arn": function, **options.get("gets", {})}])
    if options.get("permit", True):
        permission = {"FunctionName": resume, "StatementId": "ended", "Action": "lambda:InvokeFunction"}
        source = arn.replace(name, options.get("permit_for", name))
        permission |= {"Principal": options.get("principal", "events.amazonaws.com"), "SourceArn": source}
        with suppress(functions.exceptions.ResourceNotFoundException):  # there is no function, or no such statement yet
            functions.remove_permission(FunctionName=resume, StatementId="ended")
        with suppress(functions.exceptions.ResourceNotFoundException):
            functions.add_permission(**permission)


_KNOW_DMS = ("dms_task.py", "waiting.py")
_ANSWER = ("answer.py", "verdict.py", *_KNOW_DMS)
_ON_ITEMS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:Scan")
_ANSWERS = ("dms:DescribeReplicationTasks", "states:SendTaskSuccess", "states:SendTaskFailure")
_STARTS = ("dms:DescribeReplicationTasks", "dms:StartReplicationTask", "states:DescribeExecution")
_GIVE = {
    "start": _function("start", "start.py", _KNOW_DMS, *_STARTS, *_ON_ITEMS),
    "migrate": _machine,
    "resume": _function("resume", "resume.py", _ANSWER, *_ANSWERS, *_ON_ITEMS),
    "ended": _rule,
    "reconcile": _function("reconcile", "reconcile.py", _ANSWER, *_ANSWERS, *_ON_ITEMS, timeout=60),
}


def changed(file, *replacements):
    """The solution's file with these (old, new) texts replaced, each of which must be there."""
    text = FILES[file]
    for old, new in replacements:
        assert old in text, (file, old)
        text = text.replace(old, new)
    return {file: text}


BLANK = "def lambda_handler(event, context):\n    ...\n"

# -- task 1 ------------------------------------------------------------------------------------------------------------

_PUT = "        table.put_item(Item=new, ConditionExpression=free, ExpressionAttributeValues=values)\n"
_FREE = '"attribute_not_exists(TaskToken) OR TaskToken = :mine OR ExpiresAt < :now"'
_VALUES = 'values = {":mine": old["TaskToken"] if again else "none", ":now": new["CreatedAt"]}'
_UNLESS = "        if not (again and runs):  # else it runs for us, or has run\n            start(task)\n"
_FAILED = (
    '        if runs or not begun(describe(task["ReplicationTaskArn"]), new["StartedBefore"]):\n'
    "            forget(new)\n            raise\n"
)
_EXPIRED = '        if old and not again and old["ExpiresAt"] < new["CreatedAt"]:\n'
_SAVED = '    if old.get("TaskToken") != new["TaskToken"]:\n'

_IN_PYTHON = """
import time

from dms_task import describe, start, started
from waiting import find, forget, new_item, table


class Busy(Exception):
    pass


def lambda_handler(event, context):
    arn = event["ReplicationTaskArn"]
    task, old = describe(arn), find(arn)
    new = new_item(event, task)
    mine = bool(old) and old["Execution"] == new["Execution"]
    if not old:
        table.put_item(Item=new, ConditionExpression="attribute_not_exists(ReplicationTaskArn)")
    elif mine or old["ExpiresAt"] < time.time():
        if mine:
            new["StartedBefore"] = old["StartedBefore"]
        if old != new and old["TaskToken"] != new["TaskToken"]:
            same, token = "TaskToken = :token", {":token": old["TaskToken"]}
            table.put_item(Item=new, ConditionExpression=same, ExpressionAttributeValues=token)
    else:
        raise Busy(f"{old['Execution']} waits already")
    if mine and its_run(task, new):
        return "it runs"
    ran_already = task["Status"] in ("starting", "running", "stopping")
    try:
        start(task)
    except Exception:
        if ran_already or not its_run(describe(arn), new):
            forget(new)
            raise


def its_run(task, item):
    return task["Status"] in ("starting", "running", "stopping") or started(task) != item["StartedBefore"]
"""
_PUTS_FIRST = """
import time

from botocore.exceptions import ClientError
from dms_task import begun, describe, start
from waiting import forget, new_item, table


def lambda_handler(event, context):
    task = describe(event["ReplicationTaskArn"])
    item, old = new_item(event, task), None
    try:
        table.put_item(
            Item=item,
            ConditionExpression="attribute_not_exists(TaskToken) OR ExpiresAt < :now",
            ExpressionAttributeValues={":now": int(time.time())},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        old = {name: next(iter(value.values())) for name, value in refusal.response["Item"].items()}
        if old["Execution"] != item["Execution"]:
            raise
        item["StartedBefore"] = old["StartedBefore"]
        if old["TaskToken"] != item["TaskToken"]:
            table.put_item(
                Item=item,
                ConditionExpression="TaskToken = :seen",
                ExpressionAttributeValues={":seen": old["TaskToken"]},
            )
    under_way = begun(task, item["StartedBefore"])
    if old and under_way:
        return
    try:
        start(task)
    except Exception as problem:
        now = describe(event["ReplicationTaskArn"])
        if not under_way and begun(now, item["StartedBefore"]):
            print("It runs all the same:", problem)
            return
        forget(item)
        raise
"""
_ASKS_STEP_FUNCTIONS = """
import boto3

from dms_task import begun, describe, start
from waiting import find, forget, new_item, table

stepfunctions = boto3.client("stepfunctions")


def runs(execution):
    try:
        return stepfunctions.describe_execution(executionArn=execution)["status"] == "RUNNING"
    except stepfunctions.exceptions.ExecutionDoesNotExist:
        return False


def lambda_handler(event, context):
    arn = event["ReplicationTaskArn"]
    task, old = describe(arn), find(arn)
    new = new_item(event, task)
    again = bool(old) and old["Execution"] == event["Execution"]
    if again:
        new["StartedBefore"] = old["StartedBefore"]
    if old and not again and runs(old["Execution"]):
        raise RuntimeError("somebody waits")
    condition = {"ConditionExpression": "attribute_not_exists(TaskToken)"}
    if old:
        condition = {"ConditionExpression": "TaskToken = :t", "ExpressionAttributeValues": {":t": old["TaskToken"]}}
    if not again or old["TaskToken"] != event["TaskToken"]:
        table.put_item(Item=new, **condition)
    before = begun(task, new["StartedBefore"])
    try:
        if not (again and before):
            start(task)
    except Exception as problem:
        if before or not begun(describe(arn), new["StartedBefore"]):
            forget(new)
            raise problem
    return {"started": True}
"""
_LOW_LEVEL = """
import os
import time

import boto3

dms, dynamodb = boto3.client("dms"), boto3.client("dynamodb")
TABLE = os.environ["TABLE"]


def look(arn):
    one = [{"Name": "replication-task-arn", "Values": [arn]}]
    task = dms.describe_replication_tasks(Filters=one, WithoutSettings=True)["ReplicationTasks"][0]
    return task["Status"] in ("starting", "running", "stopping"), str(task["ReplicationTaskStats"].get("StartDate", ""))


def lambda_handler(event, context):
    arn, me, token = event["ReplicationTaskArn"], event["Execution"], event["TaskToken"]
    key, now = {"ReplicationTaskArn": {"S": arn}}, int(time.time())
    busy, began = look(arn)
    old = dynamodb.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item", {})
    mine = old.get("Execution", {}).get("S") == me
    before = old["StartedBefore"]["S"] if mine else began
    if not mine or old["TaskToken"]["S"] != token:
        fresh = {":t": token, ":x": me, ":c": now, ":e": now + event["TimeoutSeconds"], ":s": before, ":now": now}
        fresh[":old"] = old["TaskToken"]["S"] if mine else "-"
        values = {name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in fresh.items()}
        dynamodb.update_item(
            TableName=TABLE,
            Key=key,
            UpdateExpression="SET TaskToken = :t, Execution = :x, CreatedAt = :c, ExpiresAt = :e, StartedBefore = :s",
            ConditionExpression="attribute_not_exists(TaskToken) OR TaskToken = :old OR ExpiresAt <= :now",
            ExpressionAttributeValues=values,
        )
    if mine and (busy or began != before):
        return
    try:
        dms.start_replication_task(
            ReplicationTaskArn=arn, StartReplicationTaskType="reload-target" if began else "start-replication"
        )
    except Exception:
        runs, begins = look(arn)
        if busy or not (runs or begins != before):
            same = {"ConditionExpression": "TaskToken = :t", "ExpressionAttributeValues": {":t": {"S": token}}}
            dynamodb.delete_item(TableName=TABLE, Key=key, **same)
            raise
"""
_LOOKS_AGAIN_AND_AGAIN = """
import time

from botocore.exceptions import BotoCoreError, ClientError
from dms_task import begun, describe, start, started
from waiting import find, forget, new_item, table


def lambda_handler(event, context):
    arn, me = event["ReplicationTaskArn"], event["Execution"]
    old, task = find(arn), describe(arn)
    new = new_item(event, task)
    if old and old["Execution"] == me:
        new["StartedBefore"] = old["StartedBefore"]
        if old["TaskToken"] != event["TaskToken"]:
            save(new, "TaskToken = :t", {":t": old["TaskToken"]})
        if begun(task, new["StartedBefore"]):
            return
    else:
        save(new, "attribute_not_exists(TaskToken) OR ExpiresAt <= :n", {":n": int(time.time())})
        if task["Status"] in ("starting", "running"):
            old = None
    try:
        start(task)
    except (ClientError, BotoCoreError):
        taken = task["Status"] not in ("ready", "stopped", "failed")
        for _ in range(3):
            if not taken and begun(describe(arn), new["StartedBefore"]):
                return
            time.sleep(0.2)
        forget(new)
        raise


def save(item, condition, values):
    table.put_item(Item=item, ConditionExpression=condition, ExpressionAttributeValues=values)
"""

_IN_A_PLACE = '''
from contextlib import contextmanager

from boto3.dynamodb.conditions import Attr
from dms_task import begun, describe, start
from waiting import find, forget, new_item, table


class AlreadyTaken(RuntimeError): ...


class Place:
    """What an execution has in the table."""

    def __init__(self, item, before):
        self.item, self.before = item, before

    def __enter__(self):
        if self.before and self.before["TaskToken"] == self.item["TaskToken"]:
            return self
        free = Attr("TaskToken").not_exists() | Attr("ExpiresAt").lt(self.item["CreatedAt"])
        if self.before:
            free |= Attr("TaskToken").eq(self.before["TaskToken"])
        try:
            table.put_item(Item=self.item, ConditionExpression=free)
        except table.meta.client.exceptions.ConditionalCheckFailedException as full:
            raise AlreadyTaken(self.item["ReplicationTaskArn"]) from full
        return self

    def __exit__(self, kind, fault, trace):
        if kind is None:
            return False
        task = describe(self.item["ReplicationTaskArn"])
        if not self.ran and begun(task, self.item["StartedBefore"]):
            return True
        forget(self.item)
        return False


def lambda_handler(event, context):
    before = find(event["ReplicationTaskArn"])
    if before.get("Execution") != event["Execution"]:
        before = None
    task = describe(event["ReplicationTaskArn"])
    item = new_item(event, task) | ({"StartedBefore": before["StartedBefore"]} if before else {})
    with Place(item, before) as place:
        place.ran = begun(task, item["StartedBefore"])
        if before is None or not place.ran:
            start(task)
'''

_IN_A_TRANSACTION = """
import logging
import os

import boto3
from dms_task import begun, describe, start
from waiting import find, forget, new_item

client = boto3.client("dynamodb")
log = logging.getLogger()


class Start:
    def __init__(self, event):
        self.arn = event["ReplicationTaskArn"]
        self.old = find(self.arn)
        self.task = describe(self.arn)
        self.item = new_item(event, self.task)
        self.mine = self.old.get("Execution") == event["Execution"]
        self.item["StartedBefore"] = self.old["StartedBefore"] if self.mine else self.item["StartedBefore"]

    def save(self):
        if self.old.get("TaskToken") == self.item["TaskToken"]:
            return
        item = {k: {"N": str(v)} if isinstance(v, int) else {"S": v} for k, v in self.item.items()}
        values = {":now": item["CreatedAt"], ":mine": {"S": self.old["TaskToken"] if self.mine else "nobody's"}}
        put = {
            "TableName": os.environ["TABLE"],
            "Item": item,
            "ConditionExpression": "attribute_not_exists(Execution) OR ExpiresAt < :now OR TaskToken = :mine",
            "ExpressionAttributeValues": values,
        }
        client.transact_write_items(TransactItems=[{"Put": put}])

    def start(self):
        ours = begun(self.task, self.item["StartedBefore"])
        if self.mine and ours:
            return
        try:
            start(self.task)
        except Exception:
            log.exception("the start failed, or its answer got lost")
            if not ours and begun(describe(self.arn), self.item["StartedBefore"]):
                return
            forget(self.item)
            raise


def lambda_handler(event, context):
    it = Start(event)
    it.save()
    it.start()
    log.info("now %s", describe(it.arn)["Status"])
"""

TASK_1 = [
    dict(name="the solution"),
    dict(name="a class, a transaction, and more looks than it needs", files={"start.py": _IN_A_TRANSACTION}),
    dict(name="a context manager, conditions as objects", files={"start.py": _IN_A_PLACE}),
    dict(name="decides in Python, writes on condition that nothing changed", files={"start.py": _IN_PYTHON}),
    dict(name="writes first, and looks at what was there", files={"start.py": _PUTS_FIRST}),
    dict(name="asks Step Functions whether the other execution runs", files={"start.py": _ASKS_STEP_FUNCTIONS}),
    dict(name="with DynamoDB's client, an update in place of a put", files={"start.py": _LOW_LEVEL}),
    dict(name="looks three times before it gives up", files={"start.py": _LOOKS_AGAIN_AND_AGAIN}),
    dict(
        name="an item with more in it", files=changed("start.py", ("    again =", '    new["By"] = "me"\n    again ='))
    ),
    dict(name="blank", files={"start.py": BLANK}, says="not attempted", words="There is no function named"),
    dict(
        name="a line that is no Python",
        files=changed("start.py", ("    if again:", "    if again")),
        says="not yet",
        words="was refused",
    ),
    dict(
        name="starts first, saves second",
        files=changed("start.py", (_UNLESS, "        pass\n"), ("    again =", "    start(task)\n    again =")),
        says="not yet",
        words="the token was not in the table yet",
    ),
    dict(
        name="saves nothing",
        files=changed("start.py", (_PUT, "        pass\n")),
        says="not yet",
        words="and no item of it was in the table",
    ),
    dict(
        name="starts nothing",
        files=changed("start.py", (_UNLESS, "        pass\n")),
        says="not yet",
        words="and the migration was not started",
    ),
    dict(
        name="saves without a condition",
        files=changed("start.py", (_PUT, "        table.put_item(Item=new)\n")),
        says="not yet",
        words="and went on when the next one had saved its token",
    ),
    dict(
        name="looks, then puts without a condition",
        files=changed(
            "start.py",
            (
                _PUT,
                "        if old and not again and old['ExpiresAt'] >= new['CreatedAt']:\n"
                "            raise RuntimeError('somebody waits')\n"
                "        if again and find(new['ReplicationTaskArn']).get('TaskToken') != old['TaskToken']:\n"
                "            raise RuntimeError('this is the older attempt')\n"
                "        if not old and find(new['ReplicationTaskArn']).get('Execution') == new['Execution']:\n"
                "            raise RuntimeError('this is the older attempt')\n"
                "        table.put_item(Item=new)\n",
            ),
        ),
        says="not yet",
        words="Two executions came at the same moment (fault: hold)",
    ),
    dict(
        name="lets its own execution overwrite whatever it finds",
        files=changed(
            "start.py",
            (_FREE, '"attribute_not_exists(TaskToken) OR Execution = :me OR ExpiresAt < :now"'),
            (_VALUES, 'values = {":me": new["Execution"], ":now": new["CreatedAt"]}'),
        ),
        says="not yet",
        words="and went on when the next one had saved its token",
    ),
    dict(
        name="saves only where nothing is",
        files=changed(
            "start.py", (_FREE, '"attribute_not_exists(TaskToken)"'), (", ExpressionAttributeValues=values", "")
        ),
        says="not yet",
        words="half an hour after the first (by the times of its item), and the function raised ConditionalCheck",
    ),
    dict(
        name="takes an expired item for one that waits",
        files=changed(
            "start.py",
            (_FREE, '"attribute_not_exists(TaskToken) OR TaskToken = :mine"'),
            (', ":now": new["CreatedAt"]', ""),
        ),
        says="not yet",
        words="that expired two seconds ago, and the function raised Cond",
    ),
    dict(
        name="takes what is older than an hour for expired",
        files=changed(
            "start.py",
            ("ExpiresAt < :now", "CreatedAt < :then"),
            ('":now": new["CreatedAt"]', '":then": new["CreatedAt"] - 3600'),
        ),
        says="not yet",
        words="(for nearly two hours, by the times of its item) and the migration",
    ),
    dict(
        name="takes what is older than a day for expired",
        files=changed(
            "start.py",
            ("ExpiresAt < :now", "CreatedAt < :then"),
            ('":now": new["CreatedAt"]', '":then": new["CreatedAt"] - 86400'),
        ),
        says="not yet",
        words="that expired two seconds ago, and the function raised Cond",
    ),
    dict(
        name="takes what is old for expired, too",
        files=changed(
            "start.py",
            ("ExpiresAt < :now", "ExpiresAt < :now OR CreatedAt < :then"),
            ('":now": new["CreatedAt"]', '":now": new["CreatedAt"], ":then": new["CreatedAt"] - 3600'),
        ),
        says="not yet",
        words="(for nearly two hours, by the times of its item) and the migration",
    ),
    dict(
        name="takes what expires before its own item for expired",
        files=changed("start.py", ('":now": new["CreatedAt"]', '":now": new["ExpiresAt"]')),
        says="not yet",
        words="After that the table had",  # another one replaces it, or where a second has passed, a slow attempt does
    ),
    dict(
        name="renews the token, and leaves the times of the old one",
        files=changed(
            "start.py",
            (
                _PUT,
                """        if again:
            table.update_item(
                Key={"ReplicationTaskArn": new["ReplicationTaskArn"]},
                UpdateExpression="SET TaskToken = :new",
                ConditionExpression="TaskToken = :mine",
                ExpressionAttributeValues={":mine": old["TaskToken"], ":new": new["TaskToken"]},
            )
        else:
"""
                + _PUT.replace("    table", "        table"),
            ),
        ),
        says="not yet",
        words="half an hour after the first (by the times of its item). With TimeoutSeconds 3600",
    ),
    dict(
        name="takes every item for an expired one",
        files=changed("start.py", ("ExpiresAt < :now", "ExpiresAt > :now")),
        says="not yet",
        words="and went on when the next one had saved its token",
    ),
    dict(
        name="an item counts as expired five minutes later, for clocks that disagree",
        files=changed("start.py", ('":now": new["CreatedAt"]', '":now": new["CreatedAt"] - 300')),
        says="not yet",
        words="The table had an item, a minute old, that expired two seconds ago",
    ),
    dict(
        name="compares the times in milliseconds",
        files=changed("start.py", ('":now": new["CreatedAt"]', '":now": new["CreatedAt"] * 1000')),
        says="not yet",
        words="and went on when the next one had saved its token",
    ),
    dict(
        name="whoever finds an item has been here before",
        files=changed("start.py", ('again = old.get("Execution") == new["Execution"]', "again = bool(old)")),
        says="not yet",
        words="Another execution came while one waited",
    ),
    dict(
        name="any token is a new attempt's",
        files=changed("start.py", (' if again else "none"', ' if old else "none"')),
        says="not yet",
        words="Another execution came while one waited",
    ),
    dict(
        name="does nothing for an execution that it knows",
        files=changed("start.py", ("    if again:\n", "    if again:\n        return\n")),
        says="not yet",
        words="After that the table had the token of that attempt",
    ),
    dict(
        name="does nothing for a token that it knows",
        files=changed(
            "start.py",
            ("    if again:\n", '    if old.get("TaskToken") == new["TaskToken"]:\n        return\n    if again:\n'),
        ),
        says="not yet",
        words="the same token came again, and the function ended without an error, and the migration was not",
    ),
    dict(
        name="saves for an execution that it knows, and starts nothing",
        files=changed("start.py", ("not (again and runs)", "not again")),
        says="not yet",
        words="and the function ended without an error, and the migration was not started",
    ),
    dict(
        name="starts again whoever comes",
        files=changed("start.py", ("not (again and runs)", "True")),
        says="not yet",
        words="half an hour after the first (by the times of its item), and the function raised InvalidResourceState",
    ),
    dict(
        name="starts again where it does not run any more",
        files=changed(
            "start.py", ("not (again and runs)", 'not (again and task["Status"] in ("starting", "running"))')
        ),
        says="not yet",
        words="it was started a second time",
    ),
    dict(
        name="takes any task that has ever run for started",
        files=changed(
            "start.py", ("not (again and runs)", "not started(task)"), ("describe, start", "describe, start, started")
        ),
        says="not yet",
        words="nobody waited for it, and the function ended without an error, and the migration was not",
    ),
    dict(
        name="notes in the item that it has started",
        files=changed(
            "start.py",
            (
                _UNLESS,
                '        if not (again and "Ours" in old):\n            start(task)\n'
                '            new["Ours"] = True\n            table.put_item(Item=new)\n',
            ),
        ),
        says="not yet",
        words="(fault: kill); a new token of the same execution came, and it was started a second time",
    ),
    dict(
        name="reads StartedBefore anew at every attempt",
        files=changed("start.py", ('    if again:\n        new["StartedBefore"] = old["StartedBefore"]\n', "")),
        says="not yet",
        words="it was started a second time",
    ),
    dict(
        name="takes every run for the first",
        files=changed("start.py", ("    again =", '    new["StartedBefore"] = ""\n    again =')),
        says="not yet",
        words="and StartedBefore is ''",
    ),
    dict(
        name="no execution in its item",
        files=changed(
            "waiting.py", ('("ReplicationTaskArn", "TaskToken", "Execution")', '("ReplicationTaskArn", "TaskToken")')
        ),
        says="not yet",
        words="the function raised KeyError",
    ),
    dict(
        name="an execution of another name",
        files=changed(
            "start.py", ("    again =", '    new["Execution"] = new["Execution"].rpartition(":")[2]\n    again =')
        ),
        says="not yet",
        words="The Execution in the item is not the one that the function got",
    ),
    dict(
        name="a shortened token",
        files=changed("start.py", ("    again =", '    new["TaskToken"] = new["TaskToken"][:200]\n    again =')),
        says="not yet",
        words="The TaskToken in the item is not the one that the function got",
    ),
    dict(
        name="an hour for everybody",
        files=changed("waiting.py", ('event["TimeoutSeconds"]', "3600")),
        says="not yet",
        words="The item expires when the token does",
    ),
    dict(
        name="expires as many seconds after 1970 as the token lives",
        files=changed("waiting.py", ('now + event["TimeoutSeconds"]', 'event["TimeoutSeconds"]')),
        says="not yet",
        words="The item expires when the token does",
    ),
    dict(
        name="a TTL in milliseconds",
        files=changed("waiting.py", ('now + event["TimeoutSeconds"]', '(now + event["TimeoutSeconds"]) * 1000')),
        says="not yet",
        words="Both are seconds since 1970",
    ),
    dict(
        name="times as text",
        files=changed(
            "start.py",
            (
                _PUT,
                '        new |= {name: str(new[name]) for name in ("CreatedAt", "ExpiresAt")}\n' + _PUT,
            ),
        ),
        says="not yet",
        words="Both are seconds since 1970, as numbers",
    ),
    dict(
        name="renews what expired, and leaves its times",
        files=changed(
            "start.py",
            (
                _PUT,
                """        if old and not again and old["ExpiresAt"] < new["CreatedAt"]:
            table.update_item(
                Key={"ReplicationTaskArn": new["ReplicationTaskArn"]},
                UpdateExpression="SET TaskToken = :new, Execution = :me, StartedBefore = :before",
                ConditionExpression="TaskToken = :old",
                ExpressionAttributeValues={
                    ":old": old["TaskToken"],
                    ":new": new["TaskToken"],
                    ":me": new["Execution"],
                    ":before": new["StartedBefore"],
                },
            )
        else:
"""
                + _PUT.replace("    table", "        table"),
            ),
        ),
        says="not yet",
        words="The table had an item, a minute old, that expired two seconds ago. With TimeoutSeconds",
    ),
    dict(
        name="all times in milliseconds",
        files=changed("waiting.py", ("now = int(time.time())", "now = int(time.time() * 1000)")),
        says="not yet",
        words="Both are seconds since 1970",
    ),
    dict(
        name="writes again for the same token",
        files=changed("start.py", (_SAVED, "    if True:\n")),
        says="not yet",
        words="half an hour after the first (by the times of its item), and the item was changed",
    ),
    dict(
        name="hides why the start failed",
        files=changed("start.py", (_FAILED, '        print("it runs already")\n')),
        says="not yet",
        words="started by hand, and the function ended without an error",
    ),
    dict(
        name="takes a task that ran already for its own",
        files=changed("start.py", ("if runs or not begun", "if not begun")),
        says="not yet",
        words="started by hand, and the function ended without an error",
    ),
    dict(
        name="leaves the item of a start that failed",
        files=changed("start.py", ("            forget(new)\n", "")),
        says="not yet",
        words="and its item stayed in the table",
    ),
    dict(
        name="raises an error of its own",
        files=changed("start.py", ("            raise\n", '            raise RuntimeError("not started") from None\n')),
        says="not yet",
        words="It raises the error that DMS returned",
    ),
    dict(
        name="forgets, and does not raise",
        files=changed("start.py", ("            raise\n", '            return "not started"\n')),
        says="not yet",
        words="started by hand, and the function ended without an error",
    ),
    dict(
        name="takes a lost answer for a failure",
        files=changed("start.py", (_FAILED, "        forget(new)\n        raise\n")),
        says="not yet",
        words="DMS still told how the task was before its run (fault: stale), and the function raised InvalidResource",
    ),
    dict(
        name="takes a lost answer for a failure, but in a second attempt",
        files=changed("start.py", ("if runs or not begun", "if not again or not begun")),
        says="not yet",
        words="its answer got lost (fault: lost), and the function raised InvalidResource",
    ),
    dict(
        name="knows lost answers by DMS's refusal only",
        files=changed(
            "start.py",
            ("if runs or not begun", 'if "InvalidResourceState" not in str(problem) or runs or not begun'),
            ("except Exception:", "except Exception as problem:"),
        ),
        says="not yet",
        words="its answer got lost (fault: lost), and the function raised ConnectionClosed",
    ),
    dict(
        name="always the first kind of start",
        files=changed(
            "dms_task.py", ('"reload-target" if started(task) else "start-replication"', '"start-replication"')
        ),
        says="not yet",
        words="nobody waited for it, and the function raised InvalidParameterCombination",
    ),
    dict(
        name="goes on where another left off",
        files=changed("dms_task.py", ('"reload-target" if started(task) else "start-replication"', '"reload-target"')),
        says="not yet",
        words="The migration had never run, and the function raised",
    ),
    dict(
        name="forgets its token when it could not save it",
        files=changed(
            "start.py",
            (
                _PUT,
                "        try:\n    " + _PUT + "        except Exception:\n            forget(new)\n            raise\n",
            ),
        ),
        says="not yet",
        words="The same token came twice at the same moment (fault: hold)",
    ),
    dict(
        name="puts without a condition over what has expired",
        files=changed(
            "start.py",
            (
                _PUT,
                '        if old and not again and old["ExpiresAt"] < new["CreatedAt"]:\n'
                "            table.put_item(Item=new)\n        else:\n    " + _PUT,
            ),
        ),
        says="not yet",
        words="found an item that had expired, and both invocations ended without an error",
    ),
    dict(
        name="deletes what has expired, and then saves where nothing is",
        files=changed(
            "start.py",
            (
                _PUT,
                _EXPIRED
                + '            table.delete_item(Key={"ReplicationTaskArn": new["ReplicationTaskArn"]})\n'
                + _PUT,
            ),
            (_FREE, '"attribute_not_exists(TaskToken) OR TaskToken = :mine"'),
            (', ":now": new["CreatedAt"]', ""),
        ),
        says="not yet",
        words="and found an item that had expired, and both invocations ended without an error",
    ),
    dict(
        name="forgets what has expired, and then saves where nothing is",
        files=changed(
            "start.py",
            (_PUT, _EXPIRED + "            forget(old)\n" + _PUT),
            (_FREE, '"attribute_not_exists(TaskToken) OR TaskToken = :mine"'),
            (', ":now": new["CreatedAt"]', ""),
        ),
    ),
    dict(
        name="forgets its old token, and then saves the new one",
        files=changed("start.py", (_PUT, "        if again:\n            forget(old)\n" + _PUT)),
        says="not yet",
        words="died as soon as it had changed the table (fault: kill); then another one came, and StartedBefore",
    ),
    dict(
        name="a state that is retried overwrites whatever its execution has",
        files=changed(
            "start.py",
            (
                _PUT,
                """        if again:
            mine = {"ConditionExpression": "Execution = :me", "ExpressionAttributeValues": {":me": new["Execution"]}}
            table.put_item(Item=new, **mine)
        else:
"""
                + _PUT.replace("    table", "        table"),
            ),
        ),
        says="not yet",
        words="The second attempt of an execution was slow (fault: hold), and went on when the next one had saved",
    ),
    dict(
        name="deletes whatever item there is when its start fails",
        files=changed(
            "start.py",
            (
                "            forget(new)\n",
                '            table.delete_item(Key={"ReplicationTaskArn": new["ReplicationTaskArn"]})\n',
            ),
        ),
        says="not yet",
        words="was slow (fault: hold), and DMS refused its start (AccessDeniedFault)",
    ),
    dict(
        name="asks after a lost answer only whether it is under way",
        files=changed(
            "start.py",
            (
                'begun(describe(task["ReplicationTaskArn"]), new["StartedBefore"])',
                'describe(task["ReplicationTaskArn"])["Status"] in ("starting", "running", "stopping")',
            ),
        ),
        says="not yet",
        words="which had ended when its answer got lost (fault: lost), and the function raised",
    ),
    dict(
        name="says nothing to another execution",
        files=changed(
            "start.py",
            (
                _PUT,
                "        try:\n    "
                + _PUT
                + "        except table.meta.client.exceptions.ConditionalCheckFailedException:\n"
                + '            return "somebody waits"\n',
            ),
        ),
        says="not yet",
        words="Another execution that still waits is not overwritten: the function raises",
    ),
    dict(
        name="one item for all migrations",
        files=changed("start.py", ("    again =", '    new["ReplicationTaskArn"] = "the migration"\n    again =')),
        says="not yet",
        words="The migration had never run, and the function",
    ),
    dict(
        name="notes that it starts, and takes the note back where its start raised",
        files=changed(
            "start.py",
            ("    if again:\n", '    if again:\n        new |= {"Tried": True} if "Tried" in old else {}\n'),
            (
                "        if not (again and runs):  # else it runs for us, or has run\n            start(task)\n",
                '        if not (again and "Tried" in old):\n'
                '            note(new, "SET Tried = :yes", {":yes": True})\n'
                "            start(task)\n",
            ),
            ("    except Exception:\n", '    except Exception:\n        note(new, "REMOVE Tried")\n'),
            (
                "def lambda_handler(",
                "def note(item, what, values=()):\n"
                "    table.update_item(\n"
                '        Key={"ReplicationTaskArn": item["ReplicationTaskArn"]},\n'
                "        UpdateExpression=what,\n"
                '        ConditionExpression="TaskToken = :mine",\n'
                '        ExpressionAttributeValues={":mine": item["TaskToken"], **dict(values)},\n'
                "    )\n\n\ndef lambda_handler(",
            ),
        ),
        says="not yet",
        words="A new token of the same execution came, and the function ended without an error, and the migration was "
        "started a second time",
    ),
    dict(  # only two troubles together show it: a function that died before its start, and another execution
        name="takes the place of one that waits where nothing was started",
        files=changed(
            "start.py",
            (
                _PUT,
                '        if old and not again and not begun(task, old["StartedBefore"]):\n'
                "            forget(old)\n" + _PUT,
            ),
        ),
        says="not yet",
        words="Another execution came for it, and the function ended without an error. Somebody else waited",
    ),
]

# -- task 2 ------------------------------------------------------------------------------------------------------------

PAYLOAD = {
    "ReplicationTaskArn": "{% $states.input.ReplicationTaskArn %}",
    "TaskToken": "{% $states.context.Task.Token %}",
    "Execution": "{% $states.context.Execution.Id %}",
    "TimeoutSeconds": "{% $states.input.TimeoutSeconds %}",
}
TIMED_OUT = {"ErrorEquals": ["States.Timeout"], "Next": "Timed out"}
FAILED = {"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput %}", "Next": "Not migrated"}
LAMBDA_FAILS = [
    f"Lambda.{kind}Exception"
    for kind in ("Service", "AWSLambda", "SdkClient", "ClientExecutionTimeout", "TooManyRequests")
]
RETRY = [{"ErrorEquals": LAMBDA_FAILS, "IntervalSeconds": 1, "MaxAttempts": 3, "BackoffRate": 2}]
MIGRATE = {
    "Type": "Task",
    "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
    "Arguments": {"FunctionName": "START", "Payload": PAYLOAD},
    "TimeoutSeconds": "{% $states.input.TimeoutSeconds %}",
    "Retry": RETRY,
    "Catch": [TIMED_OUT, FAILED],
    "Next": "Migrated",
}
ENDS = {
    "Migrated": DONE,
    "Not migrated": {"Type": "Fail", "Error": "{% $states.input.Error %}", "Cause": "{% $states.input.Cause %}"},
    "Timed out": {"Type": "Fail", "Error": "MigrationTimedOut", "Cause": "No answer came in time."},
}


def machine(without=(), **fields):
    """The solution's machine; fields: of its waiting state, in the place of its own; without: left out."""
    migrate = {name: value for name, value in {**MIGRATE, **fields}.items() if name not in without}
    reached = {migrate["Next"], *(catcher["Next"] for catcher in migrate.get("Catch", []))}
    ends = {name: state for name, state in ENDS.items() if name in reached}  # Step Functions wants no others
    return {"QueryLanguage": "JSONata", "StartAt": "Migrate", "States": {"Migrate": migrate, **ends}}


def payload(**fields):
    return machine(Arguments={"FunctionName": "START", "Payload": {**PAYLOAD, **fields}})


MACHINE = machine()
_PATHS = {
    "StartAt": "Start it and wait",
    "States": {
        "Start it and wait": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Parameters": {
                "FunctionName": "FUNCTION_ARN",
                "Payload": {
                    "ReplicationTaskArn.$": "$.ReplicationTaskArn",
                    "TaskToken.$": "$$.Task.Token",
                    "Execution.$": "$$.Execution.Id",
                    "TimeoutSeconds.$": "$.TimeoutSeconds",
                },
            },
            "TimeoutSecondsPath": "$.TimeoutSeconds",
            "Retry": [{"ErrorEquals": LAMBDA_FAILS, "MaxAttempts": 2}],
            "Catch": [
                {"ErrorEquals": ["States.Timeout"], "Next": "Too late"},
                {"ErrorEquals": ["States.TaskFailed"], "Next": "Failed"},
            ],
            "End": True,
        },
        "Too late": {"Type": "Fail", "Error": "MigrationTimedOut"},
        "Failed": {"Type": "Fail", "Error": "NoMigration", "CausePath": "$.Cause"},
    },
}
_CHOICE = {
    "QueryLanguage": "JSONata",
    "StartAt": "Migrate",
    "States": {
        "Migrate": {
            **MIGRATE,
            "Retry": [
                {"ErrorEquals": ["Lambda.TooManyRequestsException"], "MaxAttempts": 6, "JitterStrategy": "FULL"},
                {"ErrorEquals": LAMBDA_FAILS[:4], "IntervalSeconds": 2, "MaxAttempts": 2},
            ],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput %}", "Next": "Which?"}],
        },
        "Which?": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input.Error = 'States.Timeout' %}", "Next": "Timed out"}],
            "Default": "Not migrated",
        },
        **ENDS,
    },
}
_IN_PARALLEL = {
    "QueryLanguage": "JSONata",
    "StartAt": "All",
    "States": {
        "All": {
            "Type": "Parallel",
            "Branches": [
                {
                    "StartAt": "Wait",
                    "States": {
                        "Wait": {k: v for k, v in MIGRATE.items() if k not in ("Next", "Catch")} | {"End": True}
                    },
                }
            ],
            "Output": "{% $states.result[0] %}",
            "Catch": [TIMED_OUT, FAILED],
            "Next": "Migrated",
        },
        **ENDS,
    },
}

_MAPPED = {
    "StartAt": "Jobs",
    "States": {
        "Jobs": {"Type": "Pass", "Parameters": {"Jobs.$": "States.Array($)"}, "Next": "Each"},
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.Jobs",
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "INLINE"},
                "StartAt": "Ask",
                "States": {
                    "Ask": {
                        "Type": "Task",
                        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
                        "Parameters": {
                            "FunctionName": "FUNCTION_ARN",
                            "Payload": {
                                "Execution.$": "$$.Execution.Id",
                                "TaskToken.$": "$$.Task.Token",
                                "TimeoutSeconds.$": "$.TimeoutSeconds",
                                "ReplicationTaskArn.$": "$.ReplicationTaskArn",
                            },
                        },
                        "TimeoutSecondsPath": "$.TimeoutSeconds",
                        "Retry": [
                            {
                                "ErrorEquals": ["Lambda.TooManyRequestsException"],
                                "IntervalSeconds": 2,
                                "MaxAttempts": 6,
                            },
                            {
                                "ErrorEquals": [
                                    "Lambda.ClientExecutionTimeoutException",
                                    "Lambda.ServiceException",
                                    "Lambda.SdkClientException",
                                    "Lambda.AWSLambdaException",
                                ],
                                "IntervalSeconds": 1,
                                "MaxAttempts": 5,
                                "BackoffRate": 1.5,
                                "JitterStrategy": "FULL",
                            },
                        ],
                        "Catch": [
                            {"ErrorEquals": ["States.Timeout"], "Next": "Late"},
                            {"ErrorEquals": ["States.ALL"], "Next": "Bad"},
                        ],
                        "End": True,
                    },
                    "Late": {"Type": "Fail", "Error": "MigrationTimedOut", "Cause": "Nobody called."},
                    "Bad": {"Type": "Fail", "ErrorPath": "$.Error", "CausePath": "$.Cause"},
                },
            },
            "OutputPath": "$[0]",
            "End": True,
        },
    },
}


def caught(**fields):
    """Lambda's failures are caught, not retried: they lead to a copy of the state. fields: of the copy, for its own."""
    again = {name: value for name, value in {**MIGRATE, **fields}.items() if name != "Retry" and value is not None}
    first = machine(without=["Retry"], Catch=[{"ErrorEquals": LAMBDA_FAILS, "Next": "Again"}, TIMED_OUT, FAILED])
    # What a state catches is its output, so the copy takes its input from the execution's.
    job = {**PAYLOAD, **{name: f"{{% $states.context.Execution.Input.{name} %}}" for name in JOB}}
    again["Arguments"] = {"FunctionName": "START", "Payload": job}
    if "TimeoutSeconds" not in fields:
        again["TimeoutSeconds"] = job["TimeoutSeconds"]
    return {**first, "States": {**first["States"], "Again": again}}


JOB = ("ReplicationTaskArn", "TimeoutSeconds")

TASK_2 = [
    dict(name="the solution"),
    dict(name="a copy of the state for the second try", machine=caught()),
    dict(
        name="a copy of the state for the second try that waits without a bound",
        machine=caught(TimeoutSeconds=None),
        says="not yet",
        words="No answer came for its TimeoutSeconds",
    ),
    dict(
        name="a copy of the state for the second try that takes every error for a timeout",
        machine=caught(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Timed out"}]),
        says="not yet",
        words="Then it was answered with a failure",
    ),
    dict(name="JSONPath, inside a Map, whose errors come out of it", machine=_MAPPED),
    dict(
        name="a heartbeat that nobody sends",
        machine=machine(HeartbeatSeconds=60),
        says="not yet",
        words="HeartbeatSeconds 60: without an answer it would have given up after 60 s",
    ),
    dict(
        name="a bound of ten minutes, whatever the input says",
        machine=machine(TimeoutSeconds="{% $min([$states.input.TimeoutSeconds, 600]) %}"),
        says="not yet",
        words="TimeoutSeconds 600: without an answer it would have given up after 600 s",
    ),
    dict(
        name="a bound of a quarter of an hour for the whole state machine",
        machine={**MACHINE, "TimeoutSeconds": 900},
        says="not yet",
        words="the state machine as a whole has TimeoutSeconds 900",
    ),
    dict(name="a bound of a day for the whole state machine", machine={**MACHINE, "TimeoutSeconds": 86400}),
    dict(
        name="the whole of the context's Task for a token",
        machine=payload(TaskToken="{% $states.context.Task %}"),
        says="not yet",
        words="Step Functions does not know the token that start got: \"{'Token'",
    ),
    dict(
        name="reads the message out of a cause that is JSON",
        machine=machine(
            Catch=[
                TIMED_OUT,
                {
                    **FAILED,
                    "Output": {
                        "Error": "{% $states.errorOutput.Error %}",
                        "Cause": "{% $substring($states.errorOutput.Cause, 0, 1) = '{' "
                        "? $parse($states.errorOutput.Cause).errorMessage : $states.errorOutput.Cause %}",
                    },
                },
            ]
        ),
        says="not yet",
        words='"TablesErrored"',
    ),
    dict(name="JSONPath, no state after it", machine=_PATHS),
    dict(
        name="its input in a variable, and a second try for faults of Lambda that have no name",
        machine=machine(
            Arguments={"FunctionName": "FUNCTION_ARN", "InvocationType": "RequestResponse", "Payload": PAYLOAD},
            Assign={"job": "{% $states.input %}"},
            Retry=[{"ErrorEquals": [*LAMBDA_FAILS, "Lambda.Unknown"], "MaxAttempts": 1}],
        ),
    ),
    dict(
        name="three of Lambda's five failures",
        machine=machine(Retry=[{"ErrorEquals": LAMBDA_FAILS[:3], "IntervalSeconds": 2, "MaxAttempts": 6}]),
        says="not yet",
        words="Lambda failed once (Lambda.",
    ),
    dict(
        name="starts a migration that failed once more",
        machine=machine(Retry=[*RETRY, {"ErrorEquals": ["MigrationFailed"], "MaxAttempts": 2}]),
        says="not yet",
        words="the state was tried again",
    ),
    dict(
        name="invokes it as an event, so that nobody hears that it raised",
        machine=machine(Arguments={"FunctionName": "START", "InvocationType": "Event", "Payload": PAYLOAD}),
        says="not yet",
        words="When its start function raised, the execution was still running",
    ),
    dict(
        name="right, with a start that saves nothing",
        files=changed("start.py", (_PUT, "        pass\n")),
        says="not yet",
        words="what exercise 1 made, and that is not right yet. The migration had never run",
    ),
    dict(name="one Catch, and a Choice that looks at the error", machine=_CHOICE),
    dict(name="caught around it, by a Parallel", machine=_IN_PARALLEL),
    dict(
        name="through the SDK's integration, which does not see that a function raised",
        machine=machine(
            Resource="arn:aws:states:::aws-sdk:lambda:invoke.waitForTaskToken",
            Arguments={"FunctionName": "START", "Payload": PAYLOAD},
        ),
        says="not yet",
        words="When its start function raised, the execution was still running",
    ),
    dict(
        name="a heartbeat that never comes bounds it as well",
        machine=machine(HeartbeatSeconds="{% $states.input.TimeoutSeconds %}", TimeoutSeconds=86400),
    ),
    dict(
        name="blank",
        machine={"StartAt": "Migrate", "States": ...},
        says="not attempted",
        words="There is no state machine named",
    ),
    dict(
        name="invokes and does not wait",
        machine=machine(
            Resource="arn:aws:states:::lambda:invoke",
            **{"Arguments": {"FunctionName": "START", "Payload": {**PAYLOAD, "TaskToken": "none"}}},
        ),
        says="not yet",
        words="before anybody had answered",
    ),
    dict(
        name="waits without a bound",
        machine=machine(without=["TimeoutSeconds"]),
        says="not yet",
        words="and no answer for longer, the execution was still running",
    ),
    dict(
        name="a bound that is not the input's",
        machine=machine(TimeoutSeconds=3600),
        says="not yet",
        words="With TimeoutSeconds 2 in its input",
    ),
    dict(
        name="the state machine's bound in place of the state's",
        machine={**machine(without=["TimeoutSeconds"]), "TimeoutSeconds": 6},
        says="not yet",
        words="ended TIMED_OUT",
    ),
    dict(
        name="no Catch: both ends look alike",
        machine=machine(without=["Catch"]),
        says="not yet",
        words="the execution ended FAILED (States.Timeout",
    ),
    dict(
        name="one way out for all errors",
        machine=machine(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Timed out"}]),
        says="not yet",
        words="MigrationTimedOut is for a wait that timed out",
    ),
    dict(
        name="a failure without its cause",
        machine={**MACHINE, "States": {**MACHINE["States"], "Not migrated": {"Type": "Fail", "Error": "Failed"}}},
        says="not yet",
        words="Its cause contains the cause of the failure",
    ),
    dict(
        name="a cause of its own",
        machine={
            **MACHINE,
            "States": {**MACHINE["States"], "Not migrated": {"Type": "Fail", "Error": "Failed", "Cause": "It failed."}},
        },
        says="not yet",
        words="Its cause contains the cause of the failure",
    ),
    dict(
        name="a failure that ends as a success",
        machine=machine(Catch=[TIMED_OUT, {"ErrorEquals": ["States.ALL"], "Next": "Migrated"}]),
        says="not yet",
        words="the execution ended SUCCEEDED",
    ),
    dict(
        name="no second try",
        machine=machine(without=["Retry"]),
        says="not yet",
        words="Lambda failed once (Lambda.",
    ),
    dict(
        name="a second try for some of Lambda's failures",
        machine=machine(Retry=[{"ErrorEquals": ["Lambda.Unknown", "Lambda.ServiceException"], "MaxAttempts": 3}]),
        says="not yet",
        words="Lambda failed once (Lambda.",
    ),
    dict(
        name="tries that number none",
        machine=machine(Retry=[{"ErrorEquals": LAMBDA_FAILS, "MaxAttempts": 0}]),
        says="not yet",
        words="Lambda failed once (Lambda.",
    ),
    dict(
        name="a second try after an hour",
        machine=machine(Retry=[{"ErrorEquals": LAMBDA_FAILS, "IntervalSeconds": 3600}]),
        says="not yet",
        words="Lambda failed once (Lambda.",
    ),
    dict(
        name="a second try whatever happened",
        machine=machine(Retry=[{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 3}]),
        says="not yet",
        words="the state was tried again",
    ),
    dict(
        name="a second try after an answer, too",
        machine=machine(Retry=[*RETRY, {"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "MaxAttempts": 3}]),
        says="not yet",
        words="the state was tried again",
    ),
    dict(
        name="a second try after a timeout",
        machine=machine(Retry=[{"ErrorEquals": [*LAMBDA_FAILS, "States.Timeout"], "MaxAttempts": 9}]),
        says="not yet",
        words="and no answer for longer, the execution was still running",
    ),
    dict(
        name="a bound of two seconds",
        machine=machine(TimeoutSeconds=2),
        says="not yet",
        words="With TimeoutSeconds 4 in its input",
    ),
    dict(
        name="a second more than the bound",
        machine=machine(TimeoutSeconds="{% $states.input.TimeoutSeconds + 1 %}"),
        says="not yet",
        words="With TimeoutSeconds 2 in its input, the state that invoked the function waited with a limit of 3 s",
    ),
    dict(
        name="a copy of the state for the second try that waits a second more",
        machine=caught(TimeoutSeconds="{% $states.context.Execution.Input.TimeoutSeconds + 1 %}"),
        says="not yet",
        words="the state that invoked the function waited with a limit of",
    ),
    dict(
        name="twice the bound",
        machine=machine(TimeoutSeconds="{% $states.input.TimeoutSeconds * 2 %}"),
        says="not yet",
        words="It waits for TimeoutSeconds, and no longer",
    ),
    dict(
        name="an hour for the token, whatever the input says",
        machine=payload(TimeoutSeconds=3600),
        says="not yet",
        words="start gets four keys",
    ),
    dict(
        name="the execution's name in place of its ARN",
        machine=payload(Execution="{% $states.context.Execution.Name %}"),
        says="not yet",
        words="says Execution",
    ),
    dict(
        name="the machine in place of the execution",
        machine=payload(Execution="{% $states.context.StateMachine.Id %}"),
        says="not yet",
        words="says Execution",
    ),
    dict(
        name="no token",
        machine=machine(
            Arguments={
                "FunctionName": "START",
                "Payload": {name: value for name, value in PAYLOAD.items() if name != "TaskToken"},
            }
        ),
        says="not yet",
        words="ended FAILED (KeyError: 'TaskToken' (waiting.py, line ",
    ),
    dict(
        name="a part of the answer",
        machine=machine(Output="{% {'Rows': $states.result.Rows} %}"),
        says="not yet",
        words="Its output is the output of the answer",
    ),
    dict(
        name="the answer in a box",
        machine=machine(Output="{% {'answer': $states.result} %}"),
        says="not yet",
        words="Its output is the output of the answer",
    ),
    dict(
        name="the input in place of the answer",
        machine=machine(Output="{% $states.input %}"),
        says="not yet",
        words="Its output is the output of the answer",
    ),
    dict(
        name="JSONPath's token in JSONata",
        machine=payload(TaskToken="$$.Task.Token"),
        says="not yet",
        words="Step Functions does not know the token that start got: '$$.Task.Token'",
    ),
    dict(
        name="keeps nothing of the answer",
        machine=machine(Output={}),
        says="not yet",
        words="Its output is the output of the answer",
    ),
    dict(
        name="may not invoke the function",
        permissions={},
        says="not yet",
        words="is not authorized to perform: lambda:InvokeFunction",
    ),
    dict(
        name=".sync, which Lambda has not",
        machine=machine(Resource="arn:aws:states:::lambda:invoke.sync"),
        says="not yet",
        words="was refused",
    ),
]

# -- task 3 ------------------------------------------------------------------------------------------------------------

CHANGE = {"source": ["aws.dms"], "detail-type": ["DMS Replication Task State Change"]}
OF_ALL = {**CHANGE, "detail": {"eventType": ["REPLICATION_TASK_STOPPED", "REPLICATION_TASK_FAILED"]}}
PATTERN = {**OF_ALL, "resources": [{"prefix": "LAB_TASKS"}]}  # so that no learner's rule hears of another's migrations


def pattern(**detail):
    return {**CHANGE, "detail": detail}


TASK_3 = [
    dict(name="the solution"),
    dict(name="by event id", rule=pattern(eventId=["DMS-EVENT-0078", "DMS-EVENT-0079"])),
    dict(
        name="by type and the end of eventType, deleted ones too",
        rule={
            "source": ["aws.dms"],
            "detail": {
                "type": ["REPLICATION_TASK"],
                "eventType": [{"suffix": "_STOPPED"}, {"suffix": "_FAILED"}, {"suffix": "_DELETED"}],
            },
        },
    ),
    dict(
        name="by task, and any of two details",
        rule={
            **CHANGE,
            "resources": [{"prefix": "arn:aws:dms:"}],
            "detail": {"$or": [{"category": ["Failure"]}, {"eventType": ["REPLICATION_TASK_STOPPED"]}]},
        },
    ),
    dict(name="the tasks of everybody", rule=OF_ALL),
    dict(
        name="either of two details, in capitals or not",
        rule={
            **PATTERN,
            "detail": {
                "$or": [
                    {"eventType": ["REPLICATION_TASK_FAILED"]},
                    {"eventType": [{"equals-ignore-case": "replication_task_stopped"}], "category": ["StateChange"]},
                ]
            },
        },
    ),
    dict(
        name="all of a task but four kinds",
        rule={
            **PATTERN,
            "detail": {
                "eventType": [
                    {"anything-but": [f"REPLICATION_TASK_{it}" for it in ("STARTED", "CREATED", "MODIFIED", "DELETED")]}
                ]
            },
        },
        says="not yet",
        words="The pattern matches a task that was told to load its tables again",
    ),
    dict(name="this lab's tasks, with a wildcard", rule={**PATTERN, "resources": [{"wildcard": "LAB_TASKS*"}]}),
    dict(name="the state is not named", rule={**PATTERN, "detail-type": [{"suffix": "Task State Change"}]}),
    dict(
        name="one task of this lab",
        rule={**PATTERN, "resources": [{"prefix": "LAB_TASKSsmall"}]},
        says="not yet",
        words="does not match a full load that finished",
    ),
    dict(
        name="the name in place of the ARN",
        rule={**PATTERN, "resources": [{"prefix": "answer-3"}]},
        says="not yet",
        words="does not match a full load that finished",
    ),
    dict(
        name="the ARN in the detail",
        rule={**PATTERN, "detail": {**PATTERN["detail"], "ReplicationTaskArn": [{"prefix": "LAB_TASKS"}]}},
        says="not yet",
        words="does not match a full load that finished",
    ),
    dict(
        name="only ends that are good",
        rule=pattern(eventType=["REPLICATION_TASK_STOPPED"]),
        says="not yet",
        words="does not match a task that failed",
    ),
    dict(
        name="only ends that are bad",
        rule=pattern(eventType=["REPLICATION_TASK_FAILED"]),
        says="not yet",
        words="does not match a full load that finished",
    ),
    dict(
        name="whatever is not a start",
        rule=pattern(eventType=[{"anything-but": ["REPLICATION_TASK_STARTED"]}]),
        says="not yet",
        words="The pattern matches a task that was created",
    ),
    dict(
        name="whatever source begins with aws",
        rule={**PATTERN, "source": [{"prefix": "aws"}]},
        says="not yet",
        words="The pattern matches an event of the same look of another service",
    ),
    dict(
        name="whatever has stopped",
        rule=pattern(eventType=[{"suffix": "_STOPPED"}, {"suffix": "_FAILED"}]) | {"detail-type": [{"prefix": "DMS"}]},
        says="not yet",
        words="The pattern matches a replication instance that failed",
    ),
    dict(
        name="a failure by its message",
        rule=pattern(detailMessage=[{"prefix": "Stop Reason"}, {"prefix": "Last Error Table"}]),
        says="not yet",
        words="does not match a task that failed with another message",
    ),
    dict(name="nothing yet", rule=None, says="not attempted", words="There is no rule named"),
    dict(
        name="category StateChange",
        rule=pattern(category=["StateChange"]),
        says="not yet",
        words="The pattern does not match a task that failed",
    ),
    dict(
        name="only a load that finished",
        rule=pattern(detailMessage=["Stop Reason FULL_LOAD_ONLY_FINISHED"]),
        says="not yet",
        words="does not match a task that somebody stopped",
    ),
    dict(
        name="the field names of the API",
        rule=pattern(Status=["stopped", "failed"]),
        says="not yet",
        words="does not match a full load that finished",
    ),
    dict(
        name="the events of DMS Serverless",
        rule={**PATTERN, "detail-type": ["DMS Replication State Change"]},
        says="not yet",
        words="does not match a full load that finished",
    ),
    dict(
        name="all that DMS says", rule={"source": ["aws.dms"]}, says="not yet", words="matches a task that was started"
    ),
    dict(
        name="state changes and failures",
        rule=pattern(category=["StateChange", "Failure"]),
        says="not yet",
        words="matches a task that was started",
    ),
    dict(
        name="without a source",
        rule={key: PATTERN[key] for key in ("detail-type", "detail")},
        says="not yet",
        words="that another application put on the bus",
    ),
    dict(
        name="without a detail-type",
        rule={"source": ["aws.dms"], "detail": {"eventId": ["DMS-EVENT-0078", "DMS-EVENT-0079"]}},
        says="not yet",
        words="DMS Serverless",
    ),
    dict(
        name="failures of everything",
        rule={
            "source": ["aws.dms"],
            "detail": {"$or": [{"category": ["Failure"]}, {"eventType": ["REPLICATION_TASK_STOPPED"]}]},
        },
        says="not yet",
        words="matches a replication instance that failed",
    ),
    dict(name="a target that asks for the whole event", rule_options={"gets": {"InputPath": "$"}}),
    dict(
        name="hands over the detail only",
        rule_options={"gets": {"InputPath": "$.detail"}},
        says="not yet",
        words="The rule's target has an InputPath: the function gets something else than the event",
    ),
    dict(
        name="a target whose name begins with that of resume",
        rule_options={"target": "RESUME-2"},
        says="not yet",
        words="The targets of the rule are arn:aws:lambda",
    ),
    dict(name="no target", rule_options={"target": ""}, says="not yet", words="The targets of the rule are none"),
    dict(
        name="another function as its target",
        rule_options={"target": "somebody-else"},
        says="not yet",
        words="The targets of the rule are arn:aws:lambda",
    ),
    dict(name="no permission", rule_options={"permit": False}, says="not yet", words="was not invoked"),
    dict(
        name="a permission for another rule",
        rule_options={"permit_for": "another-rule"},
        says="not yet",
        words="The function's policy lets this rule invoke it",
    ),
    dict(name="switched off", rule_options={"state": "DISABLED"}, says="not yet", words="The rule is switched off"),
]

# -- task 4 ------------------------------------------------------------------------------------------------------------

_OWN_WORDS = """
import json

import boto3
from dms_task import describe, started
from verdict import verdict
from waiting import table

stepfunctions = boto3.client("stepfunctions")


def answer(item):
    arn, token = item["ReplicationTaskArn"], item["TaskToken"]
    task = describe(arn)
    began, (finished, why) = started(task), verdict(task)
    if finished is None:
        return False
    if began <= item["StartedBefore"]:
        return "not begun"
    call, words = stepfunctions.send_task_failure, {"error": "MigrationFailed", "cause": f"DMS says: {why}"}
    if finished:
        call, words = stepfunctions.send_task_success, {"output": json.dumps({**item, "Rows": None}, default=int)}
    try:
        call(taskToken=token, **words)
    except stepfunctions.exceptions.ClientError as refusal:
        if refusal.response["Error"]["Code"] != "TaskTimedOut":
            raise
    try:
        key, same = {"ReplicationTaskArn": arn}, {":t": token}
        table.delete_item(Key=key, ConditionExpression="TaskToken = :t", ExpressionAttributeValues=same)
    except stepfunctions.exceptions.ClientError as refusal:
        if refusal.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
    return "answered"
"""
_ALL_IN_ONE = """
import datetime
import json
import os
import time

import boto3

dms, stepfunctions, dynamodb = boto3.client("dms"), boto3.client("stepfunctions"), boto3.client("dynamodb")
TABLE = os.environ["TABLE"]


class StillUnderWay(Exception):
    pass


def lambda_handler(event, context):
    for arn in event["resources"]:
        key = {"ReplicationTaskArn": {"S": arn}}
        item = dynamodb.get_item(TableName=TABLE, Key=key, ConsistentRead=True)["Item"]
        old = datetime.datetime.fromisoformat(event["time"]).timestamp() < int(item["CreatedAt"]["N"])
        task = look(arn, 1 if old else 4)
        if task is None and not old:
            raise StillUnderWay(arn)
        before = item["StartedBefore"]["S"]
        if task and (not before or task["ReplicationTaskStats"]["StartDate"] > datetime.datetime.fromisoformat(before)):
            token = item["TaskToken"]
            settle(token["S"], arn, task, task["ReplicationTaskStats"])
            same = "attribute_not_exists(TaskToken) OR TaskToken = :t"
            dynamodb.delete_item(
                TableName=TABLE, Key=key, ConditionExpression=same, ExpressionAttributeValues={":t": token}
            )


def look(arn, times):
    one = [{"Name": "replication-task-arn", "Values": [arn]}]
    for nth in range(times):
        time.sleep(0.8 if nth else 0)
        task = dms.describe_replication_tasks(Filters=one, WithoutSettings=True)["ReplicationTasks"][0]
        if task["Status"] in ("stopped", "failed"):
            return task
    return None


def settle(token, arn, task, stats):
    loaded = "FULL_LOAD_ONLY_FINISHED" in task["StopReason"]
    good = task["Status"] == "stopped" and loaded and stats["TablesErrored"] == 0
    try:
        if good:
            stepfunctions.send_task_success(taskToken=token, output=json.dumps({"ReplicationTaskArn": arn}))
        else:
            why = task.get("LastFailureMessage", task["StopReason"])
            stepfunctions.send_task_failure(taskToken=token, error="MigrationFailed", cause=why)
    except stepfunctions.exceptions.TaskTimedOut:
        pass
"""
_LOOKS_INSIDE = """
import time
from datetime import datetime

from answer import answer
from waiting import find


def lambda_handler(event, context):
    item, said = find(event["resources"][0]), datetime.fromisoformat(event["time"])
    if not item:
        return "nobody waits"
    ours = said.timestamp() >= item["CreatedAt"]
    for attempt in range(3 if ours else 1):
        if attempt:
            time.sleep(1)
            item = find(item["ReplicationTaskArn"]) or item
        if answer(item) is not False:
            return "looked"
    if ours:
        raise TimeoutError("still under way")
"""
_QUIET = """
from answer import answer
from waiting import find


def lambda_handler(event, context):
    item = find(event["resources"][0])
    if item:
        answer(item)
"""
_LOOKS = "    for pause in (1, 1, 0):\n"
_RAISES = '    raise RuntimeError("DMS announced the end, and says that the migration is under way.")\n'
_NOT_BEGUN = ' or started(task) == item["StartedBefore"]'

_AND_THE_NEXT = """
import json

from botocore.exceptions import ClientError
from dms_task import describe, started
from verdict import verdict
from waiting import find, stepfunctions, table


def say(token, good, arn, why):
    try:
        if good:
            stepfunctions.send_task_success(taskToken=token, output=json.dumps({"why": why, "ReplicationTaskArn": arn}))
        else:
            stepfunctions.send_task_failure(taskToken=token, cause=why, error="MigrationFailed")
    except ClientError as error:
        if error.response["Error"]["Code"] != "TaskTimedOut":
            raise


def answer(item):
    task = describe(item["ReplicationTaskArn"])
    match verdict(task), started(task) == item["StartedBefore"]:
        case (None, _), _:
            return False
        case _, True:
            return True
        case (good, why), _:
            say(item["TaskToken"], good, item["ReplicationTaskArn"], why)
    try:
        table.delete_item(
            Key={"ReplicationTaskArn": item["ReplicationTaskArn"]},
            ConditionExpression="TaskToken = :mine",
            ExpressionAttributeValues={":mine": item["TaskToken"]},
        )
    except table.meta.client.exceptions.ConditionalCheckFailedException:
        newer = find(item["ReplicationTaskArn"])
        return answer(newer) if newer else True
    return True
"""

_ASKS_FIRST = """
import enum
import json

from dms_task import describe, started
from verdict import verdict
from waiting import forget, stepfunctions


class Outcome(enum.Enum):
    UNDER_WAY, GOOD, BAD = None, True, False


def is_waited_for(item):
    return stepfunctions.describe_execution(executionArn=item["Execution"])["status"] == "RUNNING"


def tell(token, outcome, **words):
    call = {Outcome.GOOD: stepfunctions.send_task_success, Outcome.BAD: stepfunctions.send_task_failure}[outcome]
    try:
        call(taskToken=token, **words)
    except call.__self__.exceptions.TaskTimedOut as late:
        print("nobody waits with this token:", late)


def answer(item):
    task = describe(item["ReplicationTaskArn"])
    done, why = verdict(task)
    match Outcome(done):
        case Outcome.UNDER_WAY:
            return False
        case outcome if started(task) == item["StartedBefore"]:
            print("the run before this one:", outcome)
            return None
        case outcome if is_waited_for(item):
            words = {"error": "MigrationFailed", "cause": f"{why} ({task['Status']})"}
            if done:
                words = {"output": json.dumps({"ReplicationTaskArn": task["ReplicationTaskArn"], "Status": "done"})}
            tell(item["TaskToken"], outcome, **words)
    forget(item)
"""
_SEND_FAILURE = '            stepfunctions.send_task_failure(taskToken=token, error="MigrationFailed", cause=why)\n'


def _once(key):
    """Changes of resume.py by which it writes down what it has heard, and does nothing when it hears it again."""
    note = (
        "    try:\n"
        f'        table.put_item(Item={{"ReplicationTaskArn": {key}}}, ConditionExpression=NEW)\n'
        "    except table.meta.client.exceptions.ConditionalCheckFailedException:\n"
        "        return\n"
    )
    look = '    item = find(event["resources"][0])\n'
    return (look, note + look), (
        "import find\n",
        'import find, table\n\nNEW = "attribute_not_exists(ReplicationTaskArn)"\n',
    )


TASK_4 = [
    dict(name="the solution"),
    dict(
        name="looks whether the run is ours only where it finished",
        files=changed("answer.py", ("or started(task)", "or finished and started(task)")),
        says="not yet",
        words="The event of an earlier run came, and the run that is waited for had not begun (StartDate is",
    ),
    dict(
        name="asks first whether the execution still runs",
        files={"answer.py": _ASKS_FIRST},
        actions=[*_ANSWERS, *_ON_ITEMS, "states:DescribeExecution"],
    ),
    dict(
        name="takes a closed token for no fault where it finished only",
        files={
            "answer.py": FILES["answer.py"]
            .replace("        else:\n" + _SEND_FAILURE, "")
            .replace("    forget(item)\n", "    if not finished:\n" + _SEND_FAILURE[4:] + "    forget(item)\n")
        },
        says="not yet",
        words="A migration failed, and the execution had been stopped, so its token was closed (TaskTimedOut), and the",
    ),
    dict(
        name="does not care whether its item went",
        files=changed(
            "answer.py",
            ("    forget(item)\n", "    with suppress(Exception):\n        forget(item)\n"),
            ("import json\n", "import json\nfrom contextlib import suppress\n"),
        ),
        says="not yet",
        words="dynamodb:DeleteItem was refused (",
    ),
    dict(
        name="no fault is a fault where it failed",
        files=changed(
            "answer.py",
            (
                "        else:\n" + _SEND_FAILURE,
                "        else:\n            try:\n    "
                + _SEND_FAILURE
                + "            except Exception as fault:\n                print(fault)\n",
            ),
        ),
        says="not yet",
        words="states:SendTaskFailure was refused (",
    ),
    dict(
        name="forgets before it answers, where it failed",
        files=changed(
            "answer.py",
            ("        else:\n" + _SEND_FAILURE, "        else:\n            forget(item)\n" + _SEND_FAILURE),
        ),
        says="not yet",
        words="states:SendTaskFailure was refused (",
    ),
    dict(
        name="forgets before it answers, where it failed, and puts its item back where that was refused",
        files=changed(
            "answer.py",
            (
                "        else:\n" + _SEND_FAILURE,
                "        else:\n            forget(item)\n            try:\n    "
                + _SEND_FAILURE
                + "            except Exception:\n                table.put_item(Item=item)\n                raise\n",
            ),
            ("forget, stepfunctions", "forget, stepfunctions, table"),
        ),
        says="not yet",
        words="The function died just before its answer (fault: kill), and the function raised",
    ),
    dict(
        name="does not care whether its item went, where it failed",
        files=changed(
            "answer.py",
            (
                "    forget(item)\n",
                "    with nullcontext() if finished else suppress(Exception):\n        forget(item)\n",
            ),
            ("import json\n", "import json\nfrom contextlib import nullcontext, suppress\n"),
        ),
        says="not yet",
        words="dynamodb:DeleteItem was refused (",
    ),
    dict(
        name="takes a task that DMS does not find for one that nobody waits for",
        files=changed(
            "resume.py",
            (
                "def lambda_handler(event, context):\n",
                "def lambda_handler(event, context):\n    try:\n        handle(event)\n"
                "    except Exception as fault:\n        if type(fault).__name__ != 'ResourceNotFoundFault':\n"
                "            raise\n\n\ndef handle(event):\n",
            ),
        ),
        says="not yet",
        words="dms:DescribeReplicationTasks was refused (ResourceNotFoundFault), and the function ended without",
    ),
    dict(
        name="takes each event once",
        files=changed("resume.py", *_once('event["id"]')),
        says="not yet",
        words="The same event came again",
    ),
    dict(
        name="takes one event of each task",
        files=changed("resume.py", *_once('"seen " + event["resources"][0]')),
        says="not yet",
        words="and the function ended without an error, and the execution that waits was not answered",
    ),
    dict(
        name="gives up at the second fault",
        files={
            "answer.py": FILES["answer.py"]
            .replace("def answer(item)", "def once(item)")
            .replace("forget, stepfunctions", "forget, stepfunctions, table")
            + """

def answer(item):
    try:
        return once(item)
    except Exception:
        if "Faults" in item:
            return forget(item)
        key = {"ReplicationTaskArn": item["ReplicationTaskArn"]}
        one = {":one": 1, ":token": item["TaskToken"]}
        table.update_item(
            Key=key,
            UpdateExpression="SET Faults = :one",
            ConditionExpression="TaskToken = :token",
            ExpressionAttributeValues=one,
        )
        raise
"""
        },
        says="not yet",
        words="states:SendTaskSuccess was refused (",
    ),
    dict(
        name="pays no heed to what is older than its item",
        files=changed(
            "resume.py",
            (_LOOKS, '    if said < item["CreatedAt"]:\n        return\n' + _LOOKS),
        ),
        says="not yet",
        words="younger than the run and its event), and the function ended without an error",
    ),
    dict(
        name="looks three times in a row",
        files=changed("resume.py", (_LOOKS, "    for pause in (0, 0, 0):\n")),
        says="not yet",
        words="It looks again twice, a second apart",
    ),
    dict(
        name="a cause of its own where DMS has no message",
        files=changed("answer.py", ("cause=why", 'cause=task.get("LastFailureMessage", "It failed.")')),
        says="not yet",
        words="its StopReason where there is none",
    ),
    dict(
        name="right, with a start that saves nothing",
        files=changed("start.py", (_PUT, "        pass\n")),
        says="not yet",
        words="what exercise 1 made, and that is not right yet. The migration had never run",
    ),
    dict(
        name="right, with a state that gives its failures another name",
        migrate={"machine": machine(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Timed out"}])},
        says="not yet",
        words="what exercise 2 made, and that is not right yet. When it was answered with a failure",
    ),
    dict(name="answers a newer token at once", files={"answer.py": _AND_THE_NEXT}),
    dict(
        name="takes a token that does not exist for a closed one",
        files=changed(
            "answer.py",
            (
                "except stepfunctions.exceptions.TaskTimedOut",
                "except (stepfunctions.exceptions.TaskTimedOut, stepfunctions.exceptions.TaskDoesNotExist)",
            ),
        ),
        says="not yet",
        words="states:SendTaskSuccess was refused (TaskDoesNotExist), and the function ended without an error",
    ),
    dict(
        name="takes a run that is older than the item for another one",
        files=changed(
            "answer.py",
            (
                'started(task) == item["StartedBefore"]',
                'task["ReplicationTaskStats"]["StartDate"].timestamp() < item["CreatedAt"]',
            ),
        ),
        says="not yet",
        words="so that the item was younger than the run and its event), and the function ended without an error",
    ),
    dict(name="in other words; output with the whole item", files={"answer.py": _OWN_WORDS}),
    dict(name="without the given files; raises where nobody waits", files={"resume.py": _ALL_IN_ONE}),
    dict(name="reads the item anew when it looks again", files={"resume.py": _LOOKS_INSIDE}),
    dict(
        name="raises where nobody waits",
        files=changed(
            "resume.py",
            ('print("Nobody waits for", event["resources"][0])\n        return', "raise LookupError(event)"),
        ),
    ),
    dict(
        name="looks four times, more and more slowly",
        files=changed("resume.py", (_LOOKS, "    for pause in (0.5, 1, 2, 0):\n")),
    ),
    dict(
        name="blank",
        files={"answer.py": BLANK.replace("lambda_handler(event, context)", "answer(item)")},
        says="not attempted",
        words="There is no function named",
    ),
    dict(
        name="believes the event",
        files={
            "resume.py": """
import json

import boto3
from waiting import find, forget

stepfunctions = boto3.client("stepfunctions")


def lambda_handler(event, context):
    item = find(event["resources"][0])
    if not item:
        return
    try:
        if event["detail"]["detailMessage"] == "Stop Reason FULL_LOAD_ONLY_FINISHED":
            output = json.dumps({"ReplicationTaskArn": item["ReplicationTaskArn"]})
            stepfunctions.send_task_success(taskToken=item["TaskToken"], output=output)
        else:
            cause = event["detail"]["detailMessage"]
            stepfunctions.send_task_failure(taskToken=item["TaskToken"], error="MigrationFailed", cause=cause)
    except stepfunctions.exceptions.TaskTimedOut:
        pass
    forget(item)
"""
        },
        says="not yet",
        words="A migration failed, and the execution ended FAILED (MigrationFailed",
    ),
    dict(
        name="looks for the ARN in the detail",
        files=changed("resume.py", ('event["resources"][0]', 'event["detail"]["ReplicationTaskArn"]')),
        says="not yet",
        words="A migration finished, and the function raised KeyError: 'ReplicationTaskArn'",
    ),
    dict(
        name="takes any end for the one that is waited for",
        files=changed("answer.py", (_NOT_BEGUN, "")),
        says="not yet",
        words="The event of an earlier run came, and the run that is waited for had not begun",
    ),
    dict(
        name="takes the run before for a reason not to answer",
        files=changed("answer.py", (_NOT_BEGUN, ' or item["StartedBefore"]')),
        says="not yet",
        words="younger than the run and its event), and the function ended without an error, and the execution",
    ),
    dict(
        name="stopped is success",
        files=changed("verdict.py", ('and reason == "Stop Reason FULL_LOAD_ONLY_FINISHED" and not errors', "")),
        says="not yet",
        words="The answer is a failure",
    ),
    dict(
        name="a load less a table is success",
        files=changed("verdict.py", (" and not errors", "")),
        says="not yet",
        words="A migration finished without one of its tables, and the execution ended SUCCEEDED",
    ),
    dict(
        name="a failure while it is under way",
        files=changed("answer.py", ("if finished is None or", "if")),
        says="not yet",
        words="and the execution ended FAILED (MigrationFailed",
    ),
    dict(
        name="does not say that it is under way",
        files=changed("answer.py", ("return finished is not None", "return None")),
        says="not yet",
        words="said once that the migration still runs (fault: stale), and the function ended without an error, and",
    ),
    dict(
        name="looks once",
        files={"resume.py": _QUIET},
        says="not yet",
        words="said once that the migration still runs (fault: stale), and the function ended without an error, and",
    ),
    dict(
        name="looks twice",
        files=changed("resume.py", (_LOOKS, "    for pause in (1, 0):\n")),
        says="not yet",
        words="DMS said 2 times that the migration still runs (fault: stale), and the function raised RuntimeError",
    ),
    dict(
        name="gives up without a word",
        files=changed("resume.py", (_RAISES, '    print("still under way")\n')),
        says="not yet",
        words="DMS said over and over that the migration still runs, and the function ended without an error",
    ),
    dict(
        name="raises for every event that is of no use",
        files=changed("resume.py", (' or said < item["CreatedAt"]', "")),
        says="not yet",
        words="An event of long ago came while the migration was under way, and the function raised RuntimeError",
    ),
    dict(
        name="looks again for a run that has not begun, and raises",
        files=changed("answer.py", ("return finished is not None", "return False")),
        says="not yet",
        words="had not begun (StartDate is StartedBefore), and the function raised",
    ),
    dict(
        name="waits in the function until it ends",
        files=changed("resume.py", (_LOOKS, "    for pause in [0.5] * 1000:\n")),
        says="not yet",
        words="timed out",
    ),
    dict(
        name="a closed token is a fault",
        files={"answer.py": FILES["answer.py"].replace("exceptions.TaskTimedOut", "exceptions.TaskDoesNotExist")},
        says="not yet",
        words="(TaskTimedOut), and the function raised TaskTimedOut",
    ),
    dict(
        name="no fault is a fault",
        files=changed("answer.py", ("except stepfunctions.exceptions.TaskTimedOut", "except Exception")),
        says="not yet",
        words="(InvalidToken), and the function ended without an error",
    ),
    dict(
        name="hides what DMS refuses",
        files=changed(
            "resume.py",
            (
                "        if answer(item) is not False",
                "        try:\n            done = answer(item) is not False\n"
                "        except Exception as fault:\n            print(fault)\n            return\n        if done",
            ),
        ),
        says="not yet",
        words="and the function ended without an error",
    ),
    dict(
        name="forgets before it answers",
        files={
            "answer.py": FILES["answer.py"]
            .replace("    forget(item)\n", "")
            .replace("    try:\n", "    forget(item)\n    try:\n", 1)
        },
        says="not yet",
        words="the item was gone",
    ),
    dict(
        name="forgets whatever happens",
        files={"answer.py": FILES["answer.py"].replace("    forget(item)\n", "    finally:\n        forget(item)\n")},
        says="not yet",
        words="raised InvalidToken: Invalid Token: 'Invalid token' (answer.py, line ",
    ),
    dict(
        name="lets items expire",
        files=changed("answer.py", ("    forget(item)\n", "")),
        says="not yet",
        words="and the item was still there",
    ),
    dict(
        name="forgets only those who were answered",
        files={
            "answer.py": FILES["answer.py"].replace(
                '        print("Answered before, or too late.")\n', "        return None\n"
            )
        },
        says="not yet",
        words="so its token was closed (TaskTimedOut), and the function ended without an error, and the item was still",
    ),
    dict(
        name="deletes whatever item there is",
        files=changed(
            "answer.py",
            ("    forget(item)\n", '    table.delete_item(Key={"ReplicationTaskArn": arn})\n'),
            ("forget, stepfunctions", "stepfunctions, table"),
        ),
        says="not yet",
        words="the state was retried and saved a new token (fault: hold). After that the table had no item any more",
    ),
    dict(
        name="an output of no use",
        files=changed("answer.py", ('json.dumps({"ReplicationTaskArn": arn})', 'json.dumps("done")')),
        says="not yet",
        words='The output of the answer is "done"',
    ),
    dict(
        name="an output with another task's name",
        files=changed("answer.py", ('{"ReplicationTaskArn": arn}', '{"ReplicationTaskArn": arn.rpartition(":")[2]}')),
        says="not yet",
        words="The output of the answer is",
    ),
    dict(
        name="an error of another name",
        files=changed("answer.py", ('error="MigrationFailed"', 'error="Failed"')),
        says="not yet",
        words="The error is MigrationFailed",
    ),
    dict(
        name="a cause that says nothing",
        files=changed("answer.py", ("cause=why", 'cause="It failed."')),
        says="not yet",
        words="The cause is the verdict's words: DMS's LastFailureMessage where there is one",
    ),
    dict(
        name="right, and no event gets in any more",
        ended={"rule_options": {"permit": False}},
        says="not yet",
        words="what exercise 3 made, and that is not right yet. A migration ended, the rule matched, and answer-4-",
    ),
    dict(
        name="only tells success",
        files=changed(
            "answer.py",
            (
                '            stepfunctions.send_task_failure(taskToken=token, error="MigrationFailed", cause=why)',
                "            return None",
            ),
        ),
        says="not yet",
        words="was not answered",
    ),
]

# -- task 5 ------------------------------------------------------------------------------------------------------------

_BY_HAND = """
import time

from answer import answer
from waiting import table


def lambda_handler(event, context):
    newest, page = int(time.time()) - event["OlderThanSeconds"], {}
    while True:
        found = table.scan(ConsistentRead=True, **page)
        for item in found["Items"]:
            if item["CreatedAt"] <= newest:
                settle(item)
        if "LastEvaluatedKey" not in found:
            return
        page = {"ExclusiveStartKey": found["LastEvaluatedKey"]}


def settle(item):
    try:
        answer(item)
    except Exception as fault:
        print("could not settle", item["ReplicationTaskArn"], fault)
"""
# It never ends, and takes the whole time of a check: tests/test_time_of_checks.py gives it.
BEGINS_ANEW = _BY_HAND.replace(
    """        page = {"ExclusiveStartKey": found["LastEvaluatedKey"]}\n""", "        # the next page\n"
)
_FILTERED = """
import time
from concurrent.futures import ThreadPoolExecutor

from answer import answer
from boto3.dynamodb.conditions import Attr
from waiting import table


def lambda_handler(event, context):
    old = Attr("CreatedAt").lte(int(time.time() - event["OlderThanSeconds"]))
    pages = table.meta.client.get_paginator("scan").paginate(TableName=table.name, FilterExpression=old)
    with ThreadPoolExecutor(4) as pool:
        settled = [pool.submit(answer, item) for page in pages for item in page["Items"]]
    for one in settled:
        one.result()
"""
_KEYS_FIRST = """
import time

from answer import answer
from waiting import find, table


def lambda_handler(event, context):
    pages = table.meta.client.get_paginator("scan").paginate(
        TableName=table.name, ProjectionExpression="ReplicationTaskArn, CreatedAt", ConsistentRead=True
    )
    newest = time.time() - event["OlderThanSeconds"]
    for one in [one for page in pages for one in page["Items"] if one["CreatedAt"] <= newest]:
        item = find(one["ReplicationTaskArn"])
        if item:
            try:
                answer(item)
            except Exception as fault:
                print(fault)
"""
_OLDEST_FIRST = """
import time

from answer import answer
from waiting import table


def lambda_handler(event, context):
    items, more = [], {}
    while more is not None:
        page = table.scan(Limit=2, ConsistentRead=True, **more)
        items += page["Items"]
        more = {"ExclusiveStartKey": page["LastEvaluatedKey"]} if "LastEvaluatedKey" in page else None
    wrong, limit = 0, time.time() - event["OlderThanSeconds"]
    for item in sorted(items, key=lambda item: item["CreatedAt"]):
        if item["CreatedAt"] > limit:
            break
        try:
            answer(item)
        except Exception:
            wrong += 1
    assert not wrong, f"{wrong} could not be settled"
"""
_PAGES = 'for page in table.meta.client.get_paginator("scan").paginate(TableName=table.name, ConsistentRead=True):'
_CAUGHT = "            except Exception as fault:\n"
_LEFT = "its execution was still waiting after reconcile"

_IN_SEGMENTS = """
import itertools
import time
from concurrent.futures import ThreadPoolExecutor

from answer import answer
from waiting import table


def segment(number, of):
    pages = table.meta.client.get_paginator("scan").paginate(
        TableName=table.name, Segment=number, TotalSegments=of, ConsistentRead=True
    )
    return [item for page in pages for item in page["Items"]]


def settle(item):
    try:
        answer(item)
    except Exception as fault:
        print(item["ReplicationTaskArn"], repr(fault))


def lambda_handler(event, context):
    newest = int(time.time()) - event["OlderThanSeconds"]
    items = itertools.chain.from_iterable(segment(number, 3) for number in range(3))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(settle, [item for item in items if int(item["CreatedAt"]) <= newest]))
"""
_TAKES_OUT = """
import time

from answer import answer
from waiting import table


def lambda_handler(event, context):
    newest, mine, faults = int(time.time()) - event["OlderThanSeconds"], [], []
    for page in table.meta.client.get_paginator("scan").paginate(TableName=table.name, ConsistentRead=True):
        for item in page["Items"]:
            if item["CreatedAt"] <= newest:  # no other round shall answer it, too
                table.delete_item(Key={"ReplicationTaskArn": item["ReplicationTaskArn"]})
                mine.append(item)
    for item in mine:
        try:
            settled = answer(item) is None
        except Exception as fault:
            settled = False
            faults.append(str(fault))
        if not settled:
            table.put_item(Item=item)
    if faults:
        raise RuntimeError(faults)
"""
_MARKS = """
import time

from answer import answer
from waiting import table


def mark(item, what):
    table.update_item(
        Key={"ReplicationTaskArn": item["ReplicationTaskArn"]},
        UpdateExpression=what,
        ConditionExpression="attribute_exists(TaskToken)",
        **({"ExpressionAttributeValues": {":yes": True}} if ":yes" in what else {}),
    )


def lambda_handler(event, context):
    newest = int(time.time()) - event["OlderThanSeconds"]
    for page in table.meta.client.get_paginator("scan").paginate(TableName=table.name, ConsistentRead=True):
        for item in page["Items"]:
            if "Taken" in item or item["CreatedAt"] > newest:
                continue
            mark(item, "SET Taken = :yes")
            try:
                settled = answer(item) is None
            except Exception as fault:
                print(fault)
                settled = False
            if not settled:
                mark(item, "REMOVE Taken")
"""
_UNTIL_EMPTY = """
import time

from answer import answer
from waiting import table


def lambda_handler(event, context):
    newest = int(time.time()) - event["OlderThanSeconds"]
    old = {"FilterExpression": "CreatedAt <= :newest", "ExpressionAttributeValues": {":newest": newest}}
    page = table.scan(**old)
    while page["Items"]:
        for item in page["Items"]:
            try:
                answer(item)
            except Exception as fault:
                print(fault)
        if "LastEvaluatedKey" not in page:
            break
        page = table.scan(**old, ExclusiveStartKey=page["LastEvaluatedKey"])
"""

TASK_5 = [
    dict(name="the solution"),
    dict(name="in segments, several at a time", files={"reconcile.py": _IN_SEGMENTS}),
    dict(
        name="ends at the first page that has nobody old",
        files={"reconcile.py": _UNTIL_EMPTY},
        says="not yet",
        words=_LEFT,
    ),
    dict(
        name="throws away what it cannot settle",
        files=changed(
            "reconcile.py",
            (
                _CAUGHT,
                _CAUGHT + '                table.delete_item(Key={"ReplicationTaskArn": item["ReplicationTaskArn"]})\n',
            ),
        ),
        says="not yet",
        words="its execution had lost its item. Who is not answered stays",
    ),
    dict(  # only a round that is cut off shows it
        name="takes all out of the table, and puts back whom it could not answer",
        files={"reconcile.py": _TAKES_OUT},
        says="not yet",
        words="just before its first answer (fault: kill), and then it was invoked again",
    ),
    dict(  # only a round that is cut off shows it
        name="marks whom it answers, and passes over who is marked",
        files={"reconcile.py": _MARKS},
        says="not yet",
        words="just before its first answer (fault: kill), and then it was invoked again",
    ),
    dict(name="pages by hand", files={"reconcile.py": _BY_HAND}),
    dict(name="old ones by a filter, several at a time", files={"reconcile.py": _FILTERED}),
    dict(name="keys first, then each item", files={"reconcile.py": _KEYS_FIRST}),
    dict(name="the oldest first, in small pages; raises in the end", files={"reconcile.py": _OLDEST_FIRST}),
    dict(name="with an answer that gives the whole item as its output", files={"answer.py": _OWN_WORDS}),
    dict(name="blank", files={"reconcile.py": BLANK}, says="not attempted", words="There is no function named"),
    dict(
        name="the first page only",
        files=changed("reconcile.py", (_PAGES, "for page in [table.scan(ConsistentRead=True)]:")),
        says="not yet",
        words="It answers for every item on every page",
    ),
    dict(
        name="ten at most",
        files=changed("reconcile.py", (_PAGES, "for page in [table.scan(ConsistentRead=True, Limit=10)]:")),
        says="not yet",
        words=_LEFT,
    ),
    dict(
        name="ends at the first fault",
        files=changed("reconcile.py", (_CAUGHT, "            except ZeroDivisionError as fault:\n")),
        says="not yet",
        words="One that cannot be settled does not keep it from the others",
    ),
    dict(
        name="ends a page at its first fault",
        files=changed(
            "reconcile.py",
            (
                "                faults.append(f\"{item['ReplicationTaskArn']}: {fault}\")\n",
                "                faults.append(str(fault))\n                break\n",
            ),
        ),
        says="not yet",
        words="The function raised ResourceNotFoundFault",
    ),
    dict(
        name="ends at the first that is under way",
        files=changed(
            "reconcile.py",
            (
                "                    answer(item)\n",
                "                    if answer(item) is False:\n                        return\n",
            ),
        ),
        says="not yet",
        words="was still waiting",
    ),
    dict(
        name="raises for those that are under way",
        files=changed(
            "reconcile.py",
            (
                "                    answer(item)\n",
                "                    if answer(item) is False:\n"
                '                        raise RuntimeError("under way")\n',
            ),
        ),
        says="not yet",
        words="whose migration was under way or had not begun, and the function raised RuntimeError",
    ),
    dict(
        name="takes everybody for old",
        files=changed("reconcile.py", ('item["CreatedAt"] <= newest', "newest")),
        says="not yet",
        words="Items that are younger than `OlderThanSeconds` are left alone",
    ),
    dict(
        name="looks at the young ones",
        files=changed("reconcile.py", ('item["CreatedAt"] <= newest', 'item["CreatedAt"] >= newest')),
        says="not yet",
        words="Items that are younger than `OlderThanSeconds` are left alone",
    ),
    dict(
        name="an age of its own",
        files=changed("reconcile.py", ('event["OlderThanSeconds"]', "240")),
        says="not yet",
        words="Items that are younger than `OlderThanSeconds` are left alone",
    ),
    dict(
        name="takes the age from when it expires",
        files=changed("reconcile.py", ('item["CreatedAt"] <= newest', 'item["ExpiresAt"] - 3600 <= newest')),
        says="not yet",
        words="Items that are younger than `OlderThanSeconds` are left alone",
    ),
    dict(
        name="twice the age",
        files=changed("reconcile.py", ('event["OlderThanSeconds"]', '2 * event["OlderThanSeconds"]')),
        says="not yet",
        words=_LEFT,
    ),
    dict(
        name="half the age",
        files=changed("reconcile.py", ('event["OlderThanSeconds"]', 'event["OlderThanSeconds"] / 2')),
        says="not yet",
        words="Items that are younger than `OlderThanSeconds` are left alone",
    ),
    dict(
        name="takes seconds for minutes",
        files=changed("reconcile.py", ('event["OlderThanSeconds"]', 'event["OlderThanSeconds"] * 60')),
        says="not yet",
        words=_LEFT,
    ),
    dict(
        name="counts from the end of the wait",
        files=changed("reconcile.py", ('item["CreatedAt"] <= newest', 'item["ExpiresAt"] <= newest')),
        says="not yet",
        words=_LEFT,
    ),
    dict(
        name="fails them all, without asking",
        files=changed(
            "reconcile.py",
            ("from answer import answer", "import boto3\n\nstepfunctions = boto3.client('stepfunctions')"),
            (
                "answer(item)",
                "stepfunctions.send_task_failure(taskToken=item['TaskToken'], error='TooOld', cause='old')",
            ),
        ),
        says="not yet",
        words="a migration that is under way ended FAILED (TooOld",
    ),
    dict(
        name="tells all of success, without asking",
        files=changed(
            "reconcile.py",
            (
                "from answer import answer",
                "import boto3\nfrom dms_task import describe, started\n\nstepfunctions = boto3.client('stepfunctions')",
            ),
            (
                "answer(item)",
                "task = describe(item['ReplicationTaskArn'])\n                    "
                "if task['Status'] in ('stopped', 'failed') and started(task) != item['StartedBefore']:\n"
                "                        stepfunctions.send_task_success(taskToken=item['TaskToken'], output='{}')\n"
                "                        table.delete_item(Key={'ReplicationTaskArn': item['ReplicationTaskArn']})",
            ),
        ),
        says="not yet",
        words="as the event would have ended it",
    ),
    dict(
        name="deletes what is old",
        files=changed(
            "reconcile.py",
            ("answer(item)", "table.delete_item(Key={'ReplicationTaskArn': item['ReplicationTaskArn']})"),
        ),
        says="not yet",
        words="After reconcile the item of a migration that is under way was gone",
    ),
    dict(
        name="with an answer that lets items expire",
        files=changed("answer.py", ("    forget(item)\n", "")),
        beside=["resume"],
        says="not yet",
        words="what exercise 4 made, and that is not right yet. A migration finished",
    ),
    dict(
        name="goes on only where AWS refused something",
        files=changed(
            "reconcile.py",
            (_CAUGHT, "            except ClientError as fault:\n"),
            ("import time\n", "import time\n\nfrom botocore.exceptions import ClientError\n"),
        ),
        says="not yet",
        words="DMS did not answer when it was asked about another (fault: lost). After reconcile the execution",
    ),
    dict(
        name="leaves out what has expired",
        files=changed(
            "reconcile.py",
            ('item["CreatedAt"] <= newest', 'item["CreatedAt"] <= newest and time.time() < item["ExpiresAt"]'),
        ),
        says="not yet",
        words="its item had expired. After reconcile the item was still there",
    ),
    dict(
        name="another name for the age",
        files=changed("reconcile.py", ('event["OlderThanSeconds"]', 'event["Age"]')),
        says="not yet",
        words="the function raised KeyError: 'Age'",
    ),
    dict(
        name="answers those whose run has not begun",
        files=changed("answer.py", (_NOT_BEGUN, "")),
        says="not yet",
        words="a migration that has only ended its run before ended SUCCEEDED",
    ),
]

# -- task 6 ------------------------------------------------------------------------------------------------------------

MEASURE = """
from workshop import price

def measure(history, ended):
    late = (history.events[-1]["timestamp"] - ended).total_seconds()
    return history.transitions, price(history.transitions) * 1000, late
"""
RIGHT = '\npolling_is_right = {"A": False, "B": True, "C": False, "D": True}\n'


def measured(old, new):
    assert old in MEASURE
    return MEASURE.replace(old, new) + RIGHT


TASK_6 = [
    dict(name="the solution", functions=MEASURE + RIGHT),
    dict(
        name="counted by hand",
        functions="""
def measure(history, ended):
    entered = [event for event in history.events if event["type"].endswith("StateEntered")]
    tasks = [event for event in entered if event["type"].startswith("Task")]
    attempts = [event for event in history.events if event["type"].endswith(("TaskScheduled", "FunctionScheduled"))]
    transitions = len(entered) - len(tasks) + len(attempts)
    last = max(event["timestamp"] for event in history.events)
    return [transitions, transitions * 0.025, last.timestamp() - ended.timestamp()]
"""
        + RIGHT,
    ),
    dict(
        name="from the history's length in seconds; truth in other words",
        functions="""
import datetime

def measure(history, ended):
    end = history.started + datetime.timedelta(seconds=history.seconds)
    return history.transitions, round(history.transitions / 40, 6), (end - ended) / datetime.timedelta(seconds=1)

polling_is_right = dict(zip("ABCD", (0, 1, 0, 1)))
""",
    ),
    dict(
        name="blank",
        functions="def measure(history, ended):\n    return ...\n" + RIGHT,
        says="not attempted",
        words="measure still returns `...`",
    ),
    dict(name="nothing", functions="", says="not attempted", words="There is no measure"),
    dict(
        name="decisions blank",
        functions=MEASURE + 'polling_is_right = {"A": ..., "B": True, "C": ..., "D": True}\n',
        says="not attempted",
        words="still `...` for A, C",
    ),
    dict(
        name="counts events",
        functions=measured("return history.transitions,", "return len(history),"),
        says="not yet",
        words="retries counted",
    ),
    dict(
        name="counts states, not attempts",
        functions=measured("return history.transitions,", "return len(history.states()),"),
        says="not yet",
        words="For a state that was retried twice measure returns 1",
    ),
    dict(
        name="the price of one",
        functions=measured(" * 1000", ""),
        says="not yet",
        words="1,000 state transitions cost 0.025 USD",
    ),
    dict(
        name="the whole time in place of the delay",
        functions=measured("ended).total_seconds()", "history.started).total_seconds()"),
        says="not yet",
        words="and measure returns",
    ),
    dict(
        name="the wrong way round",
        functions=measured('(history.events[-1]["timestamp"] - ended)', '(ended - history.events[-1]["timestamp"])'),
        says="not yet",
        words="measure returns -1.5",
    ),
    dict(
        name="two numbers",
        functions=measured(" * 1000, late", " * 1000"),
        says="not yet",
        words="It returns three numbers",
    ),
    dict(
        name="a duration that is no number",
        functions=measured(".total_seconds()", ""),
        says="not yet",
        words="It returns three numbers",
    ),
    dict(
        name="knows three histories",
        functions="""
def measure(history, ended):
    late = (history.events[-1]["timestamp"] - ended).total_seconds()
    transitions = {24: 11, 7: 2, 7.0: 2}.get(len(history), 3)
    return transitions, transitions * 0.025, late
"""
        + RIGHT,
        says="not yet",
        words="retries counted",
    ),
    dict(
        name="loses the days",
        functions=measured(
            '(history.events[-1]["timestamp"] - ended).total_seconds()', '(history.events[-1]["timestamp"] - ended)'
        ).replace("1000, late", "1000, late.seconds + late.microseconds / 1e6"),
        says="not yet",
        words="The job ended 90000.5 s before the execution did, and measure returns 3600.5",
    ),
    dict(
        name="never less than nothing",
        functions=measured("1000, late", "1000, max(late, 0)"),
        says="not yet",
        words="The job ended 2.5 s after the execution did, and measure returns 0",
    ),
    dict(
        name="minutes",
        functions=measured("ended).total_seconds()", "ended).total_seconds() / 60"),
        says="not yet",
        words="It returns the seconds from the job's end to the last event",
    ),
    dict(
        name="whole seconds",
        functions=measured("late = (", "late = round((").replace("total_seconds()", "total_seconds())"),
        says="not yet",
        words="It returns the seconds from the job's end to the last event",
    ),
    dict(
        name="the price of Express workflows",
        functions=measured("price(history.transitions) * 1000", "0.001"),
        says="not yet",
        words="1,000 state transitions cost 0.025 USD",
    ),
    dict(
        name="up to the first event",
        functions=measured("history.events[-1]", "history.events[0]"),
        says="not yet",
        words="It returns the seconds from the job's end to the last event",
    ),
    dict(
        name="one wrong",
        functions=MEASURE + 'polling_is_right = {"A": False, "B": True, "C": True, "D": True}\n',
        says="not yet",
        words="3 of 4 jobs",
    ),
    dict(
        name="one job is missing",
        functions=MEASURE + 'polling_is_right = {"A": False, "B": True, "C": False}\n',
        says="not yet",
        words="It is a dict with the keys",
    ),
    dict(
        name="an error",
        functions=measured("history.transitions,", "history.transition,"),
        says="not yet",
        words="raised AttributeError",
    ),
    dict(
        name="events for everything",
        functions=MEASURE + 'polling_is_right = dict.fromkeys("ABCD", False)\n',
        says="not yet",
        words="2 of 4 jobs",
    ),
    dict(
        name="as before, everywhere",
        functions=MEASURE + 'polling_is_right = dict.fromkeys("ABCD", True)\n',
        says="not yet",
        words="2 of 4 jobs",
    ),
    dict(
        name="a list",
        functions=MEASURE + "polling_is_right = [False, True, False, True]\n",
        says="not yet",
        words="It is a dict with the keys",
    ),
]

ANSWERS = {1: TASK_1, 2: TASK_2, 3: TASK_3, 4: TASK_4, 5: TASK_5, 6: TASK_6}
