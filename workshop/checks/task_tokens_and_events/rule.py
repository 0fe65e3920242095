"""Exercise 3, the rule `ended`: what it matches, and whom it invokes."""

import json

from workshop import clients, deploy, logs
from workshop.checking import migrations
from workshop.checking.dms_events import MUST_MATCH, MUST_NOT_MATCH, TASK, stopped
from workshop.checking.exercises import Case, Exercise, Fault, contract
from workshop.checking.migrations import LONG
from workshop.checking.outcomes import NotYet
from workshop.checking.resources import function, invoke
from workshop.checking.waiting import until
from workshop.checks.task_tokens_and_events.parts import event_rule


class Rule(Exercise):
    title = "A rule for the end of a migration"
    hints = (
        "Look at the event that you saw, not at the API's field names: which fields differ between a start and an "
        "end? A pattern has the event's structure, with a list of allowed values at each leaf.",
        "Four things say enough: source, detail-type, detail.eventType with two values, and resources with a prefix. A "
        "failure has the category Failure, so a pattern with the category StateChange never sees one.",
        "put_targets tells the rule whom to invoke. The function has to let the rule in: call add_permission of the "
        "Lambda client, with Action lambda:InvokeFunction, Principal events.amazonaws.com and the rule's ARN as "
        "SourceArn.",
    )
    done = "The pattern is right about all events that were tried, and a real one was delivered."
    cases = {
        "ends": Case("events that end a run"),
        "others": Case("events that do not"),
        "delivered": Case("a migration that ended"),
    }

    def observe(self, lab, draw, cases):
        rule = event_rule(lab)
        function(lab, "resume")
        if not rule.get("EventPattern"):
            raise NotYet(
                "The rule has no event pattern.",
                "The rule has a pattern that matches the end of a replication task.",
                contract=self.contract[0].text,
            )
        seen = {}
        for case, samples in (("ends", MUST_MATCH), ("others", MUST_NOT_MATCH)):
            tasks = draw.random(case).sample(("airports", "orders", "small", "check-4"), 2)
            seen[case] = [
                each for name in tasks for each in _matched(rule["EventPattern"], samples, f"{lab.name(name)}-1a2b3c")
            ]
        if "delivered" in cases and not any(self.judge({case: seen[case]}) for case in ("ends", "others")):
            seen["delivered"] = _delivered(lab, rule)
        return seen

    @contract(
        "It matches every event with which a replication task of this lab stops, whoever stopped it, and every one "
        "with which it fails.",
        cases="ends",
    )
    def matches_ends(self, seen):
        for what, event, matches in seen:
            if not matches:
                return Fault(
                    f"The pattern does not match {what}:", "It matches the end of every run.", events=_shown(event)
                )

    @contract(
        "It matches nothing else: not that a task started or was modified, not instances, not DMS Serverless, not what "
        "other applications send.",
        cases="others",
    )
    def matches_nothing_else(self, seen):
        for what, event, matches in seen:
            if matches:
                return Fault(
                    f"The pattern matches {what}:", "It matches nothing but the end of a run.", events=_shown(event)
                )

    @contract(
        'Its target is the function `lab.name("resume")`, which gets the event as it is, and lets the rule in.',
        cases="delivered",
    )
    def delivers(self, seen):
        if seen["state"] == "DISABLED":
            return Fault("The rule is switched off.", "The rule is enabled.")
        if not seen["is a target"]:
            shown = ", ".join(seen["targets"]) or "none"
            return Fault(f"The targets of the rule are {shown}.", f"The function {seen['function']} is a target.")
        if seen["changed by"] and all(seen["changed by"]):
            return Fault(
                f"The rule's target has an {seen['changed by'][0]}: the function gets something else than the event.",
                "It gets the event as it is: the task's ARN is in its resources.",
            )
        if not seen["invoked"]:
            return Fault(
                f"A migration ended, the rule matched, and {seen['function']} was not invoked.",
                "The function's policy lets this rule invoke it.",
            )


def _matched(pattern, samples, task):
    """[(what it is, event, whether the pattern matches)], with a task's name in place of the samples'."""
    own, events = deploy.arn("dms", f"task:{task}"), clients.of("events")
    texts = [(what, json.dumps(event).replace(TASK, own)) for what, event in samples]
    return [
        (what, json.loads(text), events.test_event_pattern(EventPattern=pattern, Event=text)["Result"])
        for what, text in texts
    ]


def _shown(event):
    """The parts of an event that patterns look at, a line each."""
    lines = [f"source: {event['source']}, detail-type: {event['detail-type']}", f"resources: {event['resources']}"]
    keys = ("category", "eventType", "detailMessage", "eventName", "Status")
    return lines + [f"detail.{key}: {event['detail'][key]}" for key in keys if key in event["detail"]]


def _changed_by(target):
    """The field of a target by which its function gets something else than the event; "" for none."""
    if target.get("Input") is not None:
        return "Input"
    if target.get("InputPath") not in (None, "$"):
        return "InputPath"
    template = target.get("InputTransformer", {}).get("InputTemplate", "<aws.events.event.json>")
    return "" if template.strip() == "<aws.events.event.json>" else "InputTransformer"


def _delivered(lab, rule):
    """Whether the end of a real migration reaches the function, as a dict."""
    resume, name = function(lab, "resume"), lab.name("resume")
    targets = clients.of("events").list_targets_by_rule(Rule=rule["Name"])["Targets"]
    ours = [target for target in targets if target["Arn"] == resume or target["Arn"].startswith(f"{resume}:")]
    seen = {"state": rule["State"], "function": name, "invoked": False, "is a target": bool(ours)}
    seen |= {"targets": [target["Arn"] for target in targets], "changed by": [*map(_changed_by, ours)]}
    if rule["State"] != "DISABLED" and seen["is a target"]:
        with migrations.small_migrations(lab, {"announced": "finishes"}) as made:
            announced = made["announced"]
            invoke(resume, stopped(announced.arn))  # nobody waits for it: from here on its process is there, and quick
            before = logs.invocations(name)
            announced.start()
            until(lambda: migrations.ended(announced), LONG, "a migration to end")
            seen["invoked"] = until(lambda: logs.invocations(name) > before, 8, "a function to be invoked")
    return seen
