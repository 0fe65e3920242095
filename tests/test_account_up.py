"""`workshop account up`, `status` and `down`: each path of them, in an account that is played (tests/an_account.py)."""

import datetime
import json
import re
import string
import subprocess

import an_account
import botocore.exceptions
import pytest

from workshop import account, cli, clients, environments, real_account, sandbox
from workshop.costs import labs
from workshop.costs.prices import PRICES
from workshop.setting_up import command, stack, template

UP = ["account", "up", "--email", "a@example.com", "--learners", "ann,bo", "--yes"]


@pytest.fixture
def there(monkeypatch):
    """An account with nothing in it, which this process is led to."""
    there = an_account.Account()
    monkeypatch.setattr(clients, "of", there.of)
    monkeypatch.setattr(stack, "PAUSE", 0)
    monkeypatch.setattr(account, "_real", None)
    found = real_account.Found(an_account.NUMBER, an_account.REGION, None, ())
    monkeypatch.setattr(real_account, "examined", lambda: found)
    monkeypatch.setenv("WORKSHOP_TARGET", "aws")
    monkeypatch.delenv("WORKSHOP_LEARNER", raising=False)
    return there


@pytest.fixture
def run(there, capsys):
    """run("account", "up", ...) -> (exit status, all that was said)."""

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            cli.main(list(words))
        said = capsys.readouterr().out
        # Python prints a text that SystemExit has, and exits with 1.
        return (1, said + ended.value.code) if isinstance(ended.value.code, str) else (ended.value.code, said)

    return run


def is_up(there):
    return (
        there.now["status"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
        and there.instance == "available"
        and there.now["parameters"]["Instance"] == "yes"
        and all(policy in str(there.roles[role]["policies"]) for role, policy in an_account.FINE.items())
    )


def brake(there):
    """Hours until the brake."""
    at = datetime.datetime.fromisoformat(there.schedule[3:-1]).replace(tzinfo=datetime.UTC)
    return (at - datetime.datetime.now(datetime.UTC)).total_seconds() / 3600


# -- up ----------------------------------------------------------------------------------------------------------------


def test_the_first_time_all_is_made(there, run):
    ended, said = run(*UP)
    assert (ended, is_up(there)) == (0, True)
    assert there.made() == [*["create_role", "attach_role_policy"] * 2, "create_stack"]
    assert brake(there) == pytest.approx(8, abs=0.1)
    assert "about 0.018 USD an hour" in said and "0.14 USD until then" in said
    assert "A day of forgetting costs 0.43 USD" in said
    assert re.search(r"\d\d:\d\d:\d\d  CREATE_COMPLETE +stop-polling\n", said)
    assert "bo: role stop-polling-learner-bo, WORKSHOP_LEARNER=bo" in said
    assert "The brake deletes tasks and instance at" in said


def test_more_learners_than_the_instance_serves_at_once_are_told(there, run):
    told = "The instance serves 2 learners who do the same lab at the same time"
    assert told not in run(*UP)[1]
    assert told in run("account", "up", "--learners", "ann,bo,cy", "--yes")[1]


def test_again_nothing_is_done(there, run):
    run(*UP)
    run(*UP)  # CloudFormation is asked whether the template is another one
    before, at = there.made(), there.schedule
    ended, _ = run("account", "up", "--yes")
    assert (ended, is_up(there), there.schedule) == (0, True, at)
    assert there.made() == [*before, "update_stack"]
    assert there.now["parameters"]["Learners"] == "ann,bo"  # what is not said stays
    assert there.now["status"] == "UPDATE_COMPLETE" and not there.now["then"]


def test_the_brake_can_be_moved(there, run):
    run(*UP)
    assert run("account", "up", "--hours", "2", "--yes")[0] == 0
    assert brake(there) == pytest.approx(2, abs=0.1)


def test_after_the_brake_the_instance_is_made_anew(there, run):
    run(*UP)
    there.now["parameters"]["BrakeAt"] = "2026-01-01T00:00:00"
    there.instance = None  # deleted by the brake, without CloudFormation
    assert "There is no replication instance" in run("account", "status")[1]
    ended, said = run("account", "up", "--yes")
    assert (ended, is_up(there)) == (0, True)
    assert "CloudFormation is told first" in said
    assert brake(there) == pytest.approx(8, abs=0.1)


def test_it_asks_and_takes_only_yes(there, run, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer in ("", "no", "y"):
        monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
        ended, said = run(*UP[:-1])
        assert (ended, there.made()) == (1, [])
        assert said.endswith("Nothing was done.") and "USD an hour" in said
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    assert run(*UP[:-1])[0] == 0


def test_where_nobody_can_be_asked_it_does_nothing(there, run):
    ended, said = run(*UP[:-1])
    assert (ended, there.made()) == (1, [])
    assert "Say --yes if it is" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--learners", "ann"], "Say whom the budget shall tell: workshop account up --email"),
        (["--email", "a@example.com", "--learners", "Ann"], "use lower-case letters"),
        (["--email", "a@example.com", "--learners", "ann,ann-b"], "A learner ann could change what belongs to ann-b"),
        (["--email", "a@example.com", "--learners", "stop"], "A learner stop could change what `workshop account up`"),
        (["--email", "a@example.com", "--hours", "0"], "--hours is 0, but it is a number above 0"),
        (["--email", "a@example.com", "--hours", "1000"], "at most 72"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(there, run, words, sentence):
    ended, said = run("account", "up", "--yes", *words)
    assert (ended, there.made()) == (1, [])
    assert sentence in said


@pytest.mark.parametrize("words", [UP, ["account", "status"], ["account", "down"]])
def test_the_sandbox_needs_none_of_it(there, run, words, monkeypatch):
    monkeypatch.delenv("WORKSHOP_TARGET")
    monkeypatch.setattr(sandbox, "hold", lambda: pytest.fail("a sandbox was started"))
    ended, said = run(*words)
    assert (ended, there.calls) == (1, [])
    assert "the sandbox needs none of it" in said


@pytest.mark.parametrize("words", [UP, ["account", "status"], ["account", "down"]])
def test_an_account_that_was_not_named_is_not_touched(there, run, words, monkeypatch):
    def refuse():
        raise real_account.AccountError("WORKSHOP_ACCOUNT names another one. Nothing was done.")

    monkeypatch.setattr(real_account, "examined", refuse)
    assert run(*words) == (1, "workshop: WORKSHOP_ACCOUNT names another one. Nothing was done.")
    assert there.calls == []


# -- the roles of DMS --------------------------------------------------------------------------------------------------


def test_roles_that_are_there_are_left_as_they_are(there, run):
    for name in an_account.FINE:
        there.role(name)
    assert run(*UP)[0] == 0
    assert there.made() == ["create_stack"]


@pytest.mark.parametrize(
    "services", [["ec2.amazonaws.com", "dms.amazonaws.com"], "dms.amazonaws.com"], ids=["several", "one"]
)
def test_a_role_may_let_others_in_too(there, run, services):
    for name in an_account.FINE:
        there.role(name, service=services)
    assert run(*UP)[0] == 0


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (
            {"service": "ec2.amazonaws.com"},
            "may not assume it. .*aws iam update-assume-role-policy --role-name dms-vpc",
        ),
        ({"policies": []}, "exists without the policy .*aws iam attach-role-policy --role-name dms-vpc-role"),
    ],
)
def test_a_role_that_does_not_do_is_named_with_the_remedy(there, run, changed, sentence):
    there.role("dms-vpc-role", **changed)
    there.role("dms-cloudwatch-logs-role")
    ended, said = run(*UP)
    assert (ended, there.made()) == (1, [])
    assert re.search(sentence, said) and said.endswith("Nothing was done.")


def test_dms_is_asked_again_while_it_does_not_see_its_new_role(there, run):
    there.blind = 2
    ended, said = run(*UP)
    assert (ended, is_up(there)) == (0, True)
    assert said.count("DMS does not see its new role yet") == 2
    assert there.made()[-5:] == ["create_stack", "delete_stack"] * 2 + ["create_stack"]


def test_but_not_for_ever(there, run):
    there.blind = 9
    ended, said = run(*UP)
    assert ended == 1 and "is not configured properly" in said and "Wait a minute" in said
    assert there.made().count("create_stack") == 3


# -- bad days ----------------------------------------------------------------------------------------------------------

FAILURES = {
    "quota": ("VpcLimitExceeded: The maximum number of VPCs has been reached.", "Service Quotas"),
    "capacity": ("InsufficientResourceCapacityFault", "no replication instance to give"),
    "name taken": ("stop-polling-boundary already exists", "of somebody else or of a stack"),
    "permission": ("User is not authorized to perform: ec2:CreateVpc", "An administrator's are needed"),
    "anything": ("Something broke", "Mend that"),
}


@pytest.mark.parametrize(("reason", "remedy"), FAILURES.values(), ids=FAILURES)
def test_why_a_stack_failed_is_said_with_the_remedy_and_up_goes_on(there, run, reason, remedy):
    there.fails = [reason]
    ended, said = run(*UP)
    assert ended == 1
    assert f"SubnetGroup: {reason}" in said and remedy in said and "cancelled" not in said.splitlines()[-1]
    ended, said = run(*UP)
    assert (ended, is_up(there)) == (0, True)
    assert "is ROLLBACK_COMPLETE, which can only be deleted" in said


def test_a_change_that_fails_leaves_what_was_there(there, run):
    run(*UP)
    there.fails = ["ResourceQuotaExceededFault"]
    ended, said = run("account", "up", "--hours", "3", "--yes")
    assert ended == 1 and "the stack is UPDATE_ROLLBACK_COMPLETE" in said and "Service Quotas" in said
    assert there.instance == "available"
    assert run("account", "up", "--hours", "3", "--yes")[0] == 0


def _status(status, *then):
    return {"status": status, "then": then}


@pytest.mark.parametrize(
    "found",
    [
        _status("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"),
        _status("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"),
        _status("ROLLBACK_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"),
        _status("ROLLBACK_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_FAILED"),
        _status("ROLLBACK_COMPLETE"),
        _status("ROLLBACK_FAILED"),
        _status("CREATE_FAILED"),
        _status("REVIEW_IN_PROGRESS"),
        _status("DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"),
        _status("DELETE_IN_PROGRESS", "DELETE_FAILED"),
        _status("DELETE_FAILED"),
        _status("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"),
        _status(
            "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"
        ),
        _status("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"),
        _status("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED"),
        _status("UPDATE_ROLLBACK_FAILED"),
        _status("UPDATE_ROLLBACK_COMPLETE"),
    ],
    ids=lambda found: "-".join([found["status"], *found["then"][-1:]]),
)
def test_whatever_state_the_stack_is_in_up_goes_on_from_there(there, run, found):
    for name in an_account.FINE:
        there.role(name)
    there.stack(**found, BrakeAt="2099-01-01T00:00:00")
    there.now["has"] = found["status"].startswith("UPDATE") or None
    there.instance = "available" if found["status"].startswith("UPDATE") else None
    ended, said = run(*UP)
    assert (ended, is_up(there)) == (0, True), said


CODES = {
    "expired": ("ExpiredToken", "Sign in again"),
    "throttled": ("Throttling", "Wait a minute"),
    "forbidden": ("AccessDenied", "An administrator's are needed"),
    "quota": ("LimitExceededException", "Service Quotas"),
    "anything": ("InternalFailure", "Find out why"),
}


def _steps(there, run, words):
    run(*words)
    return len(there.calls)


def _fresh(there):
    there.__init__()


@pytest.mark.parametrize(("code", "remedy"), CODES.values(), ids=CODES)
@pytest.mark.parametrize("operation", ["get_role", "create_role", "create_stack", "describe_stack_events"])
def test_what_is_refused_is_said_with_the_remedy(there, run, operation, code, remedy):
    there.before = _at(0, an_account.Refused(code, "no"), operation)
    ended, said = run(*UP)
    assert ended == 1 and code in said and remedy in said


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (botocore.exceptions.UnauthorizedSSOTokenError(), "Sign in again"),
        (botocore.exceptions.CredentialRetrievalError(provider="p", error_msg="e"), "Sign in again"),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="https://iam"), "AWS cannot be asked"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("operation", ["get_role", "describe_stack_events", "describe_stacks"])
def test_what_boto3_cannot_do_is_said_with_the_remedy(there, run, operation, error, remedy):
    there.before = _at(0, error, operation)
    ended, said = run(*UP)
    assert ended == 1 and remedy in said and "the same command" in said


def test_when_credentials_expire_at_any_step_up_goes_on(there, run):
    for nth in range(_steps(there, run, UP)):
        _fresh(there)
        there.before = _at(
            nth, an_account.Refused("ExpiredToken", "The security token included in the request is expired")
        )
        ended, said = run(*UP)
        assert ended == 1 and "Sign in again" in said, f"at call {nth}: {said}"
        there.before = lambda operation: None
        assert (run(*UP)[0], is_up(there)) == (0, True), f"after call {nth}"


def test_interrupted_between_any_two_steps_up_goes_on(there, run):
    for nth in range(_steps(there, run, UP)):
        _fresh(there)
        there.before = _at(nth, KeyboardInterrupt())
        ended, said = run(*UP)
        assert ended == 130
        assert "Interrupted. What CloudFormation has begun it does" in said or not there.made() or is_up(there)
        there.before = lambda operation: None
        assert (run(*UP)[0], is_up(there)) == (0, True), f"after call {nth}"


def test_interrupted_between_any_two_steps_down_goes_on(there, run):
    run(*UP)
    before = len(there.calls)
    run("account", "down")
    for nth in range(before, len(there.calls)):
        _fresh(there)
        run(*UP)
        there.before = _at(nth - before, KeyboardInterrupt())
        assert run("account", "down")[0] == 130
        there.before = lambda operation: None
        assert run("account", "down")[0] == 0
        assert (there.now, there.instance, there.schedule) == (None, None, None), f"after call {nth}"


def _at(nth, error, only=None):
    """Raises the error before the call that is the nth from now on, of that operation where one is named."""
    left = iter(range(nth, -1, -1))

    def before(operation):
        if only in (None, operation) and next(left, None) == 0:
            raise error

    return before


# -- status ------------------------------------------------------------------------------------------------------------


def test_status_of_nothing(there, run):
    ended, said = run("account", "status")
    assert ended == 3 and "Nothing is set up here" in said


def test_status_says_what_there_is_and_what_it_costs(there, run):
    run(*UP)
    there.tasks = ["ann-01-airports", "ann-02-small", "bo-b-01-airports"]
    ended, said = run("account", "status")
    assert ended == 0
    assert "The replication instance is available, 3.0 hours old: about 0.05 USD so far." in said
    assert "Replication tasks of ann: 2." in said and "Replication tasks of bo-b: 1." in said
    assert "The brake deletes tasks and instance at" in said and "A day of forgetting" in said
    assert an_account.NUMBER not in said and "…6666" in said


@pytest.mark.parametrize("schedule", [None, "at(2026-01-01T00:00:00)"], ids=["none", "past"])
def test_an_instance_without_a_brake_ahead_is_said_loudly(there, run, schedule):
    run(*UP)
    there.schedule = schedule
    assert "There is NO brake ahead of it. `workshop account up --hours 8`" in run("account", "status")[1]


# -- down --------------------------------------------------------------------------------------------------------------


def test_down_deletes_the_stack_and_keeps_the_roles(there, run):
    run(*UP)
    ended, said = run("account", "down")
    assert (ended, there.now, there.instance, there.schedule) == (0, None, None, None)
    assert there.roles.keys() == an_account.FINE.keys()
    assert "dms-vpc-role and dms-cloudwatch-logs-role stay" in said
    assert run("account", "down") == (0, said.splitlines()[0] + "\nNothing is set up here.\n")


def test_down_refuses_while_somebody_has_something(there, run):
    run(*UP)
    before = there.made()
    there.tasks, there.bounded = ["bo-01-airports", "bo-01-small"], ["ann-04-migrate-lambda"]
    ended, said = run("account", "down")
    assert (ended, there.made()) == (1, before)
    assert "ann (0 replication tasks, 1 roles), bo (2 replication tasks, 0 roles)" in said
    assert "WORKSHOP_LEARNER=ann workshop clean" in said


def test_down_refuses_while_somebody_has_attached_a_policy(there, run):
    run(*UP)
    there.attached = ["stop-polling-learner-ann", "students"]
    ended, said = run("account", "down")
    assert ended == 1 and "others than its own roles: students." in said
    there.attached.remove("students")
    assert run("account", "down")[0] == 0


def test_down_names_the_network_interfaces_that_are_left(there, run):
    run(*UP)
    there.stuck = [{"FirstSubnet": "The subnet 'subnet-1' has dependencies and cannot be deleted."}]
    there.interfaces = [{"NetworkInterfaceId": "eni-1", "Description": "DMSNetworkInterface"}]
    ended, said = run("account", "down")
    assert ended == 1
    assert "the stack is DELETE_FAILED. FirstSubnet: The subnet" in said
    assert f"Network interfaces are left in {an_account.NETWORK}: eni-1 (DMSNetworkInterface)" in said
    assert run("account", "down")[0] == 0 and there.now is None


def test_what_the_brake_has_deleted_does_not_keep_the_rest(there, run):
    run(*UP)
    there.instance, there.stuck = None, [{"ReplicationInstance": "Replication instance not found"}]
    assert run("account", "down")[0] == 0 and there.now is None
    retained = [told for operation, told in there.calls if operation == "delete_stack"][-1]
    assert retained["RetainResources"] == ["ReplicationInstance"]


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "DELETE_FAILED", "UPDATE_ROLLBACK_COMPLETE"])
def test_down_takes_away_what_has_failed(there, run, status):
    there.stack(status)
    assert run("account", "down")[0] == 0 and there.now is None


# -- the template ------------------------------------------------------------------------------------------------------


def test_cfn_lint_finds_nothing(tmp_path):
    """In the template as CloudFormation gets it, with two learners."""
    made = tmp_path / "made.json"
    made.write_text(template.text(["ann", "bo-b"]), encoding="utf-8")
    environments.set_up([environments.DESIGNS])
    lint = [environments.DESIGNS.python.with_name("cfn-lint"), made]
    found = subprocess.run(lint, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_policies_stand_in_one_place():
    """What IAM gets is what is in workshop/data, but for what CloudFormation fills in."""
    made = json.loads(template.text(["ann"]))["Resources"]
    boundary = made["Boundary"]["Properties"]["PolicyDocument"]
    [policy] = made["LearnerRoleAnn"]["Properties"]["Policies"]
    for made, file in ((boundary, "boundary.json"), (policy["PolicyDocument"], "learner-policy.json")):
        plain = re.sub(r'\{"Fn::Sub": ("[^"]*")\}', r"\1", json.dumps(made)).replace("${!", "${")
        kept = (template.DATA / file).read_text(encoding="utf-8").replace("${Learner}", "ann")
        assert _listed(json.loads(plain)) == _listed(json.loads(kept))


def _listed(policy):
    """A policy whose resources are lists, though there be one."""
    for statement in policy["Statement"]:
        if isinstance(statement["Resource"], str):
            statement["Resource"] = [statement["Resource"]]
    return policy


def test_the_boundary_is_for_all_learners():
    made = template.text(["ann", "bo"])
    assert "Learner}" not in made
    document = json.loads(made)["Resources"]["Boundary"]["Properties"]["PolicyDocument"]
    resources = json.dumps([statement["Resource"] for statement in document["Statement"]])
    assert resources.count("ann-") == resources.count("bo-")
    with pytest.raises(real_account.AccountError, match="52 learners are more than one account can have"):
        template.text(f"{letter}{other}" for other in "12" for letter in string.ascii_lowercase)


def test_nothing_gets_out_of_the_network_but_to_s3_and_dynamodb():
    made = json.loads(template.text(["ann"]))["Resources"]
    kinds = {resource["Type"] for resource in made.values() if resource["Type"].startswith("AWS::EC2::")}
    assert kinds == {f"AWS::EC2::{kind}" for kind in (
        "VPC", "Subnet", "RouteTable", "SubnetRouteTableAssociation", "VPCEndpoint", "SecurityGroup")}  # fmt: skip
    instance = made["ReplicationInstance"]
    assert instance["Properties"]["PubliclyAccessible"] is False
    assert "BrakeSchedule" in instance["DependsOn"]  # what costs comes after what ends it


# -- what is written of it ---------------------------------------------------------------------------------------------

README = (environments.CHECKOUT / "README.md").read_text(encoding="utf-8")


def test_the_readme_has_the_table_of_minutes_and_usd():
    assert labs.table() in README


@pytest.mark.parametrize("lab", labs.LABS, ids=lambda lab: lab.name)
def test_the_minutes_of_a_lab_are_the_readme_s(lab):
    [row] = re.findall(rf"^\| {lab.name[:2]} \|.* (\d+) min \| (\d+) min \|$", README, re.MULTILINE)
    assert lab.minutes == sum(map(int, row))
    assert (environments.CHECKOUT / "solutions" / f"{lab.name}.ipynb").exists()
    assert not set(lab.used) - {name for name, _ in PRICES}


def test_the_page_has_the_numbers_of_the_code():
    page = " ".join((environments.CHECKOUT / "docs" / "account.md").read_text(encoding="utf-8").split())
    most = max(labs.LABS, key=lambda lab: lab.endpoints)
    assert f"lab {most.name[:2]} leave the most of them, {most.endpoints}" in page
    assert f"So **{labs.learners_at_once()} learners**" in page
    assert f"costs {24 * command.PRICE.usd:.2f} USD" in page and f"{command.PRICE.usd:.3f} USD an hour" in page
    assert f"the brake, {command.HOURS:g} the first time" in page and f"a month, {command.BUDGET} the first" in page
    template.text(f"learner-{letter}" for letter in "abcd")  # four roles
    assert all(f"`tests/{name}`" in page for name in ("test_account_up.py", "an_account.py", "test_account_brake.py"))
