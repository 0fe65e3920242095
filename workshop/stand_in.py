"""A stand-in for an execution environment of Lambda Managed Instances: Python processes that share a folder.

It shows what a handler must guard where one environment serves several requests at once, and nothing else of the
service. That Python has a process for each request, that no two of them share globals, and that all of them share
/tmp: https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances-python-runtime.html
"""

import multiprocessing
import runpy
import signal
import types
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_WORKS, _RETURNED, _RAISED = "works", "returned", "raised"


def work():
    """Stands for what takes time in a handler: returns once every request that runs now has come as far as here.

    So what a demonstration shows does not depend on which process is the quicker one.
    """
    _pipe.send((_WORKS, None))
    _pipe.recv()


class Environment:
    """An environment whose processes have loaded the handler in a file: Environment("report.py", processes=2).

    file: with a function lambda_handler(event, context). Of the context there is only aws_request_id.
    processes: how many there are, and so how many requests are served at once. They work in the current folder, which
        stands for /tmp.
    """

    def __init__(self, file: str, *, processes: int):
        # New interpreters, as on AWS: a fork would have what the notebook has.
        context = multiprocessing.get_context("spawn")
        self._pipes = []
        for _ in range(processes):
            ours, theirs = context.Pipe()
            context.Process(target=_serve, args=(str(Path(file).absolute()), theirs), daemon=True).start()
            theirs.close()
            self._pipes.append(ours)

    def invoke(self, *events: Mapping[str, Any]) -> list[Any]:
        """Give each event to a process of its own, all at the same time; returns what they return, in that order.

        Raises RuntimeError where a handler raises, and ValueError where there are more events than processes.
        """
        if len(events) > len(self._pipes):
            raise ValueError(f"There are {len(events)} events at the same time, but {len(self._pipes)} processes.")
        at_work = dict(enumerate(self._pipes[: len(events)]))
        for pipe, event in zip(at_work.values(), events, strict=True):
            pipe.send((event, str(uuid.uuid4())))
        answers = {}
        while at_work:
            for number, pipe in [*at_work.items()]:
                answers[number] = pipe.recv()
                if answers[number][0] != _WORKS:
                    del at_work[number]
            for pipe in at_work.values():
                pipe.send(None)
        raised = [text for what, text in answers.values() if what == _RAISED]
        if raised:
            raise RuntimeError(raised[0])
        return [answers[number][1] for number in range(len(events))]


def _serve(file, pipe):
    """What one of the processes does: serve one request after the other, until the notebook closes the pipe."""
    global _pipe
    _pipe = pipe
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the notebook's kernel is interrupted with all that it has started
    handler = None
    while True:
        try:
            event, request = pipe.recv()
        except EOFError:
            return
        try:
            handler = handler or runpy.run_path(file)["lambda_handler"]
            pipe.send((_RETURNED, handler(event, types.SimpleNamespace(aws_request_id=request))))
        except Exception as error:
            pipe.send((_RAISED, f"{type(error).__name__}: {error}"))
