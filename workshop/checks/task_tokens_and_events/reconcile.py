"""Exercise 5, the function `reconcile`: it asks after all who wait. How its cases play: `reconcile_scenes.py`."""

import math

from workshop.checking.executions import Execution
from workshop.checking.exercises import Case, Exercise, Fault, contract, require_earlier
from workshop.checking.resources import Table, function
from workshop.checks.task_tokens_and_events import reconcile_scenes as scenes
from workshop.checks.task_tokens_and_events.reconcile_scenes import Rounds
from workshop.checks.task_tokens_and_events.resume import Resume


class Reconcile(Exercise):
    title = "Never stuck"
    hints = (
        "You have written all that one item needs: answer(item), which is imported already.",
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
        "refused": Case("a migration about which DMS did not answer", needs_sandbox=True),
        "cut off": Case("a migration that had finished before a round was cut off", needs_sandbox=True),
    }

    at_once = math.inf  # one scene plays them all

    def observe(self, lab, draw, cases):
        seen = scenes.play(lab, function(lab, "reconcile"), Table(lab), self.playable(), draw)
        if self.judge(seen):
            require_earlier(lab, draw, 4, Resume(), ["finished", "failed", "set aside", "closed"])
        return seen

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
                "There were only executions whose migration was under way or had not begun, and the function "
                f"raised {seen.errors['alone']}."
            )
        if not seen.item:
            return Fault(
                f"After reconcile the item of {seen.about} was gone.", "Who is not answered stays in the table."
            )

    @contract(
        "For every other item, however many pages there are, it does what `answer` does: nobody whose migration has "
        "ended is left waiting.",
        cases="finished, failed, set aside, cut off",
    )
    def answers_all(self, seen: Rounds):
        if seen.about == self.cases["cut off"].about:
            return _after_a_cut(seen)
        then = seen.after["due"]
        raised = _raised(seen, "due")
        if not then.ended:
            return Fault(
                f"The event of {seen.about} was lost (fault: drop), and its execution was still waiting after "
                f"reconcile; the items fill more than one page of a Scan.{raised}",
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
        raised = _raised(seen, "last")
        if seen.about == self.cases["stopped"].about:
            if seen.item:
                return Fault(
                    "The execution had been stopped, and its item had expired. After reconcile the item was still "
                    f"there.{raised}",
                    "Nobody waits for that answer: the item goes, as `answer` does it.",
                )
        elif seen.about == self.cases["refused"].about:
            if then.ended or not seen.item:
                state = then.in_words() if then.ended else "had lost its item"
                return Fault(
                    f"DMS did not answer when it was asked about a migration (fault: lost), and its execution {state}.",
                    "Who is not answered stays in the table, as with resume: the next round may settle it.",
                )
        elif not then.ended:
            return Fault(
                "Some items were of tasks that were deleted, and DMS did not answer when it was asked about another "
                f"(fault: lost). After reconcile the execution of {seen.about} was still waiting.{raised}",
                "One that cannot be settled does not keep it from the others.",
            )
        else:
            return _wrong_end(seen, then)


def _after_a_cut(seen: Rounds):
    then = seen.after["next"]
    if then.ended:
        return _wrong_end(seen, then)
    killed = "was killed just before its first answer (fault: kill)" if seen.killed else "was invoked once"
    return Fault(
        f"The function {killed}, and then it was invoked again. After that the execution of {seen.about} was still "
        f"waiting.{_raised(seen, 'next')}",
        "Whom one round does not get to is answered in the next one.",
    )


def _raised(seen: Rounds, round):
    return f" The function raised {seen.errors[round]}." if seen.errors[round] else ""


def _wrong_end(seen: Rounds, then: Execution):
    expected = "SUCCEEDED" if "finished" in seen.about and "without" not in seen.about else "FAILED"
    if then.status != expected or seen.migration.get("LastFailureMessage", "") not in then.cause:
        return Fault(f"{then}, answered by reconcile.", f"It ends {expected}, as the event would have ended it.")
    if seen.item:
        return Fault(f"{then}, answered by reconcile, and its item was still there.", "The item goes, as with resume.")
    return None
