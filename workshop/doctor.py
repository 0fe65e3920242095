"""`workshop doctor`: is everything here that the workshop needs? One line per finding, each with its remedy."""

import importlib.util
import os
import sys

from workshop import account, clients, environments, names, sandbox

NEEDED = ("jupyterlab", "boto3", "ipywidgets", "matplotlib", "nbclient", "pytest", "nbval")
NEEDED += ("aws_durable_execution_sdk_python", "aws_durable_execution_sdk_python_testing", "yaml")


def _python():
    if sys.version_info[:2] < environments.NEEDS_PYTHON:
        return "Python is {}.{}; install 3.11 or newer and run `make setup`.".format(*sys.version_info[:2])


def _kernel():
    # Another environment, conda's say, is looked at by its packages only.
    own = os.path.realpath(sys.prefix) == os.path.realpath(environments.LEARNER.folder)
    if own and not environments.LEARNER.ready():
        return "The workshop's environment is older than the checkout, or incomplete. Run `make setup`."


def _packages():
    missing = [package for package in NEEDED if not importlib.util.find_spec(package)]
    if missing:
        return (
            f"This Python lacks {', '.join(missing)}. Choose the workshop's kernel (menu Kernel, Change Kernel), "
            "or start JupyterLab with `make lab`."
        )


def _learner():
    try:
        names.learner()
    except ValueError as error:
        return str(error)


def _checkout():
    try:
        sandbox.FOLDER.mkdir(parents=True, exist_ok=True)
        (sandbox.FOLDER / "doctor").write_text("")
        (sandbox.FOLDER / "doctor").unlink()
    except OSError as error:
        return f"Nothing can be written into {sandbox.FOLDER} ({error.strerror}). Move the checkout to where it can."


def _sandbox_environment():
    if not environments.SANDBOX.ready():
        return "The sandbox's environment is missing or incomplete. Run `make setup`."


def _account():
    target = os.environ.get("WORKSHOP_TARGET", "sandbox")
    again = " Run `workshop sandbox stop`, then again." if target == "sandbox" else ""
    if target == "sandbox" and not (environments.SANDBOX.ready() or sandbox.status()):
        return "The sandbox cannot start without its environment. Run `make setup`."
    try:
        connected, lease = account.connect()
    except (account.AccountError, sandbox.SandboxError, OSError) as error:
        return str(error)
    try:
        seen = clients.of("sts").get_caller_identity()["Account"]
        if seen != connected.id:
            return f"The {target} says its account is {seen}, not {connected.id}.{again}"
    except Exception as error:
        return f"The {target} does not answer as it should: {error}.{again}"
    finally:
        if lease:
            lease.release()


EXAMINATIONS = {
    "Python 3.11 or newer": _python,
    "the workshop's environment": _kernel,
    "the packages of the notebooks": _packages,
    "a name for what you make": _learner,
    "a folder that can be written": _checkout,
    "the sandbox's environment": _sandbox_environment,
    "an account that answers": _account,
}


def examine():
    """Examine all of it and print a line for each; gives True when all is well."""
    well = True
    for subject, examination in EXAMINATIONS.items():
        finding = examination()
        print(f"ok       {subject}" if finding is None else f"PROBLEM  {subject}: {finding}")
        well = well and finding is None
    print("All is well." if well else "Mend what is named above, then run this again.")
    return well
