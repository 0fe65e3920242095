"""Whether two runs did the same, up to what is drawn at random."""

from collections import Counter

from workshop.exploring.plays import say

_NOTHING_TO_COMPARE = (
    "Two runs without a crash do not do the same, so there is nothing to compare with: tell explore what is intended."
)
_CONFLICT = object()  # under this, two values that stand for one


def difference(reference, twin, run):
    """What a run did otherwise than the one without a crash, in a sentence; None where there is nothing.

    reference, twin: two Runs without a crash. Where they differ, a value is drawn at random: there a run may have
    another one, but then the same other one wherever the reference has that.
    """
    effects = [_in_order(each) for each in (reference, twin, run)]
    outcomes = [list(each.outcome) for each in (reference, twin, run)]
    for values in (effects, outcomes):
        if not _alike(values[0], values[1], values[1], {}):
            return _NOTHING_TO_COMPARE
    names = {}
    if not _alike(*effects, names):
        return _told(effects[0], effects[2], names)
    if not _alike(*outcomes, names):
        return f"Without a crash {reference.in_words()}; here {run.in_words()}."
    return None


def _in_order(run):
    """The effects of a run, those of each branch together: which branch comes first is nobody's concern."""
    return [effect for _, effect in sorted(zip(run.branches, run.effects, strict=True), key=lambda pair: pair[0] or "")]


def _told(expected, found, names):
    counts = [Counter(effect[:1] for effect in effects) for effects in (expected, found)]
    for kind in {**counts[0], **counts[1]}:
        if counts[0][kind] != counts[1][kind]:
            one = next(effect for effect in [*found, *expected] if effect[:1] == kind)
            return _times(say(one), *(count[kind] for count in counts))
    if _CONFLICT in names:
        one, other = names[_CONFLICT]
        return f"Without a crash there is one value throughout; here it has become two: {one} and {other}."
    theirs, mine = next(pair for pair in zip(expected, found, strict=True) if pair[0] != pair[1])
    return f"Without a crash there is {say(theirs)} at this point, and here {say(mine)}."


def _times(effect, expected, found):
    words = {1: "once", 2: "twice"}
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
