"""A real AWS account, looked at before anything is made in it.

Each look only reads. What an account refuses to tell decides nothing.
"""

import dataclasses
import os

# What Lambda must run at once for checks to be as quick as they are in the sandbox: as many cases as one check plays.
AT_ONCE = 20
# Codes of AWS's errors for credentials whose time is over.
# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
# What to do then, and all that is said of it wherever they expire; how to go on follows.
SIGN_IN = "Sign in again (`aws sso login`, or as you did)"
HAVE_EXPIRED = f"The AWS credentials have expired. {SIGN_IN}"
_UNKNOWN_FUNCTION = "workshop-looks-whether-durable-functions-are-here"


class AccountError(Exception):
    """The account cannot be used; the message says what to do."""

    def _render_traceback_(self):
        return [str(self)]


@dataclasses.dataclass(frozen=True)
class Found:
    """id: twelve digits. endpoint: where its profile leads calls, None where to AWS. notes: what it lacks."""

    id: str
    region: str
    endpoint: str | None
    notes: tuple[str, ...]


def examined() -> Found:
    """The account of this process's AWS credentials, if the labs may run in it. Changes nothing.

    Raises AccountError, which says what to do: no account or another one was named, the credentials do not work, there
    is no Region, it is an organization's management account, or there are no durable functions.
    """
    import boto3  # only where it is used: it takes long to load

    named = os.environ.get("WORKSHOP_ACCOUNT", "")
    if not (named.isdigit() and len(named) == 12):
        raise AccountError(
            "WORKSHOP_TARGET is aws, so say which account: set WORKSHOP_ACCOUNT to its twelve digits. "
            "Use an account made for experiments; the labs create and delete resources in it."
        )
    session = _session(boto3)
    sts = session.client("sts")
    found = _who(sts)
    if found != named:
        raise AccountError(f"WORKSHOP_ACCOUNT names {named}, but the credentials belong to {found}. Nothing was done.")
    if _is_management_account(session, found):
        raise AccountError(
            f"{found} is the management account of an organization, on which all of its accounts depend. "
            "Use an account of it that was made for experiments. Nothing was done."
        )
    if not _has_durable_functions(session):
        raise AccountError(
            f"Lambda has no durable functions in {session.region_name}. Set AWS_REGION to a Region that has them, "
            "us-east-1 for example. Nothing was done."
        )
    endpoint = sts.meta.endpoint_url
    notes = [note for note in (_concurrency(session), _plan(session)) if note]
    return Found(found, session.region_name, None if ".amazonaws.com" in endpoint else endpoint, tuple(notes))


def _session(boto3):
    import botocore.exceptions

    try:
        session = boto3.Session()
    except botocore.exceptions.ProfileNotFound as error:
        raise AccountError(f"{error}. AWS_PROFILE names it. Nothing was done.") from None
    if not session.region_name:
        raise AccountError(
            "No Region is set. Set AWS_REGION, as in AWS_REGION=us-east-1, or a region in your AWS profile. "
            "Nothing was done."
        )
    return session


def _who(sts):
    import botocore.exceptions as errors

    then = "then run this again. Nothing was done."
    try:
        return sts.get_caller_identity()["Account"]
    except errors.ClientError as error:
        if error.response["Error"]["Code"] in EXPIRED:
            raise AccountError(f"{HAVE_EXPIRED}, {then}") from None
        raise AccountError(f"The AWS credentials of this notebook do not work: {error}. Nothing was done.") from None
    except (errors.NoCredentialsError, errors.PartialCredentialsError):
        raise AccountError(f"There are no AWS credentials here, or half of them. {SIGN_IN}, {then}") from None
    except (errors.SSOError, errors.TokenRetrievalError, errors.CredentialRetrievalError) as error:
        raise AccountError(f"The AWS credentials of this notebook cannot be had: {error}. {SIGN_IN}, {then}") from None
    except errors.BotoCoreError as error:
        raise AccountError(f"AWS cannot be asked who this is: {error}. Nothing was done.") from None


def _told(session, service, operation, **arguments):
    """(the answer, None) or (None, the code of the error); the code is "" where there was no answer."""
    import botocore.exceptions as errors
    from botocore.config import Config

    quick = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
    try:
        return getattr(session.client(service, config=quick), operation)(**arguments), None
    except errors.ClientError as error:
        return None, error.response["Error"]["Code"]
    except errors.BotoCoreError:
        return None, ""


def _is_management_account(session, account):
    """Whether it is, where one may look.

    https://docs.aws.amazon.com/organizations/latest/APIReference/API_DescribeOrganization.html
    """
    answer, _ = _told(session, "organizations", "describe_organization")
    return answer is not None and answer["Organization"].get("MasterAccountId") == account


def _has_durable_functions(session):
    """False where Lambda does not know their operations. No list of Regions stays true."""
    _, code = _told(
        session, "lambda", "list_durable_executions_by_function", FunctionName=_UNKNOWN_FUNCTION, Qualifier="$LATEST"
    )
    return code not in ("UnknownOperationException", "UnknownOperation", "InvalidAction")


def _concurrency(session):
    """https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: new accounts have less than others."""
    answer, _ = _told(session, "lambda", "get_account_settings")
    most = answer and answer["AccountLimit"]["UnreservedConcurrentExecutions"]
    if answer and most < AT_ONCE:
        return (
            f"Lambda runs {most} functions at once here, and a check calls up to {AT_ONCE}: some calls are throttled "
            "and made again, which takes longer. Service Quotas raises it (Concurrent executions)."
        )
    return None


def _plan(session):
    """https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_freetier_GetAccountPlanState.html"""
    answer, _ = _told(session, "freetier", "get_account_plan_state")
    if not answer or answer.get("accountPlanType") != "FREE":
        return None
    credits, until = answer.get("accountPlanRemainingCredits"), answer.get("accountPlanExpirationDate")
    left = f", with {credits['amount']:g} {credits['unit']} of credits left" if credits else ""
    return f"The account has AWS's free plan{f' until {until:%d %B %Y}' if until else ''}{left}."
