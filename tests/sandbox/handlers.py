"""What the tests of functions share: functions made from a few lines of code, invoked, their logs read."""

import functools
import io
import json
import urllib.request
import zipfile

import boto3
from botocore.config import Config
from state_machines import policy, role, unique, until

TRUST = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}})


class Functions:
    """Lambda of a sandbox, for tests. sandbox: its status, as the fixture gives it."""

    def __init__(self, aws, sandbox):
        self.aws = aws
        self.sandbox = sandbox
        self.client = aws("lambda")
        self.logs = aws("logs")

    def create(self, code, *, permissions=None, handler="index.handler", **config):
        """The name of a new function. code: the text of its module `index`, or a dict of file names and texts.

        permissions: {action: resource}; without any its role may do everything.
        """
        name = unique("function")
        config = {"Timeout": 60, **config}
        self.client.create_function(
            FunctionName=name, Runtime="python3.13", Handler=handler, Code={"ZipFile": archive(code)},
            Role=role(self.aws) if permissions is None else self.role(permissions), **config,
        )  # fmt: skip
        self.client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.02})
        return name

    def role(self, permissions):
        """The ARN of a new role with exactly these permissions."""
        iam, name = self.aws("iam"), unique("role")
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        if permissions:
            statements = [
                {"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in permissions.items()
            ]
            iam.put_role_policy(RoleName=name, PolicyName="permissions", PolicyDocument=policy(*statements))
        return arn

    def invoke(self, name, event=None, **options):
        """(result, the kind of error or None)"""
        answer = self.client.invoke(FunctionName=name, Payload=json.dumps(event), **options)
        return json.loads(answer["Payload"].read()), answer.get("FunctionError")

    def result(self, name, event=None, **options):
        """What a function returns; an AssertionError if it fails."""
        result, error = self.invoke(name, event, **options)
        assert error is None, result
        return result

    def failure(self, name, event=None):
        """The error of a function that fails."""
        result, error = self.invoke(name, event)
        assert error == "Unhandled", result
        return result

    def messages(self, name, **options):
        """The log events of a function, in order; [] as long as there are none."""
        return [event["message"] for event in self.events(name, **options)]

    def events(self, name, **options):
        group = f"/aws/lambda/{name}"
        try:
            return self.logs.filter_log_events(logGroupName=group, **options)["events"]
        except self.logs.exceptions.ResourceNotFoundException:
            return []

    def wait_for_message(self, name, text, count=1):
        """Wait until a log has so many events with this text; gives them."""

        def found():
            events = [message for message in self.messages(name) if text in message]
            return events if len(events) >= count else None

        return until(found)

    def settings(self, **changes):
        """The sandbox's settings about functions, after some of them were changed."""
        request = urllib.request.Request(
            f"{self.sandbox['endpoint']}/_sandbox/functions",
            method="PUT" if changes else "GET",
            data=json.dumps(changes).encode() if changes else None,
            headers={"Authorization": f"Bearer {self.sandbox['secret_access_key']}"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


def archive(code):
    files = code if isinstance(code, dict) else {"index.py": code}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, text in files.items():
            file.writestr(name, text)
    return content.getvalue()


def clients(state):
    """A function that gives boto3 clients of a sandbox: aws("stepfunctions"). state: its status.

    Each is made once and belongs to all; with options, such as other keys, it is a new one.
    """
    keys = {"aws_access_key_id": state["access_key_id"], "aws_secret_access_key": state["secret_access_key"]}

    def new(service, **options):
        # A test wants to see the first answer, not the one after retries.
        config = Config(retries={"total_max_attempts": 1}, max_pool_connections=50)
        options = {"config": config, **keys, **options}
        return boto3.client(service, region_name=state["region"], endpoint_url=state["endpoint"], **options)

    shared = functools.cache(new)
    return lambda service, **options: new(service, **options) if options else shared(service)
