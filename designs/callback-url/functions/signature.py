"""Who is calling? What the vendor sends is signed, here as Verirow does it. Put that of your vendor in its place."""

import base64
import hmac
import os
import time

MOST_BYTES, MOST_SECONDS = 64 * 1024, 300


def signed_body(event):
    """The body as the vendor sent it, bytes; None for what it did not sign within the last five minutes."""
    secret, body = os.environ["VENDOR_SECRET"].encode(), event.get("body", "")
    timestamp = event["headers"].get("x-verirow-timestamp", "")
    signature = event["headers"].get("x-verirow-signature", "")
    body = base64.b64decode(body) if event["isBase64Encoded"] else body.encode()
    if len(body) > MOST_BYTES or not timestamp.isdecimal():
        return None
    expected = "v1=" + hmac.new(secret, timestamp.encode() + b"." + body, "sha256").hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        return None
    # From here on both are the vendor's, and int() cannot fail.
    return body if abs(time.time() - int(timestamp)) <= MOST_SECONDS else None
