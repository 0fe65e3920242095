"""What DMS does in the account with an endpoint's role: read from S3, write to DynamoDB.

Every call is checked against the role's policies first, as AWS does when DMS assumes the role. MiniStack's own S3 and
DynamoDB then do the work, in this process. Refusals name the action and the resource (`AccessDenied`).
"""

import json
import xml.etree.ElementTree as ET

from sandbox import delays

SESSION = "dms-session-for-replication-engine"  # the session name that AWS DMS uses


class AccessDenied(Exception):
    """The role may not do this; the message names principal, action and resource."""


class Refused(Exception):
    """S3 or DynamoDB answered with an error. `code`: the service's error code."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code


class Role:
    """The service access role of an endpoint, by its ARN."""

    def __init__(self, arn, region):
        self.arn = arn
        self.account = arn.split(":")[4] if arn.count(":") >= 5 else ""
        self.name = arn.rpartition("/")[2]
        self.region = region

    def can_be_assumed(self):
        """Whether the role exists and trusts dms.amazonaws.com."""
        from ministack.core import iam_evaluator

        role = delays.role(self.account, self.name)
        if role is None or role.get("Arn") != self.arn:
            return False
        trust = role.get("AssumeRolePolicyDocument") or {}
        statements = (json.loads(trust) if isinstance(trust, str) else trust).get("Statement", [])
        verdicts = {
            statement.get("Effect")
            for statement in ([statements] if isinstance(statements, dict) else statements)
            if "sts:AssumeRole" in _listed(statement.get("Action"))
            and iam_evaluator._service_principal_matches(statement.get("Principal"), "dms.amazonaws.com")
        }
        return verdicts == {"Allow"}

    def require(self, action, resource, **keys):
        """Raise AccessDenied unless the role's policies (and a bucket's own policy) allow the action.

        keys: values of condition keys of the service, such as {"s3:prefix": "data/"}.
        """
        from ministack.core import iam_actions, iam_evaluator
        from ministack.services import iam

        principal = f"arn:aws:sts::{self.account}:assumed-role/{self.name}/{SESSION}"
        context = iam_evaluator.EvalContext(
            principal, "AssumedRole", self.account, action, resource, self.region, service_context=keys
        )
        limits = iam_evaluator._permissions_boundary(iam._roles, self.name, self.account)
        policies = iam_evaluator._gather_role_policies(self.name, self.account)
        result = iam_evaluator.evaluate(context, policies, *limits)
        own_policy = iam_evaluator._resource_policy(action.split(":")[0], resource)
        if own_policy is not None:
            result = iam_evaluator.combine_resource_policy(result, context, *own_policy, limits=limits)
        if result.decision != "Allow":
            denied = result.decision == "Deny"
            raise AccessDenied(iam_actions.identity_denial_message(action, principal, resource, denied))


def _listed(value):
    return value if isinstance(value, list) else [value]


class Bucket:
    """A bucket, read with a role."""

    def __init__(self, name, role):
        self.name = name
        self._role = role

    async def files(self, prefix):
        """[(key, size in bytes)] of the objects whose keys begin with `prefix`, in the order of their keys."""
        self._role.require("s3:ListBucket", f"arn:aws:s3:::{self.name}", **{"s3:prefix": prefix})
        found, token = [], None
        while True:
            query = {"list-type": ["2"], "prefix": [prefix]} | ({"continuation-token": [token]} if token else {})
            page = ET.fromstring(await self._get("", query))
            found += [
                (entry.findtext("{*}Key"), int(entry.findtext("{*}Size"))) for entry in page.findall("{*}Contents")
            ]
            token = page.findtext("{*}NextContinuationToken")
            if not token:
                return found

    async def read(self, key):
        """The bytes of an object."""
        self._role.require("s3:GetObject", f"arn:aws:s3:::{self.name}/{key}")
        return await self._get(key, {})

    async def _get(self, key, query):
        from ministack.services import s3

        path = f"/{self.name}/{key}" if key else f"/{self.name}"
        status, _, body = await s3.handle_request("GET", path, {"host": "s3"}, b"", query, internal=True)
        if status >= 300:
            error = ET.fromstring(body)
            raise Refused(error.findtext("{*}Code") or error.findtext("Code"), error.findtext("Message") or "")
        return body


class Table:
    """A DynamoDB table, used with a role."""

    def __init__(self, name, role):
        self.name = name
        self.arn = f"arn:aws:dynamodb:{role.region}:{role.account}:table/{name}"
        self._role = role

    def may(self, action):
        self._role.require(f"dynamodb:{action}", self.arn)

    async def exists(self):
        self.may("DescribeTable")
        try:
            await call("DescribeTable", {"TableName": self.name})
        except Refused as refused:
            if refused.code == "ResourceNotFoundException":
                return False
            raise
        return True

    async def create(self, keys):
        """Create the table as DMS does, with 200 units of each capacity. keys: [(attribute name, "S" or "N")]."""
        self.may("CreateTable")
        await call(
            "CreateTable",
            {
                "TableName": self.name,
                "KeySchema": [
                    {"AttributeName": name, "KeyType": kind}
                    for (name, _), kind in zip(keys, ("HASH", "RANGE"), strict=False)
                ],
                "AttributeDefinitions": [{"AttributeName": name, "AttributeType": type_} for name, type_ in keys],
                "ProvisionedThroughput": {"ReadCapacityUnits": 200, "WriteCapacityUnits": 200},
            },
        )

    async def drop(self):
        self.may("DeleteTable")
        await call("DeleteTable", {"TableName": self.name})

    async def truncate(self):
        """Delete every item and keep the table."""
        self.may("DeleteItem")
        described = await call("DescribeTable", {"TableName": self.name})
        names = [key["AttributeName"] for key in described["Table"]["KeySchema"]]
        while items := (await call("Scan", {"TableName": self.name, "Limit": 100}))["Items"]:
            for item in items:
                await call("DeleteItem", {"TableName": self.name, "Key": {name: item[name] for name in names}})

    async def put(self, item):
        """Write one item. The caller has asked `may("PutItem")` for it: not for each row anew."""
        await call("PutItem", {"TableName": self.name, "Item": item})


async def call(action, parameters):
    """Call MiniStack's DynamoDB. Raises Refused."""
    from ministack import app

    headers = {"x-amz-target": f"DynamoDB_20120810.{action}", "content-type": "application/x-amz-json-1.0"}
    body = json.dumps(parameters).encode()
    status, _, answer = await app.SERVICE_HANDLERS["dynamodb"]("POST", "/", headers, body, {})
    document = json.loads(answer)
    if status >= 300:
        code = document.get("__type", "InternalServerError").rpartition("#")[2]
        raise Refused(code, document.get("message") or document.get("Message") or "")
    return document
