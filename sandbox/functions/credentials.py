"""Credentials of environments: a session of the function's role.

Every environment has its own, so a request tells which environment's handler sent it.
"""

import contextlib
import threading

from sandbox import keys

_of_keys = {}  # access key id -> environment
_lock = threading.Lock()
_under_way = {}  # access key id -> how many calls are on their way that may still be done when it ends
_to_end = {}  # access key id -> variables of a session that ends with the last of them


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
    key = variables["AWS_ACCESS_KEY_ID"]
    _of_keys.pop(key, None)
    with _lock:
        if key in _under_way:
            _to_end[key] = variables
            return
    keys.end(variables)


@contextlib.contextmanager
def kept(access_key_id):
    """Let a call be done that takes its time, even if the process that made it ends meanwhile; as on AWS."""
    with _lock:
        _under_way[access_key_id] = _under_way.get(access_key_id, 0) + 1
    try:
        yield
    finally:
        with _lock:
            _under_way[access_key_id] -= 1
            if not _under_way[access_key_id]:
                del _under_way[access_key_id]
            ended = None if access_key_id in _under_way else _to_end.pop(access_key_id, None)
        if ended is not None:
            keys.end(ended)


def environment_of(access_key_id):
    """The environment whose handler signs with this key, None for other keys."""
    return _of_keys.get(access_key_id)
