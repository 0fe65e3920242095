"""Events: a rule with its target in one call, and events that go wrong on purpose."""

import json
from contextlib import suppress

from workshop import account, clients, deploy, sandbox

# The events that end a run of a replication task, as `detail.eventType` names them.
ENDINGS = ("REPLICATION_TASK_STOPPED", "REPLICATION_TASK_FAILED")


def rule(name, function, *, pattern=None, schedule=None, input=None):
    """A rule on the default event bus that hands what matches to a function, with the permission for it; gives its ARN.

    function: the ARN of a function.
    pattern: which events, as a dict or JSON text
        (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html).
    schedule: or when, such as "rate(5 minutes)".
    input: what the function gets in place of the event, a dict.
    A rule of that name is replaced, and enabled. On AWS it can take a minute until a new rule sees its first event.
    """
    account.require()
    events = clients.of("events")
    matches = {"EventPattern": pattern if isinstance(pattern, str) else json.dumps(pattern)} if pattern else {}
    when = {"ScheduleExpression": schedule} if schedule else {}
    arn = events.put_rule(Name=name, State="ENABLED", Tags=deploy.tag_list(name), **matches, **when)["RuleArn"]
    instead = {"Input": json.dumps(input)} if input else {}
    events.put_targets(Rule=name, Targets=[{"Id": "function", "Arn": function, **instead}])
    permit(function, "events.amazonaws.com", arn)
    return arn


def permit(function, service, source):
    """Let a service invoke a function for one source, such as a rule: a statement in the function's own policy.

    function, source: ARNs. service: as in "events.amazonaws.com". The statement is named after the source: "from-ended"
    for the rule "ended".
    """
    client = clients.of("lambda")
    statement = f"from-{source.rpartition('/')[2]}"
    with suppress(client.exceptions.ResourceConflictException):  # it is there already
        client.add_permission(
            FunctionName=function,
            StatementId=statement,
            Action="lambda:InvokeFunction",
            Principal=service,
            SourceArn=source,
        )


def fault(kind, migration, **options):
    """Let the event with which a migration's next run ends go wrong, once, or a call. Only the sandbox can do that.

    kind: "drop": it is never sent; "duplicate": sent twice; "delay": sent `seconds` later (2); "early": sent before the
        call that started the migration returns, which it does `seconds` later (0.5); "reorder": see sandbox/README.md.
        Of calls: "throttle": the next time that somebody asks how it stands, DMS refuses; "unanswered": the next call
        that starts it does so, and ends with an error all the same; "stale": the next time that somebody asks how it
        stands, DMS tells how it stood before its latest run began, or ended; with status="stopping" that it is that.
    migration: a Migration. options: more of a fault, such as seconds=3 or count=2.
    """
    if not sandbox.in_use():
        raise sandbox.SandboxError("On AWS events go wrong too, but not on request: this needs the sandbox.")
    which = {} if kind in ("throttle", "unanswered", "stale") else {"events": ENDINGS}
    sandbox.add_faults({"fault": kind, "task_arn": migration.arn, "count": 1, **which, **options})
