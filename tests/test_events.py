"""Rules in one call, permissions for them, and events of DMS that go wrong on request."""

import json
import re
import time

import boto3
import nbformat
import pytest
from patience import PATIENCE

from workshop import cleaning, deploy, logs, needs_sandbox
from workshop.environments import CHECKOUT
from workshop.events import ENDINGS, alarm, fault, keep_undelivered, permit, rule, schedule
from workshop.migrations import migration
from workshop.names import name
from workshop.sandbox import SandboxError

pytestmark = pytest.mark.usefixtures("account")

SAYS = """
import json


def lambda_handler(event, context):
    print(json.dumps(event))
"""


@pytest.fixture
def heard(request):
    """A function that writes down its events, with a name of its own."""
    return Heard(request.node.originalname.removeprefix("test_").replace("_", "-")[:30])


class Heard:
    def __init__(self, about):
        self.name, self.rule = name("02", f"{about}-heard"), name("02", about)
        self.source = f"com.example.{about}"
        self.log = {"logGroupName": f"/aws/lambda/{self.name}", "filterPattern": "STOPPED"}
        self.arn = deploy.function(self.name, SAYS)

    def all(self):
        """What it got, a list of events."""
        return [json.loads(line) for line in logs.lines(self.name)]

    def wait_for(self, count):
        """What it got, once that is so much."""
        eventually(lambda: len(self.all()) >= count)
        return self.all()

    def put(self, events, *details):
        entries = [{"Source": self.source, "DetailType": "said", "Detail": json.dumps(detail)} for detail in details]
        assert events.put_events(Entries=entries)["FailedEntryCount"] == 0


def eventually(condition):
    """Wait until it holds. Generous, since the machine may be busy."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "It did not come about."
        time.sleep(0.1)


# -- rules -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_text", [False, True])
def test_a_rule_delivers_what_matches(aws, heard, as_text):
    pattern = {"source": [heard.source], "detail": {"loud": [True]}}
    rule(heard.rule, heard.arn, pattern=json.dumps(pattern) if as_text else pattern)
    before = len(heard.all())
    heard.put(aws("events"), {"loud": False, "word": "psst"}, {"loud": True, "word": "hello"})
    (event,) = heard.wait_for(before + 1)[before:]
    assert (event["source"], event["detail"]) == (heard.source, {"loud": True, "word": "hello"})


def test_a_rule_is_replaced(aws, heard):
    events = aws("events")
    first = rule(heard.rule, heard.arn, pattern={"source": ["com.example.nobody"]})
    events.disable_rule(Name=heard.rule)
    assert rule(heard.rule, heard.arn, pattern={"source": [heard.source]}) == first
    described = events.describe_rule(Name=heard.rule)
    assert (described["Arn"], described["State"]) == (first, "ENABLED")
    assert json.loads(described["EventPattern"]) == {"source": [heard.source]}
    assert [target["Arn"] for target in events.list_targets_by_rule(Rule=heard.rule)["Targets"]] == [heard.arn]
    assert statements(aws, heard.arn) == [first]
    heard.put(events, {"word": "again"})
    (event,) = heard.wait_for(1)
    assert event["detail"] == {"word": "again"}


def test_another_function_takes_the_place_of_the_first(aws, heard):
    other = deploy.function(f"{heard.name}-too", SAYS)
    rule(heard.rule, heard.arn, pattern={"source": [heard.source]})
    rule(heard.rule, other, pattern={"source": [heard.source]})
    heard.put(aws("events"), {"word": "for the other"})
    eventually(lambda: logs.lines(f"{heard.name}-too"))
    assert heard.all() == []


def test_what_the_target_gets_in_place_of_the_event(aws, heard):
    rule(heard.rule, heard.arn, pattern={"source": [heard.source]}, input={"OlderThanSeconds": 600})
    heard.put(aws("events"), {"word": "not this"})
    assert heard.wait_for(1) == [{"OlderThanSeconds": 600}]


def test_a_rule_is_tagged_so_that_clean_finds_it(aws, heard):
    arn = rule(heard.rule, heard.arn, pattern={"source": [heard.source]})
    assert {"Key": "workshop", "Value": "stop-polling"} in aws("events").list_tags_for_resource(ResourceARN=arn)["Tags"]


@pytest.fixture
def failed(request):
    """A queue for what fails, with a name of its own."""
    return Queue(request.node.originalname.removeprefix("test_").replace("_", "-")[:30])


class Queue:
    def __init__(self, about):
        self.name = name("02", f"{about}-failed")
        self.arn = deploy.queue(self.name)
        self._sqs = boto3.client("sqs")
        self._url = self._sqs.get_queue_url(QueueName=self.arn.rpartition(":")[2])["QueueUrl"]
        self.messages = []

    def wait_for(self, count):
        """The messages in it, once there are so many."""

        def there():
            got = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
            self.messages += got.get("Messages", [])
            return len(self.messages) >= count

        eventually(there)
        return self.messages

    def let_in(self):
        """The rules that may send to it."""
        policy = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["Policy"])["Attributes"]["Policy"]
        return [each["Condition"]["ArnEquals"]["aws:SourceArn"] for each in json.loads(policy)["Statement"]]


def test_what_a_rule_cannot_deliver_is_kept(aws, heard, failed):
    rule(heard.rule, heard.arn, pattern={"source": [heard.source]}, dead_letters=failed.arn)
    aws("lambda").remove_permission(FunctionName=heard.name, StatementId=f"from-{heard.rule}")
    heard.put(aws("events"), {"word": "unheard"})
    (message,) = failed.wait_for(1)
    assert json.loads(message["Body"])["detail"] == {"word": "unheard"}
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"


def test_a_queue_keeps_what_several_rules_cannot_deliver(aws, heard, failed):
    rules = [f"{heard.rule}-{one}" for one in ("a", "b")]
    arns = [rule(each, heard.arn, pattern={"source": [heard.source]}, dead_letters=failed.arn) for each in rules]
    assert sorted(failed.let_in()) == sorted(arns)
    keep_undelivered(rules[0], failed.arn)
    assert sorted(failed.let_in()) == sorted(arns)


def test_an_event_at_which_the_function_fails_is_kept(aws, heard, failed):
    """A rule's queue does not get it, since it was delivered."""
    broken = "def lambda_handler(event, context):\n    raise LookupError('nobody waits')\n"
    function = deploy.function(f"{heard.name}-broken", broken, dead_letters=failed.arn)
    rule(heard.rule, function, pattern={"source": [heard.source]})
    heard.put(aws("events"), {"word": "in vain"})
    (message,) = failed.wait_for(1)
    assert json.loads(message["Body"])["detail"] == {"word": "in vain"}
    assert message["MessageAttributes"]["ErrorMessage"]["StringValue"] == "nobody waits"


def test_an_alarm_rings_while_something_failed_waits(aws, heard, failed):
    assert alarm(failed.arn) == "OK"
    broken = deploy.function(f"{heard.name}-broken", "lambda_handler = None\n", dead_letters=failed.arn)
    aws("lambda").invoke(FunctionName=broken, InvocationType="Event")
    eventually(lambda: alarm(failed.arn) == "ALARM")
    assert failed.wait_for(1)
    assert deploy.arn("cloudwatch", f"alarm:{failed.name}") in cleaning.find().arns


# -- schedules ---------------------------------------------------------------------------------------------------------


@pytest.mark.takes(40)
def test_a_schedule_invokes_its_function_again_and_again(aws, heard):
    arn = schedule(heard.rule, heard.arn, every="rate(5 minutes)", input={"OlderThanSeconds": 600})
    described = aws("scheduler").get_schedule(Name=heard.rule, GroupName=heard.rule)
    assert (described["Arn"], described["ScheduleExpression"]) == (arn, "rate(5 minutes)")
    assert json.loads(described["Target"]["Input"]) == {"OlderThanSeconds": 600}
    # And what is due now does come. Nothing but the schedule's own role lets it in.
    now = time.strftime("at(%Y-%m-%dT%H:%M:%S)", time.gmtime(time.time() + 30))
    assert schedule(heard.rule, heard.arn, every=now, input={"OlderThanSeconds": 300}) == arn
    assert heard.wait_for(1) == [{"OlderThanSeconds": 300}]


def test_a_schedule_has_a_role_that_may_do_nothing_else(aws, heard, failed):
    schedule(heard.rule, heard.arn, every="rate(1 hour)", input={}, dead_letters=failed.arn)
    target = aws("scheduler").get_schedule(Name=heard.rule, GroupName=heard.rule)["Target"]
    assert target["DeadLetterConfig"] == {"Arn": failed.arn}
    role = target["RoleArn"].rpartition("/")[2]
    policy = aws("iam").get_role_policy(RoleName=role, PolicyName="permissions")["PolicyDocument"]
    allowed = {each["Action"]: each["Resource"] for each in policy["Statement"]}
    assert allowed == {"lambda:InvokeFunction": heard.arn, "sqs:SendMessage": failed.arn}


def test_clean_finds_a_schedule(aws, heard):
    schedule(heard.rule, heard.arn, every="rate(1 hour)", input={})
    (group,) = [arn for arn in cleaning.find().arns if arn.endswith(f":schedule-group/{heard.rule}")]
    assert cleaning.delete(group) is None
    with pytest.raises(aws("scheduler").exceptions.ResourceNotFoundException):
        aws("scheduler").get_schedule(Name=heard.rule, GroupName=heard.rule)


# -- permissions -------------------------------------------------------------------------------------------------------


def statements(aws, function):
    """Who may invoke it: the rules' ARNs."""
    policy = json.loads(aws("lambda").get_policy(FunctionName=function)["Policy"])
    return [statement["Condition"]["ArnLike"]["AWS:SourceArn"] for statement in policy["Statement"]]


def test_permit_twice_is_as_once(aws, heard):
    source = deploy.arn("events", "rule/somebody-s-rule")
    for _ in range(2):
        permit(heard.arn, "events.amazonaws.com", source)
    assert statements(aws, heard.arn) == [source]


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def job(heard):
    """A small migration whose events `heard` hears."""
    made = migration(name("02", "faulty"), rows=20, rows_per_second=200)
    rule(heard.rule, heard.arn, pattern={"source": ["aws.dms"], "resources": [made.arn]})
    return made


def run(job, kind="start-replication"):
    job.start(kind)
    eventually(lambda: job.describe()["Status"] == "stopped")


def said(event):
    return event["detail"]["eventType"].removeprefix("REPLICATION_TASK_")


def test_drop_loses_the_end_once(heard, job):
    fault("drop", job)
    run(job)
    run(job, "reload-target")
    assert sorted(map(said, heard.wait_for(3))) == ["STARTED", "STARTED", "STOPPED"]


def test_duplicate_sends_the_end_twice(heard, job):
    fault("duplicate", job)
    run(job)
    assert sorted(map(said, heard.wait_for(3))) == ["STARTED", "STOPPED", "STOPPED"]


def test_delay_sends_the_end_later(aws, heard, job):
    fault("delay", job, seconds=3)
    run(job)
    assert sorted(map(said, heard.wait_for(2))) == ["STARTED", "STOPPED"]
    written = max(event["timestamp"] for event in aws("logs").filter_log_events(**heard.log)["events"]) / 1000
    assert written - job.describe()["ReplicationTaskStats"]["StopDate"].timestamp() >= 3


def test_early_sends_the_end_before_the_start_call_returns(heard, job):
    fault("early", job, seconds=2)
    began = time.monotonic()
    job.start()
    assert time.monotonic() - began >= 2
    assert job.describe()["Status"] == "stopped"
    assert sorted(map(said, heard.wait_for(2))) == ["STARTED", "STOPPED"]


def test_reorder_loses_nothing(heard, job):
    fault("reorder", job, events=["REPLICATION_TASK_STARTED"])
    run(job)
    assert sorted(map(said, heard.wait_for(2))) == ["STARTED", "STOPPED"]


def test_only_ends_of_this_migration_go_wrong(heard, job):
    other = job.another(name("02", "faultless"))
    rule(f"{heard.rule}-other", heard.arn, pattern={"source": ["aws.dms"], "resources": [other.arn]})
    fault("drop", job)
    for each in (job, other):
        run(each)
    events = heard.wait_for(3)
    assert sorted((event["resources"][0] == job.arn, said(event)) for event in events) == [
        (False, "STARTED"),
        (False, "STOPPED"),
        (True, "STARTED"),
    ]


def test_count(heard, job):
    fault("drop", job, count=2)
    for kind in ("start-replication", "reload-target", "reload-target"):
        run(job, kind)
    assert sorted(map(said, heard.wait_for(4))) == ["STARTED"] * 3 + ["STOPPED"]


def test_a_kind_that_does_not_exist(job):
    with pytest.raises(SandboxError, match="must be one of drop, duplicate"):
        fault("explode", job)


def test_no_faults_on_aws(job, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with pytest.raises(SandboxError, match="needs the sandbox"):
        fault("drop", job)


LESSONS = [
    path for path in sorted((CHECKOUT / "notebooks").glob("*.ipynb")) if '"fault(' in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_s_cell_in_which_events_go_wrong_makes_nothing_on_aws(lesson, monkeypatch):
    """It refuses in one sentence before it makes the migration of which they are."""
    cells = nbformat.read(lesson, as_version=4).cells
    wrong = [cell.source for cell in cells if re.search("^fault\\(", cell.source, re.MULTILINE)]
    made = []
    names = {"job": made.append, "fault": fault, "needs_sandbox": needs_sandbox}
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    for source in wrong:
        with pytest.raises(SandboxError, match=r"^AWS fails too, .* this needs the sandbox\.$"):
            exec(source, dict(names))
    assert wrong and not made


def test_endings_are_what_dms_calls_them(heard, job):
    run(job)
    assert [f"REPLICATION_TASK_{said(event)}" in ENDINGS for event in heard.wait_for(2)].count(True) == 1
