"""What becomes of handlers' processes when the account is emptied, and when the sandbox ends or is killed."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from handlers import Functions, clients
from patience import PATIENCE
from state_machines import until
from test_life import alive

from workshop import environments

WORKING = """
import os, time
def handler(event, context):
    print("begun", os.getpid())
    time.sleep(event)
    print("ended")
    return os.getpid()
"""


@pytest.fixture
def functions(state):
    return Functions(clients(state), state)


def in_background(work):
    """Do something that ends with an error, as it is cut short."""

    def run():
        with contextlib.suppress(ClientError, BotoCoreError, AssertionError):
            work()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def begun(functions, name):
    """The process of an invocation that runs."""
    return int(functions.wait_for_message(name, "begun")[-1].split()[1])


def reset(state):
    request = urllib.request.Request(
        f"{state['endpoint']}/_sandbox/reset",
        method="POST",
        headers={"Authorization": f"Bearer {state['secret_access_key']}"},
    )
    urllib.request.urlopen(request).close()


def test_an_emptied_account_has_no_processes_and_its_settings_from_the_start(functions, state):
    functions.settings(processes_per_function=1, retry_seconds=[1, 1])
    name = functions.create(WORKING)
    idle = functions.result(name, 0)
    busy_name = functions.create(WORKING, Timeout=60)
    running = [in_background(lambda: functions.result(busy_name, 60)) for _ in range(3)]
    busy = begun(functions, busy_name)
    until(lambda: functions.settings()["now"]["waiting"] == 2)
    reset(state)
    until(lambda: not alive(idle) and not alive(busy))
    for thread in running:  # those who waited in line as well
        thread.join(PATIENCE)
        assert not thread.is_alive()
    found = functions.settings()
    assert found["now"] == {"processes": 0, "busy": 0, "waiting": 0}
    assert (found["processes_per_function"], found["retry_seconds"]) == (4, [1, 2])
    assert functions.result(functions.create(WORKING), 0)


def test_retries_of_an_emptied_account_are_forgotten(functions, state):
    functions.settings(retry_seconds=[3, 3])
    failing = "def handler(event, context):\n    print('try')\n    raise ValueError"
    name = functions.create(failing)
    functions.client.invoke(FunctionName=name, InvocationType="Event", Payload="{}")
    functions.wait_for_message(name, "END")
    reset(state)
    # Those of another one that began later come, and the first one's would have come before.
    functions.settings(retry_seconds=[3, 3])
    other = functions.create(failing)
    functions.client.invoke(FunctionName=other, InvocationType="Event", Payload="{}")
    functions.wait_for_message(other, "END", count=2)
    assert functions.messages(name) == []


def test_a_sandbox_that_is_killed_takes_its_handlers_along(functions, state):
    code = "import os\ndef handler(event, context):\n    print('begun', os.getpid())\n    while True: pass"
    spinning = functions.create(code, Timeout=600)
    in_background(lambda: functions.result(spinning))
    busy = begun(functions, spinning)
    idle = functions.result(functions.create(WORKING), 0)
    os.kill(state["pid"], signal.SIGKILL)
    until(lambda: not alive(busy) and not alive(idle))


def test_an_environment_that_is_ended_before_it_is_prepared_leaves_nothing(tmp_path):
    """Played in the sandbox's Python: between an environment and its process there is no time for a real reset."""
    (tmp_path / "early.py").write_text(EARLY)
    variables = {**os.environ, "PYTHONPATH": str(environments.CHECKOUT), "TMPDIR": str(tmp_path)}
    python = environments.SANDBOX.python
    run = subprocess.run([python, tmp_path / "early.py"], env=variables, capture_output=True, text=True, check=True)
    process, *left = run.stdout.split()
    assert left == []
    assert not alive(int(process))


EARLY = """
import io, tempfile, zipfile
from sandbox.functions import environments, processes
from sandbox.functions.settings import settings

settings.warm_processes = False
content = io.BytesIO()
with zipfile.ZipFile(content, "w") as file:
    file.writestr("index.py", "import time; time.sleep(600)")
config = {"FunctionName": "f", "FunctionArn": "arn:aws:lambda:us-east-1:111122223333:function:f", "Version": "$LATEST",
          "Handler": "index.handler", "Runtime": "python3.13", "MemorySize": 128, "Timeout": 60,
          "Role": "arn:aws:iam::111122223333:role/r"}
environment = environments.Environment(config, content.getvalue())
environment.end()
try:
    environment.prepare()
except environments.Ended:
    print(environment._process.pid, *environments.Path(tempfile.gettempdir()).glob("function-*"))
"""


@pytest.mark.parametrize(
    "settings",
    [{"processes": 0}, {"processes": "many"}, {"processes": True}, {"retry_seconds": 1}, {"retry_seconds": [1]},
     {"retry_seconds": [1, -1]}, {"nonsense": 1}, {"processes": 5, "idle_seconds": -1}],
)  # fmt: skip
def test_settings_that_are_refused(aws, sandbox, settings):
    functions = Functions(aws, sandbox)
    before = functions.settings()
    with pytest.raises(urllib.error.HTTPError) as refused:
        functions.settings(**settings)
    assert refused.value.code == 400
    assert json.load(refused.value)["message"].endswith(".")
    after = functions.settings()
    assert {**after, "now": 0} == {**before, "now": 0}
