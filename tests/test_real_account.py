"""A real account is looked at before anything is made in it, and what is shown of it is masked.

No test has an AWS account. The sandbox plays one, as a profile's `endpoint_url` names it; what it cannot play is
answered by botocore's Stubber, in the shapes of AWS's models.
"""

import contextlib
import datetime
import os

import boto3
import botocore.exceptions
import nbformat
import pytest
from botocore.stub import Stubber
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient

from workshop import real_account
from workshop.environments import CHECKOUT
from workshop.masking import masked
from workshop.names import WORKSHOP

NUMBER = "444455556666"
PLAN = {"accountId": NUMBER, "accountPlanStatus": "ACTIVE"}
ORGANIZATION = {"Organization": {"MasterAccountId": "777788889999"}}


class Session:
    """boto3's session of an account that answers so: {operation: an answer, a code of an error, or an exception}."""

    region_name = "eu-west-1"

    def __init__(self, **answers):
        self._answers = {
            "get_caller_identity": {"Account": NUMBER},
            "describe_organization": ORGANIZATION,
            "list_durable_executions_by_function": "ResourceNotFoundException",
            "get_account_settings": {"AccountLimit": {"UnreservedConcurrentExecutions": 1000}},
            "get_account_plan_state": {**PLAN, "accountPlanType": "PAID"},
            **answers,
        }

    def client(self, service, config=None):
        keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}
        return Client(boto3.client(service, region_name=self.region_name, config=config, **keys), self._answers)


class Client:
    """A client whose operations have these answers, each in the shape of AWS's model."""

    def __init__(self, client, answers):
        self._client, self._answers, self.meta = client, answers, client.meta

    def __getattr__(self, operation):
        answer, stub = self._answers[operation], Stubber(self._client)
        if isinstance(answer, Exception):
            return lambda **_: _raise(answer)
        if isinstance(answer, str):
            stub.add_client_error(operation, answer)
        else:
            stub.add_response(operation, answer)
        stub.activate()
        return getattr(self._client, operation)


def _raise(error):
    raise error


@pytest.fixture
def examined(monkeypatch):
    """What is found of an account with these answers: examined(named=..., operation=answer)."""

    def examined(named=NUMBER, **answers):
        monkeypatch.setenv("WORKSHOP_ACCOUNT", named)
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        monkeypatch.setattr(real_account, "_session", lambda _: Session(**answers))
        return real_account.examined()

    return examined


def test_a_good_account_has_nothing_to_be_said(examined):
    assert examined() == real_account.Found(NUMBER, "eu-west-1", None, ())


@pytest.mark.parametrize(
    ("answers", "sentence"),
    {
        "not named": ({"named": ""}, "set WORKSHOP_ACCOUNT to its twelve digits"),
        "another one": ({"named": "111111111111"}, f"names 111111111111, but the credentials belong to {NUMBER}"),
        "expired": ({"get_caller_identity": "ExpiredToken"}, "have expired. Sign in again"),
        "wrong": ({"get_caller_identity": "InvalidClientTokenId"}, "do not work: .*InvalidClientTokenId"),
        "none": ({"get_caller_identity": botocore.exceptions.NoCredentialsError()}, "no AWS credentials here"),
        "no network": (
            {"get_caller_identity": botocore.exceptions.EndpointConnectionError(endpoint_url="https://sts")},
            "AWS cannot be asked who this is",
        ),
        "management": (
            {"describe_organization": {"Organization": {"MasterAccountId": NUMBER}}},
            "is the management account of an organization",
        ),
        "no durable functions": (
            {"list_durable_executions_by_function": "UnknownOperationException"},
            "no durable functions in eu-west-1. Set AWS_REGION",
        ),
    }.values(),
)
def test_what_cannot_be_used_is_refused_in_a_sentence(examined, answers, sentence):
    with pytest.raises(real_account.AccountError, match=sentence) as refused:
        examined(**answers)
    assert "Traceback" not in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("code", ["AccessDeniedException", "AWSOrganizationsNotInUseException"])
def test_what_may_not_be_looked_at_decides_nothing(examined, code):
    looks = ("describe_organization", "list_durable_executions_by_function", "get_account_settings")
    assert examined(**dict.fromkeys(looks, code), get_account_plan_state=code).notes == ()


def test_what_a_new_account_lacks_is_said(examined):
    notes = examined(
        get_account_settings={"AccountLimit": {"UnreservedConcurrentExecutions": 10}},
        get_account_plan_state={
            **PLAN,
            "accountPlanType": "FREE",
            "accountPlanRemainingCredits": {"amount": 88.5, "unit": "USD"},
            "accountPlanExpirationDate": datetime.datetime(2027, 1, 5, tzinfo=datetime.UTC),
        },
    ).notes
    assert notes[0].startswith("Lambda runs 10 functions at once here")
    assert notes[1] == "The account has AWS's free plan until 05 January 2027, with 88.5 USD of credits left."


def test_without_a_region_nothing_is_asked(monkeypatch, tmp_path):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("WORKSHOP_ACCOUNT", NUMBER)
    with pytest.raises(real_account.AccountError, match="No Region is set"):
        real_account.examined()
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(real_account.AccountError, match=r"config profile \(nobody\) could not be found"):
        real_account.examined()


# -- in a notebook, with the sandbox as the real account ---------------------------------------------------------------


@pytest.fixture
def remote(sandbox, aws, tmp_path):
    """The environment of a process whose profile leads to an account that is not its sandbox.

    `workshop account up` was there, as far as a sandbox can show it: there is a replication instance for all.
    """
    dms = aws("dms")
    with contextlib.suppress(dms.exceptions.ResourceAlreadyExistsFault):
        dms.create_replication_instance(
            ReplicationInstanceIdentifier=WORKSHOP, ReplicationInstanceClass="dms.t3.micro", ResourceIdentifier=WORKSHOP
        )
    named = [{"Name": "replication-instance-id", "Values": [WORKSHOP]}]
    dms.get_waiter("replication_instance_available").wait(
        Filters=named, WaiterConfig={"Delay": 0.05, "MaxAttempts": 1000}
    )
    profile = (
        f"[profile experiments]\nregion = us-east-1\nendpoint_url = {sandbox['endpoint']}\n"
        f"aws_access_key_id = {sandbox['access_key_id']}\naws_secret_access_key = {sandbox['secret_access_key']}\n"
    )
    (tmp_path / "config").write_text(profile)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    yield ours | {
        "WORKSHOP_STATE": str(tmp_path / "state"),
        "WORKSHOP_TARGET": "aws",
        "WORKSHOP_ACCOUNT": sandbox["account"],
        "AWS_PROFILE": "experiments",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
    }
    state = tmp_path / "state"
    assert not state.exists() or not list(state.rglob("*.log"))  # no sandbox was started


@pytest.fixture
def kernel(remote):
    """run(code) -> all that the cell showed, in a kernel of that environment."""
    manager, client = start_new_kernel(kernel_name="python3", env=remote)

    def run(code):
        shown = []

        def listen(message):
            content = message["content"]
            if message["msg_type"] == "stream":
                shown.append(content["text"])
            elif message["msg_type"] in ("execute_result", "display_data"):
                shown.append(content["data"]["text/plain"])
            elif message["msg_type"] == "error":
                shown.append("\n".join(content["traceback"]))

        client.execute_interactive(code, timeout=60, output_hook=listen)
        return "".join(shown)

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_the_first_line_names_target_account_region_and_where_calls_go(kernel, sandbox):
    line = f"aws · account …3333 · us-east-1 · {sandbox['endpoint']} · calls to it may cost money"
    assert kernel("%load_ext workshop").splitlines()[0] == line
    assert kernel("%load_ext workshop").splitlines()[0] == line


def test_outputs_have_neither_handles_nor_the_account_s_number(kernel, sandbox, monkeypatch):
    kernel("%load_ext workshop")
    kernel(f"token = 'AQCMAAAAKgAAAAMAAAAA' + 'x' * 600; account = {sandbox['account']!r}")
    assert kernel("print('the token', token)") == "the token AQCMAAAA…\n"
    assert kernel("{'TaskToken': token}") == "{'TaskToken': 'AQCMAAAA…'}"
    assert "x" * 100 not in kernel("raise ValueError(token)")
    assert kernel("len(token), account == '111122223333'") == "(620, True)"


@pytest.mark.longest
@pytest.mark.takes(60)
@pytest.mark.parametrize(
    "name", ["01-polling-loop", "02-task-tokens-and-events", "03-callback-urls", "04-durable-functions"]
)
def test_solutions_pass_there(remote, monkeypatch, name):
    """As far as a sandbox can play an account. Checks leave out what goes wrong there on no request."""
    for variable in list(os.environ):
        if variable.startswith("AWS_"):
            monkeypatch.delenv(variable)
    for variable, value in remote.items():
        monkeypatch.setenv(variable, value)
    notebook = nbformat.read(CHECKOUT / "solutions" / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(CHECKOUT / "solutions")}}).execute()
    first = notebook.cells[next(nth for nth, cell in enumerate(notebook.cells) if cell.cell_type == "code")]
    assert first.outputs[0].text.startswith("aws · account …3333")


def test_a_number_is_replaced_and_a_picture_stays():
    said = f"arn:aws:states:eu-west-1:{NUMBER}:execution:a:b"
    assert masked(said, NUMBER) == "arn:aws:states:eu-west-1:111122223333:execution:a:b"
    picture = '<img src="data:image/png;base64,' + "A" * 500 + '">'
    assert masked(picture, NUMBER) == picture
    digest = "0123456789abcdef" * 4
    assert masked(digest, NUMBER) == digest
