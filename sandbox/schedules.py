"""Schedules that AWS refuses, of EventBridge Scheduler and of EventBridge's rules.

MiniStack takes almost any text for an expression, and one with a slip never fires. Which ones are refused, and how, is
recorded (localstack/localstack, scheduler/test_scheduler.snapshot.json and events/test_events_schedule.py). What the
sandbox's schedules do not do is refused by name: time zones other than UTC, and targets by way of `aws-sdk`.
"""

import datetime
import re
import time

from sandbox import permissions

_TARGETS = ("events", "lambda", "sns", "sqs", "states")
_RATE = re.compile(r"rate\(([1-9]\d*) (minute|hour|day)(s?)\)")
_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")


def install():
    """Put this over MiniStack's EventBridge and Scheduler, which it loads at its start anyway."""
    from ministack.services import eventbridge, scheduler

    put_rule, create, update = eventbridge._put_rule, scheduler._create_schedule, scheduler._update_schedule

    def put_rule_checked(data):
        if data.get("ScheduleExpression") and data.get("EventBusName", "default") != "default":
            message = "ScheduleExpression is supported only on the default event bus."
            return eventbridge.error_response_json("ValidationException", message, 400)
        return put_rule(data)

    def checked(change):
        def change_checked(name, body):
            if problem := _problem(body):
                return scheduler._error(400, "ValidationException", problem)
            answer = change(name, body)
            if answer[0] == 200:
                _begins_anew(name, body)
            return answer

        return change_checked

    eventbridge._put_rule = put_rule_checked
    eventbridge._validate_schedule_expression = lambda expression: (
        not expression or _is_rate(expression, strict=True) or _is_cron(expression)
    )
    scheduler._create_schedule, scheduler._update_schedule = checked(create), checked(update)


def reset():
    """Nothing is kept."""


def _begins_anew(name, body):
    """A schedule that was made or changed counts from now on: what one of that name has done is over."""
    from ministack.core import responses
    from ministack.services import scheduler

    key = responses.get_account_id(), responses.get_region(), f"{body.get('GroupName', 'default')}/{name}"
    if _is_at(body["ScheduleExpression"]):
        scheduler._schedule_last_fired.pop(key, None)
    else:
        scheduler._schedule_last_fired[key] = time.time()


def _problem(body):
    """What is wrong with a schedule, as a sentence; None if nothing is, or MiniStack itself says it."""
    expression = body.get("ScheduleExpression") or ""
    if expression and not (_is_rate(expression) or _is_cron(expression) or _is_at(expression)):
        return f"Invalid Schedule Expression {expression}."
    zone = body.get("ScheduleExpressionTimezone") or "UTC"
    if zone != "UTC":
        return f"The sandbox's schedules are in UTC: ScheduleExpressionTimezone cannot be {zone}."
    for field, values in (("State", ("ENABLED", "DISABLED")), ("ActionAfterCompletion", ("NONE", "DELETE"))):
        if body.get(field, values[0]) not in values:
            return f"{field} must be one of {', '.join(values)}."
    window = body.get("FlexibleTimeWindow") or {}
    if window and window.get("Mode") not in ("OFF", "FLEXIBLE"):
        return "FlexibleTimeWindow.Mode must be one of OFF, FLEXIBLE."
    if (window.get("Mode") == "FLEXIBLE") != ("MaximumWindowInMinutes" in window):
        return "MaximumWindowInMinutes belongs to a FlexibleTimeWindow whose Mode is FLEXIBLE, and must be there."
    return _problem_of_target(body.get("Target") or {})


def _problem_of_target(target):
    arn, role = target.get("Arn"), target.get("RoleArn")
    if not arn or not role:
        return None
    service = (arn.split(":") + [""] * 3)[2]
    if service not in _TARGETS:
        return f"The sandbox has no targets such as {arn}. It has those of {', '.join(_TARGETS)}."
    if not permissions.trusts(role, "scheduler.amazonaws.com"):
        return "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
    return None


def _is_rate(expression, strict=False):
    """strict: as rules have it, in the singular after 1 and in the plural after all else."""
    rate = _RATE.fullmatch(expression)
    return bool(rate) and not (strict and (rate[1] == "1") == (rate[3] == "s"))


def _is_at(expression):
    moment = _AT.fullmatch(expression)
    try:
        return bool(moment and datetime.datetime.fromisoformat(moment[1]))
    except ValueError:
        return False


def _is_cron(expression):
    from ministack.services import eventbridge

    fields = eventbridge._parse_cron_fields(expression) if expression.startswith("cron(") else None
    if fields is None:
        return False
    minutes, hours, of_month, months, of_week, years, day, weekday = fields
    within = [(minutes, 0, 59), (hours, 0, 23), (months, 1, 12), (years or {1970}, 1970, 2199)]
    within += [(of_month["days"], 1, 31), (of_week["days"], 1, 7)]
    return (day == "?") != (weekday == "?") and all(low <= n <= high for ns, low, high in within for n in ns)
