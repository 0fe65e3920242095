"""No check outlives the time that `make check` gives it: it ends its own waits, and says what did not end.

Each answer here never ends, and is checked whole, with the time that a learner's check has.
"""

import pytest
from answers import polling_loop, task_tokens_and_events
from test_answers import MODULES, given

from workshop.checking.outcomes import NotYet

pytestmark = [pytest.mark.longest, pytest.mark.takes(60)]  # alone: they are about the time of a check

NEVER = "    while True:\n        pass\n"
COUNTS = polling_loop.counting(NEVER.strip()) + polling_loop.PREDICT
LAB_1, LAB_2, LAB_3 = "01-polling-loop", "02-task-tokens-and-events", "03-callback-urls"
LAB_4, LAB_5, LAB_6 = "04-durable-functions", "05-replay-gotchas", "06-testing-durable-functions"


def file(name, *heads):
    """An answer that writes this file, of functions that never end."""
    return {"text": f"%%writefile {name}\n" + "\n".join(f"def {head}:\n{NEVER}" for head in heads)}


ANSWERS = {  # what: (lab, exercise, answer, words)
    "a function of the notebook": (LAB_1, 4, {"machine": polling_loop.loop(), "functions": COUNTS},
                                   "count_transitions did not end"),
    "start": (LAB_2, 1, {"files": {"start.py": f"def lambda_handler(event, context):\n{NEVER}"}}, "-02-start did not"),
    "answer": (LAB_2, 4, {"files": {"answer.py": f"def answer(item):\n{NEVER}"}}, "-02-resume did not end"),
    "a Scan that begins anew": (LAB_2, 5, {"files": {"reconcile.py": task_tokens_and_events.BEGINS_ANEW}},
                                "-02-reconcile did not end within"),
    "callbacks": (LAB_3, 1, file("callbacks.py", "open_callback(execution, token, attempt)", "token_of(callback_id)"),
                  "-03-submit did not end"),
    "signed_body": (LAB_3, 3, file("signature.py", "signed_body(event)"), "behind the callback URL did not end"),
    "polled": (LAB_4, 1, file("asked.py", "polled(context, arn, first, longest, most)"), "was still running"),
    "tell": (LAB_4, 3, file("tell.py", "tell(callback_id, success=None, failure=None)"), "-04-say did not end"),
    "a durable handler": (LAB_5, 1, file("order.py", "lambda_handler(event, context)"), "come back"),
    "a test": (LAB_6, 1, file("test_poll.py", "test_it()"), "test_it does not come back"),
}  # fmt: skip


@pytest.mark.parametrize("notebook, number, answer, words", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_never_ends_is_told_so(account, tmp_path, monkeypatch, notebook, number, answer, words):
    monkeypatch.setenv("WORKSHOP_RECORDS", str(tmp_path))
    getattr(MODULES[notebook], "prepare", lambda: None)()
    with given(notebook, number, f"endless-{number}", {"name": "endless", **answer}, tmp_path) as lab:
        status, said, _ = lab.said(number, seed=1)
    assert status == NotYet.status and words in said, said
