"""`workshop account up`, `status` and `down`: what they do, in their order, and what they say."""

import collections
import datetime
import os
import sys
from contextlib import suppress

from workshop import account, clients
from workshop.costs import labs
from workshop.costs.prices import PRICES, US_EAST_1
from workshop.migrations import OF_DMS, find_instance, learners_on
from workshop.names import WORKSHOP, learner, learner_of
from workshop.real_account import AccountError
from workshop.setting_up import problems, roles, stack, template

HOURS = 8.0  # until the brake, where nobody says another number
MOST_HOURS = 72.0
BUDGET = 10  # USD a month
PRICE = PRICES[labs.INSTANCE, US_EAST_1]


def up(*, email=None, learners=None, hours=None, budget=None, sure=False) -> int:
    """Set the account up for the labs, or go on with that, or change what is asked for; returns the exit status.

    email: whom the budget tells. learners: names with commas between them. hours: until the brake. budget: USD a month.
    What is None stays as it is, and is what is usual where there is nothing yet. sure: ask nothing.
    Raises AccountError.
    """
    if hours is not None and not 0 < hours <= MOST_HOURS:
        raise AccountError(f"--hours is {hours:g}, but it is a number above 0, at most {MOST_HOURS:g}.")
    _connect()
    with problems.told():
        found = stack.find()
        before = {} if found and found["StackStatus"] in stack.FAILED else stack.parameters(found)
        values = {
            "Email": email or before.get("Email"),
            "BudgetUsd": f"{budget or before.get('BudgetUsd') or BUDGET}",
            "Learners": learners or before.get("Learners") or learner(),
        }
        if not values["Email"]:
            raise AccountError("Say whom the budget shall tell: workshop account up --email you@example.com.")
        made = template.text(values["Learners"].split(","))
        wanting = roles.missing()
        brake = _moment(before["BrakeAt"]) if "BrakeAt" in before else None
        if hours or not (brake and brake > _now()):
            brake = _now() + datetime.timedelta(hours=hours or HOURS)
        values["BrakeAt"] = f"{brake:%Y-%m-%dT%H:%M:%S}"
        _tell_plan(values, wanting, brake)
        if not sure:
            _ask()
        try:
            roles.make(wanting)
            settled = stack.settled()
            believed = settled and settled["StackStatus"] not in stack.FAILED and stack.parameters(settled)["Instance"]
            if believed == "yes" and find_instance(WORKSHOP) is None:
                print("The brake has deleted the replication instance. CloudFormation is told first.", flush=True)
                stack.make(made, {**values, "Instance": "no"})
            stack.make(made, {**values, "Instance": "yes"})
        except KeyboardInterrupt:
            print(
                "\nInterrupted. What CloudFormation has begun it does without you. `workshop account up` goes on from "
                "there, and `workshop account down` takes all of it away.",
                flush=True,
            )
            raise
    print("The account is ready. Each learner signs in with the role of their name, and begins with `make lab`:")
    for name in values["Learners"].split(","):
        print(f"  {name}: role {WORKSHOP}-learner-{name}, WORKSHOP_LEARNER={name}")
    with problems.told():
        _tell_status()
    return 0


def status() -> int:
    """Say what there is, what it costs, and when the brake comes; returns 0, or 3 where nothing is set up."""
    _connect()
    with problems.told():
        return _tell_status()


def down() -> int:
    """Delete what `up` made, but for DMS's own roles; returns the exit status. Raises AccountError."""
    _connect()
    with problems.told():
        found = stack.find()
        if found is None:
            print("Nothing is set up here.")
            return 0
        _refuse_what_is_in_use()
        try:
            if left := stack.settled():
                stack.delete(left)
        except stack.NotDone as failure:
            raise AccountError(f"{failure} {_interfaces(found)}".rstrip()) from None
        except KeyboardInterrupt:
            print("\nInterrupted. CloudFormation goes on deleting; `workshop account down` shows how far it is.")
            raise
    print(f"All of it is gone. {' and '.join(roles.ROLES)} stay: other migrations of this account may need them, and "
          f"they cost nothing. The tables {' and '.join(OF_DMS)} stay, too, where DMS has made them; they cost nothing "
          "while nobody uses them.")  # fmt: skip
    return 0


# -- what there is -----------------------------------------------------------------------------------------------------


def _connect():
    if os.environ.get("WORKSHOP_TARGET") != "aws":
        raise AccountError(
            "This is for a real account; the sandbox needs none of it. Set WORKSHOP_TARGET=aws and WORKSHOP_ACCOUNT to "
            "its twelve digits."
        )
    connected, _ = account.connect()
    print(connected, flush=True)


def _brake():
    """When the brake comes, or came; None where there is none."""
    scheduler = clients.of("scheduler")
    with suppress(scheduler.exceptions.ResourceNotFoundException):
        expression = scheduler.get_schedule(Name=f"{WORKSHOP}-brake")["ScheduleExpression"]
        return _moment(expression.removeprefix("at(").removesuffix(")"))


def _refuse_what_is_in_use():
    """Raise AccountError where learners still have something that would be lost, or that the stack would wait for."""
    machine = find_instance(WORKSHOP)
    tasks = learners_on(machine) if machine else {}
    bounded, attached = _policies_in_use()
    made = collections.Counter(map(learner_of, bounded))
    if using := sorted({*tasks, *made}):
        told = ", ".join(f"{name} ({tasks.get(name, 0)} replication tasks, {made[name]} roles)" for name in using)
        raise AccountError(
            f"Some learners still have things in this account: {told}. Each of them runs `workshop clean`, or you do "
            f"it for them: WORKSHOP_LEARNER={using[0]} workshop clean. Nothing was done."
        )
    if attached:
        raise AccountError(
            f"Policies of the stack are attached to others than its own roles: {', '.join(attached)}. IAM deletes no "
            "policy that is attached. Detach them, then run the same command again. Nothing was done."
        )


def _policies_in_use():
    """(roles that have a policy of the stack for their boundary, whoever else has one attached), names.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicy.html
    """
    iam, bounded, attached = clients.of("iam"), [], []
    entities = iam.get_paginator("list_entities_for_policy")
    made = stack.resources()
    for policy in made.get("AWS::IAM::ManagedPolicy", []):
        for usage, into in (("PermissionsBoundary", bounded), ("PermissionsPolicy", attached)):
            for page in entities.paginate(PolicyArn=policy, PolicyUsageFilter=usage):
                into += [each[f"{kind}Name"] for kind in ("User", "Group", "Role") for each in page[f"Policy{kind}s"]]
    return bounded, [name for name in attached if name not in made.get("AWS::IAM::Role", [])]


def _interfaces(found):
    """What else may keep a network from being deleted: interfaces in it, in a sentence; "" where there are none."""
    network = stack.outputs(found).get("NetworkId")
    if not network:
        return ""
    ec2 = clients.of("ec2")
    here = [{"Name": "vpc-id", "Values": [network]}]
    left = ec2.describe_network_interfaces(Filters=here)["NetworkInterfaces"]
    told = ", ".join(f"{each['NetworkInterfaceId']} ({each.get('Description') or each['Status']})" for each in left)
    return (
        f"Network interfaces are left in {network}: {told}. DMS takes its own away some minutes later." if left else ""
    )


# -- what is said ------------------------------------------------------------------------------------------------------


def _tell_plan(values, wanting, brake):
    hours = (brake - _now()).total_seconds() / 3600
    print(
        f"This makes the stack {WORKSHOP}, or brings it up to date ({template.FILE} says what is in it), for "
        f"{values['Learners']}.\n"
        f"{f'It makes the roles {chr(32).join(wanting)}, which DMS needs. ' if wanting else ''}"
        f"The replication instance takes some ten minutes to make, where it is not there. From then on it costs "
        f"about {PRICE.usd:.3f} USD an hour, in use or not; all else here costs nothing while nobody works with it.\n"
        f"The brake deletes it at {_clock(brake)}: {hours * PRICE.usd:.2f} USD until then. {_forgotten()}\n"
        f"A budget of {values['BudgetUsd']} USD a month writes to {values['Email']}. It is late by hours, and it stops "
        "nothing."
    )
    for lab in labs.LABS:
        print(f"  lab {lab.name}: {lab.minutes} minutes, about {lab.usd:.2f} USD")
    if len(values["Learners"].split(",")) > labs.learners_at_once():
        print(
            f"The instance serves {labs.learners_at_once()} learners who do the same lab at the same time; more, where "
            "each of them runs `workshop clean` after a lab (docs/account.md says why)."
        )
    print(f"Prices are those of {US_EAST_1}, as read on {PRICE.read} ({PRICE.source}).", flush=True)


def _tell_status():
    found, machine = stack.find(), find_instance(WORKSHOP)
    if found is None and machine is None:
        print("Nothing is set up here: `workshop account up` does it.")
        return 3
    print(f"The stack {WORKSHOP} is {found['StackStatus'] if found else 'not there'}.")
    if machine is None:
        print("There is no replication instance, so nothing costs by the hour. `workshop account up` makes one.")
    else:
        state, since = machine["ReplicationInstanceStatus"], machine.get("InstanceCreateTime")
        age = (_now() - since).total_seconds() / 3600 if since else 0
        print(f"The replication instance is {state}, {age:.1f} hours old: about {age * PRICE.usd:.2f} USD so far.")
        for whose, count in learners_on(machine).items():
            print(f"Replication tasks of {whose}: {count}.")
    brake = _brake()
    if machine and not (brake and brake > _now()):
        print("There is NO brake ahead of it. `workshop account up --hours 8` sets one.")
    elif brake:
        print(f"The brake {'deletes' if brake > _now() else 'deleted'} tasks and instance at {_clock(brake)}.")
    print(_forgotten())
    return 0


def _ask():
    if not sys.stdin.isatty():
        raise AccountError("Nobody can be asked here whether that is right. Say --yes if it is. Nothing was done.")
    if input("Type yes to go on: ").strip().lower() != "yes":
        raise AccountError("Nothing was done.")


def _forgotten():
    return f"A day of forgetting costs {24 * PRICE.usd:.2f} USD, a month {730 * PRICE.usd:.0f} USD."


def _clock(moment):
    return f"{moment.astimezone():%d %B %H:%M} ({moment:%H:%M} UTC)"


def _moment(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


def _now():
    return datetime.datetime.now(datetime.UTC)
