"""Pictures of what waiting costs: they say in words what they draw, and the panel draws anew."""

import math
import re

import numpy as np
import pytest
from in_jupyterlab import notebook

from workshop.costs.designs import Assumptions
from workshop.costs.pictures import break_even, cheapest, compare, in_words, lateness, panel, trade_off
from workshop.costs.years import durations, year


def test_what_a_picture_says_is_what_the_model_says():
    words = str(compare(minutes=30, interval=60, jobs=10_000, lost=0.0))
    seconds = durations(mean=1800, count=2000)
    told = year(seconds, Assumptions(lost=0.0), designs=["polling"])["polling"]
    assert f"A state machine that polls: {told.usd * 5:,.2f} USD, {told.delays.mean():.0f} s late" in words


def test_a_shorter_interval_is_dearer_and_prompter():
    lines = str(trade_off(600, intervals=(10, 600))).splitlines()
    dear, cheap = lines[1].partition(": ")[2].rstrip(".").split(", ")
    assert float(dear.split()[0]) > 10 * float(cheap.split()[0])
    assert "5 s at 10 s" in dear


def test_rounds_that_are_rarer_cost_less():
    """Also the part that does not depend on the number of jobs."""

    def price(**assumed):
        words = str(trade_off(600, intervals=(60, 600), designs=["token"], jobs=10, assume=Assumptions(**assumed)))
        return float(words.splitlines()[1].partition(": ")[2].split()[0])

    assert price(reconcile_every=300) > 5 * price(reconcile_every=3600)


def test_delays_that_are_alike_are_one_line():
    picture = lateness(year(durations(mean=1800, count=5000), Assumptions(lost=0.01)))
    [axes] = picture.figure.axes
    assert len(axes.lines) == 2
    assert "A state machine that polls, A durable function that polls: 30 s, 59 s, 60 s." in str(picture)


def test_a_map_leaves_out_what_cannot_wait_so_long():
    words = str(cheapest(means=[60, 30 * 86_400], volumes=[1000, 100_000], designs=("polling", "token")))
    assert "jobs of 30 d, 1,000 a year: A task token and an event" in words


def test_break_even_is_where_both_cost_the_same():
    [(mean, count)] = break_even("polling", "token", means=[600])
    costs = []
    for name in ("polling", "token"):
        fixed = year(np.empty(0), designs=[name])[name].usd
        each = (year(durations(mean=mean, count=2000), designs=[name])[name].usd - fixed) / 2000
        costs.append(fixed + each * count)
    assert costs[0] == pytest.approx(costs[1])


def test_what_never_pays_and_what_always_does():
    """Each job of six hours costs more polled than told, so no number of them makes polling the cheaper one."""
    [(_, never)] = break_even("durable callback", "polling", means=[6 * 3600])
    [(_, always)] = break_even("polling", "durable polling", means=[6 * 3600])
    assert math.isinf(never) and always == 0


@pytest.mark.parametrize(
    "seconds, words", [(5, "5 s"), (90, "90 s"), (60, "1 min"), (1800, "30 min"), (3600, "1 h"), (86_400 * 7, "7 d")]
)
def test_lengths_of_time(seconds, words):
    assert in_words(seconds) == words


def test_the_panel_draws_anew():
    widget = panel()
    *sliders, shown = widget.children
    before = shown.value
    assert 'alt="10,000 jobs a year of 30 min' in before
    sliders[0].index = len(sliders[0].options) - 1
    assert shown.value != before
    assert "jobs a year of 7 d" in shown.value


@pytest.mark.takes(15)
def test_in_jupyterlab_a_slider_moves_and_the_picture_with_it(tmp_path):
    """Also by many steps at once: what is shown in the end is what the slider says."""
    from playwright.sync_api import expect

    with notebook(tmp_path, "from workshop.costs.pictures import panel\n\npanel()") as page:
        page.keyboard.press("Shift+Enter")
        picture, handle = page.locator(".jp-OutputArea img"), page.locator(".noUi-handle").first
        expect(picture).to_have_attribute("alt", re.compile("^10,000 jobs a year of 30 min"))
        drawn = [picture.get_attribute("src")]
        for steps, length in ((1, "1 h"), (6, "7 d")):
            handle.focus()
            for _ in range(steps):
                page.keyboard.press("ArrowRight")
            expect(picture).to_have_attribute("alt", re.compile(f"^10,000 jobs a year of {length}"))
            drawn.append(picture.get_attribute("src"))
        assert len(set(drawn)) == 3
