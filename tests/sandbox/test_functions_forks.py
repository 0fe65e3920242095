"""Forks of the warm process: they differ from processes of a new interpreter in speed, and in nothing else.

A function whose configuration has a variable `PYTHON...` gets new interpreters, so the two can be held side by side.
"""

import contextlib
import errno
import gzip
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from handlers import Functions, archive, clients
from patience import PATIENCE
from state_machines import until
from test_functions_life import begun, in_background, reset
from test_functions_processes import state as process_state
from test_life import alive

from sandbox.functions import forks, processes
from workshop import environments, sandbox

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only"),
    pytest.mark.takes(20),
]

NEW = {"Environment": {"Variables": {"PYTHONHASHSEED": "random"}}}

WHOSE_CHILD = "import os\ndef handler(event, context): return os.getpid(), os.getppid()"

# What a process knows of itself, as far as it does not differ between two environments of one function anyway.
ITSELF = """
import gc, io, locale, logging, os, re, signal, sys, tempfile, threading, time, warnings
import boto3
import __main__
client = boto3.client("dynamodb")
agents = []
client.meta.events.register("before-send", lambda request, **_: agents.append(request.headers["User-Agent"].decode()))

def stream(file):
    return [type(file).__name__, type(file.buffer).__name__, file.buffer.name, file.name, file.encoding, file.errors,
            file.line_buffering, file.write_through, file.newlines, file.fileno(), file.mode,
            file is getattr(sys, "__" + file.name[1:-1] + "__")]

def age():
    # In seconds, rounded up to the next tick of the system.
    with open("/proc/self/stat") as line:
        ticks = int(line.read().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")

def read(path):
    with open(path) as text:
        return text.read()

def handler(event, context):
    client.list_tables()
    record = logging.LogRecord("a", 10, "", 1, "", (), None)
    return {
        "variables": sorted(name for name in os.environ if name != "PYTHONHASHSEED"),
        "time zone": [os.environ["TZ"], time.tzname, time.timezone],
        "folder": os.getcwd() == os.environ["LAMBDA_TASK_ROOT"] == sys.path[0],
        "path": sys.path[1:],
        "finders": [getattr(finder, "__name__", type(finder).__name__) for finder in sys.meta_path],
        "arguments": [[os.path.basename(word) for word in words] for words in (sys.argv, sys.orig_argv)],
        "main": [os.path.basename(__main__.__file__), __main__ is sys.modules["__main__"], __main__.__loader__.path,
                 {name: str(value) for name, value in vars(__main__).items()
                  if name.startswith("__") and name not in ("__builtins__", "__loader__")}],
        "context": str(type(context)),
        "clock of the log": record.relativeCreated <= age() * 1000,
        "when memory runs out": read("/proc/self/oom_score_adj"),
        "streams": [stream(sys.stdout), stream(sys.stderr), stream(sys.__stdin__), sys.stdin.read(), sys.stdin.name],
        "descriptors": sorted(map(int, os.listdir("/proc/self/fd")))[:6],
        "temporary folder": tempfile.gettempdir() == os.environ["TMPDIR"],
        "signals": [str(signal.getsignal(getattr(signal, "SIG" + name))) for name in ("INT", "TERM", "CHLD", "PIPE")],
        "wakeup": signal.set_wakeup_fd(-1),
        "leads its session": os.getsid(0) == os.getpid() == os.getpgid(0),
        "collector": gc.isenabled(),
        "threads": [threading.current_thread() is threading.main_thread(), threading.active_count(),
                    threading.main_thread().ident == threading.get_ident(), threading.get_native_id() == os.getpid(),
                    threading.main_thread().native_id == os.getpid()],
        "flags": [getattr(sys.flags, name) for name in ("safe_path", "no_user_site", "utf8_mode")],
        "locale": [locale.getpreferredencoding(), locale.setlocale(locale.LC_ALL), sys.getfilesystemencoding()],
        "log": [logging.getLogger().level, [type(each).__name__ for each in logging.getLogger().handlers]],
        "limit": sys.getrecursionlimit(),
        "umask": os.umask(0o22),
        "agent": [sorted(re.split("[ ,]|m/", agent)) for agent in agents],  # its features are a set
        "session": [boto3.DEFAULT_SESSION.region_name, boto3.DEFAULT_SESSION.profile_name],
    }
"""


@pytest.fixture(scope="module", autouse=True)
def as_users_run_it():
    """With no variable that a user does not set."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WORKSHOP_WARM_PROCESSES", raising=False)
        yield


@pytest.fixture(scope="module")
def functions(own_aws, own_sandbox):
    return Functions(own_aws, own_sandbox)


@pytest.fixture(scope="module")
def server(functions):
    """The id of the fork server's process, which is ready."""
    return until(lambda: server_of(functions))


@pytest.fixture
def lone(state):
    """Functions of a sandbox of one test's own."""
    return Functions(clients(state), state)


def server_of(functions):
    """The id of a sandbox's fork server, None while it has none that is ready."""
    name = functions.create(WHOSE_CHILD)
    whose = parent(functions, name)
    functions.client.delete_function(FunctionName=name)
    return whose if whose != functions.sandbox["pid"] else None


def parent(functions, name):
    return functions.result(name)[1]


def test_a_fork_is_like_a_new_interpreter(functions, server):
    fork = functions.result(functions.create(ITSELF, Timeout=30))
    new = functions.result(functions.create(ITSELF, Timeout=30, **NEW))
    assert fork == new
    assert "exec-env/AWS_Lambda_python3.13" in str(fork["agent"])
    assert fork["clock of the log"]
    assert int(fork["when memory runs out"]) >= 500  # before the sandbox and the fork server


def test_forks_differ_from_each_other_where_processes_do(functions, server, tmp_path):
    code = """
import multiprocessing, os, random, tempfile, uuid, time
def handler(event, context):
    secret = bytes(multiprocessing.current_process().authkey).hex()
    open(os.path.join(event, str(os.getpid())), "w").close()
    while len(os.listdir(event)) < 2:  # until both are here
        time.sleep(0.01)
    return [random.random(), str(uuid.uuid4()), os.environ["TMPDIR"], os.environ["AWS_ACCESS_KEY_ID"],
            os.environ["AWS_LAMBDA_LOG_STREAM_NAME"], os.getpid(), secret]
"""
    name = functions.create(code, Timeout=60)
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(functions.result, name, str(tmp_path)) for _ in range(2)]
    one, other = [each.result() for each in running]
    assert all(mine != yours for mine, yours in zip(one, other, strict=True))


BROUGHT = {
    "boto3": {"boto3/__init__.py": "mine = 'boto3'", "index.py": "import boto3 as it"},
    "a part of it": {"jmespath.py": "mine = 'jmespath'", "index.py": "import jmespath as it"},
    "a module of Python that boto3 uses": {"html.py": "mine = 'html'", "index.py": "import html as it"},
    "the SDK, far down": {
        "vendored/deep/aws_durable_execution_sdk_python/__init__.py": "mine = 'SDK'",
        "index.py": "import os, sys\nsys.path.insert(0, os.path.dirname(__file__) + '/vendored/deep')\n"
                    "import aws_durable_execution_sdk_python as it",
    },
    "a module of Python that the server uses": {"select.py": "mine = 'select'", "index.py": "import select as it"},
    "a module that boto3 uses if it is there": {
        "certifi.py": "mine = 'certifi'\ndef where(): return mine",
        "index.py": "import botocore.httpsession\nclass it: mine = botocore.httpsession.where()",
    },
    "a package that boto3 uses if it is there": {
        "awscrt/__init__.py": "mine = 'awscrt'\n__version__ = '0.1.0'", "awscrt/auth.py": "",
        "index.py": "import botocore.compat\nclass it: mine = botocore.compat.HAS_CRT and botocore.compat.awscrt.mine",
    },
}  # fmt: skip


@pytest.mark.parametrize("files", BROUGHT.values(), ids=BROUGHT)
def test_what_a_function_brings_wins(functions, server, files):
    handler = "\nimport os\ndef handler(event, context): return it.mine, os.getppid()"
    name = functions.create({**files, "index.py": files["index.py"] + handler})
    mine, whose = functions.result(name)
    assert (whose, mine in str(files)) == (functions.sandbox["pid"], True)
    # And with that another process, for one reason more.
    functions.client.update_function_configuration(FunctionName=name, Timeout=11, **NEW)
    functions.result(name)
    reasons = [
        line
        for line in Path(functions.sandbox["log"]).read_text(encoding="utf-8").splitlines()
        if f"{name} has new interpreters" in line
    ]
    assert len(reasons) == 1, reasons
    assert "it brings" in reasons[0]


def test_a_layer_s_boto3_wins(functions, server):
    layer = functions.client.publish_layer_version(
        LayerName="own", Content={"ZipFile": archive({"python/boto3/__init__.py": "mine = 'layer'"})}
    )["LayerVersionArn"]
    code = "import boto3, os\ndef handler(event, context): return boto3.mine, os.getppid()"
    assert functions.result(functions.create(code, Layers=[layer])) == ["layer", functions.sandbox["pid"]]


INNER = archive({"boto3.py": "mine = 1"})


def tarred(files, kind):
    """The bytes of a tar. kind: how it is compressed, "" for not at all. files: {name: content}."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=f"w:{kind}") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()


@pytest.mark.parametrize(
    ("file", "content"),
    [("lib.zip", "?"), ("LIB.ZIP", "?"), ("app.pyz", b"#!/usr/bin/env python3\n" + INNER), ("app.PYZ", "?"),
     ("deep/vendored", INNER), ("data.bin", b"first " + INNER), ("lib.tar.zst", "?"),
     ("lib.tar.gz", tarred({"boto3.py": "mine = 1"}, "gz")), ("data.xz", tarred({"boto3.py": "mine = 1"}, "xz"))],
    ids=["zip", "ZIP", "pyz", "PYZ", "of no kind", "behind something else", "tar.zst", "tar.gz", "a tar, of no kind"],
)  # fmt: skip
def test_an_archive_inside_of_which_nobody_knows_what_is_there(functions, server, file, content):
    name = functions.create({"index.py": WHOSE_CHILD, file: content})
    assert parent(functions, name) == functions.sandbox["pid"]


def test_other_files_are_no_archives(functions, server):
    name = functions.create(
        {
            "index.py": WHOSE_CHILD,
            "data.bin": b"PK, but nothing else",
            "zip": "x",
            "egg.txt": "x",
            "tar": "x",
            "data.json.gz": gzip.compress(b"{}"),
        }
    )
    assert parent(functions, name) == server


def test_a_folder_that_cannot_be_read_may_hold_anything(monkeypatch, tmp_path):
    """Played, since the superuser reads every folder. One that is not there, such as of a layer, holds nothing."""
    scan, closed = os.scandir, tmp_path / "known" / "closed"

    def refuse(folder):
        if str(folder) == str(closed):
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return scan(folder)

    closed.mkdir(parents=True)
    monkeypatch.setattr(os, "scandir", refuse)
    assert processes._modules_in(str(tmp_path)) == ({"known", "closed"}, "closed")
    assert processes._modules_in(str(tmp_path / "none")) == (set(), None)


@pytest.mark.parametrize(
    "variable",
    ["PYTHONOPTIMIZE", "LD_LIBRARY_PATH", "LC_ALL", "LANG", "LANGUAGE", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES",
     "OPENSSL_CONF", "BOTO_CONFIG", "HOME"],
)  # fmt: skip
def test_variables_that_are_read_when_a_process_starts(functions, server, variable):
    name = functions.create(WHOSE_CHILD, Environment={"Variables": {variable: "1"}})
    assert parent(functions, name) == functions.sandbox["pid"]
    assert f"its variable {variable} is read when Python starts" in Path(functions.sandbox["log"]).read_text(
        encoding="utf-8"
    )


def test_other_variables_hold_in_a_fork(functions, server):
    code = """
import boto3, os, time
def handler(event, context):
    return [time.strftime("%Z", time.localtime(0)), boto3.client("sqs").meta.config.retries["total_max_attempts"],
            boto3.client("dynamodb").meta.endpoint_url, os.getppid()]
"""
    variables = {"TZ": "Asia/Tokyo", "AWS_MAX_ATTEMPTS": "7", "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9"}
    name = functions.create(code, Environment={"Variables": variables})
    assert functions.result(name) == ["JST", 7, "http://127.0.0.1:9", server]


@pytest.mark.parametrize("config", [{}, NEW], ids=["fork", "new interpreter"])
def test_a_file_of_settings_that_the_code_names_before_it_imports_boto3(functions, server, config):
    code = """
import os
os.environ |= {"AWS_CONFIG_FILE": os.environ["LAMBDA_TASK_ROOT"] + "/settings", "AWS_PROFILE": "mine"}
import boto3
retries = boto3.client("sqs").meta.config.retries["total_max_attempts"]
def handler(event, context): return retries
"""
    settings = "[profile mine]\nmax_attempts = 8\nregion = us-east-1\n"
    assert functions.result(functions.create({"index.py": code, "settings": settings}, **config)) == 8


def test_a_durable_function_has_the_mended_sdk_and_another_one_has_it_as_it_is(functions, server):
    """Neither fork takes anything of the other's with it."""
    look = """
from aws_durable_execution_sdk_python.state import ExecutionState
print(ExecutionState.stop_checkpointing.__code__.co_filename)
"""
    durable = (
        look
        + """
from aws_durable_execution_sdk_python import durable_execution
@durable_execution
def handler(event, context): return 1
"""
    )
    name = functions.create(durable, DurableConfig={"ExecutionTimeout": 60})
    functions.client.invoke(FunctionName=f"{name}:$LATEST")
    other = functions.create(look + "def handler(event, context): return 1")
    functions.result(other)
    assert functions.wait_for_message(name, ".py")[0].endswith("sdk_mends.py\n")
    assert functions.wait_for_message(other, ".py")[0].endswith("state.py\n")


@pytest.mark.parametrize("config", [{}, NEW], ids=["fork", "new"])
def test_the_duration_of_init_is_at_least_the_import_of_the_handler_s_module(functions, server, config):
    name = functions.create("import time\ntime.sleep(0.3)\n" + WHOSE_CHILD, **config)
    assert parent(functions, name) == (functions.sandbox["pid"] if config else server)
    report = functions.wait_for_message(name, "REPORT")[0]
    assert float(report.partition("Init Duration: ")[2].split()[0]) >= 300


def test_hashes_of_texts_are_the_same_in_forks_unless_asked_for(functions, server):
    """So the order of a set is, too; a function that wants to see what AWS may do sets PYTHONHASHSEED=random."""
    code = "def handler(event, context): return hash('iata')"
    forks = {functions.result(functions.create(code)) for _ in range(3)}
    new = {functions.result(functions.create(code, **NEW)) for _ in range(3)}
    assert (len(forks), len(new)) == (1, 3)


def test_the_memory_of_a_fork_is_its_own_and_what_it_shares_each_page_once(functions, server):
    code = """
def size(what):
    with open("/proc/self/smaps_rollup") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith(what)) // 1024
kept = []
def handler(event, context):
    kept.append(b"x" * event * 2**20)
    return size("Rss:"), size("Private_")
"""
    name = functions.create(code, MemorySize=512)
    functions.result(name, 0)
    everything, own = functions.result(name, 64)
    reports = [message for message in functions.messages(name) if message.startswith("REPORT")]
    before, after = (int(report.partition("Max Memory Used: ")[2].split()[0]) for report in reports)
    assert own < everything  # it shares pages with the server
    assert own <= everything - 1 <= after  # the peak is the system's own; MB are rounded down
    assert 60 <= after - before <= 80


def test_the_server_holds_no_credentials_and_has_one_thread(functions, server):
    pid = server
    environment = Path(f"/proc/{pid}/environ").read_text(encoding="utf-8")
    assert "AWS_ENDPOINT_URL" in environment
    assert "SECRET" not in environment
    assert "TOKEN" not in environment
    assert "ACCESS_KEY" not in environment
    assert len(os.listdir(f"/proc/{pid}/task")) == 1


@contextlib.contextmanager
def asked_directly(folder, first):
    """A server of a test's own, as the socket on which the sandbox asks it.

    first: what Python runs when it starts, long before the server has begun; it is written to this folder.
    """
    (folder / "sitecustomize.py").write_text(first)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(PATIENCE)
    script = environments.CHECKOUT / "sandbox" / "functions" / "fork_server.py"
    with ours:
        server = subprocess.Popen(
            [environments.SANDBOX.python, "-P", "-s", script, str(theirs.fileno()), str(os.getpid())],
            env={**os.environ, "PYTHONPATH": str(folder)}, pass_fds=[theirs.fileno()],
        )  # fmt: skip
        theirs.close()
        yield ours
    assert server.wait(PATIENCE) == 0  # it ends with its socket


def test_the_server_looks_for_no_credentials(tmp_path):
    first = """
import os
import botocore.credentials
botocore.credentials.CredentialResolver.load_credentials = lambda *_: os._exit(1)
"""
    with asked_directly(tmp_path, first) as ours:
        assert b"ready" in ours.recv(2**16)


@pytest.mark.parametrize("threads, answer", [(1, "pid"), (2, "refused")])
def test_a_server_with_a_second_thread_does_not_fork(tmp_path, threads, answer):
    """Asked as the sandbox asks it: a lock that the other thread holds would stay locked in the child."""
    second = "import threading, time\nthreading.Thread(target=time.sleep, args=[600], daemon=True).start()\n"
    with asked_directly(tmp_path, second * (threads - 1)) as ours, open(os.devnull, "r+b") as nothing:
        assert "ready" in json.loads(ours.recv(2**16))
        socket.send_fds(ours, [b'{"id": 7}'], [nothing.fileno()] * 3)
        said = json.loads(ours.recv(2**16))
    assert said == {"id": 7, answer: said.get(answer)}
    assert answer == "pid" or said["refused"] == "the fork server has 2 threads"


def test_the_sandbox_keeps_no_descriptors(functions, server):
    pid = server
    failing = functions.create("raise ValueError")
    functions.failure(failing)

    def counts():
        return [len(os.listdir(f"/proc/{each}/fd")) for each in (pid, functions.sandbox["pid"])]

    functions.settings(idle_seconds=1)
    until(lambda: functions.settings()["now"]["processes"] == 0)
    before = counts()
    for _ in range(20):
        functions.failure(failing)
    until(lambda: functions.settings()["now"]["processes"] == 0)
    until(lambda: all(now <= then for now, then in zip(counts(), before, strict=True)))


def test_the_server_sleeps_while_its_forks_work(lone):
    """Freezing a process and letting it go on is no news to its parent."""
    own = until(lambda: server_of(lone))
    name = lone.create("def handler(event, context): return event")
    lone.result(name)

    def wakes():
        status = Path(f"/proc/{own}/status").read_text(encoding="utf-8")
        return [line for line in status.splitlines() if "voluntary_ctxt_switches" in line]

    until(lambda: process_state(own) == "S")
    before = wakes()
    assert [lone.result(name, number) for number in range(10)] == list(range(10))
    assert wakes() == before


# -- its end -----------------------------------------------------------------------------------------------------------

WORKING = """
import os, time
def handler(event, context):
    print("begun", os.getpid())
    time.sleep(event)
    return os.getppid()
"""


def test_when_the_server_ends_its_forks_are_reported_as_killed_and_there_is_a_new_one(lone, state):
    said, name = [], lone.create(WORKING, Timeout=60)
    first = until(lambda: server_of(lone))
    thread = threading.Thread(target=lambda: said.append(lone.failure(name, 60)))
    thread.start()
    fork = begun(lone, name)
    os.kill(first, signal.SIGKILL)
    thread.join()
    assert said[0]["errorType"] == "Runtime.ExitError"
    assert said[0]["errorMessage"].endswith("signal: killed")
    until(lambda: not alive(fork))
    assert lone.result(name, 0)  # at once, whether the new one is ready or not
    for _ in range(3):
        second = until(lambda known=first: (now := server_of(lone)) != known and now)
        os.kill(second, signal.SIGKILL)
        first = second
    until(lambda: "the fork server has ended too often" in Path(state["log"]).read_text(encoding="utf-8"))
    assert lone.result(lone.create(WORKING), 0) == state["pid"]


HANGING = "import os, time\nprint('begun', os.getpid())\n{}\ndef handler(event, context): pass"


@pytest.mark.parametrize("config", [{}, NEW], ids=["fork", "new interpreter"])
@pytest.mark.parametrize(
    "how", ["time.sleep(600)", "import re\nre.match('(a*)*b', 'a' * 40)"], ids=["sleeping", "holding Python's lock"]
)
def test_a_killed_sandbox_takes_processes_along_that_are_still_loading(lone, state, how, config):
    own = until(lambda: server_of(lone))
    name = lone.create(HANGING.format(how), Timeout=60, **config)
    in_background(lambda: lone.result(name))
    process = begun(lone, name)
    os.kill(state["pid"], signal.SIGKILL)
    until(lambda: not alive(process) and not alive(own))


PROGRAM = """
import os, subprocess, time
def handler(event, context):
    program = subprocess.Popen(["sleep", "600"]).pid
    print("begun", program)
    time.sleep(event)
    return program
"""


@pytest.mark.parametrize("seconds", [0, 600], ids=["frozen", "at work"])
def test_a_killed_sandbox_takes_along_what_a_fork_has_started(lone, state, seconds):
    """Also a program that is frozen, which the system alone would leave so for ever."""
    own = until(lambda: server_of(lone))
    name = lone.create(PROGRAM, Timeout=900)
    running = in_background(lambda: lone.result(name, seconds))
    program = begun(lone, name)
    if not seconds:
        running.join()
        until(lambda: process_state(program) == "T")
    os.kill(state["pid"], signal.SIGKILL)
    until(lambda: not alive(program) and not alive(own))


@pytest.mark.parametrize(
    ("last", "reason"),
    [("os._exit(3)", " with error: exit status 3"), ("os.kill(os.getpid(), 9)", " with error: signal: killed"),
     ("os._exit(0)", " without providing a reason")],
    ids=["exits", "is killed", "says nothing"],
)  # fmt: skip
def test_how_a_fork_ended_is_known_however_late_the_server_says_it(lone, tmp_path, last, reason):
    own, file = until(lambda: server_of(lone)), tmp_path / "end"
    waiting = "while not os.path.exists(event): time.sleep(0.01)"
    code = f"import os, time\ndef handler(event, context):\n    print('begun', os.getpid())\n    {waiting}\n    {last}"
    said, name = [], lone.create(code, Timeout=60)
    thread = threading.Thread(target=lambda: said.append(lone.failure(name, str(file))))
    thread.start()
    fork = begun(lone, name)
    os.kill(own, signal.SIGSTOP)
    file.touch()
    until(lambda: not alive(fork))
    thread.join(1.5)  # for as long the sandbox waits for a process that has only closed its pipes, and longer
    assert thread.is_alive()
    os.kill(own, signal.SIGCONT)
    thread.join()
    assert said[0]["errorMessage"].endswith(f"Error: Runtime exited{reason}")


def test_a_process_that_has_closed_its_pipes_and_lives_on(functions, server):
    """Nobody waits for it: there is nothing to come."""
    code = "import os, time\ndef handler(event, context):\n    os.closerange(0, 256)\n    time.sleep(600)"
    failure = functions.failure(functions.create(code, Timeout=900))
    assert failure["errorMessage"].endswith("Error: Runtime exited without providing a reason")


def test_a_server_that_says_what_it_never_says(service):
    """Whoever waits for a fork of it is told."""
    service._take_in = {}.__getitem__
    service.listen()  # until "ready", which is too much for it
    assert service.ended.is_set()
    assert not alive(service.pid)
    with pytest.raises(forks.Unavailable):
        service.fork()


def test_a_server_that_takes_no_more_requests_holds_nobody_up(service, monkeypatch):
    monkeypatch.setattr(forks, "PATIENCE_SECONDS", 0)
    os.kill(service.pid, signal.SIGSTOP)
    before, reasons = len(os.listdir("/proc/self/fd")), []
    while not any(reason[-1] != "s" for reason in reasons):  # "... did not answer within 0 s"
        with pytest.raises(forks.Unavailable) as unavailable:
            service.fork()
        reasons.append(str(unavailable.value))
        assert len(reasons) < 5000
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("possible", range(3))
def test_no_fork_without_descriptors(service, monkeypatch, possible):
    pipe, left = os.pipe, iter(range(possible))

    def scarce():
        if next(left, None) is None:
            raise OSError(errno.EMFILE, "Too many open files")
        return pipe()

    before = sorted(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "pipe", scarce)
    with pytest.raises(forks.Unavailable, match="Too many open files"):
        service.fork()
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def service():
    """The sandbox's side of a fork server, here: nobody listens to it yet."""
    service = forks.ForkServer({name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ})
    yield service
    service.stop()
    service.listen()


@pytest.mark.long
def test_the_time_for_loading_begins_with_the_process(lone):
    """A server that does not answer costs ten seconds, and not the function's."""
    own = until(lambda: server_of(lone))
    name = lone.create("import time\ntime.sleep(3)\ndef handler(event, context): return 1", Timeout=1)
    os.kill(own, signal.SIGSTOP)
    assert lone.result(name) == 1
    os.kill(own, signal.SIGCONT)


def test_a_stopped_sandbox_leaves_no_server(lone):
    own = until(lambda: server_of(lone))
    sandbox.stop()
    assert not alive(own)


def test_a_sandbox_that_is_stopped_at_once(state):
    sandbox.stop()
    until(lambda: not alive(state["pid"]))


def test_an_emptied_account_keeps_its_server(lone, state):
    own = until(lambda: server_of(lone))
    reset(state)
    assert until(lambda: server_of(lone)) == own


# -- the setting -------------------------------------------------------------------------------------------------------


def test_the_setting_chooses(lone, state):
    own = until(lambda: server_of(lone))
    assert lone.settings(warm_processes=False)["warm_processes"] is False
    assert parent(lone, lone.create(WHOSE_CHILD)) == state["pid"]
    lone.settings(warm_processes=True)
    assert parent(lone, lone.create(WHOSE_CHILD)) == own
    for wrong in (1, "yes", None):
        with pytest.raises(urllib.error.HTTPError) as refused:
            lone.settings(warm_processes=wrong)
        assert json.load(refused.value)["message"] == "warm_processes must be true or false."


@pytest.fixture
def without_forks(monkeypatch):
    monkeypatch.setenv("WORKSHOP_WARM_PROCESSES", "0")


def test_a_sandbox_without_forks(without_forks, lone, state):
    assert lone.settings()["warm_processes"] is False
    assert parent(lone, lone.create(WHOSE_CHILD)) == state["pid"]
    reset(state)
    assert lone.settings()["warm_processes"] is False
    lone.settings(warm_processes=True)
    until(lambda: server_of(lone))


def test_many_at_once_while_the_server_is_not_yet_ready(lone):
    """Some get new interpreters and some get forks; nobody waits for the other and nobody fails."""
    names = [lone.create("import boto3, os\ndef handler(event, context): return event") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: lone.result(names[number], number), range(8))) == list(range(8))


@pytest.mark.parametrize("error", [OSError(errno.ENOSYS, "Function not implemented"), AttributeError()])
def test_a_system_that_cannot_watch_processes_has_new_interpreters(monkeypatch, error):
    """Kernels before 5.3, and systems that only look like Linux."""

    def refuse(pid):
        raise error

    monkeypatch.setattr(os, "pidfd_open", refuse)
    keeper = forks.Keeper(dict)
    keeper.start()
    assert keeper.ready is None and keeper._thread is None
