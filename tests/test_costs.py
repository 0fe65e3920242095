"""What waiting costs: prices have sources, sums are right, and a simulated year agrees with what can be computed."""

import numpy as np
import pytest

from workshop.costs import prices
from workshop.costs.designs import DESIGNS, Assumptions
from workshop.costs.prices import PRICES, bill, durable_price, price
from workshop.costs.years import durations, durations_of, year

DAY = 86_400


# -- prices ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("each", PRICES.values(), ids=str)
def test_a_price_has_a_source_and_a_day(each):
    assert each.source.startswith("https://")
    assert each.read.year >= 2026
    assert each.usd >= 0 and each.unit


def test_no_price_stands_twice():
    text = (prices.Path(prices.__file__).parent.parent / "data" / "prices.toml").read_text(encoding="utf-8")
    assert text.count("[[price]]") == len(PRICES)


def test_a_bill_names_what_it_leaves_out():
    found = bill({"states.transition": 1000, "logs.gb": 7})
    assert found.usd == pytest.approx(0.025)
    assert found.left_out == ("logs.gb",)
    assert "logs.gb" in str(found)


def test_a_price_that_is_not_known_in_a_region_is_left_out():
    assert bill({"states.transition": 1000}, region="sa-east-1").usd == pytest.approx(0.0375)
    assert bill({"durable.operation": 1000}, region="sa-east-1").left_out == ("durable.operation",)


def test_what_is_free_each_month():
    assert bill({"states.transition": 5000}, months=1).usd == pytest.approx(1000 * 0.000025)
    assert bill({"states.transition": 5000}, months=2).usd == 0
    assert bill({"durable.operation": 5000}, months=12).usd == pytest.approx(0.04)  # none of these is free


def test_the_examples_of_the_lessons():
    """A day, asked once a minute: 0.108 USD as a loop; a poll of a durable function is about a seventh of that."""
    assert price(3 * 24 * 60) == pytest.approx(0.108)
    assert durable_price(1, 1, 0.5, 256) == pytest.approx(0.000008 + 0.0000002 + 0.125 * 0.0000166667)


def test_the_example_of_aws():
    """A million claims a month, reviewed for 7 days: 32 USD of operations, 26 of data written, 10.92 of data kept.

    Four operations a claim; 104 GB are written; they are kept for the 7 days and 14 more, 21 of 30. What AWS takes for
    the 421.34 USD of compute (how long, with how much memory) it does not say, so that is not reproduced.
    https://aws.amazon.com/lambda/pricing/, as relayed in
    https://raw.githubusercontent.com/api-evangelist/aws-lambda/refs/heads/main/plans/aws-lambda-plans-pricing.yml
    """
    found = bill({"durable.operation": 4e6, "durable.gb_written": 104, "durable.gb_month": 104 * 21 / 30})
    assert [round(usd, 2) for usd in found.lines.values()] == [32.00, 26.00, 10.92]


# -- designs, by hand --------------------------------------------------------------------------------------------------

TEN_MINUTES = np.full(1, 600.0)


def waited(design, seconds, **assumed):
    return DESIGNS[design].waits(np.asarray(seconds, dtype=float), Assumptions(**assumed), np.random.default_rng(1))


def test_a_loop_by_hand():
    """125 s, asked each minute: three passes, 2 + 3 * 3 transitions, noticed after 180 s."""
    found = waited("polling", [125.0], interval=60)
    assert found.used == {"states.transition": 11}
    assert found.delays == [55]


def test_a_loop_notices_an_end_at_the_moment_of_a_poll_at_once():
    assert waited("polling", [120.0], interval=60).delays == [0]
    assert waited("polling", [0.0], interval=60).delays == [60]  # it waits before it asks


def test_a_loop_that_outgrows_its_history():
    """9 events a pass and 9 more, as lab 01 counts them: 25,000 is over after 2,776 passes."""
    found = waited("polling", [2776 * 60.0, 2777 * 60.0], interval=60)
    assert found.fits.tolist() == [True, False]


def test_a_durable_loop_by_hand():
    """125 s, asked at 0, 60, 120 and 180 s: execution, step, condition and four polls, in four invocations."""
    found = waited("durable polling", [125.0], interval=60, call_seconds=0.5, memory=512)
    assert found.used["durable.operation"] == 7
    assert (found.used["lambda.request"], found.used["lambda.gb_second"]) == (4, 1.0)
    assert found.delays == [55]


def test_a_durable_loop_has_a_limit_of_its_own():
    assert waited("durable polling", [2995 * 60.0, 2997 * 60.0], interval=60).fits.tolist() == [True, False]


@pytest.mark.parametrize("design", ["token", "callback", "durable callback"])
def test_who_is_told_pays_as_much_for_a_week_as_for_a_minute(design):
    short, long = (waited(design, np.full(100, seconds), lost=0.0) for seconds in (60.0, 7 * DAY))
    grows = ("durable.gb_month", "dynamodb.read")  # what is kept, and the rounds that pass it
    assert {n: v for n, v in short.used.items() if n not in grows} == {
        n: v for n, v in long.used.items() if n not in grows
    }
    assert set(short.delays) == set(long.delays) == {1.0}
    assert short.fits.all() and long.fits.all()


def test_what_is_lost_is_found_by_the_next_round_that_may_ask():
    """A job of an hour, with rounds each five minutes: noticed within five minutes. One of a minute is too young."""
    late = waited("token", np.full(10_000, 3600.0), lost=1.0, reconcile_every=300, older_than=600).delays
    assert late.min() >= 0 and late.max() <= 300
    assert late.mean() == pytest.approx(150, rel=0.05)
    late = waited("token", np.full(10_000, 60.0), lost=1.0, reconcile_every=300, older_than=600).delays
    assert late.min() >= 540 and late.max() <= 840


def test_a_callback_is_written_twice_and_kept():
    found = waited("durable callback", np.full(1000, 6.0 * DAY), payload=10, kept=14)
    assert found.used["durable.gb_written"] == pytest.approx(1000 * 20e3 / 1e9)
    assert found.used["durable.gb_month"] == pytest.approx(1000 * 20e3 / 1e9 * 20 / 30)


# -- a year ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interval", [10, 60, 900])
@pytest.mark.parametrize("mean", [45.0, 600.0, 7200.0])
def test_an_exponential_year_agrees_with_its_closed_form(mean, interval):
    """Of a job that ends at any moment alike, the passes are geometric: 1 / (1 - exp(-interval / mean)) of them."""
    jobs = durations(mean=mean, count=200_000, shape="exponential", seed=7)
    found = year(jobs, Assumptions(interval=interval), designs=["polling"])["polling"]
    passes = 1 / (1 - np.exp(-interval / mean))
    assert found.usd == pytest.approx(len(jobs) * (2 + 3 * passes) * 0.000025, rel=0.01)
    assert found.delays.mean() == pytest.approx(passes * interval - mean, rel=0.02)


def test_a_poll_is_half_an_interval_late_where_jobs_are_long():
    jobs = durations(mean=6 * 3600, count=50_000, spread=0.5)
    assert year(jobs, Assumptions(interval=60), designs=["polling"])["polling"].delays.mean() == pytest.approx(
        30, abs=0.5
    )


def test_the_same_seed_is_the_same_year_and_another_is_not():
    first, again, other = (durations(mean=60, count=50, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()
    assert year(first, seed=3)["token"].delays.tolist() == year(first, seed=3)["token"].delays.tolist()


def test_a_lognormal_has_the_mean_that_was_asked_for():
    assert durations(mean=600, count=400_000, spread=1.0).mean() == pytest.approx(600, rel=0.02)
    over = (durations(mean=600, count=400_000, spread=1.0) > 1.6 * 600).mean()
    assert over == pytest.approx(1 / 6, abs=0.01)  # as the docstring says


def test_what_stands_idle_while_nobody_notices():
    found = year(np.full(1000, 3630.0), Assumptions(interval=60), designs=["polling"], idle_usd_per_hour=2.0)["polling"]
    assert found.idle_usd == pytest.approx(1000 * 30 / 3600 * 2.0)


def test_it_is_cheaper_to_be_told_but_for_rare_jobs_that_are_short():
    """Rounds cost the same in a year without jobs: what is told is not always the cheapest."""
    many, few = (year(np.full(count, 1800.0)) for count in (100_000, 10))
    assert many["token"].usd < many["durable polling"].usd < many["polling"].usd
    assert few["polling"].usd < few["token"].usd


def test_jobs_of_ones_own(tmp_path):
    file = tmp_path / "jobs.csv"
    file.write_text(
        "id,start,end\n1,2026-11-01T10:00:00Z,2026-11-01T10:10:30Z\n2,2026-11-01T10:00:00,2026-11-02T10:00:00\n"
    )
    assert durations_of(file).tolist() == [630, DAY]


@pytest.mark.parametrize(
    "text, words",
    [
        ("begin,end\n1,2\n", "must have the columns start and end; it has begin, end"),
        ("start,end\n2026-11-01T10:00:00,soon\n", "line 2"),
        ("start,end\n2026-11-01T10:00:00,2026-11-01T09:00:00\n", "line 2: the job ends before it starts"),
        ("start,end\n2026-11-01T10:00:00Z,2026-11-01T11:00:00\n", "line 2"),  # one with a time zone, one without
        ("start,end\n", "has no job in it"),
        ("", "must have the columns"),
    ],
)
def test_a_file_that_is_none(tmp_path, text, words):
    (tmp_path / "jobs.csv").write_text(text)
    with pytest.raises(ValueError, match=words):
        durations_of(tmp_path / "jobs.csv")


@pytest.mark.parametrize(
    "wrong, words",
    [({"interval": 0}, "interval is 0"), ({"lost": 1.5}, "a share: from 0 to 1"), ({"memory": -1}, "memory is -1")],
)
def test_assumptions_that_cannot_be(wrong, words):
    with pytest.raises(ValueError, match=words):
        Assumptions(**wrong)


@pytest.mark.parametrize("wrong", [{"mean": 0}, {"count": 0}, {"shape": "normal"}])
def test_jobs_that_cannot_be(wrong):
    with pytest.raises(ValueError):
        durations(**{"mean": 60, "count": 10, **wrong})
