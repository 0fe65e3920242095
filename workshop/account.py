"""Which AWS account the cells of a notebook talk to.

By default it is the sandbox, a local AWS that starts by itself. With WORKSHOP_TARGET=aws it is the account of your own
credentials, and then WORKSHOP_ACCOUNT must name that account's twelve digits: nothing here ever runs against an account
that was not named.
"""

import dataclasses
import os
import sys

from workshop import sandbox


class AccountError(Exception):
    """The account cannot be used; the message says what to do."""

    def _render_traceback_(self):
        return [str(self)]


# Whether this process was connected to an AWS account that was named.
_on_aws = False


def require():
    """Raise AccountError where this process talks to no sandbox and to no account that was named.

    boto3 would take whatever credentials it finds, and make things in the account that they belong to.
    """
    if not _on_aws and not os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://127.0.0.1:"):
        raise AccountError("This notebook is not connected: run its first cell, %load_ext workshop.")


@dataclasses.dataclass(frozen=True)
class Account:
    """target: "sandbox" or "aws"; id: twelve digits; region; endpoint: the sandbox's address, None on AWS."""

    target: str
    id: str
    region: str
    endpoint: str | None = None

    def __str__(self):
        where = f" · {self.endpoint}" if self.endpoint else " · calls to it may cost money"
        return f"{self.target} · account {self.id} · {self.region}{where}"


def environment(state):
    """The variables with which any AWS SDK or CLI talks to the sandbox of that status; a dict of strings."""
    beside = [host for host in os.environ.get("NO_PROXY", "").split(",") if host not in ("", "127.0.0.1")]
    return {
        "AWS_ENDPOINT_URL": state["endpoint"],
        "AWS_ACCESS_KEY_ID": state["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": state["secret_access_key"],
        "AWS_DEFAULT_REGION": state["region"],
        "AWS_REGION": state["region"],
        # No profile, session token or file of a real account may get in between.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",  # SDKs would look for sync-127.0.0.1, which is nowhere
        "NO_PROXY": ",".join([*beside, "127.0.0.1"]),
    }


def foreign_variables():
    """The names of environment variables that would lead AWS calls elsewhere, a list."""
    names = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"]
    return names + [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL_")]


def use_sandbox(state):
    """Point this process at the sandbox of that status; gives the Account."""
    for variable in foreign_variables():
        os.environ.pop(variable, None)
    os.environ.update(environment(state))
    if "boto3" in sys.modules:
        # A default session that was used before would keep the credentials that it found then.
        sys.modules["boto3"].DEFAULT_SESSION = None
    return Account("sandbox", state["account"], state["region"], state["endpoint"])


def use_aws():
    """Check that the AWS credentials of this process belong to the account that was named; gives the Account.

    Raises AccountError, also where the AWS credentials do not work.
    """
    import boto3  # only where it is used: it takes long to load
    import botocore.exceptions

    global _on_aws
    named = os.environ.get("WORKSHOP_ACCOUNT", "")
    if not (named.isdigit() and len(named) == 12):
        raise AccountError(
            "WORKSHOP_TARGET is aws, so say which account: set WORKSHOP_ACCOUNT to its twelve digits. "
            "Use an account made for experiments; the labs create and delete resources in it."
        )
    try:
        session = boto3.Session()
        found = session.client("sts").get_caller_identity()["Account"]
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise AccountError(f"The AWS credentials of this notebook do not work: {error}") from None
    if found != named:
        raise AccountError(f"WORKSHOP_ACCOUNT names {named}, but the credentials belong to {found}. Nothing was done.")
    _on_aws = True
    return Account("aws", found, session.region_name)


def connect():
    """Point this process at the target account, starting the sandbox if that is the target.

    Gives (Account, Lease): the lease keeps the sandbox alive as long as this process lives; None on AWS.
    Raises AccountError or sandbox.SandboxError.
    """
    target = os.environ.get("WORKSHOP_TARGET", "sandbox")
    if target == "aws":
        return use_aws(), None
    if target != "sandbox":
        raise AccountError(f"WORKSHOP_TARGET is {target!r}; it may be sandbox (the default) or aws.")
    state, lease = sandbox.hold()
    return use_sandbox(state), lease
