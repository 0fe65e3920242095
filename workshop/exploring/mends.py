"""The SDK and a few of Python's functions, as the explorer needs them: changed while it explores, and put back."""

import contextlib
import io
import logging
import os
import random
import sys
import time

import aws_durable_execution_sdk_python as sdk
from aws_durable_execution_sdk_python import exceptions, state
from aws_durable_execution_sdk_python.lambda_service import OperationType
from aws_durable_execution_sdk_python.operation import base

from workshop.exploring.processes import Client, current, in_step, this_thread
from workshop.exploring.worlds import ProcessEnded


@contextlib.contextmanager
def mended():
    """The SDK 3.0.0 as the explorer needs it, in this process and for as long as it explores.

    Mends:
    - At the end of each invocation the SDK waits until its thread for checkpoints looks whether it should end, which it
      does every 100 ms. Here it is woken. (The sandbox does the same: sandbox/durable/sdk_mends.py.)
    - The SDK gathers the checkpoints that nobody waits for, such as the begin of a step, until somebody waits for
      one, or for 100 ms. Here only the former counts, so that the n-th checkpoint is the same one on any machine.
    - An operation of more than 768,000 bytes waits for ever for a batch that it fits into. Here it is sent alone. (So
      does the sandbox.)

    Watched, and not changed: when a step's body begins and ends, to which operations a handler comes, and when it is
    told to stop. In a handler `time.sleep` moves the one clock and takes no time, and `os._exit` ends its process only.
    """
    executing, stopped = state.ExecutionState, state.ExecutionState.stop_checkpointing

    def stop_checkpointing(self):
        stopped(self)
        self._checkpoint_queue.put(state._Signal.REFRESH_WAKE)

    def read_timeout(self, batch, now, deadline):
        if batch.has_blocked_caller:
            return 0
        until_refresh = self._seconds_until_next_refresh(now)
        return 60 if until_refresh is None else min(60, until_refresh)

    def drain_overflow(self, batch):
        with contextlib.suppress(state.queue.Empty):
            while not batch.is_full():
                operation = self._overflow_queue.get_nowait()
                size = self._calculate_operation_size(operation)
                if not batch.is_empty() and not batch.fits(size):
                    self._overflow_queue.put(operation)
                    return
                batch.add(operation, size)

    wrap = executing.wrap_user_function

    def wrap_user_function(self, user_function, operation_identifier, *more, **options):
        process = _process_of(self)
        wrapped = wrap(self, user_function, operation_identifier, *more, **options)
        if process is None:
            return wrapped

        def watched(*arguments, **named):
            with _within(process, operation_identifier):
                result = wrapped(*arguments, **named)
                is_step = operation_identifier.type is OperationType.STEP
                return process.watcher.step_ends(operation_identifier, result) if is_step else result

        return watched

    look = base.OperationExecutor._get_checkpoint_result

    def get_checkpoint_result(self):
        process = _process_of(self.state)
        if process is not None:
            process.reached.add(self.operation_identifier.operation_id)
            if in_step():
                process.watcher.called_in_step(self.operation_identifier)
        return look(self)

    suspend = exceptions.SuspendExecution.__init__

    def suspended(self, message):
        suspend(self, message)
        if current() is not None and getattr(this_thread, "root", False):
            current().suspended = True

    sleep = time.sleep

    def sleep_on_the_clock(seconds):
        process = current()
        if process is None:
            sleep(seconds)
        else:
            process.check()
            process.watcher.clock.advance(seconds)
            process.progress()

    leave = os._exit

    def end_process(status):
        process = current()
        if process is None:
            leave(status)
        process.watcher.exits(process)
        raise ProcessEnded

    changes = [
        (executing, "stop_checkpointing", stop_checkpointing),
        (executing, "_read_timeout", read_timeout),
        (executing, "_drain_overflow", drain_overflow),
        (executing, "wrap_user_function", wrap_user_function),
        (base.OperationExecutor, "_get_checkpoint_result", get_checkpoint_result),
        (exceptions.SuspendExecution, "__init__", suspended),
        (time, "sleep", sleep_on_the_clock),
        (os, "_exit", end_process),
    ]
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    drawn = random.getstate()
    for owner, name, value in changes:
        setattr(owner, name, value)
    try:
        with _captured():
            yield
    finally:
        random.setstate(drawn)
        for owner, name, value in kept:
            setattr(owner, name, value)


def _process_of(execution_state):
    """The process that an execution's state of the SDK belongs to; None where it is not explored."""
    client = execution_state._service_client
    return client.play.process if isinstance(client, Client) else None


@contextlib.contextmanager
def _within(process, identifier):
    """This thread runs the function of an operation: of a step, of a polling loop, of a context.

    What a step draws with `random` is the same in each play (and another in another attempt), so that a decision which
    is made in a step, as it should be, is the same one. What is drawn elsewhere differs.
    """
    kept = {name: getattr(this_thread, name, None) for name in ("process", "steps", "operation")}
    is_step = identifier.type is OperationType.STEP
    this_thread.process, this_thread.operation = process, identifier.operation_id
    this_thread.steps = (kept["steps"] or 0) + is_step
    try:
        if is_step:
            process.check()
            random.seed(process.watcher.step_begins(process, identifier))
        yield
    finally:
        if is_step:
            random.seed()
        this_thread.process, this_thread.operation = kept["process"], kept["operation"]
        this_thread.steps = kept["steps"] or 0


class _Prints(io.TextIOBase):
    """Standard output: what a handler prints belongs to its story, all else goes where it went."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        process = current()
        if process is None:
            return self._stream.write(text)
        process.tells(text)
        return len(text)

    def flush(self):
        self._stream.flush()

    def __getattr__(self, name):
        return getattr(self._stream, name)


class _Records(logging.Handler):
    """Log records: what a handler logs belongs to its story, all else goes where it went."""

    def __init__(self, level, others):
        super().__init__()
        self._level, self._others = level, others

    def emit(self, record):
        process = current()
        if process is not None:
            process.tells(f"{record.levelname} {record.getMessage()}\n")
        elif record.levelno >= self._level:
            for handler in self._others:
                if record.levelno >= handler.level:
                    handler.handle(record)


@contextlib.contextmanager
def _captured():
    root = logging.getLogger()
    packages = [logging.getLogger(name) for name in (sdk.__name__, "aws_durable_execution_sdk_python_testing")]
    levels, level, handlers = [each.level for each in packages], root.level, root.handlers[:]
    root.handlers[:] = [_Records(level, handlers or [logging.lastResort])]
    root.setLevel(min(level, logging.INFO))  # as Lambda has it for a durable function, which logs JSON
    for package in packages:
        package.setLevel(logging.CRITICAL + 1)
    try:
        with contextlib.redirect_stdout(_Prints(sys.stdout)):
            yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for package, level in zip(packages, levels, strict=True):
            package.setLevel(level)
