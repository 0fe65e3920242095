"""What to do where AWS refuses: its codes and reasons, each with a remedy."""

import contextlib
import re

import botocore.exceptions as errors

from workshop.real_account import EXPIRED, HAVE_EXPIRED, AccountError

_GOES_ON = "then run the same command again: it goes on from where it is."

_SIGN_IN = f"{HAVE_EXPIRED}, {_GOES_ON} CloudFormation meanwhile does what it has begun."
# What DMS answers for about half a minute after its role was made, as people report:
# https://github.com/hashicorp/terraform-provider-aws/issues/11025
ROLE_NOT_SEEN = "dms-vpc-role is not configured properly"

# What AWS's codes of errors, and the reasons of a stack's events, have in them. The first that is found holds.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/CommonErrors.html and, of the reasons, what handlers
# of resource types say: https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-test-contract-errors.html
_REMEDIES = (
    ("|".join(sorted(EXPIRED)), _SIGN_IN),
    (
        ROLE_NOT_SEEN,
        f"DMS does not see its role yet, or the role cannot do what it is for. Wait a minute, {_GOES_ON}",
    ),
    (
        "Throttl|RequestLimitExceeded|TooManyRequests|Rate exceeded",
        f"AWS takes no more requests for the moment. Wait a minute, {_GOES_ON}",
    ),
    (
        "AccessDenied|UnauthorizedOperation|not authorized|UnauthorizedTaggingOperation",
        "These credentials may not do this. An administrator's are needed (docs/account.md says for what); sign in "
        f"with them, {_GOES_ON}",
    ),
    (
        r"LimitExceeded|QuotaExceeded|maximum number of|ServiceLimitExceeded|\b[Qq]uota\b",
        "A quota of this account is reached. Delete what is not needed of it, or ask for more in Service Quotas "
        f"(https://console.aws.amazon.com/servicequotas), {_GOES_ON}",
    ),
    (
        "InsufficientResourceCapacity|insufficient capacity",
        f"AWS has no replication instance to give in these Availability Zones now. Wait some minutes, {_GOES_ON}",
    ),
    (
        "already exists|AlreadyExists",
        "Something of that name is there already, of somebody else or of a stack that `workshop account up` made in "
        "another Region. Delete it, "
        f"{_GOES_ON}",
    ),
)
GONE = re.compile("NotFound|not found|does not exist|NoSuchEntity")


def remedy(said: str) -> str:
    """What to do about a code or a reason of AWS's; "" where nothing is known of it."""
    return next((what for signs, what in _REMEDIES if re.search(signs, said)), "")


@contextlib.contextmanager
def told():
    """In a block, what AWS refuses, or is not there to be asked, becomes an AccountError that says what to do."""
    try:
        yield
    except (errors.SSOError, errors.TokenRetrievalError, errors.CredentialRetrievalError, errors.NoCredentialsError):
        raise AccountError(_SIGN_IN) from None
    except errors.ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise AccountError(f"{error}. {remedy(code) or remedy(str(error)) or f'Find out why, {_GOES_ON}'}") from None
    except errors.BotoCoreError as error:
        raise AccountError(f"AWS cannot be asked: {error}. When it can be, {_GOES_ON}") from None
