"""Exercise 4, the function `resume`: it hears of an end, looks, and answers. How its cases play: `resume_scenes.py`."""

import json

from workshop.checking.executions import Execution
from workshop.checking.exercises import Case, Exercise, Fault, contract, one_of, require_earlier
from workshop.checking.outcomes import shortened
from workshop.checking.resources import Table, function
from workshop.checking.waiting import side_by_side
from workshop.checks.task_tokens_and_events import resume_scenes as answering
from workshop.checks.task_tokens_and_events.migrate import Migrate
from workshop.checks.task_tokens_and_events.parts import pipeline
from workshop.checks.task_tokens_and_events.resume_scenes import Answers, Story
from workshop.checks.task_tokens_and_events.rule import Rule
from workshop.checks.task_tokens_and_events.start import Start


def _refused(*operations):
    """These calls are refused, one after the other, each with all errors that are known of it; the first is drawn."""

    errors = [[f"{operation} {code}" for code in answering.REFUSALS[operation]] for operation in operations]

    def beginning_with(nth):
        return tuple(one[(nth + more) % len(one)] for one in errors for more in range(len(one)))

    return {"refusals": one_of(*map(beginning_with, range(max(map(len, errors)))))}


class Resume(Exercise):
    title = "Look, then answer"
    hints = (
        "The event is a nudge: it may be old, or come twice. So answer does not even get it: decide from what DMS "
        "says now, which is in task.",
        "While the first value of verdict(task) is None, answer nobody and return False: then resume.py looks again. "
        "While started(task) is the item's StartedBefore, answer nobody: the run that we wait for has not begun.",
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
        "failed before": Case(
            "an event of the run before, which had failed", migration="fails", play=answering.told_of_the_run_before
        ),
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
        "closed failure": Case(
            "an execution that was stopped, of a migration that failed",
            migration="fails",
            play=answering.told_of_a_closed_token,
        ),
        "made up": Case("a token that is none", play=answering.told_of_a_token_that_is_none),
        "refused": Case(
            "an answer that was refused again and again",
            _refused("states:SendTaskSuccess"),
            play=answering.refused_and_told_again,
            needs_sandbox=True,
        ),
        "failure refused": Case(
            "an answer that was refused again and again, of a migration that failed, and then its item's deletion",
            _refused("states:SendTaskFailure", "dynamodb:DeleteItem"),
            migration="fails",
            play=answering.refused_and_told_again,
            needs_sandbox=True,
        ),
        "nothing said": Case(
            "questions that were refused",
            _refused("dms:DescribeReplicationTasks", "dynamodb:GetItem"),
            play=answering.refused_and_told_again,
            needs_sandbox=True,
        ),
        "not forgotten": Case(
            "an item that could not be deleted",
            _refused("dynamodb:DeleteItem"),
            play=answering.refused_and_told_again,
            needs_sandbox=True,
        ),
        "died": Case(
            "a function that died", {"where": "before"}, play=answering.died_and_told_again, needs_sandbox=True
        ),
        "failure and died": Case(
            "a function that died, of a migration that failed",
            {"where": "before"},
            migration="fails",
            play=answering.died_and_told_again,
            needs_sandbox=True,
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
        "pair": Case("two troubles", play=answering.goes_through(), needs_sandbox=True),
        "another pair": Case(
            "two troubles with a failure", migration="fails", play=answering.goes_through(), needs_sandbox=True
        ),
        "twice": Case("a migration whose event was sent twice (fault: duplicate)"),
        "early": Case("a migration whose event was sent before the start call returned (fault: early)"),
        "late": Case("a migration whose event was sent a second late (fault: delay)"),
        "out of order": Case("a migration whose start was announced after its end (fault: reorder)"),
        "a failure": Case("a migration that failed, with its event", migration="fails"),
    }
    # Those whose events come from DMS, through all the parts.
    _real = ("twice", "early", "late", "out of order", "a failure")
    pairs = ("pair", "another pair")

    def observe(self, lab, draw, cases):
        resume, table = function(lab, "resume"), Table(lab)
        real = {name: case for name, case in cases.items() if name in self._real}
        direct = {name: case for name, case in cases.items() if name not in self._real}
        machine = pipeline(lab) if real else ""
        seen, of_real = side_by_side(
            lambda: answering.play(lab, resume, table, direct, draw),
            lambda: answering.play_pipeline(lab, machine, table, real),
        )
        if self.judge(of_real) and not self.judge(seen):
            require_earlier(lab, draw, 1, Start(), ["new", "ran before"])
            require_earlier(lab, draw, 2, Migrate(), ["success", "failure"])
            require_earlier(lab, draw, 3, Rule(), ["ends", "others", "delivered"])
        return seen | of_real

    @contract(
        "Where the migration finished, the answer is a success, with an object as output that has the key "
        "`ReplicationTaskArn`.",
        cases="finished, finished again, pair",
    )
    def tells_success(self, seen: Answers | Story):
        if isinstance(seen, Story):
            return _broken(seen, answering.ANSWER)
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
        cases="failed, set aside, stopped, old event, another pair",
    )
    def tells_failure(self, seen: Answers | Story):
        if isinstance(seen, Story):
            return _broken(seen, answering.ANSWER)
        told = seen.told[-1]
        if seen.about == self.cases["old event"].about and len(seen.told) < 2:
            return None  # it was answered too early, of which the next sentence tells
        if fault := _not_answered(told):
            return fault
        observed = f"{told.what}, and the execution {told.execution.in_words()}."
        if told.execution.status != "FAILED":
            return Fault(observed, "The answer is a failure.")
        if told.execution.error != "MigrationFailed":
            return Fault(observed, "The error is MigrationFailed.")
        why = seen.migration.get("LastFailureMessage") or seen.migration.get("StopReason", "")
        if not told.execution.cause or why not in told.execution.cause:
            return Fault(
                observed,
                "The cause is the verdict's words: DMS's LastFailureMessage where there is one, its StopReason where "
                "there is none.",
            )

    @contract(
        "Nobody is answered while the migration is under way, nor while `started(task)` is still `StartedBefore`: then "
        "our run has not begun.",
        cases="old event, runs on, not begun, failed before",
    )
    def answers_nobody_too_early(self, seen: Answers):
        told = seen.told[0]
        if told.execution.ended:
            return f"{told.what}, and the execution {told.execution.in_words()}."
        if not told.item:
            return Fault(f"{told.what}, and the item was gone.", "Who is not answered stays in the table.")

    @contract(
        "Where DMS says that it is under way although its end was announced, the function looks again, twice, a second "
        "apart. If DMS still says so, it raises, and Lambda tries again after one minute and after two more. For an "
        "event that is older than the wait, and for a run that has not begun, it just ends.",
        cases="not told yet, not told twice, runs on, old event, not begun, failed before",
    )
    def looks_again(self, seen: Answers):
        told, about = seen.told[0], seen.about
        if about in (self.cases["not told yet"].about, self.cases["not told twice"].about):
            if fault := _not_answered(told):
                return fault
        elif about == self.cases["runs on"].about:
            if not told.error:
                return Fault(f"{told}.", "It raises, so that Lambda tries again: there will be no other event.")
            looks = seen.facts.get("looks")
            if looks and looks[-1] - looks[0] < 1.9:  # twice a second
                return Fault(
                    f"{told}. It had asked DMS {len(looks)} times within {looks[-1] - looks[0]:.1f} s.",
                    "It looks again twice, a second apart: DMS needs a moment.",
                )
            if "timed out" in told.error:
                return Fault(f"{told}.", "It looks again twice, and does not wait until its own time is over.")
        elif told.error:
            return f"{told}."

    @contract(
        "A closed token (`TaskTimedOut`) is no fault: it was answered before, or has expired.",
        cases="closed, closed failure, died later, pair, another pair",
    )
    def takes_a_closed_token(self, seen: Answers | Story):
        if isinstance(seen, Story):
            return _broken(seen, answering.CLOSED)
        if seen.told[-1].error:
            return f"{seen.told[-1]}."

    @contract(
        "Anything else that goes wrong is raised, and the item stays, so that Lambda tries again and somebody sees it.",
        cases="made up, refused, failure refused, nothing said, not forgotten, died, failure and died, pair, another "
        "pair",
    )
    def raises_what_is_a_fault(self, seen: Answers | Story):
        if isinstance(seen, Story):
            return _broken(seen, answering.RAISES)
        *spoiled, last = seen.told if len(seen.told) > 1 else (*seen.told, None)
        for told, met in zip(spoiled, seen.facts.get("met", [1] * len(spoiled)), strict=True):
            if not met:
                return None  # it makes no such call
            if not told.error:
                return f"{told}."
            if not told.item:
                return Fault(
                    f"{told}, and the item was gone.",
                    "The item stays until the answer was given: the next attempt needs it.",
                )
        return last and _not_answered(last)

    @contract(
        "Once the answer is given, or nobody wants it any more, the item goes, unless a new token has taken its place.",
        cases="finished, failed, closed, closed failure, refused, failure refused, not forgotten, died later, retried, "
        "pair, another pair",
    )
    def forgets(self, seen: Answers | Story):
        if isinstance(seen, Story):
            return _broken(seen, answering.FORGETS)
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
        expected = "FAILED" if seen.migration["Status"] == "failed" else "SUCCEEDED"
        if seen.status != expected:
            return Fault(f"{seen}.", f"It ends {expected}.", slow=not seen.ended)
        if seen.migration.get("LastFailureMessage", "") not in seen.cause:
            return Fault(f"{seen}.", "The cause contains DMS's message.")


def _broken(story: Story, rule):
    """A Fault where a story with two troubles breaks this sentence."""
    wrong = answering.wrong_in(story)
    return Fault(wrong[1], events=story.lines(), whole=True) if wrong and wrong[0] == rule else None


def _not_answered(told):
    """A Fault where an execution should have been answered, and was not."""
    if told.error:
        return f"{told}."
    if not told.execution.ended:
        return Fault(f"{told}, and the execution that waits was not answered.", "The token from the table is answered.")
    return None
