"""Exercise 2, the state machine `migrate`: it waits for an answer. How its cases play: `migrate_scenes.py`."""

import json

from workshop.checking.executions import Execution, scheduled
from workshop.checking.exercises import Case, Exercise, Fault, contract, one_of, require_earlier
from workshop.checking.outcomes import shortened
from workshop.checking.resources import Table, state_machine
from workshop.checks.task_tokens_and_events import migrate_scenes as machines
from workshop.checks.task_tokens_and_events.parts import needs
from workshop.checks.task_tokens_and_events.start import Start


class Migrate(Exercise):
    title = "A state that waits for an answer"
    hints = (
        "The Resource that invokes a function and then waits is arn:aws:states:::lambda:invoke.waitForTaskToken. "
        "Its Arguments are FunctionName and Payload.",
        "The token is in the context object: $states.context.Task.Token in JSONata ($$.Task.Token in JSONPath). "
        "The execution's ARN is $states.context.Execution.Id.",
        "TimeoutSeconds takes an expression too (in JSONPath it is TimeoutSecondsPath). A Retry names its errors, as a "
        "Catch does, and how often it tries (MaxAttempts).",
        "Two Catchers, the more special first: States.Timeout, then States.ALL. With "
        '"Output": "{% $states.errorOutput %}" the next state gets Error and Cause.',
    )
    done = "It waits for its answer, tells a failure from a timeout, and does not wait for ever."
    cases = {
        "success": Case(
            "a migration that is to be answered with success",
            {"TimeoutSeconds": one_of(600, 900)},
            "is slow",
            machines.waits_and(machines.success),
        ),
        "another success": Case(
            "a migration that is to be answered with another output",
            {"TimeoutSeconds": one_of(1200, 5400)},
            "is slow",
            machines.waits_and(machines.success),
        ),
        "failure": Case(
            "a migration that is to be answered with a failure",
            {"TimeoutSeconds": one_of(300, 3600), "Error": "MigrationFailed"},
            "is slow",
            machines.waits_and(machines.failure),
        ),
        "failure in JSON": Case(
            "a migration that is to be answered with a failure in JSON",
            {"TimeoutSeconds": 1800, "Error": one_of("NoSpaceLeft", "Other")},
            "is slow",
            machines.waits_and(machines.failure_in_json),
        ),
        "refused": Case(
            "a migration that ran already", {"TimeoutSeconds": one_of(60, 90)}, "is slow", machines.is_refused
        ),
        "late": Case(
            "a migration for which nobody answers, with TimeoutSeconds 2",
            {"TimeoutSeconds": 2},
            "is slow",
            machines.waits_and(machines.no_answer),
        ),
        "later": Case(
            "a migration for which nobody answers, with TimeoutSeconds 4",
            {"TimeoutSeconds": 4},
            "is slow",
            machines.waits_and(machines.no_answer),
        ),
        **{
            f"Lambda fails with {code}": Case(
                f"a migration where Lambda failed ({code})",
                {"TimeoutSeconds": 600, "failure": code},
                "is slow",
                machines.fails_once_and(machines.success),
                needs_sandbox=True,
            )
            for code in machines.LAMBDA_FAILS
        },
        "answer lost": Case(
            "a migration where Lambda's answer got lost",
            {"TimeoutSeconds": 600, "failure": machines.LOST},
            "is slow",
            machines.fails_once_and(machines.success),
            needs_sandbox=True,
        ),
        "fault and failure": Case(
            "a migration where Lambda failed, and that was then answered with a failure",
            {"TimeoutSeconds": 600, "failure": one_of(*machines.FAILURES), "Error": one_of("MigrationFailed", "Other")},
            "is slow",
            machines.fails_once_and(machines.failure),
            needs_sandbox=True,
        ),
        "fault and no answer": Case(
            "a migration where Lambda failed, and for which nobody answered then",
            {"TimeoutSeconds": one_of(2, 3), "failure": one_of(*machines.FAILURES)},
            "is slow",
            machines.fails_once_and(machines.no_answer),
            needs_sandbox=True,
        ),
    }
    pairs = ("fault and failure", "fault and no answer")

    def observe(self, lab, draw, cases):
        machine, table = state_machine(lab, "migrate"), Table(lab)
        needs(lab, "start", 1)
        if "late" in cases:
            print("Waiting for timeouts of two and four seconds ...")
        seen = machines.play(lab, machine, table, cases, draw)
        if self.judge(seen):
            require_earlier(lab, draw, 1, Start(), ["new"])
        return seen

    @contract(
        'It invokes `lab.name("start")` with the four keys of exercise 1, and waits for the answer.',
        cases="success, another success, failure, failure in JSON",
    )
    def waits_for_the_answer(self, seen: Execution):
        if not seen.facts["token"]:
            return Fault(
                f"{seen}, and no token of it came into the table.",
                "It invokes the function start with ReplicationTaskArn, TaskToken, Execution and TimeoutSeconds.",
            )
        if seen.facts["refused"] and seen.ended:  # it may have ended just after its token was refused
            return Fault(f"{seen} before anybody had answered.", "It waits for the answer to its token.")
        if seen.facts["refused"]:
            return Fault(
                f"Step Functions does not know the token that start got: {shortened(str(seen.facts['token']))!r}.",
                "start gets the token of the waiting state, from the context object.",
            )
        for name, right in seen.facts["right"].items():
            if str(seen.facts["item"].get(name)) != str(right):
                return Fault(
                    f"With TimeoutSeconds {seen.input['TimeoutSeconds']} in its input the item that start made says "
                    f"{name} {seen.facts['item'].get(name)!r}, not {right!r}.",
                    "start gets four keys: ReplicationTaskArn, TaskToken, Execution (its ARN) and TimeoutSeconds.",
                )

    @contract(
        "Answered with success, it ends `SUCCEEDED`, and its output is that of the answer.",
        cases="success, another success",
    )
    def succeeds(self, seen: Execution):
        if seen.status != "SUCCEEDED":
            return Fault(f"It was answered with success, and the execution {seen.in_words()}.", "It ends SUCCEEDED.")
        if seen.output != seen.facts["answer"]:
            return Fault(
                f"It was answered with {json.dumps(seen.facts['answer'])}, and its output is "
                f"{shortened(json.dumps(seen.output))}.",
                "Its output is the output of the answer.",
            )

    @contract(
        "Answered with failure, or when `start` raises, it ends `FAILED`, and its cause contains the failure's.",
        cases="failure, failure in JSON, refused",
    )
    def fails(self, seen: Execution):
        observed = f"When {seen.facts['when']}, the execution {seen.in_words()}."
        if not seen.ended and len(scheduled(seen.history, "invoke")) > 1:
            return Fault(f"When {seen.facts['when']}, the state was tried again.", "It ends FAILED.")
        if seen.status != "FAILED":
            return Fault(observed, "It ends FAILED.")
        if seen.error == "MigrationTimedOut":
            return Fault(observed, "MigrationTimedOut is for a wait that timed out.")
        if seen.facts["cause"] not in seen.cause:
            return Fault(observed, "Its cause contains the cause of the failure.")

    @contract(
        "When no answer comes for `TimeoutSeconds`, it ends `FAILED` with the error `MigrationTimedOut`.",
        cases="late, later, success, another success",
    )
    def times_out(self, seen: Execution):
        seconds = seen.input["TimeoutSeconds"]
        if seen.facts["answer"] is not None:  # there was no need to wait: the history says for how long it would have
            return _shorter_wait(seen)
        observed = f"With TimeoutSeconds {seconds} in its input, and no answer for longer, the execution "
        if not seen.ended:
            return Fault(f"{observed}{seen.in_words()}.", "It waits for TimeoutSeconds, and no longer.")
        if seen.status != "FAILED" or seen.error != "MigrationTimedOut":
            return Fault(f"{observed}{seen.in_words()}.", "It ends FAILED, with the error MigrationTimedOut.")
        if fault := _longer_wait(seen):
            return fault
        if not seconds - 0.1 < seen.history.seconds < seconds + 1.5:
            return Fault(
                f"{observed}ended after {seen.history.seconds:.1f} s.",
                "It waits for TimeoutSeconds, and no longer.",
                slow=seen.history.seconds > seconds,
            )

    @contract(
        "Where Lambda itself fails (`Lambda.ServiceException`, `Lambda.AWSLambdaException`, "
        "`Lambda.SdkClientException`, `Lambda.ClientExecutionTimeoutException`, `Lambda.TooManyRequestsException`), it "
        "invokes the function again, within seconds.",
        cases=", ".join([*(f"Lambda fails with {code}" for code in machines.LAMBDA_FAILS), "answer lost", *pairs]),
    )
    def tries_again(self, seen: Execution):
        if seen.about in (self.cases[name].about for name in self.pairs):
            return _after_a_fault(seen)
        if seen.status == "SUCCEEDED":
            return None
        attempts = len(scheduled(seen.history, "invoke"))
        if attempts < 2:
            return f"Lambda failed once ({seen.facts['failure']}), and the execution {seen.in_words()}."
        return Fault(
            f"Lambda failed once ({seen.facts['failure']}), the state was tried again, and its execution "
            f"{seen.in_words()}.",
            "It ends SUCCEEDED when the token of the last attempt is answered.",
            slow=not seen.ended,
        )


def _after_a_fault(seen: Execution):
    """A Fault where the attempt after one in which Lambda failed does not end as the first one would have."""
    was_tried_again = len(scheduled(seen.history, "invoke")) > 1
    failed = f"Lambda failed once ({seen.facts['failure']}){', and the state was tried again' * was_tried_again}."
    if not seen.facts["cause"]:
        if seen.status == "FAILED" and seen.error == "MigrationTimedOut":
            return _longer_wait(seen)
        return Fault(
            f"{failed} No answer came for its TimeoutSeconds, {seen.input['TimeoutSeconds']}, and the execution "
            f"{seen.in_words()}.",
            "The next attempt waits for TimeoutSeconds, too, and then it ends FAILED with the error MigrationTimedOut.",
            slow=not seen.ended,
        )
    if seen.status == "FAILED" and seen.error != "MigrationTimedOut" and seen.facts["cause"] in seen.cause:
        return None
    return Fault(
        f"{failed} Then {seen.facts['when']}, and the execution {seen.in_words()}.",
        "The next attempt's failure ends it FAILED, with the cause of that failure in its own.",
    )


def _shorter_wait(seen: Execution):
    """A Fault where a state that invoked the function, or the whole state machine, would have given up too early."""
    seconds = seen.input["TimeoutSeconds"]
    if seen.facts["TimeoutSeconds"] < seconds:
        return Fault(
            f"With TimeoutSeconds {seconds} in its input, the state machine as a whole has TimeoutSeconds "
            f"{seen.facts['TimeoutSeconds']}: without an answer it would have ended TIMED_OUT.",
            "It waits for the TimeoutSeconds of its input, and ends FAILED.",
        )
    for event in scheduled(seen.history, "invoke"):
        told = event["taskScheduledEventDetails"]
        for name, field in (("HeartbeatSeconds", "heartbeatInSeconds"), ("TimeoutSeconds", "timeoutInSeconds")):
            if told.get(field, seconds) < seconds:
                return Fault(
                    f"With TimeoutSeconds {seconds} in its input, the state that invoked the function waited with "
                    f"{name} {told[field]}: without an answer it would have given up after {told[field]} s.",
                    "It waits for TimeoutSeconds; nobody sends heartbeats.",
                )


def _longer_wait(seen: Execution):
    """A Fault where the attempt that timed out was to wait for longer: the history says so, to the second.

    A heartbeat that nobody sends bounds it as a timeout does. Where something else ended the wait it says nothing.
    """
    seconds, attempts = seen.input["TimeoutSeconds"], scheduled(seen.history, "invoke")
    if not attempts or not any(event["type"] == "TaskTimedOut" for event in seen.events):
        return None
    told = attempts[-1]["taskScheduledEventDetails"]
    limit = min((told[name] for name in ("heartbeatInSeconds", "timeoutInSeconds") if name in told), default=seconds)
    if limit > seconds:
        return Fault(
            f"With TimeoutSeconds {seconds} in its input, the state that invoked the function waited with a limit of "
            f"{limit} s.",
            "It waits for TimeoutSeconds, and no longer.",
        )
