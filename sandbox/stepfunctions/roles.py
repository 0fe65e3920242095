"""The execution role: each call of a task is made with it, so it must allow the call's action on its resource.

MiniStack checks the permissions of requests; most calls of Step Functions are made inside it and pass unchecked, so
they are checked here. (Those of `sdk.py` come in by the door, which checks them.) What `.sync` needs besides its call
(descriptions, a managed rule) is not asked for.
"""

import json
import secrets
import string

from ministack.core import iam_actions
from ministack.services import stepfunctions as engine

from sandbox import permissions


class Denied(Exception):
    """The role does not allow a call; the message names role, action and resource as AWS's does."""


def require_trust(role_arn):
    """Raise Denied unless the role's trust policy lets Step Functions assume it."""
    if not permissions.trusts(role_arn, "states.amazonaws.com"):
        raise Denied(
            "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume "
            "the provided role."
        )


def require(role_arn, resource, arguments):
    """Raise Denied unless the role, or the policy of what is called, allows a task's call.

    resource: of the task, without `.waitForTaskToken`. arguments: what the call is made with.
    """
    require_actions(role_arn, _needed(resource, arguments, engine.get_region(), engine.get_account_id()))


def require_actions(role_arn, needed):
    """Raise Denied unless the role may do all that is needed: pairs of an action and an ARN."""
    session = "".join(secrets.choice(string.ascii_letters) for _ in range(32))
    for action, arn in needed:
        if denial := permissions.role_denial(role_arn, session, action, arn):
            raise Denied(denial)


def called(resource):
    """(service, operation) that a task's resource stands for, as IAM and the API name them: ("dynamodb", "PutItem")."""
    if not resource.startswith("arn:aws:states:::"):
        return "lambda", "Invoke"
    service, _, operation = resource.removeprefix("arn:aws:states:::").removeprefix("aws-sdk:").partition(":")
    service = {"sfn": "states", "eventbridge": "events", "cloudwatchlogs": "logs", "databasemigration": "dms"}.get(
        service.lower(), service.lower()
    )
    operation = operation.split(".")[0]
    return service, operation[:1].upper() + operation[1:]


def _needed(resource, arguments, region, account):
    """What a call needs: action and ARN, for each of its resources."""
    if not resource.startswith("arn:aws:states:::"):
        return [("lambda:InvokeFunction", resource)]
    service, operation = called(resource)
    if service == "lambda" and operation == "Invoke":
        return [("lambda:InvokeFunction", _function_arn(arguments, region, account))]
    if service == "sqs" and "QueueUrl" in arguments:
        queue = str(arguments["QueueUrl"]).rsplit("/", 1)[-1]
        return [(f"sqs:{operation}", f"arn:aws:sqs:{region}:{account}:{queue}")]
    if service == "sns" and "TopicArn" in arguments:
        return [(f"sns:{operation}", arguments["TopicArn"])]
    action, body = f"{service}:{operation}", json.dumps(_as_sent(service, arguments)).encode()
    if service == "events" and operation == "PutEvents":
        return [(action, arn) for arn in iam_actions.eventbridge_resource_arns(body, region, account)]
    headers = {"x-amz-target": f"Service.{operation}"}
    arn = iam_actions.extract_resource_arn(service, "POST", "/", headers, body, {}, region, account)
    return [(action, arn)]


def _function_arn(arguments, region, account):
    name = str(arguments.get("FunctionName", ""))
    if not name.startswith("arn:"):
        name = f"arn:aws:lambda:{region}:{account}:function:{name.split(':function:')[-1]}"
    qualifier = arguments.get("Qualifier")
    return f"{name}:{qualifier}" if qualifier else name


def _as_sent(service, arguments):
    """Arguments as the service's requests spell them: Step Functions' own begin with a small letter."""
    if service == "states" and isinstance(arguments, dict):
        return {key[:1].lower() + key[1:]: value for key, value in arguments.items()}
    return arguments
