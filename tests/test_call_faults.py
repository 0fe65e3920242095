"""Calls that go wrong on purpose, as checks and lessons ask for it. What each kind does: sandbox/test_faults.py."""

import concurrent.futures
import uuid

import pytest
from botocore.exceptions import ClientError
from patience import PATIENCE

from workshop import clients, deploy, faults, sandbox
from workshop.events import ENDINGS
from workshop.names import name
from workshop.sandbox import SandboxError


@pytest.fixture
def tables(account):
    return clients.of("dynamodb")


@pytest.fixture
def mine():
    """A name that is in this test's requests only, so that no other test meets its faults."""
    return f"table-{uuid.uuid4().hex}"


def look(client, table):
    """Whether DescribeTable was answered as always: there is no such table."""
    try:
        client.describe_table(TableName=table)
    except ClientError as error:
        return error.response["Error"]["Code"] == "ResourceNotFoundException"
    raise AssertionError("there is no such table")


def refused(mine, **more):
    return {"fault": "refuse", "operation": "dynamodb:DescribeTable", "code": "AccessDeniedException",
            "resource": mine, **more}  # fmt: skip


def in_force(block):
    return [fault for fault in sandbox.faults() if fault.get("label") == block.label]


def test_faults_last_as_long_as_their_block(tables, mine):
    with faults.during(refused(mine, count=2)) as block:
        assert not look(tables, mine)
        assert block.met == [1]
        assert in_force(block)
    assert look(tables, mine)
    assert not in_force(block)
    [record] = block.records  # as it was at last
    assert (record["met"], record["left"], record["resource"]) == (1, 1, mine)


def test_they_end_however_the_block_ends(tables, mine):
    with pytest.raises(KeyboardInterrupt), faults.during(refused(mine)) as block:
        raise KeyboardInterrupt
    assert look(tables, mine)
    assert block.met == [0]


def test_blocks_do_not_end_each_other_s(tables, mine):
    with faults.during(refused(mine, nth=2), label="check-4"):
        with faults.during(refused(mine), label="check-4"):
            assert not look(tables, mine)
        assert not look(tables, mine)
    assert look(tables, mine)


def test_calls_stand_at_a_gate_until_the_block_ends(tables, mine):
    hold = {"fault": "hold", "operation": "dynamodb:DescribeTable", "resource": mine, "seconds": 50}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with faults.during({**hold, "count": 2}) as block:
            assert not block.wait_until_held(1, seconds=0)
            calls = [pool.submit(look, tables, mine) for _ in range(2)]
            assert block.wait_until_held(2, seconds=PATIENCE)
            assert not any(call.done() for call in calls)
        assert all(call.result() for call in calls)
    assert block.met == [2] and block.records[0]["unmet"] == 0


def test_of_one_that_is_gone_that_is_said(tables, mine):
    drop = {"fault": "drop", "events": list(ENDINGS), "task_arn": mine}
    with faults.during(drop, refused(mine, seconds_to_live=0)) as block:
        assert [record.get("gone", False) for record in block.records] == [False, True]
        assert block.records[1]["resource"] == mine
        assert block.met == [None, None]


def test_what_a_function_called(tables, mine):
    code = """
import boto3
def lambda_handler(event, context):
    boto3.client("dynamodb").describe_limits()
    return context.aws_request_id
"""
    made = name("02", "calling")
    function = deploy.function(made, code, permissions={"dynamodb:DescribeLimits": "*"})
    answer = clients.of("lambda").invoke(FunctionName=function)
    identity = answer["Payload"].read().decode().strip('"')
    [call] = faults.calls(made, request_id=identity)
    assert (call["function"], call["operation"], call["outcome"]) == (made, "dynamodb:DescribeLimits", "ok")
    assert call in faults.calls(operation="dynamodb:DescribeLimits")
    assert faults.calls(made, since=call["came"]) == []


def test_a_fault_that_cannot_be(account):
    with pytest.raises(SandboxError, match=r"faults\[0\].operation: dynamodb has no operation 'Put'."):
        faults.during({"fault": "refuse", "operation": "dynamodb:Put"}).__enter__()


def test_a_real_account_fails_when_it_likes(account, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    for ask in (lambda: faults.during(refused("any")).__enter__(), lambda: faults.calls("any")):
        with pytest.raises(SandboxError, match="this needs the sandbox"):
            ask()
