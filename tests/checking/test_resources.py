"""How checks call what a learner has put into the account."""

import uuid

import pytest

from workshop import clients, deploy
from workshop.checking import resources
from workshop.checking.outcomes import SandboxProblem
from workshop.checking.resources import Invoked, invoke


@pytest.fixture
def full(account):
    """A function for which Lambda has no room, as where an account runs as many at a time as it may."""
    name = f"full-{uuid.uuid4().hex[:8]}"
    deploy.function(name, "def lambda_handler(event, context):\n    return event", permissions={})
    clients.of("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    yield name
    clients.of("lambda").delete_function(FunctionName=name)


def test_a_function_is_invoked_when_lambda_has_room_for_it(full, monkeypatch):
    asked = []
    of = clients.of

    def noted(service, **how):
        asked.append(service)
        if len(asked) == 3:
            of("lambda").delete_function_concurrency(FunctionName=full)
        return of(service, **how)

    monkeypatch.setattr(clients, "of", noted)
    assert invoke(full, {"a": 1}) == Invoked(None, {"a": 1}) and len(asked) == 3


def test_where_there_is_no_room_it_is_not_the_learner_s_fault(full, monkeypatch):
    monkeypatch.setattr(resources, "ROOM", 0)
    with pytest.raises(SandboxProblem, match="Lambda had no room"):
        invoke(full, {})
