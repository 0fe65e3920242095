"""DynamoDB's expressions, as the table of an explored world understands them: conditions and updates of one item.

An item and the values are as on the wire, {name: {type: value}}. The language is that of
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html, without paths into a value (`a.b`,
`a[0]`). What is not understood raises Unknown.
"""

import re
from collections.abc import Mapping
from decimal import Decimal

from workshop.checking.stand_ins import Refused, Unknown

_TOKENS = re.compile(r"\s*([#:]?\w+|<>|<=|>=|[=<>(),+-])")
_SETS = ("SS", "NS", "BS")
_ORDERED = {
    "<": lambda one, other: one < other,
    ">": lambda one, other: one > other,
    "<=": lambda one, other: one <= other,
    ">=": lambda one, other: one >= other,
}


def holds(condition: str, item: Mapping, names: Mapping, values: Mapping) -> bool:
    """Whether a condition holds for this item, {} where there is none. names, values: of its placeholders."""
    expression = _Expression(condition, item, names, values)
    held = expression.any_of()
    expression.must_be_over()
    return held


def updated(update: str, item: Mapping, names: Mapping, values: Mapping) -> tuple[dict, set[str]]:
    """What an update makes of this item, and the attributes that it names. Raises Refused where DynamoDB would."""
    expression = _Expression(update, item, names, values)
    new, named = dict(item), set()
    while not expression.is_over():
        named |= set(expression.clause(new))
    return new, named


def projected(names_wanted: str, item: Mapping, names: Mapping) -> dict:
    """Of an item, the attributes that a projection names."""
    expression = _Expression(names_wanted, item, names, {})
    wanted = expression.listed(expression.path)
    expression.must_be_over()
    return {name: item[name] for name in wanted if name in item}


class _Expression:
    """A text that is read from left to right, by what is expected there."""

    def __init__(self, text, item, names, values):
        self._tokens, at = [], 0
        while text[at:].strip():
            token = _TOKENS.match(text, at)
            if not token:
                raise Unknown
            self._tokens.append(token[1])
            at = token.end()
        self._item, self._names, self._values = item, names, values

    # -- reading

    def is_over(self):
        return not self._tokens

    def must_be_over(self):
        if self._tokens:
            raise Unknown

    def _next(self):
        if not self._tokens:
            raise Unknown
        return self._tokens.pop(0)

    def _takes(self, *wanted):
        """Take the next token if it is one of these; returns whether it was. Words are written in any case."""
        if self._tokens and self._tokens[0].upper() in wanted:
            self._tokens.pop(0)
            return True
        return False

    def _must(self, wanted):
        if not self._takes(wanted):
            raise Unknown

    def listed(self, read):
        found = [read()]
        while self._takes(","):
            found.append(read())
        return found

    def path(self):
        """The name of an attribute."""
        token = self._next()
        if token.startswith("#"):
            return self._known(self._names, token)
        if token.startswith(":") or not re.match(r"[A-Za-z_]", token):
            raise Unknown
        return token

    def _operand(self):
        """A value, {type: value}; None where there is no such attribute."""
        if self._tokens and self._tokens[0].startswith(":"):
            return self._known(self._values, self._next())
        if self._tokens[:1] == ["size"] and self._tokens[1:2] == ["("]:
            self._next()
            (value,) = self._arguments(self._operand)
            return value and {"N": str(len(next(iter(value.values()))))}
        return self._item.get(self.path())

    def _known(self, known, placeholder):
        if placeholder not in known:
            raise Refused("ValidationException", f"An expression uses {placeholder}, which is not defined.")
        return known[placeholder]

    def _arguments(self, *reads):
        self._must("(")
        found = []
        for nth, read in enumerate(reads):
            if nth:
                self._must(",")
            found.append(read())
        self._must(")")
        return found

    # -- conditions

    def any_of(self):
        found = [self._all_of()]
        while self._takes("OR"):
            found.append(self._all_of())
        return any(found)

    def _all_of(self):
        found = [self._one()]
        while self._takes("AND"):
            found.append(self._one())
        return all(found)

    def _one(self):
        if self._takes("NOT"):
            return not self._one()
        if self._takes("("):
            held = self.any_of()
            self._must(")")
            return held
        if self._tokens[1:2] == ["("] and self._tokens[0] in _FUNCTIONS:
            return self._function(self._next())
        return self._compared(self._operand())

    def _function(self, name):
        if name in ("attribute_exists", "attribute_not_exists"):
            (path,) = self._arguments(self.path)
            return (path in self._item) == (name == "attribute_exists")
        one, other = self._arguments(self._operand, self._operand)
        if one is None or other is None:
            return False
        [(kind, mine)], [(other_kind, theirs)] = one.items(), other.items()
        if name == "attribute_type":
            return kind == theirs
        if name == "begins_with":
            return kind == other_kind == "S" and mine.startswith(theirs)
        if kind == "L":
            return any(_equal(each, other) for each in mine)
        return theirs in mine if kind == other_kind == "S" or kind == f"{other_kind}S" else False

    def _compared(self, one):
        if self._takes("BETWEEN"):
            low = self._operand()
            self._must("AND")
            return _less(">=", one, low) and _less("<=", one, self._operand())
        if self._takes("IN"):
            self._must("(")
            others = self.listed(self._operand)
            self._must(")")
            return any(_equal(one, other) for other in others)
        sign = self._next()
        other = self._operand()
        if sign in ("=", "<>"):
            return _equal(one, other) == (sign == "=")
        if sign not in _ORDERED:
            raise Unknown
        return _less(sign, one, other)

    # -- updates

    def clause(self, new):
        """Read SET, REMOVE, ADD or DELETE with what follows it, and do that to the item; returns the names there."""
        for word, change in (("SET", self._set), ("REMOVE", self._remove), ("ADD", self._add), ("DELETE", self._take)):
            if self._takes(word):
                return self.listed(lambda change=change: change(new))
        raise Unknown

    def _set(self, new):
        path = self.path()
        self._must("=")
        value = self._value()
        while (plus := self._takes("+")) or self._takes("-"):
            one, other = _number(value), _number(self._value())
            value = {"N": str(one + other if plus else one - other)}
        new[path] = value
        return path

    def _value(self):
        if self._tokens[:1] == ["if_not_exists"]:
            self._next()
            value, otherwise = self._arguments(self._operand, self._operand)
            value = otherwise if value is None else value
        elif self._tokens[:1] == ["list_append"]:
            self._next()
            one, other = self._arguments(self._value, self._value)
            if "L" not in one or "L" not in other:
                raise Refused("ValidationException", "list_append is for lists.")
            value = {"L": one["L"] + other["L"]}
        else:
            value = self._operand()
        if value is None:
            raise Refused("ValidationException", "An update refers to an attribute that does not exist in the item.")
        return value

    def _remove(self, new):
        path = self.path()
        new.pop(path, None)
        return path

    def _add(self, new):
        path, value = self.path(), self._operand()
        old = self._item.get(path)
        [(kind, more)] = value.items()
        if kind == "N":
            new[path] = {"N": str(_number(old or {"N": "0"}) + _number(value))}
        elif kind in _SETS and (old is None or kind in old):
            new[path] = {kind: sorted({*(old or {kind: ()})[kind], *more})}
        else:
            raise Refused("ValidationException", "ADD is for numbers and sets.")
        return path

    def _take(self, new):
        path, value = self.path(), self._operand()
        [(kind, less)] = value.items()
        old = self._item.get(path)
        if kind not in _SETS or (old is not None and kind not in old):
            raise Refused("ValidationException", "DELETE is for sets.")
        left = sorted({*(old or {kind: ()})[kind]} - {*less})
        new.pop(path, None)
        if left:
            new[path] = {kind: left}
        return path


_FUNCTIONS = ("attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains")


def _number(value):
    if "N" not in value:
        raise Refused("ValidationException", "An operand of an update is no number.")
    return Decimal(value["N"])


def _plain(value):
    """What a value is compared by: (type, value)."""
    [(kind, plain)] = value.items()
    if kind == "N":
        return kind, Decimal(plain)
    if kind == "NS":
        return kind, {Decimal(each) for each in plain}
    return kind, ({*plain} if kind in _SETS else plain)


def _equal(one, other):
    return one is not None and other is not None and _plain(one) == _plain(other)


def _less(sign, one, other):
    """Whether one value comes before another, or whatever the sign says; what cannot be compared does not."""
    if one is None or other is None:
        return False
    (kind, mine), (other_kind, theirs) = _plain(one), _plain(other)
    return kind == other_kind and kind in ("N", "S", "B") and _ORDERED[sign](mine, theirs)
