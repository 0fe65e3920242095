"""Credentials of environments: a session of the function's role.

Every environment has its own, so a request tells which environment's handler sent it.
"""

from sandbox import keys

_of_keys = {}  # access key id -> environment


def session(config, environment=None):
    """Begin a session of a function's role; gives it as environment variables. config: of the function.

    environment: who gets it, unless it is a process that MiniStack runs, of a function that is not in Python.
    """
    variables = keys.session(config["Role"], config["FunctionName"])
    if environment is not None:
        _of_keys[variables["AWS_ACCESS_KEY_ID"]] = environment
    return variables


def end(variables):
    """End the session with these variables: its keys open nothing any longer."""
    keys.end(variables)
    _of_keys.pop(variables["AWS_ACCESS_KEY_ID"], None)


def environment_of(access_key_id):
    """The environment whose handler signs with this key, None for other keys."""
    return _of_keys.get(access_key_id)
