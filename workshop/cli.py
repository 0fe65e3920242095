"""The command `workshop`: what the Makefile calls, for people without make."""

import argparse
import importlib.metadata
import json
import os
import shlex
import signal
import subprocess
import sys
import time

from workshop import account, environments, sandbox
from workshop.account import AccountError
from workshop.environments import CHECKOUT


def lab(arguments):
    """Start the sandbox and JupyterLab; end both on Ctrl-C."""
    state, lease = sandbox.hold()
    print(f"The sandbox is at {state['endpoint']}. Ctrl-C here ends JupyterLab and the sandbox.", flush=True)
    jupyterlab = [
        sys.executable, "-m", "jupyterlab",
        f"--ServerApp.root_dir={CHECKOUT}",
        "--LabApp.default_url=/lab/tree/notebooks/00-start-here.ipynb",
        "--Application.log_level=ERROR",  # of its many lines, the ones with the address remain
        "--LabApp.extension_manager=readonly",  # the other one asks the network what there is
        *arguments.jupyter,
    ]  # fmt: skip
    if os.name != "nt" and os.geteuid() == 0:
        jupyterlab.append("--ServerApp.allow_root=True")  # root is who one is in a container; it would refuse
    # So that `workshop` is known in JupyterLab's terminals.
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    # In a process group of its own, so that a Ctrl-C comes to us alone.
    group = {} if os.name == "nt" else {"process_group": 0}
    environment = {**os.environ, "PATH": path}
    if os.environ.get("WORKSHOP_TARGET", "sandbox") == "sandbox":
        # So that even a notebook whose first cell was skipped talks to no other account.
        environment.update(account.environment(state))
    server = subprocess.Popen(jupyterlab, cwd=CHECKOUT, env=environment, stdin=subprocess.DEVNULL, **group)
    try:
        return _wait(server)
    finally:
        lease.release()
        print(_end_sandbox(), flush=True)


def _wait(server):
    """Wait for JupyterLab to end; gives its exit status. On Ctrl-C or a closed terminal, make it end."""
    for name in {"SIGTERM", "SIGHUP"} & set(dir(signal)):
        signal.signal(getattr(signal, name), signal.default_int_handler)
    end = server.terminate  # it ends its kernels first
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:
            end()
            end = server.kill  # asked twice it is killed, and its kernels see that it has gone


def _end_sandbox(seconds=3):
    """Stop the sandbox as soon as nobody holds it any more; gives a sentence that says what became of it."""
    end = time.monotonic() + seconds  # kernels that have just ended may not all be noticed yet
    while (running := sandbox.status()) and running["leases"]:
        if time.monotonic() > end:
            return "JupyterLab has ended. The sandbox stays for as long as another kernel or `workshop lab` uses it."
        time.sleep(0.02)
    sandbox.stop()
    return "JupyterLab and the sandbox have ended."


def check(arguments):
    """Check a lab as it is saved."""
    from workshop import saved

    status = saved.check(_lab(arguments))
    # It made the resources of the open notebook anew, under the same names.
    print("To go on in the open notebook, run it again from its first code cell.")
    return status


def reset(arguments):
    """Put a lab back to how it came; the learner's is copied aside."""
    from workshop import saved

    return saved.reset(_lab(arguments))


def _lab(arguments):
    if arguments.lab is None:
        raise ValueError("Say which lab, by its number: `make check LAB=01`, `workshop check 01`, `workshop reset 01`.")
    return arguments.lab


def doctor(arguments):
    """Examine whether all that the workshop needs is here."""
    from workshop import doctor as examiner

    return 0 if examiner.examine() else 1


def clean(arguments):
    """Delete what the workshop made in the account."""
    from workshop import cleaning

    connected, _lease = account.connect()
    print(connected)
    return cleaning.clean()


def examine(arguments):
    """Examine your own workflows: what they wait for, what that costs, what is missing, and what to do instead."""
    from workshop.examining import command

    return command.main(arguments)


def account_up(arguments):
    """Set a real account up for the labs (an administrator, once): says what it costs, and asks."""
    from workshop.setting_up import command

    asked = ("email", "learners", "hours", "budget")
    return command.up(**{name: getattr(arguments, name) for name in asked}, sure=arguments.yes)


def account_status(arguments):
    """Say what a real account has for the labs, what it costs, and when the brake comes."""
    from workshop.setting_up import command

    return command.status()


def account_down(arguments):
    """Delete what `workshop account up` made."""
    from workshop.setting_up import command

    return command.down()


def sandbox_start(arguments):
    """Start the sandbox, or find the one that runs."""
    state = sandbox.start(idle_seconds=sandbox.IDLE_SECONDS_BY_HAND)
    print(f"The sandbox is at {state['endpoint']}, account {state['account']}. Its log: {state['log']}")


def sandbox_stop(arguments):
    """Stop the sandbox; what was made in it is gone."""
    print("The sandbox has stopped." if sandbox.stop() else "No sandbox was running.")


def sandbox_status(arguments):
    """Say whether and where the sandbox runs."""
    state = sandbox.status()
    if arguments.json:
        shown = ("endpoint", "pid", "log", "account", "region")
        print(json.dumps({key: state[key] for key in shown} if state else None))
    elif state:
        print(f"The sandbox runs at {state['endpoint']} (process {state['pid']}), account {state['account']}, "
              f"{state['region']}. Its log: {state['log']}")  # fmt: skip
    else:
        print("No sandbox is running. Start it with `workshop sandbox start`.")
    return 0 if state else 3


def sandbox_reset(arguments):
    """Empty the sandbox's account."""
    sandbox.reset()
    print("The sandbox's account is empty.")


def sandbox_env(arguments):
    """Print shell commands that point an AWS CLI or script at the sandbox: eval "$(workshop sandbox env)"."""
    state = sandbox.start(idle_seconds=sandbox.IDLE_SECONDS_BY_HAND)
    for variable, value in account.environment(state).items():
        print(f"export {variable}={shlex.quote(value)}")
    print("unset", *account.foreign_variables())


TEST_WORKERS = 4  # of pytest: more than there are cores, since tests wait for half of their time
# All that sandbox/README.md promises of functions must hold as well where none of their processes is a fork. These are
# files of tests/sandbox, by how their names go on after "test_".
BOTH_WAYS = ("function", "durable", "faults", "hostile", "http_apis", "life", "load")


def test(arguments):
    """Run the tests that a developer runs; --long and --longest: what takes too long. More words go to pytest."""
    if arguments.only:
        # A file, a folder or one test of a file; anything else is a word that their names must have. Workers take
        # seconds to start, so only a folder gets them.
        what = [arguments.only] if "/" in arguments.only else ["-k", arguments.only]
        if arguments.table:
            what = ["tests/test_answers.py", f"--table={arguments.table}", f"--lab={arguments.lab}"]
        return _pytest(what if os.path.isdir(CHECKOUT / arguments.only) else ["-n", "0", *what], arguments.pytest)
    if arguments.long:
        statuses = [_pytest(["-m", "long"], arguments.pytest)]
        print("The tests of functions once more, without forks:", flush=True)
        folder = CHECKOUT / "tests" / "sandbox"
        files = {file for word in BOTH_WAYS for file in folder.glob(f"test_{word}*.py")}
        files = sorted(map(str, files - {folder / "test_functions_forks.py"}))
        statuses.append(_pytest(files, arguments.pytest, WORKSHOP_WARM_PROCESSES="0"))
        return max(statuses)
    if arguments.longest:
        statuses = [_pytest(["-m", "longest", "-n", "1"], arguments.pytest)]  # they are about time and memory, too
        print("All answers, each given to the whole check:", flush=True)
        statuses.append(_pytest(["tests/test_answers.py", "-m", "not long", "--whole"], arguments.pytest))
        for seed in (2, 3):
            print(f"All answers with seed {seed}, which draws other values and orders:", flush=True)
            statuses.append(_pytest(["tests/test_answers.py", "-m", "not long", f"--seed={seed}"], arguments.pytest))
        print("All mutants of each lab:", flush=True)
        for solution in sorted((CHECKOUT / "solutions").glob("*.ipynb")):
            statuses.append(subprocess.call([sys.executable, "-m", "tests.mutants", solution.stem], cwd=CHECKOUT))
        return max(statuses)
    return _pytest(["-m", "not long and not longest"], arguments.pytest)


def _pytest(what, words, **variables):
    workers = [] if any(word.startswith("-n") for word in [*what, *words]) else ["-n", str(TEST_WORKERS)]
    command = [sys.executable, "-m", "pytest", *workers, *what, *words]
    # Tests start Python hundreds of times, which takes twice as long where nothing may keep what it has compiled.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.call(command, cwd=CHECKOUT, env={**environment, **variables})


def lint(arguments):
    """Check style and spelling; with --fix, mend what can be mended."""
    fix = arguments.fix
    commands = [
        ["ruff", "check", *(["--fix"] if fix else [])],
        ["ruff", "format", *([] if fix else ["--check"])],
        ["codespell_lib", *(["--write-changes"] if fix else [])],
    ]
    return max(subprocess.call([sys.executable, "-m", *command], cwd=CHECKOUT) for command in commands)


def site(arguments):
    """Make the site: lessons, labs and solutions as pages, in site/_build/html."""
    environments.set_up([environments.SITE])
    return subprocess.call([environments.SITE.python, CHECKOUT / "site" / "build.py"], cwd=CHECKOUT)


def bundle(arguments):
    """Make one archive that installs without a network, for this system and Python, in dist/."""
    from workshop import bundle as bundles

    return bundles.main(arguments.dry)


def labs(arguments):
    """Make labs/ from solutions/."""
    from workshop import authoring

    return authoring.main_labs(check=arguments.check)


def solutions(arguments):
    """Run the lessons and solutions headless and store their outputs; draw their diagrams."""
    from workshop import authoring

    return authoring.main_solutions(arguments.names) or diagrams(arguments)


def policy(arguments):
    """Make the policy of learners in real accounts, and the boundary, of what lessons and solutions do."""
    from workshop import learner_policy

    return learner_policy.main(check=arguments.check)


def diagrams(arguments):
    """Draw the diagrams of all notebooks that site/diagrams lacks."""
    return subprocess.call([sys.executable, CHECKOUT / "site" / "diagrams.py"], cwd=CHECKOUT)


def locks(arguments):
    """Resolve each environment into its lock file: what is asked for now, in the versions that it has where they do."""
    for folder, wanted, lock in (
        (CHECKOUT, ["pyproject.toml", "--group", "test"], "requirements.lock"),
        (CHECKOUT / "sandbox", ["pyproject.toml"], "requirements.lock"),
        (CHECKOUT, ["--group", "site"], "site/requirements.lock"),
        (CHECKOUT, ["--group", "designs"], "designs/requirements.lock"),
        # Binder's is the first one without the tests, made after it, with the same versions. pip resolves there, and
        # knows nothing of what pyproject.toml tells uv to leave out.
        (CHECKOUT, ["pyproject.toml", "--constraint", "requirements.lock", "--no-config"], ".binder/requirements.txt"),
    ):
        # No registry's address and no command line in the lock: names, versions and hashes only.
        command = ["uv", "pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes",
                   "--no-emit-index-url", "--no-annotate", "--no-header", "--quiet", *wanted,
                   "-o", lock, *(["--upgrade"] if arguments.upgrade else [])]  # fmt: skip
        status = subprocess.call([sys.executable, "-m", *command], cwd=folder)
        if status:
            return status


def _parser():
    parser = argparse.ArgumentParser(prog="workshop", description="Stop polling: the workshop's own commands.")
    parser.set_defaults(function=lambda arguments: parser.print_help() or 2)
    parser.add_argument("--version", action="version", version=importlib.metadata.version("workshop"))
    commands = parser.add_subparsers(title="commands", metavar="command")

    def command(group, function, name=None):
        summary = function.__doc__.splitlines()[0]
        added = group.add_parser(name or function.__name__, help=summary, description=function.__doc__)
        added.set_defaults(function=function)
        return added

    command(commands, lab).add_argument("jupyter", nargs="*", help="further options for jupyter lab, after --")
    command(commands, check).add_argument("lab", nargs="?", help="a lab's number or name: 01")
    command(commands, reset).add_argument("lab", nargs="?", help="a lab's number or name: 01")
    command(commands, doctor)
    command(commands, clean)
    examine_parser = command(commands, examine)
    examine_parser.add_argument("files", nargs="*", metavar="FILE", help="definitions, templates, histories, Python "
                                "code of functions, or folders of them")  # fmt: skip
    examine_parser.add_argument("--json", action="store_true", help="a list with an object for each state machine")
    examine_parser.add_argument("--sarif", action="store_true", help="for code hosts: SARIF 2.1.0")
    examine_parser.add_argument("--check", action="store_true", help="exit status 1 where there are findings")
    examine_parser.add_argument("--explain", metavar="RULE", help="say what a rule means and what to do")
    examine_parser.add_argument(
        "--export", action="store_true", help="print a shell script that fetches your workflows"
    )
    examine_parser.add_argument("--runs-per-month", type=float, default=1000, metavar="N", help="executions (1000)")
    examine_parser.add_argument("--job-seconds", type=float, default=3600, metavar="N", help="what one waits (3600)")
    examine_parser.add_argument(
        "--poll-seconds", type=float, default=60, metavar="N", help="interval where a loop computes its own (60)"
    )
    examine_parser.add_argument("--region", default="us-east-1", help="whose prices (us-east-1)")
    examine_parser.add_argument("--silence", metavar="FILE", help="findings that may stand (examine.toml)")
    account_parser = commands.add_parser("account", help="set a real account up for the labs, and take it down")
    account_parser.set_defaults(function=lambda arguments: account_parser.print_help() or 2)
    group = account_parser.add_subparsers(title="commands", metavar="command")
    up_parser = command(group, account_up, "up")
    up_parser.add_argument("--email", help="whom the budget tells; needed the first time")
    up_parser.add_argument("--learners", help="who learns, by the names of WORKSHOP_LEARNER: ann,bo")
    up_parser.add_argument("--hours", type=float, help="until the brake deletes the replication instance (8)")
    up_parser.add_argument("--budget", type=int, metavar="USD", help="that the account may cost in a month (10)")
    up_parser.add_argument("--yes", action="store_true", help="ask nothing")
    command(group, account_status, "status")
    command(group, account_down, "down")
    sandbox_parser = commands.add_parser("sandbox", help="start, stop, look at the local AWS")
    sandbox_parser.set_defaults(function=lambda arguments: sandbox_parser.print_help() or 2)
    group = sandbox_parser.add_subparsers(title="commands", metavar="command")
    command(group, sandbox_start, "start")
    command(group, sandbox_stop, "stop")
    command(group, sandbox_status, "status").add_argument(
        "--json", action="store_true", help="one object, for programs"
    )
    command(group, sandbox_reset, "reset")
    command(group, sandbox_env, "env")
    test_parser = command(commands, test)
    test_parser.add_argument("pytest", nargs="*", help="further words for pytest, after --")
    test_parser.add_argument("--only", metavar="WHAT", help="a file, a folder, or a word in the names of tests")
    test_parser.add_argument(
        "--table", metavar="FILE", help="with --only answers: other answers than tests/answers has"
    )
    test_parser.add_argument("--lab", help='the lab that they are for, such as "02"')
    test_parser.add_argument("--long", action="store_true", help="load, long life, and what takes minutes by nature")
    test_parser.add_argument(
        "--longest", action="store_true", help="each answer in full, all mutants: hours of the machine"
    )
    command(commands, lint).add_argument("--fix", action="store_true")
    command(commands, labs).add_argument("--check", action="store_true", help="only say whether they are fresh")
    command(commands, solutions).add_argument("names", nargs="*", help="numbers or names; all if none")
    command(commands, policy).add_argument("--check", action="store_true", help="only say whether they are right")
    command(commands, diagrams)
    command(commands, site)
    command(commands, bundle).add_argument(
        "--dry", action="store_true", help="make nothing, and say which packages have no wheel for other systems"
    )
    command(commands, locks).add_argument("--upgrade", action="store_true", help="the newest versions that fit")
    return parser


def main(words=None):
    """Run one command; ends the process with its exit status."""
    arguments = _parser().parse_args(words)
    try:
        sys.exit(arguments.function(arguments) or 0)
    except (AccountError, environments.SetupError, sandbox.SandboxError, OSError, ValueError) as error:
        sys.exit(f"workshop: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
