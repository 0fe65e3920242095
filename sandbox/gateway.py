"""The one door of the sandbox.

Everything that comes in passes here, and three kinds of visitor are turned away:

- web pages. A page that a learner has open in a browser can send requests to the loopback interface; it gives itself
  away by its `Origin`, by `Sec-Fetch-Site`, or by a `Host` that is not loopback (a name made to point here).
- those who sign with no key. Which keys there are, and that they signed what they sent, is MiniStack's to check, once
  `sandbox/keys.py` has told it that one key alone is the account's root.
- services that the workshop does not use. They are refused by name, so that nobody takes an emulation that we never
  looked at for AWS.

Unsigned requests may reach what AWS serves to anyone: the stages of an API, function URLs, and a function's code by the
URL that GetFunction tells.
"""

import hmac
import re
from urllib.parse import parse_qs

from sandbox import engine
from sandbox.control import respond
from sandbox.faults import door
from sandbox.functions import code_urls

# Names of services as requests are signed for them -> MiniStack's name.
SIGNED_AS = {name: name for name in (*engine.SERVICES, "dms")} | {"execute-api": "apigateway"}

_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", re.IGNORECASE)
_CREDENTIAL = re.compile(r"Credential=[^/,\s]*/[^/,\s]*/[^/,\s]*/([^/,\s]*)/aws4_request")
_PUBLIC_PATHS = ("/_aws/execute-api/", "/_aws/lambda-url/")


class Gateway:
    """An ASGI application in front of MiniStack's.

    state: holds the secret key that /_sandbox/ answers to. begin: called once, with the first request to a service.
    """

    def __init__(self, ministack, control, state, begin):
        self._ministack = ministack
        self._control = control
        self._begin = begin
        self._bearer = f"Bearer {state['secret_access_key']}"

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self._ministack(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = _from_a_web_page(headers)
        if refusal:
            await respond(send, 403, {"__type": "AccessDeniedException", "message": refusal})
        elif scope["path"].startswith("/_sandbox/"):
            if hmac.compare_digest(headers.get("authorization", "").encode(), self._bearer.encode()):
                await self._control.answer(scope, receive, send)
            else:
                await respond(send, 403, {"message": "/_sandbox/ answers only to the sandbox's own secret key."})
        else:
            service = _signed_for(headers.get("authorization", ""), scope["query_string"].decode("latin-1"))
            refusal = _not_to_be_served(service, scope["path"], scope["query_string"].decode("latin-1"))
            if refusal:
                await _refuse(send, headers, *refusal)
            else:
                self._control.request_seen()
                if self._begin:
                    begin, self._begin = self._begin, None
                    begin()
                await door.serve(self._ministack, scope, receive, send, headers, service)


def _not_to_be_served(service, path, query):
    """(status, error code, message) for a request that must not pass, None for one that may."""
    if service is None:
        if path.startswith(_PUBLIC_PATHS) or (path.startswith(code_urls.PATH) and code_urls.is_good(path, query)):
            return None
        return 403, "MissingAuthenticationToken", "The request is not signed with the sandbox's key."
    if service not in SIGNED_AS:
        served = ", ".join(sorted(set(SIGNED_AS) - {"execute-api"}))
        return 400, "ServiceNotInSandbox", f"The sandbox does not have the service '{service}'. It has {served}."
    return None


def _signed_for(authorization, query):
    """The service that a request says it is signed for, in its header or its query; None where it is not signed."""
    query = parse_qs(query)
    signed = _CREDENTIAL.search(authorization or f"Credential={query.get('X-Amz-Credential', [''])[0]}")
    if signed:
        return signed[1]
    # What boto3 presigns by default for S3 is of the older kind, which names no service.
    return "s3" if authorization.startswith("AWS ") or "AWSAccessKeyId" in query else None


def _from_a_web_page(headers):
    if "origin" in headers or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return "The sandbox does not answer web pages."
    if not _LOOPBACK.fullmatch(headers.get("host", "")):
        return "The sandbox answers only to its loopback address."
    return None


async def _refuse(send, headers, status, code, message):
    """An error in the shape that the caller's protocol can read: XML for S3 and the query services, else JSON."""
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    if "x-www-form-urlencoded" in headers.get("content-type", ""):
        body = f"<ErrorResponse>{error}</ErrorResponse>".encode()
    elif re.search(r"/(s3|route53|cloudfront)/aws4_request", headers.get("authorization", "")):
        body = error.encode()
    else:
        await respond(send, status, {"__type": code, "message": message}, [(b"x-amzn-errortype", code.encode())])
        return
    head = [(b"content-type", b"text/xml"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
