"""Answers to the tasks of lab 01, right and wrong: {task: [answer, ...]}.

An answer is a dict: `name`, which says what is different about it; `machine`, the definition that it deploys under the
task's name; `permissions`, where they are not the usual ones; `functions`, the Python text of task 4. A wrong one has
`says`, the check's outcome, and `words`, which stand in what the check says. AIRPORTS stands for the ARN of another
replication task, as the learner has one in the notebook, and HELPER for that of what the answer brings as `helper`: a
function, as its source, or another state machine.
"""

from flows import DONE, flow

MAY_START = {"dms:StartReplicationTask": "*"}
MAY_ASK = {"dms:DescribeReplicationTasks": "*"}
PERMISSIONS = {**MAY_START, **MAY_ASK}
DMS = "arn:aws:states:::aws-sdk:databasemigration:"
AIRPORTS = "AIRPORTS"
HELPER = "HELPER"


def jsonata(**states):
    return {"QueryLanguage": "JSONata", **flow(**states)}


def task(action, **fields):
    return {"Type": "Task", "Resource": DMS + action, **fields}


def without(state, *fields):
    return {field: value for field, value in state.items() if field not in fields}


def in_parallel(machine):
    """The machine as the only branch of a Parallel state."""
    language = {key: machine[key] for key in machine if key == "QueryLanguage"}
    branch = without(machine, "QueryLanguage")
    return {**language, **flow(Together={"Type": "Parallel", "Branches": [branch]})}


# Parts in JSONata.
ARN = "{% $states.context.Execution.Input.ReplicationTaskArn %}"
FILTER = [{"Name": "replication-task-arn", "Values": [ARN]}]
STARTED = {"ReplicationTaskArn": ARN, "StartReplicationTaskType": "start-replication"}
START = task("startReplicationTask", Arguments=STARTED, Output={})
WAIT = {"Type": "Wait", "Seconds": "{% $states.context.Execution.Input.PollSeconds %}"}
KEPT = (
    "{% $states.result.ReplicationTasks[0].{'Status': Status, 'StopReason': StopReason, 'Failure': LastFailureMessage,"
    " 'TablesErrored': ReplicationTaskStats.TablesErrored} %}"
)
POLL = task("describeReplicationTasks", Arguments={"Filters": FILTER, "WithoutSettings": True}, Output=KEPT)

# Parts in JSONPath.
PATH_STARTED = {"ReplicationTaskArn.$": "$.ReplicationTaskArn", "StartReplicationTaskType": "start-replication"}
PATH_START = task("startReplicationTask", Parameters=PATH_STARTED, ResultPath=None)
PATH_WAIT = {"Type": "Wait", "SecondsPath": "$.PollSeconds"}
PATH_FILTER = [{"Name": "replication-task-arn", "Values.$": "States.Array($.ReplicationTaskArn)"}]
PATH_POLL = task(
    "describeReplicationTasks",
    Parameters={"Filters": PATH_FILTER, "WithoutSettings": True},
    ResultSelector={"Task.$": "$.ReplicationTasks[0]"},
    ResultPath="$.Poll",
)

BLANK = dict(name="blank", machine={"StartAt": "Start", "States": ...}, says="not attempted", words="no state machine")

# A function that calls DMS in the place of the state machine, and states that use it, or another state machine.
ASKS = """
import boto3

dms = boto3.client("dms")

def lambda_handler(event, context):
    arn = event["ReplicationTaskArn"]
    if event["Do"] == "start":
        dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="start-replication")
        return {}
    task = dms.describe_replication_tasks(Filters=[{"Name": "replication-task-arn", "Values": [arn]}])
    task = task["ReplicationTasks"][0]
    kept = {key: task[key] for key in ("Status", "StopReason") if key in task}
    kept |= {"Failure": task["LastFailureMessage"]} if "LastFailureMessage" in task else {}
    return {**kept, "TablesErrored": task["ReplicationTaskStats"]["TablesErrored"]}
"""
MAY_USE = {**PERMISSIONS, "lambda:InvokeFunction": "*", "states:StartExecution": "*"}


def by_function(do):
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": HELPER, "Payload": {"Do": do, "ReplicationTaskArn": ARN}},
        "Output": "{% $states.result.Payload %}",
    }


BY_MACHINE = {
    "Type": "Task",
    "Resource": "arn:aws:states:::states:startExecution",
    "Arguments": {"StateMachineArn": HELPER, "Input": {"ReplicationTaskArn": ARN}},
    "Output": {},
}

TASK_1 = [
    dict(name="a function starts it", machine=jsonata(Start=by_function("start")), helper=ASKS, permissions=MAY_USE),
    dict(
        name="another state machine starts it",
        machine=jsonata(Start=BY_MACHINE),
        helper=jsonata(Start=START),
        permissions=MAY_USE,
    ),
    dict(
        name="starts it twice",
        machine=jsonata(Start=START, Again=START),
        says="not yet",
        words="cannot be started, invalid state",
    ),
    dict(
        name="starts only what has run before",
        machine=jsonata(Start={**START, "Arguments": {**STARTED, "StartReplicationTaskType": "reload-target"}}),
        says="not yet",
        words="was not started",
    ),
    dict(
        name="ends FAILED once it has started it",
        machine=jsonata(Start=START, Over={"Type": "Fail", "Error": "Over"}),
        says="not yet",
        words="ended FAILED (Over)",
    ),
    dict(
        name="starts the first task that there is",
        machine=jsonata(
            Look=task("describeReplicationTasks", Arguments={"WithoutSettings": True}),
            Start={
                **START,
                "Arguments": {
                    **STARTED,
                    "ReplicationTaskArn": "{% $states.input.ReplicationTasks[0].ReplicationTaskArn %}",
                },
            },
        ),
        says="not yet",
        words="that its input named was not started",
    ),
    dict(
        name="an error caught in silence",
        machine=jsonata(
            Start={
                **START,
                "Arguments": {**STARTED, "StartReplicationTaskType": "resume-processing"},
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Done"}],
            },
            Done=DONE,
        ),
        says="not yet",
        words="that its input named was not started",
    ),
    dict(name="JSONata", machine=jsonata(Start=START)),
    dict(name="JSONPath, the whole answer kept", machine=flow(Begin=without(PATH_START, "ResultPath"))),
    dict(
        name="from the context, then a Succeed",
        machine=flow(
            Kick_off=task(
                "startReplicationTask",
                Parameters={**PATH_STARTED, "ReplicationTaskArn.$": "$$.Execution.Input.ReplicationTaskArn"},
                ResultPath="$.started",
            ),
            Done=DONE,
        ),
    ),
    dict(
        name="renamed by a Pass, with Retry and Catch",
        machine=flow(
            Rename={"Type": "Pass", "Parameters": {"job.$": "$.ReplicationTaskArn"}},
            Start=task(
                "startReplicationTask",
                Parameters={"ReplicationTaskArn.$": "$.job", "StartReplicationTaskType": "start-replication"},
                Retry=[{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "MaxAttempts": 2}],
                Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Broken"}],
            ),
            Done=DONE,
            Broken={"Type": "Fail", "Error": "NotStarted"},
        ),
    ),
    dict(name="in a Parallel", machine=in_parallel(jsonata(Start=START))),
    BLANK,
    dict(
        name="hard-coded ARN of another task",
        machine=jsonata(Start={**START, "Arguments": {**STARTED, "ReplicationTaskArn": AIRPORTS}}),
        says="not yet",
        words="its input named was not started",
    ),
    dict(
        name="describes in place of starting",
        machine=jsonata(Start=POLL),
        says="not yet",
        words="was not started",
    ),
    dict(
        name="a Pass in place of a Task",
        machine=jsonata(Start={"Type": "Pass", "Output": STARTED}),
        says="not yet",
        words="was not started",
    ),
    dict(
        name="a path without .$, which is a text",
        machine=flow(
            Start={
                **PATH_START,
                "Parameters": {
                    "ReplicationTaskArn": "$.ReplicationTaskArn",
                    "StartReplicationTaskType": "start-replication",
                },
            }
        ),
        says="not yet",
        words="ended FAILED (DatabaseMigration.",
    ),
    dict(
        name="the action in the place of the start type",
        machine=jsonata(Start={**START, "Arguments": {**STARTED, "StartReplicationTaskType": "startReplicationTask"}}),
        says="not yet",
        words="ended FAILED (DatabaseMigration.",
    ),
    dict(
        name="no permission",
        machine=jsonata(Start=START),
        permissions={},
        says="not yet",
        words="ended FAILED (DatabaseMigration.DatabaseMigrationException: User",
    ),
    dict(
        name="waits a moment for it",
        machine=jsonata(Start=START, Wait=WAIT),
        says="not yet",
        words="Waiting comes in the next exercise",
    ),
    dict(
        name="waits for its end",
        machine=jsonata(Start=START, Wait={"Type": "Wait", "Seconds": 10}),
        says="not yet",
        words="It waited, in the state",
    ),
    dict(
        name="boto3's name of the action",
        machine=jsonata(Start={**START, "Resource": DMS + "start_replication_task"}),
        says="not yet",
        words="was refused",
    ),
    dict(
        name="waits for the end with .sync, which DMS has not",
        machine=jsonata(Start={**START, "Resource": START["Resource"] + ".sync"}),
        says="not yet",
        words="was refused",
    ),
]


def poll_once(start=START, wait=WAIT, poll=POLL):
    return jsonata(Start=start, Wait=wait, Poll=poll)


ALL_KEPT = "{% $states.result.ReplicationTasks[0] %}"

_AMONG_ALL = (
    "{% $states.result.ReplicationTasks[ReplicationTaskArn = $states.context.Execution.Input.ReplicationTaskArn]"
    ".{'Status': Status} %}"
)
_END_OF_ARN = "{% $split($states.context.Execution.Input.ReplicationTaskArn, ':')[-1] %}"

TASK_2 = [
    dict(name="a function asks", machine=poll_once(poll=by_function("ask")), helper=ASKS, permissions=MAY_USE),
    dict(
        name="a function starts and asks",
        machine=poll_once(start=by_function("start"), poll=by_function("ask")),
        helper=ASKS,
        permissions=MAY_USE,
    ),
    dict(
        name="the status is always stopped",
        machine=poll_once(poll={**POLL, "Output": {"Status": "stopped"}}),
        says="not yet",
        words="The output says Status 'stopped' of a migration that was failed",
    ),
    dict(
        name="waits twice as long",
        machine=poll_once(wait={"Type": "Wait", "Seconds": "{% 2 * $states.context.Execution.Input.PollSeconds %}"}),
        says="not yet",
        words="With PollSeconds 1 in its input it waited",
    ),
    dict(
        name="waits a second more",
        machine=poll_once(wait={"Type": "Wait", "Seconds": "{% 1 + $states.context.Execution.Input.PollSeconds %}"}),
        says="not yet",
        words="With PollSeconds 1 in its input it waited",
    ),
    dict(
        name="waits two seconds at most",
        machine=poll_once(
            wait={"Type": "Wait", "Seconds": "{% $min([2, $states.context.Execution.Input.PollSeconds]) %}"}
        ),
        says="not yet",
        words="With PollSeconds 3 in its input it waited",
    ),
    dict(
        name="asks at once and again after the wait",
        machine=jsonata(Start=START, First=POLL, Wait=WAIT, Poll=POLL),
        says="not yet",
        words="It asked 2 times",
    ),
    dict(
        name="a large output only where it failed",
        machine=poll_once(
            poll={
                **POLL,
                "Arguments": {"Filters": FILTER},
                "Output": "{% $states.result.ReplicationTasks[0].(Status = 'failed' ? $ : {'Status': Status}) %}",
            }
        ),
        says="not yet",
        words="The output of the state 'Poll' has",
    ),
    dict(name="JSONata", machine=poll_once()),
    dict(
        name="JSONata, all but the settings kept, variables, a Pass at the end",
        machine=jsonata(
            Start={**START, "Assign": {"job": "{% $states.input %}"}},
            Sleep={"Type": "Wait", "Seconds": "{% $job.PollSeconds %}"},
            Ask=task(
                "describeReplicationTasks",
                Arguments={
                    "Filters": [{"Name": "replication-task-arn", "Values": "{% [$job.ReplicationTaskArn] %}"}],
                    "WithoutSettings": True,
                },
                Output=ALL_KEPT,
            ),
            Tidy={"Type": "Pass", "Output": {"Status": "{% $states.input.Status %}", "job": "{% $job %}"}},
        ),
    ),
    dict(
        name="JSONPath: Parameters, ResultSelector, ResultPath, OutputPath",
        machine=flow(Start=PATH_START, Wait=PATH_WAIT, Poll={**PATH_POLL, "OutputPath": "$.Poll.Task"}),
    ),
    dict(
        name="JSONPath without WithoutSettings: a ResultSelector leaves them out",
        machine=flow(
            Begin={**PATH_START, "ResultSelector": {"Status.$": "$.ReplicationTask.Status"}, "ResultPath": "$.Begun"},
            Hold_on=PATH_WAIT,
            How_is_it=task(
                "describeReplicationTasks",
                Parameters={"Filters": PATH_FILTER},
                ResultSelector={"Status.$": "$.ReplicationTasks[0].Status"},
                Retry=[{"ErrorEquals": ["States.ALL"]}],
            ),
            Done=DONE,
        ),
    ),
    dict(
        name="in a Parallel, the answer of its branch taken out",
        machine=jsonata(
            Together={
                "Type": "Parallel",
                "Branches": [flow(Start=START, Wait=WAIT, Poll=POLL)],
                "Output": "{% $states.result[0] %}",
            }
        ),
    ),
    {**BLANK, "machine": jsonata(Start=START, Wait={"Type": "Wait", "Seconds": ...})},
    dict(
        name="interval fixed in the definition",
        machine=poll_once(wait={"Type": "Wait", "Seconds": 1}),
        says="not yet",
        words="With PollSeconds 2 in its input it waited",
    ),
    dict(
        name="asks before it waits",
        machine=jsonata(Start=START, Poll=POLL, Wait=WAIT),
        says="not yet",
        words="in its input it waited 0",
    ),
    dict(
        name="describes without a filter",
        machine=poll_once(poll={**POLL, "Arguments": {"WithoutSettings": True}}),
        says="not yet",
        words="names neither the ARN of the replication task nor its identifier",
    ),
    dict(
        name="looks for its own on the first page of all tasks",
        machine=poll_once(poll={**POLL, "Arguments": {"WithoutSettings": True}, "Output": _AMONG_ALL}),
        says="not yet",
        words="more tasks than fit into one answer",
    ),
    dict(
        name="filters by the identifier that DMS has told it",
        machine=poll_once(
            start={
                **START,
                "Output": {},
                "Assign": {"id": "{% $states.result.ReplicationTask.ReplicationTaskIdentifier %}"},
            },
            poll={**POLL, "Arguments": {"Filters": [{"Name": "replication-task-id", "Values": ["{% $id %}"]}]}},
        ),
    ),
    dict(
        name="takes the end of the ARN for the identifier",
        machine=poll_once(
            poll={**POLL, "Arguments": {"Filters": [{"Name": "replication-task-id", "Values": [_END_OF_ARN]}]}}
        ),
        says="not yet",
        words="No Tasks found matching filter",
    ),
    dict(
        name="asks again where DMS refused to answer",
        machine=poll_once(poll={**POLL, "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1}]}),
    ),
    dict(
        name="says running where DMS refused to answer",
        machine=jsonata(
            Start=START,
            Wait=WAIT,
            Poll={**POLL, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Unknown"}], "End": True},
            Unknown={"Type": "Pass", "Output": {"Status": "running"}},
        ),
        says="not yet",
        words="'running', which DMS has not said",
    ),
    dict(
        name="JSONPath, in a Map of one",
        machine=flow(
            Jobs={"Type": "Pass", "Parameters": {"Jobs.$": "States.Array($)"}},
            Each={
                "Type": "Map",
                "ItemsPath": "$.Jobs",
                "ItemProcessor": flow(Start=PATH_START, Wait=PATH_WAIT, Poll=PATH_POLL),
                "ResultSelector": {"Status.$": "$[0].Poll.Task.Status"},
            },
        ),
    ),
    dict(
        name="filters by name with an ARN",
        machine=poll_once(
            poll={**POLL, "Arguments": {"Filters": [{"Name": "replication-task-id", "Values": [ARN]}]}},
        ),
        says="not yet",
        words="ended FAILED (DatabaseMigration.ResourceNotFoundException",
    ),
    dict(
        name="keeps the whole answer",
        machine=poll_once(poll={**POLL, "Arguments": {"Filters": FILTER}, "Output": ALL_KEPT}),
        says="not yet",
        words="The output of the state 'Poll' has",
    ),
    dict(
        name="keeps the whole answer to the start",
        machine=poll_once(start=without(START, "Output")),
        says="not yet",
        words="The output of the state 'Start' has",
    ),
    dict(
        name="gives out the status of the start",
        machine=jsonata(
            Start={**START, "Assign": {"status": "{% $states.result.ReplicationTask.Status %}"}},
            Wait=WAIT,
            Poll={**POLL, "Output": {"Status": "{% $status %}"}},
        ),
        says="not yet",
        words="of a migration that was stopped",
    ),
    dict(
        name="the key in small letters",
        machine=poll_once(poll={**POLL, "Output": {"status": "{% $states.result.ReplicationTasks[0].Status %}"}}),
        says="not yet",
        words="The output has the key Status",
    ),
    dict(
        name="only the status, without a key",
        machine=poll_once(poll={**POLL, "Output": "{% $states.result.ReplicationTasks[0].Status %}"}),
        says="not yet",
        words="The output of the execution is 'stopped'",
    ),
    dict(
        name="a StopReason that is not there yet",
        machine=poll_once(
            poll={
                **POLL,
                "Output": {
                    "Status": "{% $states.result.ReplicationTasks[0].Status %}",
                    "StopReason": "{% $states.result.ReplicationTasks[0].StopReason %}",
                },
            }
        ),
        says="not yet",
        words="ended FAILED (States.QueryEvaluationError",
    ),
    dict(name="never starts it", machine=jsonata(Wait=WAIT, Poll=POLL), says="not yet", words="startReplicationTask"),
    dict(
        name="a loop already",
        machine=jsonata(
            Start=START,
            Wait=WAIT,
            Poll=POLL,
            Choose={
                "Type": "Choice",
                "Choices": [{"Condition": "{% $states.input.Status = 'running' %}", "Next": "Wait"}],
                "Default": "Done",
            },
            Done=DONE,
        ),
        says="not yet",
        words="It polls once",
    ),
]


FINISHED = "$states.input.StopReason = 'Stop Reason FULL_LOAD_ONLY_FINISHED' and $states.input.TablesErrored = 0"
BEGUN = "$states.input.Status in ['starting', 'running', 'stopping']"
UNDER_WAY = "$states.input.Status in ['ready', 'starting', 'running', 'stopping']"
WITHIN_BOUND = "$polls < $states.context.Execution.Input.MaxPolls"
CAUSE = "{% $exists($states.input.Failure) ? $states.input.Failure : 'DMS: ' & $string($states.input) %}"
FAIL = {"Type": "Fail", "Error": "NotMigrated", "Cause": CAUSE}


def choose(*rules, otherwise="Failed"):
    """A Choice in JSONata: of (condition, where to) the first that holds."""
    choices = [{"Condition": f"{{% {condition} %}}", "Next": target} for condition, target in rules]
    return {"Type": "Choice", "Choices": choices, "Default": otherwise}


LOOP = {
    "Start": {**START, "Assign": {"polls": 0}},
    "Wait": WAIT,
    "Poll": {**POLL, "Assign": {"polls": "{% $polls + 1 %}"}},
    "Choose": choose((FINISHED, "Finished"), (f"{UNDER_WAY} and {WITHIN_BOUND}", "Wait")),
    "Finished": DONE,
    "Failed": FAIL,
}


def loop(**changed):
    """The loop with these states in the place of its own."""
    return jsonata(**{**LOOP, **changed})


POLL_FIRST = jsonata(
    Start=LOOP["Start"],
    Poll={**LOOP["Poll"], "Retry": [{"ErrorEquals": ["States.TaskFailed"]}]},
    Choose=choose((FINISHED, "Finished"), (f"$not({UNDER_WAY}) or $not({WITHIN_BOUND})", "Failed"), otherwise="Wait"),
    Wait={**WAIT, "Next": "Poll"},
    Failed=FAIL,
    Finished=DONE,
)


def when(variable, **test):
    """One test of a Choice in JSONPath, of what the poll gave."""
    return {"Variable": f"$.Poll.Task.{variable}", **test}


STOPPED = when("Status", StringEquals="stopped")
PATH_FINISHED = {
    "And": [
        STOPPED,
        when("StopReason", StringEquals="Stop Reason FULL_LOAD_ONLY_FINISHED"),
        when("ReplicationTaskStats.TablesErrored", NumericEquals=0),
    ]
}
PATH_FAIL = {"Type": "Fail", "Error": "Failed", "CausePath": "$.Poll.Task.LastFailureMessage"}
PATH_FAIL_STOPPED = {"Type": "Fail", "Error": "Stopped", "CausePath": "$.Poll.Task.StopReason"}


def path_choose(*more):
    rules = [
        {**PATH_FINISHED, "Next": "Finished"},
        {**STOPPED, "Next": "Stopped"},
        {**when("Status", StringEquals="failed"), "Next": "Failed"},
        *more,
    ]
    return {"Type": "Choice", "Choices": rules, "Default": "Wait"}


PATH_ENDS = {"Finished": DONE, "Stopped": PATH_FAIL_STOPPED, "Failed": PATH_FAIL}
PATH_TIMED = {
    **flow(Start=PATH_START, Wait=PATH_WAIT, Poll=PATH_POLL, Choose=path_choose(), **PATH_ENDS),
    "TimeoutSeconds": 86400,
}
PATH_COUNTED = flow(
    Start=PATH_START,
    Zero={"Type": "Pass", "Result": {"Polls": 0}, "ResultPath": "$.Counter"},
    Wait=PATH_WAIT,
    Poll=PATH_POLL,
    Count={"Type": "Pass", "Parameters": {"Polls.$": "States.MathAdd($.Counter.Polls, 1)"}, "ResultPath": "$.Counter"},
    Choose=path_choose(
        {"Variable": "$.Counter.Polls", "NumericGreaterThanEqualsPath": "$.MaxPolls", "Next": "Gave up"}
    ),
    **PATH_ENDS,
    **{"Gave up": {"Type": "Fail", "Error": "GaveUp", "Cause": "It was asked often enough."}},
)
# A Map that makes one pass for each poll that is allowed, and is left by a failure, which is caught.
MAPPED = jsonata(
    Start=START,
    Polls={
        "Type": "Map",
        "Items": "{% [1..$states.context.Execution.Input.MaxPolls] %}",
        "MaxConcurrency": 1,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "INLINE"},
            **flow(
                Wait=WAIT,
                Poll=POLL,
                Choose=choose((FINISHED, "Over"), (UNDER_WAY, "Next pass"), otherwise="Not finished"),
                Over={"Type": "Fail", "Error": "Finished", "Cause": "No more passes are needed."},
                **{"Next pass": {"Type": "Pass", "End": True}, "Not finished": FAIL},
            ),
        },
        "Catch": [
            {"ErrorEquals": ["Finished"], "Next": "Finished"},
            {"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput %}", "Next": "Failed"},
        ],
        "Next": "Gave up",
    },
    Finished=DONE,
    Failed={"Type": "Fail", "Error": "{% $states.input.Error %}", "Cause": "{% $states.input.Cause %}"},
    **{"Gave up": {"Type": "Fail", "Error": "GaveUp", "Cause": "It was asked often enough."}},
)

# At the bound another state comes, which is called "Gave up".
GIVES_UP = choose((FINISHED, "Finished"), (f"{UNDER_WAY} and {WITHIN_BOUND}", "Wait"), (UNDER_WAY, "Gave up"))

GIVEN_UP = {"Type": "Fail", "Error": "GaveUp", "Cause": "It was asked often enough."}

# It looks first whether the migration has run before, and starts it as it has to be started.
LOOKS = task(
    "describeReplicationTasks",
    Arguments={"Filters": FILTER, "WithoutSettings": True},
    Assign={
        "kind": "{% $exists($states.result.ReplicationTasks[0].ReplicationTaskStats.StartDate)"
        " ? 'reload-target' : 'start-replication' %}"
    },
    Output={},
)
STARTS_BY_KIND = {**LOOP["Start"], "Arguments": {**STARTED, "StartReplicationTaskType": "{% $kind %}"}}

_TASK = "$states.result.ReplicationTasks[0]"
TRAIL = f"{{% [$seen, {{'Status': {_TASK}.Status, 'Stats': {_TASK}.ReplicationTaskStats}}] %}}"
TASK_3 = [
    dict(
        name="counts its polls before it looks at what the last one said",
        machine=loop(
            Choose=choose((f"$not({WITHIN_BOUND})", "Gave up"), (FINISHED, "Finished"), (UNDER_WAY, "Wait")),
            **{"Gave up": GIVEN_UP},
        ),
        says="not yet",
        words="The execution of a migration that had finished by the last poll ended FAILED (GaveUp",
    ),
    dict(
        name="counts its polls before it looks whether the migration failed",
        machine=loop(
            Choose=choose((FINISHED, "Finished"), (f"$not({WITHIN_BOUND})", "Gave up"), (UNDER_WAY, "Wait")),
            **{"Gave up": GIVEN_UP},
        ),
        says="not yet",
        words="DMS said of a migration that had failed by the last poll: ",
    ),
    dict(
        name="looks at all ends, and then counts its polls",
        machine=loop(
            Choose=choose(
                (FINISHED, "Finished"),
                ("$states.input.Status in ['stopped', 'failed']", "Failed"),
                (f"$not({WITHIN_BOUND})", "Gave up"),
                otherwise="Wait",
            ),
            **{"Gave up": GIVEN_UP},
        ),
    ),
    dict(
        name="fails as soon as a table has an error",
        machine=loop(
            Choose=choose(
                (FINISHED, "Finished"),
                ("$states.input.TablesErrored > 0", "Failed"),
                (f"{UNDER_WAY} and {WITHIN_BOUND}", "Wait"),
            )
        ),
        says="not yet",
        words="when one of its tables had an error ended FAILED (NotMigrated",
    ),
    dict(
        name="looks how to start, then waits and asks", machine=jsonata(Look=LOOKS, **LOOP | {"Start": STARTS_BY_KIND})
    ),
    dict(
        name="looks how to start, asks at once, then waits",
        machine=jsonata(
            Look=LOOKS,
            Start=STARTS_BY_KIND,
            **{name: POLL_FIRST["States"][name] for name in ("Poll", "Choose", "Wait", "Failed", "Finished")},
        ),
    ),
    dict(
        name="looks a second time, at once, where a task has stopped for another reason",
        machine=loop(
            Choose=choose(
                (FINISHED, "Finished"),
                (f"{UNDER_WAY} and {WITHIN_BOUND}", "Wait"),
                ("$states.input.Status = 'stopped'", "Look again"),
            ),
            **{
                "Look again": {**POLL, "Next": "Judge"},
                "Judge": choose((FINISHED, "Finished")),
            },
        ),
        says="not yet",
        words="before it asked",
    ),
    dict(
        name="carries a trail of all polls along",
        machine=loop(
            Start={**START, "Assign": {"polls": 0, "seen": []}},
            Poll={
                **POLL,
                "Output": POLL["Output"].replace("}", f", 'Seen': {TRAIL[3:-3]}}}", 1),
                "Assign": {"polls": "{% $polls + 1 %}", "seen": TRAIL},
            },
        ),
        says="not yet",
        words="No output is larger than 8,192 bytes",
    ),
    dict(
        name="a function starts and asks",
        machine=loop(
            Start={**by_function("start"), "Assign": {"polls": 0}},
            Poll={**by_function("ask"), "Assign": {"polls": "{% $polls + 1 %}"}},
        ),
        helper=ASKS,
        permissions=MAY_USE,
    ),
    dict(
        name="`ready` is an end",
        machine=loop(Choose=choose((FINISHED, "Finished"), (f"{BEGUN} and {WITHIN_BOUND}", "Wait"))),
        says="not yet",
        words="While the migration still ran, the execution ended FAILED",
    ),
    dict(
        name="`ready` is under way once",
        machine=loop(
            Choose=choose(
                (FINISHED, "Finished"),
                (f"({BEGUN} or $states.input.Status = 'ready' and $polls = 1) and {WITHIN_BOUND}", "Wait"),
            )
        ),
        says="not yet",
        words="While the migration still ran, the execution ended FAILED",
    ),
    dict(
        name="100 characters of DMS's message",
        machine=loop(
            Failed={**FAIL, "Cause": "{% $substring($states.input.Failure & $string($states.input), 0, 100) %}"}
        ),
        says="not yet",
        words="the cause contains DMS's `LastFailureMessage`",
    ),
    dict(
        name="stopped for whatever reason but somebody's order",
        machine=loop(
            Choose=choose(
                (
                    "$states.input.Status = 'stopped' and $states.input.StopReason != 'Stop Reason NORMAL'"
                    " and $states.input.TablesErrored = 0",
                    "Finished",
                ),
                (f"{UNDER_WAY} and {WITHIN_BOUND}", "Wait"),
            )
        ),
        says="not yet",
        words="DMS said: Status stopped, Stop Reason ",
    ),
    dict(
        name="the interval fixed in the definition",
        machine=loop(Wait={"Type": "Wait", "Seconds": 1}),
        says="not yet",
        words="With PollSeconds 2 in its input it waited",
    ),
    dict(
        name="waits a second before it asks again, whatever the input says",
        machine=loop(
            Choose=choose((FINISHED, "Finished"), (f"{UNDER_WAY} and {WITHIN_BOUND}", "Wait again")),
            **{"Wait again": {"Type": "Wait", "Seconds": 1, "Next": "Poll"}},
        ),
        says="not yet",
        words="With PollSeconds 2 in its input it waited 1.0 s before it asked",
    ),
    dict(
        name="waits twice as long before it asks again",
        machine=loop(
            Choose=choose((FINISHED, "Finished"), (f"{UNDER_WAY} and {WITHIN_BOUND}", "Wait again")),
            **{
                "Wait again": {
                    "Type": "Wait",
                    "Seconds": "{% 2 * $states.context.Execution.Input.PollSeconds %}",
                    "Next": "Poll",
                }
            },
        ),
        says="not yet",
        words="before it asked",
    ),
    dict(
        name="gives up without an error and a cause",
        machine=loop(Choose=GIVES_UP, **{"Gave up": {"Type": "Fail"}}),
        says="not yet",
        words="It has an error and a cause",
    ),
    dict(
        name="gives up without a cause",
        machine=loop(Choose=GIVES_UP, **{"Gave up": {"Type": "Fail", "Error": "GaveUp"}}),
        says="not yet",
        words="ended FAILED (GaveUp)",
    ),
    dict(
        name="gives up with a cause that a task under way does not have",
        machine={
            **PATH_COUNTED,
            "States": {**PATH_COUNTED["States"], "Gave up": {**PATH_FAIL_STOPPED, "Error": "GaveUp"}},
        },
        says="not yet",
        words="by a fault in a state",
    ),
    dict(
        name="ends well at the bound, within a TimeoutSeconds",
        machine={
            **loop(
                Choose=choose(
                    (FINISHED, "Finished"), (f"{UNDER_WAY} and {WITHIN_BOUND}", "Wait"), (UNDER_WAY, "Finished")
                )
            ),
            "TimeoutSeconds": 86_400,
        },
        says="not yet",
        words="of a migration that still ran ended SUCCEEDED",
    ),
    dict(
        name="gives up within a TimeoutSeconds, with an error and a cause that a Pass has made",
        machine={
            **loop(
                Choose=GIVES_UP,
                **{
                    "Gave up": {
                        "Type": "Pass",
                        "Output": {"Error": "GaveUp", "Cause": "{% 'polls: ' & $string($polls) %}"},
                        "Next": "Given up",
                    },
                    "Given up": {
                        "Type": "Fail",
                        "Error": "{% $states.input.Error %}",
                        "Cause": "{% $states.input.Cause %}",
                    },
                },
            ),
            "TimeoutSeconds": 86_400,
        },
    ),
    dict(
        name="waits only before the first poll",
        machine=loop(
            Choose=choose((FINISHED, "Finished"), (f"{UNDER_WAY} and {WITHIN_BOUND}", "Poll")),
        ),
        says="not yet",
        words="it waited 0.0 s before it asked",
    ),
    dict(
        name="the cause is the same for all failures",
        machine=loop(Failed={**FAIL, "Cause": "Last Error Table 'travel'.'airports'"}),
        says="not yet",
        words="the cause contains DMS's `LastFailureMessage`",
    ),
    dict(
        name="a bound of two polls, whatever MaxPolls says",
        machine=loop(Choose=choose((FINISHED, "Finished"), (f"{UNDER_WAY} and $polls < 2", "Wait"))),
        says="not yet",
        words="While the migration still ran, the execution ended FAILED",
    ),
    dict(
        name="a bound of two polls where MaxPolls is small",
        machine=loop(
            Choose=choose(
                (FINISHED, "Finished"),
                (f"{UNDER_WAY} and ($polls < 2 or $states.context.Execution.Input.MaxPolls > 10)", "Wait"),
            )
        ),
        says="not yet",
        words="With MaxPolls 4 in its input it asked 2 times",
    ),
    dict(
        name="finished is what has loaded some table",
        machine=loop(
            Choose=choose(
                ("$exists($states.input.StopReason)", "Finished"), (f"{UNDER_WAY} and {WITHIN_BOUND}", "Wait")
            )
        ),
        says="not yet",
        words="'stopped' alone is not success",
    ),
    dict(
        name="takes a refused start for one that runs already",
        machine=loop(
            Start={
                **LOOP["Start"],
                "Catch": [{"ErrorEquals": ["States.TaskFailed"], "Output": {}, "Assign": {"polls": 0}, "Next": "Wait"}],
            }
        ),
        says="not yet",
        words="of a migration that had run before, whose start DMS refused ended SUCCEEDED: what had finished was the",
    ),
    dict(
        name="starts what has run before, too",
        machine=loop(
            Start={
                **LOOP["Start"],
                "Catch": [{"ErrorEquals": ["States.TaskFailed"], "Output": {}, "Next": "Start again"}],
            },
            **{
                "Start again": {
                    **LOOP["Start"],
                    "Arguments": {**STARTED, "StartReplicationTaskType": "reload-target"},
                    "Next": "Wait",
                }
            },
        ),
    ),
    dict(
        name="a poll that fails is made again, and not counted",
        machine=loop(Poll={**LOOP["Poll"], "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Wait"}]}),
        says="not yet",
        words="With MaxPolls 1 in its input, and a migration about which DMS refused to speak, it came to its poll",
    ),
    dict(
        name="a poll that fails is made again twice, and then again, and not counted",
        machine=loop(
            Poll={
                **LOOP["Poll"],
                "Retry": [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "MaxAttempts": 2}],
                "Catch": [{"ErrorEquals": ["States.TaskFailed"], "Next": "Wait"}],
            }
        ),
        says="not yet",
        words="With MaxPolls 1 in its input, and a migration about which DMS refused to speak, it came to its poll",
    ),
    dict(
        name="a poll that fails is counted, and made again where it may",
        machine=loop(
            Poll={
                **LOOP["Poll"],
                "Catch": [
                    {"ErrorEquals": ["States.ALL"], "Assign": {"polls": "{% $polls + 1 %}"}, "Next": "Choose again"}
                ],
            },
            **{"Choose again": choose((WITHIN_BOUND, "Wait"), otherwise="Unknown")},
            Unknown={"Type": "Fail", "Error": "Unknown", "Cause": "DMS did not say how it stands."},
        ),
    ),
    dict(
        name="a poll that fails is made again, for a day",
        machine={
            **loop(Poll={**LOOP["Poll"], "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Wait"}]}),
            "TimeoutSeconds": 86_400,
        },
    ),
    dict(name="JSONata, counted with Assign", machine=loop()),
    dict(name="JSONata, asks first, waits then, with a Retry", machine=POLL_FIRST),
    dict(name="JSONPath, with a TimeoutSeconds", machine=PATH_TIMED),
    dict(name="JSONPath, counted with States.MathAdd", machine=PATH_COUNTED),
    dict(name="a Map over the polls", machine=MAPPED),
    dict(
        name="counts down, waits until a moment, an error of each kind, all in variables",
        machine={
            "TimeoutSeconds": 86400,
            **jsonata(
                Begin={
                    **START,
                    "Arguments": {
                        "StartReplicationTaskType": "start-replication",
                        "ReplicationTaskArn": "{% $states.input.ReplicationTaskArn %}",
                    },
                    "Assign": {
                        "left": "{% $states.input.MaxPolls %}",
                        "arn": "{% $states.input.ReplicationTaskArn %}",
                        "pause": "{% $states.input.PollSeconds * 1000 %}",
                    },
                    "Output": "{% null %}",
                },
                Rest={"Type": "Wait", "Timestamp": "{% $fromMillis($millis() + $pause) %}"},
                Ask=task(
                    "describeReplicationTasks",
                    Arguments={"Filters": "{% [{'Name': 'replication-task-arn', 'Values': [$arn]}] %}"},
                    Assign={
                        "left": "{% $left - 1 %}",
                        "task": "{% $states.result.ReplicationTasks[0].{'Status': Status, 'Reason': StopReason,"
                        " 'Message': LastFailureMessage, 'Errors': ReplicationTaskStats.TablesErrored} %}",
                    },
                    Output={},
                ),
                Judge={
                    "Type": "Choice",
                    "Choices": [
                        {"Condition": "{% $task.Status = 'failed' %}", "Next": "Broken"},
                        {
                            "Condition": "{% $task.Status = 'stopped' and ($task.Errors != 0 or"
                            " $not($task.Reason = 'Stop Reason FULL_LOAD_ONLY_FINISHED')) %}",
                            "Next": "Incomplete",
                        },
                        {"Condition": "{% $task.Status = 'stopped' %}", "Next": "Complete"},
                        {"Condition": "{% $left <= 0 %}", "Next": "Too long"},
                    ],
                    "Default": "Rest",
                },
                **{
                    "Broken": {"Type": "Fail", "Error": "Broken", "Cause": "{% 'DMS says: ' & $task.Message %}"},
                    "Incomplete": {
                        "Type": "Fail",
                        "Error": "Incomplete",
                        "Cause": "{% 'Stopped: ' & $task.Reason & ', tables with errors: ' & $string($task.Errors) %}",
                    },
                    "Too long": {"Type": "Fail", "Error": "TooLong", "Cause": "It takes too long."},
                    "Complete": {"Type": "Pass", "End": True},
                },
            ),
        },
    ),
    {**BLANK, "machine": loop(Failed={**FAIL, "Cause": ...})},
    dict(
        name="stopped means success",
        machine=loop(
            Choose=choose(("$states.input.Status = 'stopped'", "Finished"), (f"{UNDER_WAY} and {WITHIN_BOUND}", "Wait"))
        ),
        says="not yet",
        words="Stop Reason NORMAL",
    ),
    dict(
        name="no table with an error means success, when stopped by hand too",
        machine=loop(
            Choose=choose(
                ("$states.input.Status = 'stopped' and $states.input.TablesErrored = 0", "Finished"),
                (f"{UNDER_WAY} and {WITHIN_BOUND}", "Wait"),
            )
        ),
        says="not yet",
        words="a migration that somebody stopped ended SUCCEEDED",
    ),
    dict(
        name="a table set aside does not matter",
        machine=loop(
            Choose=choose(
                (FINISHED.partition(" and ")[0], "Finished"),
                (f"{UNDER_WAY} and {WITHIN_BOUND}", "Wait"),
            )
        ),
        says="not yet",
        words="TablesErrored 1",
    ),
    dict(
        name="treats failed as still running",
        machine=loop(
            Choose=choose(
                (FINISHED, "Finished"),
                ("$states.input.Status = 'stopped'", "Failed"),
                (WITHIN_BOUND, "Wait"),
            )
        ),
        says="not yet",
        words="a migration that failed was still running",
    ),
    dict(
        name="cause without DMS's message",
        machine=loop(Failed={**FAIL, "Cause": "The migration failed."}),
        says="not yet",
        words="the cause contains DMS's `LastFailureMessage`",
    ),
    dict(
        name="no error and no cause",
        machine=loop(Failed={"Type": "Fail"}),
        says="not yet",
        words="It has an error and a cause",
    ),
    dict(
        name="a cause that is there only after a failure",
        machine=loop(Failed={**FAIL, "Cause": "{% $states.input.Failure %}"}),
        says="not yet",
        words="by a fault in a state",
    ),
    dict(
        name="no bound",
        machine=loop(Choose=choose((FINISHED, "Finished"), (UNDER_WAY, "Wait"))),
        says="not yet",
        words="It cannot run for ever",
    ),
    dict(
        name="a TimeoutSeconds of the poll, and one of a year",
        machine={
            **loop(
                Poll={**LOOP["Poll"], "TimeoutSeconds": 60}, Choose=choose((FINISHED, "Finished"), (UNDER_WAY, "Wait"))
            ),
            "TimeoutSeconds": 365 * 24 * 3600,
        },
        says="not yet",
        words="no TimeoutSeconds of a week or less",
    ),
    dict(
        name="a bound fixed in the definition",
        machine=loop(Choose=choose((FINISHED, "Finished"), (f"{UNDER_WAY} and $polls < 20", "Wait"))),
        says="not yet",
        words="MaxPolls",
    ),
    dict(
        name="one poll more than MaxPolls",
        machine=loop(
            Choose=choose((FINISHED, "Finished"), (f"{UNDER_WAY} and {WITHIN_BOUND.replace('<', '<=')}", "Wait"))
        ),
        says="not yet",
        words="It gives up after MaxPolls polls",
    ),
    dict(
        name="ends well at the bound",
        machine=loop(
            Choose=choose((FINISHED, "Finished"), (f"{UNDER_WAY} and {WITHIN_BOUND}", "Wait"), (UNDER_WAY, "Finished"))
        ),
        says="not yet",
        words="of a migration that still ran ended SUCCEEDED",
    ),
    dict(
        name="asks once, and whatever is not finished has failed",
        machine=loop(Choose=choose((FINISHED, "Finished"))),
        says="not yet",
        words="While the migration still ran, the execution ended FAILED",
    ),
    dict(
        name="goes on as soon as it runs",
        machine=loop(Choose=choose((FINISHED, "Finished"), ("$states.input.Status = 'running'", "Finished"))),
        says="not yet",
        words="While the migration still ran, the execution ended SUCCEEDED",
    ),
    dict(
        name="carries all settings round",
        machine=loop(Start=without(LOOP["Start"], "Output")),
        says="not yet",
        words="The output of the state 'Start' has",
    ),
]


COUNT = """
def count_transitions(events):
    entered = sum(event["type"].endswith("StateEntered") for event in events)
    attempts = sum(event["type"] in ("TaskScheduled", "LambdaFunctionScheduled") for event in events)
    return entered + attempts - sum(event["type"] == "TaskStateEntered" for event in events)
"""
PREDICT = """
def predict(job_seconds, poll_seconds):
    passes = -(-job_seconds // poll_seconds)
    transitions = 2 + 3 * passes
    return transitions, 9 + 9 * passes, transitions * 0.000025
"""


def counting(body):
    """count_transitions(events) with another body, which may speak of the events' types as `kinds`."""
    return f'def count_transitions(events):\n    kinds = [event["type"] for event in events]\n    {body}\n'


def predicting(body):
    """predict(job_seconds, poll_seconds) with another body."""
    return f"def predict(job_seconds, poll_seconds):\n    {body}\n"


# A visit at a time: an event belongs to the state that the event before it, as previousEventId names it, was in.
COUNT_BY_STATE = """
def count_transitions(events):
    state_after, attempts = {0: None}, {}
    for event in events:
        state = state_after[event["previousEventId"]]
        if event["type"].endswith("StateEntered"):
            state = (event["stateEnteredEventDetails"]["name"], event["id"])
            attempts[state] = 0
        if event["type"].endswith("Scheduled"):
            attempts[state] += 1
        state_after[event["id"]] = state
    return sum(max(1, number) for number in attempts.values())
"""

# A retry is an attempt after an event of which the type ends in one of ENDINGS.
AFTER = """
def count_transitions(events):
    kinds = {event["id"]: event["type"] for event in events}
    entered = sum(kind.endswith("StateEntered") for kind in kinds.values())
    return entered + sum(
        event["type"].endswith("Scheduled") and kinds[event["previousEventId"]].endswith(ENDINGS) for event in events
    )
"""

TASK_4 = [
    dict(
        name="takes two TaskScheduled in a row for a retry, also where branches run side by side",
        machine=loop(),
        functions="""
def count_transitions(events):
    billed, scheduled = 0, False
    for event in events:
        if event["type"].endswith("StateEntered"):
            billed, scheduled = billed + 1, False
        elif event["type"] in ("TaskScheduled", "LambdaFunctionScheduled"):
            billed += scheduled
            scheduled = True
    return billed
"""
        + PREDICT,
        says="not yet",
        words="count_transitions",
    ),
    dict(name="as in the solution", machine=loop(), functions=COUNT + PREDICT),
    dict(
        name="a retry is what is scheduled, and not by the entrance into its state",
        machine=loop(),
        functions="""
def count_transitions(events):
    kinds = {event["id"]: event["type"] for event in events}
    entered = sum(kind.endswith("StateEntered") for kind in kinds.values())
    return entered + sum(
        event["type"].endswith("Scheduled") and not kinds[event["previousEventId"]].endswith("StateEntered")
        for event in events
    )
"""
        + PREDICT,
    ),
    dict(
        name="a retry is what is scheduled after a failure",
        machine=loop(),
        functions=AFTER.replace("ENDINGS", '"Failed"') + PREDICT,
        says="not yet",
        words="returns 1 for a Task state that timed out and was retried, where AWS bills 2",
    ),
    dict(
        name="a retry is what is scheduled after a failure, or a timeout of a task",
        machine=loop(),
        functions=AFTER.replace("ENDINGS", '("Failed", "TaskTimedOut")') + PREDICT,
        says="not yet",
        words="returns 1 for a Lambda function that timed out and was retried, where AWS bills 2",
    ),
    dict(
        name="a retry is what is scheduled after a failure or a timeout",
        machine=loop(),
        functions=AFTER.replace("ENDINGS", '("Failed", "TimedOut")') + PREDICT,
    ),
    dict(
        name="state by state, with previousEventId; passes rounded down, floating point",
        machine=loop(),
        functions=COUNT_BY_STATE
        + predicting(
            "passes = job_seconds / poll_seconds // 1\n    return 2 + 3 * passes, 9 + 9 * passes, 75e-6 * passes + 5e-5"
        ),
    ),
    dict(
        name="with a Counter, and a list from predict; the loop asks first",
        machine=POLL_FIRST,
        functions="""
import collections, math

def count_transitions(events):
    types = collections.Counter(event["type"].removeprefix("LambdaFunction").removeprefix("Task") for event in events)
    entered = sum(number for kind, number in types.items() if kind.endswith("StateEntered"))
    return entered + types["Scheduled"] - types["StateEntered"]

def predict(job_seconds, poll_seconds):
    polls = math.ceil(job_seconds / poll_seconds) + 1
    transitions = 1 + 2 * polls + (polls - 1) + 1
    return [transitions, 1 + 5 + 7 * polls + 2 * (polls - 1) + 2 + 1, round(transitions * 25e-6, 8)]
""",
    ),
    dict(
        name="with the workshop's History; a loop in JSONPath with a state more",
        machine=PATH_COUNTED,
        functions="""
from workshop.costs.prices import price
from workshop.executions import History

def count_transitions(events):
    return History("mine", events).transitions

def predict(job_seconds, poll_seconds):
    passes = -(-job_seconds // poll_seconds)
    return 3 + 4 * passes, 11 + 11 * passes, price(3 + 4 * passes)
""",
    ),
    dict(
        name="the loop in a Parallel", machine=in_parallel(loop()), functions=COUNT + PREDICT.replace("2 + 3", "3 + 3")
    ),
    dict(
        name="blank",
        machine=loop(),
        functions=counting("return ...") + predicting("return ..."),
        says="not attempted",
        words="count_transitions still returns `...`",
    ),
    dict(
        name="a blank in the arithmetic",
        machine=loop(),
        functions=COUNT + predicting("return 2 + ... * job_seconds"),
        says="not attempted",
        words="There is still a `...` in predict",
    ),
    dict(name="no functions", machine=loop(), says="not attempted", words="There is no count_transitions"),
    dict(name="no loop", functions=COUNT + PREDICT, says="not attempted", words="do exercise 3 first"),
    dict(
        name="a loop that does not loop",
        machine=loop(Choose=choose((FINISHED, "Finished"))),
        functions=COUNT + PREDICT,
        says="not yet",
        words="Your loop passes exercise 3",
    ),
    dict(
        name="every event is a transition",
        machine=loop(),
        functions=counting("return len(events)") + PREDICT,
        says="not yet",
        words="count_transitions returns 7 for one Task state",
    ),
    dict(
        name="retries not counted",
        machine=loop(),
        functions=counting('return sum(kind.endswith("StateEntered") for kind in kinds)') + PREDICT,
        says="not yet",
        words="returns 1 for a Task state that was retried twice, where AWS bills 3",
    ),
    dict(
        name="a task's first attempt counted twice",
        machine=loop(),
        functions=counting('return sum(kind.endswith(("StateEntered", "Scheduled")) for kind in kinds)') + PREDICT,
        says="not yet",
        words="returns 2 for one Task state",
    ),
    dict(
        name="only tasks are counted",
        machine=loop(),
        functions=counting('return sum(kind.endswith("Scheduled") for kind in kinds)') + PREDICT,
        says="not yet",
        words="returns 1 for a Wait and a Task state",
    ),
    dict(
        name="retries of Lambda functions not counted",
        machine=loop(),
        functions=counting(
            'retries = max(0, kinds.count("TaskScheduled") - kinds.count("TaskStateEntered"))\n'
            '    return sum(kind.endswith("StateEntered") for kind in kinds) + retries'
        )
        + PREDICT,
        says="not yet",
        words="for a Lambda function that was retried once",
    ),
    dict(
        name="counts exited states",
        machine=loop(),
        functions=counting(
            'attempts = sum(kind in ("TaskScheduled", "LambdaFunctionScheduled") for kind in kinds)\n'
            '    exited = sum(kind.endswith("StateExited") for kind in kinds)\n'
            '    return exited + attempts - kinds.count("TaskStateEntered")'
        )
        + PREDICT,
        says="not yet",
        words="for a Task state that failed and led to a Fail state",
    ),
    dict(
        name="every failure is a retry",
        machine=loop(),
        functions=counting(
            'return sum(kind.endswith(("StateEntered", "TaskFailed", "FunctionFailed")) for kind in kinds)'
        )
        + PREDICT,
        says="not yet",
        words="returns 3 for a Task state that failed and led to a Fail state",
    ),
    dict(
        name="an error in the function",
        machine=loop(),
        functions=counting('return events[0]["kind"]') + PREDICT,
        says="not yet",
        words="raised KeyError: 'kind'",
    ),
    dict(
        name="printed, not returned",
        machine=loop(),
        functions=COUNT + predicting("print(3 * job_seconds // poll_seconds)"),
        says="not yet",
        words="predict(3, 1) returns None",
    ),
    dict(
        name="two numbers, no price",
        machine=loop(),
        functions=COUNT + predicting("return 2 + 3 * job_seconds // poll_seconds, 9 + 9 * job_seconds // poll_seconds"),
        says="not yet",
        words="It returns three numbers",
    ),
    dict(
        name="one transition in each pass",
        machine=loop(),
        functions=COUNT + PREDICT.replace("3 * passes", "passes"),
        says="not yet",
        words="state transitions. Your loop makes 3 in each pass",
    ),
    dict(
        name="the interval does not matter",
        machine=loop(),
        functions=COUNT + PREDICT.replace("-(-job_seconds // poll_seconds)", "job_seconds"),
        says="not yet",
        words="predict(3600, 7) predicts 10,802 state transitions",
    ),
    dict(
        name="always a pass a minute",
        machine=loop(),
        functions=COUNT + PREDICT.replace("// poll_seconds", "// 60"),
        says="not yet",
        words="predict(3, 1) predicts 5 state transitions",
    ),
    dict(
        name="predicts events only for the poll",
        machine=loop(),
        functions=COUNT + PREDICT.replace("9 * passes", "5 * passes"),
        says="not yet",
        words="history events. Your loop makes 9 in each pass",
    ),
    dict(
        name="events and transitions in each other's place",
        machine=loop(),
        functions=COUNT + PREDICT.replace("transitions, 9 + 9 * passes", "9 + 9 * passes, transitions"),
        says="not yet",
        words="predicts 36 state transitions",
    ),
    dict(
        name="predicts for another loop: the state more is left out",
        machine=PATH_COUNTED,
        functions=COUNT + PREDICT,
        says="not yet",
        words="Your loop makes 4 in each pass",
    ),
    dict(
        name="USD per million",
        machine=loop(),
        functions=COUNT + PREDICT.replace("0.000025", "0.025 / 1_000_000"),
        says="not yet",
        words="1,000 state transitions cost 0.025 USD",
    ),
    dict(
        name="0.025 USD for each",
        machine=loop(),
        functions=COUNT + PREDICT.replace("0.000025", "0.025"),
        says="not yet",
        words="predicts 11 state transitions and 0.275 USD",
    ),
    dict(
        name="events are billed",
        machine=loop(),
        functions=COUNT + PREDICT.replace("transitions * 0.000025", "(9 + 9 * passes) * 0.000025"),
        says="not yet",
        words="1,000 state transitions cost 0.025 USD",
    ),
]


# Backing off in JSONata.
GROWING = {
    "Start": {
        **START,
        "Assign": {"polls": 0, "seconds": "{% $states.context.Execution.Input.PollSeconds %}"},
    },
    "Wait": {
        "Type": "Wait",
        "Seconds": "{% $seconds %}",
        "Assign": {"seconds": "{% $min([$seconds * 2, $states.context.Execution.Input.MaxPollSeconds]) %}"},
    },
}


def backoff(then=None, first=None, **changed):
    """The loop that backs off; with another way to reckon the next wait, or the first one."""
    states = {**GROWING, **changed}
    if then:
        states["Wait"] = {**states["Wait"], "Assign": {"seconds": f"{{% {then} %}}"}}
    if first:
        states["Start"] = {**states["Start"], "Assign": {"polls": 0, "seconds": first}}
    return loop(**states)


PATH_BACKOFF = {
    **flow(
        Start=PATH_START,
        First={"Type": "Pass", "Parameters": {"Seconds.$": "$.PollSeconds"}, "ResultPath": "$.Next"},
        Wait={"Type": "Wait", "SecondsPath": "$.Next.Seconds"},
        Poll=PATH_POLL,
        Choose={**path_choose(), "Default": "Longest?"},
        **{
            "Longest?": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.Next.Seconds", "NumericLessThanPath": "$.MaxPollSeconds", "Next": "Longer"}
                ],
                "Default": "Wait",
            },
            "Longer": {
                "Type": "Pass",
                "Parameters": {"Seconds.$": "States.MathAdd($.Next.Seconds, 1)"},
                "ResultPath": "$.Next",
                "Next": "Wait",
            },
        },
        **PATH_ENDS,
    ),
    "TimeoutSeconds": 86400,
}
# The waits are reckoned from the number of the poll, after it.
FROM_POLLS = loop(
    Wait={
        "Type": "Wait",
        "Seconds": "{% ($in := $states.context.Execution.Input;"
        " $min([$in.PollSeconds * $power(2, $polls), $in.MaxPollSeconds])) %}",
    },
)

# Its states are in JSONata, its Choice and its Fail state in JSONPath, which is the machine's language.
_SECONDS = "$states.context.Execution.Input.PollSeconds + 2 * $polls, $states.context.Execution.Input.MaxPollSeconds"
_JUDGED = (
    "{% $states.result.ReplicationTasks[0].{'Status': Status, 'Why': Status & ' ' & StopReason & ' ' & "
    "LastFailureMessage, 'Fine': StopReason = 'Stop Reason FULL_LOAD_ONLY_FINISHED' and "
    "ReplicationTaskStats.TablesErrored = 0} %}"
)
TWO_LANGUAGES = {
    "TimeoutSeconds": 7 * 24 * 3600,
    **flow(
        Start={**START, "Assign": {"polls": 0}, "QueryLanguage": "JSONata"},
        Wait={"Type": "Wait", "Seconds": f"{{% $min([{_SECONDS}]) %}}", "QueryLanguage": "JSONata"},
        Poll={**POLL, "Output": _JUDGED, "Assign": {"polls": "{% $polls + 1 %}"}, "QueryLanguage": "JSONata"},
        Choose={
            "Type": "Choice",
            "Choices": [
                {
                    "And": [
                        {"Variable": "$.Status", "StringEquals": "stopped"},
                        {"Variable": "$.Fine", "BooleanEquals": True},
                    ],
                    "Next": "Finished",
                },
                {
                    "Or": [
                        {"Variable": "$.Status", "StringEquals": status}
                        for status in ("ready", "starting", "running", "stopping")
                    ],
                    "Next": "Wait",
                },
            ],
            "Default": "Failed",
        },
        Finished=DONE,
        Failed={"Type": "Fail", "Error": "NotMigrated", "CausePath": "$.Why"},
    ),
}

TASK_5 = [
    dict(name="doubles, with variables", machine=backoff()),
    dict(name="JSONPath: one second more each time, with a TimeoutSeconds", machine=PATH_BACKOFF),
    dict(name="reckoned from the number of polls", machine=FROM_POLLS),
    {**BLANK, "machine": backoff(Wait={"Type": "Wait", "Seconds": ...})},
    dict(name="two languages, two seconds more each time", machine=TWO_LANGUAGES),
    dict(name="the loop as it was", machine=loop(), says="not yet", words="The waits grow"),
    dict(
        name="half as long again, rounded down",
        machine=backoff(then="$min([$floor($seconds * 1.5), $states.context.Execution.Input.MaxPollSeconds])"),
        says="not yet",
        words="With PollSeconds 1",
    ),
    dict(
        name="back-off without an upper bound",
        machine=backoff("$seconds * 2"),
        says="not yet",
        words="No wait is longer than MaxPollSeconds",
    ),
    dict(
        name="a second more each time, without an upper bound",
        machine=backoff("$seconds + 1"),
        says="not yet",
        words="No wait is longer than MaxPollSeconds",
    ),
    dict(
        name="starts at the bound",
        machine=backoff(first="{% $states.context.Execution.Input.MaxPollSeconds %}"),
        says="not yet",
        words="The first wait is PollSeconds",
    ),
    dict(
        name="grows before the first wait",
        machine=backoff(first="{% $states.context.Execution.Input.PollSeconds * 2 %}"),
        says="not yet",
        words="The first wait is PollSeconds",
    ),
    dict(
        name="the first wait fixed in the definition",
        machine=backoff(first=1),
        says="not yet",
        words="The first wait is PollSeconds",
    ),
    dict(
        name="shrinks",
        machine=backoff("$seconds = 2 ? 1 : 2"),
        says="not yet",
        words="The waits grow",
    ),
    dict(
        name="waits once, long enough, and asks no more",
        machine=backoff(Choose=choose(("$states.input.Status in ['stopped', 'running']", "Finished"))),
        says="not yet",
        words="It goes on asking",
    ),
    dict(
        name="ends well when the migration failed",
        machine=backoff(Failed={"Type": "Pass", "End": True}),
        says="not yet",
        words="a migration that failed ended SUCCEEDED",
    ),
    dict(
        name="gives up without an error and a cause",
        machine=backoff(Choose=GIVES_UP, **{"Gave up": {"Type": "Fail"}}),
        says="not yet",
        words="It has an error and a cause",
    ),
    dict(
        name="the bound lost",
        machine=backoff(Choose=choose((FINISHED, "Finished"), (UNDER_WAY, "Wait"))),
        says="not yet",
        words="It cannot run for ever",
    ),
]

ANSWERS = {1: TASK_1, 2: TASK_2, 3: TASK_3, 4: TASK_4, 5: TASK_5}
