"""The command `workshop examine`: words in, text out, and an exit status."""

import json
import sys

from workshop.examining import RULES, Usage, examine, telling
from workshop.examining.rules import explanation


def main(arguments) -> int:
    """Examine what the command line names.

    Gives the exit status: 0; 1 with --check where there are findings; 2 where a file cannot be read.
    """
    if arguments.export:
        print(telling.EXPORT, end="")
        return 0
    if arguments.explain is not None:
        return _explain(arguments.explain)
    if not arguments.files:
        return _refused("Say which files: `workshop examine FILE...`. `--export` prints how to fetch them.")
    if arguments.json and arguments.sarif:
        return _refused("Say --json or --sarif, not both.")
    try:
        usage = Usage(arguments.runs_per_month, arguments.job_seconds, arguments.poll_seconds, arguments.region)
    except ValueError as error:
        return _refused(str(error))
    report = examine(*arguments.files, usage=usage, silence=arguments.silence)
    if arguments.json:
        print(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
    elif arguments.sarif:
        print(json.dumps(telling.as_sarif(report), indent=2, ensure_ascii=False))
    elif report.examined:
        print(report)
    for sentence in report.unreadable:
        print(f"workshop: {sentence}", file=sys.stderr)
    if report.unreadable:
        return 2
    return 1 if arguments.check and report.findings else 0


def _explain(name):
    if name not in RULES:
        return _refused(f"There is no rule {name!r}. There are: {', '.join(sorted(RULES))}.")
    print(f"{name}: {explanation(RULES[name])}")
    return 0


def _refused(sentence):
    print(f"workshop: {sentence}", file=sys.stderr)
    return 2
