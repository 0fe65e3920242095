"""The lines at the end of a run that say what it took."""

import pytest
from durations import lab_of, lines


def test_the_modules_that_took_longest_come_first_and_labs_are_summed():
    tests = [
        ("tests/test_answers.py::test_answers[02-task-tokens-and-events-1]", 20.0),
        ("tests/test_answers.py::test_answers[03-callback-urls-1]", 10.0),
        ("tests/test_lab_02_load.py::test_it", 40.0),
        ("tests/test_style.py::test_it", 0.2),
        ("tests/test_style.py::test_it", 0.3),  # its set-up, its call, its end
    ]
    assert [*lines(tests, most=2)] == [
        "70 s in 3 modules, waits included; those that took longest:",
        "      40 s  tests/test_lab_02_load.py",
        "      30 s  tests/test_answers.py",
        "by lab: 02 60 s, 03 10 s",
    ]


def test_of_one_module_nothing_is_said():
    assert [*lines([("tests/test_style.py::test_it", 1.0), ("tests/test_style.py::test_that", 1.0)])] == []


@pytest.mark.parametrize(
    ("test", "lab"),
    [
        ("tests/checking/test_polling_loop.py::test_it", "01"),
        ("tests/test_lab_03_closing.py::test_it", "03"),
        ("tests/notebooks/test_solutions.py::test_a_solution_gives_what_is_stored[05-replay-gotchas]", "05"),
        ("tests/sandbox/test_durable_functions.py::test_it", "04"),
        ("tests/sandbox/test_gateway.py::test_it", None),
        ("tests/test_labs.py::test_it", None),
    ],
)
def test_a_test_is_about_the_lab_that_its_name_or_a_parameter_has(test, lab):
    assert lab_of(test) == lab
