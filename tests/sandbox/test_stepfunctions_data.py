"""How data goes through states, and where an error in a path, an expression or a comparison ends an execution.

Recordings: localstack/localstack, tests/aws/services/stepfunctions/v2/, the `*.snapshot.json` named beside a test.
"Measured": floci-io/floci, docs/services/step-functions and the pull request named, checked there against AWS.
"""

import json

import pytest
from state_machines import StateMachines, details, function

PLACE = "An error occurred while executing the state 'S' (entered at the event id #2). "


@pytest.fixture(scope="module")
def machines(aws):
    return StateMachines(aws)


def ending(state):
    return state if state["Type"] in ("Choice", "Succeed", "Fail") else {"End": True, **state}


@pytest.fixture(scope="module")
def one(machines):
    """Run one state, `S`, on an input: its output, or the execution's error and cause (without the place)."""

    def run(state, data=None, **definition):
        described = machines.run({"S": ending(state)}, data, **definition)
        if described["status"] == "SUCCEEDED":
            return json.loads(described["output"])
        cause = described.get("cause")
        return described.get("error"), cause and cause.removeprefix(PLACE)

    return run


@pytest.fixture(scope="module")
def together(machines):
    """Run many states at once, each on an input of its own: their outputs, or their errors and causes in pairs."""

    def run(cases, **definition):
        branches = []
        for number, (state, data) in enumerate(cases):
            given = {"Type": "Pass", "Next": f"S{number}", "Result": data}
            state = ending(state)
            catch = [{"ErrorEquals": ["States.ALL"], "Next": f"C{number}"}]
            inner = {"StartAt": f"I{number}", "States": {f"I{number}": given, f"S{number}": state}}
            branches.append({"StartAt": f"P{number}", "States": {
                f"P{number}": {"Type": "Parallel", "Branches": [inner], "End": True, "Catch": catch},
                f"C{number}": {"Type": "Pass", "End": True}}})  # fmt: skip
        run = machines.run({"P": {"Type": "Parallel", "Branches": branches, "End": True}}, **definition)
        assert run["status"] == "SUCCEEDED", run
        return [result[0] if isinstance(result, list) else result for result in json.loads(run["output"])]

    return run


def path(expression):
    """A Pass that gives what a JSONPath finds."""
    return {"Type": "Pass", "Parameters": {"v.$": expression}}


def test_paths(together):
    """JSONPath is that of the Jayway library, which AWS uses; results of its own documentation."""
    data = {"a": {"b": [{"n": 1, "t": "x"}, {"n": 2}, {"n": 3, "t": "y"}]}, "odd name": 5, "null": None}
    cases = {
        "$": data,
        "$.a.b[0].n": 1,
        "$['odd name']": 5,
        "$.null": None,
        "$.a.b[-1].n": 3,
        "$.a.b[*].n": [1, 2, 3],
        "$.a.b[0:2].n": [1, 2],
        "$.a.b[1:].n": [2, 3],
        "$.a.b[0,2].n": [1, 3],
        "$..n": [1, 2, 3],
        "$.a.b[?(@.n > 1)].n": [2, 3],
        "$.a.b[?(@.t)].t": ["x", "y"],
        "$.a.b[?(@.t == 'y' && @.n == 3)].n": [3],
        "$.a.b[?(@.n == 9)]": [],
    }
    found = together([(path(expression), data) for expression in cases])
    assert {expression: result["v"] for expression, result in zip(cases, found, strict=True)} == cases


def test_a_dot_before_a_bracket(together):
    """The guide has `$.abc.['def ghi']` (amazon-states-language-paths.html); the others stand in
    aws-samples/step-functions-workflows-collection."""
    data = {"abc": {"def ghi": 1}, "l": [{"State": "done", "k": 0}, {"k": 1}]}
    cases = {
        "$.abc.['def ghi']": 1,
        "$.l.[0].State": "done",
        "$.l.[?(@.k > 0)]": [{"k": 1}],
        "$.l.[*].['k']": [0, 1],
        "$.l[*]['State', 'k']": ["done", 0, 1],
        "$..[0].k": [0],
    }
    found = together([(path(expression), data) for expression in cases])
    assert {expression: result["v"] for expression, result in zip(cases, found, strict=True)} == cases


def test_filters(together):
    """The operators of the Jayway library, as github.com/json-path/JsonPath describes them ("Filter Operators")."""
    data = {
        "want": 2,
        "wanted": ["a"],
        "l": [
            {"n": 1, "name": "Ann", "t": "a", "tags": ["x", "y"], "deep": {"v": True}},
            {"n": 2, "name": "bob", "t": "b || c", "tags": [], "none": None},
        ],
    }
    cases = {
        "@.n == $.want": [2],
        "@.n==2": [2],
        "2 == @.n": [2],
        "@.t == 'b || c'": [2],
        '@.t == "b || c"': [2],
        "@.t in ['a', 'z']": [1],
        "@.t in $.wanted": [1],
        "@.t nin ['a', 'z']": [2],
        "@.name =~ /B.*/i": [2],
        "@.name =~ /B.*/": [],
        "@.name =~ /b[o]b/": [2],
        "@.tags empty true": [2],
        "@.tags size 2": [1],
        "@.tags contains 'x'": [1],
        "@.name contains 'o'": [2],
        "@.tags subsetof ['x', 'y', 'z']": [1, 2],
        "@.tags anyof ['y']": [1],
        "@.tags noneof ['y']": [2],
        "@.deep.v": [1],
        "@.deep.v == true": [1],
        "@.none == null": [2],
        "@['name'] == 'Ann'": [1],
        "@.tags[0] == 'x'": [1],
        "!@.deep": [2],
        "!(@.n == 1 || @.n == 3)": [2],
        "(@.n == 1 || @.n == 2) && @.t != 'a'": [2],
        "@.n >= 1.5 && @.n < 3": [2],
        "@.name < 'B'": [1],
        "@.name < 5": [],
    }
    found = together([(path(f"$.l[?({condition})].n"), data) for condition in cases])
    assert {condition: result["v"] for condition, result in zip(cases, found, strict=True)} == cases


def test_stages_of_a_jsonpath_state(one):
    data = {"a": {"b": 1}, "c": 2}
    assert one({"Type": "Pass", "InputPath": None}, data) == {}
    assert one({"Type": "Pass", "InputPath": "$.a"}, data) == {"b": 1}
    assert one({"Type": "Pass", "OutputPath": None}, data) == {}
    assert one({"Type": "Pass", "Result": 3, "ResultPath": None}, data) == data
    assert one({"Type": "Pass", "Result": 3, "ResultPath": "$.x.y"}, data) == {**data, "x": {"y": 3}}
    assert one({"Type": "Pass", "Result": 3, "ResultPath": "$.a.b"}, data) == {"a": {"b": 3}, "c": 2}
    assert one({"Type": "Pass", "InputPath": "$.a", "Parameters": {"n.$": "$.b", "l": [{"m.$": "$.b"}]},
                "ResultPath": "$.r", "OutputPath": "$.r"}, data) == {"n": 1, "l": [{"m": 1}]}  # fmt: skip
    assert one({"Type": "Pass", "Result": {"v.$": "$.a"}}, data) == {"v.$": "$.a"}  # base/test_base
    assert one({"Type": "Wait", "Seconds": 0, "InputPath": "$.a", "OutputPath": "$.b"}, data) == 1


def test_paths_that_find_nothing(one):
    """States.Runtime, which no Catch takes. Payload templates: measured (2521). `...Path` fields: localstack issue
    11951, from AWS. InputPath: the words are LocalStack's, taken from AWS. ItemsPath: seen in reports of users."""
    data = {"a": {"b": 1}}
    missing = "specified for the field '{}' could not be found in the input '{{\"a\":{{\"b\":1}}}}'"
    assert one({"Type": "Pass", "InputPath": "$.x"}, data) == (
        "States.Runtime", "Invalid path '$.x' : No results for path: $['x']")  # fmt: skip
    assert one({"Type": "Pass", "Parameters": {"v.$": "$.x.y"}}, data) == (
        "States.Runtime", "The JSONPath '$.x.y' " + missing.format("v.$"),
    )  # fmt: skip
    assert one({"Type": "Pass", "Parameters": {"v.$": "States.Format('{}', $.x)"}}, data) == (
        "States.Runtime",
        "The JsonPath argument for the field '$.x' could not be found in the input '{\"a\":{\"b\":1}}'",
    )  # fmt: skip
    assert one({"Type": "Fail", "ErrorPath": "$.x"}, data) == (
        "States.Runtime", "The JSONPath '$.x' " + missing.format("ErrorPath"),
    )  # fmt: skip
    item = {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": True}}}
    assert one({"Type": "Map", "ItemProcessor": item, "ItemsPath": "$.x"}, data) == (
        "States.ReferencePathConflict", 'Unable to apply step "x" to input {"a":{"b":1}}')  # fmt: skip
    assert one({"Type": "Map", "ItemProcessor": item, "ItemsPath": "$.a"}, data) == (
        "States.Runtime", 'Reference path "$.a" must point to array.')  # fmt: skip
    assert one({"Type": "Pass", "Result": 1, "ResultPath": "$.x"}, [1]) == (
        "States.ResultPathMatchFailure", 'Unable to apply step "x" to input [1]')  # fmt: skip


def test_references_of_the_wrong_kind(one):
    """base/test_wait and scenarios/test_base_scenarios, test_wait_timestamp_path. That SecondsPath has the like
    words is inferred."""
    for timestamp in ("2016-12-05 21:29:29Z", "2016-12-05T21:29:29", "2016-13-05T21:29:29Z", "05-12-2016T21:29:29Z"):
        assert one({"Type": "Wait", "TimestampPath": "$.at"}, {"at": timestamp}) == (
            "States.Runtime", "The TimestampPath parameter does not reference a valid ISO-8601 extended offset "
            f"date-time format string: $.at == {timestamp}",
        )  # fmt: skip
    for timestamp in ("2016-12-05T21:29:29Z", "2016-12-05T21:29:29.123456789Z", "2016-12-05T21:29:29+01:00"):
        assert one({"Type": "Wait", "TimestampPath": "$.at"}, {"at": timestamp}) == {"at": timestamp}
    assert one({"Type": "Wait", "SecondsPath": "$.s"}, {"s": "1"}) == (
        "States.Runtime", "The SecondsPath parameter does not reference an integer value: $.s == 1")  # fmt: skip


OPERATORS = [
    # operator, value of the variable, operand, whether it holds (choice_operators/*.snapshot.json)
    ("StringEquals", "a", "a", True), ("StringEquals", 1, "1", False), ("StringEquals", "", "", True),
    ("StringLessThan", "a", "b", True), ("StringLessThan", "b", "b", False), ("StringLessThan", 1, "b", False),
    ("StringLessThanEquals", "b", "b", True), ("StringGreaterThan", "b", "a", True),
    ("StringGreaterThanEquals", "b", "b", True), ("StringMatches", "log-1.txt", "log-*.txt", True),
    ("StringMatches", "log-1.txt", "log-*", True), ("StringMatches", "xlog", "log*", False),
    ("StringMatches", "a*b", r"a\*b", True), ("StringMatches", "axb", r"a\*b", False),
    ("NumericEquals", 1, 1.0, True), ("NumericEquals", True, 1, False), ("NumericEquals", "1", 1, False),
    ("NumericLessThan", 1, 2, True), ("NumericLessThanEquals", 2, 2, True), ("NumericLessThan", "1", 2, False),
    ("NumericGreaterThan", 3, 2, True), ("NumericGreaterThanEquals", 2, 2.5, False),
    ("BooleanEquals", True, True, True), ("BooleanEquals", 1, True, False), ("BooleanEquals", "true", True, False),
    ("TimestampEquals", "2020-01-01T00:00:00Z", "2020-01-01T01:00:00+01:00", True),
    ("TimestampLessThan", "2020-01-01T00:00:00Z", "2020-01-01T00:00:01Z", True),
    ("TimestampLessThan", "yesterday", "2020-01-01T00:00:01Z", False),
    ("TimestampGreaterThan", "2020-01-02T00:00:00Z", "2020-01-01T00:00:00Z", True),
    ("TimestampLessThanEquals", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z", True),
    ("TimestampGreaterThanEquals", "2020-01-01T00:00:00.001Z", "2020-01-01T00:00:00Z", True),
    ("IsNull", None, True, True), ("IsNull", 0, True, False), ("IsNull", 0, False, True),
    ("IsNumeric", 1.5, True, True), ("IsNumeric", True, True, False), ("IsNumeric", "1", False, True),
    ("IsString", "", True, True), ("IsString", None, False, True), ("IsBoolean", False, True, True),
    ("IsBoolean", 0, True, False), ("IsTimestamp", "2012-10-09T19:00:55Z", True, True),
    ("IsTimestamp", "2012-10-09T19:00:55", True, False), ("IsTimestamp", "2023-02-24", False, True),
    ("IsPresent", None, True, True), ("IsPresent", None, False, False),
]  # fmt: skip


def test_every_choice_operator(together):
    cases, expected = [], []
    for operator, value, operand, holds in OPERATORS:
        rules = [{"Variable": "$.v", operator: operand}]
        if not operator.startswith("Is") and operator != "StringMatches":
            rules.append({"Variable": "$.v", f"{operator}Path": "$.o"})
        for rule in rules:
            cases.append((choice({**rule, "Next": "Yes"}), {"v": value, "o": operand}))
            expected.append((rule, holds))
    results = run_choices(together, cases)
    assert [(rule, result) for (rule, _), result in zip(expected, results, strict=True)] == expected


def choice(rule):
    return {"Type": "Choice", "Choices": [rule], "Default": "No"}


def run_choices(together, cases):
    """Whether the one rule of each Choice held."""
    wrapped = []
    for number, (state, data) in enumerate(cases):
        yes, no = f"Yes{number}", f"No{number}"
        state = {**state, "Choices": [{**state["Choices"][0], "Next": yes}], "Default": no}
        inner = {"StartAt": f"Choice{number}", "States": {
            f"Choice{number}": state, yes: {"Type": "Pass", "Result": True, "End": True},
            no: {"Type": "Pass", "Result": False, "End": True}}}  # fmt: skip
        wrapped.append(({"Type": "Parallel", "Branches": [inner]}, data))
    return [result[0] for result in together(wrapped)]


def test_rules_in_rules(together):
    big, small = {"Variable": "$.v", "NumericGreaterThan": 9}, {"Variable": "$.v", "NumericLessThan": 1}
    rules = [({"Or": [big, small]}, 10, True), ({"Or": [big, small]}, 5, False), ({"And": [big, small]}, 10, False),
             ({"Not": big}, 5, True), ({"And": [{"Not": big}, {"Or": [small, {"Not": small}]}]}, 5, True)]  # fmt: skip
    cases = [(choice({**rule, "Next": "Yes"}), {"v": value}) for rule, value, _ in rules]
    assert run_choices(together, cases) == [holds for _, _, holds in rules]


def test_choices_that_end_the_execution(one, machines):
    """A path that finds nothing, unless IsPresent asks (choice_operators); no rule and no Default: the guide says
    States.NoChoiceMatched, AWS writes this (measured)."""
    run = machines.run({"S": choice({"Variable": "$.x", "StringEquals": "a", "Next": "No"}),
                        "No": {"Type": "Succeed"}}, {"a": 1})  # fmt: skip
    assert (run["error"], run["cause"].removeprefix(PLACE)) == (
        "States.Runtime", "Invalid path '$.x': The choice state's condition path references an invalid value.",
    )  # fmt: skip
    states = {"S": {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsPresent": True, "Next": "No"}]},
              "No": {"Type": "Succeed"}}  # fmt: skip
    run = machines.run(states, {"a": 1})
    assert (run["error"], run["cause"].removeprefix(PLACE)) == (
        "States.Runtime", "Failed to transition out of the state. The state does not point to a next state.",
    )  # fmt: skip


def test_choice_in_jsonata(machines):
    """Output and Assign of the rule that holds, or the state's own for Default (scenarios/test_base_scenarios)."""
    states = {
        "S": {"Type": "Choice", "Output": "default", "Assign": {"by": "default"}, "Default": "E", "Choices": [
            {"Condition": "{% $states.input.a = 1 %}", "Output": "one", "Assign": {"by": "one"}, "Next": "E"},
            {"Condition": "{% $states.input.a = 2 %}", "Next": "E"}]},
        "E": {"Type": "Pass", "Output": "{% [$states.input, $exists($by) ? $by : 'none'] %}", "End": True},
    }  # fmt: skip
    for data, expected in (({"a": 1}, ["one", "one"]), ({"a": 2}, [{"a": 2}, "none"]), ({}, ["default", "default"])):
        assert json.loads(machines.run(states, data, QueryLanguage="JSONata")["output"]) == expected
    states["S"]["Choices"] = [{"Condition": "{% 'yes' %}", "Next": "E"}]
    run = machines.run(states, {}, QueryLanguage="JSONata")
    assert (run["error"], run["cause"]) == (
        "States.QueryEvaluationError", PLACE + "The JSONata expression ''yes'' specified for the field "
        "'Choices[0]/Condition' returned an unexpected result type. Expected 'boolean', but was 'string' "
        'for value: "yes"',
    )  # fmt: skip


JSONATA = {"QueryLanguage": "JSONata"}


def test_expression_that_fails(machines):
    """An EvaluationFailed event with the field's place, then the end (scenarios/test_base_scenarios,
    test_wait_timestamp_jsonata; places: measured)."""
    undefined = "The JSONata expression '{}' specified for the field '{}' returned nothing (undefined)."
    cases = [
        ({"Type": "Pass", "Output": {"a": ["{% $states.input.x %}"]}}, "Output/a[0]",
         undefined.format("$states.input.x", "Output/a[0]")),
        ({"Type": "Pass", "Assign": {"v": "{% $nothing %}"}}, "Assign/v", undefined.format("$nothing", "Assign/v")),
        ({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
          "Arguments": {"FunctionName": "{% $states.input.x %}"}}, "Arguments/FunctionName",
         undefined.format("$states.input.x", "Arguments/FunctionName")),
        ({"Type": "Wait", "Timestamp": "{% '2016-12-05' %}"}, "Timestamp",
         "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: 2016-12-05"),
        ({"Type": "Wait", "Seconds": "{% 'soon' %}"}, "Seconds",
         "The JSONata expression ''soon'' specified for the field 'Seconds' returned an unexpected result type. "
         "Expected 'number', but was 'string' for value: \"soon\""),
    ]  # fmt: skip
    for state, location, cause in cases:
        run = machines.run({"S": {**state, "End": True}}, {}, **JSONATA)
        assert (run["error"], run["cause"]) == ("States.QueryEvaluationError", PLACE + cause)
        failed, ended = machines.history(run["executionArn"])[-2:]
        assert (failed["type"], failed["previousEventId"], ended["previousEventId"]) == ("EvaluationFailed", 2, 3)
        assert details(failed) == {
            "error": run["error"], "cause": run["cause"], "location": location, "state": "S",
        }  # fmt: skip
    run = machines.run({"S": {"Type": "Pass", "Output": "{% 1 + 'a' %}", "End": True}}, {}, **JSONATA)
    assert run["error"] == "States.QueryEvaluationError"
    assert run["cause"].startswith(PLACE + "The JSONata expression '1 + 'a'' specified for the field 'Output' ")
    assert "T2002" in run["cause"]


def test_failed_expression_can_be_caught(machines, aws):
    """Once per attempt (measured). A Task's own Output counts too."""
    name = function(aws, "def handler(event, context):\n    return {}")
    catch = [{"ErrorEquals": ["States.QueryEvaluationError"], "Next": "C", "Assign": {"e": "{% $states.errorOutput %}"},
              "Output": "{% $states.errorOutput.Error %}"}]  # fmt: skip
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True, "Catch": catch,
            "Arguments": {"FunctionName": name}, "Output": "{% $states.result.Payload.missing %}"}  # fmt: skip
    run = machines.run({"S": task, "C": {"Type": "Pass", "Output": "{% [$states.input, $e.Error] %}", "End": True}},
                       {}, **JSONATA)  # fmt: skip
    assert json.loads(run["output"]) == ["States.QueryEvaluationError"] * 2
    kinds = [kind for _, _, kind in machines.shape(run["executionArn"])]
    assert kinds[2:7] == ["TaskScheduled", "TaskStarted", "TaskSucceeded", "EvaluationFailed", "TaskStateExited"]
    exited = details(machines.events(run["executionArn"], "TaskStateExited")[0])
    assert set(exited["assignedVariables"]) == {"e"}


def test_jsonata_values(one):
    """Null is a value (measured); `$states` has input and context; literals pass as they are."""
    assert one({"Type": "Pass", "Output": {"v": "{% $states.input.n %}", "l": [1, "{% 1 + 1 %}", "x"]}},
               {"n": None}, **JSONATA) == {"v": None, "l": [1, 2, "x"]}  # fmt: skip
    assert one({"Type": "Pass", "Output": "{% $states.context.State.Name %}"}, {}, **JSONATA) == "S"
    assert one({"Type": "Pass", "Output": "{% $partition([1..5], 2) %}"}, {}, **JSONATA) == [[1, 2], [3, 4], [5]]
    assert one({"Type": "Pass"}, {"a": 1}, **JSONATA) == {"a": 1}


def test_jsonata_values_are_those_of_javascript_and_java(one):
    """Measured: $random(42) (floci-io/floci, issue 2662), $string(1e20) (2669), $count(null) (pull request 2684).
    The other numbers are as ECMAScript's Number::toString writes them, after 15 digits as jsonata-js has it."""
    values = {
        "$random(42)": 0.7275636800328681,
        "$string(1e20)": "100000000000000000000",
        "$string(1e21)": "1e+21",
        "$string(0.0000001)": "1e-7",
        "$string(0.000001)": "0.000001",
        "$string(-1250)": "-1250",
        "$string(1/3)": "0.333333333333333",
        "'n' & 2.50": "n2.5",
        """$string({"a": [1e20, 0.1 + 0.2, null, "é"]})""": '{"a":[100000000000000000000,0.3,null,"é"]}',
        "$string([1, {}], true)": "[\n  1,\n  {}\n]",
        "$count(null)": 1,
        "$count($states.input.missing)": 0,
        "$count([1, 2])": 2,
    }
    output = {expression: "{% " + expression + " %}" for expression in values}
    assert one({"Type": "Pass", "Output": output}, {}, **JSONATA) == values


def test_jsonata_errors_name_code_and_function(one):
    """The first is measured (floci-io/floci, issue 2668); the others have the texts of jsonata-js, which it says are
    AWS's. `$eval` is not there: a name without a function (issue 2737)."""
    for expression, said in (
        ('$sum(["a"])', 'T0412: Argument 1 of function "sum" must be an array of "numbers"'),
        ('$abs("x")', 'T0410: Argument 1 of function "abs" does not match function signature'),
        ('1 + "a"', 'T2002: The right side of the "+" operator must evaluate to a number'),
        ('-"a"', 'D1002: Cannot negate a non-numeric value: "a"'),
        ('$number("x")', 'D3030: Unable to cast value to a number: "x"'),
        ("$eval('1 + 1')", "T1006: Attempted to invoke a non-function"),
    ):
        error, cause = one({"Type": "Pass", "Output": "{% " + expression + " %}"}, {}, **JSONATA)
        assert (error, cause) == (
            "States.QueryEvaluationError",
            f"The JSONata expression '{expression}' specified for the field 'Output' "
            f"threw an error during evaluation. {said}",
        )


def test_variables(machines):
    """Assign and Output see the values before; both languages share variables (query_language/
    test_mixed_query_language); an inner scope reads the outer one's and keeps its own."""
    inner = {"StartAt": "I", "States": {
        "I": {"Type": "Pass", "Assign": {"own": "{% $a + $states.input %}"}, "Next": "J"},
        "J": {"Type": "Pass", "Output": "{% $own %}", "End": True}}}  # fmt: skip
    states = {
        "S": {"Type": "Pass", "Assign": {"a": 1, "b": 1}, "Next": "T"},
        "T": {"Type": "Pass", "Assign": {"a": "{% $b + 1 %}", "b": "{% $a + 2 %}"}, "Output": "{% $a %}", "Next": "M"},
        "M": {"Type": "Map", "Items": [10, 20], "ItemProcessor": inner, "Assign": {"all": "{% $states.result %}"},
              "Output": {"in": "{% $states.input %}", "own": "{% $exists($own) %}"}, "Next": "U"},
        "U": {"Type": "Pass", "Output": ["{% $states.input %}", "{% $a %}", "{% $b %}", "{% $all %}"], "End": True},
    }  # fmt: skip
    run = machines.run(states, **JSONATA)
    assert json.loads(run["output"]) == [{"in": 1, "own": False}, 2, 3, [12, 22]]

    states = {
        "S": {"Type": "Pass", "Assign": {"a.$": "$.x", "c": {"d.$": "$$.State.Name"}}, "Next": "T"},
        "T": {"Type": "Pass", "Parameters": {"got.$": "$a", "deep.$": "$c.d", "f.$": "States.Format('{}', $a)"},
              "Next": "U"},
        "U": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% [$states.input, $a] %}", "End": True},
    }  # fmt: skip
    run = machines.run(states, {"x": 5})
    assert json.loads(run["output"]) == [{"got": 5, "deep": "S", "f": "5"}, 5]
    exited = details(machines.events(run["executionArn"], "PassStateExited")[0])
    assert exited["assignedVariables"] == {"a": "5", "c": '{"d":"S"}'}


def test_variables_of_a_task(machines, aws):
    """In JSONPath `$` in a Task's Assign is its result (assign/test_assign_base, ..._FROM_LAMBDA_TASK_RESULT)."""
    name = function(aws, "def handler(event, context):\n    return {'n': 7}")
    states = {
        "S": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": name},
              "Assign": {"n.$": "$.Payload.n"}, "ResultPath": None, "Next": "T"},
        "T": {"Type": "Pass", "Parameters": {"n.$": "$n", "a.$": "$.a"}, "End": True},
    }  # fmt: skip
    assert json.loads(machines.run(states, {"a": 1})["output"]) == {"n": 7, "a": 1}


def test_context_object(machines):
    """assign/test_assign_base, BASE_PATHS; Map.Item in an iteration."""
    item = {"StartAt": "I", "States": {"I": {"Type": "Pass", "Parameters": {"c.$": "$$"}, "End": True}}}
    states = {
        "S": {"Type": "Pass", "Parameters": {"c.$": "$$"}, "ResultPath": "$.outer", "Next": "M"},
        "M": {"Type": "Map", "ItemsPath": "$.l", "ItemProcessor": item, "ResultPath": "$.inner", "End": True,
              "ItemSelector": {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value", "all.$": "$.l"}},
    }  # fmt: skip
    run = machines.run(states, {"l": ["x"]})
    output = json.loads(run["output"])
    context = output["outer"]["c"]
    assert set(context) == {"Execution", "StateMachine", "State"}
    assert set(context["Execution"]) == {"Id", "Input", "Name", "RoleArn", "StartTime", "RedriveCount"}
    assert context["Execution"]["Id"] == run["executionArn"]
    assert context["StateMachine"] == {"Id": run["stateMachineArn"], "Name": run["stateMachineArn"].split(":")[-1]}
    assert (context["State"]["Name"], set(context["State"])) == ("S", {"Name", "EnteredTime"})
    assert output["inner"][0]["c"]["Map"] == {"Item": {"Index": 0, "Value": "x"}}
    entered = details(machines.events(run["executionArn"], "PassStateEntered")[1])
    assert json.loads(entered["input"]) == {"i": 0, "v": "x", "all": ["x"]}


def test_intrinsic_functions(together):
    """docs.aws.amazon.com/step-functions/latest/dg/intrinsic-functions.html, its examples."""
    data = {
        "a": [1, 2, 3, 3],
        "l": [{"n": 1}, {"n": 2}, {"n": 3}],
        "s": "a,b",
        "j": {"k": 1},
        "t": True,
        "n": None,
        "text": '{"k": 2}',
    }
    cases = {
        "States.Format('{} is {} or {}', $.s, $.t, $.n)": "a,b is true or null",
        "States.StringToJson($.text)": {"k": 2},
        "States.JsonToString($.j)": '{"k":1}',
        "States.Array($.s, 1, 'x')": ["a,b", 1, "x"],
        "States.ArrayLength($.a)": 4,
        "States.ArrayContains($.a, 3)": True,
        "States.ArrayUnique($.a)": [1, 2, 3],
        "States.ArrayPartition($.a, 3)": [[1, 2, 3], [3]],
        "States.ArrayRange(1, 9, 4)": [1, 5, 9],
        "States.ArrayRange(9, 1, -4)": [9, 5, 1],
        "States.ArrayLength($.l[?(@.n in [1, 2])])": 2,
        "States.Format('\\{{}\\}', 1)": "{1}",
        "States.ArrayGetItem($.a, 1)": 2,
        "States.MathAdd($.a[0], -1)": 0,
        "States.StringSplit($.s, ',')": ["a", "b"],
        "States.JsonMerge($.j, States.StringToJson($.text), false)": {"k": 2},
        "States.Base64Encode($.s)": "YSxi",
        "States.Base64Decode('YSxi')": "a,b",
        "States.Hash('a', 'MD5')": "0cc175b9c0f1b6a831c399e269772661",
    }
    found = together([(path(expression), data) for expression in cases])
    assert {expression: result.get("v") for expression, result in zip(cases, found, strict=True)} == cases
    failed = together([(path("States.ArrayGetItem($.a, 9)"), data), (path("States.StringToJson($.s)"), data)])
    assert [result["Error"] for result in failed] == ["States.IntrinsicFailure"] * 2
