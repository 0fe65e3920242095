"""The stack of an account for the labs: made, changed and deleted, whatever state it is in.

CloudFormation works by itself. This asks it, shows the stack's events, and lets AWS's waiters decide when it is done.
So it may be interrupted at any moment, and called again. Which states there are, and what one may do in each:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
"""

import itertools
import time
from collections.abc import Iterator

from botocore.exceptions import ClientError, WaiterError

from workshop import clients
from workshop.names import TAG, WORKSHOP
from workshop.real_account import AccountError
from workshop.setting_up import problems

PAUSE = 5  # seconds between two questions; there is no event of CloudFormation's that a laptop could wait for
_CAPABILITIES = ["CAPABILITY_NAMED_IAM"]
_TRIES = 3  # to make the stack while DMS does not see its role; each takes longer than that half minute
# A stack whose creation has failed, or never began, can only be deleted.
FAILED = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS")


class NotDone(AccountError):
    """CloudFormation gave up; the message says why and what to do. reasons: {resource: AWS's own words}."""

    def __init__(self, what: str, reasons: dict[str, str]):
        self.reasons = reasons
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items()) or "it says no reason"
        advice = problems.remedy(told) or "Mend that, then run the same command again."
        super().__init__(f"{what}. {told}. {advice}")


def find() -> dict | None:
    """The stack as DescribeStacks tells it; None where there is none."""
    try:
        return clients.of("cloudformation").describe_stacks(StackName=WORKSHOP)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(error):
            return None
        raise


def parameters(stack: dict | None) -> dict[str, str]:
    """What a stack was told: {parameter: value}."""
    told = (stack or {}).get("Parameters", [])
    return {each["ParameterKey"]: each["ParameterValue"] for each in told}


def outputs(stack: dict | None) -> dict[str, str]:
    """What a stack says: {output: value}."""
    return {each["OutputKey"]: each["OutputValue"] for each in (stack or {}).get("Outputs", [])}


def resources() -> dict[str, list[str]]:
    """What the stack has made and still has: {type: physical ids}."""
    found: dict[str, list[str]] = {}
    for page in clients.of("cloudformation").get_paginator("list_stack_resources").paginate(StackName=WORKSHOP):
        for each in page["StackResourceSummaries"]:
            if "PhysicalResourceId" in each and each["ResourceStatus"] != "DELETE_COMPLETE":
                found.setdefault(each["ResourceType"], []).append(each["PhysicalResourceId"])
    return found


def make(template: str, values: dict[str, str]) -> None:
    """Bring the stack to what template and parameters say: make it, or change it, or go on with what was begun.

    Raises NotDone where CloudFormation cannot. What was there before is there again then.
    """
    for last in [False] * (_TRIES - 1) + [True]:
        try:
            return _make(template, values)
        except NotDone as failure:
            if last or problems.ROLE_NOT_SEEN not in str(failure.reasons):
                raise
            print("DMS does not see its new role yet, as happens in its first half minute. Once more:", flush=True)


def _make(template, values):
    client, stack = clients.of("cloudformation"), settled()
    if stack and stack["StackStatus"] in FAILED:
        print(
            f"The stack of before is {stack['StackStatus']}, which can only be deleted. That comes first.", flush=True
        )
        delete(stack)
        stack = None
    told = {
        "StackName": WORKSHOP,
        "TemplateBody": template,
        "Capabilities": _CAPABILITIES,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
        "Tags": [{"Key": TAG, "Value": WORKSHOP}],  # and no learner's: `workshop clean` leaves all of it
    }
    if stack is None:
        return _follow(client.create_stack(**told)["StackId"], "stack_create_complete", None)
    seen = _newest(stack["StackId"])
    try:
        client.update_stack(**told)
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise
    else:
        _follow(stack["StackId"], "stack_update_complete", seen)


def delete(stack: dict) -> None:
    """Delete the stack, and wait until it is gone.

    What is already gone (the brake deletes the instance without CloudFormation) does not keep the rest, should
    CloudFormation stumble over it. Raises NotDone, which names what is in the way.
    """
    client, arn = clients.of("cloudformation"), stack["StackId"]
    seen = _newest(arn)
    client.delete_stack(StackName=arn)
    try:
        return _follow(arn, "stack_delete_complete", seen)
    except NotDone as failure:
        gone = [name for name, reason in failure.reasons.items() if problems.GONE.search(reason)]
        if not gone:
            raise
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeleteStack.html
    seen = _newest(arn)
    client.delete_stack(StackName=arn, RetainResources=gone)
    _follow(arn, "stack_delete_complete", seen)


def settled() -> dict | None:
    """The stack, once nothing in it is under way; what was begun before is waited for, and shown."""
    client = clients.of("cloudformation")
    while (stack := find()) and (status := stack["StackStatus"]).endswith("IN_PROGRESS") and status not in FAILED:
        print(f"The stack is {status}: waiting for that first.", flush=True)
        begun = status.removesuffix("_IN_PROGRESS")
        # Creation that is taken back ends as a failure of creation, a change that is taken back as success of that.
        waiter = {"CREATE": "create", "ROLLBACK": "create", "DELETE": "delete", "UPDATE_ROLLBACK": "rollback"}.get(
            begun.removesuffix("_COMPLETE_CLEANUP"), "update"
        )
        try:
            _follow(stack["StackId"], f"stack_{waiter}_complete", _newest(stack["StackId"]))
        except NotDone as failure:
            print(failure, flush=True)
    if stack and stack["StackStatus"] == "UPDATE_ROLLBACK_FAILED":
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-continueupdaterollback.html
        print("The last change could not be taken back. That is tried again first.", flush=True)
        skipped = [name for name, reason in _failures(stack["StackId"]).items() if problems.GONE.search(reason)]
        seen = _newest(stack["StackId"])
        client.continue_update_rollback(StackName=stack["StackId"], ResourcesToSkip=skipped)
        _follow(stack["StackId"], "stack_rollback_complete", seen)
        stack = find()
    return stack


def _follow(arn, waiter, seen):
    """Show the stack's events after the one with the id `seen` until the waiter has decided.

    Raises NotDone where it decides that it failed.
    """
    client = clients.of("cloudformation")
    once = {"Delay": 0, "MaxAttempts": 1}
    while True:
        problem = None
        try:
            client.get_waiter(waiter).wait(StackName=arn, WaiterConfig=once)
        except WaiterError as error:
            if "Error" in error.last_response:
                raise ClientError(error.last_response, "DescribeStacks") from None
            problem = error
        seen = _show(arn, seen)
        if problem is None:
            return
        if "Max attempts exceeded" not in problem.kwargs["reason"]:
            status = problem.last_response["Stacks"][0]["StackStatus"]
            raise NotDone(f"CloudFormation could not do it: the stack is {status}", _failures(arn))
        time.sleep(PAUSE)


def _show(arn, seen):
    """Show what happened after the event of that id; returns the id of the newest."""
    new = list(itertools.takewhile(lambda event: event["EventId"] != seen, _events(arn)))
    for event in reversed(new):
        why = event.get("ResourceStatusReason", "") if event["ResourceStatus"].endswith("FAILED") else ""
        line = f"{event['Timestamp']:%H:%M:%S}  {event['ResourceStatus']:<20}  {event['LogicalResourceId']}  {why}"
        print(line.rstrip(), flush=True)
    return new[0]["EventId"] if new else seen


def _newest(arn):
    return next((event["EventId"] for event in _events(arn)), None)


def _events(arn) -> Iterator[dict]:
    """The stack's events, the newest first."""
    for page in clients.of("cloudformation").get_paginator("describe_stack_events").paginate(StackName=arn):
        yield from page["StackEvents"]


def _failures(arn):
    """Why the last thing that was begun failed: {resource: reason}. What was cancelled because of it says nothing."""
    found = {}
    for event in _events(arn):
        status, reason = event["ResourceStatus"], event.get("ResourceStatusReason", "")
        whole = event["PhysicalResourceId"] == arn
        if whole and reason == "User Initiated":
            break
        if not whole and status.endswith("FAILED") and "cancelled" not in reason:
            found[event["LogicalResourceId"]] = reason
    return found
