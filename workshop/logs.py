"""What a function wrote into its log, without what Lambda itself writes there."""

import re

from workshop import clients

# How Lambda's own lines begin: https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
_OWN = ("INIT_START ", "START RequestId: ", "END RequestId: ", "REPORT RequestId: ")
_STAMP = re.compile(r"^(\[\w+\])\t\S+Z\t\S+\t")  # [INFO]<tab>time<tab>request id<tab> before a record of `logging`


def log(function, last=5):
    """Print the last lines that a function has logged: its prints, its records, and of an error the first line.

    function: its name. On AWS a line arrives some seconds late.
    """
    for line in lines(function)[-last:]:
        print(line)


def lines(function):
    """All that it has logged, a list of lines, the oldest first; none where it was never invoked."""
    said = (message for message in _messages(function) if not message.startswith(_OWN))
    return [_STAMP.sub(r"\1 ", message).split("\nTraceback ")[0].rstrip("\n") for message in said]


def errors(function, since=0):
    """The errors with which it ended, each on one line with the place where it was raised, in their order.

    since: when the first of them may have been logged, in seconds since 1970.
    """
    found = []
    for message in _messages(function, since):
        if message.startswith("[ERROR] "):
            head, _, trace = message.replace("\xa0", " ").partition("\nTraceback ")
            frames = re.findall(r'File "/var/task/([^"]+)", line (\d+)', trace)
            place = f" in {frames[-1][0]}, line {frames[-1][1]}" if frames else ""
            said = " ".join(head.removeprefix("[ERROR] ").split())
            # botocore's own words about a refused call say twice what the code says once.
            said = re.sub(r"^\w+: An error occurred \((\w+)\) when calling the \w+ operation: ", r"\1: ", said)
            found.append(said[:200] + place)
    return found


def invocations(function):
    """How often it was invoked and came to an end, an error included."""
    return sum(message.startswith("REPORT ") for message in _messages(function))


def _messages(function, since=0):
    logs = clients.of("logs")
    group = {"logGroupName": f"/aws/lambda/{function}", "startTime": int(since * 1000)}
    pages = logs.get_paginator("filter_log_events").paginate(**group)
    try:
        return [event["message"] for page in pages for event in page["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return []
