"""What CreateStateMachine, UpdateStateMachine and ValidateStateMachineDefinition refuse, and what they accept.

Recorded: localstack/localstack, tests/aws/services/stepfunctions/v2/test_sfn_api.snapshot.json and
test_sfn_api_validation.snapshot.json, scenarios/test_base_scenarios.snapshot.json. Measured on AWS: floci-io/floci,
issues 2735 and 3733, pull request 2786, docs/services/step-functions. From the specification: the rule is that of
https://states-language.net/spec.html, the words are ours. AWS promises none of its words
(docs.aws.amazon.com/step-functions/latest/apireference/API_ValidateStateMachineDefinitionDiagnostic.html).
"""

import json

import pytest
from botocore.exceptions import ClientError
from state_machines import StateMachines, role, unique

SCHEMA, TARGET = "SCHEMA_VALIDATION_FAILED", "MISSING_TRANSITION_TARGET"
END = {"Type": "Pass", "End": True}
ATA = {"QueryLanguage": "JSONata"}


@pytest.fixture(scope="module")
def machines(aws):
    return StateMachines(aws)


@pytest.fixture(scope="module")
def diagnose(machines):
    """The diagnostics of a definition as (code, message, location)."""

    def run(definition, **options):
        text = definition if isinstance(definition, str) else json.dumps(definition)
        answer = machines.client.validate_state_machine_definition(definition=text, **options)
        assert answer["result"] == ("FAIL" if answer["diagnostics"] else "OK")
        assert answer["truncated"] is False
        assert all(found["severity"] == "ERROR" for found in answer["diagnostics"])
        return [(found["code"], found["message"], found.get("location")) for found in answer["diagnostics"]]

    return run


def machine(start="S", **states):
    return {"StartAt": start, "States": states}


def lone(state, **more):
    """A machine of one state, S; what it leads to is there."""
    return {"StartAt": "S", "States": {"S": state}, **more}


def test_recorded(diagnose):
    assert diagnose(" ") == [(SCHEMA, "Definition must be a valid JSON object", None)]
    expected = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
    source = '[Source: (String)"not a definition"; line: 1, column: 4]'
    assert diagnose("not a definition") == [
        ("INVALID_JSON_DESCRIPTION", f"Unrecognized token 'not': was expecting {expected}\n at {source}", source)
    ]
    assert diagnose({}) == [(SCHEMA, "These fields are required: [States, StartAt]", "/")]
    assert diagnose({"States": {"S": END}}) == [(SCHEMA, "These fields are required: [StartAt]", "/")]
    assert diagnose(lone(END)) == diagnose(lone(END, **ATA)) == []
    downgrade = "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine"
    assert diagnose(lone({**END, "QueryLanguage": "JSONPath"}, **ATA)) == [(SCHEMA, downgrade, "/States/S")]
    waits = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "End": True}
    express = "Express state machine does not support '.waitForTaskToken' service integration "
    assert diagnose(lone(waits), type="EXPRESS") == [(SCHEMA, express, "/States/S/Resource")]
    assert diagnose(lone(waits)) == []
    for timestamp in ("2016-12-05 21:29:29Z", "2016-12-05T21:29:29", "2016-13-05T21:29:29Z", "05-12-2016T21:29:29Z"):
        for language in ({}, ATA):
            state = {"Type": "Wait", "Timestamp": timestamp, "End": True}
            assert diagnose(lone(state, **language)) == [
                (SCHEMA, "String does not match RFC3339 timestamp", "/States/S/Timestamp")
            ]


def test_create_and_update_refuse_in_one_message(machines, aws):
    """test_sfn_api, test_create_delete_invalid_sm; two diagnostics: localstack issue 11978, from AWS."""

    def refusal(call, **arguments):
        with pytest.raises(ClientError) as refused:
            call(**arguments)
        error = refused.value.response["Error"]
        assert error["Code"] == "InvalidDefinition"
        return error["Message"]

    create, update = machines.client.create_state_machine, machines.client.update_state_machine
    new = {"name": unique("machine"), "roleArn": role(aws)}
    assert refusal(create, definition='{"StartAt": "S"}', **new) == (
        f"Invalid State Machine Definition: '{SCHEMA}: These fields are required: [States] at /'"
    )
    bad = json.dumps(machine("pass1", pass1={"Type": "Pass", "Next": "pass3"}, pass2=END))
    said = (
        f"Invalid State Machine Definition: '{TARGET}: Missing 'Next' target: pass3 at /States/pass1/Next, "
        f'{TARGET}: State "pass2" is not reachable. at /States/pass2\''
    )
    assert refusal(create, definition=bad, **new) == said
    loop = json.dumps(machine("A", A={"Type": "Pass", "Next": "B"}, B={"Type": "Pass", "Next": "A"}))
    endless = "Invalid State Machine Definition: 'MISSING_END_STATE: Workflow has no terminal state at null'"
    assert refusal(create, definition=loop, **new) == endless
    arn = create(definition=json.dumps(lone(END)), **new)["stateMachineArn"]
    assert refusal(update, stateMachineArn=arn, definition=bad) == said
    assert json.loads(machines.client.describe_state_machine(stateMachineArn=arn)["definition"]) == lone(END)
    with pytest.raises(machines.client.exceptions.InvalidName):
        create(definition=json.dumps(lone(END)), name="two words", roleArn=role(aws))


def test_transitions(diagnose):
    """Measured: pull request 2786."""
    loop = {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}}
    endless = ("MISSING_END_STATE", "Workflow has no terminal state", None)
    assert diagnose(machine("A", **loop)) == [endless]
    assert diagnose(machine("A", **loop, C={"Type": "Pass", "Next": "A"})) == [endless]
    assert diagnose(machine("A", **loop, C=END)) == [(TARGET, 'State "C" is not reachable.', "/States/C")]
    nowhere = [(TARGET, "Missing 'Next' target: NOPE", "/States/A/Next"), endless]
    assert diagnose(machine("A", A={"Type": "Pass", "Next": "NOPE"})) == nowhere
    rule = {"Variable": "$.a", "IsPresent": True, "Next": "NOPE"}
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True,
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "NOPE"}]}  # fmt: skip
    for state, place in (({"Type": "Choice", "Choices": [rule], "Default": "E"}, "Choices[0]/Next"),
                         ({"Type": "Choice", "Choices": [{**rule, "Next": "E"}], "Default": "NOPE"}, "Default"),
                         (task, "Catch[0]/Next")):  # fmt: skip
        states = {"A": state, "E": END} if state is not task else {"A": state}
        assert diagnose(machine("A", **states)) == [(TARGET, "Missing 'Next' target: NOPE", f"/States/A/{place}")]
    inner = {"StartAt": "X", "States": {"X": {"Type": "Pass", "Next": "S"}, "Y": END}}  # no way out of a branch
    assert [found[1:] for found in diagnose(lone({"Type": "Parallel", "Branches": [inner], "End": True}))] == [
        ("Missing 'Next' target: S", "/States/S/Branches[0]/States/X/Next"),
        ('State "Y" is not reachable.', "/States/S/Branches[0]/States/Y"),
    ]


def test_query_languages(diagnose):
    """Measured: docs/services/step-functions."""

    def mixed(mine, field, other):
        said = f"The QueryLanguage is set to '{mine}', but field '{field}' is only supported"
        return f"{said} for the '{other}' QueryLanguage"

    fields = {"InputPath": "$.a", "OutputPath": "$.a", "ResultPath": "$.a", "Parameters": {}, "Result": 1}
    for field, value in fields.items():
        assert diagnose(lone({**END, field: value}, **ATA)) == [
            (SCHEMA, mixed("JSONata", field, "JSONPath"), "/States/S")
        ]
    assert diagnose(lone({**END, "Output": 1})) == [(SCHEMA, mixed("JSONPath", "Output", "JSONata"), "/States/S")]
    assert diagnose(lone({**END, "Output": 1, **ATA})) == []
    assert diagnose(lone({**END, "Assign": {"a": 1}})) == diagnose(lone({**END, "Assign": {"a": 1}}, **ATA)) == []
    item = {"StartAt": "I", "States": {"I": END}, **ATA}
    assert diagnose(lone({"Type": "Map", "ItemProcessor": item, "End": True})) == [
        (SCHEMA, "Field 'QueryLanguage' is not supported", "/States/S/ItemProcessor")
    ]
    allowed = "Value should be one of the following: [JSONPath, JSONata]"
    assert diagnose(lone(END, QueryLanguage="jsonata")) == [(SCHEMA, allowed, "/QueryLanguage")]
    assert diagnose(lone(END, QueryLanguage=1))[0] == (SCHEMA, "Expected value of type [STRING]", "/QueryLanguage")


def test_fields_of_another_type(diagnose):
    """Measured: issue 2735."""
    item = {"StartAt": "I", "States": {"I": END}}
    for state in ({"Type": "Map", "ItemProcessor": item, "End": True},
                  {"Type": "Parallel", "Branches": [item], "End": True}, END):  # fmt: skip
        assert diagnose(lone({**state, "TimeoutSeconds": 5})) == [
            (SCHEMA, "Field 'TimeoutSeconds' is not supported", "/States/S")
        ]
    for field in ("Retry", "Catch"):
        assert diagnose(lone({**END, field: []})) == [(SCHEMA, f"Field '{field}' is not supported", "/States/S")]
    assert diagnose(lone({**END, "Commment": "x"})) == [(SCHEMA, "Field 'Commment' is not supported", "/States/S")]
    assert diagnose(lone(END, Timeout=5)) == [(SCHEMA, "Field 'Timeout' is not supported", "/")]
    assert diagnose(lone({"Type": "Fail", "End": True})) == [(SCHEMA, "Field 'End' is not supported", "/States/S")]


def test_numbers(diagnose):
    """Measured for Map: issue 3733."""
    item = {"StartAt": "I", "States": {"I": END}}
    of_map = {"Type": "Map", "ItemProcessor": item, "End": True}
    assert diagnose(lone({**of_map, "MaxConcurrency": -1})) == [
        (SCHEMA, "Minimum value is 0", "/States/S/MaxConcurrency")
    ]
    assert diagnose(lone({**of_map, "ToleratedFailurePercentage": 101})) == [
        (SCHEMA, "Maximum value is 100.0", "/States/S/ToleratedFailurePercentage")
    ]
    assert diagnose(lone({**of_map, "MaxConcurrency": 1, "MaxConcurrencyPath": "$.a"})) == [
        (SCHEMA, "There should only be one of the following fields: [MaxConcurrency, MaxConcurrencyPath]", "/States/S")
    ]


def test_expressions(diagnose):
    """Measured: docs/services/step-functions. The parser's own message is that of its port to Python."""
    top, unsupported = "Reference to 'phone' at the top level is not supported.", "UNSUPPORTED_JSONATA_EXPRESSION"
    for expression in ("phone", "phone.number", "[phone]", "$map($states.input.a, function($x) { phone })",
                       "$a ? phone : 1", "phone[0]"):  # fmt: skip
        assert diagnose(lone({**END, "Output": {"v": f"{{% {expression} %}}"}}, **ATA)) == [
            (unsupported, top, "/States/S/Output/v")
        ]
    for expression in ("$states.input.items[value > 3]", "$phone", "$states.input.{ 'k': phone }", "1 + 1",
                       "$states.input.a^(phone)", "$map($states.input.a, function($v, $i) { $v.phone })"):  # fmt: skip
        assert diagnose(lone({**END, "Output": {"v": f"{{% {expression} %}}"}}, **ATA)) == []
    assert diagnose(lone({**END, "Output": "{% $$.a %}"}, **ATA)) == [
        (unsupported, "Reference to '$$' is not supported.", "/States/S/Output")
    ]
    assert diagnose(lone({**END, "Output": "{% $states.errorOutput %}"}, **ATA))[0][0] == unsupported
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True,
            "Catch": [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput %}", "Next": "E"}]}  # fmt: skip
    assert diagnose({**machine(S=task, E=END), **ATA}) == []
    # The first is measured (floci-io/floci, issue 2745); AWS implements JSONata 2.0.6, to which `??` and `?:` of 2.1
    # are a `?` with something wrong behind it (docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html).
    for expression, said in (
        ("$a[1,2)", 'Expected "]", got ","'),
        ("$states.input.a ?? 'none'", 'The symbol "?" cannot be used as a unary operator'),
        ("$states.input.a ?: 'none'", 'The symbol ":" cannot be used as a unary operator'),
    ):
        assert diagnose(lone({**END, "Output": f"{{% {expression} %}}"}, **ATA)) == [
            ("INVALID_JSONATA_EXPRESSION", said, "/States/S/Output")
        ]
    assert diagnose(lone({**END, "Output": "{% $states.input.a ? 1 : 2 %}"}, **ATA)) == []


LAMBDA = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}
RULE = {"Variable": "$.a", "StringEquals": "x", "Next": "E"}


@pytest.mark.parametrize(
    "state, location",
    [
        ({"Type": "Pass"}, "/States/S"),
        ({"Type": "Pass", "Next": "E", "End": True}, "/States/S"),
        ({"Type": "Poll", "End": True}, "/States/S/Type"),
        (
            {
                "Type": "Map",
                "End": True,
                "ItemProcessor": {"ProcessorConfig": {"Mode": "distributed"}, "StartAt": "I", "States": {"I": END}},
            },
            "/States/S/ItemProcessor/ProcessorConfig/Mode",
        ),
        (
            {
                "Type": "Choice",
                "Default": "E",
                "QueryLanguage": "JSONata",
                "Choices": [{"Condition": "$x = 1", "Next": "E"}],
            },
            "/States/S/Choices[0]/Condition",
        ),
        ({"End": True}, "/States/S"),
        ({"Type": "Task", "End": True}, "/States/S"),
        ({**LAMBDA, "Resource": "my-function"}, "/States/S/Resource"),
        ({**LAMBDA, "Resource": "arn:aws:states:::lambda:call"}, "/States/S/Resource"),
        ({**LAMBDA, "Resource": "arn:aws:states:::dynamodb:putItem.waitForTaskToken"}, "/States/S/Resource"),
        ({**LAMBDA, "Resource": "arn:aws:states:::aws-sdk:dynamodb:fetchItem"}, "/States/S/Resource"),
        ({**LAMBDA, "Resource": "arn:aws:states:::aws-sdk:dynamodb:putItem.sync"}, "/States/S/Resource"),
        ({**LAMBDA, "Resource": "arn:aws:states:::aws-sdk:dms:startReplicationTask"}, "/States/S/Resource"),
        ({**LAMBDA, "TimeoutSeconds": 0}, "/States/S/TimeoutSeconds"),
        ({**LAMBDA, "TimeoutSeconds": 5, "HeartbeatSeconds": 5}, "/States/S/HeartbeatSeconds"),
        ({**LAMBDA, "TimeoutSeconds": 5, "TimeoutSecondsPath": "$.t"}, "/States/S"),
        ({**LAMBDA, "TimeoutSecondsPath": "t"}, "/States/S/TimeoutSecondsPath"),
        ({**LAMBDA, "Parameters": {"a": {"b.$": "c"}}}, "/States/S/Parameters/a"),
        ({**LAMBDA, "ResultPath": "$.a[*]"}, "/States/S/ResultPath"),
        ({**LAMBDA, "ResultPath": "$$.a"}, "/States/S/ResultPath"),
        ({**LAMBDA, "InputPath": "a.b"}, "/States/S/InputPath"),
        ({**LAMBDA, "Assign": {"states": 1}}, "/States/S/Assign"),
        ({**LAMBDA, "Retry": [{"IntervalSeconds": 1}]}, "/States/S/Retry[0]"),
        ({**LAMBDA, "Retry": [{"ErrorEquals": []}]}, "/States/S/Retry[0]/ErrorEquals"),
        ({**LAMBDA, "Retry": [{"ErrorEquals": ["A"], "BackoffRate": 0.5}]}, "/States/S/Retry[0]/BackoffRate"),
        ({**LAMBDA, "Retry": [{"ErrorEquals": ["A"], "JitterStrategy": "SOME"}]}, "/States/S/Retry[0]/JitterStrategy"),
        ({**LAMBDA, "Retry": [{"ErrorEquals": ["States.ALL", "A"]}]}, "/States/S/Retry[0]/ErrorEquals"),
        (
            {**LAMBDA, "Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["A"]}]},
            "/States/S/Retry[0]/ErrorEquals",
        ),
        ({**LAMBDA, "Catch": [{"ErrorEquals": ["A"]}]}, "/States/S/Catch[0]"),
        ({"Type": "Wait", "Next": "E"}, "/States/S"),
        ({"Type": "Wait", "Seconds": 1, "SecondsPath": "$.s", "Next": "E"}, "/States/S"),
        ({"Type": "Wait", "Seconds": -1, "Next": "E"}, "/States/S/Seconds"),
        ({"Type": "Wait", "Seconds": "1", "Next": "E"}, "/States/S/Seconds"),
        ({"Type": "Choice", "Default": "E"}, "/States/S"),
        ({"Type": "Choice", "Choices": [], "Default": "E"}, "/States/S/Choices"),
        ({"Type": "Choice", "Choices": [{**RULE, "StringLike": "x"}]}, "/States/S/Choices[0]"),
        ({"Type": "Choice", "Choices": [{**RULE, "NumericEquals": 1}]}, "/States/S/Choices[0]"),
        ({"Type": "Choice", "Choices": [{"Variable": "$.a", "Next": "E"}]}, "/States/S/Choices[0]"),
        ({"Type": "Choice", "Choices": [{"StringEquals": "x", "Next": "E"}]}, "/States/S/Choices[0]"),
        ({"Type": "Choice", "Choices": [{**RULE, "StringEquals": 1}]}, "/States/S/Choices[0]/StringEquals"),
        ({"Type": "Choice", "Choices": [{"And": [], "Next": "E"}]}, "/States/S/Choices[0]/And"),
        ({"Type": "Choice", "Choices": [RULE, {"Variable": "$.a", "IsNull": True}]}, "/States/S/Choices[1]"),
        ({"Type": "Parallel", "Branches": [], "End": True}, "/States/S/Branches"),
        ({"Type": "Map", "End": True}, "/States/S"),
        ({"Type": "Map", "ItemProcessor": {"States": {"I": END}}, "End": True}, "/States/S/ItemProcessor"),
    ],
)
def test_specified(diagnose, state, location):
    """From the specification; that AWS refuses them is documented, the words are ours."""
    found = diagnose(machine(S=state, E=END))
    assert location in [place for _, _, place in found], found


def test_names_are_unique(diagnose):
    inner = {"StartAt": "S", "States": {"S": END}}
    found = diagnose(lone({"Type": "Parallel", "Branches": [inner], "End": True}))
    assert [(code, place) for code, _, place in found] == [("DUPLICATE_STATE_NAME", "/States/S/Branches[0]/States/S")]


def test_results_are_limited(machines):
    definition = json.dumps(lone({**END, "A": 1, "B": 1, "C": 1}))
    answer = machines.client.validate_state_machine_definition(definition=definition, maxResults=2)
    assert (len(answer["diagnostics"]), answer["truncated"]) == (2, True)
    assert (
        len(machines.client.validate_state_machine_definition(definition=definition, maxResults=0)["diagnostics"]) == 3
    )


ACCEPTED = {
    "every field of a JSONPath Task": machine(
        S={
            **LAMBDA, "Comment": "c", "InputPath": "$.a", "OutputPath": "$", "ResultPath": "$.r",
            "Parameters": {"FunctionName": "f", "Payload": {"t.$": "$$.Task.Token", "l": [{"x.$": "$.l[0:2]"}],
                                                            "f.$": "States.Format('{}', $v.x)"}},
            "ResultSelector": {"p.$": "$.Payload"}, "TimeoutSecondsPath": "$.t", "HeartbeatSecondsPath": "$.h",
            "Assign": {"v.$": "$.Payload", "w": 1},
            "Retry": [{"ErrorEquals": ["A", "States.Timeout"], "IntervalSeconds": 1, "MaxAttempts": 0, "BackoffRate": 1,
                       "MaxDelaySeconds": 5, "JitterStrategy": "FULL", "Comment": "c"},
                      {"ErrorEquals": ["States.ALL"]}],
            "Catch": [{"ErrorEquals": ["States.HeartbeatTimeout"], "ResultPath": None, "Next": "E", "Comment": "c",
                       "Assign": {"e.$": "$.Error"}}],
        },
        E={"Type": "Fail", "ErrorPath": "$.e", "CausePath": "States.JsonToString($.c)"},
    ),
    "every field of a JSONata Task": {
        **machine(
            S={**LAMBDA, "Arguments": {"Payload": "{% $states.input.a %}"}, "Output": "{% $states.result %}",
               "Assign": {"x": "{% $states.result.x %}"}, "TimeoutSeconds": "{% $states.input.t %}",
               "HeartbeatSeconds": "{% 5 %}",
               "Catch": [{"ErrorEquals": ["States.ALL"], "Output": {"e": "{% $states.errorOutput %}"},
                          "Assign": {"y": 1}, "Next": "W"}]},
            W={"Type": "Wait", "Timestamp": "{% $fromMillis($millis() + 1000) %}", "Next": "C"},
            C={"Type": "Choice", "Choices": [{"Condition": "{% $x = 1 %}", "Next": "F", "Output": 1, "Assign": {}},
                                             {"Condition": True, "Next": "F"}], "Output": 2},
            F={"Type": "Fail", "Error": "{% $x %}", "Cause": "{% 'c' %}"}),
        **ATA, "Comment": "c", "Version": "1.0", "TimeoutSeconds": 5,
    },
    "a polling loop": machine(
        "W", W={"Type": "Wait", "SecondsPath": "$.every", "Next": "T"}, T={**LAMBDA, "Next": "C"} | {"End": False},
        C={"Type": "Choice", "Default": "W", "Choices": [
            {"And": [{"Variable": "$.s", "StringMatches": "done*"}, {"Not": {"Variable": "$.n", "IsNull": True}}],
             "Next": "E"}, {"Variable": "$$.State.EnteredTime", "TimestampGreaterThanPath": "$.until", "Next": "E"},
            {"Variable": "$v", "NumericLessThanEquals": 1.5, "Next": "E", "Comment": "c"}]},
        E={"Type": "Succeed", "OutputPath": None}),
    "a choice without default": machine(
        S={"Type": "Choice", "Choices": [RULE]}, E=END),
    "map and parallel": machine(
        S={"Type": "Map", "ItemsPath": "$.l", "MaxConcurrencyPath": "$.m", "Label": "l", "Next": "P",
           "ItemSelector": {"v.$": "$$.Map.Item.Value"}, "ResultSelector": {"a.$": "$[0]"},
           "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "I", "States": {"I": END}}},
        P={"Type": "Parallel", "Parameters": {"a.$": "$"}, "ResultPath": "$.p", "End": True, "Branches": [
            {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}, "Comment": "c"},
            {"StartAt": "B", "States": {"B": {"Type": "Fail"}}}]}),
    "the old spelling of Map": lone({"Type": "Map", "Iterator": {"StartAt": "I", "States": {"I": END}}, "End": True,
                                     "Parameters": {"v.$": "$$.Map.Item.Value"}}),
    "a distributed map": lone({
        "Type": "Map", "End": True, "ToleratedFailurePercentage": 5,
        "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "CSV"},
                       "Parameters": {"Bucket.$": "$.b", "Key": "k"}},
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "I",
                          "States": {"I": END}}}),
    "JSONata in one state": lone({**END, **ATA, "Output": "{% $states.input.a %}"}),
}  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(diagnose, name):
    assert diagnose(ACCEPTED[name]) == []


@pytest.mark.parametrize(
    "resource",
    [
        "arn:aws:lambda:us-east-1:111122223333:function:f",
        "arn:aws:lambda:us-east-1:111122223333:function:f:live",
        "arn:aws:states:us-east-1:111122223333:activity:a",
        "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "arn:aws:states:::events:putEvents",
        "arn:aws:states:::dynamodb:updateItem",
        "arn:aws:states:::states:startExecution.sync:2",
        "arn:aws:states:::aws-sdk:dynamodb:putItem.waitForTaskToken",
        "arn:aws:states:::aws-sdk:databasemigration:describeReplicationTasks",
        "arn:aws:states:::aws-sdk:s3:getObject",
        "arn:aws:states:::aws-sdk:sfn:sendTaskSuccess",
    ],
)
def test_accepted_resources(diagnose, resource):
    assert diagnose(lone({**LAMBDA, "Resource": resource})) == []


@pytest.mark.parametrize(
    "path",
    [
        "$.a.length()", "$.a b", "$.a[", "$.a.", "$.a[0", "$.a['b", "$.a[?(@.b = 1)]", "$.a[?(@.b ~ 'c')]", "@.a",
        "$.a[?(@.b === 1)]", "$.a[?(@.b near 1)]", "$.a[?(@.b == c)]", "$.a[?(@.b =~ /[/)]", "$.a[?(@.b =~ /c/q)]",
        "$.a[?(@.b > $$.Execution.Name)]", "$.a[?('x')]", "$.a[?()]", "$.a[0:2:0]",
        "States.Nothing($.a)", "States.Format('{}', $.a", "States.Format('{}' $.a)", "States.Array($.a,)",
        "States.Array(a)", "States.UUID() and more", "States.ArrayLength($.a[?(@.b == )])",
    ],
)  # fmt: skip
def test_paths_and_calls_that_are_none(diagnose, path):
    """What the parser of paths does not take is refused, and never taken for something else."""
    ((code, message, _),) = diagnose(lone({**END, "Parameters": {"v.$": path}}))
    assert (code, message) == (
        "SCHEMA_VALIDATION_FAILED",
        "The value for the field 'v.$' must be a valid JSONPath or a valid intrinsic function call",
    )


@pytest.mark.parametrize(
    "call, parameters, said",
    [
        ("lambda:invoke", {"FunctionName": "f", "Payloud.$": "$"},
         'The field "Payloud" is not supported by Step Functions'),
        ("lambda:invoke", {"FunctionName": "f", "ClientContext": "c"},
         "The sandbox does not support 'ClientContext' of lambda:invoke"),
        ("sqs:sendMessage.waitForTaskToken", {"QueueURL": "u"},
         'The field "QueueURL" is not supported by Step Functions'),
        ("sns:publish", {"TopicArn": "t", "Message": "m", "Cluster": "c"},
         'The field "Cluster" is not supported by Step Functions'),
        ("sns:publish", {"PhoneNumber": "+1", "Message": "m"},
         "The sandbox does not support 'PhoneNumber' of sns:publish"),
        ("states:startExecution.sync:2", {"StateMachineArn": "a", "input": {}},
         'The field "input" is not supported by Step Functions'),
    ],
)  # fmt: skip
def test_parameters_of_optimized_integrations(diagnose, call, parameters, said):
    """Each integration's page lists its parameters, as connect-lambda.html does; the message is the one that Step
    Functions has for a field of an `aws-sdk` call, and its place a guess."""
    task = {"Type": "Task", "Resource": f"arn:aws:states:::{call}", "End": True}
    assert diagnose(lone({**task, "Parameters": parameters})) == [
        ("SCHEMA_VALIDATION_FAILED", said, "/States/S/Parameters")
    ]


DISTRIBUTED = {
    "Type": "Map",
    "End": True,
    "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "I",
        "States": {"I": END},
    },
}


@pytest.mark.parametrize(
    "state, message",
    [
        ({**LAMBDA, "Credentials": {"RoleArn.$": "$.role"}}, "The sandbox does not support 'Credentials'"),
        ({**DISTRIBUTED, "ItemBatcher": {"MaxItemsPerBatch": 10}}, "The sandbox does not support 'ItemBatcher'"),
        ({**DISTRIBUTED, "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject"}},
         "The sandbox does not support 'ResultWriter'"),
        ({**DISTRIBUTED, **ATA}, "The sandbox runs a distributed Map in JSONPath only"),
    ],
)  # fmt: skip
def test_fields_that_the_sandbox_has_not_are_refused_by_name(diagnose, state, message):
    ((code, said, place),) = diagnose(lone(state))
    assert (code, place) == ("SCHEMA_VALIDATION_FAILED", "/States/S")
    assert said.startswith(message)


@pytest.mark.parametrize(
    "resource, service",
    [
        ("ecs:runTask.waitForTaskToken", "ecs:runTask"),
        ("glue:startJobRun.sync", "glue:startJobRun"),
        ("http:invoke", "http:invoke"),
        ("apigateway:invoke", "apigateway:invoke"),
        ("aws-sdk:rekognition:detectFaces", "rekognition"),
        ("aws-sdk:ssm:getParameter", "ssm"),
        ("aws-sdk:secretsmanager:getSecretValue.waitForTaskToken", "secretsmanager"),
    ],
)
def test_what_aws_has_and_the_sandbox_has_not_is_refused_by_name(diagnose, resource, service):
    """https://docs.aws.amazon.com/step-functions/latest/dg/integrate-optimized.html has the optimized ones."""
    ((code, message, place),) = diagnose(lone({**LAMBDA, "Resource": f"arn:aws:states:::{resource}"}))
    assert (code, place) == ("SCHEMA_VALIDATION_FAILED", "/States/S/Resource")
    assert message.startswith("The sandbox does not have the ") and service in message
