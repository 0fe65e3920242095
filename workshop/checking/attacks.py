"""What comes to a callback URL, from strangers and from the vendor; and sending it.

ATTACKS: what must not get through. GENUINE: what must.
"""

import codecs
import dataclasses
import http.client
import json
import secrets
import time
import urllib.error
import urllib.request

from workshop import account
from workshop.checking.outcomes import NotYet
from workshop.checking.waiting import did_end, did_not_end, left, over

JSON = {"Content-Type": "application/json", "User-Agent": "curl/8"}
TIMESTAMP, SIGNATURE = "X-Verirow-Timestamp", "X-Verirow-Signature"
REPORT = {"rows": 3, "missing": {"city": 1}, "out_of_range": 0}
MOST_BYTES = 64 * 1024
BEHIND = "behind the callback URL"  # what the function there is called, since its name is the learner's
LONGEST_ANSWER = 30  # seconds: API Gateway itself ends a request after 29
STOPPED = 5  # seconds after which an answer 5xx is of a function that was stopped: one that fails does so at once
THROTTLED = 429
PAUSES = (1, 2, 4)  # seconds, before what was throttled is sent again
MANY_SECONDS = 330  # more than the 300 of the contract, whatever a clock is off


def report(vendor, url, report=REPORT):
    """A genuine message with a report, as bytes."""
    return vendor.message("check.completed", url, report=report)


def report_of(chance) -> dict:
    """A report that chance has made."""
    missing = {name: chance.randrange(1, 500) for name in chance.sample(["city", "state", "Zürich", "código"], 2)}
    return {"rows": chance.randrange(1, 10**6), "missing": missing, "out_of_range": chance.randrange(100)}


# Whoever takes "v1=" off a signature with lstrip takes off what follows, too, where that is a 1.
NOT_ONE = "023456789abcdef"


def _signed(change=None, *, late=0, size=0, fill="x", begin_with=b"", begins=NOT_ONE, secret=None, **options):
    """A report with the vendor's signature, `late` seconds old, of that size; `change` may change its (headers, body).

    fill: the letter that makes it so large. begin_with: bytes before the report. begins: one of these digits is the
    first of its signature. secret: another one to sign it with.
    """

    def forge(vendor, url, content):
        body = begin_with + report(vendor, url, report=content)
        if size:
            body = report(vendor, url, report={**content, "note": ""})
            letters, rest = divmod(size - len(body), len(fill.encode()))
            body = body.replace(b'"note": ""', b'"note": "' + fill.encode() * letters + b"x" * rest + b'"')
            assert len(body) == size
        signs = vendor if secret is None else dataclasses.replace(vendor, secret=secret(vendor))
        headers = signs.headers(body, at=time.time() - late, **options)
        if headers[SIGNATURE][len("v1=")] not in begins:  # another message has another one
            return forge(vendor, url, content)
        return change(headers, body) if change else (headers, body)

    return forge


def _with(**headers):
    """The change that puts these headers in place of the vendor's; None takes one away."""
    named = {f"X-Verirow-{name.title()}": value for name, value in headers.items()}

    def change(genuine, body):
        return {name: value for name, value in {**genuine, **named}.items() if value is not None}, body

    return change


def _moved(vendor, url, content):
    """A body has dots too: cut at one of them, a timestamp and a body are the same signed bytes as before."""
    body = json.dumps(json.loads(report(vendor, url, report=content))).encode()
    headers = vendor.headers(body)
    beginning, _, rest = body.partition(b".")
    return {**headers, TIMESTAMP: f"{headers[TIMESTAMP]}.{beginning.decode()}"}, rest


# What must not get through, by what is wrong with it: {words for it: a function of (vendor, url, report), which returns
# (headers, body)}; the url is the one that it is sent to. None: a GET in place of a POST.
ATTACKS = {
    "forged": {
        "A report without a signature": _signed(_with(timestamp=None, signature=None)),
        "A report with a signature and no timestamp": _signed(_with(timestamp=None)),
        "A report with an empty signature": _signed(_with(signature="")),
        'A report with the signature "v1="': _signed(_with(signature="v1=")),
        "A report with the first ten characters of its signature": _signed(
            lambda headers, body: _with(signature=headers[SIGNATURE][:13])(headers, body)
        ),
        "A report with all but the last character of its signature": _signed(
            lambda headers, body: _with(signature=headers[SIGNATURE][:-1])(headers, body)
        ),
        "A report with a signature of zeros": _signed(_with(signature="v1=" + "0" * 64)),
        "A report that was signed with another secret": _signed(secret=lambda vendor: secrets.token_urlsafe(32)),
        "A report that was signed with an empty secret": _signed(secret=lambda vendor: ""),
        "A report that was signed with your API key": _signed(secret=lambda vendor: vendor.key),
        "A report that was changed after it was signed": _signed(
            lambda headers, body: (headers, body.replace(b'"rows": ', b'"rows": 9'))
        ),
        "A report to which a blank was added": _signed(lambda headers, body: (headers, body + b" ")),
        "A report to which a byte was added that is no text": _signed(
            lambda headers, body: (headers, body.replace(b'"rows": ', b'"rows": \xff')),
            content_type="application/vnd.verirow+json",
        ),
        "A report that was cut short": _signed(lambda headers, body: (headers, body[:-20])),
    },
    "old": {
        "A genuine report, sent again after an hour (a replay)": _signed(late=3600),
        f"A genuine report, sent again after {MANY_SECONDS} seconds (a replay)": _signed(late=MANY_SECONDS),
        "An hour-old report under a new timestamp": _signed(
            lambda headers, body: _with(timestamp=str(int(time.time())))(headers, body), late=3600
        ),
        "A report from an hour in the future": _signed(late=-3600),
        f"A report from {MANY_SECONDS} seconds in the future": _signed(late=-MANY_SECONDS),
        "A report from the year 1970": _signed(late=time.time()),
    },
    "large": {
        "A report of 70,000 bytes, with a good signature": _signed(size=70_000),
        "A report of 70,000 bytes in some 35,000 letters, with a good signature": _signed(size=70_000, fill="ü"),
        "A report of 65,537 bytes, with a good signature": _signed(size=65_537),
        "A report of 65,537 bytes in base64, with a good signature": _signed(
            size=65_537, content_type="application/vnd.verirow+json"
        ),
        "Three megabytes of zeros": lambda vendor, url, content: (JSON, b"0" * 3 * 2**20),
    },
    "odd": {
        "A report with a timestamp that is no number": _signed(_with(timestamp="yesterday")),
        "A report whose beginning was moved into the timestamp, which leaves the signature good": _moved,
        "A report with letters in the signature that are not ASCII": _signed(_with(signature="v1=\xe9\xe8")),
        "A report with a timestamp that is not ASCII": _signed(_with(timestamp="\xb2")),
        "A report with a timestamp of 400 digits": _signed(_with(timestamp="9" * 400)),
        # Python's int() takes no more than 4,300 of them.
        "A report with a timestamp of 5,000 digits": _signed(_with(timestamp="9" * 5000)),
        "A report with the timestamp nan": _signed(_with(timestamp="nan")),
        "A report whose signature has more than one equals sign": _signed(_with(signature="v1=q83vASNFZ4k==")),
        "A report of another type of content, without a signature": _signed(
            lambda headers, body: ({"Content-Type": "application/octet-stream"}, body)
        ),
        "A request without a body": lambda vendor, url, content: (JSON, b""),
        "Bytes that are no text": lambda vendor, url, content: (
            {"Content-Type": "application/octet-stream"},
            b"\xff\xfe\x00",
        ),
        "A GET in place of a POST": None,
    },
}

# What must get through, likewise.
GENUINE = {
    "A report as Verirow sends it": _signed(),
    "A report whose signature begins with v1=1": _signed(begins="1"),
    "A report that API Gateway hands over in base64": _signed(content_type="application/vnd.verirow+json"),
    "A report that was signed four and a half minutes ago": _signed(late=270),
    "A report from a clock that is four and a half minutes ahead": _signed(late=-270),
    "A report of 65,536 bytes": _signed(size=65_536),
    "A report of 65,536 bytes that API Gateway hands over in base64": _signed(
        size=65_536, content_type="application/vnd.verirow+json"
    ),
    # As bytes it is JSON. Once it is text, Python refuses it for its first letter.
    "A report that begins with a byte order mark": _signed(begin_with=codecs.BOM_UTF8),
}


def send(url, headers, body, method="POST"):
    """The status of the answer to a request; None where none came within API Gateway's half a minute.

    On a real account an API answers 429 where much comes at once (workshop/http_apis.py), and no function has seen the
    request: it is sent again, as the vendor does it. Raises NotYet where there is nobody at that address.
    """
    for pause in PAUSES if account.is_real() else ():
        status = _send_once(url, headers, body, method)
        if status != THROTTLED:
            return status
        time.sleep(pause)
    return _send_once(url, headers, body, method)


def _send_once(url, headers, body, method):
    request = urllib.request.Request(url, body, headers, method=method)
    # Straight there, and nowhere else.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    began = time.monotonic()
    try:
        with opener.open(request, timeout=min(LONGEST_ANSWER, max(1, left()))) as answer:
            did_end(BEHIND)
            return answer.status
    except urllib.error.HTTPError as error:
        if error.code >= 500 and time.monotonic() - began >= STOPPED:
            did_not_end(BEHIND, time.monotonic() - began)
        else:
            did_end(BEHIND)
        return error.code
    except TimeoutError:
        did_not_end(BEHIND, time.monotonic() - began)
        if not left():
            raise over("the answer to a request to a callback URL") from None
        return None
    except (OSError, http.client.HTTPException, ValueError) as problem:
        raise NotYet(
            f"The callback URL that the vendor got, {url[:120]}, cannot be called: {problem}.",
            "It begins with CALLBACKS, the URL of your API.",
        ) from None


def is_success(status):
    return status is not None and 200 <= status < 300


def is_final(status):
    """Whether an answer says: never mind, do not send it again."""
    return status is not None and 400 <= status < 500 and status not in (408, 429)


FINAL = [status for status in range(400, 500) if is_final(status)]
WORTH_ANOTHER_TRY = [408, 429, *range(500, 600)]


def in_words(status):
    return f"got no answer within {LONGEST_ANSWER} seconds" if status is None else f"was answered with {status}"
