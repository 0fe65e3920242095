"""The boto3 clients of the workshop's own code: one a service, made when it is first needed and then shared.

To make a client takes milliseconds and a connection, and a boto3 session makes only one at a time; what is made can be
used by many threads (https://docs.aws.amazon.com/boto3/latest/guide/clients.html#multithreading-or-multiprocessing-with-clients).
boto3 itself is loaded with the first client, so that what needs none starts quickly.
"""

import functools
import math
import os
import threading

CONNECTIONS = 50  # that one client keeps: checks run many cases side by side
LONGEST_ANSWER = 900  # seconds: no function runs for longer
STEP = 5  # seconds by which patiences differ that have clients of their own

_making = threading.Lock()


def of(service, patience=None):
    """The client of a service ("stepfunctions") for the account that this process talks to now.

    patience: seconds after which it gives an answer up, or up to STEP less, and raises botocore's ReadTimeoutError; it
        calls once then, and not again. By default it does as boto3 does.
    """
    if patience is None:
        with _making:
            return _client(service, _account())
    seconds = max(1, math.floor(min(patience, LONGEST_ANSWER)))
    if seconds > STEP:  # a few clients for all patiences
        seconds -= seconds % STEP
    with _making:
        return _impatient_client(service, _account(), seconds)


def table(name):
    """The DynamoDB table of that name, as boto3's resource."""
    with _making:
        dynamodb = _dynamodb(_account())
        return _table_class(dynamodb)(name, client=dynamodb.meta.client)


def account_id():
    """The twelve digits of that account."""
    client = of("sts")
    with _making:
        return _account_id(client)


def region():
    """The Region that clients call, as "us-east-1"."""
    return of("sts").meta.region_name


def _account():
    """What decides which account a new client would talk to."""
    return tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))


@functools.lru_cache(1)
def _session(account):
    import boto3

    return boto3.Session()


@functools.lru_cache(32)
def _client(service, account):
    client = _session(account).client(service, config=_config())
    # Made at its first use, which two threads may have at once: each would then catch other classes than are raised.
    _ = client.exceptions
    return client


@functools.lru_cache(8)
def _impatient_client(service, account, seconds):
    return _session(account).client(service, config=_config(read_timeout=seconds, retries={"total_max_attempts": 1}))


@functools.lru_cache(1)
def _dynamodb(account):
    return _session(account).resource("dynamodb", config=_config())


@functools.lru_cache(1)
def _table_class(dynamodb):
    """What dynamodb.Table makes an object of. It makes the class anew each time, which takes longer than a call."""
    return type(dynamodb.Table("any"))


@functools.lru_cache(4)
def _account_id(sts):
    return sts.get_caller_identity()["Account"]


def _config(**more):
    from botocore.config import Config

    return Config(max_pool_connections=CONNECTIONS, **more)
