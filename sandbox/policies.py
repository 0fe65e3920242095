"""Policies of IAM with something that is not evaluated here are refused by name when they are stored.

MiniStack's evaluator takes a condition operator or a key that it does not know for one that is not fulfilled. Where
that stands in a Deny, it allows what AWS denies, and nobody hears of it.
"""

import functools
import json
import re

# Condition keys that have their values here, in small letters: those that the evaluator knows itself, those that
# MiniStack takes from requests, and those of sandbox/authorization.py.
_KEYS = {
    "aws:currenttime", "aws:epochtime", "aws:multifactorauthpresent", "aws:principalaccount", "aws:principalarn",
    "aws:principaltype", "aws:requestedregion", "aws:resourceaccount", "aws:securetransport", "aws:sourceip",
    "aws:tagkeys", "aws:userid", "aws:username",
    "dynamodb:attributes", "dynamodb:select",
    "iam:passedtoservice", "iam:permissionsboundary", "iam:policyarn",
    "lambda:functionurlauthtype", "lambda:principal",
    "s3:delimiter", "s3:max-keys", "s3:prefix", "s3:resourceaccount",
}  # fmt: skip
_KEYS_OF_TAGS = ("aws:principaltag/", "aws:requesttag/", "aws:resourcetag/")
# Variables are not evaluated, but for three that are the characters themselves:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars
_VARIABLE = re.compile(r"\$\{(?![*?$]\})")
_WILDCARD = re.compile(r"\$\{([*?$])\}|([*?])")
_SETS = ("forallvalues:", "foranyvalue:")

_STORING = ("CreatePolicy", "CreatePolicyVersion", "PutGroupPolicy", "PutRolePolicy", "PutUserPolicy")


def install():
    """Let ${*} in a policy be a star."""
    from ministack.core import iam_evaluator

    iam_evaluator._fnmatch_compile = pattern


@functools.lru_cache(4096)
def pattern(text, ignore_case):
    """What a pattern of a policy matches, as a regular expression."""
    regex, end = "", 0
    for found in _WILDCARD.finditer(text):
        regex += re.escape(text[end : found.start()])
        regex += re.escape(found[1]) if found[1] else {"*": ".*", "?": "."}[found[2]]
        end = found.end()
    return re.compile(f"^{regex}{re.escape(text[end:])}$", re.IGNORECASE if ignore_case else 0)


def reset():
    """Nothing is kept."""


@functools.cache
def put_over():
    """Wrap MiniStack's IAM, which is loaded with the first request to it."""
    from ministack.services import iam

    for name in _STORING:
        iam._IAM_HANDLERS[name] = _checked(iam, iam._IAM_HANDLERS[name])


def _checked(iam, store):
    def store_checked(parameters):
        try:
            problem = not_evaluated(json.loads(iam._p(parameters, "PolicyDocument")))
        except (ValueError, AttributeError, TypeError):
            problem = None  # no policy at all: MiniStack says so
        return iam._error(400, "MalformedPolicyDocument", problem, ns="iam") if problem else store(parameters)

    return store_checked


def not_evaluated(policy):
    """What of a policy the sandbox does not evaluate, one sentence; None if it evaluates all of it."""
    from ministack.core import iam_evaluator

    for statement in _listed(policy.get("Statement", [])):
        for element in ("Action", "NotAction", "Resource", "NotResource"):
            for value in _listed(statement.get(element, [])):
                if _VARIABLE.search(str(value)):
                    return f"The sandbox does not evaluate policy variables, as in {value}."
        for operator, block in statement.get("Condition", {}).items():
            plain = operator.lower().removesuffix("ifexists")
            plain = next((plain.removeprefix(each) for each in _SETS if plain.startswith(each)), plain)
            if plain not in iam_evaluator._CONDITION_OPS and plain != "null":
                return f"The sandbox does not evaluate the condition operator {operator}."
            for key, values in block.items():
                if key.lower() not in _KEYS and not key.lower().startswith(_KEYS_OF_TAGS):
                    return f"The sandbox does not evaluate the condition key {key}."
                if any(_VARIABLE.search(str(value)) for value in _listed(values)):
                    return f"The sandbox does not evaluate policy variables, as in the condition of {key}."
    return None


def _listed(value):
    return value if isinstance(value, list) else [value]
