"""What things are called, the tags they carry, and how a number of them is said.

Everything that a notebook makes is named `<learner>-<lab>-<thing>`, so that thirty people can share one account,
and tagged, so that `workshop clean` finds it without having to remember it.
"""

import os
import re

TAG = "workshop"
WORKSHOP = "stop-polling"
# The policy that says the most that a role of the labs may do in a real account (data/boundary.json), if it has one.
BOUNDARY = f"{WORKSHOP}-boundary"


def learner():
    """Who is at the keyboard: WORKSHOP_LEARNER, as `checked` takes it; "you" if unset.

    Raises ValueError where it is set to something that AWS would not take as part of a name.
    """
    return checked(os.environ.get("WORKSHOP_LEARNER") or "you")


def checked(chosen):
    """The name of a learner, once AWS would take it as part of a name; raises ValueError where not.

    DMS is the strictest: its names begin with a letter and have no two dashes in a row
    (https://docs.aws.amazon.com/dms/latest/APIReference/API_CreateReplicationTask.html).
    """
    if len(chosen) > 20 or not re.fullmatch("[a-z][a-z0-9]*(-[a-z0-9]+)*", chosen):
        raise ValueError(
            f"WORKSHOP_LEARNER is {chosen!r}, but it becomes part of the names of AWS resources: "
            "use lower-case letters, digits and single dashes, 20 at most, with a letter first and no dash at the end."
        )
    return chosen


def learner_of(resource_name):
    """Whose a resource is by its name, "you" of "you-01-start"; the whole name where it is named otherwise."""
    return re.sub(r"-\d\d-.*", "", resource_name)


def name(lab, thing):
    """The name of a thing of a lab: name("01-polling-loop", "start") is "you-01-start"."""
    return f"{learner()}-{lab[:2]}-{thing}"


def tags_of(resource_name):
    """The tags of a resource that is named as above, as a dict of strings."""
    lab = resource_name.removeprefix(f"{learner()}-")[:2]
    return {TAG: WORKSHOP, f"{TAG}:learner": learner(), f"{TAG}:lab": lab}


def counted(number, thing):
    """A number of things in words: counted(1, "run") is "1 run", counted(2000, "run") is "2,000 runs"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
