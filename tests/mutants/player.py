"""Plays mutants: a process with a sandbox of its own and an IPython shell, which is where it is before the answer.

`python -m tests.mutants.player` reads one JSON object a line and answers each with one:

    {"run": [cells]}     runs cells and stays behind them          {"fault": ""}, or what a cell raised
    {"play": [cells], "seconds": 60}   runs cells in a fork that ends with the last one, the check, and then gives back
                         what they left in the account             {"outcome": ..., "words": ..., "seconds": ...}

A fork begins with the names, the modules and the folder that the cells before made, and leaves none of its own.
Outcomes: "survived", the check calls it done; "killed", it does not; "broken", a cell before it raised; "problem".
"""

import contextlib
import json
import os
import select
import shutil
import signal
import sys
import time
import traceback

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell

from workshop import cleaning, labs, sandbox


def main():
    """Answer on what was the standard output, until the input ends; what cells print goes where errors go."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    HistoryManager.enabled = False  # it would write to the author's
    shell = InteractiveShell.instance()
    notebook = Notebook(shell)
    signal.signal(signal.SIGTERM, lambda *_: notebook.end())
    for line in sys.stdin:
        print(json.dumps(notebook.answer(json.loads(line))), file=answers, flush=True)
    notebook.end()


class Notebook:
    """The cells of a lab that have been run, and forks of it that run some more."""

    def __init__(self, shell):
        self.shell = shell
        self.account = None  # what was there before the answer; looked up when it is needed
        self.child = None

    def answer(self, order):
        if "run" in order:
            self.account = None
            return {"fault": self.run(order["run"])}
        self.account = self.account or Account()
        begun = time.monotonic()
        outcome = self.play(order["play"], order["seconds"])
        outcome["seconds"] = round(time.monotonic() - begun, 1)
        if outcome.pop("ended", True):
            self.account.restore()
        return outcome

    def run(self, cells):
        """What the first cell raised that raised anything, as text."""
        for source in cells:
            error = self.error_of(source)
            if error is not None:
                return f"{source.splitlines()[0]!r}: {one_line(error)}"
        return ""

    def error_of(self, source):
        result = self.shell.run_cell(source, store_history=False)
        return result.error_before_exec or result.error_in_exec

    def play(self, cells, seconds):
        """Run the cells in a fork, and give its outcome; "ended" is False where it did not end in time."""
        reading, writing = os.pipe()
        folder = _files(os.getcwd())
        sys.stdout.flush()
        sys.stderr.flush()
        self.child = os.fork()
        if not self.child:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.close(reading)
            try:
                said = self.outcome(cells)
            except BaseException:
                said = {"outcome": "problem", "words": traceback.format_exc()}
            os.write(writing, json.dumps(said).encode())
            os._exit(0)
        os.close(writing)
        try:
            return json.loads(_read(reading, seconds))
        except TimeoutError:
            return {"outcome": "problem", "words": f"It did not end within {seconds} s.", "ended": False}
        except ValueError:
            return {"outcome": "problem", "words": "The process of the notebook died."}
        finally:
            os.close(reading)
            self.end_child()
            _put_back(os.getcwd(), folder)

    def outcome(self, cells):
        """Run the cells, of which the last is the check; what became of it."""
        *before, check = cells
        for source in before:
            error = self.error_of(source)
            if error is not None:
                return {"outcome": "broken", "words": one_line(error)}
        error = self.error_of(check)
        if error is None:
            return {"outcome": "survived", "words": ""}
        refused = isinstance(error, labs.NotYet | labs.NotAttempted)
        words = (
            str(error) if isinstance(error, labs.NotYet | labs.NotAttempted | labs.SandboxProblem) else one_line(error)
        )
        return {"outcome": "killed" if refused else "problem", "words": words}

    def end(self):
        """End this process at once, and its sandbox. A SystemExit would end a cell, where one runs."""
        self.end_child()
        sandbox.stop()
        os._exit(0)

    def end_child(self):
        if self.child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
            self.child = None


class Account:
    """What is in the sandbox's account now, to be restored."""

    def __init__(self):
        self.resources = set(cleaning.find().arns)
        self.tables = [arn.rpartition("/")[2] for arn in self.resources if ":table/" in arn]
        self.items = {table: _items(table) for table in self.tables}

    def restore(self):
        """End what runs, delete what is new, and put the items of tables back.

        What was there and was changed stays changed: the cells between answer and check make that anew.
        """
        there_are = cleaning.find().arns
        for arn in there_are:
            with contextlib.suppress(ClientError, BotoCoreError):
                if ":stateMachine:" in arn:
                    _end_executions(arn)
                if ":function:" in arn:
                    _end_durable_executions(arn)
        for arn in there_are:
            if arn not in self.resources:
                cleaning.delete(arn)
        for table in self.tables:
            before, now = self.items[table], _items(table)
            if before != now:
                _restore(table, before, now)


def one_line(error):
    return " ".join(f"{type(error).__name__}: {error}".split())


def _end_executions(machine):
    client = boto3.client("stepfunctions")
    pages = client.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="RUNNING")
    for page in pages:
        for execution in page["executions"]:
            client.stop_execution(executionArn=execution["executionArn"])


def _end_durable_executions(function):
    client = boto3.client("lambda")
    name = function.rpartition(":")[2]
    found = client.list_durable_executions_by_function(FunctionName=name, Statuses=["RUNNING"])
    for execution in found["DurableExecutions"]:
        client.stop_durable_execution(DurableExecutionArn=execution["DurableExecutionArn"])


def _items(table):
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    try:
        return [item for page in pages for item in page["Items"]]
    except ClientError:  # one that is being deleted
        return []


def _restore(table, before, now):
    client = boto3.client("dynamodb")
    keys = [key["AttributeName"] for key in client.describe_table(TableName=table)["Table"]["KeySchema"]]
    for item in now:
        client.delete_item(TableName=table, Key={key: item[key] for key in keys})
    for item in before:
        client.put_item(TableName=table, Item=item)


def _files(folder):
    """What a notebook wrote beside itself: {name: bytes}."""
    return {entry.name: _bytes(entry.path) for entry in os.scandir(folder) if entry.is_file()}


def _put_back(folder, files):
    """Make the files of the folder what they were; one mutant's module must not be the next one's."""
    for entry in os.scandir(folder):
        if entry.is_file() and entry.name not in files:
            os.unlink(entry.path)
        elif entry.name == "__pycache__":
            shutil.rmtree(entry.path)
    for name, content in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)


def _bytes(path):
    with open(path, "rb") as file:
        return file.read()


def _read(pipe, seconds):
    """All that comes through a pipe until its other end closes. Raises TimeoutError."""
    end, said = time.monotonic() + seconds, b""
    while True:
        readable, _, _ = select.select([pipe], [], [], max(0, end - time.monotonic()))
        if not readable:
            raise TimeoutError
        more = os.read(pipe, 65536)
        if not more:
            return said
        said += more


if __name__ == "__main__":
    main()
