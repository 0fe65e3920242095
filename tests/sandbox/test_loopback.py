"""Nothing of the sandbox listens beyond the loopback interface, whatever was made in it."""

import io
import json
import sys
import zipfile
from pathlib import Path

import pytest

HANDLER = """
import socket
def handler(event, context):
    return {"statusCode": 200, "body": "hello"}
"""


@pytest.fixture
def something_of_every_service(aws):
    """Resources of each service that the sandbox serves, in use where they can be."""
    iam = aws("iam")
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": [
        "lambda.amazonaws.com", "states.amazonaws.com", "dms.amazonaws.com", "scheduler.amazonaws.com"]}}]}  # fmt: skip
    role = iam.create_role(RoleName="loopback", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    allow = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="loopback", PolicyName="all", PolicyDocument=json.dumps(allow))
    aws("sts").assume_role(RoleArn=role, RoleSessionName="test")
    aws("s3").create_bucket(Bucket="loopback")
    aws("s3").put_object(Bucket="loopback", Key="a", Body=b"a")
    aws("dynamodb").create_table(
        TableName="loopback", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )  # fmt: skip
    aws("sqs").create_queue(QueueName="loopback")
    aws("logs").create_log_group(logGroupName="loopback")
    aws("cloudwatch").put_metric_data(Namespace="loopback", MetricData=[{"MetricName": "m", "Value": 1}])
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("f.py", HANDLER)
    functions = aws("lambda")
    function = functions.create_function(
        FunctionName="loopback", Runtime="python3.13", Handler="f.handler", Role=role,
        Code={"ZipFile": archive.getvalue()},
    )["FunctionArn"]  # fmt: skip
    functions.get_waiter("function_active_v2").wait(FunctionName="loopback")
    functions.invoke(FunctionName="loopback")
    functions.create_function_url_config(FunctionName="loopback", AuthType="NONE")
    aws("events").put_rule(Name="loopback", ScheduleExpression="rate(1 minute)")
    aws("events").put_targets(Rule="loopback", Targets=[{"Id": "1", "Arn": function}])
    aws("scheduler").create_schedule(
        Name="loopback", ScheduleExpression="rate(1 minute)", FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": function, "RoleArn": role},
    )  # fmt: skip
    aws("apigatewayv2").create_api(Name="loopback", ProtocolType="HTTP", Target=function)
    aws("apigateway").create_rest_api(name="loopback")
    definition = {"StartAt": "Call", "States": {"Call": {"Type": "Task", "Resource": function, "End": True}}}
    machines = aws("stepfunctions")
    machine = machines.create_state_machine(name="loopback", definition=json.dumps(definition), roleArn=role)
    machines.start_execution(stateMachineArn=machine["stateMachineArn"])
    aws("dms").create_replication_instance(
        ReplicationInstanceIdentifier="loopback", ReplicationInstanceClass="dms.t3.micro"
    )
    aws("resourcegroupstaggingapi").get_resources()


def family(pid):
    """A process and its descendants."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = set(), [pid]
    while todo:
        found.add(todo[-1])
        todo += parents.get(todo.pop(), [])
    return found


def listeners(pids):
    """(address in hexadecimal as /proc writes it, port) of every TCP and UDP socket these processes listen on."""
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(str(descriptor.readlink()))
            except OSError:
                continue
    listening = "0A"
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text(encoding="utf-8").splitlines()[1:]:
            fields = line.split()
            if f"socket:[{fields[9]}]" in inodes and (table.startswith("udp") or fields[3] == listening):
                address, port = fields[1].split(":")
                found.append((address, int(port, 16)))
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="listeners are read from /proc")
def test_one_port_of_the_loopback_interface(sandbox, something_of_every_service):
    port = int(sandbox["endpoint"].rpartition(":")[2])
    loopback = "0100007F"  # 127.0.0.1, in the byte order that /proc uses
    assert len(family(sandbox["pid"])) > 1  # the handler's process is looked at too
    assert listeners(family(sandbox["pid"])) == [(loopback, port)]
