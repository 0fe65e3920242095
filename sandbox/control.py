"""What the workshop asks of the sandbox itself, under /_sandbox/ and with the learner's secret key:

    GET  /_sandbox/status   who and where it is
    GET  /_sandbox/lease    held open for as long as the caller wants the sandbox to live
    POST /_sandbox/reset    empty the account
    POST /_sandbox/stop     end
    GET /_sandbox/faults           how calls and DMS's events go wrong on purpose (sandbox/faults/plan.py, sandbox/dms)
    POST /_sandbox/faults          {"faults": [...]}: add to what is in force; the answer has their ids as "added"
    DELETE /_sandbox/faults        {"ids": [...]} or {"label": ...}: end these; it answers how they were at last
    GET /_sandbox/calls            the last calls of functions and state machines, in the order in which they came:
                                   ?function=NAME and other questions (sandbox/faults/calls.py)
    GET, PUT /_sandbox/actions     what the account's root asked for, as actions of IAM on resources:
                                   PUT {"record": true} begins an empty record, false ends it (authorization.py)
    GET, PUT /_sandbox/delays      how long it takes until what was changed is felt (sandbox/delays.py)
    GET, PUT /_sandbox/functions   pauses before retries, numbers of processes (sandbox/functions/settings.py)

A lease is an open connection, so a caller that dies gives it up without having to say so. Each line that comes down
the connection names the `account_epoch`, a number that changes when the account was emptied.
"""

import asyncio
import json
import time
from urllib.parse import parse_qsl


class Control:
    """The life of the sandbox.

    state: what status shows. idle_seconds: see `_watch`. reset: called to empty the account. clear_away: called at the
    end, to leave no process and no file behind.
    """

    def __init__(self, state, idle_seconds, reset, clear_away):
        self._state = state
        self._idle_seconds = idle_seconds
        self._reset = reset
        self._clear_away = clear_away
        self._leases = set()
        self._last_request = time.monotonic()
        self._stop = asyncio.Event()
        self.started = asyncio.Event()
        self._epoch = time.time_ns()

    # -- life ---------------------------------------------------------------------------------------------------------

    def stop(self):
        self._stop.set()

    async def stopped(self):
        """Wait until it is time to end: asked to, or idle. The server's shutdown trigger."""
        self.started.set()
        watching = asyncio.create_task(self._watch())
        await self._stop.wait()
        watching.cancel()
        # Leases end last: whoever waits for theirs to end may rely on nothing being left behind.
        await asyncio.to_thread(self._clear_away)
        for lease in self._leases:
            lease.set()

    async def _watch(self):
        """End when nobody holds a lease and no request has come for the idle time."""
        while True:
            await asyncio.sleep(min(1.0, self._idle_seconds))
            if not self._leases and time.monotonic() - self._last_request > self._idle_seconds:
                self.stop()

    def request_seen(self):
        self._last_request = time.monotonic()

    # -- requests -----------------------------------------------------------------------------------------------------

    async def answer(self, scope, receive, send):
        """Answer one request under /_sandbox/; the gateway has checked the key."""
        what = (scope["method"], scope["path"].removeprefix("/_sandbox/"))
        if what == ("GET", "status"):
            await respond(send, 200, {**self.public_state(), "leases": len(self._leases)})
        elif what == ("GET", "lease"):
            await self._lease(receive, send)
        elif what == ("POST", "reset"):
            await asyncio.to_thread(self._reset)
            self._epoch = time.time_ns()
            for lease in self._leases:
                lease.set()
            await respond(send, 200, self.public_state())
        elif what == ("POST", "stop"):
            await respond(send, 200, {})
            self.stop()
        elif what[1] == "faults" and what[0] in ("GET", "POST", "DELETE"):
            from sandbox import faults

            work = {"GET": lambda _: faults.get(), "POST": faults.add, "DELETE": faults.end}[what[0]]
            await _answer_with(send, work, await read(receive))
        elif what == ("GET", "calls"):
            from sandbox.faults import calls

            asked = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
            await _answer_with(send, lambda _: calls.get(asked))
        elif what in (("GET", "actions"), ("PUT", "actions")):
            from sandbox import authorization

            def actions(wanted):
                if what[0] == "GET":
                    return authorization.recorded()
                if not isinstance(wanted, dict) or list(map(type, wanted.values())) != [bool] or "record" not in wanted:
                    raise ValueError('Say whether to record: {"record": true} or {"record": false}.')
                authorization.record(wanted["record"])
                return wanted

            await _answer_with(send, actions, await read(receive))
        elif what in (("GET", "delays"), ("PUT", "delays")):
            from sandbox import delays

            await _answer_with(send, lambda wanted: delays.set_some(wanted or {}), await read(receive))
        elif what in (("GET", "functions"), ("PUT", "functions")):
            from sandbox import functions

            def settings(wanted):
                if what[0] == "PUT":
                    functions.set_settings(wanted)
                return functions.get_settings()

            await _answer_with(send, settings, await read(receive))
        else:
            await respond(send, 404, {"message": f"The sandbox has no {what[0]} {scope['path']}."})

    def public_state(self):
        return {**{key: value for key, value in self._state.items() if "key" not in key}, "account_epoch": self._epoch}

    async def _lease(self, receive, send):
        lease = asyncio.Event()
        self._leases.add(lease)
        gone = asyncio.create_task(_disconnected(receive))
        try:
            headers = [(b"content-type", b"application/x-ndjson")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            while not (gone.done() or self._stop.is_set()):
                lease.clear()
                line = json.dumps({"account_epoch": self._epoch}).encode() + b"\n"
                await send({"type": "http.response.body", "body": line, "more_body": True})
                waiting = asyncio.create_task(lease.wait())
                await asyncio.wait({gone, waiting}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            self._leases.discard(lease)
            self.request_seen()


async def _answer_with(send, work, body=b""):
    """Answer with what `work` returns for a JSON document, or with the sentence of the ValueError that it raises."""
    try:
        document = json.loads(body) if body else None
        answer = work(document)
    except (ValueError, TypeError) as error:
        await respond(send, 400, {"message": str(error)})
        return
    await respond(send, 200, answer)


async def _disconnected(receive):
    while (await receive())["type"] != "http.disconnect":
        pass


async def read(receive):
    """The whole body of a request, as bytes."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return body


async def respond(send, status, document, headers=()):
    """Answer with a JSON document."""
    body = json.dumps(document).encode()
    basic = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*basic, *headers]})
    await send({"type": "http.response.body", "body": body})
