"""Small state machines for tests, and running them. Whoever uses run or start uses the fixture `account`."""

import itertools

import boto3
from patience import PATIENCE

from workshop import deploy, executions
from workshop.names import name

NO_TABLE = {  # fails, with DynamoDb.ResourceNotFoundException
    "Type": "Task",
    "Resource": "arn:aws:states:::aws-sdk:dynamodb:describeTable",
    "Parameters": {"TableName": "no-such-table"},
}
MAY_DESCRIBE = {"dynamodb:DescribeTable": "*", "dynamodb:ListTables": "*"}
LIST_TABLES = {
    "Type": "Task",
    "Resource": "arn:aws:states:::aws-sdk:dynamodb:listTables",
    "Parameters": {},
    "ResultPath": "$.tables",
}
DONE = {"Type": "Succeed"}


def flow(**states):
    """A flow through these states, each leading to the next, the last one to the end, unless it says itself where."""
    following = itertools.chain(list(states)[1:], [None])
    for (this, state), next_state in zip([*states.items()], following, strict=True):
        if state["Type"] not in ("Choice", "Fail", "Succeed") and not {"Next", "End"} & state.keys():
            states[this] = {**state, **({"Next": next_state} if next_state else {"End": True})}
    return {"StartAt": next(iter(states)), "States": states}


def start(thing, definition, input="{}", permissions=MAY_DESCRIBE):
    """Deploy a definition and start an execution of it; gives the execution's ARN."""
    machine = deploy.state_machine(name("01", thing), definition, permissions=permissions)
    return boto3.client("stepfunctions").start_execution(stateMachineArn=machine, input=input)["executionArn"]


def run(thing, definition, **options):
    """Run a definition to its end; gives the execution's History."""
    execution = start(thing, definition, **options)
    executions.wait(execution, timeout=PATIENCE)
    return executions.History.of(execution)
