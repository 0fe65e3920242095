"""Stories: two things go wrong with one design, one after the other, and then nothing does.

A story is a record of an exercise's own. It has `troubles`, what went wrong in it, and `lines()`, what happened in
order, a text each.
"""

from collections.abc import Callable, Iterable, Sequence

from workshop.checking.exercises import Fault


def with_fewest_troubles(story, wrong_in: Callable, alone: Callable[[Sequence], Iterable]):
    """This story of two troubles; where something is wrong in it, that of one of them alone, if that is enough.

    wrong_in: says what is wrong in a story. alone: plays each of the troubles that it gets alone; returns the stories.
    """
    if len(story.troubles) < 2 or not wrong_in(story):
        return story
    return next((each for each in alone(story.troubles) if wrong_in(each)), story)


def broken(story, wrong_in: Callable, rule: str, slow=False) -> Fault | None:
    """A Fault where a story breaks this rule, with all that happened in it; None where it does not.

    wrong_in: says what is wrong in a story: (the rule that it breaks, what was observed), or None. slow: as in Fault.
    """
    wrong = wrong_in(story)
    return Fault(wrong[1], events=story.lines(), slow=slow, whole=True) if wrong and wrong[0] == rule else None
