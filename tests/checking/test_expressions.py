"""DynamoDB's expressions in explored worlds, as the developer guide has them."""

import pytest

from workshop.checking.expressions import holds, projected, updated
from workshop.checking.stand_ins import Refused, Unknown

ITEM = {
    "Id": {"S": "a"},
    "CallbackId": {"S": "me"},
    "WaitsUntil": {"N": "100"},
    "Tags": {"SS": ["one", "two"]},
    "Told": {"L": [{"S": "Ana"}]},
    "Nobody": {"NULL": True},
}
NAMES = {"#w": "WaitsUntil", "#new": "New"}
VALUES = {
    ":me": {"S": "me"},
    ":m": {"S": "m"},
    ":you": {"S": "you"},
    ":now": {"N": "101.5"},
    ":one": {"N": "1"},
    ":two": {"S": "two"},
    ":type": {"S": "N"},
    ":ana": {"S": "Ana"},
    ":list": {"L": [{"S": "Ben"}]},
    ":tags": {"SS": ["three", "two"]},
    ":hundred": {"N": "1E+2"},
}


@pytest.mark.parametrize(
    "condition, held",
    [
        ("attribute_not_exists(Id)", False),
        ("attribute_exists (Id)", True),
        ("attribute_exists(Nobody)", True),
        ("attribute_not_exists(Id) OR CallbackId = :me", True),
        ("attribute_not_exists(Id) OR CallbackId = :you OR WaitsUntil < :now", True),
        ("CallbackId = :you AND WaitsUntil < :now", False),
        ("CallbackId = :me or CallbackId = :you and CallbackId = :you", True),
        ("(CallbackId = :me OR CallbackId = :you) AND CallbackId = :you", False),
        ("NOT CallbackId = :you", True),
        ("NOT (CallbackId = :me OR CallbackId = :you)", False),
        ("WaitsUntil >= :now", False),
        ("#w <= :now", True),
        ("#w = :hundred", True),
        ("Nothing = :me", False),
        ("Nothing <> :me", True),
        ("Nothing < :one", False),
        ("CallbackId <> :you", True),
        ("CallbackId < :one", False),
        ("CallbackId <> :one", True),
        ("#w BETWEEN :one AND :now AND CallbackId = :me", True),
        ("CallbackId IN (:you, :me)", True),
        ("begins_with(CallbackId, :m)", True),
        ("contains(Tags, :two) AND contains(Told, :ana) AND contains(CallbackId, :m)", True),
        ("contains(Nothing, :two)", False),
        ("attribute_type(WaitsUntil, :type)", True),
        ("size(Tags) > :one", True),
    ],
)
def test_conditions(condition, held):
    assert holds(condition, ITEM, NAMES, VALUES) is held


@pytest.mark.parametrize(
    "update, changed",
    [
        ("SET CallbackId = :you", {"CallbackId": {"S": "you"}}),
        ("set #new = :one, CallbackId = :you", {"New": {"N": "1"}, "CallbackId": {"S": "you"}}),
        ("SET WaitsUntil = WaitsUntil + :one", {"WaitsUntil": {"N": "101"}}),
        ("SET WaitsUntil = WaitsUntil - :one, New = WaitsUntil", {"WaitsUntil": {"N": "99"}, "New": {"N": "100"}}),
        ("SET New = if_not_exists(New, :one) + :one", {"New": {"N": "2"}}),
        ("SET CallbackId = if_not_exists(CallbackId, :you)", {"CallbackId": {"S": "me"}}),
        ("SET Told = list_append(Told, :list)", {"Told": {"L": [{"S": "Ana"}, {"S": "Ben"}]}}),
        ("REMOVE CallbackId, Told SET New = :one", {"CallbackId": None, "Told": None, "New": {"N": "1"}}),
        ("ADD WaitsUntil :one, New :one", {"WaitsUntil": {"N": "101"}, "New": {"N": "1"}}),
        ("ADD Tags :tags", {"Tags": {"SS": ["one", "three", "two"]}}),
        ("DELETE Tags :tags", {"Tags": {"SS": ["one"]}}),
        ("", {}),
    ],
)
def test_updates(update, changed):
    new, named = updated(update, ITEM, NAMES, VALUES)
    assert new == {name: value for name, value in {**ITEM, **changed}.items() if value is not None}
    assert named == set(changed)


def test_projections():
    assert projected("CallbackId, #w, Nothing", ITEM, NAMES) == {"CallbackId": {"S": "me"}, "WaitsUntil": {"N": "100"}}


@pytest.mark.parametrize(
    "condition", ["Id.x = :me", "Told[0] = :ana", "Id LIKE :me", "Id = ", "Id = :me :me", "matches(Id, :me)"]
)
def test_other_conditions_are_not_known(condition):
    with pytest.raises(Unknown):
        holds(condition, ITEM, NAMES, VALUES)


@pytest.mark.parametrize(
    "update",
    [
        "SET New = Nothing",
        "SET New = CallbackId + :one",
        "ADD CallbackId :one",
        "DELETE Tags :one",
        "SET New = :nobody",
    ],
)
def test_what_dynamodb_refuses_is_refused(update):
    with pytest.raises(Refused):
        updated(update, ITEM, NAMES, VALUES)


@pytest.mark.parametrize("update", ["SET Told[0] = :ana", "CHANGE Id = :me", "SET New :one"])
def test_other_updates_are_not_known(update):
    with pytest.raises(Unknown):
        updated(update, ITEM, NAMES, VALUES)
