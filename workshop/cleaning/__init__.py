"""Find what the workshop made in the account, and delete it: `workshop clean`, and the last cell of a lab.

Everything that the workshop makes carries tags and is named `<learner>-<lab>-<thing>` (workshop/names.py). The Resource
Groups Tagging API finds what is tagged, of nearly all services at once; on AWS it can be some minutes behind. So each
service is asked for names as well, which also finds what somebody made without tags. What another learner's tags are on
stays, whatever its name is.
"""

import collections
import contextlib
import dataclasses
import re
import time

from botocore.exceptions import BotoCoreError, ClientError

from workshop import account, clients, sandbox
from workshop.cleaning.kinds import KINDS, kind_of, name_in
from workshop.costs.labs import LABS
from workshop.executions import is_watched
from workshop.names import TAG, WORKSHOP, counted, learner
from workshop.real_account import EXPIRED, HAVE_EXPIRED, AccountError


@dataclasses.dataclass(frozen=True)
class Found:
    """arns: what is this learner's, in the order to delete it in. listed: those that their own service named.

    unseen: {kind of resource: why the account does not say which it has}.
    """

    arns: tuple[str, ...]
    listed: frozenset[str]
    unseen: dict[str, str]

    def __str__(self):
        kinds = collections.Counter(kind_of(arn).name if kind_of(arn) else "of another kind" for arn in self.arns)
        order = [*(kind.name for kind in KINDS), "of another kind"]
        return ", ".join(counted(kinds[name], name) for name in order if kinds[name]) or "nothing"


class _CredentialsExpired(AccountError):
    """They have expired: nothing else can be done with them."""


def clean() -> int:
    """Delete everything of this learner, and print what is deleted; gives 0, or 1 where something is left.

    It may be interrupted and run again at any time. Raises AccountError where the account is not connected, or its
    credentials expire meanwhile.
    """
    account.require()
    deleted: set[str] = set()
    try:
        found = find()
        met, reasons = set(found.arns), {}
        for pause in (0.0, *_pauses()):
            if pause:
                print(f"Not yet: {len(_left(found, deleted))}. Again in {pause:g} s.", flush=True)
                time.sleep(pause)
            for arn in _left(found, deleted):
                reasons[arn] = delete(arn)
                if reasons[arn] is None:
                    deleted.add(arn)
                    print(f"deleted: {_told(arn)}", flush=True)
            found = find()  # what is left, the account says
            met.update(_left(found, deleted))
            if all(_stays(reasons.get(arn)) for arn in _left(found, deleted)):
                break
    except KeyboardInterrupt:
        print(f"\nInterrupted: {len(deleted)} deleted. Run it again: it goes on with what is left.", flush=True)
        raise
    except _CredentialsExpired as error:
        raise AccountError(
            f"{error} {len(deleted)} were deleted; run it again, it goes on with what is left."
        ) from None
    left = _left(found, deleted)
    for arn in left:
        print(f"could not be deleted: {_told(arn)} ({reasons.get(arn) or 'it was made anew'})")
    for kind, reason in found.unseen.items():
        print(f"not looked for: {kind} ({reason})")
    print(f"Found {len(met)}, deleted {len(deleted)}, left {len(left)}.")
    _tell_cost(met)
    if left or found.unseen:
        print("Run this again in a minute.")
        return 1
    print("Nothing left.")
    return 0


def leftovers(*, delete: bool = False) -> None:
    """Print what of this learner is in the account and how to delete it. It deletes only where `delete` is True.

    Nothing is deleted where nobody looks on (nbval, nbconvert): a saved notebook that is run as a test deletes nothing.
    """
    account.require()
    found = find()
    where = "the sandbox" if sandbox.in_use() else f"account …{clients.account_id()[-4:]}"
    print(f"Yours in {where}: {found}.")
    for kind, reason in found.unseen.items():
        print(f"Not looked for: {kind} ({reason})")
    if not found.arns:
        return
    if not delete:
        forgets = (
            "The sandbox forgets all of it when it stops. To delete it now" if sandbox.in_use() else "To delete it"
        )
        print(f"{forgets}, write delete=True in this cell, or run `workshop clean` in a terminal.")
    elif not is_watched():
        print("Nothing is deleted: no person runs this cell.")
    else:
        clean()


def find() -> Found:
    """What the workshop made for this learner (WORKSHOP_LEARNER)."""
    tagged = _tagged()
    arns = {arn for arn, whose in tagged.items() if whose == learner()}
    listed, unseen = set(), {}
    name = re.compile(rf"{learner()}-\d\d-")
    for kind in KINDS:
        try:
            for called, arn in kind.listed(f"{learner()}-"):
                if arn in arns or (name.match(called) and _whose(arn, tagged) in (learner(), None)):
                    listed.add(arn)
        except (ClientError, BotoCoreError) as error:
            unseen[kind.name] = _reason(error)
    return Found(tuple(sorted(arns | listed, key=lambda arn: (_place(arn), arn))), frozenset(listed), unseen)


def delete(arn: str) -> str | None:
    """Delete a resource; gives None, or the reason why it could not be deleted. One that is gone already is no problem.

    On AWS a stack or a replication task takes minutes; this waits until it is gone.
    """
    kind = kind_of(arn)
    if kind is None:
        return "the workshop does not know how to delete this"
    try:
        kind.delete(arn)
    except (ClientError, BotoCoreError) as error:
        reason = _reason(error)
        return None if re.search("NotFound|NoSuch|NonExistent|DoesNotExist", reason.partition(":")[0]) else reason
    return None


def _tagged():
    """{ARN: its learner} of all that has the workshop's tags; a learner of None has only the first."""
    pages = clients.of("resourcegroupstaggingapi").get_paginator("get_resources")
    wanted = [{"Key": TAG, "Values": [WORKSHOP]}]
    with _credentials_hold():
        found = [one for page in pages.paginate(TagFilters=wanted) for one in page["ResourceTagMappingList"]]
    return {one["ResourceARN"]: _learner_in(one["Tags"]) for one in found}


def _whose(arn, tagged):
    """Whose tags a resource has; None where it has none. Roles, which the Tagging API does not cover, are asked."""
    if ":role/" not in arn:
        return tagged.get(arn)
    return _learner_in(clients.of("iam").list_role_tags(RoleName=name_in(arn))["Tags"])


def _learner_in(tags):
    return next((tag["Value"] for tag in tags if tag["Key"] == f"{TAG}:learner"), None)


def _reason(error):
    """An error's code, and what it says. Raises _CredentialsExpired where they have expired."""
    code = getattr(error, "response", {}).get("Error", {}).get("Code", type(error).__name__)
    if code in EXPIRED:
        raise _CredentialsExpired(f"{HAVE_EXPIRED}.") from None
    return f"{code}: {error}"


@contextlib.contextmanager
def _credentials_hold():
    try:
        yield
    except ClientError as error:
        _reason(error)
        raise


def _left(found, deleted):
    """What is still there: the Tagging API names for minutes what is gone, a service's own list does not."""
    return [arn for arn in found.arns if arn in found.listed or arn not in deleted]


def _stays(reason):
    """Whether what stands in the way will do so in a moment, too: what is forbidden, or unknown here."""
    return re.search("AccessDenied|UnauthorizedOperation|not authorized|does not know how", reason or "")


def _pauses():
    """Seconds until it goes through all again. AWS needs time until what was deleted no longer holds on to the rest."""
    return (0.1, 0.5, 1) if sandbox.in_use() else (10, 20, 60)


def _place(arn):
    kind = kind_of(arn)
    return KINDS.index(kind) if kind else len(KINDS)


def _told(arn):
    kind = kind_of(arn)
    return f"{kind.name} {arn}" if kind else arn


def _tell_cost(met):
    """What the labs cost whose resources these are, as far as one can know it here."""
    numbers = {number for arn in met for number in re.findall(rf"{learner()}-(\d\d)-", arn)}
    labs = [lab for lab in LABS if lab.name[:2] in numbers]
    if labs and not sandbox.in_use():
        once, usd = ", ".join(f"lab {lab.name[:2]}" for lab in labs), sum(lab.usd for lab in labs)
        print(
            f"To go once through {once} costs about {usd:.2f} USD. What you used, the account's bill says after a day: "
            "https://console.aws.amazon.com/costmanagement"
        )
