"""An account that is slow on purpose: what was changed is felt later, and until then all is as it was."""

import io
import json
import time
import zipfile

import pytest
from botocore.exceptions import ClientError
from state_machines import unique

from workshop import sandbox as process

SECONDS, LONG = 1, 600
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


@pytest.fixture
def delayed(own_sandbox):
    """delayed(rules=2): from now on it takes so many seconds."""
    yield lambda **seconds: process._ask(own_sandbox, "PUT", "delays", seconds)
    process._ask(own_sandbox, "PUT", "delays", dict.fromkeys(("permissions", "rules", "migrations"), 0))


def test_a_new_role_can_be_assumed_later(own_aws, delayed):
    delayed(permissions=LONG)
    name, archive = unique("late"), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("one.py", "def handler(event, context): pass")
    role = own_aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    one = {"FunctionName": name, "Runtime": "python3.13", "Handler": "one.handler", "Role": role}
    one["Code"] = {"ZipFile": archive.getvalue()}
    with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
        own_aws("lambda").create_function(**one)
    delayed(permissions=0)
    own_aws("lambda").create_function(**one)


def test_a_policy_is_felt_later_and_the_one_before_until_then(own_aws, delayed):
    iam, name = own_aws("iam"), unique("caller")
    anybody = TRUST.replace('"Service": "lambda.amazonaws.com"', '"AWS": "arn:aws:iam::111122223333:root"')
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=anybody)["Role"]["Arn"]
    keys = own_aws("sts").assume_role(RoleArn=role, RoleSessionName="one")["Credentials"]
    own = {"aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"]}
    create = own_aws("sqs", **own, aws_session_token=keys["SessionToken"]).create_queue
    may = {"Effect": "Allow", "Action": "sqs:CreateQueue", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": may})
    delayed(permissions=LONG)
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
    with pytest.raises(ClientError, match="sqs:CreateQueue"):
        create(QueueName=name)
    delayed(permissions=LONG)  # what changed before is felt
    create(QueueName=name)
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    create(QueueName=name)
    delayed(permissions=0)
    with pytest.raises(ClientError, match="sqs:CreateQueue"):
        create(QueueName=name)


def test_a_rule_hands_on_later(own_aws, delayed):
    events, sqs, name = own_aws("events"), own_aws("sqs"), unique("rule")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    let = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    allowed = json.dumps({"Version": "2012-10-17", "Statement": {**let, "Resource": queue}})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": allowed})
    delayed(rules=LONG)
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": queue}])

    def heard(kind):
        events.put_events(Entries=[{"Source": name, "DetailType": kind, "Detail": "{}"}])
        # The first attempt to deliver is over when PutEvents answers.
        messages = sqs.receive_message(QueueUrl=url).get("Messages", [])
        return [json.loads(each["Body"])["detail-type"] for each in messages]

    assert heard("too early") == []
    delayed(rules=0)
    assert heard("felt") == ["felt"]


def test_dms_is_ready_later(own_aws, delayed):
    dms, name = own_aws("dms"), unique("rep")
    delayed(migrations=SECONDS)
    began = time.monotonic()
    size = {"ReplicationInstanceClass": "dms.t3.micro", "AllocatedStorage": 5}
    dms.create_replication_instance(ReplicationInstanceIdentifier=name, **size)
    found = {"Filters": [{"Name": "replication-instance-id", "Values": [name]}]}
    dms.get_waiter("replication_instance_available").wait(**found, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})
    assert time.monotonic() > began + SECONDS


@pytest.mark.parametrize("wanted", [{"rule": 1}, {"rules": -1}, {"rules": "1"}, {"rules": True}, [1]])
def test_what_is_no_delay_is_refused(delayed, own_sandbox, wanted):
    with pytest.raises(process.SandboxError, match=r"Delays are an object|must be a number of seconds"):
        process._ask(own_sandbox, "PUT", "delays", wanted)
