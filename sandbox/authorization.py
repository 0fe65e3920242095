"""What a request needs to be allowed, beyond what MiniStack asks of those who sign with a role's keys.

AWS asks for more than one action on one resource. Who hands a role to a service needs iam:PassRole on it; who makes a
thing with tags needs the action that tags; some actions name two resources. Policies look at condition keys: the tags
of the resource, the permissions boundary of a role, the service that a role is passed to. All of it is here, and
nothing is allowed in silence: a request whose action is not known is refused, and so is a policy with something that
MiniStack's evaluator does not evaluate (sandbox/policies.py).

What the account's root asks for is always allowed, and can be recorded: /_sandbox/actions.

Sources: https://docs.aws.amazon.com/service-authorization/latest/reference/ (actions, resources, condition keys),
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html, and beside each table.
"""

import contextvars
import dataclasses
import fnmatch
import functools
import json
import re
from urllib.parse import quote, urlencode

from sandbox import delays, policies
from sandbox.faults import operations

UNKNOWN = "sandbox:UnknownAction"

# Services to which a role is passed by a member of these requests, whose name ends with "Role" or "RoleArn".
_PASSED_TO = {
    "lambda": "lambda.amazonaws.com",
    "states": "states.amazonaws.com",
    "events": "events.amazonaws.com",
    "scheduler": "scheduler.amazonaws.com",
    "dms": "dms.amazonaws.com",
    "logs": "logs.amazonaws.com",
}
_PASSING = re.compile(r"(Create|Update|Put|Modify|Test)\w+")
_ROLE = re.compile(r"arn:aws:iam::\d{12}:role/.+")

# What makes a thing, and the action that is needed, too, where it gets tags. Each service's page on tags says so, such
# as https://docs.aws.amazon.com/lambda/latest/dg/configuration-tags.html. For API Gateway:
# https://github.com/iann0036/iam-dataset/pull/39
_TAGS = {
    "apigateway:POST": "apigateway:PUT",
    "cloudwatch:PutMetricAlarm": "cloudwatch:TagResource",
    "dms:Create*": "dms:AddTagsToResource",
    "dynamodb:CreateTable": "dynamodb:TagResource",
    "events:CreateEventBus": "events:TagResource",
    "events:PutRule": "events:TagResource",
    "iam:CreatePolicy": "iam:TagPolicy",
    "iam:CreateRole": "iam:TagRole",
    "iam:CreateUser": "iam:TagUser",
    "lambda:CreateFunction": "lambda:TagResource",
    "logs:CreateLogGroup": "logs:TagResource",
    "s3:CreateBucket": "s3:TagResource",
    "scheduler:CreateScheduleGroup": "scheduler:TagResource",
    "sns:CreateTopic": "sns:TagResource",
    "sqs:CreateQueue": "sqs:TagQueue",
    "states:CreateStateMachine": "states:TagResource",
}

# Actions of IAM on a role that has, or would get, the permissions boundary of the key iam:PermissionsBoundary.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
_BOUNDED = {
    f"iam:{name}"
    for name in (
        "AttachRolePolicy", "DeleteRole", "DeleteRolePermissionsBoundary", "DeleteRolePolicy", "DetachRolePolicy",
        "PutRolePolicy", "UpdateAssumeRolePolicy",
    )
}  # fmt: skip
_CHANGES_ROLE = _BOUNDED | {"iam:CreateRole"}
_GIVES_BOUNDARY = {"iam:CreateRole", "iam:PutRolePermissionsBoundary"}

# https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
_NEVER_DENIED = {"sts:GetCallerIdentity"}

_request = contextvars.ContextVar("sandbox_request", default=None)
_denied = contextvars.ContextVar("sandbox_denied", default=None)
_recording = None  # {"actions": {action: {resource}}, "roles": {action: {resource}}} while what root does is recorded


@dataclasses.dataclass(frozen=True)
class Need:
    """An action on a resource, with values of condition keys, {name in small letters: value}."""

    action: str
    resource: str
    keys: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Request:
    """A request as MiniStack hands it on; its parameters are read when they are asked for."""

    service: str
    method: str
    path: str
    body: bytes
    query_params: dict
    region: str
    account: str

    @functools.cached_property
    def parameters(self):
        return _parameters(self.body, self.query_params)


def install():
    """Let MiniStack ask for all of it. Installed last, since others tell MiniStack actions and resources, too."""
    from ministack.core import iam_actions, iam_evaluator

    action_of, resource_of = iam_actions.extract_iam_action, iam_actions.extract_resource_arn
    response, enforce = iam_actions.access_denied_response, iam_evaluator.enforce

    def extract_iam_action(service, method, path, headers, body, query_params):
        return action_of(service, method, path, headers, body, query_params) or _by_the_models(
            service, method, path, headers, body, query_params
        )

    def extract_resource_arn(service, method, path, headers, body, query_params, region, account_id):
        if service == "iam":
            policies.put_over()
        request = Request(service, method, path, body, query_params, region, account_id)
        _request.set(request)
        arn = resource_of(service, method, path, headers, body, query_params, region, account_id)
        return _mended(request, arn)

    def enforce_all(access_key_id, iam_action, service, region, resource_arn="*", service_context=None):
        request = _request.get() if iam_action.partition(":")[0] != "execute-api" else None
        root = iam_evaluator.is_root_access_key(access_key_id)
        if iam_action == UNKNOWN or (root and _recording is None):
            needed = [Need(iam_action, resource_arn, service_context or {})]
        else:
            needed = needs(request, iam_action, resource_arn, service_context or {})
        for need in needed[:1] if root else needed:
            asked = need.action.partition(":")[0] if need.action != iam_action else service
            denied = enforce(access_key_id, need.action, asked, region, need.resource, need.keys)
            if not denied and need.action == UNKNOWN and not root:
                denied = iam_evaluator.EvalResult("ImplicitDeny", iam_evaluator.caller_arn())
            if denied:
                _denied.set(need)
                return denied
        if root and _recording is not None:
            _record(needed, request)
        _about_to_change(needed[0], request)
        return None

    def access_denied_response(service, action, principal_arn, request_id, **details):
        denied = _denied.get()
        if denied is not None and not details.get("error_code"):
            action, details["resource_arn"] = denied.action, denied.resource
        if action == UNKNOWN:
            details["message"] = (
                "The sandbox does not know which action of IAM this request needs: only the account's root may make it."
            )
        return response(service, action, principal_arn, request_id, **details)

    iam_actions.extract_iam_action = extract_iam_action
    iam_actions.extract_resource_arn = extract_resource_arn
    iam_actions.access_denied_response = access_denied_response
    iam_evaluator.enforce = enforce_all


def reset():
    """An emptied account: nothing is recorded."""
    record(False)


def _about_to_change(need, request):
    """What sandbox/delays.py must know before a request is done."""
    if need.action in _CHANGES_ROLE and request is not None:
        delays.role_changes(request.account, request.parameters.get("RoleName", ""))
    elif need.action in ("events:PutRule", "events:PutTargets"):
        delays.rule_changes(need.resource)


# -- the record -------------------------------------------------------------------------------------------------------


def record(wanted):
    """Begin to record what the account's root does, with an empty record; or end it, and forget. wanted: a bool."""
    global _recording
    _recording = {"actions": {}, "roles": {}} if wanted else None


def recorded():
    """{"actions": {action: [resource, ...]}, "roles": the same of what roles were given}, sorted. Raises ValueError."""
    if _recording is None:
        raise ValueError("Nothing is recorded. Begin with PUT /_sandbox/actions.")
    return {
        part: {action: sorted(resources) for action, resources in sorted(found.items())}
        for part, found in _recording.items()
    }


def _record(needed, request):
    for need in needed:
        if need.action in _NEVER_DENIED:
            continue
        what = need.resource if need.action != UNKNOWN else f"{request.service} {request.method} {request.path}"
        _recording["actions"].setdefault(need.action, set()).add(what)
    if needed[0].action == "iam:PutRolePolicy":
        for statement in _listed(json.loads(request.parameters["PolicyDocument"])["Statement"]):
            for action in _listed(statement["Action"]):
                _recording["roles"].setdefault(action, set()).update(_listed(statement["Resource"]))


# -- what a request needs ---------------------------------------------------------------------------------------------


def needs(request, action, resource, keys):
    """All that a request needs, a list of Needs, the action itself first.

    request: None where MiniStack knows only action and resource. keys: what MiniStack knows of it.
    """
    keys = {name.lower(): value for name, value in keys.items()}
    resources = [resource]
    if request is None:
        return [Need(action, resource, keys)]
    parameters = request.parameters
    keys = {**_given_tags(parameters), **keys}
    if action in ("dms:TestConnection", "dms:DeleteConnection", "dms:CreateReplicationTask"):
        named = ("EndpointArn", "SourceEndpointArn", "TargetEndpointArn", "ReplicationInstanceArn")
        resources = [parameters[name] for name in named if name in parameters] or resources
        if action == "dms:CreateReplicationTask":
            resources.append(resource)
    own = {**keys, **_about_roles(request, action), **_about_permissions(action, parameters)}
    needed = [Need(action, each, {**own, **_tags_of(each)}) for each in resources]
    needed += [
        Need("iam:PassRole", role, {"iam:passedtoservice": _PASSED_TO[request.service]})
        for role in sorted(_passed_roles(request, action))
    ]
    tags = next((tags for made, tags in _TAGS.items() if fnmatch.fnmatchcase(action, made)), None)
    if tags and keys.get("aws:tagkeys"):
        about = {name: value for name, value in keys.items() if name.startswith(("aws:requesttag/", "aws:tagkeys"))}
        where = f"arn:aws:apigateway:{request.region}::/tags/{quote(f'{resource}/', safe='')}*"
        needed.append(Need(tags, where if request.service == "apigateway" else resource, about))
    return needed


def _passed_roles(request, action):
    if request.service not in _PASSED_TO or not _PASSING.fullmatch(action.partition(":")[2]):
        return set()

    def found(value):
        if isinstance(value, dict):
            for name, each in value.items():
                if isinstance(each, str) and name.lower().endswith(("role", "rolearn")) and _ROLE.fullmatch(each):
                    yield each
                yield from found(each)
        elif isinstance(value, list):
            for each in value:
                yield from found(each)

    return set(found(request.parameters))


def _about_roles(request, action):
    from ministack.services import iam

    parameters = request.parameters
    keys = {}
    if action in _GIVES_BOUNDARY:
        keys["iam:permissionsboundary"] = parameters.get("PermissionsBoundary")
    elif action in _BOUNDED:
        role = iam._roles.get_scoped(request.account, None, parameters.get("RoleName", "")) or {}
        keys["iam:permissionsboundary"] = role.get("PermissionsBoundary")
    if action in ("iam:AttachRolePolicy", "iam:DetachRolePolicy"):
        keys["iam:policyarn"] = parameters.get("PolicyArn")
    return keys


def _about_permissions(action, parameters):
    """Keys of those who let others call a function: https://docs.aws.amazon.com/lambda/latest/dg/permissions.html"""
    if action == "lambda:AddPermission":
        return {
            "lambda:principal": parameters.get("Principal"),
            "lambda:functionurlauthtype": parameters.get("FunctionUrlAuthType"),
        }
    return {}


def _given_tags(parameters):
    """The tags of a request as condition keys, of those in JSON; MiniStack knows those of other requests."""
    tags = parameters.get("Tags") or parameters.get("tags")
    if isinstance(tags, list) and all(isinstance(tag, dict) for tag in tags):
        tags = {tag.get("Key", tag.get("key")): tag.get("Value", tag.get("value", "")) for tag in tags}
    if not isinstance(tags, dict) or not tags:
        return {}
    return {"aws:tagkeys": list(tags), **{f"aws:requesttag/{name}".lower(): value for name, value in tags.items()}}


def _tags_of(arn):
    """The tags of a resource as condition keys; those of an API for all that is in it."""
    from ministack.services import tagging

    kind = arn.split(":")[2] if arn.count(":") >= 5 else ""
    collect = tagging._COLLECTORS.get(kind) or tagging._RESOURCE_TAG_COLLECTORS.get(kind)
    for candidate, tags in collect() if collect else ():
        if arn == candidate or (kind == "apigateway" and arn.startswith(f"{candidate}/")):
            return {f"aws:resourcetag/{tag['Key']}".lower(): tag["Value"] for tag in tags}
    return {}


def _mended(request, arn):
    """The resource as AWS names it where MiniStack names another."""
    parameters = request.parameters
    if request.service == "events":
        name = parameters.get("Name") or parameters.get("Rule")
        if name and "Entries" not in parameters and "Statement" not in parameters:
            bus = str(parameters.get("EventBusName") or "default").rpartition("/")[2]
            on = "" if bus == "default" else f"{bus}/"
            return f"arn:aws:events:{request.region}:{request.account}:rule/{on}{name}"
        return parameters.get("ResourceARN") or arn
    if request.service == "monitoring":
        names = parameters.get("AlarmNames") or [parameters.get("AlarmName")]
        if isinstance(names, list) and names and isinstance(names[0], str):
            return f"arn:aws:cloudwatch:{request.region}:{request.account}:alarm:{names[0]}"
    if request.service == "lambda" and arn == "*" and "FunctionName" in parameters:
        return f"arn:aws:lambda:{request.region}:{request.account}:function:{parameters['FunctionName']}"
    if request.service == "states" and "resourceArn" in parameters:
        return parameters["resourceArn"]
    if request.service == "scheduler" and "/schedules/" in request.path:
        name, group = request.path.rpartition("/")[2], parameters.get("GroupName") or parameters.get("groupName")
        return f"arn:aws:scheduler:{request.region}:{request.account}:schedule/{group or 'default'}/{name}"
    return arn


def _parameters(body, query_params):
    """What a request was called with, a dict: from its body, as JSON or CBOR, and from its query or form."""
    parameters = {
        name: value[0] if isinstance(value, list) and value else value for name, value in (query_params or {}).items()
    }
    if body[:1] == b"{":
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = {}
        parameters |= found if isinstance(found, dict) else {}
    return parameters


def _by_the_models(service, method, path, headers, body, query_params):
    """The action of a request that MiniStack knows none for, by botocore's models; UNKNOWN where they have none."""
    operation = operations.Request(service, method, path, urlencode(query_params, doseq=True), headers, body).operation
    return UNKNOWN if operation.endswith("?") else operation


def _listed(value):
    return value if isinstance(value, list) else [value]
