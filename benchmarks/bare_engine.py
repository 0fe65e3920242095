"""MiniStack alone, to compare the sandbox with: the same settings and server, nothing of ours over it.

Run with the sandbox's Python; prints its port as soon as it answers, and ends with its standard input.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import threading

from sandbox.__main__ import _listen
from sandbox.engine import settings


def main(key, secret):
    listener = _listen(0)
    port = listener.getsockname()[1]
    temporary = tempfile.mkdtemp(prefix="bare-engine-")
    os.environ.update(settings(port, key, secret, temporary))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)

    from ministack import app
    from ministack.core import lambda_runtime

    from sandbox.server import serve

    def wait_for_the_end():
        sys.stdin.read()
        lambda_runtime.reset()
        shutil.rmtree(temporary, ignore_errors=True)
        os._exit(0)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    print(port, flush=True)
    asyncio.run(serve(app.app, listener, asyncio.Event().wait, wait_for_the_end))


if __name__ == "__main__":
    main(*sys.argv[1:])
