"""One key opens the account: the learner's own. Whoever acts in a role has a session's keys.

MiniStack takes an empty key, `test` and any twelve digits for the account's root, and does not check what they signed.
Here root is the one random key that this sandbox was started with, and its signature is verified as any other's.
"""

import os
import secrets
import string


def install():
    from ministack.core import iam_evaluator

    own = os.environ["AWS_ACCESS_KEY_ID"]
    iam_evaluator.is_root_access_key = lambda access_key_id: access_key_id == own
    # MiniStack asks this one only to decide whether to skip the verification of a signature.
    iam_evaluator._is_root_key = lambda access_key_id: False


def session(role_arn, name):
    """Begin a session of a role, with keys that nobody can guess; gives them as environment variables.

    name: of the session, as it stands in its ARN.
    """
    from ministack.services import iam, sts

    account, role = role_arn.split(":")[4], role_arn.rpartition("/")[2]
    role_id = (iam._roles.get_scoped(account, None, role) or {}).get("RoleId", role)
    key = "ASIA" + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(16))
    secret, token = secrets.token_urlsafe(30), secrets.token_urlsafe(300)
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role}/{name}",
            "UserId": f"{role_id}:{name}",
            "SecretAccessKey": secret,
            "SessionToken": token,
        },
    )
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


def end(variables):
    """End the session with these variables: its keys open nothing any longer."""
    from ministack.services import sts

    sts._sessions.pop(variables["AWS_ACCESS_KEY_ID"], None)


def reset():
    """Nothing is kept: MiniStack forgets the sessions with everything else."""
