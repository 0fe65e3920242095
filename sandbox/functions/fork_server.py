"""A warm process from which handlers' processes are forked (Linux only): a script of its own, as runtime.py is.

Most of what a handler's process does before it serves is to import boto3. This process does that once, and each fork
of it begins there. `forks.py` starts it, with the number of its socket and the sandbox's process id as arguments.

It has one thread, which it makes sure of before each fork: a lock that another thread holds at that moment would stay
locked in the child for ever. It holds no credentials and no code of a function: what a child must know comes through
the child's own pipe.

Each packet on the socket is one JSON object:

    to it     {"id": 7}, with three descriptors: the child's stdin, stdout and stderr
    from it   {"ready": [names of modules]}   top-level modules that were asked for here, also in vain, and that a new
                                              interpreter would not have asked for yet
              {"id": 7, "pid": 4711}          from the child, once it leads its own session
              {"id": 7, "status": 0}          once the child has ended: its exit status, or minus the signal
              {"id": 7, "refused": "..."}     there is no child, and why

It ends when its socket does, as that does with the sandbox. Before, it kills its children and what they started: the
system would end the children with it, but not a program of theirs that is frozen.
"""

import os
import sys

_RUNTIME = os.path.join(os.path.dirname(os.path.abspath(__file__)), "runtime.py")


def _top_level_modules():
    return {name.partition(".")[0] for name in sys.modules}


def _runtime_as_main():
    """runtime.py as the module `__main__`, which it is in a new interpreter; its last lines start nothing here."""
    script = sys.modules["__main__"]
    module = type(sys)("__main__")
    module.__dict__.update({name: value for name, value in vars(script).items() if name.startswith("__")})
    module.__file__, module.__loader__ = _RUNTIME, type(script.__loader__)("__main__", _RUNTIME)
    if "__annotations__" in vars(module):
        module.__annotations__ = {}  # of its own
    sys.modules["__main__"] = module
    with open(_RUNTIME, "rb") as file:
        exec(compile(file.read(), _RUNTIME, "exec"), module.__dict__)
    return module


runtime = _runtime_as_main()
of_a_new_interpreter = _top_level_modules()

# Everything below counts as imported beyond that, what this script itself needs too.
import contextlib  # noqa: E402
import gc  # noqa: E402
import io  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import select  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

# The services whose models are read beforehand: those that handlers of this workshop call.
SERVICES = ("dynamodb", "stepfunctions", "lambda", "events", "sqs", "s3", "dms")


def main(descriptor, sandbox):
    runtime.die_with(sandbox)  # while it loads; later it must end others before it ends
    gc.disable()  # so that nothing is collected between here and the freeze but at once, below
    channel = socket.socket(fileno=descriptor)
    channel.set_inheritable(False)
    asked = Asked()
    sys.meta_path.insert(0, asked)
    session = _warm()
    sys.meta_path.remove(asked)
    gc.collect()
    gc.freeze()  # or the first collection of each child would copy all pages that it shares
    runtime.signal_at_death_of_parent(signal.SIGCONT)  # so that it sees the socket's end should it have been stopped
    _tell(channel, {"ready": sorted((_top_level_modules() | asked.names) - of_a_new_interpreter)})
    _serve(channel)  # returns in children only
    _begin(session)


class Asked:
    """A finder that finds nothing, and notes the top-level names of what is asked for.

    boto3 does without some modules that are not there: in a child it would do without those that a function brings.
    """

    def __init__(self):
        self.names = set()

    def find_spec(self, name, path=None, target=None):
        self.names.add(name.partition(".")[0])


def _warm():
    """Import what handlers import; returns boto3's default session, which knows the models of the services."""
    import boto3
    import botocore.session

    with contextlib.suppress(ImportError):
        import aws_durable_execution_sdk_python  # noqa: F401
    boto3.setup_default_session()
    session = boto3.DEFAULT_SESSION._session
    loader = session.get_component("data_loader")
    for service in SERVICES:
        # By sessions that end here: the default one must not look for credentials or a Region before a child does.
        reader = botocore.session.Session()
        reader.register_component("data_loader", loader)
        reader.create_client(
            service, region_name="us-east-1", endpoint_url="http://127.0.0.1:1",
            aws_access_key_id="none", aws_secret_access_key="none",
        )  # fmt: skip
    loader.list_available_services("resources-1")
    loader.load_service_model("dynamodb", "resources-1", None)
    return session


def _serve(channel):
    """Fork a child for each request. Returns in a child; this process itself ends here."""
    server = os.getpid()
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    children = {}  # descriptor that says when it ends -> (process id, id of the request)
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        for ended in children.keys() & ready:
            poll.unregister(ended)
            os.close(ended)
            pid, identity = children.pop(ended)
            _kill(pid)
            _tell(channel, {"id": identity, "status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])})
        if channel.fileno() not in ready:
            continue
        identity, pipes = _next_request(channel)
        if identity is None:
            for pid, _ in children.values():
                _kill(pid)
            os._exit(0)
        pid = _fork(channel, identity, pipes)
        if pid == 0:
            runtime.die_with(server)
            os.setsid()
            for number, pipe in enumerate(pipes):
                os.dup2(pipe, number)
            _tell(channel, {"id": identity, "pid": os.getpid()})
            channel.close()
            for descriptor in (*children, *pipes):
                os.close(descriptor)
            return
        for pipe in pipes:
            os.close(pipe)
        if pid:
            try:
                ending = os.pidfd_open(pid)
            except OSError:  # too many open files
                _kill(pid)
                os.waitpid(pid, 0)
                _tell(channel, {"id": identity, "status": -signal.SIGKILL})
            else:
                poll.register(ending, select.POLLIN)
                children[ending] = pid, identity


def _next_request(channel):
    """(its id, the descriptors that came with it); (None, []) where the sandbox has closed the socket."""
    with contextlib.suppress(OSError):
        packet, pipes, _, _ = socket.recv_fds(channel, 4096, 3)
        if packet:
            return json.loads(packet)["id"], pipes
    return None, []


def _kill(pid):
    """Kill a child, which may have ended but is not reaped, and all that it started."""
    for kill in (os.kill, os.killpg):  # it may not lead its session yet
        with contextlib.suppress(OSError):
            kill(pid, signal.SIGKILL)


def _fork(channel, identity, pipes):
    """0 in the child, its process id here, None where there is none."""
    threads = len(os.listdir("/proc/self/task"))
    refused = None
    if threads != 1:
        refused = f"the fork server has {threads} threads"
    elif len(pipes) != 3:
        refused = "the fork server has too many open files"
    else:
        try:
            return os.fork()
        except OSError as error:
            refused = str(error)
    _tell(channel, {"id": identity, "refused": refused})
    return None


def _tell(channel, what):
    try:
        channel.send(json.dumps(what).encode())
    except OSError:  # the sandbox is gone, as whoever reads next from this socket sees
        with contextlib.suppress(OSError):
            channel.shutdown(socket.SHUT_RDWR)


def _begin(session):
    """In a child: have everything that a new interpreter would have of its own, then be the runtime."""
    gc.enable()
    for number, name in ((1, "stdout"), (2, "stderr")):
        # As `python -u` makes them. The server's were made for what it writes to, which may be a file.
        raw = io.FileIO(number, "w", closefd=False)
        raw.name = f"<{name}>"
        stream = io.TextIOWrapper(raw, encoding="utf-8", newline="\n", write_through=True)
        stream.mode = "w"
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    requests, answers = runtime.take_the_pipes()
    first = requests.readline()
    if not first:
        os._exit(1)  # whoever asked for this process does not want it any more
    setup = json.loads(first)
    coerced = {name: os.environ[name] for name in ("LC_CTYPE",) if name in os.environ}  # by Python itself (PEP 538)
    threading.main_thread()._set_native_id()  # the server's until then (Python renews its others)
    os.environ.clear()
    os.environ.update(setup["environment"] | coerced)
    time.tzset()
    os.chdir(setup["code"])
    sys.argv = [_RUNTIME]
    sys.orig_argv = [*sys.orig_argv[: -len(_ARGUMENTS) - 1], _RUNTIME]
    # In nanoseconds from Python 3.13 on.
    logging._startTime = time.time_ns() if isinstance(logging._startTime, int) else time.time()
    if "multiprocessing.process" in sys.modules:
        sys.modules["multiprocessing.process"].current_process().authkey = os.urandom(32)
    if "tempfile" in sys.modules:
        sys.modules["tempfile"].tempdir = None
    if setup["own_session"]:
        sys.modules["boto3"].DEFAULT_SESSION = None
    else:
        session._register_user_agent_creator()  # it reads AWS_EXECUTION_ENV
        session._config = session._profile_map = None  # the function's code may name another file before it asks
    runtime.run(requests, answers, setup)


_ARGUMENTS = sys.argv[1:]
main(*map(int, _ARGUMENTS))
