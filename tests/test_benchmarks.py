"""What benchmarks print, on numbers that are made up: nothing is measured here."""

from benchmarks import learner
from workshop.checks import exercises_of

QUICK, SLOW, SEEN = ("01-polling-loop", 1), ("01-polling-loop", 3), ("04-durable-functions", 4)


def test_checks_that_must_see_a_timeout_have_the_cases_that_are_named():
    for (notebook, number), (cases, why) in learner.SEE_A_TIMEOUT.items():
        known = exercises_of(notebook)[number].cases
        assert why and set(cases.split(", ")) <= known.keys(), (notebook, number)


def test_it_says_which_checks_are_over_the_goal():
    forks = {"solutions/01-polling-loop": [9.0], QUICK: [1.0, 2.0, 4.9], SLOW: [2.0, 2.5, 3.0], SEEN: [8.0, 9.0, 9.5]}
    new = {what: [2 * second for second in seconds] for what, seconds in forks.items()}
    head, notebook, quick, slow, seen, *ends = learner.told(forks, new)
    assert head.endswith("2 s   5 s") and notebook.endswith("0.50")
    assert (quick.endswith("held  held"), slow.endswith("over  held"), seen.endswith("timeout")) == (True, True, True)
    assert ends == [
        "3 checks: median 2.5 s, worst 9.5 s (check of 04-durable-functions, exercise 4); "
        "over the goal: 01 exercise 3.",
        "check of 04-durable-functions, exercise 4 must see a timeout (awake, endless, bounded): "
        "heartbeats of 5 and 6 s, and TimeoutSeconds of 6.",
    ]


def test_a_worst_one_over_five_seconds_is_over_the_goal():
    assert learner.is_over([1.0, 1.0, 5.1]) and not learner.is_over([1.0, 2.0, 5.0])


def test_without_a_check_nothing_is_said_of_checks():
    assert len([*learner.told({"notebooks/00-start-here": [1.0]}, {"notebooks/00-start-here": [1.0]})]) == 2
