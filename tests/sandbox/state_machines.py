"""What the Step Functions tests share: machines made from a few states, run to their end, their history read."""

import io
import itertools
import json
import threading
import uuid
import zipfile

from patience import PATIENCE, until

ROLE = "arn:aws:iam::111122223333:role/workshop-tests"
_numbers = itertools.count()


def unique(name):
    return f"{name}-{uuid.uuid4().hex[:8]}-{next(_numbers)}"


class StateMachines:
    """Step Functions of a sandbox, for tests."""

    def __init__(self, aws):
        self.aws = aws
        self.client = aws("stepfunctions")

    def create(self, states, start=None, **definition):
        """The ARN of a state machine of these states, of which the first is the start."""
        definition = {"StartAt": start or next(iter(states)), "States": states, **definition}
        answer = self.client.create_state_machine(
            name=unique("machine"), definition=json.dumps(definition), roleArn=role(self.aws)
        )
        return answer["stateMachineArn"]

    def start(self, states, data=None, **definition):
        """The ARN of a new execution of a new state machine."""
        machine = self.create(states, **definition)
        return self.client.start_execution(stateMachineArn=machine, input=json.dumps(data or {}))["executionArn"]

    def run(self, states, data=None, **definition):
        """A finished execution as DescribeExecution shows it."""
        return self.finish(self.start(states, data, **definition))

    def finish(self, arn, within=PATIENCE):
        """Wait for the end of an execution and describe it."""
        return until(lambda: self._ended(arn), within)

    def _ended(self, arn):
        described = self.client.describe_execution(executionArn=arn)
        return None if described["status"] == "RUNNING" else described

    def history(self, arn, **options):
        """All events of an execution, in order."""
        pages = self.client.get_paginator("get_execution_history").paginate(executionArn=arn, **options)
        return [event for page in pages for event in page["events"]]

    def wait_for(self, arn, kind, count=1, within=PATIENCE):
        """Wait for the `count`th event of a kind and return it."""
        return until(lambda: dict(enumerate(self.events(arn, kind))).get(count - 1), within)

    def events(self, arn, kind):
        return [event for event in self.history(arn) if event["type"] == kind]

    def shape(self, arn):
        """The history as (id, previous id, type), what a recording is compared with."""
        return [(event["id"], event["previousEventId"], event["type"]) for event in self.history(arn)]


def details(event):
    """The details of an event, whatever its type."""
    return next(value for key, value in event.items() if key.endswith("EventDetails"))


_making_the_role = threading.Lock()


def role(aws):
    """The ARN of a role that may do anything, made once."""
    iam = aws("iam")
    with _making_the_role:
        try:
            return iam.get_role(RoleName="workshop-tests")["Role"]["Arn"]
        except iam.exceptions.NoSuchEntityException:
            return _make_role(iam)


def _make_role(iam):
    services = ["states.amazonaws.com", "lambda.amazonaws.com", "scheduler.amazonaws.com"]
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": services}}
    arn = iam.create_role(RoleName="workshop-tests", AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.put_role_policy(RoleName="workshop-tests", PolicyName="all", PolicyDocument=policy(allow))
    return arn


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def function(aws, code, timeout=30):
    """The name of a new Lambda function whose handler is `handler` in this code."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("index.py", code)
    name = unique("function")
    aws("lambda").create_function(
        FunctionName=name, Runtime="python3.13", Handler="index.handler", Role=role(aws), Timeout=timeout,
        Code={"ZipFile": archive.getvalue()},
    )  # fmt: skip
    return name
