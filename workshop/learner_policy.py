"""What a learner may do in a real account: `workshop policy`, for those who change lessons and labs.

The policy is what lessons and solutions do there and no more. They are run against a sandbox that plays the account and
records each action on each resource (sandbox/authorization.py). What is named as the learner's things are is allowed on
everything of such a name. All else must stand in learner-policy.toml, with its reason, or there is no policy. The
boundary, which all roles of the labs carry, is made of what the labs' roles are given, in the same way.

The two files in data/ are policies of IAM with CloudFormation's ${AWS::AccountId} and ${AWS::Region}, and ${Learner}.
"""

import concurrent.futures
import contextlib
import fnmatch
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from workshop import names, sandbox
from workshop.environments import CHECKOUT

DATA = Path(__file__).parent / "data"
POLICY, BOUNDARY, EXCEPTIONS = DATA / "learner-policy.json", DATA / "boundary.json", DATA / "learner-policy.toml"

LEARNER = "ann"  # who learns while it is recorded
CELL_SECONDS = 600
# A check may take as long as it does on a busy machine: this is not about its speed.
_PATIENCE = f"""
from workshop import deploy
from workshop.checking import exercises
deploy.SPREAD_SECONDS = {{}}
exercises.CHECK_SECONDS = {CELL_SECONDS}
"""
AT_ONCE = 3  # labs that are run side by side; the notebooks of one share the names of their things

# How long they may be, without spaces. The learner's stands in a role (that is, in its inline policies), since it is
# too long for a managed policy; the boundary must be one.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
LONGEST = {POLICY: 10_240, BOUNDARY: 6_144}


class PolicyError(ValueError):
    """There is no such policy; the message says what is missing where."""


# -- a sandbox that plays the account ---------------------------------------------------------------------------------


@contextlib.contextmanager
def account_in(folder):
    """A sandbox that lives there and plays an account, for as long as the block runs; gives its status."""
    before, sandbox.FOLDER = sandbox.FOLDER, Path(folder)
    try:
        state = sandbox.start()
        lease = sandbox.Lease(state)
        try:
            yield state
        finally:
            lease.release()
            sandbox.stop()
    finally:
        sandbox.FOLDER = before


def client(state, service):
    """A boto3 client of the root of that sandbox's account."""
    import boto3

    keys = {name: state[name.removeprefix("aws_")] for name in ("aws_access_key_id", "aws_secret_access_key")}
    return boto3.client(service, region_name=state["region"], endpoint_url=state["endpoint"], **keys)


def set_up(state):
    """Make in the account what a learner uses of what `workshop account up` makes: boundary, replication instance."""
    boundary = filled(json.loads(BOUNDARY.read_text(encoding="utf-8")), state["account"], state["region"])
    client(state, "iam").create_policy(PolicyName=names.BOUNDARY, PolicyDocument=boundary)
    dms = client(state, "dms")
    dms.create_replication_instance(
        ReplicationInstanceIdentifier=names.WORKSHOP,
        ResourceIdentifier=names.WORKSHOP,
        ReplicationInstanceClass="dms.t3.micro",
        AllocatedStorage=5,
    )
    named = [{"Name": "replication-instance-id", "Values": [names.WORKSHOP]}]
    quickly = {"Delay": 0.05, "MaxAttempts": 2400}
    dms.get_waiter("replication_instance_available").wait(Filters=named, WaiterConfig=quickly)


def environment(state, folder, keys=None, learner=LEARNER):
    """The variables of a process for which the sandbox of that status is a real account, by its profile; a dict.

    folder: where the profile and the process's own state are kept. keys: with which it signs, {"aws_access_key_id",
    "aws_secret_access_key", "aws_session_token"}; the account's root's if None.
    """
    keys = keys or {
        "aws_access_key_id": state["access_key_id"],
        "aws_secret_access_key": state["secret_access_key"],
    }
    lines = {"region": state["region"], "endpoint_url": state["endpoint"], **keys}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    profile = folder / "config"
    profile.touch(mode=0o600)
    profile.write_text(
        "[profile experiments]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items()), encoding="utf-8"
    )
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return ours | {
        "WORKSHOP_STATE": str(folder / "state"),
        "WORKSHOP_TARGET": "aws",
        "WORKSHOP_ACCOUNT": state["account"],
        "WORKSHOP_LEARNER": learner,
        "AWS_PROFILE": "experiments",
        "AWS_CONFIG_FILE": str(profile),
    }


def execute(path, variables, spread=0):
    """Run all cells of a notebook, in a kernel with these environment variables; returns it with its outputs.

    spread: for how many seconds it waits until permissions are felt. The account that is played feels them at once.

    What goes wrong on purpose needs the sandbox: a cell that says so is left behind, and so is a later one that lacks a
    name which that cell would have made. Raises nbclient's CellExecutionError for any other error.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook, left = nbformat.read(path, as_version=4), False
    with tempfile.TemporaryDirectory(prefix="workshop-records-") as records:
        resources = {"metadata": {"path": str(Path(path).parent)}}
        client = NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3", resources=resources)
        with client.setup_kernel(env={**variables, "WORKSHOP_RECORDS": records}):
            client.execute_cell(nbformat.v4.new_code_cell(_PATIENCE.format(spread)), -1, store_history=False)
            for nth, cell in enumerate(notebook.cells):
                try:
                    client.execute_cell(cell, nth)
                except CellExecutionError as error:
                    left = left or "this needs the sandbox" in str(error)
                    if not left or error.ename not in ("SandboxError", "NameError"):
                        raise
    return notebook


def recorded(labs=None):
    """What lessons and solutions do in an account, as GET /_sandbox/actions has it; also "account" and "region" of it.

    labs: numbers, such as ["03"]; all if None.
    """
    paths = [path for folder in ("notebooks", "solutions") for path in sorted((CHECKOUT / folder).glob("*.ipynb"))]
    by_lab = {}
    for path in paths:
        if not labs or path.stem[:2] in labs:
            by_lab.setdefault(path.stem[:2], []).append(path)
    with tempfile.TemporaryDirectory(prefix="workshop-policy-") as folder, account_in(Path(folder, "account")) as state:
        set_up(state)
        sandbox._ask(state, "PUT", "actions", {"record": True})

        def run(lab):
            variables = environment(state, Path(folder, lab))
            for path in by_lab[lab]:
                print(f"{path.parent.name}/{path.stem} ...", flush=True)
                execute(path, variables)

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(run, by_lab))
        clean = [sys.executable, "-m", "workshop.cli", "clean"]
        subprocess.run(clean, check=True, env=environment(state, Path(folder, "clean")), stdout=subprocess.DEVNULL)
        return {**sandbox._ask(state, "GET", "actions"), "account": state["account"], "region": state["region"]}


# -- from what was recorded to policies -------------------------------------------------------------------------------


def policies(record, exceptions=None):
    """(the learner's policy, the boundary) of a record, as IAM has policies: dicts. Raises PolicyError.

    exceptions: as learner-policy.toml has them, read from there if None.
    """
    if exceptions is None:
        exceptions = tomllib.loads(EXCEPTIONS.read_text(encoding="utf-8"))
    learner = _policy(record, record["actions"], exceptions["learner"], "learner")
    return learner, _policy(record, record["roles"], exceptions["boundary"], "boundary")


def _policy(record, found, exceptions, part):
    own, used, strangers = {}, set(), []
    for action, resources in found.items():
        for resource in map(lambda each: _general(each, record), resources):
            nth = next((nth for nth, each in enumerate(exceptions) if _is_for(each, action, resource)), None)
            if nth is not None:
                used.add(nth)
            elif "${Learner}-*" in resource:
                actions, owned = own.setdefault(action.partition(":")[0], (set(), set()))
                actions.add(action)
                owned.add(resource)
            else:
                strangers.append(f"{action} on {resource}")
    if strangers:
        raise PolicyError(
            f"These are recorded, are not on the learner's own things, and have no [[{part}]] in {EXCEPTIONS.name} "
            f"that says why they may be: {'; '.join(sorted(strangers))}."
        )
    idle = [each["sid"] for nth, each in enumerate(exceptions) if nth not in used and each.get("recorded", True)]
    if idle:
        raise PolicyError(
            f"Nothing that is recorded needs these of {EXCEPTIONS.name}: {', '.join(idle)}. Take them out."
        )
    statements = [
        _statement(f"{service.title()}Own", "Allow", sorted(actions), sorted(resources))
        for service, (actions, resources) in sorted(own.items())
    ]
    for each in exceptions:
        statements.append(
            _statement(
                each["sid"], each.get("effect", "Allow"), each["actions"], each["resources"], each.get("condition")
            )
        )
    return {"Version": "2012-10-17", "Statement": sorted(statements, key=_place)}


def _place(statement):
    """Statements of one service stand together, those on the learner's own things first."""
    return (_listed(statement["Action"])[0].partition(":")[0], not statement["Sid"].endswith("Own"), statement["Sid"])


def _is_for(exception, action, resource):
    return any(fnmatch.fnmatchcase(action, each) for each in exception["actions"]) and any(
        fnmatch.fnmatchcase(resource, each) for each in exception.get("where", exception["resources"])
    )


def _general(resource, record):
    """A resource of the record, for every account, Region and learner: whatever follows the learner's name."""
    resource = resource.replace(record["account"], "${AWS::AccountId}")
    resource = re.sub(rf"(:|%3A){record['region']}(:|%3A)", r"\1${AWS::Region}\2", resource)
    return re.sub(rf"(?<=[:/]){LEARNER}-.*", "${Learner}-*", resource)


def _statement(sid, effect, actions, resources, condition=None):
    statement = {"Sid": sid, "Effect": effect, "Action": actions, "Resource": resources}
    return {**statement, **({"Condition": condition} if condition else {})}


def text(policy):
    """A policy as its file has it."""
    return json.dumps(policy, indent=2) + "\n"


def filled(policy, account, region, learner=LEARNER):
    """A policy of data/ for an account, a Region and a learner; JSON text, as IAM takes it."""
    compact = json.dumps(policy, separators=(",", ":"))
    for name, value in {"AWS::AccountId": account, "AWS::Region": region, "Learner": learner}.items():
        compact = compact.replace(f"${{{name}}}", value)
    return compact


def _listed(value):
    return value if isinstance(value, list) else [value]


def main(check=False):
    """`workshop policy`: record, and write the two files; with check=True only say whether they are right."""
    made = dict(zip((POLICY, BOUNDARY), policies(recorded()), strict=True))
    stale = [
        path for path, policy in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text(policy)
    ]
    for path in stale:
        if not check:
            path.write_text(text(made[path]), encoding="utf-8", newline="\n")
        print(f"{path.name} " + ("is not what is recorded: run `workshop policy`." if check else "is made anew."))
    if not stale:
        print("The learner's policy and the boundary are what is recorded.")
    return 1 if check and stale else 0
