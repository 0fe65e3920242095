"""What comes to a callback URL, from strangers and from the vendor; and sending it.

FORGED: what must not get through, GENUINE: what must. Each is {words for it: a function of (vendor, url), which gives
(headers, body)}; the url is the one that it is sent to.
"""

import http.client
import json
import secrets
import time
import urllib.error
import urllib.request

from workshop.checking.outcomes import NotYet

JSON = {"Content-Type": "application/json", "User-Agent": "curl/8"}
TIMESTAMP, SIGNATURE = "X-Verirow-Timestamp", "X-Verirow-Signature"
REPORT = {"rows": 3, "missing": {"city": 1}, "out_of_range": 0}
MOST_BYTES = 64 * 1024
MANY_SECONDS = 330  # more than the 300 of the contract, whatever a clock is off


def report(vendor, url, size=0, report=REPORT):
    """A genuine message with a report, as bytes; of about that size, where one is said."""
    more = {"note": "x" * (size - 500)} if size else {}
    return vendor.message("check.completed", url, report=report, **more)


def _signed(change=None, *, late=0, size=0, **options):
    """A report with the vendor's signature, `late` seconds old; `change` may change its (headers, body)."""

    def forge(vendor, url):
        body = report(vendor, url, size)
        headers = vendor.headers(body, at=time.time() - late, **options)
        return change(headers, body) if change else (headers, body)

    return forge


def _with(**headers):
    """The change that puts these headers in place of the vendor's; None takes one away."""
    named = {f"X-Verirow-{name.title()}": value for name, value in headers.items()}

    def change(genuine, body):
        return {name: value for name, value in {**genuine, **named}.items() if value is not None}, body

    return change


def _moved(vendor, url):
    """A body has dots too: cut at one of them, a timestamp and a body are the same signed bytes as before."""
    body = json.dumps(json.loads(report(vendor, url))).encode()
    headers = vendor.headers(body)
    beginning, _, rest = body.partition(b".")
    return {**headers, TIMESTAMP: f"{headers[TIMESTAMP]}.{beginning.decode()}"}, rest


FORGED = {
    "A report without a signature": _signed(_with(timestamp=None, signature=None)),
    "A report with a signature and no timestamp": _signed(_with(timestamp=None)),
    "A report with an empty signature": _signed(_with(signature="")),
    'A report with the signature "v1="': _signed(_with(signature="v1=")),
    "A report with the first ten characters of its signature": _signed(
        lambda headers, body: _with(signature=headers[SIGNATURE][:13])(headers, body)
    ),
    "A report with a signature of zeros": _signed(_with(signature="v1=" + "0" * 64)),
    "A report that was signed with another secret": _signed(
        lambda headers, body: _with(signature="v1=" + secrets.token_hex(32))(headers, body)
    ),
    "A report that was changed after it was signed": _signed(
        lambda headers, body: (headers, body.replace(b'"rows": 3', b'"rows": 9'))
    ),
    "A report that was cut short": _signed(lambda headers, body: (headers, body[:-20])),
    "A genuine report, sent again after an hour (a replay)": _signed(late=3600),
    f"A genuine report, sent again after {MANY_SECONDS} seconds (a replay)": _signed(late=MANY_SECONDS),
    "An hour-old report under a new timestamp": _signed(
        lambda headers, body: _with(timestamp=str(int(time.time())))(headers, body), late=3600
    ),
    "A report from an hour in the future": _signed(late=-3600),
    f"A report from {MANY_SECONDS} seconds in the future": _signed(late=-MANY_SECONDS),
    "A report with a timestamp that is no number": _signed(_with(timestamp="yesterday")),
    "A report whose beginning was moved into the timestamp, which leaves the signature good": _moved,
    "A report with letters in the signature that are not ASCII": _signed(_with(signature="v1=\xe9\xe8")),
    "A report with a timestamp that is not ASCII": _signed(_with(timestamp="\xb2")),
    "A report of another type of content, without a signature": _signed(
        lambda headers, body: ({"Content-Type": "application/octet-stream"}, body)
    ),
    "A request without a body": lambda vendor, url: (JSON, b""),
    "Bytes that are no text": lambda vendor, url: ({"Content-Type": "application/octet-stream"}, b"\xff\xfe\x00"),
    "A report of 70,000 bytes, with a good signature": _signed(size=70_000),
    "Three megabytes of zeros": lambda vendor, url: (JSON, b"0" * 3 * 2**20),
}

GENUINE = {
    "A report as Verirow sends it": _signed(),
    "A report that API Gateway hands over in base64": _signed(content_type="application/vnd.verirow+json"),
    "A report that was signed four minutes ago": _signed(late=240),
    "A report from a clock that is four minutes ahead": _signed(late=-240),
    "A report of 60,000 bytes": _signed(size=60_000),
}


def send(url, headers, body, method="POST"):
    """The status of the answer to a request; None where none came within ten seconds.

    Raises NotYet where there is nobody at that address.
    """
    request = urllib.request.Request(url, body, headers, method=method)
    # Straight there, and nowhere else.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except TimeoutError:
        return None
    except (OSError, http.client.HTTPException, ValueError) as problem:
        raise NotYet(
            f"The callback URL that the vendor got, {url[:120]}, cannot be called: {problem}.",
            "A URL of your API, as CALLBACKS begins it.",
        ) from None


def is_success(status):
    return status is not None and 200 <= status < 300


def is_final(status):
    """Whether an answer says: never mind, do not send it again."""
    return status is not None and 400 <= status < 500 and status not in (408, 429)


def in_words(status):
    return "got no answer within ten seconds" if status is None else f"was answered with {status}"
