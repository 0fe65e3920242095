"""How the vendor signs what it sends: with the secret that it shares with the customer since the sign-up."""

import hashlib
import hmac
import json
import time


def signed(body, secret, at=None):
    """The headers that go with a body (bytes), signed now or at a time in seconds since 1970; a dict.

    The signature is over the time and the body as it is sent, so that neither can be exchanged.
    """
    timestamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"X-Verirow-Timestamp": timestamp, "X-Verirow-Signature": f"v1={digest}"}


def as_sent(message):
    """A message as the bytes that are sent: UTF-8, indented, keys in the vendor's own order."""
    return json.dumps(message, indent=1, ensure_ascii=False).encode()
