"""The CloudFormation template of an account for the labs, for those who will learn in it."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from workshop.examining import reading
from workshop.names import WORKSHOP, checked
from workshop.real_account import AccountError

DATA = Path(__file__).parent.parent / "data"
FILE = DATA / "account.yaml"
LEARNER = "${Learner}"  # stands for a learner's name, in the template and in the policies
# Bytes: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
MOST = 51_200
_VARIABLE = re.compile(r"\$\{(?!AWS::)")  # of IAM's own, such as ${aws:username}


def text(learners: Iterable[str]) -> str:
    """The template as CloudFormation takes it, JSON: with the policies in it, and a role for each of these learners.

    learners: names as WORKSHOP_LEARNER has them. Raises ValueError where one cannot be a name, and AccountError where
    there are too many of them, or one could touch what belongs to somebody else.
    """
    names = _apart(learners)
    template = reading.parse(FILE.read_text(encoding="utf-8"), FILE.name)
    resources = template["Resources"]
    role = resources.pop("LearnerRole")
    made = _with_policies(resources, names)
    for name in names:
        whole = json.loads(json.dumps(_with_policies(role, [name])).replace(LEARNER, name))
        made[f"LearnerRole{name.title().replace('-', 'Dash')}"] = whole  # a logical id has letters and digits only
    told = json.dumps({**template, "Resources": made}, separators=(",", ":"))
    if len(told) > MOST:
        raise AccountError(
            f"{len(names)} learners are more than one account can have: the template would have {len(told):,} bytes, "
            f"and CloudFormation takes {MOST:,}. Nothing was done."
        )
    return told


def _apart(learners):
    """The names, sorted, once no two of them share what begins with one of them."""
    names = sorted({checked(name) for name in learners})
    for name in names:
        for other in [*names, WORKSHOP]:
            if f"{other}-".startswith(f"{name}-") and (other != name or name == WORKSHOP):
                whose = f"what belongs to {other}" if other != WORKSHOP else "what `workshop account up` makes"
                raise AccountError(f"A learner {name} could change {whose}, since that begins with {name}-, too.")
    return names


def _with_policies(value, names):
    """What stands there, with the policies in the place of the files that it names, for these learners."""
    if isinstance(value, dict):
        return {
            key: _policy(each, names)
            if key == "PolicyDocument" and isinstance(each, str)
            else _with_policies(each, names)
            for key, each in value.items()
        }
    return [_with_policies(each, names) for each in value] if isinstance(value, list) else value


def _policy(file, names):
    """A policy of workshop/data as the template has it. Where it is for several learners, each has their resources."""
    policy = json.loads((DATA / file).read_text(encoding="utf-8"))
    for statement in policy["Statement"]:
        listed = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        statement["Resource"] = [
            one for each in listed for one in dict.fromkeys(each.replace(LEARNER, n) for n in names)
        ]
    return _filled(policy)


def _filled(value):
    """A policy in which CloudFormation fills in what is written ${AWS::...}, and IAM's own variables stay."""
    if isinstance(value, dict):
        return {key: _filled(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each) for each in value]
    if not isinstance(value, str) or "${AWS::" not in value:
        return value
    return {"Fn::Sub": _VARIABLE.sub("${!", value)}
