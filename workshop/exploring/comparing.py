"""Whether two runs did the same, up to what is drawn at random."""

from collections import Counter

from workshop.exploring.plays import say

_CONFLICT = object()  # under this, two values that stand for one


def difference(reference, twin, run):
    """What a run did otherwise than the one without a crash, in a sentence; None where there is nothing.

    reference, twin: two Runs without a crash. Where they differ, a value is drawn at random: there a run may have
    another one, but then the same other one wherever the reference has that.
    """
    names = {}
    if not _alike(reference.effects, twin.effects, twin.effects, {}):
        # Not even two runs without a crash do the same in the same order (branches side by side): only how much counts.
        mine, theirs = Counter(map(say, run.effects)), Counter(map(say, reference.effects))
        if mine != theirs and Counter(map(say, twin.effects)) == theirs:
            return _more_or_less(theirs, mine)
    elif not _alike(reference.effects, twin.effects, run.effects, names):
        return _told(reference, run, names)
    if not _alike(list(reference.outcome), list(twin.outcome), list(run.outcome), names):
        return f"Without a crash {reference.in_words()}. Here {run.in_words()}."
    return None


def _told(reference, run, names):
    kinds = [Counter(effect[:1] for effect in each.effects) for each in (reference, run)]
    for kind in {**kinds[0], **kinds[1]}:
        if kinds[0][kind] != kinds[1][kind]:
            of = next(effect for effect in [*run.effects, *reference.effects] if effect[:1] == kind)
            return _times(say(of), *(count[kind] for count in kinds))
    for theirs, mine in zip(reference.effects, run.effects, strict=True):
        if theirs[:1] != mine[:1]:
            return f"Without a crash there is {say(theirs)} at this point, and here {say(mine)}."
    if _CONFLICT in names:
        one, other = names[_CONFLICT]
        return f"What is one value throughout without a crash has become two: {one} and {other}."
    theirs, mine = next(pair for pair in zip(reference.effects, run.effects, strict=True) if pair[0] != pair[1])
    return f"Without a crash there is {say(theirs)} at this point, and here {say(mine)}."


def _more_or_less(theirs, mine):
    effect = next(each for each in {**theirs, **mine} if theirs[each] != mine[each])
    return _times(effect, theirs[effect], mine[effect])


def _times(effect, expected, found):
    words = {0: "never", 1: "once", 2: "twice"}
    return (
        f"{effect} happened {words.get(found, f'{found} times')}; "
        f"without a crash it happens {words.get(expected, f'{expected} times')}."
    )


def _alike(reference, twin, other, names):
    if isinstance(reference, list | tuple) and isinstance(other, list | tuple) and isinstance(twin, list | tuple):
        return len(reference) == len(other) == len(twin) and all(
            _alike(*each, names) for each in zip(reference, twin, other, strict=True)
        )
    if isinstance(reference, dict) and isinstance(other, dict) and isinstance(twin, dict):
        return reference.keys() == other.keys() == twin.keys() and all(
            _alike(reference[key], twin[key], other[key], names) for key in reference
        )
    if reference != twin:  # drawn at random
        known = names.setdefault(repr(reference), repr(other))
        if known != repr(other):
            names.setdefault(_CONFLICT, (known, repr(other)))
        return known == repr(other)
    return reference == other
