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
_VARIABLE = re.compile(r"\$\{(?!AWS::)(?!Learner\})")  # of IAM's own, such as ${aws:username}


def text(learners: Iterable[str]) -> str:
    """The template as CloudFormation takes it, JSON: with the policies in it, and a role for each of these learners.

    learners: names as WORKSHOP_LEARNER has them. Raises AccountError where one of them cannot be, or could touch what
    belongs to another one.
    """
    learners = _apart(learners)
    template = reading.parse(FILE.read_text(encoding="utf-8"), FILE.name)
    resources = {}
    for name, resource in template["Resources"].items():
        properties = resource["Properties"]
        if isinstance(properties.get("PolicyDocument"), str):
            properties["PolicyDocument"] = _filled(json.loads((DATA / properties["PolicyDocument"]).read_text("utf-8")))
        if name.startswith("Learner"):
            resources |= {_own(name, each): _for(each, resource) for each in learners}
        else:
            resources[name] = resource
    return json.dumps({**template, "Resources": resources})


def _apart(learners):
    """The names, sorted, once no two of them share what begins with one of them."""
    names = sorted({checked(name) for name in learners})
    if not names:
        raise AccountError("Say who will learn: --learners ann,bo.")
    for name in names:
        for other in [*names, WORKSHOP]:
            if f"{other}-".startswith(f"{name}-") and (other != name or name == WORKSHOP):
                whose = f"what belongs to {other}" if other != WORKSHOP else "what `workshop account up` makes"
                raise AccountError(f"A learner {name} could change {whose}, since that begins with {name}-, too.")
    return names


def _filled(value):
    """A policy in which CloudFormation fills in what is written ${AWS::...}, and IAM's own variables stay."""
    if isinstance(value, dict):
        return {key: _filled(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each) for each in value]
    return {"Fn::Sub": _VARIABLE.sub("${!", value)} if isinstance(value, str) and "${" in value else value


def _own(name, learner):
    return name + learner.title().replace("-", "Dash")  # logical ids have letters and digits only


def _for(learner, resource):
    filled = json.dumps(resource).replace("${Learner}", learner)
    return json.loads(re.sub(r'"(Learner\w+)"', lambda found: f'"{_own(found[1], learner)}"', filled))
