"""Calls that come in by the door: who makes them, the faults that they meet, the record of those of functions."""

import asyncio
import contextlib
import re

from sandbox import server
from sandbox.functions import credentials

from . import calls, force, operations

_KEY = re.compile(r"Credential=([^/,\s]+)/")
_ERROR = 4096  # bytes of an error's answer that are kept

# Access keys of sessions in which state machines call: sandbox/stepfunctions/faults.py has seen to these calls.
of_state_machines = set()


async def serve(application, scope, receive, send, headers, service):
    """Let a request pass to the application that serves it. headers: {name: value}; service: as it is signed for."""
    key = _KEY.search(headers.get("authorization", ""))
    process = credentials.environment_of(key[1]) if key else None
    if process is None and (not force.faults or (key and key[1] in of_state_machines)):
        await application(scope, receive, send)
        return
    messages, body = await _read(receive)
    raw_path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
    request = operations.Request(service, scope["method"], raw_path, query, headers, body)
    name = process.config["FunctionName"] if process else None
    passage = None
    if force.faults:
        sdk_call = headers.get("amz-sdk-invocation-id")
        passage = force.Passage(force.Call(request.operation, request.text, name, sdk_call=sdk_call))
    record = None
    if process is not None:
        record = calls.note(("function", name), {"request_id": process.request_id}, request.light(), passage)

    async def receive_again():
        return messages.pop(0) if messages else await receive()

    answer = Answer(send, record, held_back=passage is not None and passage.needs_answer())
    if passage is None:
        try:
            await application(scope, receive_again, answer)
        finally:
            answer.end("error", False)  # there was none: the caller is gone
        return
    done = False
    try:
        with credentials.kept(key[1]) if process else contextlib.nullcontext():
            ending = await _wait(passage.stage("before"), process)
            if ending is None:
                await application(scope, receive_again, answer)
                done = answer.status is not None
                ending = await _wait(passage.stage("after"), process)
        if ending is None:
            await answer.let_go()
        elif ending.kind == "kill":
            answer.end("killed", done)
            process.kill()
            server.hang_up(send)
        elif ending.kind == "lost" and ending.wanted["answer"] == "closed":
            answer.end("lost", done)
            server.hang_up(send)
        else:
            await answer.replace(ending.outcome, done, *operations.error(request, ending.wanted))
    finally:
        passage.over(done)
        answer.end("error", done)


class Answer:
    """The way back to the caller. record: of the call, or None. held_back: whether it waits for `let_go` or `replace`.

    The record ends before the caller hears of the answer: what it calls next comes later in the order of all calls.
    """

    def __init__(self, send, record, held_back):
        self.status = None
        self._body = b""  # of an error, its beginning
        self._send = send
        self._record = record
        self._held = [] if held_back else None

    async def __call__(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif self.status >= 400 and len(self._body) < _ERROR:
            self._body += message.get("body", b"")
        if self._held is not None:
            self._held.append(message)
            return
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.end("ok" if self.status < 400 else "error", True)
        await self._send(message)

    def end(self, outcome, done):
        """What the record says in the end; only the first word counts."""
        if self._record is not None:
            error = (self.status, self._body) if self.status is not None and self.status >= 400 else None
            self._record.end(outcome, done, error)
            self._record = None

    async def let_go(self):
        """Send what was held back."""
        held, self._held, self._body = self._held or [], None, b""
        for message in held:
            await self(message)

    async def replace(self, outcome, done, status, headers, body):
        """Answer with this, whatever there was."""
        self._held, self.status, self._body = None, status, body
        self.end(outcome, done)
        named = {**headers, "content-length": len(body)}
        pairs = [(name.lower().encode(), str(value).encode()) for name, value in named.items()]
        await self({"type": "http.response.start", "status": status, "headers": pairs})
        await self({"type": "http.response.body", "body": body})


async def _read(receive):
    """The messages of a request, to be given out again, and its whole body."""
    messages, body = [], b""
    while True:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body"):
            return messages, body


async def _wait(steps, process):
    """Go through a stage of a passage on the event loop; returns what it returns. process: who calls, if a function."""
    try:
        while True:
            future, seconds, at_gate = next(steps)
            with process.at_gate() if process and at_gate else contextlib.nullcontext():
                await asyncio.wait([asyncio.wrap_future(future)], timeout=seconds)
    except StopIteration as end:
        return end.value
