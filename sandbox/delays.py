"""An account that is slow on purpose: how long it takes until what was changed is felt, at /_sandbox/delays.

    permissions  a role, what it may do and who may assume it: until then all is as it was before the change
                 (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency)
    rules        a rule that is made, or gets another target: until then it hands nothing on
                 (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html)
    migrations   what DMS makes, tests and deletes: added to the moment that it takes here

Each is a number of seconds, 0 at the start and when the account was emptied.
"""

import copy
import threading
import time

MOST = 600
_NAMES = ("permissions", "rules", "migrations")

seconds = dict.fromkeys(_NAMES, 0)
_lock = threading.Lock()
_roles = {}  # (account, name) -> [(when it changed, how it was before: a dict, None if it was not there)]
_rules = {}  # ARN -> when it was made or changed


def set_some(wanted):
    """Set some, {"rules": 2}, for what changes from now on; returns all. Raises ValueError, and then sets none.

    What changed before is felt at once.
    """
    if not isinstance(wanted, dict) or not set(wanted) <= set(_NAMES):
        raise ValueError(f"Delays are an object with some of {', '.join(_NAMES)}.")
    for name, value in wanted.items():
        if type(value) not in (int, float) or not 0 <= value <= MOST:
            raise ValueError(f"{name} must be a number of seconds from 0 to {MOST}.")
    seconds.update(wanted)
    for name, changes in {"permissions": _roles, "rules": _rules}.items():
        if name in wanted:
            changes.clear()
    return dict(seconds)


def reset():
    """An emptied account is as quick as any."""
    seconds.update(dict.fromkeys(_NAMES, 0))
    _roles.clear()
    _rules.clear()


def role_changes(account, name):
    """A role is about to change: note how it is."""
    if seconds["permissions"]:
        with _lock:
            now = _stored(account, name)
            _roles.setdefault((account, name), []).append((time.monotonic(), copy.deepcopy(now)))


def role(account, name):
    """A role as it is felt, a dict as MiniStack keeps it; None where there is none, or not yet."""
    with _lock:
        changes = _roles.get((account, name), ())
        for when, before in changes:
            if time.monotonic() < when + seconds["permissions"]:
                return before
    return _stored(account, name)


def _stored(account, name):
    from ministack.services import iam

    return iam._roles.get_scoped(account, None, name)


def rule_changes(arn):
    """A rule is made, or its targets change."""
    if seconds["rules"]:
        _rules[arn] = time.monotonic()


def rule_is_felt(arn):
    """Whether a rule hands on by now what matches it."""
    return arn not in _rules or time.monotonic() >= _rules[arn] + seconds["rules"]
