"""What can be seen in the text of Python functions: the traps of durable functions, and polling in disguise.

Code is read and never run. A durable handler is a function that has @durable_execution, or that calls operations on its
second parameter; what the text does not show (a helper in another file, a name that is only known at run time) is taken
for right.
"""

import ast
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

from workshop.examining.reading import Code, UnreadableError
from workshop.examining.rules import Finding

OPERATIONS = {"step", "wait", "wait_for_condition", "wait_for_callback", "create_callback", "invoke", "map", "parallel",
              "run_in_child_context"}  # fmt: skip
_SUSPEND = {"wait", "wait_for_condition", "wait_for_callback", "invoke"}
# Where the functions stand that an operation is given, and whether those are steps (which may do things) or contexts.
_STEPS = {"step": 0, "wait_for_callback": 0, "wait_for_condition": 0}
_CHILDREN = {"run_in_child_context": 0, "map": 1, "parallel": 0}
_STEP_DECORATORS = {"durable_step", "durable_wait_for_callback"}
_CHILD_DECORATORS = {"durable_with_child_context", "durable_parallel_branch"}

Found = Iterator[tuple[ast.AST, str]]
CODE_RULES: dict[str, Callable[["_Durable"], Found]] = {}


def _rule(function):
    CODE_RULES[function.__name__.replace("_", "-")] = function
    return function


def findings_of(code: Code) -> list[Finding]:
    """What all rules find in this code. Raises UnreadableError where it is no Python."""
    try:
        tree = ast.parse(code.text)
    except (SyntaxError, ValueError) as error:
        where = f" in line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise UnreadableError(f"{code.file} is no Python: there is a fault{where}.") from None
    module = _Module.of(tree, Path(code.file).parent)
    found = [
        Finding(name, handler.name, says, node.lineno)
        for handler in module.durable_functions()
        for name, rule in CODE_RULES.items()
        if name != "wait-in-function"
        for node, says in rule(handler)
    ]
    found += [Finding("wait-in-function", where, says, node.lineno) for node, where, says in _waits(module)]
    return found


def is_found_fault_with(code: Code) -> bool:
    """Whether there is something to say of this code; code that is none counts as well."""
    try:
        return bool(findings_of(code))
    except UnreadableError:
        return True


@dataclasses.dataclass
class _Module:
    """A file: its tree, what its imported names stand for, its functions, and its names for clients of AWS.

    acting, drawing: full names of functions, its own and those of files beside it that it imports, that call a service,
    or that return something else each time.
    """

    tree: ast.Module
    imports: dict[str, str]
    functions: dict[str, ast.FunctionDef]
    clients: set[str]
    acting: set[str] = dataclasses.field(default_factory=set)
    drawing: set[str] = dataclasses.field(default_factory=set)

    @classmethod
    def of(cls, tree, folder=None):
        imports = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for one in node.names:
                    name = one.asname or one.name.split(".")[0]
                    imports[name] = one.name if one.asname else name
            elif isinstance(node, ast.ImportFrom) and node.module:
                for one in node.names:
                    imports[one.asname or one.name] = f"{node.module}.{one.name}"
        functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        module = cls(tree, imports, functions, set())
        for node in ast.walk(tree):  # a table may be made of a resource that is assigned further up
            if isinstance(node, ast.Assign) and module.makes_client(node.value):
                module.clients |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        for name in {path.split(".")[0] for path in imports.values()} if folder else ():
            module._learn(name, folder / f"{name}.py")
        module._find_out()
        return module

    def _learn(self, name, path):
        """Take over what a file beside this one is known to do; what cannot be read is taken for right."""
        try:
            other = _Module.of(ast.parse(path.read_text(encoding="utf-8")))
        except (OSError, SyntaxError, ValueError):
            return
        self.acting |= {f"{name}.{each}" for each in other.acting}
        self.drawing |= {f"{name}.{each}" for each in other.drawing}

    def _find_out(self):
        """Find out which of its functions act or draw, themselves or by those that they call."""
        # A call of a decorated step does nothing yet: it makes what context.step is given.
        own = {name: one for name, one in self.functions.items()
               if one in self.tree.body and not (_STEP_DECORATORS | _CHILD_DECORATORS) & _decorators(one)}  # fmt: skip
        grown = True
        while grown:
            before = len(self.acting) + len(self.drawing)
            for name, function in own.items():
                if len(function.args.args) >= 2 and _calls_operations(function, function.args.args[1].arg):
                    continue  # a handler: what it does in its steps is no act of its own
                for node in ast.walk(function):
                    if isinstance(node, ast.Call):
                        self.acting |= {name} if self.acts(node) else set()
                    if isinstance(node, ast.Return) and node.value is not None:
                        drawn = any(self.draws(one) for one in ast.walk(node.value))
                        self.drawing |= {name} if drawn else set()
            grown = len(self.acting) + len(self.drawing) > before

    def acts(self, node) -> str | None:
        """The name of a call of AWS or another service; None where it is none."""
        if not isinstance(node, ast.Call) or self.makes_client(node):
            return None
        path = self.path(node.func)
        if isinstance(node.func, ast.Attribute) and self.is_client(node.func.value):
            return node.func.attr
        return path if path in _HTTP or path in self.acting else None

    def draws(self, node) -> str | None:
        """The name of a call that returns something else each time; None where it is none."""
        if not isinstance(node, ast.Call):
            return None
        path = self.path(node.func)
        return path if path in _CHANCE or path in self.drawing or path.startswith(("random.", "secrets.")) else None

    def path(self, node) -> str:
        """The full name that an expression stands for: "datetime.datetime.now"; "" where it is none."""
        if isinstance(node, ast.Attribute):
            before = self.path(node.value)
            return f"{before}.{node.attr}" if before else ""
        return self.imports.get(node.id, node.id) if isinstance(node, ast.Name) else ""

    def makes_client(self, node) -> bool:
        if not isinstance(node, ast.Call):
            return False
        if self.path(node.func) in ("boto3.client", "boto3.resource"):
            return True
        func = node.func
        return (
            isinstance(func, ast.Attribute)
            and func.attr in ("Table", "Queue", "Topic", "Bucket", "client", "resource")
            and (self.is_client(func.value) or self.path(func.value).startswith("boto3."))
        )

    def is_client(self, node) -> bool:
        return (isinstance(node, ast.Name) and node.id in self.clients) or self.makes_client(node)

    def durable_functions(self) -> Iterator["_Durable"]:
        for function in self.functions.values():
            arguments = [one.arg for one in function.args.args]
            marked = bool({"durable_execution"} & _decorators(function))
            if len(arguments) >= 2 and (marked or _calls_operations(function, arguments[1])):
                yield _Durable(self, function, arguments[1])
            elif _CHILD_DECORATORS & _decorators(function) and arguments:
                yield _Durable(self, function, arguments[0])


def _decorators(function):
    found = set()
    for one in function.decorator_list:
        one = one.func if isinstance(one, ast.Call) else one
        found.add(one.attr if isinstance(one, ast.Attribute) else getattr(one, "id", ""))
    return found


def _calls_operations(function, context):
    """Whether it calls at least one operation that nothing else is called, on its parameter.

    A runner of the testing SDK has a wait_for_callback, too, but it is a test that waits with it.
    """
    telling = {"step", "wait_for_condition", "wait_for_callback", "create_callback", "run_in_child_context"}
    a_test = function.name.startswith("test_")
    return not a_test and any(_operation(node, {context}) in telling | {"wait"} for node in ast.walk(function))


def _operation(node, contexts):
    """The name of the durable operation that a call is; None where it is none."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in OPERATIONS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in contexts
    ):
        return node.func.attr
    return None


class _Durable:
    """A durable handler: its code outside of steps (which runs again on each replay), and that of its steps."""

    def __init__(self, module, function, context):
        self.module, self.name, self.function = module, function.name, function
        self.contexts = {context}
        self.steps: list[ast.AST] = []  # functions and lambdas whose bodies run once, as steps
        self._local = {node.name: node for node in ast.walk(function) if isinstance(node, ast.FunctionDef)}
        self._sort()
        self.outside = list(self._walk(function))

    def _sort(self):
        """Find out which functions within are steps and which get a context of their own."""
        for node in ast.walk(self.function):
            operation = _operation(node, self.contexts)
            if operation in _STEPS:
                self.steps += self._given(node, _STEPS[operation])
            elif operation in _CHILDREN:
                for child in self._given(node, _CHILDREN[operation]):
                    arguments = child.args.args
                    if arguments:
                        self.contexts.add(arguments[0].arg)
        for node in self._local.values():
            if _STEP_DECORATORS & _decorators(node):
                self.steps.append(node)
        # What a step calls is part of it, unless it is called outside of steps as well.
        called = [node.func.id for step in self.steps for node in ast.walk(step)
                  if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]  # fmt: skip
        self.steps += [self._local[name] for name in dict.fromkeys(called)
                       if name in self._local and self._local[name] not in self.steps]  # fmt: skip
        # A step may stand in a child that was found later.
        for node in ast.walk(self.function):
            if _operation(node, self.contexts) in _STEPS:
                self.steps += [one for one in self._given(node, 0) if one not in self.steps]

    def _given(self, call, position):
        """The functions that an operation is given at this place, as far as they stand in this handler."""
        keyword = next(
            (one.value for one in call.keywords if one.arg in ("func", "submitter", "check", "functions")), None
        )
        given = keyword or (call.args[position] if len(call.args) > position else None)
        options = given.elts if isinstance(given, ast.List | ast.Tuple) else [given]
        found = [self._local.get(one.id) if isinstance(one, ast.Name) else one for one in options]
        return [one for one in found if isinstance(one, ast.FunctionDef | ast.Lambda)]

    def _walk(self, node):
        """All nodes outside of steps; a function within that nothing calls as a step runs outside, too."""
        for child in ast.iter_child_nodes(node):
            if child in self.steps:
                continue
            yield child
            yield from self._walk(child)

    def operation(self, node):
        return _operation(node, self.contexts)

    def operations_in(self, nodes) -> Iterator[tuple[ast.Call, str]]:
        """Durable operations within these statements, but not those within steps."""
        for node in nodes:
            for one in [node, *self._walk(node)]:
                if name := self.operation(one):
                    yield one, name

    def last_operation(self) -> int:
        """The last line that can be followed by a replay: of an operation, or of a loop with one; 0 without any."""
        lines = [0]
        for node in self.outside:
            gets = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "result"
            repeats = isinstance(node, ast.For | ast.While) and any(self.operations_in(node.body))
            if self.operation(node) or gets or repeats:
                lines.append(node.end_lineno)
        return max(lines)

    def is_chance(self, node) -> str | None:
        """The name of a call that returns something else each time; None where it is none."""
        return self.module.draws(node)


_CHANCE = {"time.time", "time.time_ns", "time.monotonic", "time.perf_counter", "datetime.datetime.now",
           "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today", "uuid.uuid1", "uuid.uuid4",
           "os.urandom", "os.getpid", "time.strftime", "time.gmtime", "time.localtime"}  # fmt: skip
_HTTP = {f"{module}.{verb}" for module in ("requests", "httpx")
         for verb in ("get", "post", "put", "patch", "delete", "request")} | {"urllib.request.urlopen"}  # fmt: skip


@_rule
def chance_outside_step(durable) -> Found:
    """A clock or chance is asked outside of a step.

    The handler runs again from its top each time it resumes. What it draws or reads there is another value each time:
    another branch is taken, or a value that was used before the wait is another one after it.

    What to do: read it in a step, whose result is kept: `now = context.step(lambda _: time.time(), name="now")`.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-sdk.html
    """
    logged = {id(inner) for node in durable.outside if _is_log(node) for inner in ast.walk(node)}
    last = durable.last_operation()
    for node in durable.outside:
        if (path := durable.is_chance(node)) and id(node) not in logged and node.lineno <= last:
            yield node, f"{path}() stands outside of a step, so each replay gets another value. Read it in a step."


def _is_log(node):
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("debug", "info", "warning", "error", "exception", "log")
    )


@_rule
def effect_outside_step(durable) -> Found:
    """AWS or another service is called outside of a step.

    Code outside of steps runs again on every replay, so the call is made several times: two messages, two orders. What
    it returns may be something else each time.

    What to do: make the call in a step, and make the step idempotent: it may run twice as well, after a crash.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-idempotency.html
    """
    for node in durable.outside:
        if name := durable.module.acts(node):
            yield node, f"{name}() stands outside of a step, so each replay calls it again. Call it in a step."


_CHANGES = {"append", "extend", "add", "update", "insert", "pop", "setdefault", "clear", "remove", "discard",
            "popitem", "sort", "reverse"}  # fmt: skip


@_rule
def closure_changed_in_step(durable) -> Found:
    """A step changes a variable of the handler around it.

    On replay the body of a step is skipped and only its stored result is returned, so the change never happens: a
    counter is 0 again, a list is empty.

    What to do: return the value from the step and assign what the step returns.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-sdk.html
    """
    outer = {arg.arg for arg in durable.function.args.args} | {
        node.id for node in durable.outside if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    for step in durable.steps:
        inner = {arg.arg for arg in step.args.args}
        freed = {name for node in ast.walk(step) if isinstance(node, ast.Nonlocal) for name in node.names}
        inner |= {node.id for node in ast.walk(step) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        inner -= freed
        for node in ast.walk(step):
            changed = _changed(node)
            if changed is not None and changed in outer and changed not in inner:
                yield node, f"A step changes {changed!r}, and on replay the step is skipped. Return the value instead."


def _changed(node):
    """The name of the variable that a node changes in place, or assigns anew; None where it changes none."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES:
        target = node.func.value
    elif isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
        target = node.value
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return node.id
    else:
        return None
    while isinstance(target, ast.Subscript | ast.Attribute):
        target = target.value
    return target.id if isinstance(target, ast.Name) else None


@_rule
def name_by_chance(durable) -> Found:
    """The name of an operation is another one each time.

    On replay an operation is compared with what was recorded at its place: type, name and parent. A name with a random
    part or the time in it can never be the same, and the execution fails with NonDeterministicExecutionError.

    What to do: a fixed name, or one that is made of the input only.

    Source: https://github.com/aws/aws-durable-execution-sdk-python/pull/706
    """
    drawn = {
        target.id
        for node in durable.outside
        if isinstance(node, ast.Assign) and any(durable.is_chance(one) for one in ast.walk(node.value))
        for target in node.targets
        if isinstance(target, ast.Name) and not any(durable.operation(one) for one in ast.walk(node.value))
    }
    for node in durable.outside:
        if not durable.operation(node):
            continue
        for keyword in node.keywords:
            if keyword.arg == "name" and any(
                durable.is_chance(one) or (isinstance(one, ast.Name) and one.id in drawn)
                for one in ast.walk(keyword.value)
            ):
                yield node, "The name of this operation changes on each replay, which fails. Give it a fixed name."


@_rule
def key_drawn_with_its_use(durable) -> Found:
    """A step draws a key and uses it at once.

    A key is to tell a second try from a second order. A step that is interrupted after the call and before its result
    is kept runs again, draws another key, and the other side takes the second try for something new.

    What to do: draw the key in a step of its own, before: `context.step(lambda _: str(uuid.uuid4()), name="key")`.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-idempotency.html
    """
    for step in durable.steps:
        for node in ast.walk(step):
            given = [*node.args, *(one.value for one in node.keywords)] if isinstance(node, ast.Call) else []
            if durable.module.path(getattr(node, "func", None)) in _PLAIN:
                continue
            drawn = (inner for one in given for inner in ast.walk(one) if isinstance(inner, ast.Call))
            if any(durable.module.path(inner.func).startswith(("uuid.uuid", "secrets.")) for inner in drawn):
                yield node, "This step draws a key and uses it: a second try has another one. Draw it in a step before."


_PLAIN = {"str", "repr", "int", "format", "print"}


@_rule
def swallowed_suspension(durable) -> Found:
    """An except catches the signal with which a durable function suspends.

    To suspend, the SDK raises an exception that derives from BaseException. A bare `except:` or `except BaseException`
    around an operation catches it: the wait is skipped, and the function goes on at once.

    What to do: `except Exception`, which lets the signal pass; or raise again.

    Source: https://github.com/aws/aws-durable-execution-sdk-python (SuspendExecution)
    """
    for node in durable.outside:
        if not isinstance(node, ast.Try) or not any(durable.operations_in(node.body)):
            continue
        for handler in node.handlers:
            if handler.type is not None and "BaseException" not in {
                one.id for one in ast.walk(handler.type) if isinstance(one, ast.Name)
            }:
                continue
            if not any(isinstance(one, ast.Raise) for one in ast.walk(handler)):
                what = "A bare except" if handler.type is None else "except BaseException"
                yield handler, f"{what} around a durable operation skips its wait. Catch Exception instead."


@_rule
def return_in_finally(durable) -> Found:
    """A `finally` with a return, break or continue stands around a durable operation.

    It swallows every exception, and so the signal with which the function suspends: the function returns, and the wait
    has never passed.

    What to do: return after the try statement.

    Source: https://docs.python.org/3/reference/compound_stmts.html#finally-clause
    """
    for node in durable.outside:
        if isinstance(node, ast.Try) and any(durable.operations_in(node.body)):
            for one in (inner for statement in node.finalbody for inner in ast.walk(statement)):
                if isinstance(one, ast.Return | ast.Break | ast.Continue):
                    yield one, "A finally that leaves skips the wait inside of its try. Leave after the try statement."
                    break


@_rule
def cleanup_at_suspension(durable) -> Found:
    """A `finally` or `with` stands around a wait of a durable function.

    When the function suspends, an exception passes through: the finally runs and the with ends, although the workflow
    only waits. A lock is released and a file is deleted while they are still needed, and again at the end.

    What to do: open and close it within a step, or make the clean-up a step after the wait.

    Source: https://github.com/aws/aws-durable-execution-sdk-python (SuspendExecution)
    """
    for node in durable.outside:
        if isinstance(node, ast.Try) and node.finalbody:
            leaves = any(
                isinstance(one, ast.Return | ast.Break | ast.Continue)
                for body in node.finalbody
                for one in ast.walk(body)
            )
            what = None if leaves else "finally"
            if all(any(True for _ in durable.operations_in([one])) for one in node.finalbody):
                what = None  # it only calls operations, which are kept
        elif isinstance(node, ast.With):
            what = "with"
        else:
            continue
        if what and any(name in _SUSPEND for _, name in durable.operations_in(node.body)):
            says = f"The clean-up of this {what} runs each time the function suspends in it. Make it a step of its own."
            yield node, says


@_rule
def operation_in_step(durable) -> Found:
    """A durable operation is called within a step.

    A step's body is skipped on replay and may run again after a crash. Operations within it are not recorded as its
    own, and the SDK does not refuse them.

    What to do: put them into a child context: `context.run_in_child_context(...)`.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-sdk.html
    """
    for step in durable.steps:
        inner = {arg.arg for arg in step.args.args}
        for node in ast.walk(step):
            if _operation(node, durable.contexts - inner):
                says = f"{node.func.attr}() is called within a step. Use run_in_child_context for several operations."
                yield node, says


@_rule
def order_of_a_set(durable) -> Found:
    """Operations are called in the order of a set.

    The order of a set of texts is another one in each process, so on replay the operations come in another order: it
    fails, or, where they have no names, each gets the result of another one.

    What to do: go through `sorted(...)`, or a list.

    Source: https://docs.python.org/3/reference/datamodel.html#object.__hash__
    """
    for node in durable.outside:
        if isinstance(node, ast.For) and _is_set(node.iter) and any(durable.operations_in(node.body)):
            yield node, "Operations follow the order of a set, which is another one in each process. Sort it."


def _is_set(node):
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("set", "frozenset"):
        return True
    return isinstance(node, ast.Set | ast.SetComp)


@_rule
def callback_without_timeout(durable) -> Found:
    """A durable function waits for a callback without a timeout.

    Without one it waits for as long as the whole execution may last: up to a year. Whoever should call may crash, and
    the event that should make it call may be lost.

    What to do: `config=WaitForCallbackConfig(timeout=Duration.from_hours(2))`, or a heartbeat_timeout.

    Source: https://docs.aws.amazon.com/lambda/latest/api/API_SendDurableExecutionCallbackSuccess.html
    """
    places = {"wait_for_callback": 2, "create_callback": 1}
    for node in durable.outside:
        name = durable.operation(node)
        if name not in places:
            continue
        config = next((one.value for one in node.keywords if one.arg == "config"), None)
        if config is None and len(node.args) > places[name]:
            config = node.args[places[name]]
        if config is None or (
            isinstance(config, ast.Call)
            and not config.args
            and not {"timeout", "heartbeat_timeout", None} & {one.arg for one in config.keywords}
        ):
            yield node, f"{name}() has no timeout: if nobody calls, it waits for as long as the execution may. Set one."


@_rule
def wait_in_function(durable) -> Found:
    """A function polls: with a waiter of boto3, or with a sleep in a loop that asks.

    It is a polling loop that no state machine shows. The function is paid for while it sleeps, and ends after 15
    minutes. A waiter has a number of attempts of its own: those of DMS ask 60 times, every 15 seconds.

    What to do: start the job and return; wait with `.sync`, a task token, or in a durable function.

    Source: https://docs.aws.amazon.com/boto3/latest/reference/services/dms.html
    """
    return iter(())  # it is looked for in all functions, not in durable ones only: _waits


def _waits(module) -> Iterator[tuple[ast.AST, str | None, str]]:
    """Polling in the code of functions: (node, name of the function around it, what to say).

    Only in files that make a client or have a handler: a library that is packed beside the function is none. Nor is a
    test, or what is run by hand: nobody pays for its sleep.
    """
    handles = any([one.arg for one in function.args.args][:1] == ["event"] for function in module.functions.values())
    if not handles and (_is_run_by_hand(module) or not any(map(module.makes_client, ast.walk(module.tree)))):
        return
    for function, node in _with_function(module.tree, None):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get_waiter":
            name = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else "of boto3"
            yield node, function, f"The waiter {name} is a polling loop, and the function is paid for while it sleeps."
        elif isinstance(node, ast.While | ast.For):
            calls = [one.func for one in ast.walk(node) if isinstance(one, ast.Call)]
            asks = next((one.attr for one in calls if isinstance(one, ast.Attribute) and _asks(module, one)), None)
            if asks and any(module.path(one) == "time.sleep" for one in calls):
                yield node, function, f"It asks with {asks}() and sleeps, in a loop: its sleep is paid for."


def _is_run_by_hand(module):
    """Whether it is a command or a test."""
    tools = {path.split(".")[0] for path in module.imports.values()} & {"argparse", "click", "pytest", "unittest"}
    return bool(tools) or any(
        isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'" for node in module.tree.body
    )


def _asks(module, called):
    """Whether a method asks for something: what is no client of AWS may get all kinds of things."""
    asking = ("describe_", "head_", "batch_get_", "list_", "check_")
    return called.attr.startswith(asking) or (called.attr.startswith("get_") and module.is_client(called.value))


def _with_function(node, function):
    for child in ast.iter_child_nodes(node):
        yield function, child
        name = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        yield from _with_function(child, name)
