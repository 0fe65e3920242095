"""The operators that make mutants: mutmut's for Python, and ours for what these labs are about.

An operator is a function that takes a node of a libcst tree and yields what may stand in its place. It has a name, and
the class of the nodes that it takes: that is how mutmut's are made, and ours are made alike.
"""

import re

import libcst as cst
import libcst.matchers as m
from mutmut.mutation import mutators

# mutmut's names, as far as they are ours; its other operators keep theirs.
_NAMES = {
    "operator_arg_removal": "argument",
    "operator_assignment": "assigned-none",
    "operator_augmented_assignment": "augmented-assignment",
    "operator_dict_arguments": "dict-argument",
    "operator_if_exp": "conditional-expression",
    "operator_keywords": "keyword",
    "operator_lambda": "lambda",
    "operator_match": "match",
    "operator_name": "constant",
    "operator_number": "number",
    "operator_remove_unary_ops": "not-dropped",
    "operator_string": "string",
    "operator_swap_op": "operator",
    "operator_symmetric_string_methods_swap": "string-method",
    "operator_unsymmetrical_string_methods_swap": "string-method",
}

OURS = []


def ours(name, kind):
    """Make a function an operator of ours."""

    def add(function):
        OURS.append((name, kind, function))
        return function

    return add


def all_operators():
    """(name, class of node, function) of each operator. Ours come first: of two equal mutants the first is kept."""
    theirs = [(_NAMES[function.__name__], kind, function) for kind, function in mutators.mutation_operators]
    return [*OURS, *[(name, kind, _TAMED.get(function, function)) for name, kind, function in theirs]]


def on_permissions():
    """As all_operators, those of permissions alone."""
    return [each for each in OURS if each[0] == "permission-dropped"]


def names():
    """The names of all operators, sorted."""
    return sorted({name for name, _, _ in all_operators()})


# -- mutmut's operators, where they make too much ---------------------------------------------------------------------


def _one_other_string(node):
    """mutmut's first mutant of a string, with XX around it. The two in other cases say hardly anything more.

    What is no plain text (an expression, a condition) has operators of its own below.
    """
    if isinstance(node, cst.SimpleString) and not _is_jsonata(node.value) and not _is_condition(node.value):
        yield from list(mutators.operator_string(node))[:1]


def _arguments_left_out(node):
    """mutmut's mutants that leave an argument out. Those that put None in its place end the call nearly always."""
    yield from (mutant for mutant in mutators.operator_arg_removal(node) if len(mutant.args) < len(node.args))


_TAMED = {mutators.operator_string: _one_other_string, mutators.operator_arg_removal: _arguments_left_out}


# -- statements -------------------------------------------------------------------------------------------------------


@ours("statement-dropped", cst.IndentedBlock)
@ours("statement-dropped", cst.Module)
def statement_dropped(node):
    """Each statement left out, of several."""
    for nth, statement in enumerate(node.body):
        if len(node.body) > 1 and not isinstance(statement, cst.FunctionDef | cst.ClassDef) and not prints(statement):
            yield node.with_changes(body=[*node.body[:nth], *node.body[nth + 1 :]])


@ours("statement-dropped", cst.FunctionDef)
@ours("statement-dropped", cst.Else)
@ours("statement-dropped", cst.If)
def only_statement_dropped(node):
    """The only statement of a block replaced by `pass`, where that is not the same as to leave the whole out."""
    alone = isinstance(node.body, cst.IndentedBlock) and len(node.body.body) == 1 and not prints(node.body.body[0])
    if alone and not (isinstance(node, cst.If) and node.orelse is None):
        yield node.with_changes(body=node.body.with_changes(body=[cst.parse_statement("pass")]))


@ours("statements-exchanged", cst.IndentedBlock)
@ours("statements-exchanged", cst.Module)
def statements_exchanged(node):
    """Each statement after the one that follows it, where their order means something."""
    for nth in range(len(node.body) - 1):
        one, other = node.body[nth : nth + 2]
        if _in_order(one, other) and not prints(one) and not prints(other):
            yield node.with_changes(body=[*node.body[:nth], other, one, *node.body[nth + 2 :]])


def _in_order(one, other):
    """Whether a statement must stand before another: one sets what the other uses, or one does more than to set."""
    pair = (one, other)
    if not all(m.matches(each, m.SimpleStatementLine([m.Assign()]) | m.FunctionDef()) for each in pair):
        return True
    code = cst.Module([]).code_for_node
    sets = [{code(target.target) for target in m.findall(each, m.AssignTarget())} for each in pair]
    uses = [{code(name) for name in m.findall(each, m.Name() | m.Subscript())} for each in pair]
    for each, its_sets, its_uses in zip(pair, sets, uses, strict=True):
        if isinstance(each, cst.FunctionDef):  # what it uses must be there when it is called
            its_sets.clear()
            its_uses.clear()
            its_sets.add(each.name.value)
    return bool(sets[0] & uses[1] or sets[1] & uses[0])


@ours("block-unwrapped", cst.IndentedBlock)
@ours("block-unwrapped", cst.Module)
def block_unwrapped(node):
    """What stands in a `try` or a `with` alone, without what it stands in."""
    for nth, statement in enumerate(node.body):
        if isinstance(statement, cst.Try | cst.With):
            yield node.with_changes(body=[*node.body[:nth], *statement.body.body, *node.body[nth + 1 :]])


def prints(node):
    """Whether a statement or call does nothing but print, which nobody hears."""
    return m.matches(node, m.Call(m.Name("print")) | m.SimpleStatementLine([m.Expr(m.Call(m.Name("print")))]))


@ours("condition-forced", cst.If)
@ours("condition-forced", cst.While)
def condition_forced(node):
    """A condition that always holds, and one that never does; no loop without end, and no `if` that is left out."""
    if isinstance(node, cst.If):
        yield node.with_changes(test=cst.Name("True"))
    if isinstance(node, cst.While) or node.orelse is not None:
        yield node.with_changes(test=cst.Name("False"))


@ours("operand-dropped", cst.BooleanOperation)
def operand_dropped(node):
    """One side of an `and` or an `or`, without the other."""
    yield from (node.left, node.right)


# -- exceptions -------------------------------------------------------------------------------------------------------


@ours("except-widened", cst.ExceptHandler)
def except_widened(node):
    if node.type and not (isinstance(node.type, cst.Name) and node.type.value in ("Exception", "BaseException")):
        yield _catching(node, "Exception")


@ours("except-narrowed", cst.ExceptHandler)
def except_narrowed(node):
    """A handler of errors that nobody raises."""
    yield _catching(node, "NotImplementedError")


@ours("except-swallowed", cst.ExceptHandler)
def except_swallowed(node):
    """A handler that lets nobody know; what it prints is heard by nobody anyway."""
    if not all(prints(statement) for statement in node.body.body):
        yield node.with_changes(body=cst.IndentedBlock([cst.parse_statement("pass")]))


@ours("except-widened", cst.Call)
def suppress_widened(node):
    if isinstance(node.func, cst.Name) and node.func.value == "suppress":
        yield node.with_changes(args=[cst.Arg(cst.Name("Exception"))])


def _catching(node, name):
    space = node.whitespace_after_except
    return node.with_changes(
        type=cst.Name(name), whitespace_after_except=space if node.type else cst.SimpleWhitespace(" ")
    )


# -- what a call to DynamoDB asks for ---------------------------------------------------------------------------------


@ours("condition-dropped", cst.Call)
def condition_dropped(node):
    """A write without its condition, and without the values of it, which DynamoDB would not take alone."""
    named = [arg.keyword.value if arg.keyword else "" for arg in node.args]
    if "ConditionExpression" in named:
        own = {"ConditionExpression"} | ({"ExpressionAttributeValues"} - _also_used(named))
        yield node.with_changes(args=[arg for arg, name in zip(node.args, named, strict=True) if name not in own])


def _also_used(named):
    return {"ExpressionAttributeValues"} if "UpdateExpression" in named else set()


_CONDITION = re.compile(r"\battribute_(not_)?exists\(|\bbegins_with\(|(=|<|>|<=|>=|<>) *:\w")


def _is_condition(text):
    return bool(_CONDITION.search(text))


@ours("condition-changed", cst.SimpleString)
def condition_changed(node):
    """A condition on an item with one term left out or the other way round.

    A term with a value is turned and not left out: DynamoDB refuses a value that nothing uses.
    """
    quote, text = node.quote, node.raw_value
    if not _is_condition(text):
        return
    terms = re.split(r"( +(?:OR|AND) +)", text)
    for nth in range(0, len(terms), 2):
        if ":" not in terms[nth] and len(terms) > 1:
            rest = terms[2:] if nth == 0 else [*terms[: nth - 1], *terms[nth + 1 :]]
            yield _string(node, quote, "".join(rest))
    yield from _texts(node, text, {r" OR ": " AND ", r" AND ": " OR ", r" = ": " <> ", r" < ": " > ", r" > ": " < "})
    yield from _texts(node, text, {"attribute_not_exists": "attribute_exists"})
    if "attribute_not_exists" not in text:
        yield from _texts(node, text, {"attribute_exists": "attribute_not_exists"})


# -- dicts: state machines, patterns, permissions, configurations -----------------------------------------------------


@ours("permission-dropped", cst.Dict)
def permission_dropped(node):
    yield from _without_elements(node, lambda key: re.fullmatch(r"[a-z0-9-]+:[A-Z]\w+", key))


@ours("handler-dropped", cst.Dict)
def handler_dropped(node):
    yield from _without_elements(node, lambda key: key in ("Catch", "Retry"))


@ours("field-dropped", cst.Dict)
def field_dropped(node):
    yield from _without_elements(node, lambda key: True)


@ours("element-dropped", cst.List)
@ours("element-dropped", cst.Tuple)
@ours("element-dropped", cst.Set)
def element_dropped(node):
    """Each element of a list, set or tuple left out; a tuple of two that has no brackets is mostly taken apart."""
    least = 1 if isinstance(node, cst.List) else 3 if isinstance(node, cst.Tuple) and not node.lpar else 2
    if len(node.elements) >= least:
        for nth in range(len(node.elements)):
            yield node.with_changes(elements=_without(node.elements, nth))


@ours("next-exchanged", cst.Dict)
@ours("next-exchanged", cst.List)
def next_exchanged(node):
    """Two states that are gone to, exchanged: those of a state's fields, or of two catchers or choices."""
    places = list(_nexts(node))
    for nth, one in enumerate(places):
        for other in places[nth + 1 :]:
            if one.value != other.value:
                yield node.visit(_Exchange(one, other))


class _Exchange(cst.CSTTransformer):
    """Puts two nodes of a tree in each other's place."""

    def __init__(self, one, other):
        super().__init__()
        self.others = {one: other, other: one}

    def on_leave(self, original_node, updated_node):
        return self.others.get(original_node, updated_node)


def _nexts(node):
    """The names of states that are gone to: those of a dict's fields, or of all dicts in a list."""
    dicts = [node] if isinstance(node, cst.Dict) else [each.value for each in node.elements]
    for element in [element for each in dicts if isinstance(each, cst.Dict) for element in each.elements]:
        if _key(element) in ("Next", "Default") and isinstance(element.value, cst.SimpleString):
            yield element.value


_OTHER_ERRORS = {
    "States.ALL": ("States.TaskFailed", "States.Timeout"),
    "States.Timeout": ("States.HeartbeatTimeout", "States.TaskFailed"),
    "States.TaskFailed": ("States.Timeout", "States.ALL"),
    "States.HeartbeatTimeout": ("States.Timeout",),
}


@ours("error-name", cst.SimpleString)
def error_name(node):
    for other in _OTHER_ERRORS.get(node.raw_value, ()):
        yield _string(node, node.quote, other)


@ours("resource", cst.SimpleString)
def resource(node):
    """Another way to call a service: without waiting for the token, or by another action."""
    text = node.raw_value
    if text.startswith("arn:aws:states:::"):
        if text.endswith((".waitForTaskToken", ".sync")):
            yield _string(node, node.quote, text.rpartition(".")[0])
        elif ":aws-sdk:" not in text:
            yield _string(node, node.quote, f"{text}.waitForTaskToken")


def _without_elements(node, wanted):
    for nth, element in enumerate(node.elements):
        if wanted(_key(element)):
            yield node.with_changes(elements=_without(node.elements, nth))


def _without(elements, nth):
    """The elements but one; the new last one has the comma (or none) of the old last one, and what follows it."""
    rest = [*elements[:nth], *elements[nth + 1 :]]
    if nth == len(elements) - 1 and rest:
        rest[-1] = rest[-1].with_changes(comma=elements[-1].comma)
    return rest


def _key(element):
    key = getattr(element, "key", None)
    return key.raw_value if isinstance(key, cst.SimpleString) else ""


# -- expressions of a state machine (JSONata) -------------------------------------------------------------------------


def _is_jsonata(text):
    return "{%" in text or "%}" in text or "$states." in text


@ours("expression-operator", cst.SimpleString)
def expression_operator(node):
    """Another comparison, sum or connection in an expression."""
    if _is_jsonata(node.value):
        yield from _texts(node, node.raw_value, {
            r" = ": " != ", r" != ": " = ", r" < ": " <= ", r" <= ": " < ", r" > ": " >= ", r" >= ": " > ",
            r" and ": " or ", r" or ": " and ", r" \+ ": " - ", r" - ": " + ", r" \* ": " / ", r" / ": " * ",
            r"\$min\b": "$max", r"\$max\b": "$min", r"\$exists\b": "$not",
        })  # fmt: skip


@ours("expression-path", cst.SimpleString)
def expression_path(node):
    """Another path: without its last part, with another last part, or from another beginning."""
    if not _is_jsonata(node.value):
        return
    text = node.raw_value
    for path in re.finditer(r"\$states(?:\.\w+(?:\[\d+\])?)+", text):
        whole, before = path[0], path[0].rpartition(".")[0]
        others = [f"{whole}X"] if before != "$states" else []
        others += [before] if before.count(".") > 1 or before in ("$states.input", "$states.result") else []
        if whole.startswith("$states.context.Execution.Input"):
            others.append(whole.replace("$states.context.Execution.Input", "$states.input"))
        elif whole.startswith("$states.input"):
            others.append(whole.replace("$states.input", "$states.context.Execution.Input"))
        elif whole.startswith("$states.result"):
            others.append(whole.replace("$states.result", "$states.input"))
        elif whole == "$states.errorOutput":
            others.append("$states.input")
        elif whole == "$states.context.Task.Token":
            others.append("$states.context.Execution.Id")
        elif whole == "$states.context.Execution.Id":
            others += ["$states.context.Execution.Name", "$states.context.Task.Token"]
        yield from (_string(node, node.quote, text[: path.start()] + other + text[path.end() :]) for other in others)


@ours("expression-value", cst.SimpleString)
def expression_value(node):
    """Another number, text, field or list in an expression."""
    if not _is_jsonata(node.value):
        return
    text = node.raw_value
    for number in re.finditer(r"(?<![\w.'])\d+(?![\w'])", text):
        for other in (int(number[0]) + 1, int(number[0]) - 1):
            if other >= 0:
                yield _string(node, node.quote, f"{text[: number.start()]}{other}{text[number.end() :]}")
    for word in re.finditer(r"'([^']*)'(, )?", text):
        yield _string(node, node.quote, f"{text[: word.end(1)]}X{text[word.end(1) :]}")
        if word[2]:  # an element of a list, or a field with what follows it: what makes no expression is not played
            yield _string(node, node.quote, text[: word.start()] + text[word.end() :])
    for item in re.finditer(r", '[^']*'(?=\])", text):
        yield _string(node, node.quote, text[: item.start()] + text[item.end() :])
    for field in re.finditer(r"(, ?)?'\w+': [\w.]+", text):
        yield _string(
            node, node.quote, text[: field.start()] + text[field.end() :].removeprefix("" if field[1] else ", ")
        )
    for value in re.finditer(r"(?<=': )[A-Za-z][\w.]*", text):
        yield _string(node, node.quote, f"{text[: value.end()]}X{text[value.end() :]}")


# -- texts ------------------------------------------------------------------------------------------------------------


@ours("string", cst.FormattedStringText)
def text_of_f_string(node):
    """The fixed part of an f-string, changed as mutmut changes a string."""
    yield node.with_changes(value=f"XX{node.value}XX")


@ours("number-nought", cst.Integer)
def number_nought(node):
    """0 in place of a number; 1 more is mutmut's."""
    if node.evaluated_value > 1:
        yield cst.Integer("0")


def _texts(node, text, others):
    """The string with each place of each pattern replaced by what stands beside the pattern."""
    for pattern, other in others.items():
        for place in re.finditer(pattern, text):
            yield _string(node, node.quote, text[: place.start()] + other + text[place.end() :])


def _string(node, quote, text):
    return node.with_changes(value=f"{node.prefix}{quote}{text}{quote}")
