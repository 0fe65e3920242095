"""Credentials of environments: a session of the function's role, with keys that nobody can guess.

Every environment has its own, so a request tells which environment's handler sent it.
"""

import secrets
import string

_of_keys = {}  # access key id -> environment


def session(config, environment=None):
    """Begin a session of a function's role; gives it as environment variables. config: of the function.

    environment: who gets it, unless it is a process that MiniStack runs, of a function that is not in Python.
    """
    from ministack.services import iam, sts

    role, name = config["Role"], config["FunctionName"]
    account, role_name = role.split(":")[4], role.rpartition("/")[2]
    role_id = (iam._roles.get_scoped(account, None, role_name) or {}).get("RoleId", role_name)
    key = "ASIA" + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(16))
    secret, token = secrets.token_urlsafe(30), secrets.token_urlsafe(300)
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role_name}/{name}",
            "UserId": f"{role_id}:{name}",
            "SecretAccessKey": secret,
            "SessionToken": token,
        },
    )
    if environment is not None:
        _of_keys[key] = environment
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


def end(variables):
    """End the session with these variables: its keys open nothing any longer."""
    from ministack.services import sts

    key = variables["AWS_ACCESS_KEY_ID"]
    sts._sessions.pop(key, None)
    _of_keys.pop(key, None)


def environment_of(access_key_id):
    """The environment whose handler signs with this key, None for other keys."""
    return _of_keys.get(access_key_id)
