"""The execution role: each call of a task is made with it, so it must allow the call's action on its resource.

MiniStack checks the permissions of requests; the calls of Step Functions are made inside it and pass unchecked. Here
they are checked with its own evaluation of policies. What `.sync` needs besides its call (descriptions, a managed
rule) is not asked for.
"""

import json
import secrets
import string

from ministack.core import iam_actions, iam_evaluator
from ministack.services import stepfunctions as engine

# S3 operations whose action has another name
# (docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html).
_S3_ACTIONS = {
    "ListObjects": "ListBucket", "ListObjectsV2": "ListBucket", "HeadBucket": "ListBucket", "HeadObject": "GetObject",
    "CopyObject": "PutObject", "DeleteObjects": "DeleteObject", "ListBuckets": "ListAllMyBuckets",
}  # fmt: skip


class Denied(Exception):
    """The role does not allow a call; the message names role, action and resource as AWS's does."""


def require_trust(role_arn):
    """Raise Denied unless the role's trust policy lets Step Functions assume it."""
    from ministack.services import iam

    role = iam._roles.get(role_arn.rsplit("/", 1)[-1])
    document = role["AssumeRolePolicyDocument"] if role else "{}"
    document = json.loads(document) if isinstance(document, str) else document
    statements = document.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", {})
        services = principal.get("Service", []) if isinstance(principal, dict) else principal
        services = [services] if isinstance(services, str) else services
        if statement.get("Effect") == "Allow" and {"states.amazonaws.com", "*"} & set(services):
            return
    raise Denied(
        "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume "
        "the provided role."
    )


def require(role_arn, resource, arguments):
    """Raise Denied unless the role, or the policy of what is called, allows a task's call.

    resource: of the task, without `.waitForTaskToken`. arguments: what the call is made with.
    """
    account, region = engine.get_account_id(), engine.get_region()
    name = role_arn.rsplit("/", 1)[-1]
    session = "".join(secrets.choice(string.ascii_letters) for _ in range(32))
    caller = f"arn:aws:sts::{account}:assumed-role/{name}/{session}"
    policies = iam_evaluator._gather_role_policies(name, account)
    for service, action, arn in _needed(resource, arguments, region, account):
        context = iam_evaluator.EvalContext(caller, "AssumedRole", account, action, arn, region)
        found = iam_evaluator.evaluate(context, policies)
        if own := iam_evaluator._resource_policy(service, arn):
            found = iam_evaluator.combine_resource_policy(found, context, *own)
        if found.decision != "Allow":
            explicit = found.decision == "Deny"
            raise Denied(iam_actions.identity_denial_message(action, caller, arn, explicit))


def _needed(resource, arguments, region, account):
    """What a call needs: service, action and the ARN of its resource, for each of its resources."""
    if not resource.startswith("arn:aws:states:::"):
        return [("lambda", "lambda:InvokeFunction", resource)]
    service, _, operation = resource.removeprefix("arn:aws:states:::").removeprefix("aws-sdk:").partition(":")
    service = {"sfn": "states", "eventbridge": "events", "cloudwatchlogs": "logs", "databasemigration": "dms"}.get(
        service.lower(), service.lower()
    )
    operation = operation.split(".")[0]
    operation = operation[:1].upper() + operation[1:]
    if service == "lambda" and operation == "Invoke":
        return [("lambda", "lambda:InvokeFunction", _function_arn(arguments, region, account))]
    if service == "s3":
        where = "/".join(str(arguments[part]) for part in ("Bucket", "Key") if part in arguments)
        return [("s3", f"s3:{_S3_ACTIONS.get(operation, operation)}", f"arn:aws:s3:::{where}" if where else "*")]
    if service == "sqs" and "QueueUrl" in arguments:
        queue = str(arguments["QueueUrl"]).rsplit("/", 1)[-1]
        return [("sqs", f"sqs:{operation}", f"arn:aws:sqs:{region}:{account}:{queue}")]
    if service == "sns" and "TopicArn" in arguments:
        return [("sns", f"sns:{operation}", arguments["TopicArn"])]
    action, body = f"{service}:{operation}", json.dumps(_as_sent(service, arguments)).encode()
    if service == "events" and operation == "PutEvents":
        return [(service, action, arn) for arn in iam_actions.eventbridge_resource_arns(body, region, account)]
    headers = {"x-amz-target": f"Service.{operation}"}
    arn = iam_actions.extract_resource_arn(service, "POST", "/", headers, body, {}, region, account)
    return [(service, action, arn)]


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
