"""What a durable function that is explored calls in the place of AWS and of the vendor: its world.

Its code uses boto3 and urllib as ever. A client checks what it is given and raises its own exceptions; only where it
would send a request, the world of the run answers. A world has `call(service, operation, parameters)`, which returns
the answer as botocore has parsed it, and `request(method, path, headers, body)`, which returns (status, document).
Both may raise Refused, TimeoutError (the answer got lost), or Unknown.
"""

import contextlib
import email.message
import io
import json
import sys
import types
import urllib.request
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.response import addinfourl

from boto3.session import Session
from botocore.client import BaseClient
from botocore.exceptions import ReadTimeoutError

from workshop.exploring.processes import current

# Auditing events (https://docs.python.org/3/library/audit_events.html) of what reaches beyond the process, where no
# world sees it and no crash forgets it.
_BEYOND = ("socket.connect", "socket.sendto", "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn")


class Unknown(Exception):
    """The world does not have what the code has called: of such code an exploration says nothing."""


class Refused(Exception):
    """Refused(code, message): how a service answers what it does not do."""


_unknown: list[str] | None = None


@contextlib.contextmanager
def in_place() -> Iterator[list[str]]:
    """Explored code meets its world while this block runs; yields what no world could answer, a list of texts.

    For a process that does nothing else: what it changes holds for all of the process, and its audit hook stays.
    """
    global _unknown
    _unknown = []
    made, opened = BaseClient.__init__, urllib.request.urlopen

    def make(self, *arguments, **named):
        made(self, *arguments, **named)
        self.meta.events.register("before-call", _call)

    client, resource = Session.client, Session.resource
    BaseClient.__init__, urllib.request.urlopen = make, _urlopen
    Session.client, Session.resource = _once(client), _once(resource)
    sys.addaudithook(_watch)
    try:
        yield _unknown
    finally:
        BaseClient.__init__, urllib.request.urlopen = made, opened
        Session.client, Session.resource = client, resource
        _unknown = None


def _once(make):
    """Clients are made once a service: each process of the function makes them anew, and their settings do nothing."""
    made = {}

    def kept(session, service_name, *_, **__):
        if service_name not in made:
            made[service_name] = make(session, service_name)
        return made[service_name]

    return kept


def _watch(event, arguments):
    if _unknown is None:
        return
    if event in _BEYOND:
        raise _noted(event)
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+") and current():
        raise _noted(f"open({arguments[0]!r}, {arguments[1]!r})")


def _noted(what):
    if _unknown is not None:
        _unknown.append(what)
    return Unknown(f"Whoever explores this function does not know {what}.")


def _answer(what, ask):
    """What the world of this thread's run answers; what is not known is noted."""
    process = current()
    if process is None:
        raise _noted(what)
    process.check()
    try:
        return ask(process.watcher.world)
    except Unknown as unknown:
        raise _noted(str(unknown) or what) from None


def _call(model, params, **_):
    service = model.service_model.service_name
    what = f"{service}:{model.name}"
    body = params.get("body") or b""

    def ask(world):
        if model.service_model.metadata.get("protocol") != "json":
            raise Unknown(what)
        return world.call(service, model.name, json.loads(body or b"{}"))

    try:
        parsed, status = _answer(what, ask), 200
    except Refused as refusal:
        code, message = refusal.args
        parsed, status = {"Error": {"Code": code, "Message": message}}, 400
    except TimeoutError as lost:
        raise ReadTimeoutError(endpoint_url=params["url"], error=lost) from None
    return types.SimpleNamespace(status_code=status), {**parsed, "ResponseMetadata": {"HTTPStatusCode": status}}


def _urlopen(url, data=None, *_, **__):
    request = url if isinstance(url, urllib.request.Request) else urllib.request.Request(url, data)
    body = request.data if data is None else data
    headers = {name.lower(): value for name, value in request.header_items()}
    method, address = request.get_method(), request.full_url
    what = f"{method} {address}"
    status, document = _answer(what, lambda world: world.request(method, urlsplit(address).path, headers, body))
    answer = io.BytesIO(json.dumps(document).encode())
    if status >= 400:
        raise HTTPError(address, status, str(document), email.message.Message(), answer)
    return addinfourl(answer, email.message.Message(), address, status)
