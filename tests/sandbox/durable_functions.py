"""What the tests of durable functions share: functions made from a few lines, executions run to their end and read."""

import io
import json
import textwrap
import zipfile

from patience import PATIENCE, until
from state_machines import policy, unique

ACCOUNT = "111122223333"
ENDS = ("SUCCEEDED", "FAILED", "STOPPED", "TIMED_OUT")

# What the SDK offers, for all handlers below.
_PREAMBLE = """
import json, os, time
import boto3
from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import *
from aws_durable_execution_sdk_python.retries import *
from aws_durable_execution_sdk_python.waits import *
"""


class DurableFunctions:
    """Durable functions of a sandbox, for tests."""

    def __init__(self, aws):
        self.aws = aws
        self.client = aws("lambda")
        self._roles = {}

    def role(self, *statements):
        """The ARN of a role with the permissions of a durable function and some more (IAM statements)."""
        key = json.dumps(statements)
        if key not in self._roles:
            iam = self.aws("iam")
            name = unique("durable")
            trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
            arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
            managed = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicDurableExecutionRolePolicy"
            iam.attach_role_policy(RoleName=name, PolicyArn=managed)
            for index, (action, resource) in enumerate(statements):
                allow = {"Effect": "Allow", "Action": action, "Resource": resource}
                iam.put_role_policy(RoleName=name, PolicyName=f"more-{index}", PolicyDocument=policy(allow))
            self._roles[key] = arn
        return self._roles[key]

    def create(self, body, timeout=900, role=None, code=None, **options):
        """The name of a new durable function; body: of `handler(event, context)`; code: all of its module instead."""
        name = options.pop("name", None) or unique("durable")
        self.client.create_function(
            FunctionName=name, Runtime="python3.13", Handler="index.handler", Role=role or self.role(),
            Timeout=options.pop("Timeout", 60), Code={"ZipFile": archive(code or handler(body))},
            DurableConfig={"ExecutionTimeout": timeout}, **options,
        )  # fmt: skip
        return name

    def start(self, name, event=None, qualifier="$LATEST", **options):
        """The ARN of an execution that was started without waiting."""
        answer = self.client.invoke(
            FunctionName=f"{name}:{qualifier}", InvocationType="Event", Payload=json.dumps(event or {}), **options
        )
        assert answer["StatusCode"] == 202
        return answer["DurableExecutionArn"]

    def run(self, body, event=None, **options):
        """A finished execution of a new function, as GetDurableExecution shows it."""
        return self.finish(self.start(self.create(body, **options), event))

    def finish(self, arn, within=PATIENCE):
        return until(lambda: self._ended(arn), within)

    def _ended(self, arn):
        shown = self.get(arn)
        return shown if shown["Status"] in ENDS else None

    def get(self, arn, **options):
        return self.client.get_durable_execution(DurableExecutionArn=arn, **options)

    def history(self, arn, **options):
        """All events of an execution, in order."""
        pages = self.client.get_paginator("get_durable_execution_history").paginate(DurableExecutionArn=arn, **options)
        return [event for page in pages for event in page["Events"]]

    def wait_for(self, arn, kind, count=1, within=PATIENCE):
        """Wait for the `count`th event of a kind and return it."""

        def found():
            return [event for event in self.history(arn) if event["EventType"] == kind][count - 1 : count]

        return until(found, within)[0]

    def events(self, arn, kind):
        """The details of all events of a kind."""
        return [details(event) for event in self.history(arn) if event["EventType"] == kind]

    def kinds(self, arn):
        return [event["EventType"] for event in self.history(arn)]

    def callback(self, arn, count=1):
        """The callback ID of an execution's `count`th callback."""
        return details(self.wait_for(arn, "CallbackStarted", count))["CallbackId"]

    def succeed(self, callback_id, result=b""):
        return self.client.send_durable_execution_callback_success(CallbackId=callback_id, Result=result)


def handler(body):
    """The module of a durable handler with this body."""
    body = textwrap.indent(textwrap.dedent(body), "    ")
    return f"{_PREAMBLE}\n@durable_execution\ndef handler(event, context):\n{body}"


def archive(code):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("index.py", code)
    return file.getvalue()


def details(event):
    """The details of an event, whatever its type."""
    return event[f"{event['EventType']}Details"]
