"""Where a function's code can be downloaded: what GetFunction says as Code.Location.

On AWS that is a presigned URL of S3, good for ten minutes, which needs no key beside it
(https://docs.aws.amazon.com/lambda/latest/api/API_FunctionCodeLocation.html). MiniStack's looks like one, and opens to
anyone; here it carries a signature of ours.
"""

import hmac
import secrets
import time
from urllib.parse import parse_qs, urlencode, urlsplit

PATH = "/_ministack/lambda-code/"
SECONDS = 600

_key = secrets.token_bytes()


def put_over(engine):
    made = engine._presigned_code_url

    def presigned(name):
        url, until = urlsplit(made(name)), int(time.time()) + SECONDS
        return url._replace(query=urlencode({"until": until, "signature": _signature(url.path, until)})).geturl()

    engine._presigned_code_url = presigned


def is_good(path, query):
    """Whether a request for such a path, with this query as text, has a signature of ours that is not too old."""
    asked = {name: values[-1] for name, values in parse_qs(query).items()}
    until = asked.get("until", "")
    if not until.isascii() or not until.isdigit() or int(until) < time.time():
        return False
    return hmac.compare_digest(asked.get("signature", "").encode(), _signature(path, until).encode())


def _signature(path, until):
    return hmac.new(_key, f"{path} {until}".encode(), "sha256").hexdigest()
