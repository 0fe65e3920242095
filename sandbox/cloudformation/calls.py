"""The calls by which a stack's resources are made, and AWS's words where one fails."""

import contextlib
import contextvars
import functools
import os
import threading
import uuid

# The keys of whoever changes a stack, and in which account: what makes its resources inherits them.
_acting = contextvars.ContextVar("acting")
_account = 0  # how often the account has been emptied
_under_way = 0  # calls
_ended = threading.Condition()  # one of them; for both numbers
_making = threading.Lock()  # of clients, which boto3 cannot do in two threads at once

LONGEST = 10  # seconds that emptying waits for calls under way: one may stand at a gate

# Parts of the code of an error -> how CloudFormation's handlers call it, as far as it is known
# (https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-test-contract-errors.html).
_HANDLER_ERRORS = {
    "AccessDenied": "AccessDenied",
    "NotAuthorized": "AccessDenied",
    "AlreadyExists": "AlreadyExists",
    "ResourceInUse": "AlreadyExists",
    "Conflict": "AlreadyExists",
    "NotFound": "NotFound",
    "NoSuch": "NotFound",
    "NonExistent": "NotFound",
    "DoesNotExist": "NotFound",
    "Throttl": "Throttling",
    "Limit": "ServiceLimitExceeded",
    "Valid": "InvalidRequest",
    "Invalid": "InvalidRequest",
}


class Failed(Exception):
    """A resource could not be made, changed or deleted. code: as CloudFormation's handlers call it."""

    def __init__(self, message, code="GeneralServiceException"):
        super().__init__(
            f'Resource handler returned message: "{message}" (RequestToken: {uuid.uuid4()}, HandlerErrorCode: {code})'
        )
        self.code = code


def acts_for(headers, query_params):
    """Note whose request this is: what it sets off is done with the same keys."""
    from ministack.core import iam_evaluator
    from ministack.core.router import extract_access_key_id

    own = iam_evaluator.resolve_credential(extract_access_key_id(headers, query_params))
    if isinstance(own, iam_evaluator.ResolvedCredential):  # the request is refused otherwise
        _acting.set((_account, (own.access_key_id, own.secret_access_key, own.session_token)))


def forget():
    """The account is emptied: what makes resources of a stack that was in it makes no more, and has made its last."""
    global _account
    with _ended:
        _account += 1
        _ended.wait_for(lambda: not _under_way, LONGEST)


@contextlib.contextmanager
def _call_in(account):
    """A call for a stack of that account. Raises Failed where it was emptied."""
    global _under_way
    with _ended:
        if account != _account:
            raise Failed("The account was emptied.", "NotFound")
        _under_way += 1
    try:
        yield
    finally:
        with _ended:
            _under_way -= 1
            _ended.notify_all()


class Service:
    """A service, called with the keys of whoever changes the stack: `service.create_queue(QueueName=...)`.

    Values are turned into the types that the service wants: a template may say "60" for 60, as parameters do.
    """

    def __init__(self, name):
        from ministack.core.responses import get_region

        self._account, keys = _acting.get()
        with _making:
            self._client = _client(name, get_region(), *keys)

    def __getattr__(self, method):
        client, operation = self._client, self._client.meta.method_to_api_mapping[method]
        shape = client.meta.service_model.operation_model(operation).input_shape

        def call(**arguments):
            from botocore.exceptions import ClientError, ParamValidationError

            try:
                with _call_in(self._account):
                    return getattr(client, method)(**_typed(arguments, shape))
            except ParamValidationError as error:
                raise Failed(str(error), "InvalidRequest") from None
            except ClientError as error:
                raise _failed(error, client) from None

        return call

    def wait(self, waiter, **arguments):
        """Wait with one of boto3's waiters, at the pace of the sandbox."""
        self._client.get_waiter(waiter).wait(WaiterConfig={"Delay": 0.05, "MaxAttempts": 1200}, **arguments)


def _failed(error, client):
    """What CloudFormation says of an error of a service."""
    code, answer = error.response["Error"]["Code"], error.response["ResponseMetadata"]
    said = (
        f"{error.response['Error']['Message']} (Service: {client.meta.service_model.service_id}, Status Code: "
        f"{answer['HTTPStatusCode']}, Request ID: {answer.get('RequestId', uuid.uuid4())})"
    )
    return Failed(
        said, next((ours for part, ours in _HANDLER_ERRORS.items() if part in code), "GeneralServiceException")
    )


@functools.lru_cache(64)
def _client(name, region, key, secret, token):
    import boto3
    from botocore.config import Config

    # One attempt: the sandbox answers, or there is something to say. A function's code may take a while to be there.
    config = Config(retries={"total_max_attempts": 1}, inject_host_prefix=False, read_timeout=600)
    own = {"aws_access_key_id": key, "aws_secret_access_key": secret, "aws_session_token": token}
    return boto3.client(name, region_name=region, endpoint_url=os.environ["AWS_ENDPOINT_URL"], config=config, **own)


def _typed(value, shape):
    """A value in the types of a shape of botocore's."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        return {
            name: _typed(each, shape.members[name]) if name in shape.members else each for name, each in value.items()
        }
    if kind == "list" and isinstance(value, list):
        return [_typed(each, shape.member) for each in value]
    if kind == "map" and isinstance(value, dict):
        return {name: _typed(each, shape.value) for name, each in value.items()}
    if kind in ("integer", "long") and isinstance(value, str) and value.lstrip("-").isdigit():
        return int(value)
    if kind in ("float", "double") and isinstance(value, str):
        with_point = value.lstrip("-").replace(".", "", 1)
        return float(value) if with_point.isdigit() else value
    if kind == "boolean" and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if kind == "string" and isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value
