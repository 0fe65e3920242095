"""What was found, for people, as JSON, and as SARIF; and the shell loop that fetches workflows from an account."""

import json
import re
import textwrap
import urllib.parse
from collections import Counter
from pathlib import Path
from typing import Any

from workshop.costs.designs import MOST_EVENTS, MOST_OPERATIONS
from workshop.examining import RULES, Examined, LoopReport, Report, services
from workshop.examining.designing import job_of
from workshop.examining.loops import function_of
from workshop.examining.rules import explanation

WIDTH = 110


def as_json(report: Report) -> list[dict[str, Any]]:
    """A list with an object for each state machine: file, name, loops, findings.

    What is none (a history alone, an event pattern, Python code) has one where there is something to say of it.
    """
    return [
        {
            "file": one.file,
            "name": one.name,
            "loops": [
                {
                    "states": each.loop.states,
                    "kind": each.loop.kind,
                    "wait_seconds": each.loop.wait_seconds,
                    "asks": each.loop.asks,
                }
                for each in one.loops
            ],
            "findings": [
                {"rule": finding.rule, "state": finding.state, "says": finding.says} for finding in one.findings
            ],
        }
        for one in report.examined
        if one.kind == "state machine" or one.loops or one.findings
    ]


# -- for people --------------------------------------------------------------------------------------------------------


def as_text(report: Report) -> str:
    """What was found, in plain English: the summary, what to do first, and then everything."""
    lines = [_summary(report)]
    ranked = sorted(
        ((one, each) for one in report.examined for each in one.loops if each.loop.kind != "paces"),
        key=lambda pair: (pair[1].cost.outgrows, not pair[1].advice.leave, pair[1].cost.usd),
        reverse=True,
    )
    first = [(one, each) for one, each in ranked if not each.advice.leave][:3]
    if first:
        count = {1: "This one", 2: "These two", 3: "These three"}[len(first)]
        lines += ["", f"{count} first:"]
        lines += [f"  {_usd(each.cost.usd)} a month  {one.file}, {one.name}: {_cycle(each)}" for one, each in first]
    for one in report.examined:
        lines += ["", *_of(one, report)]
    lines += [f"A silence covers nothing and can go: {each.rule}, {each.file}." for each in report.unused]
    if any(one.loops for one in report.examined):
        lines += ["", _assumptions(report)]
    return "\n".join(lines)


_PLURALS = {"history": "histories", "Python code": "files of Python code"}


def _summary(report):
    kinds = Counter(each.loop.kind for one in report.examined for each in one.loops)
    loops = [
        text.format(_many(kinds[kind], "loop"))
        for kind, text in (("polls", "{} poll{s}"), ("paces", "{} pace{s}"), ("unknown", "{} of unknown kind"))
        for text in [text.replace("{s}", "s" if kinds[kind] == 1 else "")]
        if kinds[kind]
    ]
    silenced = sum(len(one.silenced) for one in report.examined)
    held = Counter(one.kind for one in report.examined)
    parts = [", ".join(_many(held[kind], kind, _PLURALS.get(kind)) for kind in held)]
    if held["state machine"] or loops:
        parts.append(", ".join(loops) or "no loop waits")
    parts.append(_many(len(report.findings), "finding") + (f", {silenced} silenced" if silenced else ""))
    return "; ".join(parts) + "."


def _of(one: Examined, report):
    lines = [f"{one.file}, {one.name}" + (" (Express)" if one.machine and one.machine.express else "")]
    for numbers in one.measured[:5]:
        lines += _filled(_measured(numbers), "  ")
    if len(one.measured) > 5:
        lines.append(f"  and {len(one.measured) - 5} more histories")
    if len(one.measured) > 1 and one.machine and one.kind != "history":
        mean = sum(numbers.transitions for numbers in one.measured) / len(one.measured)
        usd = sum(numbers.bill.usd for numbers in one.measured) / len(one.measured) * report.usage.runs_per_month
        lines += _filled(f"On average {mean:,.0f} state transitions a run: {_usd(usd)} a month at "
                         f"{report.usage.runs_per_month:,.0f} runs.", "  ")  # fmt: skip
    for each in one.loops:
        lines += _of_loop(one, each)
    for finding in one.findings:
        where = f"{finding.state}: " if finding.state else ""
        lines += _filled(f"{finding.rule}: {where}{finding.says}", "  ", "    ")
    for finding, reason in one.silenced:
        lines += _filled(f"silenced, {finding.rule}{f' in {finding.state}' if finding.state else ''}: {reason}", "  ")
    if len(lines) == 1:
        lines.append("  Nothing to say.")
    return lines


def _of_loop(one, each: LoopReport):
    loop, cost, advice = each.loop, each.cost, each.advice
    kind = {"polls": "polls", "paces": "paces", "unknown": "loops, polling or pacing"}[loop.kind]
    lines = _filled(f"{_cycle(each)} {kind}: {loop.why}.", "  ", "    ")
    if loop.kind == "paces":
        price = len(loop.cycle) * 1000
        return [*lines, f"    Each 1,000 passes take {price:,} state transitions."]
    every = f"every {_time(cost.interval)}" if not cost.assumed else "at intervals that it computes"
    lines += _filled(f"asks: {_asks(loop)} {every}; {_offers(loop)}.", "    ", "      ")
    left = ""
    if cost.events_left is not None:
        full = _time(cost.full_after)
        left = f"; {cost.events_left:,} of {MOST_EVENTS:,} history events are left (they are used up after {full})"
        if cost.outgrows:
            left = f"; its history of {MOST_EVENTS:,} events is full after {full}, and the run fails then"
    lines += _filled(
        f"costs: {_many(cost.passes, 'pass', 'passes')} and {cost.transitions:,} state transitions a run, "
        f"{_usd(cost.usd)} a month{left}.", "    ", "      ")  # fmt: skip
    lines.append(f"    late: {_time(cost.mean_delay)} on average, {_time(cost.worst_delay)} at worst.")
    new = (
        "" if advice.usd is None or advice.leave else f" That would cost {_usd(advice.usd)} a month{_without(advice)}."
    )
    lines += _filled(f"do: {advice.says}{new}", "    ", "      ")
    if advice.change and not advice.leave:
        lines.append(f"      A start, in place of {', '.join(advice.removes)}:")
        lines += textwrap.indent(json.dumps(advice.change, indent=2, ensure_ascii=False), " " * 8).splitlines()
        if advice.pattern:
            lines.append("      The event pattern of the rule that answers the token:")
            lines.append(" " * 8 + json.dumps(advice.pattern, ensure_ascii=False))
    return lines


def _without(advice):
    return f", without {' and '.join(advice.without)}, of which no price is known here" if advice.without else ""


def _cycle(each):
    return " > ".join(each.loop.cycle)


def _asks(loop):
    told = []
    for name in loop.states:
        state = loop.scope[name]
        if state.get("Resource") in loop.asks:
            function, called = function_of(state), services.called(state["Resource"])
            told.append(f"the function {function}" if function else ":".join(called) if called else state["Resource"])
    return " and ".join(dict.fromkeys(told)) or "what is inside of a Map or Parallel, or nothing by a Task,"


def _offers(loop):
    job = job_of(loop)
    if job is None:
        return "whether that can tell is unknown here"
    offers = {".sync": "it has `.sync`", "events": "it has events, no `.sync`", "neither": "it has neither"}[job.offers]
    return f"{offers} ({job.source})"


def _measured(numbers):
    if numbers.durable:
        return (
            f"{numbers.file}: {numbers.status} after {_time(numbers.seconds)}, {numbers.operations:,} durable "
            f"operations ({_many(numbers.polls, 'poll')} among them) in {_many(numbers.invocations, 'invocation')}, "
            f"{numbers.bill.usd:.6f} USD without compute and data; {numbers.left:,} of {MOST_OPERATIONS:,} operations "
            "were left."
        )
    return (
        f"{numbers.file}: {numbers.status} after {_time(numbers.seconds)}, {numbers.transitions:,} state transitions, "
        f"{numbers.bill.usd:.6f} USD; {numbers.left:,} of {MOST_EVENTS:,} history events were left."
    )


def _assumptions(report):
    usage = report.usage
    text = (
        f"Reckoned for {usage.runs_per_month:,.0f} runs a month and jobs of {_time(usage.job_seconds)} "
        f"(--runs-per-month, --job-seconds), an interval of {_time(usage.interval)} where a loop computes its own "
        f"(--poll-seconds), and prices of {usage.region} beyond what is free. What the calls themselves cost is not in "
        "it."
    )
    missing = {name for one in report.examined for each in one.loops for name in each.cost.bill.left_out}
    if missing:
        text += f" No price is known there for {', '.join(sorted(missing))}, which is left out."
    return textwrap.fill(text, WIDTH)


def _filled(text, indent, further=None):
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=further or indent + "  ",
                         break_long_words=False, break_on_hyphens=False)  # fmt: skip


def _usd(usd):
    return f"{usd:,.2f} USD"


def _many(count, noun, plural=None):
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def _time(seconds):
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or (unit != "days" and seconds == size):
            return f"{seconds / size:,.3g} {unit}"
    return f"{seconds:,.3g} s"


# -- for code hosts ----------------------------------------------------------------------------------------------------


def as_sarif(report: Report) -> dict[str, Any]:
    """SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/): findings as results, silenced ones suppressed."""
    rules = []
    for name, function in RULES.items():
        title, _, rest = explanation(function).partition("\n")
        source = re.search(r"https://\S+", rest)
        rules.append({
            "id": name, "shortDescription": {"text": title}, "fullDescription": {"text": rest.strip()},
            "defaultConfiguration": {"level": "warning"}, **({"helpUri": source[0]} if source else {}),
        })  # fmt: skip
    results = []
    for one in report.examined:
        for finding, reason in [*((finding, None) for finding in one.findings), *one.silenced]:
            where = f"{one.name}, {finding.state}: " if finding.state else f"{one.name}: "
            result = {
                "ruleId": finding.rule,
                "level": "warning",
                "message": {"text": where + finding.says},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": _uri(one.file)},
                    "region": {"startLine": finding.line or _line_of(one.file, finding.state)},
                }}],
            }  # fmt: skip
            if reason:
                result["suppressions"] = [{"kind": "external", "justification": reason}]
            results.append(result)
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "workshop examine", "rules": rules}},
            "results": results,
            "invocations": [{
                "executionSuccessful": not report.unreadable,
                "toolExecutionNotifications": [
                    {"level": "error", "message": {"text": sentence}} for sentence in report.unreadable
                ],
            }],
        }],
    }  # fmt: skip


def _uri(file):
    path = Path(file)
    return path.as_uri() if path.is_absolute() else urllib.parse.quote(path.as_posix())


def _line_of(file, state):
    """The line in which a state is named first as a key; 1 where it cannot be told."""
    try:
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines() if state else []
    except (OSError, UnicodeDecodeError):
        return 1
    key = re.compile(rf"""^\s*["']?{re.escape(state or "")}["']?\s*:""")
    return next((number for number, line in enumerate(lines, 1) if key.search(line)), 1)


# -- from an account ---------------------------------------------------------------------------------------------------

EXPORT = """\
#!/bin/sh
# Fetches your state machines, and the histories of the last executions of each, into the folder workflows/.
# It only reads: it needs states:ListStateMachines, DescribeStateMachine, ListExecutions and GetExecutionHistory, and
# lambda:ListFunctions, ListDurableExecutionsByFunction and GetDurableExecutionHistory. It leaves out inputs and
# outputs.
set -eu
mkdir -p workflows
latest=${LATEST:-3}
aws stepfunctions list-state-machines --query 'stateMachines[].[stateMachineArn]' --output text |
while read -r machine; do
  case $machine in arn:*) ;; *) continue ;; esac
  name=${machine##*:}
  aws stepfunctions describe-state-machine --state-machine-arn "$machine" --output json \\
    > "workflows/$name.json" < /dev/null
  # An Express workflow keeps no history.
  aws stepfunctions list-executions --state-machine-arn "$machine" --max-items "$latest" \\
    --query 'executions[].[executionArn]' --output text < /dev/null 2> /dev/null |
  while read -r execution; do
    case $execution in arn:*) ;; *) continue ;; esac
    aws stepfunctions get-execution-history --execution-arn "$execution" --no-include-execution-data --output json \\
      > "workflows/$name.${execution##*:}.history.json" < /dev/null
  done
done
aws lambda list-functions --query 'Functions[?DurableConfig].[FunctionName]' --output text |
while read -r function; do
  case $function in ''|None) continue ;; esac
  aws lambda list-durable-executions-by-function --function-name "$function" --max-items "$latest" \\
    --query 'DurableExecutions[].[DurableExecutionArn]' --output text < /dev/null |
  while read -r execution; do
    case $execution in arn:*) ;; *) continue ;; esac
    aws lambda get-durable-execution-history --durable-execution-arn "$execution" --no-include-execution-data \\
      --output json > "workflows/$function.${execution##*/}.history.json" < /dev/null
  done
done
echo 'Now: workshop examine workflows'
"""
