"""How data passes through one visit to a state, in JSONPath and in JSONata."""

import copy
import json

from ministack.services import stepfunctions as engine

from .errors import DATA_LIMIT, MAX_DATA_BYTES, QUERY, RUNTIME, StateError
from .executions import to_json
from .paths import PathError, Scope, is_number, put

_ABSENT = object()


class Visit:
    """A state that has been entered with an input: evaluates its fields, and words its failures as AWS does."""

    def __init__(self, flow, name, state, data, entered):
        self.flow = flow
        self.name = name
        self.state = state
        self.input = data
        self.entered = entered  # id of the event
        machine_language = flow.execution.definition.get("QueryLanguage", "JSONPath")
        self.jsonata = state.get("QueryLanguage", machine_language) == "JSONata"
        self.assigned = {}

    def failure(self, error, cause, **more):
        """A StateError with the place in front of its cause."""
        place = f"An error occurred while executing the state '{self.name}' (entered at the event id #{self.entered})."
        return StateError(error, f"{place} {cause}", **more)

    def field(self, name, default=None):
        """A field that is a plain value, or in JSONata perhaps an expression."""
        if name not in self.state:
            return default
        return self.jsonata_value(self.state[name], name) if self.jsonata else self.state[name]

    def path_field(self, name, kind, check):
        """What `<name>Path` refers to; `kind` says in AWS's words what it must be and `check` whether it is."""
        path = self.state[name]
        try:
            value = self.scope(self.effective_input()).evaluate(path)
        except PathError as problem:
            raise self.failure(RUNTIME, f"Invalid path '{path}': {problem}") from problem
        if not check(value):
            raise self.failure(
                RUNTIME, f"The {name} parameter does not reference {kind}: {path} == {_shown(value)}"
            )
        return value

    # JSONPath

    def scope(self, data):
        return Scope(data, self.flow.context, self.flow.variables)

    def effective_input(self):
        """The input after InputPath."""
        return self._select("InputPath", self.input)

    def _select(self, name, data):
        path = self.state.get(name, "$")
        if path is None:
            return {}
        try:
            return self.scope(data).read(path)
        except PathError as problem:
            raise self.failure(RUNTIME, f"Invalid path '{path}': {problem}") from problem

    def template(self, template, data):
        """A payload template, evaluated against data."""
        try:
            return self.scope(data).fill(template)
        except PathError as problem:
            raise self.failure(RUNTIME, str(problem)) from problem

    def put_result(self, path, result):
        """The input with a result placed in it by a ResultPath."""
        if path is None:
            return self.input
        try:
            return put(path, self.input, result)
        except PathError as problem:
            raise self.failure("States.ResultPathMatchFailure", str(problem)) from problem

    # JSONata

    def jsonata_value(self, template, location, **states):
        """A template with its `{% %}` expressions evaluated. states: what `$states` has beside input and context."""
        if isinstance(template, dict):
            return {key: self.jsonata_value(value, f"{location}/{key}", **states) for key, value in template.items()}
        if isinstance(template, list):
            return [self.jsonata_value(item, f"{location}[{i}]", **states) for i, item in enumerate(template)]
        if not isinstance(template, str) or not (template.startswith("{%") and template.endswith("%}")):
            return template
        return self._jsonata(template[2:-2].strip(), location, states)

    def _jsonata(self, expression, location, states):
        null = engine.jsonata.utils.Utils.NULL_VALUE
        bindings = {name: null if value is None else value for name, value in self.flow.variables.items()}
        bindings["states"] = {"input": self.input, "context": self.flow.context, **states}
        try:
            program = engine.jsonata.Jsonata.jsonata(expression, timeout=5000)
            engine._register_sfn_jsonata_functions(program)
            value = program.evaluate(None, bindings)
        except Exception as problem:  # a JException, or what a function of the engine raises
            code = getattr(problem, "error", None)
            reason = f"{code}: {problem}" if isinstance(code, str) else str(problem)
            raise self.failure(
                QUERY,
                f"The JSONata expression '{expression}' specified for the field '{location}' "
                f"threw an error during evaluation. {reason}",
                location=location,
            ) from problem
        if value is None and not engine._jsonata_result_defined(expression, bindings):
            raise self.failure(
                QUERY,
                f"The JSONata expression '{expression}' specified for the field '{location}' "
                "returned nothing (undefined).",
                location=location,
            )
        return copy.deepcopy(value)

    def typed(self, name, wanted, value=_ABSENT):
        """A field in JSONata that must have a JSON type (`number`, `string`, `boolean`, `array`)."""
        value = self.field(name) if value is _ABSENT else value
        if engine._json_type(value) != wanted:
            raise self.failure(
                QUERY,
                f"The JSONata expression '{_inside(self.state.get(name))}' specified for the field '{name}' returned "
                f"an unexpected result type. Expected '{wanted}', but was '{engine._json_type(value)}' "
                f"for value: {to_json(value)}",
                location=name,
            )
        return value

    # Both

    def arguments(self):
        """What a Task, Parallel or Pass works on: Arguments, or InputPath and Parameters."""
        if self.jsonata:
            return self.field("Arguments", self.input)
        data = self.effective_input()
        return self.template(self.state["Parameters"], data) if "Parameters" in self.state else data

    def finish(self, result=_ABSENT, *, rule=None, location=""):
        """The state's output, with its variables assigned; JSONata's default is the result, else the input.

        result: of a Task, Parallel, Map or Pass. rule, location: the Choice rule whose Assign and Output count
        instead of the state's own, and where it stands.
        """
        source = self.state if rule is None else rule
        if self.jsonata:
            states = {} if result is _ABSENT else {"result": result}
            output = self.input if result is _ABSENT else result
            return self._assign_and_output(source, output, location, states)
        if result is _ABSENT:
            data = output = self.effective_input()
        else:
            data = self.template(self.state["ResultSelector"], result) if "ResultSelector" in self.state else result
            output = self.put_result(self.state.get("ResultPath", "$"), data)
        self.assigned = self.template(source.get("Assign", {}), data)
        return self.limit(self._select("OutputPath", output))

    def catch(self, catcher, location, error):
        """The output with which a catcher goes on after a StateError."""
        if self.jsonata:
            return self._assign_and_output(catcher, error.output, location, {"errorOutput": error.output})
        self.assigned = self.template(catcher.get("Assign", {}), error.output)
        return self.limit(self.put_result(catcher.get("ResultPath", "$"), error.output))

    def _assign_and_output(self, source, output, location, states):
        """Evaluate both before any variable changes: neither sees what the other makes."""
        assigned = self.jsonata_value(source.get("Assign", {}), f"{location}Assign", **states)
        if "Output" in source:
            output = self.jsonata_value(source["Output"], f"{location}Output", **states)
        self.assigned = assigned
        return self.limit(output)

    def limit(self, output, what=None):
        """A state's output, or the result of a task named `what`, held to the service's limit."""
        if len(to_json(output).encode()) > MAX_DATA_BYTES:
            cause = (
                f"The state/task '{what or self.name}' returned a result with a size exceeding "
                "the maximum number of bytes service limit."
            )
            raise StateError(DATA_LIMIT, cause)
        return output


def _shown(value):
    return value if isinstance(value, str) else json.dumps(value)


def _inside(expression):
    return expression[2:-2].strip() if isinstance(expression, str) else to_json(expression)


def seconds_like(value):
    """Whether a value can be a number of seconds: a whole number, not negative."""
    return is_number(value) and value >= 0 and float(value).is_integer()

