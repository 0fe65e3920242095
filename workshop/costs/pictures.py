"""Pictures of what waiting costs. Each has the same in words, and tells nothing by colour alone."""

import base64
import dataclasses
import html
from collections.abc import Mapping, Sequence

import numpy as np

from workshop.costs.designs import DESIGNS, Assumptions
from workshop.costs.runs import Run
from workshop.costs.years import Outcome, durations, year
from workshop.names import counted
from workshop.pictures import Picture

# The colours of Okabe and Ito, which colour-blind readers can tell apart, and another line or sign for each.
_STYLES = {
    "polling": ("#B87700", "-", "o"),
    "token": ("#0072B2", "--", "s"),
    "callback": ("#009E73", "-.", "^"),
    "durable polling": ("#C14F00", ":", "D"),
    "durable callback": ("#A0527F", (0, (5, 1, 1, 1, 1, 1)), "v"),
}
INTERVALS = (5, 10, 20, 30, 60, 120, 300, 600, 1800)  # seconds
EVENTS = ("polling", "token", "durable polling", "durable callback")  # where the service tells of its end in an event
_SAMPLE = 2_000  # jobs whose mean stands for all, in a picture


def trade_off(
    mean: float | None = None,
    *,
    runs: Sequence[Run] = (),
    intervals: Sequence[float] = INTERVALS,
    designs: Sequence[str] = ("polling", "durable polling", "token"),
    jobs: int = 100_000,
    assume: Assumptions | None = None,
) -> Picture:
    """The price of 1,000 jobs against the interval at which they are polled, and below it how late their ends are seen.

    mean: of the jobs, in seconds; by default that of the runs. jobs: how many there are in a year, which share the
        cost of the rounds.
    runs: one's own executions, as `runs_of` reads them, which are laid over it. How late a run noticed the end of its
        job does not stand in its history: one that polls, by no more than an interval.
    """
    if mean is None and not runs:
        raise ValueError("Say how long the jobs are in the mean, or give runs.")
    if mean is None:
        mean = max(1.0, sum(run.seconds for run in runs) / len(runs))
    figure, (above, below) = _figure(2, "Dear or late: what the polling interval decides", height=6.2)
    words = [
        f"Jobs of {in_words(mean)}, {jobs:,} a year. Price of 1,000 jobs, and the mean seconds until it is noticed:"
    ]
    seconds = durations(mean=mean, count=_SAMPLE)
    for name in designs:
        points = []
        for interval in intervals:
            here = _with(assume, interval=interval)
            told = year(seconds, here, designs=[name])[name]
            points.append((_usd_of(name, told, jobs, here) / jobs * 1000, told.delays.mean()))
        prices, delays = zip(*points, strict=True)
        for axes, values in ((above, prices), (below, delays)):
            colour, line, sign = _STYLES[name]
            axes.plot(intervals, values, color=colour, linestyle=line, marker=sign, label=DESIGNS[name].title)
        ends = [f"{usd:.2f} USD and {late:.0f} s at {in_words(each)}" for each, usd, late in
                ((intervals[0], prices[0], delays[0]), (intervals[-1], prices[-1], delays[-1]))]  # fmt: skip
        words.append(f"{DESIGNS[name].title}: {', '.join(ends)}.")
    words += _lay_over(above, below, runs)
    for axes, label in ((above, "USD for 1,000 jobs"), (below, "seconds late, in the mean")):
        axes.set(xscale="log", yscale="log", ylabel=label)
        axes.set_xticks(intervals, [in_words(each) for each in intervals])
        _plain(axes.yaxis)
        axes.minorticks_off()
    above.legend(frameon=False)
    below.set_xlabel("interval between two polls")
    return Picture(figure, "\n".join(words))


def lateness(outcomes: Mapping[str, Outcome]) -> Picture:
    """The share of jobs whose end was still not noticed after so many seconds. outcomes: as `year` returns them."""
    figure, [axes] = _figure(1, "How many ends are still not noticed", height=3.6)
    words = ["After how many seconds an end was noticed: half of them, 99 of 100, and the last one."]
    alike: dict[tuple, list[str]] = {}  # designs whose delays are the same share a line
    for name, told in outcomes.items():
        alike.setdefault(tuple(np.percentile(told.delays, [1, 25, 50, 75, 99, 100]).round(1)), []).append(name)
    for names in alike.values():
        delays = np.sort(np.maximum(outcomes[names[0]].delays, 0.1))
        colour, line, _ = _STYLES[names[0]]
        left = 1 - np.arange(len(delays)) / len(delays)
        title = ", ".join(DESIGNS[name].title for name in names)
        axes.step(delays, left, where="post", color=colour, linestyle=line, label=title)
        half, most = np.percentile(delays, [50, 99])
        words.append(f"{title}: {half:.0f} s, {most:.0f} s, {delays[-1]:.0f} s.")
    axes.set(xscale="log", yscale="log", xlabel="seconds after the end of the job", ylabel="share of jobs")
    _plain(axes.xaxis)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return Picture(figure, "\n".join(words))


def compare(
    minutes: float = 30,
    interval: float = 60,
    jobs: float = 10_000,
    lost: float = 0.001,
    *,
    designs: Sequence[str] = EVENTS,
) -> Picture:
    """What a year costs in each design, and how late the end of a job is noticed in the mean.

    minutes: the mean length of a job. interval: seconds between polls. jobs: a year. lost: share of events, 0 to 1.
    """
    assume = Assumptions(interval=interval, lost=lost)
    told = year(durations(mean=minutes * 60, count=_SAMPLE), assume, designs=designs)
    title = f"{jobs:,.0f} jobs a year of {in_words(minutes * 60)}, polled each {in_words(interval)}, {lost:.1%} lost"
    figure, (left, right) = _figure(1, title, height=2.6, columns=2)
    names = list(reversed(designs))
    usd = [_usd_of(name, told[name], jobs, assume) for name in names]
    late = [float(told[name].delays.mean()) for name in names]
    for axes, values, form, label in (
        (left, usd, "{:,.2f} USD", "USD a year"),
        (right, late, "{:,.0f} s", "seconds late, in the mean"),
    ):
        bars = axes.barh(names, values, color=[_STYLES[name][0] for name in names])
        axes.bar_label(bars, [f" {form.format(value)}" for value in values])
        axes.set(xlabel=label, xlim=(0, max(values) * 1.35))
    right.set_yticklabels([])
    rows = [
        f"{DESIGNS[name].title}: {cost:,.2f} USD, {delay:,.0f} s late"
        for name, cost, delay in reversed([*zip(names, usd, late, strict=True)])
    ]
    return Picture(figure, "\n".join([f"{title}.", *rows]))


def panel():
    """`compare` with sliders: a widget, which draws anew while a slider moves. It needs a kernel."""
    import ipywidgets as widgets

    def slider(text, value, choices, say):
        return widgets.SelectionSlider(
            options=[(say(each), each) for each in choices],
            value=value,
            description=text,
            layout={"width": "30em"},
            style={"description_width": "9em"},
        )

    lengths = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 360, 720, 1440, 2880, 10_080)
    volumes = (10, 100, 365, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 10_000_000)
    shares = (0, 0.0001, 0.001, 0.01, 0.03, 0.1, 0.3, 0.5)
    sliders = {
        "minutes": slider("Length of a job", 30, lengths, lambda each: in_words(each * 60)),
        "interval": slider("Polled each", 60, (*INTERVALS, 3600), in_words),
        "jobs": slider("Jobs a year", 10_000, volumes, "{:,}".format),
        "lost": slider("Events lost", 0.001, shares, lambda each: f"{100 * each:g} %"),
    }
    shown = widgets.HTML()

    def draw(_=None):
        picture = compare(**{name: each.value for name, each in sliders.items()})
        words = html.escape(str(picture), quote=True)
        data = base64.b64encode(picture.png()).decode()
        image = f'<img alt="{words}" src="data:image/png;base64,{data}" style="max-width: 100%">'
        shown.value = f"{image}<pre>{words}</pre>"

    for each in sliders.values():
        each.observe(draw, "value")
    draw()
    return widgets.VBox([*sliders.values(), shown])


def cheapest(
    *,
    means: Sequence[float] = tuple(np.geomspace(10, 7 * 86_400, 25)),
    volumes: Sequence[float] = tuple(np.geomspace(100, 10_000_000, 25)),
    late: float = 60,
    designs: Sequence[str] = EVENTS,
    assume: Assumptions | None = None,
) -> Picture:
    """A map: which design is the cheapest for jobs of some length (to the right) and some number a year (upwards).

    late: the most seconds by which an end may be noticed late; what polls does so twice in that time, in the mean half
    of it late. A design that cannot wait for one in a hundred of the jobs without reaching a limit is not taken.
    """
    usd, fits = _maps(means, volumes, designs, _with(assume, interval=late))
    usd = np.where(fits[:, None, :] > 0.99, usd, np.inf)
    best = np.argmin(usd, axis=0).T
    figure, [axes] = _figure(1, f"The cheapest design, where an end may be noticed {in_words(late)} late", height=4.4)
    told = [name for number, name in enumerate(designs) if (best == number).any()]
    for number, name in enumerate(designs):
        if name in told:
            rows, columns = np.nonzero(best == number)
            colour, _, sign = _STYLES[name]
            axes.scatter(np.asarray(means)[columns], np.asarray(volumes)[rows], color=colour, marker=sign, s=22,
                         label=DESIGNS[name].title)  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="length of a job", ylabel="jobs a year")
    ticks = [60, 600, 3600, 6 * 3600, 86_400, 7 * 86_400]
    axes.set_xticks(ticks, [in_words(each) for each in ticks])
    axes.minorticks_off()
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    shares = [f"{DESIGNS[name].title}: {(best == [*designs].index(name)).mean():.0%} of the map" for name in told]
    corners = [
        f"jobs of {in_words(means[column])}, {volumes[row]:,.0f} a year: {DESIGNS[designs[best[row, column]]].title}"
        for row in (0, -1)
        for column in (0, -1)
    ]
    return Picture(figure, "\n".join([f"Which design is the cheapest. {'; '.join(shares)}.", *corners]))


def break_even(
    first: str,
    second: str,
    *,
    means: Sequence[float] = tuple(np.geomspace(10, 7 * 86_400, 25)),
    assume: Assumptions | None = None,
) -> list[tuple[float, float]]:
    """From how many jobs a year the second design is cheaper than the first, for jobs of some lengths.

    Returns [(mean length in seconds, jobs a year)], with math.inf where many jobs do not make it cheaper, and 0 where
    it is so from the first job on.
    """
    found = []
    for mean in means:
        told = year(durations(mean=mean, count=_SAMPLE), assume, designs=[first, second])
        fixed, each = {}, {}
        for name in (first, second):
            fixed[name] = _fixed_usd(name, assume)
            each[name] = (told[name].usd - fixed[name]) / _SAMPLE
        saved, more = each[first] - each[second], fixed[second] - fixed[first]
        found.append((mean, max(0.0, more / saved) if saved > 0 else np.inf))
    return found


def in_words(seconds: float) -> str:
    """A length of time, shortly: "90 s", "30 min", "6 h", "7 d"."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size * (1 if seconds % size == 0 else 2):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


# -- parts of them -----------------------------------------------------------------------------------------------------


def _figure(rows, title, height, columns=1):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height), facecolor="white", layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for each in axes:
        each.grid(True, color="#DDDDDD", linewidth=0.6)
        each.set_axisbelow(True)
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _lay_over(above, below, runs):
    """Draw runs over a picture of price and delay; returns what they say in words, a line for each name."""
    words, signs, dashes = [], "*XP", (":", (0, (6, 2)), (0, (3, 1, 1, 1)))
    for number, name in enumerate(dict.fromkeys(run.name for run in runs)):
        named = [run for run in runs if run.name == name]
        usd = sum(run.usd for run in named) / len(named) * 1000
        many = counted(len(named), "run")
        style = {"color": "#1A1A1A", "label": f"yours: {name}, {many}"}
        polled = [(run.interval, run.usd * 1000) for run in named if run.interval]
        told = f"Yours, {name}: {many}, {usd:.2f} USD for 1,000"
        if polled:
            intervals, prices = zip(*polled, strict=True)
            above.scatter(intervals, prices, s=70, zorder=3, marker=signs[number % len(signs)], **style)
            half = [each / 2 for each in intervals]
            below.errorbar(intervals, half, yerr=(half, half), color="#1A1A1A", linestyle="none", capsize=4, zorder=3)
            least, most = (in_words(round(bound)) for bound in (min(intervals), max(intervals)))
            each = f"each {least}" if least == most else f"each {least} to {most}"
            words.append(f"{told}, polled {each}: from 0 s to {most} late.")
        else:
            above.axhline(usd, linewidth=1.6, linestyle=dashes[number % len(dashes)], **style)
            words.append(f"{told}, not polled: how late it was is not in a history.")
    return words


def _plain(axis):
    """Numbers along a logarithmic axis as they are written: 0.1, 1, 10."""
    axis.set_major_formatter(lambda value, _: f"{value:g}")


def _with(assume, **more):
    return dataclasses.replace(assume or Assumptions(), **more)


def _fixed_usd(name, assume):
    """What a design costs in a year without a single job: its rounds."""
    return year(np.empty(0), assume, designs=[name])[name].usd


def _usd_of(name, told, jobs, assume):
    """What so many jobs cost in a year, by a sample of them."""
    fixed = _fixed_usd(name, assume)
    return fixed + (told.usd - fixed) / len(told.delays) * jobs


def _maps(means, volumes, designs, assume):
    """USD by [design, mean, volume], and the share of jobs that a design can wait for by [design, mean]."""
    usd, fits = np.empty((len(designs), len(means), len(volumes))), np.empty((len(designs), len(means)))
    fixed = [_fixed_usd(name, assume) for name in designs]
    for column, mean in enumerate(means):
        told = year(durations(mean=mean, count=_SAMPLE), assume, designs=designs)
        for row, name in enumerate(designs):
            each = (told[name].usd - fixed[row]) / _SAMPLE
            usd[row, column] = fixed[row] + each * np.asarray(volumes)
            fits[row, column] = told[name].fits
    return usd, fits
