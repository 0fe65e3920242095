"""Exported histories laid over the model: what a run cost, how often it asked, and where it stands in the picture."""

import json
import re

import pytest
from test_examine_costs import durable, history

from workshop.costs.pictures import trade_off
from workshop.costs.prices import durable_price, price
from workshop.costs.runs import EXAMPLES, Run, runs_of


@pytest.fixture
def write(tmp_path):
    def write(name, data):
        (tmp_path / name).write_text(json.dumps(data))
        return tmp_path / name

    return write


def test_a_run_of_a_loop(write):
    [run] = runs_of(write("nightly.json", history(4, seconds=30)))
    assert run == Run("nightly", 120, price(2 + 4 * 3), polls=4, interval=30)


def test_a_run_of_a_durable_function(write):
    """Its events are a second apart, and a poll has three."""
    [run] = runs_of(write("nightly.json", durable(5)))
    assert (run.polls, run.interval) == (5, 3)
    assert run.usd == pytest.approx(durable_price(8, 5))


def test_one_poll_has_no_interval(write):
    [run] = runs_of(write("short.json", history(1)))
    assert run.interval is None


def test_a_folder_and_what_else_is_in_it(write, tmp_path):
    for passes in (2, 3):
        write(f"{passes}.json", history(passes))
    write("a-definition.json", {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    write("something.json", {"a": 1})
    assert sorted(run.polls for run in runs_of(tmp_path)) == [2, 3]


def test_what_still_runs_is_left_out_and_nothing_at_all_is_said(write, tmp_path):
    events = history(2)["events"][:-3]
    write("runs.json", {"events": events})
    with pytest.raises(ValueError, match="no history of an execution that has ended in "):
        runs_of(tmp_path)
    with pytest.raises(ValueError, match="cannot be read"):
        runs_of(tmp_path / "missing.json")
    with pytest.raises(ValueError, match="Say how long the jobs are"):
        trade_off()


def test_runs_lie_on_the_line_of_the_model_where_they_are_what_it_describes():
    """The model's loop makes two transitions, and three in each pass: an own loop of that kind lies on its line."""
    run = Run("nightly", 600, price(2 + 3 * 10), polls=10, interval=60)
    picture = trade_off(600, runs=[run, run], intervals=(60, 120), designs=["polling"])
    above, below = picture.figure.axes
    [marks] = [each for each in above.collections if each.get_label() == "yours: nightly, 2 runs"]
    assert marks.get_offsets().tolist() == [[60, pytest.approx(0.8)]] * 2
    low, high = below.collections[0].get_segments()[0][:, 1]
    assert (low, high) == (0, 60)
    assert "Yours, nightly: 2 runs, 0.80 USD for 1,000, polled each 1 min: from 0 s to 1 min late." in str(picture)


def test_what_was_told_is_a_line():
    picture = trade_off(600, runs=[Run("token", 600, price(2))], intervals=(60, 120), designs=["polling"])
    [line] = [each for each in picture.figure.axes[0].lines if each.get_label() == "yours: token, 1 run"]
    assert [*line.get_ydata()] == pytest.approx([0.05, 0.05])
    assert "0.05 USD for 1,000, not polled: how late it was is not in a history." in str(picture)


def test_the_mean_is_that_of_the_runs():
    runs = [Run("a", 60, 0.001, 2, 30), Run("b", 180, 0.001, 6, 30)]
    assert str(trade_off(runs=runs)).startswith("Jobs of 2 min, ")


def test_the_examples_are_runs_of_three_designs_and_hold_no_token():
    runs = {run.name: run for run in runs_of(EXAMPLES)}
    assert {name: run.polls for name, run in runs.items()} == {"loop": 25, "token": 0, "durable": 26}
    assert runs["loop"].usd == pytest.approx(price(2 + 3 * 25)) and runs["token"].usd == pytest.approx(price(2))
    assert [round(runs[name].interval) for name in ("loop", "durable")] == [60, 60]
    for path in EXAMPLES.iterdir():
        assert not re.search(r"[A-Za-z0-9+/]{100,}", path.read_text()), path.name
