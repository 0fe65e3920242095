"""What a lesson says of its helpers, in a folded line: the AWS calls that each makes, and no others."""

import re
from pathlib import Path

import botocore.client
import nbformat
import pytest

from workshop import clients, deploy, http_api, migration, rule, vendor
from workshop.environments import CHECKOUT
from workshop.names import name

pytestmark = pytest.mark.usefixtures("account")

FOLDED = re.compile(r"<summary>Which AWS calls <code>([\w.]+)</code> makes</summary>(.*?)</details>", re.DOTALL)
TOLD = {
    helper: set(re.findall(r"`([a-z0-9]+:[A-Z]\w+)`", text))
    for path in (CHECKOUT / "notebooks").glob("*.ipynb")
    for cell in nbformat.read(path, as_version=4).cells
    if cell.cell_type == "markdown"
    for helper, text in FOLDED.findall(cell.source)
}
ONLY = {"StartAt": "Only", "States": {"Only": {"Type": "Succeed"}}}
HANDLER = "def lambda_handler(event, context):\n    return event\n"


def function():
    Path("behind.py").write_text(HANDLER, encoding="utf-8")
    return deploy.function(name("01", "behind"), "behind.py")


def api():
    http_api(name("01", "behind"), {"POST /x": function()})


HELPERS = {
    "migration": lambda: migration(name("01", "behind"), rows=10),
    "deploy.table": lambda: deploy.table(name("01", "behind-table"), key="Id"),
    "deploy.function": function,
    "deploy.queue": lambda: deploy.queue(name("01", "behind")),
    "deploy.state_machine": lambda: deploy.state_machine(
        name("01", "behind"), ONLY, permissions={"dms:DescribeReplicationTasks": "*"}
    ),
    "rule": lambda: rule(name("01", "behind"), function(), pattern={"source": ["aws.dms"]}),
    "http_api": api,
    "vendor.deploy": lambda: vendor.deploy(name("01", "behind-vendor"), seconds=1),
}
# Made or asked once in an account, so another test may have done it; and what only a second time brings.
NOT_EACH_TIME = {"dms:CreateReplicationInstance", "sts:GetCallerIdentity", "stepfunctions:UpdateStateMachine"}


def test_each_helper_is_told_of_once():
    assert set(TOLD) == set(HELPERS)


@pytest.mark.parametrize("helper", HELPERS)
def test_its_calls_are_those_that_the_lesson_tells(helper, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKSHOP_LEARNER", f"helper-{list(HELPERS).index(helper)}")  # so that all of it is new
    clients.account_id()  # asked for once in a process
    beside = function() if helper in ("rule", "http_api") else None  # its calls are told of elsewhere
    calls, make = set(), botocore.client.BaseClient._make_api_call

    def seen(client, operation, parameters):
        calls.add(f"{client.meta.service_model.service_name}:{operation}")
        return make(client, operation, parameters)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", seen)
    if beside:
        monkeypatch.setitem(globals(), "function", lambda: beside)
    HELPERS[helper]()
    assert calls <= TOLD[helper]
    assert TOLD[helper] - calls <= NOT_EACH_TIME
