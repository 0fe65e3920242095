"""Events: a rule or a schedule with its target in one call, what becomes of what fails, and faults on purpose."""

import json
from contextlib import suppress

from workshop import account, clients, deploy, sandbox
from workshop.faults import needs_sandbox

# The events that end a run of a replication task, as `detail.eventType` names them.
ENDINGS = ("REPLICATION_TASK_STOPPED", "REPLICATION_TASK_FAILED")


def rule(name, function, *, pattern, input=None, dead_letters=None):
    """A rule on the default event bus that hands what matches to a function, with the permission for it; gives its ARN.

    function: the ARN of a function.
    pattern: which events, as a dict or JSON text
        (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html).
    input: what the function gets in place of the event, a dict.
    dead_letters: the ARN of a queue (`deploy.queue`) that keeps the events that could not be delivered.
    A rule of that name is replaced, and enabled. On AWS it can take a minute until a new rule sees its first event.
    """
    account.require()
    events = clients.of("events")
    pattern = pattern if isinstance(pattern, str) else json.dumps(pattern)
    arn = events.put_rule(Name=name, State="ENABLED", Tags=deploy.tag_list(name), EventPattern=pattern)["RuleArn"]
    instead = {"Input": json.dumps(input)} if input else {}
    events.put_targets(Rule=name, Targets=[{"Id": "function", "Arn": function, **instead}])
    permit(function, "events.amazonaws.com", arn)
    if dead_letters:
        keep_undelivered(name, dead_letters)
    return arn


def keep_undelivered(rule, queue):
    """Keep the events that a rule on the default event bus could not deliver: every target gets a dead-letter queue.

    rule: its name. queue: the ARN of a queue. What was delivered, and failed then, is not kept by this.
    EventBridge says nothing where it may not send to the queue, so the queue's own policy lets this rule do it:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
    """
    account.require()
    events = clients.of("events")
    _let_in(queue, events.describe_rule(Name=rule)["Arn"])
    targets = events.list_targets_by_rule(Rule=rule)["Targets"]
    events.put_targets(Rule=rule, Targets=[{**target, "DeadLetterConfig": {"Arn": queue}} for target in targets])


def _let_in(queue, rule):
    """Add a statement to a queue's policy that lets a rule send to it, beside those of other rules."""
    sqs = clients.of("sqs")
    url = sqs.get_queue_url(QueueName=queue.rpartition(":")[2])["QueueUrl"]
    present = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"]).get("Attributes", {}).get("Policy")
    others = [each for each in json.loads(present)["Statement"] if each["Sid"] != _sid(rule)] if present else []
    own = {
        "Sid": _sid(rule),
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [*others, own]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


def alarm(queue):
    """An alarm of CloudWatch that rings for as long as a message waits in a queue; returns its state.

    queue: its ARN. The alarm has the queue's name. States: "OK", "ALARM", and on AWS "INSUFFICIENT_DATA" until it has
    been looked at. It wakes nobody: for that it needs AlarmActions, which the sandbox refuses.
    """
    account.require()
    cloudwatch, name = clients.of("cloudwatch"), queue.rpartition(":")[2]
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": name}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",  # a queue that nobody uses sends no figures
        Tags=deploy.tag_list(name),
    )
    return cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]


def _sid(rule):
    return f"from-{rule.rpartition('/')[2]}"


def schedule(name, function, *, every, input, dead_letters=None):
    """A schedule of EventBridge Scheduler that invokes a function again and again; gives its ARN.

    function: the ARN of a function. every: "rate(5 minutes)", or a cron or at expression
        (https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html).
    input: what the function gets, a dict.
    dead_letters: the ARN of a queue (`deploy.queue`) for invocations that Scheduler could not make.
    Scheduler has a role of its own, which may invoke this function (and send to that queue) and do nothing else. A
    schedule cannot be tagged, so each is in a group of its own name, which can. A schedule of that name is replaced.
    """
    account.require()
    scheduler = clients.of("scheduler")
    with suppress(scheduler.exceptions.ConflictException):  # it is there already
        scheduler.create_schedule_group(Name=name, Tags=deploy.tag_list(name))
    may = {"lambda:InvokeFunction": function, **({"sqs:SendMessage": dead_letters} if dead_letters else {})}
    target = {
        "Arn": function,
        "RoleArn": deploy.role(f"{name}-scheduler", "scheduler", may),
        "Input": json.dumps(input),
        **({"DeadLetterConfig": {"Arn": dead_letters}} if dead_letters else {}),
    }
    wanted = {
        "Name": name,
        "GroupName": name,
        "ScheduleExpression": every,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": target,
    }
    try:
        return deploy.patiently(scheduler.create_schedule, **wanted)["ScheduleArn"]
    except scheduler.exceptions.ConflictException:
        return deploy.patiently(scheduler.update_schedule, **wanted)["ScheduleArn"]


def permit(function, service, source):
    """Let a service invoke a function for one source, such as a rule: a statement in the function's own policy.

    function, source: ARNs. service: as in "events.amazonaws.com". The statement is named after the source: "from-ended"
    for the rule "ended".
    """
    client = clients.of("lambda")
    with suppress(client.exceptions.ResourceConflictException):  # it is there already
        client.add_permission(
            FunctionName=function,
            StatementId=_sid(source),
            Action="lambda:InvokeFunction",
            Principal=service,
            SourceArn=source,
        )


def fault(kind, *migrations, **options):
    """Let the event with which each migration's next run ends go wrong, once, or a call. Only the sandbox can do that.

    kind: "drop": it is never sent; "duplicate": sent twice; "delay": sent `seconds` later (2); "early": sent before the
        call that started the migration returns, which it does `seconds` later (0.5); "reorder": see sandbox/README.md.
        Of calls: "throttle": the next time that somebody asks how it stands, DMS refuses; "unanswered": the next call
        that starts it does so, and ends with an error all the same; "stale": the next time that somebody asks how it
        stands, DMS tells how it stood before its latest run began, or ended; with status="stopping" that it is that.
        Of runs: "interrupt": the next one stops by itself half-way, for lack of memory or another `reason`.
    migrations: Migrations. options: more of a fault, such as seconds=3 or count=2.
    """
    needs_sandbox()
    which = {} if kind in ("throttle", "unanswered", "stale", "interrupt") else {"events": ENDINGS}
    sandbox.add_faults(*({"fault": kind, "task_arn": one.arn, "count": 1, **which, **options} for one in migrations))
