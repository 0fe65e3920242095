"""Event patterns: TestEventPattern answers as AWS does, and delivery as TestEventPattern.

What the forms mean: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html.
Recordings of what AWS refuses, and how: localstack/localstack,
tests/aws/services/events/test_events_patterns.snapshot.json.
"""

import json

import pytest
from botocore.exceptions import ClientError
from state_machines import unique, until
from test_functions_async import Queue

TASK = "arn:aws:dms:us-east-1:111122223333:task:ABC"

# As AWS documents the event of a replication task (https://docs.aws.amazon.com/dms/latest/userguide/CHAP_EventBridge.html),
# with a few fields more so that every form has something to match.
EVENT = {
    "version": "0", "id": "8f3a", "detail-type": "DMS Replication Task State Change", "source": "aws.dms",
    "account": "111122223333", "time": "2026-11-24T10:00:00Z", "region": "us-east-1",
    "resources": [TASK, "arn:aws:dms:us-east-1:111122223333:rep:XYZ"],
    "detail": {
        "type": "REPLICATION_TASK", "category": "StateChange", "eventType": "REPLICATION_TASK_STOPPED",
        "eventId": "DMS-EVENT-0079", "detailMessage": "Stop Reason FULL_LOAD_ONLY_FINISHED",
        "rows": 300, "ratio": 0.5, "address": "10.0.0.7", "done": True, "error": None, "empty": [],
        "tables": [{"name": "airports", "state": "ok"}, {"name": "cities", "state": "error"}],
        "codes": [1, 2, 3],
    },
}  # fmt: skip


def detail(**fields):
    return {"detail": {name: value if isinstance(value, (list, dict)) else [value] for name, value in fields.items()}}


FORMS = [
    # a value, one of several, all fields
    ({"source": ["aws.dms"]}, True),
    ({"source": ["aws.s3", "aws.dms"]}, True),
    ({"source": ["aws.dms"], "detail-type": ["DMS Replication Task State Change"]}, True),
    ({"source": ["aws.dms"], "detail-type": ["DMS Replication State Change"]}, False),
    (detail(category=["StateChange", "Failure"], eventId=["DMS-EVENT-0079", "DMS-EVENT-0078"]), True),
    (detail(category="statechange"), False),
    (detail(rows=300), True),
    (detail(rows="300"), False),
    (detail(done=True), True),
    (detail(error=[None]), True),
    (detail(error=[""]), False),
    # fields that DMS events do not have, as many public rules have them
    (detail(ReplicationTaskArn=TASK), False),
    (detail(Status="stopped"), False),
    # arrays: one element is enough, and of an array of objects any may have each field
    ({"resources": [TASK]}, True),
    ({"resources": ["arn:aws:dms:us-east-1:111122223333:task:OTHER"]}, False),
    ({"resources": [{"prefix": "arn:aws:dms:us-east-1:111122223333:task:"}]}, True),
    ({"resources": [{"suffix": ":rep:XYZ"}]}, True),
    (detail(codes=[2, 9]), True),
    (detail(codes=[9]), False),
    (detail(tables={"name": ["airports"], "state": ["ok"]}), True),
    (detail(tables={"name": ["airports"], "state": ["error"]}), False),
    # prefix, suffix, equals-ignore-case, wildcard
    (detail(eventType=[{"prefix": "REPLICATION_TASK_"}]), True),
    (detail(eventType=[{"prefix": "replication"}]), False),
    (detail(eventType=[{"prefix": {"equals-ignore-case": "replication"}}]), True),
    (detail(detailMessage=[{"suffix": "FINISHED"}]), True),
    (detail(detailMessage=[{"suffix": {"equals-ignore-case": "finished"}}]), True),
    (detail(category=[{"equals-ignore-case": "statechange"}]), True),
    (detail(detailMessage=[{"wildcard": "*FULL_LOAD*"}]), True),
    (detail(eventId=[{"wildcard": "DMS-*-0079"}]), True),
    (detail(eventId=[{"wildcard": "DMS-*-0078"}]), False),
    (detail(rows=[{"prefix": "3"}]), False),
    # anything-but
    (detail(category=[{"anything-but": "Failure"}]), True),
    (detail(category=[{"anything-but": "StateChange"}]), False),
    (detail(category=[{"anything-but": ["Failure", "Creation"]}]), True),
    (detail(category=[{"anything-but": ["Failure", "StateChange"]}]), False),
    (detail(rows=[{"anything-but": [1, 2]}]), True),
    (detail(eventType=[{"anything-but": {"prefix": "REPLICATION"}}]), False),
    (detail(eventType=[{"anything-but": {"suffix": "_FAILED"}}]), True),
    (detail(eventType=[{"anything-but": {"wildcard": "*STOPPED"}}]), False),
    (detail(eventType=[{"anything-but": {"prefix": ["INSTANCE", "REPLICATION"]}}]), False),
    (detail(category=[{"anything-but": {"equals-ignore-case": ["statechange"]}}]), False),
    (detail(missing=[{"anything-but": "x"}]), False),
    # numeric
    (detail(rows=[{"numeric": ["=", 300]}]), True),
    (detail(rows=[{"numeric": [">", 0, "<=", 300]}]), True),
    (detail(rows=[{"numeric": [">", 300]}]), False),
    (detail(ratio=[{"numeric": ["<", 0.6]}]), True),
    (detail(ratio=[{"numeric": ["=", 5e-1]}]), True),
    (detail(eventId=[{"numeric": [">", 0]}]), False),
    # exists
    (detail(rows=[{"exists": True}]), True),
    (detail(rows=[{"exists": False}]), False),
    (detail(missing=[{"exists": False}]), True),
    (detail(missing=[{"exists": True}]), False),
    (detail(error=[{"exists": True}]), True),
    (detail(tables=[{"exists": True}]), False),  # only a leaf exists
    (detail(missing=[{"exists": False}, "x"]), True),
    # cidr
    (detail(address=[{"cidr": "10.0.0.0/24"}]), True),
    (detail(address=[{"cidr": "10.0.1.0/24"}]), False),
    # $or
    ({"$or": [{"source": ["aws.s3"]}, {"detail": {"eventId": ["DMS-EVENT-0079"]}}]}, True),
    ({"source": ["aws.dms"], "$or": [{"region": ["eu-west-1"]}, {"account": ["1"]}]}, False),
    ({"detail": {"$or": [{"category": ["Failure"]}, {"rows": [{"numeric": [">", 299]}]}]}}, True),
]  # fmt: skip

REFUSED = [
    ('{"source": "aws.dms"}', '"source" must be an object or an array'),
    ('{"rows": 42}', '"rows" must be an object or an array'),
    ('{"resources": []}', "Empty arrays are not allowed"),
    ("{}", "Empty objects are not allowed"),
    ('{"detail": {}}', "Empty objects are not allowed"),
    ("not json", "Invalid JSON"),
    ('["source"]', "Filter is not an object"),
    ('{"detail": {"rows": [{"NUMERIC": ["=", 5]}]}}', "Unrecognized match type NUMERIC"),
    ('{"detail": {"rows": [{"EXISTS": true}]}}', "Unrecognized match type EXISTS"),
    ('{"detail": {"rows": [{"numeric": [">", 0, ">", 0]}]}}', "Bad numeric range operator: >"),
    ('{"detail": {"rows": [{"numeric": [">", 5, "<", 1]}]}}', "Bottom must be less than top"),
    ('{"detail": {"rows": [{"exists": "yes"}]}}', "exists match pattern must be either true or false."),
    ('{"detail": {"a": [{"wildcard": "x**y"}]}}', "Consecutive wildcard characters at pos"),
    ('{"detail": {"a": [{"cidr": "10.0.0.0"}]}}', "Malformed CIDR, one '/' required"),
]


@pytest.fixture(scope="module")
def events(aws):
    return aws("events")


def as_text(pattern):
    return pattern if isinstance(pattern, str) else json.dumps(pattern)


@pytest.mark.parametrize(("pattern", "matches"), FORMS, ids=[as_text(pattern) for pattern, _ in FORMS])
def test_what_matches(events, pattern, matches):
    answer = events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(EVENT))
    assert answer["Result"] is matches


@pytest.mark.parametrize(("pattern", "reason"), REFUSED, ids=[pattern for pattern, _ in REFUSED])
def test_what_is_refused(events, pattern, reason):
    for refuse in (
        lambda: events.test_event_pattern(EventPattern=pattern, Event=json.dumps(EVENT)),
        lambda: events.put_rule(Name="refused", EventPattern=pattern),
    ):
        with pytest.raises(ClientError) as refused:
            refuse()
        assert refused.value.response["Error"]["Code"] == "InvalidEventPatternException"
        assert refused.value.response["Error"]["Message"].startswith(f"Event pattern is not valid. Reason: {reason}")


@pytest.mark.parametrize("missing", ["id", "account", "source", "time", "region", "detail-type"])
def test_an_event_that_is_none(events, missing):
    """What must be there: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_TestEventPattern.html"""
    event = {name: value for name, value in EVENT.items() if name != missing}
    with pytest.raises(ClientError) as refused:
        events.test_event_pattern(EventPattern='{"source": ["a"]}', Event=json.dumps(event))
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_delivery_agrees(events, aws):
    """Every form above as a rule of one bus, each with a target that says which rule it was."""
    bus, queue = unique("bus"), Queue(aws)
    events.create_event_bus(Name=bus)
    queue.permit("events.amazonaws.com", f"arn:aws:events:us-east-1:111122223333:rule/{bus}/*")
    for number, (pattern, _) in enumerate(FORMS):
        # What PutEvents may not choose is left out: nobody else sends events of AWS's services.
        pattern = json.loads(json.dumps(pattern).replace('"aws.dms"', '"own.dms"'))
        events.put_rule(Name=f"rule-{number}", EventBusName=bus, EventPattern=json.dumps(pattern))
        target = {"Id": "1", "Arn": queue.arn, "Input": str(number)}
        events.put_targets(Rule=f"rule-{number}", EventBusName=bus, Targets=[target])
    events.put_events(
        Entries=[
            {"Source": "own.dms", "DetailType": EVENT["detail-type"], "Detail": json.dumps(EVENT["detail"]),
             "Resources": EVENT["resources"], "EventBusName": bus}
        ]
    )  # fmt: skip
    expected = {number for number, (_, matches) in enumerate(FORMS) if matches}
    found = []

    def all_there():
        answer = queue.client.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10)
        found.extend(int(message["Body"]) for message in answer.get("Messages", ()))
        return len(found) >= len(expected)

    until(all_there)
    assert sorted(found) == sorted(expected)
