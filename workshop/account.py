"""Which AWS account the cells of a notebook talk to.

By default it is the sandbox, a local AWS that starts by itself. With WORKSHOP_TARGET=aws it is the account of your own
credentials, and then WORKSHOP_ACCOUNT must name that account's twelve digits: nothing here ever runs against an account
that was not named.
"""

import dataclasses
import os
import sys

from workshop import real_account, sandbox
from workshop.real_account import AccountError

# The AWS account that was named and that this process was connected to; None where there is none.
_real = None


def require():
    """Raise AccountError where this process talks to no sandbox and to no account that was named.

    boto3 would take whatever credentials it finds, and make things in the account that they belong to.
    """
    if not _real and not os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://127.0.0.1:"):
        raise AccountError("This notebook is not connected: run its first cell, %load_ext workshop.")


def is_real():
    """Whether this process was connected to an AWS account that was named, and not to the sandbox."""
    return _real is not None


def is_far():
    """Whether calls go to AWS itself, where all takes longer, and not to a sandbox that plays an account."""
    return _real is not None and _real.endpoint is None


@dataclasses.dataclass(frozen=True)
class Account:
    """target: "sandbox" or "aws"; id: twelve digits; region; endpoint: where calls go, None where to AWS itself.

    notes: sentences on what a real account lacks.
    """

    target: str
    id: str
    region: str
    endpoint: str | None = None
    notes: tuple[str, ...] = ()

    def __str__(self):
        # Enough of a real account's number to know it by; notebooks are sent around.
        number = f"…{self.id[-4:]}" if self.target == "aws" else self.id
        parts = [self.target, f"account {number}", self.region]
        parts += [self.endpoint] if self.endpoint else []
        parts += ["calls to it may cost money"] if self.target == "aws" else []
        return "\n".join([" · ".join(parts), *self.notes])


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
    """Point this process at the sandbox of that status; returns the Account."""
    for variable in foreign_variables():
        os.environ.pop(variable, None)
    os.environ.update(environment(state))
    if "boto3" in sys.modules:
        # A default session that was used before would keep the credentials that it found then.
        sys.modules["boto3"].DEFAULT_SESSION = None
    return Account("sandbox", state["account"], state["region"], state["endpoint"])


def use_aws():
    """Look at the account of this process's AWS credentials, and from now on let it be used; returns the Account.

    Raises AccountError, as real_account.examined does.
    """
    global _real
    found = real_account.examined()
    _real = Account("aws", found.id, found.region, found.endpoint, found.notes)
    return _real


def connect():
    """Point this process at the target account, starting the sandbox if that is the target.

    Returns (Account, Lease): the lease keeps the sandbox alive as long as this process lives; None on AWS.
    Raises AccountError or sandbox.SandboxError.
    """
    target = os.environ.get("WORKSHOP_TARGET", "sandbox")
    if target == "aws":
        return use_aws(), None
    if target != "sandbox":
        raise AccountError(f"WORKSHOP_TARGET is {target!r}; it may be sandbox (the default) or aws.")
    state, lease = sandbox.hold()
    return use_sandbox(state), lease
