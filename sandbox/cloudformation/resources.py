"""The types of resources that a stack may have: what each is made by, changed by and deleted by.

Properties are those of the template reference that the calls here take
(https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html). Where a
property is named as the call's own parameter is, it is handed on as it stands.
"""

import contextlib
import io
import json
import re
import secrets
import string
import time
import zipfile

import yaml

from sandbox.cloudformation.calls import Failed, Service

# What a function and a queue are again when a property goes from the template.
_FUNCTION = {
    "DeadLetterConfig": {"TargetArn": ""}, "Description": "", "Environment": {"Variables": {}},
    "EphemeralStorage": {"Size": 512}, "Layers": [], "MemorySize": 128, "Timeout": 3,
    "TracingConfig": {"Mode": "PassThrough"},
}  # fmt: skip
_QUEUE = {
    "DelaySeconds": 0, "MaximumMessageSize": 262144, "MessageRetentionPeriod": 345600,
    "ReceiveMessageWaitTimeSeconds": 0, "RedrivePolicy": "", "SqsManagedSseEnabled": True, "VisibilityTimeout": 30,
}  # fmt: skip

_PATIENCE = 120  # seconds until something that is being deleted must be gone


class Type:
    """A type of resource. An instance is one resource of a stack, whose properties are given in AWS's own words.

    properties: what a template may say; needed: which of them it must. name: the property that names it, if there is
    one. replaced_by: properties of which another value makes another resource. longest: of a name that is made up.
    """

    properties = ()
    needed = ()
    name = None
    replaced_by = ()
    longest = 64

    def __init__(self, stack, logical_id):
        self.stack, self.logical_id = stack, logical_id

    def create(self, properties):
        """Make it; gives its physical id, which is what Ref returns."""
        raise NotImplementedError

    def update(self, physical_id, old, new):
        """Make it as the new properties say."""
        raise NotImplementedError

    def delete(self, physical_id, properties):
        """Delete it."""
        raise NotImplementedError

    def attributes(self, physical_id, properties):
        """What Fn::GetAtt returns, by name."""
        return {}

    @classmethod
    def is_another(cls, old, new):
        """Whether the new properties need another resource."""
        return any(old.get(name) != new.get(name) for name in cls.replaced_by)

    @contextlib.contextmanager
    def whole(self, physical_id, properties):
        """Where one of the calls in this block fails, what was made before it is deleted."""
        try:
            yield
        except Failed:
            self.delete(physical_id, properties)
            raise

    def made_up_name(self):
        """A name as CloudFormation makes them up: of the stack, of the resource, and something random."""
        end = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(12))
        return f"{self.stack}-{self.logical_id}"[: self.longest - 13] + f"-{end}"


def handlers(kind):
    """A type as MiniStack's CloudFormation calls it."""

    def create(logical_id, properties, stack):
        resource, properties = kind(stack, logical_id), _own(properties)
        if missing := [f"#: required key [{name}] not found" for name in kind.needed if name not in properties]:
            raise ValueError(f"Properties validation failed for resource {logical_id} with message: {missing[0]}")
        if kind.name and not properties.get(kind.name):
            properties[kind.name] = resource.made_up_name()
        physical_id = resource.create(properties)
        return physical_id, resource.attributes(physical_id, properties)

    def update(physical_id, old, new, stack, logical_id=None):
        resource, old, new = kind(stack, logical_id), _own(old), _own(new)
        resource.update(physical_id, old, new)
        return physical_id, resource.attributes(physical_id, new)

    def delete(physical_id, properties, logical_id=None):
        try:
            kind("", logical_id or "").delete(physical_id, properties)
        except Failed as error:
            if error.code != "NotFound":  # who deletes what is gone has nothing to do
                raise

    marks = {"update_with_logical_id": True, "delete_with_logical_id": True}
    return {"create": create, "update": update, "delete": delete, **marks}


def is_another(resource_type, old, new):
    """Whether new properties of a resource need another resource in its place."""
    return TYPES[resource_type].is_another(old, new)


def _own(properties):
    """Properties without the tags that only AWS may set."""
    tags = properties.get("Tags")
    if isinstance(tags, list):
        return {**properties, "Tags": [tag for tag in tags if not tag["Key"].startswith("aws:")]}
    if isinstance(tags, dict):
        return {**properties, "Tags": {key: value for key, value in tags.items() if not key.startswith("aws:")}}
    return dict(properties)


def _some(properties, *names):
    return {name: properties[name] for name in names if name in properties}


def _tags(properties):
    """The tags of a resource as a dict."""
    tags = properties.get("Tags") or {}
    return tags if isinstance(tags, dict) else {tag["Key"]: str(tag["Value"]) for tag in tags}


def _retag(old, new, tag, untag):
    """Bring tags from those of the old properties to those of the new: tag({...}) and untag([...]) make the calls."""
    before, after = _tags(old), _tags(new)
    if gone := sorted(set(before) - set(after)):
        untag(gone)
    if changed := {key: value for key, value in after.items() if before.get(key) != value}:
        tag(changed)


def _listed(tags, key="Key", value="Value"):
    return [{key: name, value: text} for name, text in tags.items()]


def _document(value):
    """A document in a template may be an object or JSON text; calls take text."""
    return value if isinstance(value, str) else json.dumps(value)


def _until(gone, what):
    """Wait until a call finds nothing any more. gone: makes the call."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        try:
            gone()
        except Failed as error:
            if error.code == "NotFound":
                return
            raise
        time.sleep(0.05)
    raise Failed(f"{what} did not stabilize.", "NotStabilized")


# -- IAM ---------------------------------------------------------------------------------------------------------------


class Role(Type):
    properties = ("AssumeRolePolicyDocument", "Description", "ManagedPolicyArns", "MaxSessionDuration", "Path",
                  "PermissionsBoundary", "Policies", "RoleName", "Tags")  # fmt: skip
    needed = ("AssumeRolePolicyDocument",)
    name = "RoleName"
    replaced_by = ("Path", "RoleName")

    def create(self, properties):
        iam, name = Service("iam"), properties["RoleName"]
        plain = _some(
            properties, "RoleName", "Description", "MaxSessionDuration", "Path", "PermissionsBoundary", "Tags"
        )
        trust = _document(properties["AssumeRolePolicyDocument"])
        iam.create_role(AssumeRolePolicyDocument=trust, **plain)
        with self.whole(name, properties):
            self._give(iam, name, {}, properties)
        return name

    def update(self, name, old, new):
        iam = Service("iam")
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=_document(new["AssumeRolePolicyDocument"]))
        iam.update_role(
            RoleName=name,
            Description=new.get("Description", ""),
            MaxSessionDuration=new.get("MaxSessionDuration", 3600),
        )
        if new.get("PermissionsBoundary"):
            iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=new["PermissionsBoundary"])
        elif old.get("PermissionsBoundary"):
            iam.delete_role_permissions_boundary(RoleName=name)
        self._give(iam, name, old, new)
        _retag(
            old,
            new,
            lambda tags: iam.tag_role(RoleName=name, Tags=_listed(tags)),
            lambda keys: iam.untag_role(RoleName=name, TagKeys=keys),
        )

    @staticmethod
    def _give(iam, name, old, new):
        """Bring a role's policies to what the new properties say."""
        before, after = ({each["PolicyName"]: each for each in of.get("Policies") or []} for of in (old, new))
        for policy in set(before) - set(after):
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        for policy, said in after.items():
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=_document(said["PolicyDocument"]))
        before, after = (list(of.get("ManagedPolicyArns") or []) for of in (old, new))
        for arn in before:
            if arn not in after:
                iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        for arn in after:
            iam.attach_role_policy(RoleName=name, PolicyArn=arn)

    def delete(self, name, properties):
        iam = Service("iam")
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
        iam.delete_role(RoleName=name)

    def attributes(self, name, properties):
        role = Service("iam").get_role(RoleName=name)["Role"]
        return {"Arn": role["Arn"], "RoleId": role["RoleId"]}


# -- Lambda ------------------------------------------------------------------------------------------------------------


class Function(Type):
    _CONFIGURATION = (*_FUNCTION, "DurableConfig", "Handler", "LoggingConfig", "Role", "Runtime")
    properties = ("Architectures", "Code", "FunctionName", "PackageType", "ReservedConcurrentExecutions", "Tags",
                  *_CONFIGURATION)  # fmt: skip
    needed = ("Code", "Role")
    name = "FunctionName"
    replaced_by = ("FunctionName", "PackageType")

    @classmethod
    def is_another(cls, old, new):
        # Whether it is a durable function is settled when it is made.
        return super().is_another(old, new) or ("DurableConfig" in old) != ("DurableConfig" in new)

    def create(self, properties):
        functions, name = Service("lambda"), properties["FunctionName"]
        plain = _some(properties, *self._CONFIGURATION, "Architectures", "FunctionName", "PackageType")
        functions.create_function(Code=self._code(properties), Tags=_tags(properties), **plain)
        functions.wait("function_active_v2", FunctionName=name)
        with self.whole(name, properties):
            self._reserve(functions, name, {}, properties)
        return name

    def update(self, name, old, new):
        functions = Service("lambda")
        if old.get("Code") != new.get("Code") or old.get("Architectures") != new.get("Architectures"):
            functions.update_function_code(FunctionName=name, **self._code(new), **_some(new, "Architectures"))
            functions.wait("function_updated_v2", FunctionName=name)
        before, after = ({**_FUNCTION, **_some(of, *self._CONFIGURATION)} for of in (old, new))
        if changed := {key: value for key, value in after.items() if before.get(key) != value}:
            functions.update_function_configuration(FunctionName=name, **changed)
            functions.wait("function_updated_v2", FunctionName=name)
        self._reserve(functions, name, old, new)
        arn = self.attributes(name, new)["Arn"]
        _retag(
            old,
            new,
            lambda tags: functions.tag_resource(Resource=arn, Tags=tags),
            lambda keys: functions.untag_resource(Resource=arn, TagKeys=keys),
        )

    @staticmethod
    def _code(properties):
        """Where its code is; of the lines of a ZipFile, which a template has as text, an archive."""
        code = properties.get("Code") or {}
        if "ZipFile" not in code:
            return code
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as written:
            written.writestr("index.py", code["ZipFile"])
        return {"ZipFile": archive.getvalue()}

    @staticmethod
    def _reserve(functions, name, old, new):
        before, after = (of.get("ReservedConcurrentExecutions") for of in (old, new))
        if after is not None and after != before:
            functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=after)
        elif after is None and before is not None:
            functions.delete_function_concurrency(FunctionName=name)

    def delete(self, name, properties):
        Service("lambda").delete_function(FunctionName=name)

    def attributes(self, name, properties):
        return {"Arn": Service("lambda").get_function_configuration(FunctionName=name)["FunctionArn"]}


class Version(Type):
    properties = ("CodeSha256", "Description", "FunctionName")
    needed = ("FunctionName",)
    replaced_by = ("CodeSha256", "Description", "FunctionName")

    def create(self, properties):
        functions, name = Service("lambda"), properties["FunctionName"]
        before = {each["Version"] for each in functions.list_versions_by_function(FunctionName=name)["Versions"]}
        made = functions.publish_version(**_some(properties, *self.properties))
        if made["Version"] in before:  # Lambda publishes nothing where nothing has changed
            message = (
                f"A version for this Lambda function exists ( {made['Version']} ). Modify the function "
                "to create a new version."
            )
            raise Failed(message, "AlreadyExists")
        return made["FunctionArn"]

    def delete(self, arn, properties):
        name, _, version = arn.rpartition(":")
        Service("lambda").delete_function(FunctionName=name, Qualifier=version)

    def attributes(self, arn, properties):
        return {"FunctionArn": arn, "Version": arn.rpartition(":")[2]}


class Alias(Type):
    properties = ("Description", "FunctionName", "FunctionVersion", "Name")
    needed = ("FunctionName", "FunctionVersion", "Name")
    replaced_by = ("FunctionName", "Name")

    def create(self, properties):
        return Service("lambda").create_alias(**_some(properties, *self.properties))["AliasArn"]

    def update(self, arn, old, new):
        Service("lambda").update_alias(**{"Description": "", **_some(new, *self.properties)})

    def delete(self, arn, properties):
        name, _, alias = arn.rpartition(":")
        Service("lambda").delete_alias(FunctionName=name, Name=alias)

    def attributes(self, arn, properties):
        return {"AliasArn": arn}


class Permission(Type):
    properties = ("Action", "FunctionName", "Principal", "SourceAccount", "SourceArn")
    needed = ("Action", "FunctionName", "Principal")
    replaced_by = properties

    def create(self, properties):
        statement = self.made_up_name()
        Service("lambda").add_permission(StatementId=statement, **_some(properties, *self.properties))
        return statement

    def delete(self, statement, properties):
        Service("lambda").remove_permission(FunctionName=properties["FunctionName"], StatementId=statement)


class EventInvokeConfig(Type):
    properties = ("DestinationConfig", "FunctionName", "MaximumEventAgeInSeconds", "MaximumRetryAttempts", "Qualifier")
    needed = ("FunctionName", "Qualifier")
    replaced_by = ("FunctionName", "Qualifier")

    def create(self, properties):
        Service("lambda").put_function_event_invoke_config(**_some(properties, *self.properties))
        return self.made_up_name()

    def update(self, physical_id, old, new):
        Service("lambda").put_function_event_invoke_config(**_some(new, *self.properties))

    def delete(self, physical_id, properties):
        Service("lambda").delete_function_event_invoke_config(**_some(properties, "FunctionName", "Qualifier"))


class LogGroup(Type):
    properties = ("LogGroupName", "RetentionInDays", "Tags")
    name = "LogGroupName"
    replaced_by = ("LogGroupName",)
    longest = 512

    def create(self, properties):
        logs, name = Service("logs"), properties["LogGroupName"]
        logs.create_log_group(logGroupName=name, tags=_tags(properties))
        with self.whole(name, properties):
            self._keep(logs, name, {}, properties)
        return name

    def update(self, name, old, new):
        logs = Service("logs")
        self._keep(logs, name, old, new)
        arn = self.attributes(name, new)["Arn"].removesuffix(":*")
        _retag(
            old,
            new,
            lambda tags: logs.tag_resource(resourceArn=arn, tags=tags),
            lambda keys: logs.untag_resource(resourceArn=arn, tagKeys=keys),
        )

    @staticmethod
    def _keep(logs, name, old, new):
        if new.get("RetentionInDays"):
            logs.put_retention_policy(logGroupName=name, retentionInDays=new["RetentionInDays"])
        elif old.get("RetentionInDays"):
            logs.delete_retention_policy(logGroupName=name)

    def delete(self, name, properties):
        Service("logs").delete_log_group(logGroupName=name)

    def attributes(self, name, properties):
        found = Service("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        return {"Arn": next(group["arn"] for group in found if group["logGroupName"] == name)}


# -- DynamoDB, SQS -----------------------------------------------------------------------------------------------------


class Table(Type):
    properties = ("AttributeDefinitions", "BillingMode", "DeletionProtectionEnabled", "KeySchema",
                  "PointInTimeRecoverySpecification", "TableName", "Tags", "TimeToLiveSpecification")  # fmt: skip
    needed = ("KeySchema",)
    name = "TableName"
    replaced_by = ("AttributeDefinitions", "KeySchema", "TableName")
    longest = 255

    def create(self, properties):
        tables, name = Service("dynamodb"), properties["TableName"]
        plain = ("AttributeDefinitions", "BillingMode", "DeletionProtectionEnabled", "KeySchema", "TableName")
        tables.create_table(Tags=_listed(_tags(properties)), **_some(properties, *plain))
        tables.wait("table_exists", TableName=name)
        with self.whole(name, properties):
            self._settle(tables, name, {}, properties)
        return name

    def update(self, name, old, new):
        tables = Service("dynamodb")
        before, after = (
            {
                "BillingMode": "PROVISIONED",
                "DeletionProtectionEnabled": False,
                **_some(of, "BillingMode", "DeletionProtectionEnabled"),
            }
            for of in (old, new)
        )
        if changed := {key: value for key, value in after.items() if before[key] != value}:
            tables.update_table(TableName=name, **changed)
            tables.wait("table_exists", TableName=name)
        self._settle(tables, name, old, new)
        arn = self.attributes(name, new)["Arn"]
        _retag(
            old,
            new,
            lambda tags: tables.tag_resource(ResourceArn=arn, Tags=_listed(tags)),
            lambda keys: tables.untag_resource(ResourceArn=arn, TagKeys=keys),
        )

    @staticmethod
    def _settle(tables, name, old, new):
        """Set what is not set by the call that makes a table."""
        before, after = (of.get("TimeToLiveSpecification") for of in (old, new))
        if before != after:
            tables.update_time_to_live(TableName=name, TimeToLiveSpecification=after or {**before, "Enabled": False})
        before, after = (of.get("PointInTimeRecoverySpecification") for of in (old, new))
        if before != after:
            wanted = after or {"PointInTimeRecoveryEnabled": False}
            tables.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=wanted)

    def delete(self, name, properties):
        tables = Service("dynamodb")
        tables.delete_table(TableName=name)
        tables.wait("table_not_exists", TableName=name)

    def attributes(self, name, properties):
        return {"Arn": Service("dynamodb").describe_table(TableName=name)["Table"]["TableArn"]}


class Queue(Type):
    properties = (*_QUEUE, "QueueName", "Tags")
    name = "QueueName"
    replaced_by = ("QueueName",)
    longest = 80

    def create(self, properties):
        attributes = _some(properties, *_QUEUE)
        made = Service("sqs").create_queue(
            QueueName=properties["QueueName"], Attributes=self._as_text(attributes), tags=_tags(properties)
        )
        return made["QueueUrl"]

    def update(self, url, old, new):
        queues = Service("sqs")
        before, after = ({**_QUEUE, **_some(of, *_QUEUE)} for of in (old, new))
        if changed := {key: value for key, value in after.items() if before[key] != value}:
            queues.set_queue_attributes(QueueUrl=url, Attributes=self._as_text(changed))
        _retag(
            old,
            new,
            lambda tags: queues.tag_queue(QueueUrl=url, Tags=tags),
            lambda keys: queues.untag_queue(QueueUrl=url, TagKeys=keys),
        )

    @staticmethod
    def _as_text(attributes):
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in attributes.items()}

    def delete(self, url, properties):
        Service("sqs").delete_queue(QueueUrl=url)

    def attributes(self, url, properties):
        found = Service("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        return {"Arn": found["QueueArn"], "QueueName": found["QueueArn"].rpartition(":")[2], "QueueUrl": url}


class QueuePolicy(Type):
    properties = ("PolicyDocument", "Queues")
    needed = ("PolicyDocument", "Queues")

    def create(self, properties):
        self._set(properties["Queues"], _document(properties["PolicyDocument"]))
        return self.made_up_name()

    def update(self, physical_id, old, new):
        self._set([url for url in old["Queues"] if url not in new["Queues"]], "")
        self._set(new["Queues"], _document(new["PolicyDocument"]))

    def delete(self, physical_id, properties):
        self._set(properties["Queues"], "")

    @staticmethod
    def _set(urls, policy):
        queues = Service("sqs")
        for url in urls:
            queues.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


# -- events and schedules ----------------------------------------------------------------------------------------------


class Rule(Type):
    properties = ("Description", "EventBusName", "EventPattern", "Name", "RoleArn", "ScheduleExpression", "State",
                  "Targets")  # fmt: skip
    name = "Name"
    replaced_by = ("EventBusName", "Name")

    def create(self, properties):
        rules, where = Service("events"), self._where(properties)
        plain = _some(properties, "Description", "EventBusName", "Name", "RoleArn", "ScheduleExpression", "State")
        pattern = {"EventPattern": _document(properties["EventPattern"])} if "EventPattern" in properties else {}
        rules.put_rule(**plain, **pattern)
        with self.whole(properties["Name"], properties):
            self._aim(rules, where, properties.get("Targets") or [])
        bus = properties.get("EventBusName", "default")
        return properties["Name"] if bus == "default" else f"{bus}|{properties['Name']}"

    @staticmethod
    def _where(properties):
        return {"Rule": properties["Name"], **_some(properties, "EventBusName")}

    @staticmethod
    def _aim(rules, where, targets):
        if targets:
            answer = rules.put_targets(Targets=targets, **where)
            if answer["FailedEntryCount"]:
                raise Failed("; ".join(each["ErrorMessage"] for each in answer["FailedEntries"]), "InvalidRequest")

    def update(self, physical_id, old, new):
        rules = Service("events")
        named = {"Name": physical_id.rpartition("|")[2]}
        where = self._where({**new, **named})
        plain = _some(
            {"State": "ENABLED", **new}, "Description", "EventBusName", "RoleArn", "ScheduleExpression", "State"
        )
        pattern = {"EventPattern": _document(new["EventPattern"])} if "EventPattern" in new else {}
        rules.put_rule(**named, **plain, **pattern)
        before, after = ({each["Id"] for each in of.get("Targets") or []} for of in (old, new))
        if gone := sorted(before - after):
            rules.remove_targets(Ids=gone, **where)
        self._aim(rules, where, new.get("Targets") or [])

    def delete(self, physical_id, properties):
        rules = Service("events")
        where = self._where({"Name": physical_id.rpartition("|")[2], **properties})
        if targets := rules.list_targets_by_rule(**where)["Targets"]:
            rules.remove_targets(Ids=[target["Id"] for target in targets], **where)
        rules.delete_rule(Name=where.pop("Rule"), **where)

    def attributes(self, physical_id, properties):
        where = {"Name": physical_id.rpartition("|")[2], **_some(properties, "EventBusName")}
        return {"Arn": Service("events").describe_rule(**where)["Arn"]}


class Schedule(Type):
    properties = ("Description", "EndDate", "FlexibleTimeWindow", "GroupName", "Name", "ScheduleExpression",
                  "ScheduleExpressionTimezone", "StartDate", "State", "Target")  # fmt: skip
    needed = ("FlexibleTimeWindow", "ScheduleExpression", "Target")
    name = "Name"
    replaced_by = ("GroupName", "Name")

    def create(self, properties):
        Service("scheduler").create_schedule(**_some(properties, *self.properties))
        return properties["Name"]

    def update(self, name, old, new):
        Service("scheduler").update_schedule(**{**_some(new, *self.properties), "Name": name})

    def delete(self, name, properties):
        Service("scheduler").delete_schedule(Name=name, **_some(properties, "GroupName"))

    def attributes(self, name, properties):
        return {"Arn": Service("scheduler").get_schedule(Name=name, **_some(properties, "GroupName"))["Arn"]}


class Alarm(Type):
    properties = ("ActionsEnabled", "AlarmActions", "AlarmDescription", "AlarmName", "ComparisonOperator",
                  "DatapointsToAlarm", "Dimensions", "EvaluationPeriods", "InsufficientDataActions", "MetricName",
                  "Namespace", "OKActions", "Period", "Statistic", "Tags", "Threshold", "TreatMissingData",
                  "Unit")  # fmt: skip
    needed = ("ComparisonOperator", "EvaluationPeriods")
    name = "AlarmName"
    replaced_by = ("AlarmName",)
    longest = 255

    def create(self, properties):
        Service("cloudwatch").put_metric_alarm(**_some(properties, *self.properties))
        return properties["AlarmName"]

    def update(self, name, old, new):
        alarms = Service("cloudwatch")
        plain = {key: value for key, value in _some(new, *self.properties).items() if key != "Tags"}
        alarms.put_metric_alarm(**{**plain, "AlarmName": name})
        arn = self.attributes(name, new)["Arn"]
        _retag(
            old,
            new,
            lambda tags: alarms.tag_resource(ResourceARN=arn, Tags=_listed(tags)),
            lambda keys: alarms.untag_resource(ResourceARN=arn, TagKeys=keys),
        )

    def delete(self, name, properties):
        Service("cloudwatch").delete_alarms(AlarmNames=[name])

    def attributes(self, name, properties):
        (found,) = Service("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return {"Arn": found["AlarmArn"]}


# -- Step Functions ----------------------------------------------------------------------------------------------------


class StateMachine(Type):
    properties = ("Definition", "DefinitionS3Location", "DefinitionString", "DefinitionSubstitutions",
                  "LoggingConfiguration", "RoleArn", "StateMachineName", "StateMachineType", "Tags",
                  "TracingConfiguration")  # fmt: skip
    needed = ("RoleArn",)
    name = "StateMachineName"
    replaced_by = ("StateMachineName", "StateMachineType")
    longest = 80

    def create(self, properties):
        more = {"type": properties["StateMachineType"]} if "StateMachineType" in properties else {}
        tags = _listed(_tags(properties), "key", "value")
        name = properties["StateMachineName"]
        made = Service("stepfunctions").create_state_machine(name=name, tags=tags, **more, **self._rest(properties))
        return made["stateMachineArn"]

    def update(self, arn, old, new):
        machines = Service("stepfunctions")
        off = {"loggingConfiguration": {"level": "OFF"}} if "LoggingConfiguration" in old else {}
        off |= {"tracingConfiguration": {"enabled": False}} if "TracingConfiguration" in old else {}
        machines.update_state_machine(stateMachineArn=arn, **{**off, **self._rest(new)})
        _retag(
            old,
            new,
            lambda tags: machines.tag_resource(resourceArn=arn, tags=_listed(tags, "key", "value")),
            lambda keys: machines.untag_resource(resourceArn=arn, tagKeys=keys),
        )

    def _rest(self, properties):
        rest = {"definition": self._definition(properties), "roleArn": properties["RoleArn"]}
        for name in ("LoggingConfiguration", "TracingConfiguration"):
            if name in properties:
                rest[name[0].lower() + name[1:]] = _lower(properties[name])
        return rest

    @staticmethod
    def _definition(properties):
        if "DefinitionS3Location" in properties:
            where = properties["DefinitionS3Location"]
            version = {"VersionId": where["Version"]} if "Version" in where else {}
            text = Service("s3").get_object(Bucket=where["Bucket"], Key=where["Key"], **version)["Body"].read().decode()
        elif "DefinitionString" in properties:
            text = properties["DefinitionString"]
        else:
            text = json.dumps(properties.get("Definition"))
        values = properties.get("DefinitionSubstitutions") or {}
        text = re.sub(r"\$\{([^}]+)\}", lambda found: str(values.get(found[1], found[0])), text)
        return text if text.lstrip().startswith("{") else json.dumps(yaml.safe_load(text))  # in S3 it may be YAML

    def delete(self, arn, properties):
        machines = Service("stepfunctions")
        machines.delete_state_machine(stateMachineArn=arn)
        _until(lambda: machines.describe_state_machine(stateMachineArn=arn), arn)

    def attributes(self, arn, properties):
        return {"Arn": arn, "Name": arn.rpartition(":")[2]}


def _lower(value):
    """The same with the names of members as the API has them, which begin with a small letter."""
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: _lower(each) for key, each in value.items()}
    return [_lower(each) for each in value] if isinstance(value, list) else value


# -- HTTP APIs ---------------------------------------------------------------------------------------------------------

# What is imported of an OpenAPI document, which is what SAM makes of events of the type HttpApi.
_DOCUMENT = {"openapi", "info", "paths", "tags"}
_METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "x-amazon-apigateway-any-method"}
_OPERATION = {"x-amazon-apigateway-integration", "responses", "parameters"}
_INTEGRATION = {"httpMethod", "payloadFormatVersion", "timeoutInMillis", "type", "uri"}


class Api(Type):
    properties = ("Body", "Description", "Name", "ProtocolType", "Tags", "Version")
    replaced_by = ("ProtocolType",)

    def create(self, properties):
        apis, body = Service("apigatewayv2"), properties.get("Body") or {}
        routes = self._routes(body)
        plain = {**self._plain(properties), "ProtocolType": properties.get("ProtocolType", "HTTP")}
        api_id = apis.create_api(Tags=self._all_tags(properties), **plain)["ApiId"]
        with self.whole(api_id, properties):
            self._lead(apis, api_id, routes)
        return api_id

    def update(self, api_id, old, new):
        apis, routes = Service("apigatewayv2"), self._routes(new.get("Body") or {})
        apis.update_api(ApiId=api_id, **self._plain(new))
        if old.get("Body") != new.get("Body"):  # what is imported takes the place of what was
            for route in apis.get_routes(ApiId=api_id)["Items"]:
                apis.delete_route(ApiId=api_id, RouteId=route["RouteId"])
            for integration in apis.get_integrations(ApiId=api_id)["Items"]:
                apis.delete_integration(ApiId=api_id, IntegrationId=integration["IntegrationId"])
            self._lead(apis, api_id, routes)

    @staticmethod
    def _plain(properties):
        info = (properties.get("Body") or {}).get("info") or {}
        said = {"Name": info.get("title"), "Version": info.get("version"), "Description": info.get("description")}
        return {
            **{name: value for name, value in said.items() if value},
            **_some(properties, "Name", "Version", "Description"),
        }

    @staticmethod
    def _all_tags(properties):
        tags = (properties.get("Body") or {}).get("tags") or []
        return {**{tag["name"]: tag.get("x-amazon-apigateway-tag-value", "") for tag in tags}, **_tags(properties)}

    @staticmethod
    def _routes(body):
        """The routes of an OpenAPI document: [(key, integration)]; what is more in it is refused by name."""
        more, routes = set(body) - _DOCUMENT, []
        for path, item in (body.get("paths") or {}).items():
            more |= set(item) - _METHODS
            for method, operation in item.items():
                integration = operation.get("x-amazon-apigateway-integration") or {}
                more |= set(operation) - _OPERATION | set(integration) - _INTEGRATION
                verb = "ANY" if method.startswith("x-") else method.upper()
                routes.append(("$default" if path == "/$default" else f"{verb} {path}", integration))
        if more:
            raise Failed(f"The sandbox imports no {', '.join(sorted(more))} of an OpenAPI document.", "InvalidRequest")
        return routes

    @staticmethod
    def _lead(apis, api_id, routes):
        for key, integration in routes:
            made = apis.create_integration(
                ApiId=api_id,
                IntegrationType=integration.get("type", "").upper(),
                IntegrationUri=integration.get("uri", ""),
                IntegrationMethod=integration.get("httpMethod", "POST"),
                PayloadFormatVersion=integration.get("payloadFormatVersion", "2.0"),
                **({"TimeoutInMillis": integration["timeoutInMillis"]} if "timeoutInMillis" in integration else {}),
            )
            apis.create_route(ApiId=api_id, RouteKey=key, Target=f"integrations/{made['IntegrationId']}")

    def delete(self, api_id, properties):
        Service("apigatewayv2").delete_api(ApiId=api_id)

    def attributes(self, api_id, properties):
        return {"ApiEndpoint": Service("apigatewayv2").get_api(ApiId=api_id)["ApiEndpoint"], "ApiId": api_id}


class Stage(Type):
    properties = ("ApiId", "AutoDeploy", "DefaultRouteSettings", "Description", "StageName", "StageVariables", "Tags")
    needed = ("ApiId", "StageName")
    replaced_by = ("ApiId", "StageName")

    def create(self, properties):
        plain = {name: value for name, value in _some(properties, *self.properties).items() if name != "Tags"}
        Service("apigatewayv2").create_stage(Tags=_tags(properties), **plain)
        return properties["StageName"]

    def update(self, name, old, new):
        plain = {name: value for name, value in _some(new, *self.properties).items() if name != "Tags"}
        Service("apigatewayv2").update_stage(**plain)

    def delete(self, name, properties):
        Service("apigatewayv2").delete_stage(ApiId=properties["ApiId"], StageName=name)


TYPES = {
    "AWS::ApiGatewayV2::Api": Api,
    "AWS::ApiGatewayV2::Stage": Stage,
    "AWS::CloudWatch::Alarm": Alarm,
    "AWS::DynamoDB::Table": Table,
    "AWS::Events::Rule": Rule,
    "AWS::IAM::Role": Role,
    "AWS::Lambda::Alias": Alias,
    "AWS::Lambda::EventInvokeConfig": EventInvokeConfig,
    "AWS::Lambda::Function": Function,
    "AWS::Lambda::Permission": Permission,
    "AWS::Lambda::Version": Version,
    "AWS::Logs::LogGroup": LogGroup,
    "AWS::SQS::Queue": Queue,
    "AWS::SQS::QueuePolicy": QueuePolicy,
    "AWS::Scheduler::Schedule": Schedule,
    "AWS::StepFunctions::StateMachine": StateMachine,
}
