"""A real account for tests, as far as `workshop account` looks at one.

What no sandbox plays (networks, DMS by CloudFormation, budgets) is played here: stock boto3 clients, whose calls are
answered by botocore's Stubber. So what is asked and what is answered have the shapes of AWS's models. What an account
*does* between two calls is made up here, after the documentation; nobody has compared it with AWS.
"""

import datetime
import functools
import json

import boto3
from botocore import xform_name
from botocore.stub import Stubber

NUMBER = "444455556666"
REGION = "eu-west-1"
NAME = "stop-polling"
ARN = f"arn:aws:cloudformation:{REGION}:{NUMBER}:stack/{NAME}/"
NETWORK = "vpc-0a1b2c3d"
FINE = {"dms-vpc-role": "AmazonDMSVPCManagementRole", "dms-cloudwatch-logs-role": "AmazonDMSCloudWatchLogsRole"}
NOT_SEEN = f"The IAM Role arn:aws:iam::{NUMBER}:role/dms-vpc-role is not configured properly. (AccessDeniedFault)"


class Refused(Exception):
    """An error of a service: code and message."""


class Account:
    """What is in it, and how it behaves.

    calls: (operation, arguments) of each call that came. before: called with each operation before it acts, and may
    raise. fails: reasons for which the next creations or changes of the stack fail, one each; None for one that goes
    well. stuck: reasons for which the next deletions fail, {resource: reason} each. blind: how many creations DMS does
    not see its role for.
    """

    def __init__(self):
        self.calls, self.before = [], lambda operation: None
        self.roles, self.stacks, self.events = {}, [], []
        self.instance, self.tasks, self.schedule, self.bounded, self.attached = None, [], None, [], []
        self.fails, self.stuck, self.blind, self.interfaces = [], [], 0, []

    def of(self, service):
        """As workshop.clients.of."""
        global _played
        _played = self
        return _client(service)

    def answer(self, stub, operation, arguments):
        """Have a stub answer a call as this account does."""
        self.calls.append((operation, arguments))
        try:
            self.before(operation)
            stub.add_response(operation, getattr(self, operation)(**arguments) or {})
        except Refused as error:
            code, message = error.args
            stub.add_client_error(operation, code, message)

    def made(self):
        """The operations that changed something, in order."""
        reads = ("describe", "get", "list")
        return [operation for operation, _ in self.calls if not operation.startswith(reads)]

    # -- IAM ----------------------------------------------------------------------------------------------------------

    def role(self, name, service="dms.amazonaws.com", policies=None, tags=()):
        """A role that is there before."""
        trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]}
        own = [f"arn:aws:iam::aws:policy/service-role/{FINE.get(name)}"]
        self.roles[name] = {"trust": trust, "policies": own if policies is None else policies, "tags": list(tags)}

    def get_role(self, RoleName):
        if RoleName not in self.roles:
            raise Refused("NoSuchEntity", f"The role with name {RoleName} cannot be found.")
        role = self.roles[RoleName]
        return {"Role": {**_iam(RoleName), "AssumeRolePolicyDocument": json.dumps(role["trust"]), "Tags": role["tags"]}}

    def create_role(self, RoleName, AssumeRolePolicyDocument, Tags):
        if RoleName in self.roles:
            raise Refused("EntityAlreadyExists", f"Role with name {RoleName} already exists.")
        self.roles[RoleName] = {"trust": json.loads(AssumeRolePolicyDocument), "policies": [], "tags": Tags}
        return {"Role": _iam(RoleName)}

    def attach_role_policy(self, RoleName, PolicyArn):
        self.roles[RoleName]["policies"].append(PolicyArn)

    def list_attached_role_policies(self, RoleName):
        return {"AttachedPolicies": [{"PolicyArn": arn} for arn in self.roles[RoleName]["policies"]]}

    def list_entities_for_policy(self, PolicyArn, PolicyUsageFilter):
        of = self.bounded if PolicyUsageFilter == "PermissionsBoundary" else self.attached
        found = of if PolicyArn.endswith("boundary") else []
        return {"PolicyRoles": [{"RoleName": name} for name in found], "PolicyUsers": [], "PolicyGroups": []}

    # -- CloudFormation: each look at a stack brings it one step further -----------------------------------------------

    def stack(self, status, then=(), **parameters):
        """A stack that is there before, and which statuses it goes through when it is looked at."""
        known = {"Email": "a@example.com", "BudgetUsd": "10", "Learners": "ann", "Instance": "yes", **parameters}
        number = len(self.stacks) + 1
        self.stacks.append(
            {"arn": f"{ARN}{number}", "status": status, "then": list(then), "parameters": known, "has": None}
        )
        self._event(NAME, status, "User Initiated")

    @property
    def now(self):
        """The stack of that name; None where there is none."""
        there = [each for each in self.stacks if each["status"] != "DELETE_COMPLETE"]
        return there[-1] if there else None

    def _found(self, name):
        stack = self.now if name == NAME else next(each for each in self.stacks if each["arn"] == name)
        if stack is None:
            raise Refused("ValidationError", f"Stack with id {name} does not exist")
        return stack

    def describe_stacks(self, StackName):
        stack = self._found(StackName)
        if stack["then"]:
            stack["status"] = stack["then"].pop(0)
            self._event(NAME, stack["status"])
            if stack["status"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
                self._is_made(stack)
        told = [{"ParameterKey": key, "ParameterValue": value} for key, value in stack["parameters"].items()]
        return {
            "Stacks": [
                {
                    "StackName": NAME,
                    "StackId": stack["arn"],
                    "StackStatus": stack["status"],
                    "CreationTime": _now(),
                    "Parameters": told,
                    "Outputs": [{"OutputKey": "NetworkId", "OutputValue": NETWORK}],
                }
            ]
        }

    def _is_made(self, stack):
        parameters = stack["parameters"]
        self.schedule = f"at({parameters['BrakeAt']})"
        if parameters["Instance"] == "no":
            self.instance = None
        elif not stack["has"]:  # CloudFormation makes none where it believes to have one
            self.instance = "available"
        stack["has"] = parameters["Instance"] == "yes"

    def _told(self, arguments):
        return {each["ParameterKey"]: each["ParameterValue"] for each in arguments}

    def create_stack(self, StackName, TemplateBody, Capabilities, Parameters, Tags):
        if self.now:
            raise Refused("AlreadyExistsException", f"Stack [{StackName}] already exists")
        assert json.loads(TemplateBody)["Resources"] and len(TemplateBody) < 51_200  # what CreateStack takes
        self.stack("CREATE_IN_PROGRESS", **self._told(Parameters))
        reason = NOT_SEEN if self.blind or "dms-vpc-role" not in self.roles else self.fails and self.fails.pop(0)
        self.blind = max(0, self.blind - 1)
        if reason:
            self._event("SubnetGroup", "CREATE_FAILED", reason)
            self._event("Network", "CREATE_FAILED", "Resource creation cancelled")
        gone = ["CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"]
        self.now["then"] = gone if reason else ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"]
        return {"StackId": self.now["arn"]}

    def update_stack(self, StackName, TemplateBody, Capabilities, Parameters, Tags):
        stack, told = self._found(StackName), self._told(Parameters)
        if not stack["status"].endswith("_COMPLETE") or stack["status"] == "ROLLBACK_COMPLETE":
            raise Refused(
                "ValidationError", f"Stack:{stack['arn']} is in {stack['status']} state and can not be updated."
            )
        if stack["parameters"] == told and stack.get("template") == TemplateBody:
            raise Refused("ValidationError", "No updates are to be performed.")
        self._event(NAME, "UPDATE_IN_PROGRESS", "User Initiated")
        stack["status"], reason = "UPDATE_IN_PROGRESS", self.fails and self.fails.pop(0)
        if reason:
            self._event("ReplicationInstance", "UPDATE_FAILED", reason)
            stack["then"] = ["UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"]
        else:
            stack["parameters"], stack["template"] = told, TemplateBody
            stack["then"] = ["UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"]
        return {"StackId": stack["arn"]}

    def continue_update_rollback(self, StackName, ResourcesToSkip):
        stack = self._found(StackName)
        self._event(NAME, "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated")
        stack["status"], stack["then"] = "UPDATE_ROLLBACK_IN_PROGRESS", ["UPDATE_ROLLBACK_COMPLETE"]

    def delete_stack(self, StackName, RetainResources=()):
        stack = self._found(StackName)
        self._event(NAME, "DELETE_IN_PROGRESS", "User Initiated")
        stack["status"], reasons = "DELETE_IN_PROGRESS", self.stuck.pop(0) if self.stuck else {}
        for name, reason in reasons.items():
            self._event(name, "DELETE_FAILED", reason)
        stack["then"] = ["DELETE_FAILED" if reasons else "DELETE_COMPLETE"]
        if not reasons:
            self.instance = self.schedule = None

    def describe_stack_events(self, StackName):
        return {"StackEvents": [event for event in reversed(self.events) if event["StackId"] == StackName]}

    def _event(self, name, status, reason=""):
        arn = self.stacks[-1]["arn"]
        self.events.append(
            {
                "StackId": arn,
                "EventId": f"{len(self.events)}",
                "StackName": NAME,
                "LogicalResourceId": name,
                "PhysicalResourceId": arn if name == NAME else name.lower(),
                "Timestamp": _now(),
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
            }
        )

    def list_stack_resources(self, StackName):
        rows = {
            "AWS::IAM::ManagedPolicy": f"arn:aws:iam::{NUMBER}:policy/{NAME}-boundary",
            "AWS::IAM::Role": f"{NAME}-learner-ann",
        }
        common = {"LastUpdatedTimestamp": _now(), "ResourceStatus": "CREATE_COMPLETE"}
        return {
            "StackResourceSummaries": [
                {"LogicalResourceId": "One", "ResourceType": kind, "PhysicalResourceId": found, **common}
                for kind, found in rows.items()
            ]
        }

    # -- the rest -----------------------------------------------------------------------------------------------------

    def describe_replication_instances(self, Filters):
        if not self.instance:
            raise Refused("ResourceNotFoundFault", "Replication Instance Not Found")
        return {
            "ReplicationInstances": [
                {
                    "ReplicationInstanceIdentifier": NAME,
                    "ReplicationInstanceStatus": self.instance,
                    "ReplicationInstanceArn": f"arn:aws:dms:{REGION}:{NUMBER}:rep:{NAME}",
                    "InstanceCreateTime": _now() - datetime.timedelta(hours=3),
                }
            ]
        }

    def describe_replication_tasks(self, Filters, WithoutSettings):
        if not self.tasks:
            raise Refused("ResourceNotFoundFault", "No Tasks found matching filters")
        return {"ReplicationTasks": [{"ReplicationTaskIdentifier": name} for name in self.tasks]}

    def get_schedule(self, Name):
        if not self.schedule:
            raise Refused("ResourceNotFoundException", f"Schedule {Name} does not exist.")
        return {"Name": Name, "ScheduleExpression": self.schedule}

    def describe_network_interfaces(self, Filters):
        assert Filters == [{"Name": "vpc-id", "Values": [NETWORK]}]
        return {"NetworkInterfaces": self.interfaces}

    def get_caller_identity(self):
        return {"Account": NUMBER}


_played = None  # the account that the clients below belong to now


@functools.cache
def _client(service):
    """A client of a service whose calls the account that is played answers. (To make one takes longer than a test.)"""
    client = boto3.client(service, region_name=REGION, aws_access_key_id="k", aws_secret_access_key="s")
    stub = Stubber(client)

    def answer(model, params, **_):
        _played.answer(stub, xform_name(model.name), params)

    client.meta.events.register_first("before-parameter-build.*.*", answer)
    stub.activate()
    return client


def _iam(name):
    arn = f"arn:aws:iam::{NUMBER}:role/{name}"
    return {"Path": "/", "RoleName": name, "RoleId": "AROA0123456789012", "Arn": arn, "CreateDate": _now()}


def _now():
    return datetime.datetime.now(datetime.UTC)
