"""Stacks for tests: packaged and deployed by the calls that `aws cloudformation package` and `deploy` make."""

import io
import re
import time
import zipfile
from pathlib import Path

from state_machines import unique

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]


def package(aws, folder, bucket):
    """The template in a folder, its text, once the folders and files that it names are in the bucket."""
    s3, text = aws("s3"), (folder / "template.yaml").read_text(encoding="utf-8")

    def put(found):
        source = folder / found[2]
        content = source.read_bytes() if source.is_file() else archive(source)
        key = f"{unique('artifact')}{source.suffix}"
        s3.put_object(Bucket=bucket, Key=key, Body=content)
        return f"{found[1]}: s3://{bucket}/{key}"

    return re.sub(r"(CodeUri|DefinitionUri): (\S+)", put, text)


def archive(folder: Path):
    """A folder as a zip archive, bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as written:
        for source in sorted(folder.rglob("*.py")):
            written.write(source, source.relative_to(folder))
    return packed.getvalue()


def deploy(aws, name, template, **parameters):
    """Make a stack or change it by a change set, and wait; gives how the stack is then. Raises where that failed."""
    client = aws("cloudformation")
    change_set = client.create_change_set(
        StackName=name,
        ChangeSetName=unique("change"),
        ChangeSetType="UPDATE" if exists(client, name) else "CREATE",
        TemplateBody=template,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=CAPABILITIES,
    )
    client.get_waiter("change_set_create_complete").wait(ChangeSetName=change_set["Id"], WaiterConfig={"Delay": 0.05})
    client.execute_change_set(ChangeSetName=change_set["Id"])
    return wait(client, name)


def exists(client, name):
    try:
        return describe(client, name)["StackStatus"] != "REVIEW_IN_PROGRESS"
    except client.exceptions.ClientError:
        return False


def wait(client, name):
    """Wait until nothing is in progress; gives the stack. Fails where it did not end as it should."""
    stack = settled(client, name)
    events = [
        event
        for page in client.get_paginator("describe_stack_events").paginate(StackName=name)
        for event in page["StackEvents"]
    ]
    faults = [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
        for event in events
        if event["ResourceStatus"].endswith("FAILED")
    ]
    assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), "\n".join([stack["StackStatus"], *faults])
    return stack


def settled(client, name):
    while (stack := describe(client, name))["StackStatus"].endswith("IN_PROGRESS"):
        time.sleep(0.05)
    return stack


def describe(client, name):
    return client.describe_stacks(StackName=name)["Stacks"][0]


def delete(client, name):
    """Delete a stack and wait until it is gone; gives how it is then."""
    arn = describe(client, name)["StackId"]
    client.delete_stack(StackName=name)
    return settled(client, arn)
