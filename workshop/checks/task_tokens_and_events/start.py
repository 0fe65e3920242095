"""Exercise 1, the function `start`: it saves the token, then starts. How its cases play: `start_scenes.py`."""

from decimal import Decimal

from workshop.checking.exercises import Case, Exercise, Fault, contract, one_of
from workshop.checking.resources import Table, function
from workshop.checks.task_tokens_and_events import start_scenes as starting
from workshop.checks.task_tokens_and_events.start_scenes import Came, Starts, Story


class Start(Exercise):
    title = "Save the token, then start"
    hints = (
        "Which line must come first, if the migration could end before the next line runs? A conditional put_item "
        "is the only write that can also say no: which items may it overwrite?",
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
        "same token at once": Case(
            "a token that comes twice at the same moment",
            migration="is slow",
            play=starting.comes_twice_at_once,
            needs_sandbox=True,
        ),
        "new token": Case("a state that was retried", migration="is slow", play=starting.is_retried),
        "new token later": Case("a state that was retried after the end", play=starting.is_retried),
        "died between": Case(
            "a state that was retried twice, and whose function died meanwhile",
            play=starting.dies_as_it_is_retried,
            needs_sandbox=True,
        ),
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
        "second late": Case(
            "a second attempt that ended after the third",
            migration="is slow",
            play=starting.ends_after_the_third,
            needs_sandbox=True,
        ),
        "late and refused": Case(
            "an attempt whose start was refused after the next one had come",
            migration="is slow",
            play=starting.is_refused_after_the_next,
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
        "two find it expired": Case(
            "two executions at once, and an item that had expired",
            migration="is slow",
            play=starting.two_find_an_expired_item,
            needs_sandbox=True,
        ),
        "expired": Case("an item that had expired", play=starting.finds_an_expired_item),
        "runs already": Case(
            "a migration that ran already", migration="is slow", play=starting.is_refused_since_it_runs
        ),
        "refused": Case("a start that DMS refused", play=starting.is_refused, needs_sandbox=True),
        "answer lost": Case(
            "a start whose answer got lost", migration="is slow", play=starting.loses_its_answer, needs_sandbox=True
        ),
        "answers lost": Case(
            "a start that was never answered", play=starting.loses_its_answer_until_the_end, needs_sandbox=True
        ),
        "died and another": Case(
            "a function that died, and another execution",
            migration="is slow",
            play=starting.goes_through(starting.Trouble(starting.DIES_SAVED), starting.Trouble(starting.ANOTHER)),
            needs_sandbox=True,
        ),
        "answers lost and retried": Case(
            "a start that was never answered, and a new token",
            play=starting.goes_through(starting.Trouble(starting.LOST, tries="all")),
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
        cases="same token, same token later, same token at once",
    )
    def takes_the_same_token_once(self, seen: Starts):
        if "item" in seen.facts:
            return _of_the_same(seen)
        first, again = seen.came
        if first.error or again.error:
            return f"{first if first.error else again}."
        if again.item != seen.facts["was"]:
            return f"{again.who}, and the item was changed."
        return _started_twice(again)

    @contract(
        "A new token of the same execution takes the old one's place, in an item as `new_item` makes it, but "
        "`StartedBefore` stays as it was; and nothing is started that already runs, or has run for it.",
        cases="new token, new token later, died between, not told yet, died after the start, died and another, "
        "answers lost and retried, pair, another pair",
    )
    def takes_a_new_token(self, seen: Starts | Story):
        if isinstance(seen, Story):
            return _broken(seen, starting.TWICE)
        first, *_, again = seen.came
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

    @contract(
        "An attempt that has read the table before the next one came, and ends after it, leaves the item of the next "
        "one alone: it neither puts its dead token back nor deletes the new one.",
        cases="late, second late, late and refused",
    )
    def leaves_the_newest_token(self, seen: Starts):
        item = seen.came[-1].item
        *_, late = (came for came in seen.came if came.sent["TaskToken"] != seen.newest)
        if item.get("TaskToken") != seen.newest:
            return Fault(
                f"{late.who}, and went on when the next one had saved its token. After that the table had "
                f"{_held(item, late)}.",
                "The newest token stays: an item is overwritten or deleted only if it is still the one that was read.",
            )

    @contract(
        "If the function dies after it has saved a token, the migration is started when its execution comes again, "
        "with the same token or a new one.",
        cases="died, died and retried, died and another, answers lost and retried, pair, another pair",
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
        "While one execution waits, another one is refused: the function raises, and the item stays. Where two come at "
        "the same moment, one of them is refused.",
        cases="another, another later, two at once, two find it expired, died and another, pair, another pair",
    )
    def refuses_another(self, seen: Starts | Story):
        if isinstance(seen, Story):
            return _broken(seen, starting.OTHERS)
        if "item" in seen.facts:
            if seen.about == self.cases["two find it expired"].about and all(came.error for came in seen.came):
                return None  # the next sentence tells of that
            return _of_two(seen)
        first, other = seen.came
        if first.error:
            return f"{first}."
        if not other.error:
            return Fault(f"{other}.", "Another execution that still waits is not overwritten: the function raises.")
        if other.item != seen.facts["was"]:
            return Fault(
                f"{other}. After that the table had {_held(other.item, other)}.",
                "The item of the execution that waits stays.",
            )
        if other.before.ended and other.begun:
            return f"{other}, and the migration was started again."

    @contract(
        "An item that has expired is replaced: DynamoDB may take days to delete it.",
        cases="expired, two find it expired",
    )
    def replaces_what_expired(self, seen: Starts):
        if "item" in seen.facts:
            return _of_two(seen)
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
        return _wrong_times(came)

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
        "A start of which only the answer got lost has not failed: where the migration was started after all, the "
        "function ends without an error, and the item stays.",
        cases="answer lost, answers lost, died and another, answers lost and retried, pair, another pair",
    )
    def stands_a_lost_answer(self, seen: Starts | Story):
        if isinstance(seen, Story):
            return _broken(seen, starting.STANDS)
        came = seen.came[0]
        if not came.begun:
            return f"{came}, and the migration was not started."
        if came.error:
            return f"{came}."
        if came.item.get("TaskToken") != came.sent["TaskToken"]:
            return f"{came}. The migration was started, and the table had {_held(came.item, came)}."


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
    created, expires = (came.item.get(name) for name in ("CreatedAt", "ExpiresAt"))
    told = [repr(value) if isinstance(value, str) else value for value in (created, expires)]
    if not all(isinstance(value, int | Decimal) for value in (created, expires)):
        created = expires = 0
    timeout = came.sent["TimeoutSeconds"]
    if abs(expires - created - timeout) > 1 or not came.at - 2 <= created <= came.ended + 2:
        return Fault(
            f"{came.who}. With TimeoutSeconds {timeout}, at {int(came.at)}, the item has CreatedAt {told[0]} and "
            f"ExpiresAt {told[1]}.",
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


def _of_the_same(seen: Starts):
    errors, item, token = [came.error for came in seen.came], seen.facts["item"], seen.came[0].sent["TaskToken"]
    said = f"{seen.came[0].who}, and " + (
        f"one of the invocations raised {next(filter(None, errors)).rstrip('.')}" if any(errors) else "neither raised"
    )
    if all(errors):
        return Fault(f"{seen.came[0].who}, and both invocations failed: {errors[0]}.", "One of the two gets to start.")
    if not seen.facts["stood"].under_way:
        return Fault(f"{said}. After that the migration did not run.", "One of the two starts it.")
    if item.get("TaskToken") != token:
        held = "another token" if item else "no item of it any more"
        return Fault(
            f"{said}. After that the migration ran, and the table had {held}.",
            "The token stays in the table: the execution waits with it.",
        )


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
