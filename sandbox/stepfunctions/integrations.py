"""The calls that Task states make, answered as the service integrations of Step Functions answer.

MiniStack does the work (`_invoke_resource`, `lambda_svc`); here are the parts in which its results and errors differ.
"""

import contextlib
import email.utils
import json

from ministack.core.responses import new_uuid
from ministack.services import stepfunctions as engine

from sandbox import topics
from sandbox.durable.functions import Refused

from . import roles, sdk
from .errors import StateError


def call(resource, arguments, role_arn):
    """The result of a task's resource (without `.waitForTaskToken`) for its arguments; raises StateError."""
    kind, _, service_and_operation = resource.removeprefix("arn:aws:states:::").partition(":")
    service, _, operation = service_and_operation.partition(":")
    if kind == "aws-sdk":
        return sdk.call(service.lower(), operation, arguments, role_arn)
    try:
        roles.require(role_arn, resource, arguments)
        if not resource.startswith("arn:aws:states:::"):
            return _lambda(engine._extract_lambda_ref(resource), arguments)[0]
        if resource == "arn:aws:states:::lambda:invoke":
            result = _lambda_invoke(arguments)
        elif resource == "arn:aws:states:::events:putEvents":
            result = _put_events(resource, arguments)
        elif resource == "arn:aws:states:::sns:publish":
            result = _publish(arguments)
        elif resource.startswith("arn:aws:states:::states:startExecution"):
            result = engine._invoke_nested_start_execution(resource, arguments)
        else:
            result = engine._invoke_resource(resource, arguments)
        return {**result, **_metadata()}
    except roles.Denied as denial:
        raise _denied(resource, str(denial)) from denial
    except engine._ExecutionError as problem:
        raise _as_aws(resource, problem) from problem


def _lambda_invoke(arguments):
    """`lambda:invoke`: the function's answer within that of Lambda's Invoke."""
    ref = engine._resolve_lambda_function_ref(arguments.get("FunctionName"), optimized=True)
    payload = arguments.get("Payload", {})
    if arguments.get("Qualifier") and ":" not in ref.split(":function:")[-1]:
        ref = f"{ref}:{arguments['Qualifier']}"
    if arguments.get("InvocationType") == "Event":
        record, version = _function(ref)
        from ministack.services import lambda_svc

        try:
            lambda_svc.invoke_async_with_retry(record, payload)
        except Refused as refused:
            raise engine._ExecutionError(f"Lambda.{refused.code}", refused.message) from refused
        return {"ExecutedVersion": version, "Payload": "", "StatusCode": 202}
    result, version = _lambda(ref, payload)
    return {"ExecutedVersion": version, "Payload": result, "StatusCode": 200}


def _put_events(resource, arguments):
    """`events:putEvents`: takes each Detail as JSON, and one entry that is refused fails the task."""
    entries = [
        {**entry, "Detail": json.dumps(entry["Detail"])} if isinstance(entry.get("Detail"), dict | list) else entry
        for entry in arguments.get("Entries", [])
    ]
    result = engine._invoke_resource(resource, {**arguments, "Entries": entries})
    if result.get("FailedEntryCount"):
        raise StateError("EventBridge.FailedEntry", json.dumps(result, separators=(",", ":")))
    return result


def _publish(arguments):
    """`sns:publish`: what is no text is published as its JSON text (recorded: services/test_sns_task_service)."""
    message = arguments.get("Message")
    text = message if isinstance(message, str) else json.dumps(message, separators=(",", ":"), ensure_ascii=False)
    unknown = arguments.keys() - {"TopicArn", "Message", "Subject", "MessageStructure", "MessageAttributes"}
    try:
        if unknown:
            raise topics.Refused("InvalidParameter", f"The sandbox's sns:publish has no {', '.join(sorted(unknown))}")
        identity = topics.publish(
            arguments.get("TopicArn", ""),
            text,
            arguments.get("Subject", ""),
            arguments.get("MessageStructure", ""),
            arguments.get("MessageAttributes"),
        )
    except topics.Refused as refused:
        details = f"Status Code: {refused.status}; Error Code: {refused.code}; Request ID: {new_uuid()}; Proxy: null"
        raise StateError(f"SNS.{refused.code}Exception", f"{refused} (Service: AmazonSNS; {details})") from refused
    return {"MessageId": identity}


def _lambda(ref, event):
    """What a function returns for an event, and which version it was."""
    from ministack.services import lambda_svc

    record, version = _function(ref)
    outcome = lambda_svc._execute_function_with_config_scope(record, event)
    if refused := outcome.get("refused"):
        raise engine._ExecutionError(f"Lambda.{refused.code}", refused.message)
    body = outcome.get("body")
    if outcome.get("throttle"):
        raise engine._ExecutionError("Lambda.TooManyRequestsException", "Rate Exceeded.")
    if outcome.get("error"):
        if not isinstance(body, dict):
            raise StateError("Lambda.Unknown", str(body))
        raise StateError(body.get("errorType") or "Lambda.Unknown", json.dumps(body, separators=(",", ":")))
    if isinstance(body, str | bytes):
        with contextlib.suppress(ValueError):
            body = json.loads(body)
    return body, version


def _function(ref):
    """A function's record as MiniStack executes it, and its version."""
    from ministack.services import lambda_svc

    function, config, name = lambda_svc._get_func_record_for_ref(ref)
    if not function or not config:
        arn = ref if str(ref).startswith("arn:") else lambda_svc._func_arn(name)
        raise engine._ExecutionError("Lambda.ResourceNotFoundException", f"Function not found: {arn}")
    return lambda_svc._execution_record_for_config(function, config), config.get("Version", "$LATEST")


def _metadata():
    """What the optimized integrations add to a result about the HTTP request behind it."""
    request = new_uuid()
    headers = {
        "Content-Type": "application/json",
        "Date": email.utils.formatdate(usegmt=True),
        "x-amzn-RequestId": request,
    }
    http = {"AllHttpHeaders": {key: [value] for key, value in headers.items()}, "HttpHeaders": headers}
    return {"SdkHttpMetadata": {**http, "HttpStatusCode": 200}, "SdkResponseMetadata": {"RequestId": request}}


def failed(resource, code, message, status):
    """The StateError of a call to which the service answers with this error. status: that of HTTP."""
    if code == "AccessDeniedException":
        return _denied(resource, message)
    return _as_aws(resource, engine._ExecutionError(f"{_prefix(resource)}.{code}", message), status)


def unanswered(resource):
    """The StateError of a call whose connection closed without an answer.

    Documented for Lambda: https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html; others are
    formed like it.
    """
    cause = "Unable to execute HTTP request: The target server failed to respond"
    return StateError(f"{_prefix(resource)}.SdkClientException", cause)


def _prefix(resource):
    """How the errors of the service begin that a task's resource stands for."""
    kind = resource.removeprefix("arn:aws:states:::")
    if not kind.startswith("aws-sdk:"):
        return "Lambda" if kind == resource else _PREFIXES.get(kind.split(":")[0], kind.split(":")[0])
    service = kind.split(":")[1].lower()
    if service in sdk.SERVICES:
        return sdk.SERVICES[service][1]
    return service.capitalize()


# How version 1 of AWS's SDK for Java names a service, and its exception for errors that it does not model.
_SDK_V1 = {
    "Lambda": ("AWSLambda", "AWSLambdaException"),
    "DynamoDB": ("AmazonDynamoDBv2", "AmazonDynamoDBException"),
    "SQS": ("AmazonSQS", "AmazonSQSException"),
    "SNS": ("AmazonSNS", "AmazonSNSException"),
    "StepFunctions": ("AWSStepFunctions", "AWSStepFunctionsException"),
    "EventBridge": ("AmazonEventBridge", "AmazonEventBridgeException"),
}
# https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
_STATUS = {"ResourceNotFoundException": 404, "TooManyRequestsException": 429}
_PREFIXES = {"lambda": "Lambda", "dynamodb": "DynamoDB", "sqs": "SQS", "sns": "SNS", "states": "StepFunctions",
             "events": "EventBridge"}  # fmt: skip


def _denied(resource, message):
    """The StateError of a permission that the execution role lacks."""
    prefix = _prefix(resource)
    if resource.startswith("arn:aws:states:::aws-sdk:"):
        cause = f"{message} (Service: {prefix}, Status Code: 400, Request ID: {new_uuid()})"
        return StateError(f"{prefix}.{prefix}Exception", cause)
    service, exception = _SDK_V1.get(prefix, (prefix, f"{prefix}Exception"))
    status = 403 if prefix in ("Lambda", "SQS", "SNS") else 400
    details = f"Status Code: {status}; Error Code: AccessDeniedException; Request ID: {new_uuid()}; Proxy: null"
    return StateError(f"{prefix}.{exception}", f"{message} (Service: {service}; {details})")


def _as_aws(resource, problem, status=None):
    """The StateError of a service's error, with its cause in the form of the SDK behind the integration.

    Optimized integrations speak through version 1 of AWS's SDK for Java, `aws-sdk` ones through version 2.
    status: that of HTTP, where it is known.
    """
    error, cause = problem.error, problem.cause
    if error.startswith("States."):
        return StateError(error, cause)
    prefix, _, code = error.partition(".")
    if resource.startswith("arn:aws:states:::aws-sdk:"):
        error = f"{prefix}.{sdk.exception(prefix, code, sdk.model(resource.split(':')[6].lower()))}"
        return StateError(error, f"{cause} (Service: {prefix}, Status Code: {status or 400}, Request ID: {new_uuid()})")
    service = _SDK_V1.get(prefix, (prefix,))[0]
    status = status or (_STATUS.get(code, 400) if prefix == "Lambda" else 400)
    details = f"Status Code: {status}; Error Code: {code}; Request ID: {new_uuid()}; Proxy: null"
    return StateError(error, f"{cause} (Service: {service}; {details})")
