"""Permissions, where a service of AWS acts in the account: with a role, or because a resource's own policy lets it.

MiniStack checks requests. What it does inside itself (a rule invokes a function, a function's runtime writes a log) it
does unchecked; those who do such a thing here ask this module first. It evaluates policies with MiniStack's evaluator.
"""

import contextvars
import json
from urllib.parse import unquote

from sandbox import delays

# Whether it was the last evaluation's permissions boundary that denied what the role's own policies allow.
_limited = contextvars.ContextVar("sandbox_limited", default=False)

# Services whose answer to a denied request names no resource in MiniStack, and does on AWS.
_RESOURCE_NAMED = {
    "dynamodb",
    "states",
    "lambda",
    "events",
    "sqs",
    "sns",
    "scheduler",
    "s3",
    "apigateway",
    "iam",
    "monitoring",
}


def install():
    """Let the message of every denied request name the resource and the kind of policy, so that it says what to do."""
    from ministack.core import iam_actions, iam_evaluator

    response, message, evaluate = (
        iam_actions.access_denied_response, iam_actions.identity_denial_message, iam_evaluator.evaluate
    )  # fmt: skip

    def access_denied_response(service, action, principal_arn, request_id, **details):
        resource = unquote(details.get("resource_arn", "*"))
        plain = not details.get("message") and not details.get("error_code") and not details.get("resource_policy_arn")
        if plain and service in _RESOURCE_NAMED and resource != "*":
            resource = f'"{resource}"' if service == "s3" else resource
            explicit = details.get("explicit_deny", False)
            details["message"] = iam_actions.identity_denial_message(action, principal_arn, resource, explicit)
        return response(service, action, principal_arn, request_id, **details)

    def policies_as_felt(role_name, account_id):
        role = delays.role(account_id, role_name) or {}
        attached = (
            iam_evaluator._resolve_managed_policy_document(arn, account_id) for arn in role.get("AttachedPolicies", [])
        )
        documents = [*(role.get("InlinePolicies") or {}).values(), *attached]
        return [iam_evaluator.parse_policy_document(document) for document in documents if document]

    def evaluate_and_note(context, policies, *limits):
        result = evaluate(context, policies, *limits)
        _limited.set(bool(limits) and result.decision != evaluate(context, policies).decision)
        return result

    def identity_denial_message(action, principal_arn, resource, explicit_deny):
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
        said = message(action, principal_arn, resource, explicit_deny)
        if not _limited.get():
            return said
        return said.replace("an identity-based policy", "a permissions boundary").replace(
            "no identity-based policy", "no permissions boundary"
        )

    iam_actions.access_denied_response = access_denied_response
    iam_actions.identity_denial_message = identity_denial_message
    iam_evaluator.evaluate = evaluate_and_note
    iam_evaluator._gather_role_policies = policies_as_felt


def reset():
    """An emptied account is as quick as any."""
    delays.reset()


def role_denial(role_arn, session, action, resource):
    """Why a role may not do something: None if it may, else AWS's sentence with role, action and resource.

    session: the name of the session with which the role acts. What the resource's own policy allows counts too.
    """
    from ministack.core import iam_actions, iam_evaluator
    from ministack.core.responses import get_region
    from ministack.services import iam

    account, name = role_arn.split(":")[4], role_arn.rpartition("/")[2]
    principal = f"arn:aws:sts::{account}:assumed-role/{name}/{session}"
    context = iam_evaluator.EvalContext(principal, "AssumedRole", account, action, resource, get_region())
    limits = iam_evaluator._permissions_boundary(iam._roles, name, account)
    result = iam_evaluator.evaluate(context, iam_evaluator._gather_role_policies(name, account), *limits)
    own_policy = iam_evaluator._resource_policy(action.partition(":")[0], resource)
    if own_policy is not None:
        result = iam_evaluator.combine_resource_policy(result, context, *own_policy, limits=limits)
    if result.decision == "Allow":
        return None
    return iam_actions.identity_denial_message(action, principal, resource, result.decision == "Deny")


def trusts(role_arn, service):
    """Whether a role exists and lets a service, such as "events.amazonaws.com", assume it."""
    from ministack.core import iam_evaluator

    *_, account, resource = role_arn.split(":") if role_arn.count(":") == 5 else ("", "")
    role = delays.role(account, resource.rpartition("/")[2])
    if role is None or role["Arn"] != role_arn:
        return False
    trust = role.get("AssumeRolePolicyDocument") or {}
    statements = (json.loads(trust) if isinstance(trust, str) else trust).get("Statement", [])
    verdicts = {
        statement.get("Effect")
        for statement in ([statements] if isinstance(statements, dict) else statements)
        if iam_evaluator._service_principal_matches(statement.get("Principal"), service)
    }
    return verdicts == {"Allow"}


def service_denial(service, action, resource, source_arn):
    """Why a resource's own policy does not let a service act on it for `source_arn` (a rule, an API); None if it does.

    service: such as "events.amazonaws.com".
    """
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id, get_region

    account = get_account_id()
    keys = {"aws:sourcearn": source_arn, "aws:sourceaccount": account}
    context = iam_evaluator.EvalContext(service, "Service", "", action, resource, get_region(), service_context=keys)
    policy = (iam_evaluator._resource_policy(action.partition(":")[0], resource) or ("", account))[0]
    decision = iam_evaluator.evaluate_resource_policy(policy, context, service=service).decision
    if decision == "Allow":
        return None
    reason = (
        "with an explicit deny in a resource-based policy"
        if decision == "Deny"
        else f"because no resource-based policy allows the {action} action"
    )
    return f"User: {service} is not authorized to perform: {action} on resource: {resource} {reason}"


def public_denial(action, resource, keys):
    """Why a resource's own policy does not let just anybody do something; None if it does.

    keys: condition keys of the request, a dict.
    """
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id, get_region

    keys = {name.lower(): value for name, value in keys.items()}
    context = iam_evaluator.EvalContext("*", "Anonymous", "", action, resource, get_region(), service_context=keys)
    policy = (iam_evaluator._resource_policy(action.partition(":")[0], resource) or ("", get_account_id()))[0]
    decision = iam_evaluator.evaluate_resource_policy(policy, context).decision
    return None if decision == "Allow" else f"no resource-based policy lets anybody perform {action} on {resource}"
