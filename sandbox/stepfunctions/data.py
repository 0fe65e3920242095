"""How data passes through one visit to a state, in JSONPath and in JSONata."""

import copy

from ministack.services import stepfunctions as engine

from . import expressions
from .errors import DATA_LIMIT, MAX_DATA_BYTES, QUERY, RUNTIME, StateError
from .executions import to_json
from .paths import PathError, is_number, parse, put
from .templates import IntrinsicError, Scope

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
        return StateError(error, f"{place} {cause}", state=self, **more)

    def field(self, name, default=None):
        """A field that is a plain value, or in JSONata perhaps an expression."""
        if name not in self.state:
            return default
        return self.jsonata_value(self.state[name], name) if self.jsonata else self.state[name]

    def path_field(self, name, kind, check):
        """What a field such as SecondsPath refers to; `kind` says in AWS's words what it must be, `check` whether."""
        path = self.state[name]
        data = self.effective_input()
        try:
            value = self.scope(data).evaluate(path)
        except PathError as problem:
            where = f"specified for the field '{name}' could not be found in the input '{to_json(data)}'"
            raise self.failure(RUNTIME, f"The JSONPath '{path}' {where}") from problem
        if not check(value):
            shown = value if isinstance(value, str) else to_json(value)
            raise self.failure(RUNTIME, f"The {name} parameter does not reference {kind}: {path} == {shown}")
        return value

    def whole_number(self, name):
        """A field that counts seconds or the like, in JSONata perhaps by an expression; None without the field."""
        if name not in self.state or not self.jsonata:
            return self.state.get(name)
        value = self.typed(name, "number")
        if not float(value).is_integer():
            cause = f"The {name} field cannot be parsed as an integer: {to_json(value)}"
            raise self.failure(QUERY, cause, location=name)
        if value < 0:
            raise self.failure(QUERY, f"{name} cannot be negative but was: {to_json(value)}", location=name)
        return int(value)

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
            raise self.failure(RUNTIME, f"Invalid path '{path}' : {problem}") from problem

    def reference(self, path, data):
        """The value at a reference path, such as ItemsPath."""
        try:
            return self.scope(data).read(path)
        except PathError as problem:
            step = parse(path)[1][-1][1][0]
            cause = f'Unable to apply step "{step}" to input {to_json(data)}'
            raise self.failure("States.ReferencePathConflict", cause) from problem

    def template(self, template, data):
        """A payload template, evaluated against data."""
        try:
            return self.scope(data).fill(template)
        except IntrinsicError as problem:
            raise self.failure("States.IntrinsicFailure", str(problem)) from problem
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
        states = {"input": self.input, "context": self.flow.context, **states}
        wrong = f"The JSONata expression '{expression}' specified for the field '{location}' "
        try:
            value, defined = expressions.evaluate(expression, self.flow.variables, states)
        except expressions.ExpressionError as problem:
            cause = f"{wrong}threw an error during evaluation. {problem}"
            raise self.failure(QUERY, cause, location=location) from problem
        if not defined:
            raise self.failure(QUERY, f"{wrong}returned nothing (undefined).", location=location)
        return copy.deepcopy(value)

    def typed(self, location, wanted, template=_ABSENT):
        """The value of a JSONata field that must have a JSON type (`number`, `string`, `boolean`, `array`).

        template: where the field at `location` is not one of the state itself, as a Choice rule's Condition.
        """
        template = self.state[location] if template is _ABSENT else template
        value = self.jsonata_value(template, location)
        if engine._json_type(value) != wanted:
            expression = template[2:-2].strip() if isinstance(template, str) else to_json(template)
            cause = (
                f"The JSONata expression '{expression}' specified for the field '{location}' returned an unexpected "
                f"result type. Expected '{wanted}', but was '{engine._json_type(value)}' for value: {to_json(value)}"
            )
            raise self.failure(QUERY, cause, location=location)
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


def is_whole(value):
    """Whether a value can count seconds or the like."""
    return is_number(value) and value >= 0 and float(value).is_integer()
