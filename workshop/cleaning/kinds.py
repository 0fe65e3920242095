"""The kinds of resources that the labs make: how each is found by its name, and how it is deleted.

What uses others stands before what it uses; and first of all what somebody on the internet can call.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from workshop import clients, deploy
from workshop.migrations import delete_task


@dataclasses.dataclass(frozen=True)
class Kind:
    """name: as in "state machine". looks: how its ARNs look, a pattern.

    listed: the (name, ARN) of each in this account whose name begins with a text, perhaps of others too.
    delete: deletes one, by its ARN, and waits until it is gone. Raises botocore's errors.
    """

    name: str
    looks: str
    listed: Callable[[str], Iterable[tuple[str, str]]]
    delete: Callable[[str], object]


def name_in(arn: str) -> str:
    """What stands last in an ARN: you-01-start of arn:aws:lambda:us-east-1:111122223333:function:you-01-start."""
    return re.split("[:/]", arn)[-1]


def _pages(service: str, operation: str, field: str, **arguments) -> Iterator:
    for page in clients.of(service).get_paginator(operation).paginate(**arguments):
        yield from page.get(field, [])


def _named(service: str, operation: str, field: str, arn: str, name: str | None = None):
    """How a kind is listed by an operation that cannot be asked for a name: `name`, else what its ARN ends in."""
    return lambda prefix: (
        (one[name] if name else name_in(one[arn]), one[arn]) for one in _pages(service, operation, field)
    )


# -- stacks ------------------------------------------------------------------------------------------------------------


def _stacks(prefix):
    for stack in _pages("cloudformation", "describe_stacks", "Stacks"):
        if stack["StackStatus"] != "DELETE_COMPLETE" and "RootId" not in stack:  # its root deletes it
            yield stack["StackName"], stack["StackId"]


def _delete_stack(arn):
    client = clients.of("cloudformation")
    client.delete_stack(StackName=arn)
    deploy.wait_until(client, "stack_delete_complete", StackName=arn)


# -- what can be called, and what calls --------------------------------------------------------------------------------


def _http_apis(prefix):
    for api in _pages("apigatewayv2", "get_apis", "Items"):
        yield api["Name"], f"arn:aws:apigateway:{clients.region()}::/apis/{api['ApiId']}"


def _rest_apis(prefix):
    for api in _pages("apigateway", "get_rest_apis", "items"):
        yield api["name"], f"arn:aws:apigateway:{clients.region()}::/restapis/{api['id']}"


def _buses(prefix):
    events = clients.of("events")  # no paginator for this
    token = {}
    while True:
        page = events.list_event_buses(NamePrefix=prefix, **token)
        yield from ((bus["Name"], bus["Arn"]) for bus in page["EventBuses"])
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _rules(prefix):
    for bus in ["default", *(name for name, _ in _buses(prefix))]:
        # On a bus of one's own, a rule has any name.
        wanted = {"NamePrefix": prefix} if bus == "default" else {}
        for rule in _pages("events", "list_rules", "Rules", EventBusName=bus, **wanted):
            yield (rule["Name"] if bus == "default" else bus), rule["Arn"]


def _delete_rule(arn):
    events = clients.of("events")
    bus, _, rule = arn.partition(":rule/")[2].rpartition("/")  # the default bus is not named in a rule's ARN
    rule_of_bus = {"EventBusName": bus or "default"}
    targets = events.list_targets_by_rule(Rule=rule, **rule_of_bus)["Targets"]
    if targets:
        events.remove_targets(Rule=rule, Ids=[target["Id"] for target in targets], **rule_of_bus)
    events.delete_rule(Name=rule, **rule_of_bus)


# -- what works --------------------------------------------------------------------------------------------------------


def _delete_function(arn):
    """A durable execution that waits for weeks is stopped first, and so is one that is paused."""
    functions = clients.of("lambda")
    for state in ("RUNNING", "PAUSING", "PAUSED"):
        _stop_executions(functions, arn, state)
    functions.delete_function(FunctionName=arn)


def _stop_executions(functions, arn, state):
    token = {}
    while True:
        page = functions.list_durable_executions_by_function(FunctionName=arn, Statuses=[state], **token)
        for execution in page.get("DurableExecutions", []):
            with suppress(functions.exceptions.ResourceNotFoundException):  # it has ended and is forgotten
                functions.stop_durable_execution(DurableExecutionArn=execution["DurableExecutionArn"])
        if not page.get("NextMarker"):
            return
        token = {"Marker": page["NextMarker"]}


def _log_groups(prefix):
    for start in (f"/aws/lambda/{prefix}", prefix):
        for group in _pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=start):
            yield name_in(group["logGroupName"]), group["arn"].removesuffix(":*")


# -- migrations --------------------------------------------------------------------------------------------------------


def _delete_endpoint(arn):
    dms = clients.of("dms")
    deploy.patiently(dms.delete_endpoint, EndpointArn=arn)
    deploy.wait_until(dms, "endpoint_deleted", Filters=[{"Name": "endpoint-arn", "Values": [arn]}])


def _delete_replication_instance(arn):
    dms = clients.of("dms")
    deploy.patiently(dms.delete_replication_instance, ReplicationInstanceArn=arn)
    found = [{"Name": "replication-instance-arn", "Values": [arn]}]
    deploy.wait_until(dms, "replication_instance_deleted", Filters=found)


# -- what keeps --------------------------------------------------------------------------------------------------------


def _queues(prefix):
    for url in _pages("sqs", "list_queues", "QueueUrls", QueueNamePrefix=prefix):
        yield name_in(url), deploy.arn("sqs", name_in(url))


def _delete_queue(arn):
    sqs = clients.of("sqs")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name_in(arn))["QueueUrl"])


def _tables(prefix):
    for name in _pages("dynamodb", "list_tables", "TableNames"):
        yield name, deploy.arn("dynamodb", f"table/{name}")


def _buckets(prefix):
    for bucket in clients.of("s3").list_buckets()["Buckets"]:
        yield bucket["Name"], f"arn:aws:s3:::{bucket['Name']}"


def _delete_bucket(arn):
    s3, bucket = clients.of("s3"), name_in(arn)
    for item in _pages("s3", "list_objects_v2", "Contents", Bucket=bucket):
        s3.delete_object(Bucket=bucket, Key=item["Key"])
    s3.delete_bucket(Bucket=bucket)


def _delete_role(arn):
    iam, name = clients.of("iam"), name_in(arn)
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName=name)


KINDS = (
    Kind("stack", r":cloudformation:.*:stack/", _stacks, _delete_stack),
    Kind(
        "HTTP API",
        r":apigateway:.*:/apis/",
        _http_apis,
        lambda arn: clients.of("apigatewayv2").delete_api(ApiId=arn.split("/")[2]),
    ),
    Kind(
        "REST API",
        r":apigateway:.*:/restapis/",
        _rest_apis,
        lambda arn: clients.of("apigateway").delete_rest_api(restApiId=arn.split("/")[2]),
    ),
    Kind("rule", r":events:.*:rule/", _rules, _delete_rule),
    Kind(
        "schedule group",
        r":scheduler:.*:schedule-group/",
        _named("scheduler", "list_schedule_groups", "ScheduleGroups", "Arn", "Name"),
        lambda arn: clients.of("scheduler").delete_schedule_group(Name=name_in(arn)),  # with the schedules in it
    ),
    Kind(
        "alarm",
        r":cloudwatch:.*:alarm:",
        _named("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmArn", "AlarmName"),
        lambda arn: clients.of("cloudwatch").delete_alarms(AlarmNames=[name_in(arn)]),
    ),
    Kind(
        "state machine",
        r":states:.*:stateMachine:",
        _named("stepfunctions", "list_state_machines", "stateMachines", "stateMachineArn", "name"),
        deploy.delete_state_machine,  # with its executions
    ),
    Kind(
        "function",
        r":lambda:.*:function:",
        _named("lambda", "list_functions", "Functions", "FunctionArn", "FunctionName"),
        _delete_function,
    ),
    # After what writes into it, which would make it anew.
    Kind(
        "log group",
        r":logs:.*:log-group:",
        _log_groups,
        lambda arn: clients.of("logs").delete_log_group(logGroupName=arn.split(":", 6)[6]),
    ),
    Kind(
        "replication task",
        r":dms:.*:task:",
        _named(
            "dms", "describe_replication_tasks", "ReplicationTasks", "ReplicationTaskArn", "ReplicationTaskIdentifier"
        ),
        delete_task,
    ),
    Kind(
        "endpoint",
        r":dms:.*:endpoint:",
        _named("dms", "describe_endpoints", "Endpoints", "EndpointArn", "EndpointIdentifier"),
        _delete_endpoint,
    ),
    Kind(
        "replication instance",
        r":dms:.*:rep:",
        _named(
            "dms",
            "describe_replication_instances",
            "ReplicationInstances",
            "ReplicationInstanceArn",
            "ReplicationInstanceIdentifier",
        ),
        _delete_replication_instance,
    ),
    Kind("queue", r":sqs:", _queues, _delete_queue),
    Kind(
        "topic",
        r":sns:",
        _named("sns", "list_topics", "Topics", "TopicArn"),
        lambda arn: clients.of("sns").delete_topic(TopicArn=arn),
    ),
    Kind(
        "event bus",
        r":events:.*:event-bus/",
        _buses,
        lambda arn: clients.of("events").delete_event_bus(Name=name_in(arn)),
    ),
    Kind("table", r":dynamodb:.*:table/", _tables, lambda arn: deploy.delete_table(name_in(arn))),
    Kind("bucket", r":s3:::", _buckets, _delete_bucket),
    Kind("role", r":iam:.*:role/", _named("iam", "list_roles", "Roles", "Arn", "RoleName"), _delete_role),
)


def kind_of(arn: str) -> Kind | None:
    """The kind of resource that an ARN is of; None for one that no lab makes."""
    return next((kind for kind in KINDS if re.search(kind.looks, arn)), None)
