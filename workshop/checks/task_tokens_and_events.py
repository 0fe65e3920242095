"""Lab 02: wait for a migration with a task token, and let DMS's own event end the wait.

Who waits stands in the table `waiting`, an item for each: ReplicationTaskArn (its key), TaskToken, Execution (ARN),
CreatedAt and ExpiresAt (seconds since 1970), StartedBefore (the StartDate of the task's run before this one, as text;
"" where it never ran). How the cases of its functions play stands in `start_scenes.py` and `answer_scenes.py`.
"""

import dataclasses
import datetime
import json
import math

from workshop import clients, deploy, logs
from workshop.checking import migrations
from workshop.checking.counting import drawn_history, made_up
from workshop.checking.dms_events import MUST_MATCH, MUST_NOT_MATCH, TASK, stopped
from workshop.checking.executions import Execution, scheduled
from workshop.checking.exercises import Case, Exercise, Fault, contract, one_of
from workshop.checking.migrations import LONG
from workshop.checking.outcomes import NotAttempted, NotYet, listed, shortened
from workshop.checking.resources import Table, function, invoke, state_machine
from workshop.checking.waiting import side_by_side, until
from workshop.checks import answer_scenes as answering
from workshop.checks import machine_scenes as machines
from workshop.checks import start_scenes as starting
from workshop.checks.answer_scenes import Answers, Rounds
from workshop.checks.start_scenes import Came, Starts, Story
from workshop.costs.prices import price
from workshop.executions import History


class Start(Exercise):
    title = "Save the token, then start"
    hints = (
        "Which line must come first, if the migration could end before the next line runs? A conditional put_item "
        "is the only write that can also say no: what may stand in the table, if we are to take its place?",
        "Three cases may be overwritten: no item (attribute_not_exists), the item of this execution that you have just "
        "read (TaskToken is still the one that you saw), and an item that expired. In a ConditionExpression they are "
        "joined with OR; the values come from ExpressionAttributeValues.",
        "When the same execution comes again, its first attempt may have started the migration already, or may have "
        "died before it did. Keep the old StartedBefore then, and let begun(task, StartedBefore) say which it was.",
        "If start(task) raises, describe the task once more. Where a run has begun after all, only the answer got "
        "lost. Where none has, or where one was under way before, nobody waits: forget the item, and raise again.",
    )
    done = "The token is saved before the start, nothing starts twice, and nobody who waits is overwritten."
    cases = {
        "new": Case("a new migration", {"TimeoutSeconds": one_of(3600, 5400, 7200)}, play=starting.comes_and_starts),
        "ran before": Case(
            "a migration that had run", {"TimeoutSeconds": one_of(600, 1200, 86400)}, play=starting.comes_after_a_run
        ),
        "same token": Case("a token that comes twice", migration="is slow", play=starting.comes_again),
        "same token later": Case("a token that comes again after the end", play=starting.comes_again),
        "new token": Case("a state that was retried", migration="is slow", play=starting.is_retried),
        "new token later": Case("a state that was retried after the end", play=starting.is_retried),
        "not told yet": Case(
            "a state that was retried while DMS told how the task had been",
            migration="is slow",
            play=starting.is_retried_unseen,
            needs_sandbox=True,
        ),
        "late": Case(
            "an attempt that ended after the next one",
            migration="is slow",
            play=starting.ends_after_the_next,
            needs_sandbox=True,
        ),
        "died": Case(
            "a function that died, and the same token", play=starting.died_and_comes_again, needs_sandbox=True
        ),
        "died and retried": Case(
            "a function that died, and a new token", play=starting.died_and_is_retried, needs_sandbox=True
        ),
        "died after the start": Case(
            "a function that died when it had started", play=starting.died_later_and_is_retried, needs_sandbox=True
        ),
        "another": Case("another execution", migration="is slow", play=starting.another_comes),
        "another later": Case("another execution, after the end", play=starting.another_comes),
        "two at once": Case("two executions at once", play=starting.two_come_at_once, needs_sandbox=True),
        "expired": Case("an item that had expired", play=starting.finds_an_expired_item),
        "runs already": Case(
            "a migration that ran already", migration="is slow", play=starting.is_refused_since_it_runs
        ),
        "refused": Case("a start that DMS refused", play=starting.is_refused, needs_sandbox=True),
        "answer lost": Case(
            "a start whose answer got lost", {"tries": "one"}, "is slow", starting.loses_its_answer, needs_sandbox=True
        ),
        "answers lost": Case(
            "a start that was never answered",
            {"tries": "all"},
            "is slow",
            starting.loses_its_answer,
            needs_sandbox=True,
        ),
        "died and another": Case(
            "a function that died, and another execution",
            migration="is slow",
            play=starting.goes_through(starting.Trouble(starting.DIES_SAVED), starting.Trouble(starting.ANOTHER)),
            needs_sandbox=True,
        ),
        "pair": Case("two troubles", migration="is slow", play=starting.goes_through(), needs_sandbox=True),
        "another pair": Case("two other troubles", play=starting.goes_through(), needs_sandbox=True),
    }
    pairs = ("pair", "another pair")

    def observe(self, lab, draw, cases):
        return starting.play(lab, function(lab, "start"), Table(lab), cases, draw)

    @contract(
        "It puts an item into the table, as `new_item` makes it, and then starts the migration.",
        cases="new, ran before",
    )
    def saves_and_starts(self, seen: Starts):
        came = seen.came[0]
        if came.error:
            return f"{came}."
        if not came.item:
            return Fault(
                f"{came}, and no item of it was in the table.",
                "The token is saved in the table, by the replication task's ARN.",
            )
        if not came.begun:
            return Fault(f"{came}, and the migration was not started.", "It starts it.")
        if not seen.saved_in_time:
            return Fault(
                f"{came.who}. When DMS had been told to start it, the token was not in the table yet.",
                "The fastest end finds its token: the item is there before the start.",
            )
        return _wrong_item(came)

    @contract(
        "The same token again changes nothing, and starts nothing twice, even if the migration has ended by then.",
        cases="same token, same token later",
    )
    def takes_the_same_token_once(self, seen: Starts):
        first, again = seen.came
        if first.error or again.error:
            return f"{first if first.error else again}."
        if again.item != first.item:
            return f"{again.who}, and the item was changed."
        return _started_twice(again)

    @contract(
        "A new token of the same execution takes the old one's place, in an item as `new_item` makes it, but "
        "`StartedBefore` stays as it was; and nothing is started that already runs, or has run for it.",
        cases="new token, new token later, not told yet, died after the start, died and another, pair, another pair",
    )
    def takes_a_new_token(self, seen: Starts | Story):
        if isinstance(seen, Story):
            return _broken(seen, starting.TWICE)
        first, again = seen.came
        if (first.error and not seen.facts.get("killed")) or again.error:
            return f"{again if again.error else first}."
        if again.item.get("TaskToken") != again.sent["TaskToken"]:
            return f"{again.who}. After that the table had {_held(again.item, first)}."
        if again.item.get("StartedBefore") != first.before.run:
            return Fault(
                f"{again.who}, and StartedBefore changed from {first.before.run!r} to "
                f"{again.item.get('StartedBefore')!r}: the run that it waits for would be taken for the one before.",
                "StartedBefore stays what it was before the migration was started.",
            )
        return _started_twice(again) or _wrong_times(again)

    @contract("An attempt that ends after the next one does not put its dead token back.", cases="late")
    def leaves_the_newest_token(self, seen: Starts):
        late = seen.came[-1]
        if late.item.get("TaskToken") != seen.newest:
            return Fault(
                f"{late.who}, and went on when the next one had saved its token. After that the table had "
                f"{_held(late.item, late)}.",
                "The newest token stays: an item is overwritten only if it is still the one that was read.",
            )

    @contract(
        "If the function dies after it has saved a token, the migration is started when its execution comes again, "
        "with the same token or a new one.",
        cases="died, died and retried, died and another, pair, another pair",
    )
    def starts_what_was_only_saved(self, seen: Starts | Story):
        if isinstance(seen, Story):
            return _broken(seen, starting.AGAIN)
        died, again = seen.came
        if not seen.facts["killed"]:
            return Fault(f"{died}, and it had put nothing into the table.", "The token is saved in the table.")
        if died.begun:
            return f"{died.who}. The function died as soon as it had saved something, and the migration ran already."
        if again.error:
            return f"{again}."
        if not again.begun:
            return Fault(f"{again}, and the migration was not started.", "It is started: nobody else will do it.")
        if again.item.get("TaskToken") != again.sent["TaskToken"]:
            return f"{again.who}. After that the table had {_held(again.item, died)}."
        if again.item.get("StartedBefore") != died.before.run:
            return f"{again.who}, and StartedBefore is {again.item.get('StartedBefore')!r}, not {died.before.run!r}."

    @contract(
        "While one execution waits, another one is refused: the function raises, and the item stays. So it is for one "
        "of two that come at the same moment.",
        cases="another, another later, two at once, died and another, pair, another pair",
    )
    def refuses_another(self, seen: Starts | Story):
        if isinstance(seen, Story):
            return _broken(seen, starting.OTHERS)
        if "item" in seen.facts:
            return _of_two(seen)
        first, other = seen.came
        if first.error:
            return f"{first}."
        if not other.error:
            return Fault(f"{other}.", "Another execution that still waits is not overwritten: the function raises.")
        if other.item != first.item:
            return Fault(
                f"{other}. After that the table had {_held(other.item, other)}.",
                "The item of the execution that waits stays.",
            )
        if other.before.ended and other.begun:
            return f"{other}, and the migration was started again."

    @contract("An item that has expired is replaced: DynamoDB may take days to delete it.", cases="expired")
    def replaces_what_expired(self, seen: Starts):
        came = seen.came[0]
        if came.error:
            return f"{came}."
        if came.item.get("TaskToken") != came.sent["TaskToken"]:
            return f"{came.who}, and it was not replaced."
        if not came.begun:
            return Fault(f"{came.who}, and the migration was not started.", "It is started again.")
        if came.item.get("StartedBefore") != came.before.run:
            return Fault(
                f"{came.who}. The migration had run before, at {came.before.run}, and StartedBefore is "
                f"{came.item.get('StartedBefore')!r}.",
                "StartedBefore says when its latest run before this one began.",
            )

    @contract(
        "If the start fails, the function fails with that error, and the item is gone: who did not get to start does "
        "not wait.",
        cases="runs already, refused, died and another, pair, another pair",
    )
    def fails_with_the_start(self, seen: Starts | Story):
        if isinstance(seen, Story):
            return _broken(seen, starting.FAILS)
        came, next = seen.came
        if not came.error:
            return f"{came}."
        code = seen.facts.get("code", "InvalidResourceStateFault")
        if code not in came.error:
            return Fault(f"{came}.", f"It raises the error that DMS returned: {code}.")
        if came.item:
            return Fault(f"{came}, and its item stayed in the table.", "Who did not get to start does not wait.")
        if next.error:
            return Fault(f"{next}.", "An execution whose start failed stands in nobody's way.")
        if not next.begun:
            return Fault(f"{next}, and the migration was not started.", "An execution whose start failed is forgotten.")

    @contract(
        "A start of which only the answer got lost has not failed: where the migration runs, the function ends without "
        "an error, and the item stays.",
        cases="answer lost, answers lost, died and another, pair, another pair",
    )
    def stands_a_lost_answer(self, seen: Starts | Story):
        if isinstance(seen, Story):
            return _broken(seen, starting.STANDS)
        came = seen.came[0]
        if not came.after.under_way:
            return f"{came}, and the migration was not started."
        if came.error:
            return f"{came}."
        if came.item.get("TaskToken") != came.sent["TaskToken"]:
            return f"{came}. The migration runs, and the table had {_held(came.item, came)}."


def _broken(story: Story, rule):
    """A Fault where a story with two troubles breaks this sentence."""
    wrong = starting.wrong_in(story)
    return Fault(wrong[1], events=story.lines(), whole=True) if wrong and wrong[0] == rule else None


def _wrong_item(came: Came):
    missing = [name for name in ("Execution", "CreatedAt", "ExpiresAt", "StartedBefore") if name not in came.item]
    if missing:
        return Fault(f"The item has no {', '.join(missing)}.", "The item is as new_item makes it.")
    for name in ("TaskToken", "Execution"):
        if came.item.get(name) != came.sent[name]:
            return Fault(
                f"The {name} in the item is not the one that the function got.",
                f"The item has the {name} of the event, unchanged.",
            )
    if fault := _wrong_times(came):
        return fault
    if came.item["StartedBefore"] != came.before.run:
        return Fault(
            f"{came.who}. Its latest run had begun at {came.before.run or 'no time yet'}, and StartedBefore is "
            f"{came.item['StartedBefore']!r}.",
            "StartedBefore says when its latest run before this one began.",
        )


def _wrong_times(came: Came):
    try:
        created, expires = int(came.item["CreatedAt"]), int(came.item["ExpiresAt"])
    except (KeyError, TypeError, ValueError):
        created = expires = 0
    timeout = came.sent["TimeoutSeconds"]
    if abs(expires - created - timeout) > 1 or not came.at - 2 <= created <= came.ended + 2:
        return Fault(
            f"{came.who}. With TimeoutSeconds {timeout}, at {int(came.at)}, the item has CreatedAt "
            f"{came.item.get('CreatedAt')} and ExpiresAt {came.item.get('ExpiresAt')}.",
            "Both are seconds since 1970, as numbers. The item expires when the token does.",
        )


def _started_twice(again: Came):
    if again.before.ended and again.begun:
        return f"{again.who}, and it was started a second time."


def _held(item, first: Came):
    """Whose token an item has, as a part of a sentence."""
    if not item:
        return "no item of it any more"
    if item.get("TaskToken") == first.sent["TaskToken"]:
        return "the token of that attempt"
    return "another token"


def _of_two(seen: Starts):
    failed = [came for came in seen.came if came.error]
    item = seen.facts["item"]
    if not failed:
        return Fault(f"{seen.came[0].who}, and both invocations ended without an error.", "One of the two is refused.")
    if len(failed) == 2:
        return Fault(f"{seen.came[0].who}, and both failed: {failed[0].error}.", "One of the two gets to start.")
    (won,) = (came for came in seen.came if not came.error)
    if item.get("TaskToken") != won.sent["TaskToken"]:
        return Fault(
            f"{won.who}. One of them raised {failed[0].error.rstrip('.')}, and the table had "
            f"{'its token, not that of the other' if item else 'no item any more'}.",
            "The item of the execution that was let in stays.",
        )


class Migrate(Exercise):
    title = "A state that waits for an answer"
    after = (1,)
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
            "an answer that is a success", {"TimeoutSeconds": one_of(600, 900)}, "is slow", machines.gets_success
        ),
        "another success": Case(
            "an answer with another output", {"TimeoutSeconds": one_of(1200, 5400)}, "is slow", machines.gets_success
        ),
        "failure": Case(
            "an answer that is a failure", {"TimeoutSeconds": one_of(300, 3600)}, "is slow", machines.gets_failure
        ),
        "failure in JSON": Case(
            "a failure whose cause is JSON", {"TimeoutSeconds": 1800}, "is slow", machines.gets_failure_in_json
        ),
        "refused": Case(
            "a migration that ran already", {"TimeoutSeconds": one_of(60, 90)}, "is slow", machines.is_refused
        ),
        "late": Case(
            "nobody's answer, with TimeoutSeconds 2", {"TimeoutSeconds": 2}, "is slow", machines.gets_no_answer
        ),
        "later": Case(
            "nobody's answer, with TimeoutSeconds 4", {"TimeoutSeconds": 4}, "is slow", machines.gets_no_answer
        ),
        "Lambda fails": Case(
            "a migration where Lambda failed",
            {"TimeoutSeconds": 600},
            "is slow",
            machines.meets_a_fault_of_lambda,
            needs_sandbox=True,
        ),
        "answer lost": Case(
            "a migration where Lambda's answer got lost",
            {"TimeoutSeconds": 600},
            "is slow",
            machines.loses_the_answer_of_lambda,
            needs_sandbox=True,
        ),
    }

    def observe(self, lab, draw, cases):
        machine, table = state_machine(lab, "migrate"), Table(lab)
        needs(lab, "start", 1)
        print("Waiting for timeouts of two and four seconds ...")
        return machines.play(lab, machine, table, cases, draw)

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
                f"Step Functions does not know the token that start got: {shortened(seen.facts['token'])!r}.",
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
        if not seconds - 0.1 < seen.history.seconds < seconds + 1.5:
            return Fault(
                f"{observed}ended after {seen.history.seconds:.1f} s.",
                "It waits for TimeoutSeconds, and no longer.",
                slow=seen.history.seconds > seconds,
            )

    @contract(
        "Where Lambda itself fails (`Lambda.ServiceException`, `Lambda.AWSLambdaException`, "
        "`Lambda.SdkClientException`, `Lambda.ClientExecutionTimeoutException`, `Lambda.TooManyRequestsException`), it "
        "invokes the function again.",
        cases="Lambda fails, answer lost",
    )
    def tries_again(self, seen: Execution):
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


def _shorter_wait(seen: Execution):
    """A Fault where a state that invoked the function would have given up before its time."""
    seconds = seen.input["TimeoutSeconds"]
    for event in scheduled(seen.history, "invoke"):
        told = event["taskScheduledEventDetails"]
        for name, field in (("HeartbeatSeconds", "heartbeatInSeconds"), ("TimeoutSeconds", "timeoutInSeconds")):
            if told.get(field, seconds) < seconds:
                return Fault(
                    f"With TimeoutSeconds {seconds} in its input, the state that invoked the function waited with "
                    f"{name} {told[field]}: without an answer it would have given up after {told[field]} s.",
                    "It waits for TimeoutSeconds; nobody sends heartbeats.",
                )


class Rule(Exercise):
    title = "A rule for the end of a migration"
    hints = (
        "Look at the event that you saw, not at the API's field names: which fields differ between a start and an "
        "end? A pattern has the event's structure, with a list of allowed values at each leaf.",
        "Four things say enough: source, detail-type, detail.eventType with two values, and resources with a prefix. A "
        "failure has the category Failure, so a pattern with the category StateChange never sees one.",
        "put_targets tells the rule whom to invoke. Whether it may is for the function to say: add_permission of "
        "the Lambda client, with Action lambda:InvokeFunction, Principal events.amazonaws.com and the rule's ARN "
        "as SourceArn.",
    )
    done = "The pattern is right about all events that were tried, and a real one was delivered."
    cases = {
        "ends": Case("events that end a run"),
        "others": Case("events that do not"),
        "delivered": Case("a migration that ended"),
    }

    def observe(self, lab, draw, cases):
        rule = _rule(lab)
        function(lab, "resume")
        if not rule.get("EventPattern"):
            raise NotYet(
                "The rule has no event pattern.", "The rule has a pattern that matches the end of a replication task."
            )
        seen = {}
        for case, samples in (("ends", MUST_MATCH), ("others", MUST_NOT_MATCH)):
            tasks = draw.random(case).sample(("airports", "orders", "small", "check-4"), 2)
            seen[case] = [
                each for name in tasks for each in _matched(rule["EventPattern"], samples, f"{lab.name(name)}-1a2b3c")
            ]
        if "delivered" in cases and not any(self.judge({case: seen[case]}) for case in ("ends", "others")):
            seen["delivered"] = _delivered(lab, rule)
        return seen

    @contract(
        "It matches every event with which a replication task of this lab stops, whoever stopped it, and every one "
        "with which it fails.",
        cases="ends",
    )
    def matches_ends(self, seen):
        for what, event, matches in seen:
            if not matches:
                return Fault(
                    f"The pattern does not match {what}:", "It matches the end of every run.", events=_shown(event)
                )

    @contract(
        "It matches nothing else: not that a task started or was modified, not instances, not DMS Serverless, not what "
        "other applications send.",
        cases="others",
    )
    def matches_nothing_else(self, seen):
        for what, event, matches in seen:
            if matches:
                return Fault(
                    f"The pattern matches {what}:", "It matches nothing but the end of a run.", events=_shown(event)
                )

    @contract('Its target is the function `lab.name("resume")`, and that function lets it in.', cases="delivered")
    def delivers(self, seen):
        if seen["state"] == "DISABLED":
            return Fault("The rule is switched off.", "The rule is enabled.")
        if not seen["is a target"]:
            shown = ", ".join(seen["targets"]) or "none"
            return Fault(f"The targets of the rule are {shown}.", f"The function {seen['function']} is a target.")
        if not seen["invoked"]:
            return Fault(
                f"A migration ended, the rule matched, and {seen['function']} was not invoked.",
                "The function's policy lets this rule invoke it.",
            )


def _rule(lab):
    """What DescribeRule says of the learner's rule. Raises NotAttempted where there is none."""
    events, name = clients.of("events"), lab.name("ended")
    try:
        return events.describe_rule(Name=name)
    except events.exceptions.ResourceNotFoundException:
        raise NotAttempted(f"There is no rule named {name}.") from None


def _matched(pattern, samples, task):
    """[(what it is, event, whether the pattern matches)], with a task's name in place of the samples'."""
    own, events = deploy.arn("dms", f"task:{task}"), clients.of("events")
    texts = [(what, json.dumps(event).replace(TASK, own)) for what, event in samples]
    return [
        (what, json.loads(text), events.test_event_pattern(EventPattern=pattern, Event=text)["Result"])
        for what, text in texts
    ]


def _shown(event):
    """The parts of an event that patterns look at, a line each."""
    lines = [f"source: {event['source']}, detail-type: {event['detail-type']}", f"resources: {event['resources']}"]
    keys = ("category", "eventType", "detailMessage", "eventName", "Status")
    return lines + [f"detail.{key}: {event['detail'][key]}" for key in keys if key in event["detail"]]


def _delivered(lab, rule):
    """Whether the end of a real migration reaches the function, as a dict."""
    resume, name = function(lab, "resume"), lab.name("resume")
    targets = [target["Arn"] for target in clients.of("events").list_targets_by_rule(Rule=rule["Name"])["Targets"]]
    seen = {"state": rule["State"], "targets": targets, "function": name, "invoked": False}
    seen["is a target"] = any(target.startswith(resume) for target in targets)
    if rule["State"] != "DISABLED" and seen["is a target"]:
        with migrations.small_migrations(lab, {"announced": "finishes"}) as made:
            announced = made["announced"]
            invoke(resume, stopped(announced.arn))  # nobody waits for it: from here on its process is there, and quick
            before = logs.invocations(name)
            announced.start()
            until(lambda: migrations.ended(announced), LONG, "a migration to end")
            seen["invoked"] = until(lambda: logs.invocations(name) > before, 8, "a function to be invoked")
    return seen


class Resume(Exercise):
    title = "Look, then answer"
    after = (1, 2, 3)
    hints = (
        "The event is a nudge: it may be old, or come twice. So answer does not even get it: decide from what DMS "
        "says now, which is in task.",
        "Nobody is answered while verdict(task) is None, and then return False, so that resume.py looks again; nor "
        "while started(task) is what the item has as StartedBefore: then the run that we wait for has not begun.",
        "send_task_success takes JSON text as output: json.dumps({...}). send_task_failure takes error and cause.",
        "Catch stepfunctions.exceptions.TaskTimedOut and nothing else: the token was answered before or has "
        "expired, and that is the end of it. Then forget the item. Whatever else is raised is a fault that "
        "somebody must see.",
    )
    done = "It looks before it answers, and every event, late, early or twice, ended the right execution once."
    cases = {
        "finished": Case("a migration that finished", play=answering.told_of_its_end),
        "finished again": Case("a migration that had run before", play=answering.told_of_a_second_run),
        "failed": Case("a migration that failed", migration="fails", play=answering.told_of_its_end),
        "set aside": Case("a migration less a table", migration="sets a table aside", play=answering.told_of_its_end),
        "stopped": Case("a migration that was stopped", migration="is slow", play=answering.told_of_a_stop),
        "old event": Case("an old event", migration="is slow", play=answering.told_what_is_old),
        "not begun": Case("an event of the run before", play=answering.told_of_the_run_before),
        "not told yet": Case(
            "a migration of which DMS said `running` once after its end was announced",
            {"looks": 1},
            play=answering.told_too_early,
            needs_sandbox=True,
        ),
        "not told twice": Case(
            "a migration of which DMS said `running` twice after its end was announced",
            {"looks": 2},
            play=answering.told_too_early,
            needs_sandbox=True,
        ),
        "runs on": Case("a migration that runs on", migration="is slow", play=answering.told_while_it_runs_on),
        "closed": Case("an execution that was stopped", play=answering.told_of_a_closed_token),
        "made up": Case("a token that is none", play=answering.told_of_a_token_that_is_none),
        "refused": Case(
            "an answer that was refused",
            {"operation": "states:SendTaskSuccess", "code": "TaskDoesNotExist"},
            play=answering.refused_and_told_again,
            needs_sandbox=True,
        ),
        "nothing said": Case(
            "a question that was refused",
            {"operation": one_of("dms:DescribeReplicationTasks", "dynamodb:GetItem"), "code": "AccessDeniedException"},
            play=answering.refused_and_told_again,
            needs_sandbox=True,
        ),
        "died": Case(
            "a function that died", {"where": "before"}, play=answering.died_and_told_again, needs_sandbox=True
        ),
        "died later": Case(
            "a function that died when it had answered",
            {"where": "after"},
            play=answering.died_and_told_again,
            needs_sandbox=True,
        ),
        "retried": Case(
            "a state that was retried meanwhile", play=answering.answers_while_the_state_is_retried, needs_sandbox=True
        ),
        "twice": Case("a migration whose event was sent twice (fault: duplicate)"),
        "early": Case("a migration whose event was sent before the start call returned (fault: early)"),
        "late": Case("a migration whose event was sent a second late (fault: delay)"),
        "out of order": Case("a migration whose start was announced after its end (fault: reorder)"),
        "a failure": Case("a migration that failed, with its event", migration="fails"),
    }
    _real = (
        "twice",
        "early",
        "late",
        "out of order",
        "a failure",
    )  # cases whose events come from DMS, through all parts

    def observe(self, lab, draw, cases):
        resume, table, machine = function(lab, "resume"), Table(lab), _pipeline(lab)
        real = {name: case for name, case in cases.items() if name in self._real}
        direct = {name: case for name, case in cases.items() if name not in self._real}
        seen, of_real = side_by_side(
            lambda: answering.play(lab, resume, table, direct, draw),
            lambda: answering.play_pipeline(lab, machine, table, real),
        )
        if not all(execution.ended for execution in of_real.values()):
            fault = Rule().delivers(_delivered(lab, _rule(lab)))  # a function that hears nothing cannot answer
            of_real = {case: dataclasses.replace(each, facts={"delivers": fault}) for case, each in of_real.items()}
        return seen | of_real

    @contract(
        "Where the migration finished, the answer is a success, with an object as output that has the key "
        "`ReplicationTaskArn`.",
        cases="finished, finished again",
    )
    def tells_success(self, seen: Answers):
        if fault := _not_answered(seen.told[0]):
            return fault
        execution = seen.told[0].execution
        if execution.status != "SUCCEEDED":
            return f"{seen.told[0].what}, and the execution {execution.in_words()}."
        arn = seen.migration["ReplicationTaskArn"]
        if not isinstance(execution.output, dict) or execution.output.get("ReplicationTaskArn") != arn:
            return Fault(
                f"The output of the answer is {shortened(json.dumps(execution.output))}.",
                "The output is an object with the key ReplicationTaskArn, which the next state can use.",
            )

    @contract(
        "Where it ended in any other way, the answer is a failure, with the error `MigrationFailed` and the verdict's "
        "words as the cause.",
        cases="failed, set aside, stopped",
    )
    def tells_failure(self, seen: Answers):
        if fault := _not_answered(seen.told[0]):
            return fault
        execution = seen.told[0].execution
        observed = f"{seen.told[0].what}, and the execution {execution.in_words()}."
        if execution.status != "FAILED":
            return Fault(observed, "The answer is a failure.")
        if execution.error != "MigrationFailed":
            return Fault(observed, "The error is MigrationFailed.")
        if not execution.cause or seen.migration.get("LastFailureMessage", "") not in execution.cause:
            return Fault(observed, "The cause contains DMS's LastFailureMessage, where there is one.")

    @contract(
        "Nobody is answered while the migration is under way, nor while `started(task)` is still `StartedBefore`: then "
        "our run has not begun.",
        cases="old event, runs on, not begun",
    )
    def answers_nobody_too_early(self, seen: Answers):
        told = seen.told[0]
        if told.execution.ended:
            return f"{told.what}, and the execution {told.execution.in_words()}."
        if not told.item:
            return Fault(f"{told.what}, and the item was gone.", "Who is not answered stays in the table.")

    @contract(
        "Where DMS says that it is under way although its end was announced, the function looks again, twice, a second "
        "apart. If DMS still says so, it raises, and Lambda asks again after one and after two more minutes. For an "
        "event that is older than the wait, and for a run that has not begun, it just ends.",
        cases="not told yet, not told twice, runs on, old event, not begun",
    )
    def looks_again(self, seen: Answers):
        told, about = seen.told[0], seen.about
        if about in (self.cases["not told yet"].about, self.cases["not told twice"].about):
            if fault := _not_answered(told):
                return fault
        elif about == self.cases["runs on"].about:
            if not told.error:
                return Fault(f"{told}.", "It raises, so that Lambda tries again: there will be no other event.")
            if "timed out" in told.error:
                return Fault(f"{told}.", "It looks again twice, and does not wait until its own time is over.")
        elif told.error:
            return f"{told}."

    @contract(
        "A closed token (`TaskTimedOut`) is no fault: it was answered before, or has expired.",
        cases="closed, died later",
    )
    def takes_a_closed_token(self, seen: Answers):
        if seen.told[-1].error:
            return f"{seen.told[-1]}."

    @contract(
        "Anything else that goes wrong is raised, and the item stays, so that Lambda tries again and somebody sees it.",
        cases="made up, refused, nothing said, died",
    )
    def raises_what_is_a_fault(self, seen: Answers):
        told = seen.told[0]
        if seen.facts.get("met") == 0:
            return None  # it makes no such call
        if not told.error:
            return f"{told}."
        if not told.item:
            return Fault(
                f"{told}, and the item was gone.",
                "The item stays until the answer was given: the next attempt needs it.",
            )
        if len(seen.told) > 1 and (fault := _not_answered(seen.told[1])):
            return fault

    @contract(
        "Once the answer is given, or nobody wants it any more, the item goes, unless a new token has taken its place.",
        cases="finished, failed, closed, refused, died later, retried",
    )
    def forgets(self, seen: Answers):
        told = seen.told[-1]
        if "newest" in seen.facts and not told.execution.ended:  # it may be answered at once
            if told.item.get("TaskToken") != seen.facts["newest"]:
                return Fault(
                    f"{told.what}. After that the table had {'another token' if told.item else 'no item any more'}.",
                    "The new token stays: it waits for an answer of its own.",
                )
        elif told.item:
            return Fault(f"{told}, and the item was still there.", "The item goes.")

    @contract(
        "An execution of `migrate` ends as its migration did, even if the event comes twice, late, early or out of "
        "order.",
        cases="twice, early, late, out of order, a failure",
    )
    def ends_executions(self, seen: Execution):
        if not seen.ended and seen.facts.get("delivers"):
            return seen.facts["delivers"]
        expected = "FAILED" if seen.migration["Status"] == "failed" else "SUCCEEDED"
        if seen.status != expected:
            return Fault(f"{seen}.", f"It ends {expected}.", slow=not seen.ended)
        if seen.migration.get("LastFailureMessage", "") not in seen.cause:
            return Fault(f"{seen}.", "The cause contains DMS's message.")


def _not_answered(told):
    """A Fault where an execution should have been answered, and was not."""
    if told.error:
        return f"{told}."
    if not told.execution.ended:
        return Fault(f"{told}, and the execution that waits was not answered.", "The token from the table is answered.")
    return None


class Reconcile(Exercise):
    title = "Never stuck"
    after = (4,)
    hints = (
        "All that is needed for one item you have written: answer(item), which is imported already.",
        "A Scan returns at most 1 MB. Either ask again with ExclusiveStartKey for as long as there is a "
        'LastEvaluatedKey, or let boto3 do so: table.meta.client.get_paginator("scan").',
        "An item is old when its CreatedAt is OlderThanSeconds ago or more. Put the try around the answer to one "
        "item, so that the loop goes on.",
    )
    done = "Every event was lost, and no execution is left waiting."
    cases = {
        "finished": Case("a migration that finished"),
        "failed": Case("a migration that failed", migration="fails"),
        "set aside": Case("a migration that finished without one of its tables", migration="sets a table aside"),
        "young": Case("a migration that finished just now"),
        "young failure": Case("a migration that failed just now", migration="has no file"),
        "under way": Case("a migration that is under way", migration="is slow"),
        "not begun": Case("a migration that has only ended its run before"),
        "stopped": Case("a migration whose execution was stopped"),
        "refused": Case("a migration about which DMS refused to speak", needs_sandbox=True),
    }

    at_once = math.inf  # one scene plays them all

    def observe(self, lab, draw, cases):
        return answering.play_rounds(lab, function(lab, "reconcile"), Table(lab), self.playable(), draw)

    @contract(
        "Items that are younger than `OlderThanSeconds` are left alone.",
        cases="finished, failed, set aside, young, young failure",
    )
    def leaves_the_young(self, seen: Rounds):
        for round in ("too young", "due"):
            if seen.after[round].ended and seen.age < seen.ages[round]:
                return (
                    f"With OlderThanSeconds {seen.ages[round]}, the execution of {seen.about}, which had waited for "
                    f"{seen.age or 'a few'} seconds, {seen.after[round].in_words()}."
                )

    @contract(
        "Nobody is answered whose migration is under way, or whose run has not begun, and the function does not raise "
        "for that.",
        cases="under way, not begun",
    )
    def is_patient(self, seen: Rounds):
        if seen.after["last"].ended:
            return f"After reconcile {seen.after['last']}."
        if seen.errors["alone"]:
            return (
                "Nobody was there but executions whose migration was under way or had not begun, and the function "
                f"raised {seen.errors['alone'].rstrip('.')}."
            )
        if not seen.item:
            return Fault(
                f"After reconcile the item of {seen.about} was gone.", "Who is not answered stays in the table."
            )

    @contract(
        "For every other item, however many pages there are, it does what `answer` does: nobody whose migration has "
        "ended is left waiting.",
        cases="finished, failed, set aside",
    )
    def answers_all(self, seen: Rounds):
        then = seen.after["due"]
        raised = f" The function raised {seen.errors['due']}." if seen.errors["due"] else ""
        if not then.ended:
            return Fault(
                f"The event of {seen.about} was lost (fault: drop), and its execution was still waiting after "
                f"reconcile; the items fill two pages of a Scan.{raised}",
                "It answers for every item on every page that is as old as OlderThanSeconds, or older.",
            )
        return _wrong_end(seen, then)

    @contract(
        "One item that it cannot settle (a token that has expired, a task that somebody deleted) does not keep it from "
        "the others.",
        cases="young, young failure, stopped, refused",
    )
    def goes_on(self, seen: Rounds):
        then = seen.after["last"]
        raised = f" The function raised {seen.errors['last']}." if seen.errors["last"] else ""
        if seen.about == self.cases["stopped"].about:
            if seen.item:
                return Fault(
                    f"The execution had been stopped, and after reconcile its item was still there.{raised}",
                    "Nobody waits for that answer: the item goes, as `answer` does it.",
                )
        elif seen.about == self.cases["refused"].about:
            if then.ended or not seen.item:
                state = then.in_words() if then.ended else "had lost its item"
                return Fault(
                    f"DMS refused to speak about a migration (AccessDeniedFault), and its execution {state}.",
                    "Who is not answered stays in the table, as with resume: the next round may settle it.",
                )
        elif not then.ended:
            return Fault(
                "Some items were of tasks that were deleted, and about one DMS refused to speak. After reconcile the "
                f"execution of {seen.about} was still waiting.{raised}",
                "One that cannot be settled does not keep it from the others.",
            )
        else:
            return _wrong_end(seen, then)


def _wrong_end(seen: Rounds, then: Execution):
    expected = "SUCCEEDED" if "finished" in seen.about and "without" not in seen.about else "FAILED"
    if then.status != expected or seen.migration.get("LastFailureMessage", "") not in then.cause:
        return Fault(f"{then}, answered by reconcile.", f"It ends {expected}, as the event would have ended it.")
    if seen.item:
        return Fault(f"{then}, answered by reconcile, and its item was still there.", "The item goes, as with resume.")
    return None


@dataclasses.dataclass(frozen=True)
class Measured:
    """What the learner's function said of a history. what: it is. said: what it returned. late: seconds, truly."""

    what: str
    said: object
    transitions: int
    late: float


JOBS = {"A": False, "B": True, "C": False, "D": True}  # whether polling is right


class Decide(Exercise):
    title = "Compare, and decide"
    hints = (
        "history.transitions and price() are there already; the moment of the last event is "
        'history.events[-1]["timestamp"].',
        "For each job: can the other side tell you when it is done? And would what you save by not asking pay for "
        "a table, two functions, a rule and somebody who understands them?",
    )
    done = "Measured, and decided for four jobs."
    cases = {"known": Case("known histories"), "drawn": Case("drawn histories"), "jobs": Case("four jobs")}

    def observe(self, lab, draw, cases):
        measure, choices = lab.user("measure"), lab.user("polling_is_right")
        blank = [job for job, chosen in choices.items() if chosen is ...] if isinstance(choices, dict) else []
        if blank:
            raise NotAttempted(f"In polling_is_right there is still `...` for {', '.join(blank)}.")
        chance = draw.random("histories")
        drawn = [(f"a drawn history ({nth})", drawn_history(chance)[0]) for nth in (1, 2, 3)]

        def measured(what, events, late):
            history = History("made-up", events)
            ended = events[-1]["timestamp"] - datetime.timedelta(seconds=late)
            return Measured(what, measure(history, ended), history.transitions, late)

        return {
            "known": [measured(*each) for each in _KNOWN],
            "drawn": [measured(*each, chance.randrange(1, 400) / 4) for each in drawn],
            "jobs": choices,
        }

    @contract(
        "The function `measure(history, ended)` returns three numbers: the state transitions of an execution, what "
        "1,000 such executions cost in USD, and how many seconds after `ended`, a moment in time, the execution's last "
        "event came.",
        cases="known, drawn",
    )
    def measures(self, seen: list[Measured]):
        for each in seen:
            try:
                transitions, usd, seconds = (float(number) for number in each.said)
            except (TypeError, ValueError):
                return Fault(
                    f"measure returns {shortened(repr(each.said))}.",
                    "It returns three numbers: transitions, USD for 1,000, seconds late.",
                )
            if transitions != each.transitions:
                return Fault(
                    f"For {each.what} measure returns {transitions:g} state transitions.",
                    f"It returns the {each.transitions} of its history, retries counted.",
                )
            if not math.isclose(usd, price(each.transitions) * 1000, rel_tol=0.01):
                return Fault(
                    f"For {transitions:g} state transitions measure returns {usd:g} USD for 1,000 migrations.",
                    "1,000 state transitions cost 0.025 USD, and it returns the price of 1,000 migrations.",
                )
            if abs(seconds - each.late) > 0.05:
                when = f"{each.late:.12g} s before" if each.late >= 0 else f"{-each.late:.12g} s after"
                return Fault(
                    f"The job ended {when} the execution did, and measure returns {seconds:.12g}.",
                    "It returns the seconds from the job's end to the last event of the history; fewer than 0 where "
                    "that came first.",
                )

    @contract(
        "`polling_is_right` says for each of these jobs whether polling is (still) right, `True` or `False`.",
        cases="jobs",
    )
    def decides(self, seen):
        if not isinstance(seen, dict) or set(seen) != set(JOBS):
            return Fault(f"polling_is_right is {shortened(repr(seen))}.", f"It is a dict with the keys {listed(JOBS)}.")
        wrong = sum(bool(seen[job]) != right for job, right in JOBS.items())
        if wrong:
            return Fault(
                f"{len(JOBS) - wrong} of {len(JOBS)} jobs are decided as their descriptions suggest.",
                "Polling is right where nobody can tell you, or where it costs next to nothing.",
            )


_POLL = (("Wait", "Pause"), ("Task", "Ask", "TaskScheduled"), ("Choice", "Done?"))
_KNOWN = [  # what it is, its events, seconds late
    (
        "a loop of three passes",
        made_up(("Task", "Start", "TaskScheduled"), *_POLL * 3, ("Succeed", "Done"), step=0.5),
        1.5,
    ),
    ("a state that was answered", made_up(("Task", "Migrate", "TaskScheduled"), ("Succeed", "Done"), step=1.25), 0.25),
    ("a state that was retried twice", made_up(("Task", "Migrate", *["TaskScheduled"] * 3), step=2), 4.0),
    ("a state that heard of the end a day later", made_up(("Task", "Migrate", "TaskScheduled")), 90_000.5),
    ("a state that was answered by hand", made_up(("Task", "Migrate", "TaskScheduled"), ("Succeed", "Done")), -2.5),
]


def _pipeline(lab):
    """The ARN of the state machine, once all the parts are there that an event goes through."""
    for thing, number in (("start", 1), ("migrate", 2), ("ended", 3)):
        needs(lab, thing, number)
    return deploy.arn("states", f"stateMachine:{lab.name('migrate')}")


def needs(lab, thing, number):
    """Raise NotAttempted where a part is missing that an earlier exercise makes."""
    look = {"start": function, "migrate": state_machine, "ended": lambda lab, _: _rule(lab)}[thing]
    try:
        look(lab, thing)
    except NotAttempted:
        raise NotAttempted(
            f"It works together with {lab.name(thing)}, which is not there yet: do exercise {number} first "
            f"(after three tries lab.solution({number}) shows one)."
        ) from None


EXERCISES = {1: Start(), 2: Migrate(), 3: Rule(), 4: Resume(), 5: Reconcile(), 6: Decide()}
