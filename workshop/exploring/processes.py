"""The process that a durable handler runs in: it can crash, it can hang, and it is watched.

A process is a set of threads here: the SDK's, in which the handler and its steps run. When it crashes, the checkpoint
that is under way fails, and so does all that its threads do from then on; nothing of it reaches the world.
"""

import concurrent.futures.thread
import ctypes
import os
import random
import sys
import threading
import time
import traceback

import aws_durable_execution_sdk_python as sdk
from aws_durable_execution_sdk_python import exceptions, execution, lambda_service
from aws_durable_execution_sdk_python.lambda_service import OperationType
from aws_durable_execution_sdk_python_testing.invoker import InvokeResponse

from workshop.exploring.engine import Crashed
from workshop.exploring.worlds import ProcessEnded

# A handler hangs that does nothing to be seen for so long: looks at it, of which each takes 0.2 s at least, or seconds
# of the processor's time. Both last longer on a machine that is busy.
QUIET_LOOKS = 50
BUSY_SECONDS = 4
# Bytes of a step's result, or of a polling loop's state, of which AWS refuses more, and its runner does not:
# https://github.com/aws/aws-durable-execution-sdk-python/issues/342
STORED = 262_144
_TRIES = 3000  # to end the threads of a process by force, each of which takes a millisecond at least

_SDK_FOLDER = os.path.dirname(sdk.__file__)
_NOT_THE_HANDLER = (_SDK_FOLDER, os.path.dirname(__file__), os.path.dirname(threading.__file__), "<frozen")
_THREAD = "explored-invocation"

# What code a thread runs. process: whose. steps: how many step bodies it is in. operation: the id of the innermost
# operation whose function it is in. root: whether it is the one that the handler itself runs in.
this_thread = threading.local()


class Hangs(BaseException):
    """The handler did nothing for too long; where it is, in words. Nobody but a Play can go on after it."""


def current():
    """The process whose code this thread runs, or None."""
    return getattr(this_thread, "process", None)


def in_step():
    """Whether this thread runs a step's body."""
    return getattr(this_thread, "steps", 0) > 0


def operation_here():
    """The id of the operation whose function this thread runs, or None."""
    return getattr(this_thread, "operation", None)


class Process:
    """From a cold start to a crash, or to the end of the execution.

    load: function that returns the handler; called once, when the process starts. watcher: told what happens, a Play.
    """

    def __init__(self, load, watcher):
        self.ended = False
        self.open_steps = set()  # ids of the step attempts that have begun, and are not stored
        self.reached = set()  # ids of the operations that this invocation has come to
        self.suspended = False  # whether the handler was told to stop here
        self._handler = None
        self._load, self.watcher = load, watcher
        self._quiet, self._busy = 0, 0.0

    def progress(self):
        """It does something that is seen: it does not hang."""
        self._quiet, self._busy = 0, time.process_time()

    def check(self):
        """Raise ProcessEnded where this process has crashed; for all that its code does."""
        if self.ended:
            raise ProcessEnded

    def tells(self, text):
        """Its code prints or logs something."""
        if not self.ended:
            self.progress()
            self.watcher.printed(text)

    def invoke(self, invocation_input, context):
        """Run the handler once; returns the runner's InvokeResponse. Raises Crashed, Hangs, or what the SDK raises."""
        answer = {}
        before = set(threading.enumerate())
        self.reached, self.suspended, self.open_steps = set(), False, set()

        def run():
            this_thread.process = self
            try:
                random.seed()
                if self._handler is None:
                    self._handler = sdk.durable_execution(self._watched(_undecorated(self._load())))
                answer["output"] = self._handler(invocation_input, context)
            except BaseException as error:
                answer["error"] = error
            finally:
                del this_thread.process

        thread = threading.Thread(target=run, name=_THREAD, daemon=True)
        self.progress()
        thread.start()
        try:
            self._wait(thread, before)
        except Hangs:
            self._end_by_force(thread, before)
            raise
        if self.ended:
            raise Crashed("Runtime exited without providing a reason")
        if "error" in answer:
            if isinstance(answer["error"], Exception):
                raise answer["error"]
            raise RuntimeError(f"The process ended: {type(answer['error']).__name__}.")  # sys.exit() and the like
        return InvokeResponse.from_output(answer["output"], context.aws_request_id)

    def _watched(self, handler):
        def watched(event, context):
            this_thread.process, this_thread.steps, this_thread.root = self, 0, True
            suspended = False
            try:
                return handler(event, context)
            except exceptions.SuspendExecution:
                suspended = True
                raise
            finally:
                this_thread.root = False
                self.watcher.handler_left(self, suspended)

        return watched

    def _wait(self, thread, before):
        while thread.is_alive():
            thread.join(0.2)
            if not thread.is_alive():
                return
            if self.ended:  # it crashed, and something in it goes on: in truth it could not
                self._end_by_force(thread, before)
                return
            self._quiet += 1
            if self._quiet > QUIET_LOOKS or time.process_time() - self._busy > BUSY_SECONDS:
                raise Hangs(self._where(before))

    def _threads(self, before):
        """The threads of this process, each with its stack, the innermost frame first."""
        frames = sys._current_frames()
        for thread in set(threading.enumerate()) - before:
            stack = list(traceback.walk_stack(frames[thread.ident])) if thread.ident in frames else []
            files = [frame.f_code.co_filename for frame, _ in stack]
            if thread.name == _THREAD or any(name.startswith(_SDK_FOLDER) for name in files):
                yield thread, stack

    def _where(self, before):
        """Which line of the handler's code runs, in words."""
        for thread, stack in self._threads(before):
            for frame, line in stack if thread.name != _THREAD else ():
                if _is_own(frame):
                    return f"line {line} of {os.path.basename(frame.f_code.co_filename)}, in {frame.f_code.co_name}"
        return "a line that cannot be told"

    def _end_by_force(self, thread, before):
        """Raise ProcessEnded in all threads of this process, again and again, until they have ended.

        It is raised where a thread is in the handler's own code, and hardly ever in the libraries below, which can be
        harmed by it. A thread that waits outside of Python (for a lock, a socket) does not hear it: it is left behind,
        and what waits for it when Python ends is told not to.
        """
        self.ended = True
        for number in range(_TRIES):
            if not thread.is_alive():
                return
            for each, stack in list(self._threads(before)):
                if stack and (_is_own(stack[0][0]) or number % 200 == 199):
                    ended = ctypes.py_object(ProcessEnded)
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(each.ident), ended)
            thread.join(0.001)
        for each, _ in list(self._threads(before)):
            concurrent.futures.thread._threads_queues.pop(each, None)


def _is_own(frame):
    """Whether a frame is of the handler's code: neither of a library nor of the explorer."""
    return not frame.f_code.co_filename.startswith(_NOT_THE_HANDLER)


def _undecorated(handler):
    """The function that @durable_execution was put on, so that it can be put on anew, with a watch in between."""
    code = getattr(handler, "__code__", None)
    decorated = code is not None and code.co_filename == execution.__file__
    return handler.__wrapped__ if decorated else handler


class Client(lambda_service.DurableServiceClient):
    """What the SDK takes for the service: its checkpoints go to the play."""

    def __init__(self, play):
        self.play = play

    def checkpoint(self, durable_execution_arn, checkpoint_token, updates, client_token):
        for update in updates:
            if update.operation_type is OperationType.STEP and len((update.payload or "").encode()) > STORED:
                message = f"STEP output payload size must be less than or equal to {STORED} bytes."
                raise exceptions.CheckpointError(message, exceptions.DurableApiErrorCategory.EXECUTION)
        answer = self.play.checkpoint(checkpoint_token, updates, client_token)
        return lambda_service.CheckpointOutput(
            answer.checkpoint_token,
            lambda_service.CheckpointUpdatedExecutionState(answer.new_execution_state.operations, None),
        )

    def get_execution_state(self, durable_execution_arn, checkpoint_token, next_marker, max_items=1000):
        page = self.play.engine.state(checkpoint_token, next_marker, max_items)
        return lambda_service.StateOutput(page.operations, page.next_marker)

    def stop(self, execution_arn, payload):
        raise NotImplementedError("The explorer stops no execution.")
