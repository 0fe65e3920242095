"""The two roles that DMS looks for by their names, one of each in an account.

An account that used DMS before has them, so they are in no template. They are looked for, made where they are missing,
and never deleted, since other migrations of the account need them, too.
https://docs.aws.amazon.com/dms/latest/userguide/security-iam.html#CHAP_Security.APIRole
"""

import json

from workshop import clients
from workshop.names import TAG, WORKSHOP
from workshop.real_account import AccountError

_POLICY = "arn:aws:iam::aws:policy/service-role/"
ROLES = {
    "dms-vpc-role": f"{_POLICY}AmazonDMSVPCManagementRole",
    "dms-cloudwatch-logs-role": f"{_POLICY}AmazonDMSCloudWatchLogsRole",
}
_SERVICE = "dms.amazonaws.com"
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": _SERVICE}, "Action": "sts:AssumeRole"}],
}


def missing() -> list[str]:
    """The names of those that are to be made. Changes nothing.

    Raises AccountError where one is there that does not do: it says what to run. Somebody else's role is not changed.
    """
    return [name for name, policy in ROLES.items() if not _is_fine(name, policy)]


def make(names: list[str]) -> None:
    """Make these roles, or give them what they lack; may be interrupted and called again."""
    iam = clients.of("iam")
    for name in names:
        try:
            tags = [{"Key": TAG, "Value": WORKSHOP}]
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST), Tags=tags)
        except iam.exceptions.EntityAlreadyExistsException:
            pass  # this was interrupted between the two calls
        iam.attach_role_policy(RoleName=name, PolicyArn=ROLES[name])


def _is_fine(name, policy):
    iam = clients.of("iam")
    try:
        role = iam.get_role(RoleName=name)["Role"]
    except iam.exceptions.NoSuchEntityException:
        return False
    if not any(map(_lets_dms_in, _listed(role["AssumeRolePolicyDocument"]["Statement"]))):
        raise AccountError(
            f"The role {name} exists, but DMS ({_SERVICE}) may not assume it. Whoever looks after it can mend that: "
            f"aws iam update-assume-role-policy --role-name {name} --policy-document '{json.dumps(_TRUST)}'. "
            "Nothing was done."
        )
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    if policy in [each["PolicyArn"] for each in attached]:
        return True
    if {"Key": TAG, "Value": WORKSHOP} in role.get("Tags", []):
        return False  # made here, and interrupted before it had its policy
    raise AccountError(
        f"The role {name} exists without the policy that DMS needs it to have. Whoever looks after it can attach it: "
        f"aws iam attach-role-policy --role-name {name} --policy-arn {policy}. Nothing was done."
    )


def _lets_dms_in(statement):
    principal = statement.get("Principal", {})
    services = _listed(principal.get("Service", [])) if isinstance(principal, dict) else []
    actions = {"sts:AssumeRole", "sts:*", "*"} & set(_listed(statement.get("Action", [])))
    return statement["Effect"] == "Allow" and _SERVICE in services and bool(actions)


def _listed(value):
    return value if isinstance(value, list) else [value]
