"""The Resource Groups Tagging API finds what this workshop makes.

AWS's GetResources knows state machines, log groups, APIs, schedule groups, alarms and everything of DMS
(https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/supported-services.html). MiniStack's knows
Lambda, DynamoDB, S3, SQS and EventBridge; here are the others. As on AWS, IAM roles are not found by it.
"""


def install():
    from ministack.services import tagging

    tagging._COLLECTORS.update(
        states=_state_machines,
        logs=_log_groups,
        apigateway=_apis,
        dms=_migrations,
        scheduler=_schedule_groups,
        cloudwatch=_alarms,
    )


def reset():
    """Nothing is kept."""


# Each yields (ARN, tags as a list of Key and Value) of the account and Region that the request is for.


def _state_machines():
    from ministack.services import stepfunctions

    for arn, tags in stepfunctions._tags.items():
        yield arn, [{"Key": tag["key"], "Value": tag["value"]} for tag in tags]


def _log_groups():
    from ministack.services import cloudwatch_logs

    for group in cloudwatch_logs._log_groups.values():
        yield group["arn"].removesuffix(":*"), _listed(group["tags"])


def _apis():
    from ministack.services import apigateway, apigateway_v1

    for found in (apigateway._api_tags, apigateway_v1._v1_tags):
        for arn, tags in found.items():
            yield arn, _listed(tags)


def _schedule_groups():
    from ministack.services import scheduler

    for arn, tags in scheduler._tags.items():
        yield arn, _listed(tags)


def _alarms():
    from ministack.services import cloudwatch

    for arn, tags in cloudwatch._resource_tags.items():
        yield arn, _listed(tags)


def _migrations():
    from sandbox import dms

    for arn, tags in dms.tags().items():
        yield arn, _listed(tags)


def _listed(tags):
    return [{"Key": key, "Value": value} for key, value in tags.items()]
