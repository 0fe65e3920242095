"""The vendor's API, here that of Verirow, which checks a table. Put that of your vendor in its place."""

import json
import os
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import Request, urlopen


class VendorUnavailable(Exception):
    """Worth another try."""


class VendorRefused(Exception):
    """No use in trying again."""


def order(table, callback_id, key):
    """Order a check of a table (its ARN); gives the check's ID. The same key orders nothing twice."""
    document = {"table": table, "callback_url": f"{os.environ['CALLBACKS']}/{callback_id}"}
    return _call("/v1/checks", json.dumps(document).encode(), {"Idempotency-Key": key})["check_id"]


def status(check_id):
    """{"status": ..., "report" or "error": ...}"""
    return _call(f"/v1/checks/{check_id}")


def _call(path, body=None, headers=()):
    usual = {"Authorization": f"Bearer {os.environ['VENDOR_KEY']}", "Content-Type": "application/json"}
    request = Request(os.environ["VENDOR_URL"] + path, body, {**usual, **dict(headers)})
    try:
        with urlopen(request, timeout=2) as answer:
            return json.load(answer)
    except HTTPError as error:
        again = error.code in (408, 429) or error.code >= 500
        raise (VendorUnavailable if again else VendorRefused)(f"The vendor answered {error.code}.") from None
    except (OSError, HTTPException, ValueError) as error:  # no connection, no answer in time, or half of one
        raise VendorUnavailable(f"The vendor does not answer: {error}") from None
