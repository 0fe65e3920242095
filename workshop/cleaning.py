"""Find what the workshop made in the account, and delete it.

Everything that the workshop makes carries tags (workshop/names.py). The Resource Groups Tagging API finds resources of
nearly all services by tag; IAM roles, which it does not cover, are asked one by one. On AWS it can be some minutes
behind: run it again until it finds nothing.
"""

import re

from botocore.exceptions import BotoCoreError, ClientError

from workshop import account, clients
from workshop.deploy import delete_state_machine, delete_table, patiently, wait_until
from workshop.migrations import delete_task
from workshop.names import TAG, WORKSHOP, learner


def clean():
    """Delete everything of this learner, and print what is deleted; gives 0, or 1 where something is left."""
    account.require()
    left = 0
    for arn in find():
        reason = delete(arn)
        print(f"could not be deleted: {arn} ({reason})" if reason else f"deleted: {arn}", flush=True)
        left += bool(reason)
    print(f"Left: {left}. Run this again in a minute." if left else "Nothing left.")
    return 1 if left else 0


def find():
    """What the workshop made for this learner (WORKSHOP_LEARNER): a list of ARNs, in the order to delete them in."""
    wanted = {TAG: WORKSHOP, f"{TAG}:learner": learner()}
    filters = [{"Key": key, "Values": [value]} for key, value in wanted.items()]
    pages = clients.of("resourcegroupstaggingapi").get_paginator("get_resources").paginate(TagFilters=filters)
    arns = [resource["ResourceARN"] for page in pages for resource in page["ResourceTagMappingList"]]
    return sorted([*arns, *_roles(wanted)], key=lambda arn: (_place(arn), arn))


def delete(arn):
    """Delete a resource; gives None, or the reason why it could not be deleted. One that is gone already is no problem.

    On AWS a DMS replication instance takes minutes; this waits until it is gone, since until then it costs.
    """
    place = _place(arn)
    if place == len(_KINDS):
        return "the workshop does not know how to delete this"
    try:
        _KINDS[place][1](arn)
    except (ClientError, BotoCoreError) as error:
        code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
        if not re.search("NotFound|NoSuch|NonExistent|DoesNotExist", code):
            return str(error)
    return None


def _roles(wanted):
    """The ARNs of the roles with these tags. Only names as the workshop gives them are looked at."""
    iam = clients.of("iam")
    for page in iam.get_paginator("list_roles").paginate():
        for role in page["Roles"]:
            if role["RoleName"].startswith(f"{learner()}-"):
                tags = {tag["Key"]: tag["Value"] for tag in iam.list_role_tags(RoleName=role["RoleName"])["Tags"]}
                if wanted.items() <= tags.items():
                    yield role["Arn"]


def _delete_rule(arn):
    events = clients.of("events")
    bus, _, rule = arn.partition(":rule/")[2].rpartition("/")  # the default bus is not named in a rule's ARN
    rule_of_bus = {"EventBusName": bus or "default"}
    targets = events.list_targets_by_rule(Rule=rule, **rule_of_bus)["Targets"]
    if targets:
        events.remove_targets(Rule=rule, Ids=[target["Id"] for target in targets], **rule_of_bus)
    events.delete_rule(Name=rule, **rule_of_bus)


def _delete_bucket(arn):
    s3 = clients.of("s3")
    bucket = _name(arn)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=item["Key"])
    s3.delete_bucket(Bucket=bucket)


def _delete_role(arn):
    iam = clients.of("iam")
    name = _name(arn)
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName=name)


def _delete_queue(arn):
    sqs = clients.of("sqs")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=_name(arn))["QueueUrl"])


def _delete_endpoint(arn):
    dms = clients.of("dms")
    patiently(dms.delete_endpoint, EndpointArn=arn)
    wait_until(dms, "endpoint_deleted", Filters=[{"Name": "endpoint-arn", "Values": [arn]}])


def _delete_replication_instance(arn):
    dms = clients.of("dms")
    patiently(dms.delete_replication_instance, ReplicationInstanceArn=arn)
    wait_until(dms, "replication_instance_deleted", Filters=[{"Name": "replication-instance-arn", "Values": [arn]}])


def _name(arn):
    """What stands last in an ARN: you-01-start of arn:aws:lambda:us-east-1:111122223333:function:you-01-start."""
    return re.split("[:/]", arn)[-1]


# How the ARNs of a kind of resource look, and how one is deleted. What uses others stands before what it uses.
_KINDS = [
    (r":events:.*:rule/", _delete_rule),
    (
        r":scheduler:.*:schedule-group/",
        lambda arn: clients.of("scheduler").delete_schedule_group(Name=_name(arn)),  # with the schedules in it
    ),
    (r":cloudwatch:.*:alarm:", lambda arn: clients.of("cloudwatch").delete_alarms(AlarmNames=[_name(arn)])),
    (r":states:.*:stateMachine:", delete_state_machine),
    (r":apigateway:.*:/apis/", lambda arn: clients.of("apigatewayv2").delete_api(ApiId=arn.split("/")[2])),
    (r":apigateway:.*:/restapis/", lambda arn: clients.of("apigateway").delete_rest_api(restApiId=arn.split("/")[2])),
    (r":lambda:.*:function:", lambda arn: clients.of("lambda").delete_function(FunctionName=arn)),
    (r":logs:.*:log-group:", lambda arn: clients.of("logs").delete_log_group(logGroupName=arn.split(":", 6)[6])),
    (r":dms:.*:task:", delete_task),
    (r":dms:.*:endpoint:", _delete_endpoint),
    (r":dms:.*:rep:", _delete_replication_instance),
    (r":sqs:", _delete_queue),
    (r":events:.*:event-bus/", lambda arn: clients.of("events").delete_event_bus(Name=_name(arn))),
    (r":dynamodb:.*:table/", lambda arn: delete_table(_name(arn))),
    (r":s3:::", _delete_bucket),
    (r":iam:.*:role/", _delete_role),
]


def _place(arn):
    """Where in _KINDS an ARN belongs; behind them all if nowhere."""
    return next((place for place, (looks, _) in enumerate(_KINDS) if re.search(looks, arn)), len(_KINDS))
