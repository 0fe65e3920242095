"""The stand-in of lesson 08: what several processes share, and what each has for itself."""

import pytest

from workshop.stand_in import Environment

HANDLER = """
from pathlib import Path

from workshop.stand_in import work

served = 0


def lambda_handler(event, context):
    global served
    served += 1
    name = context.aws_request_id if event.get("own") else "report"
    Path(name).write_text(event["for"])
    work()
    return Path(name).read_text(), served
"""


@pytest.fixture
def handler(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report.py").write_text(HANDLER)
    return "report.py"


def test_requests_at_the_same_time_share_the_folder(handler):
    (one, _), (other, _) = Environment(handler, processes=2).invoke({"for": "A"}, {"for": "B"})
    assert one == other
    assert one in ("A", "B")


def test_one_after_the_other_each_reads_its_own(handler):
    environment = Environment(handler, processes=1)
    assert [environment.invoke({"for": name})[0] for name in "AB"] == [("A", 1), ("B", 2)]


def test_a_name_of_its_own_is_not_shared(handler):
    answers = Environment(handler, processes=3).invoke(*({"for": name, "own": True} for name in "ABC"))
    assert [text for text, _ in answers] == ["A", "B", "C"]


def test_each_process_has_its_globals(handler):
    environment = Environment(handler, processes=2)
    for served in (1, 2, 3):
        assert [count for _, count in environment.invoke({"for": "A"}, {"for": "B"})] == [served, served]


def test_what_goes_wrong_is_said(handler):
    environment = Environment(handler, processes=1)
    with pytest.raises(RuntimeError, match="KeyError: 'for'"):
        environment.invoke({})
    with pytest.raises(ValueError, match="2 events at the same time, but 1 processes"):
        environment.invoke({"for": "A"}, {"for": "B"})
    assert environment.invoke({"for": "A"}) == [("A", 2)]
