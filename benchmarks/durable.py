"""Durable functions: how long an answer to a callback takes to end its execution, and how many can wait at once.

Run alone: `python -m benchmarks.durable`. The bare runner is AWS's local runner without anything around it, in the same
run and on the same machine: it calls the handler in its own process, the sandbox in one like Lambda's. The bare
runner's 100 ms are the SDK's (sandbox/durable/sdk_mends.py).
"""

import io
import json
import statistics
import subprocess
import time
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor

from benchmarks import sandbox_load
from workshop import environments

HANDLER = """
import json, os
from aws_durable_execution_sdk_python import durable_execution

@durable_execution
def handler(event, context):
    def submit(callback_id, _):
        if "queue" in event:
            import boto3
            message = json.dumps({"n": event["n"], "callback": callback_id})
            boto3.client("sqs").send_message(QueueUrl=event["queue"], MessageBody=message)
    return context.wait_for_callback(submit, name="vendor")
"""

# Runs in the sandbox's Python: prints a list of seconds.
BARE = """
import json, logging, sys, time
from aws_durable_execution_sdk_python_testing.runner import DurableFunctionTestRunner
logging.disable(logging.CRITICAL)
exec(sys.argv[1])
seconds = []
with DurableFunctionTestRunner(handler=handler, poll_interval=0.01) as runner:
    for _ in range(int(sys.argv[2])):
        arn = runner.run_async(input="{}")
        callback = runner.wait_for_callback(arn)
        time.sleep(0.05)
        began = time.perf_counter()
        runner.send_callback_success(callback, b"1")
        runner.wait_for_result(arn)
        seconds.append(time.perf_counter() - began)
print(json.dumps(seconds))
"""


class Account:
    """What the measurements need in a sandbox. aws: a function that makes boto3 clients."""

    def __init__(self, aws):
        self.functions, self.machines, self.sqs = aws("lambda"), aws("stepfunctions"), aws("sqs")
        name = f"durable-{uuid.uuid4().hex[:8]}"
        services = ["lambda.amazonaws.com", "states.amazonaws.com"]
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": services}}
        allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        iam = aws("iam")
        self.role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=_policy(allow))
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("index.py", HANDLER)
        self.functions.create_function(
            FunctionName=name, Runtime="python3.13", Handler="index.handler", Role=self.role, Timeout=60,
            Code={"ZipFile": archive.getvalue()}, DurableConfig={"ExecutionTimeout": 3600},
        )  # fmt: skip
        self.function = f"{name}:$LATEST"
        self.queue = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        message = {"n.$": "$.n", "token.$": "$$.Task.Token"}
        task = {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {"QueueUrl": self.queue, "MessageBody": message},
            "End": True,
        }
        self.machine = self.machines.create_state_machine(
            name=name, roleArn=self.role, definition=json.dumps({"StartAt": "T", "States": {"T": task}})
        )["stateMachineArn"]

    def start_execution(self, n, queue=None):
        event = {"n": n, "queue": queue} if queue else {"n": n}
        answer = self.functions.invoke(
            FunctionName=self.function, InvocationType="Event", Payload=json.dumps(event).encode()
        )
        return answer["DurableExecutionArn"]

    def start_machine(self, n):
        answer = self.machines.start_execution(stateMachineArn=self.machine, input=json.dumps({"n": n}))
        return answer["executionArn"]

    def asked(self):
        """The messages that wait in the queue; takes them out."""
        received = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        messages = received.get("Messages", [])
        if messages:
            entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
            self.sqs.delete_message_batch(QueueUrl=self.queue, Entries=entries)
        return [json.loads(message["Body"]) for message in messages]

    def answer(self, message):
        result = json.dumps(message["n"])
        if "token" in message:
            self.machines.send_task_success(taskToken=message["token"], output=result)
        else:
            self.functions.send_durable_execution_callback_success(CallbackId=message["callback"], Result=result)

    def end(self, arn):
        """(result, when) of an execution of a durable function, None as long as it runs."""
        shown = self.functions.get_durable_execution(DurableExecutionArn=arn)
        if shown["Status"] == "RUNNING":
            return None
        return json.loads(json.loads(shown["Result"])), shown["EndTimestamp"].timestamp()

    def machine_end(self, arn):
        described = self.machines.describe_execution(executionArn=arn)
        if described["status"] == "RUNNING":
            return None
        return json.loads(described["output"]), described["stopDate"].timestamp()

    def invocations(self, arn):
        """The details of the events that an execution's invocations and callbacks left."""
        events = self.functions.get_durable_execution_history(DurableExecutionArn=arn)["Events"]
        return {event["EventType"]: event.get(f"{event['EventType']}Details") for event in events}


def answers(account, count):
    """Seconds from an answer (before it is sent) to the end of its execution, one after the other, warm."""
    seconds = []
    for n in range(count + 5):
        arn = account.start_execution(n)
        events = _until(lambda arn=arn: _when("InvocationCompleted", account.invocations(arn)))
        began = time.time()
        account.answer({"n": n, "callback": events["CallbackStarted"]["CallbackId"]})
        result, ended = _until(lambda arn=arn: account.end(arn))
        assert result == n
        seconds.append(ended - began)
    return seconds[5:]


def bare_answers(python, count):
    """The same of the bare runner. python: the sandbox's."""
    printed = subprocess.run(
        [python, "-c", BARE, HANDLER, str(count)], capture_output=True, text=True, check=True
    ).stdout
    return json.loads(printed)


def many(account, executions, machines, memory=lambda: 0):
    """Let many executions and state machines wait at once, then answer all. Raises AssertionError if one is lost.

    memory: called now and then, gives a number. Gives a dict: seconds, and the largest memory.
    """
    peak, began = 0, time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        started = [pool.submit(account.start_execution, n, account.queue) for n in range(executions)]
        started_machines = [pool.submit(account.start_machine, n) for n in range(machines)]
        asked = []
        while len(asked) < executions + machines:
            asked += account.asked()
            peak = max(peak, memory())
            assert time.monotonic() - began < 300, f"only {len(asked)} asked for an answer"
        waiting = time.monotonic()
        sent = [pool.submit(account.answer, message) for message in asked]
        ends = [pool.submit(_end, account.end, each) for each in started]
        ends_of_machines = [pool.submit(_end, account.machine_end, each) for each in started_machines]
        for each in sent:
            each.result()
            peak = max(peak, memory())
        results = [each.result()[0] for each in ends], [each.result()[0] for each in ends_of_machines]
        peak = max(peak, memory())
    assert results == (list(range(executions)), list(range(machines))), "an answer went astray"
    return {"until all wait": waiting - began, "until all are over": time.monotonic() - waiting, "memory": peak}


def _end(look, started):
    """What `look` gives for the ARN of an execution (the result of a future) once it is over."""
    arn = started.result()
    return _until(lambda: look(arn))


def _policy(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _when(name, events):
    return events if name in events else None


def _until(condition, within=120):
    end = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.01)
    return value


def main():
    with sandbox_load._sandbox() as load:
        account = Account(load.client)
        ours, bare = answers(account, 100), bare_answers(environments.SANDBOX.python, 100)
        waited = many(account, 500, 1000, lambda: load.memory() or 0)
    print(f"{'':52}{'sandbox':>10}{'runner':>10}      sandbox / AWS's local runner")
    what = "from an answer to the end of a durable one"
    for kind, of_ours, of_bare in zip(("median", "p99"), _times(ours), _times(bare), strict=True):
        print(f"{f'{what}, {kind}':<52}{of_ours:>10.1f}{of_bare:>10.1f} ms  {of_ours / of_bare:8.2f}")
    print("500 durable executions and 1000 state machines wait at once", end=" ")
    print(
        f"after {waited['until all wait']:.1f} s, are answered and over after {waited['until all are over']:.1f} s,",
        end=" ",
    )
    print(f"{waited['memory']} MB.")


def _times(seconds):
    return 1000 * statistics.median(seconds), 1000 * statistics.quantiles(seconds, n=100)[98]


if __name__ == "__main__":
    main()
