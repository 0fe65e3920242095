"""Start the sandbox: `python -m sandbox`, from the checkout, with the sandbox's own Python.

It reads one JSON object from standard input:

    {"state": path of a folder for its log, temporary files and state file,
     "port": the port to take if it is free (0: any),
     "access_key_id": ..., "secret_access_key": ...   the learner's key, made by the caller,
     "idle_seconds": how long it lives on when nobody holds it and no request comes,
     "functions": settings of functions from the start on (sandbox/functions/settings.py)}

and, once it answers requests, writes one JSON line to standard output: what `workshop sandbox status` shows.
Keys come by standard input since arguments and environments can be read by other processes.
"""

import asyncio
import gc
import json
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from sandbox import ACCOUNT, REGION
from sandbox.engine import settings


def main():
    order = json.loads(sys.stdin.readline())
    folder = Path(order["state"])
    _log_to(folder / "sandbox.log")
    temporary = _own_temporary_folder(folder / "tmp")
    listener = _listen(order.get("port") or 0)
    port = listener.getsockname()[1]
    # All of this must be in place before MiniStack is imported: it reads its settings once.
    inherited = {name: value for name, value in os.environ.items() if name in _HANDLERS_MAY_SEE}
    os.environ.clear()
    os.environ.update(inherited)
    os.environ.update(settings(port, order["access_key_id"], order["secret_access_key"], temporary))
    state = {
        "endpoint": f"http://127.0.0.1:{port}",
        "pid": os.getpid(),
        "log": str(folder / "sandbox.log"),
        "account": ACCOUNT,
        "region": REGION,
        "access_key_id": order["access_key_id"],
        "secret_access_key": order["secret_access_key"],
    }
    gc.disable()  # while modules are loaded, which are not to be collected
    asyncio.run(_serve(listener, state, folder / "state.json", temporary, order))
    # At once: threads of executions that still wait must not keep a stopped sandbox alive.
    sys.stderr.flush()
    os._exit(0)


# What a handler's process inherits from the learner's shell. Nothing of AWS: a profile or a key of a real
# account must never reach code that is meant for the sandbox.
_HANDLERS_MAY_SEE = {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "SYSTEMROOT", "COMSPEC", "PATHEXT", "USERPROFILE"}


def _log_to(path):
    """Send standard error (where MiniStack and Python report) to the log file, which starts anew each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())


def _own_temporary_folder(path):
    """An empty folder for everything temporary, handlers' code included.

    MiniStack leaves folders behind when it is killed; here they are found and cleared by the next start.
    """
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    tempfile.tempdir = str(path)
    return path


def _listen(port):
    """A listening socket on the loopback interface: on `port` if that is free, on any free port otherwise."""
    for candidate in dict.fromkeys((port, 0)):
        # The protocol is named since asyncio turns Nagle's algorithm off only where it is: 40 ms for each request.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if os.name != "nt":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", candidate))
            listener.listen(1024)
        except OSError:
            listener.close()
            continue
        return listener
    raise SystemExit("No port of the loopback interface is free.")


async def _serve(listener, state, state_file, temporary, order):
    from sandbox import engine, functions
    from sandbox.control import Control
    from sandbox.gateway import Gateway
    from sandbox.server import serve

    def clear_away():
        engine.stop()
        shutil.rmtree(temporary, ignore_errors=True)

    control = Control(state, order.get("idle_seconds", 60), engine.reset, clear_away)
    functions.start_with(order.get("functions", {}))
    application = Gateway(engine.load(), control, state, begin=functions.warm_up)
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)  # a request makes many objects and few cycles: each 700 took 7 % of the time
    gc.enable()

    async def announce():
        await control.started.wait()
        partial = state_file.with_suffix(".new")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(state))
        os.replace(partial, state_file)
        print(json.dumps(state), flush=True)
        os.close(sys.stdout.fileno())

    announcing = asyncio.create_task(announce())
    await serve(application, listener, control.stopped, control.stop)
    announcing.cancel()


if __name__ == "__main__":
    main()
