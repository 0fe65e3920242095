"""The HTTP server in front of the sandbox's application: uvicorn, with the parser httptools.

A call takes a third less of the sandbox's time than with hypercorn, whose parser is pure Python and which MiniStack
itself uses. Three things are not as uvicorn has them: when it ends is ours to say, a request's head has a limit, and
uvicorn's command line is not loaded. Websockets are off: no service of ours speaks them, and a request for one is
answered as any other is.
"""

import asyncio
import importlib.util
import sys

MOST_HEAD_BYTES = 2**16  # of a request's head; boto3's longest, with a session token, has some 3 KB


async def serve(application, listener, stopped, stop):
    """Answer requests until it is time to end.

    application: an ASGI application. listener: a listening socket. stopped: called once requests are answered, returns
    an awaitable that is done when it is time to end. stop: called, in the loop, where a signal asks for the end.
    """
    uvicorn = _uvicorn()
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    from uvicorn.server import Server

    loop = asyncio.get_running_loop()

    class Ours(Server):
        async def main_loop(self):
            await stopped()

        def handle_exit(self, *_):
            loop.call_soon_threadsafe(stop)

    class Bounded(HttpToolsProtocol):
        """Refuses a request whose head does not end."""

        _head = 0  # bytes of a head that has not ended; a part of another message may be among them
        _in_head = True

        def data_received(self, data):
            super().data_received(data)
            self._head = self._head + len(data) if self._in_head else 0
            if self._head > MOST_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The request's head is too long.")

        def on_message_begin(self):
            super().on_message_begin()
            self._in_head = True

        def on_headers_complete(self):
            self._in_head = False
            super().on_headers_complete()

    config = uvicorn.Config(
        application, http=Bounded, ws="none", interface="asgi3", lifespan="on", backlog=1024, timeout_keep_alive=75,
        timeout_graceful_shutdown=0.5, log_config=None, log_level="error", access_log=False, proxy_headers=False,
        server_header=False, date_header=False,
    )  # fmt: skip
    await Ours(config).serve([listener])


def hang_up(send):
    """Close the connection of a request without an answer, which ASGI has no message for. send: of the request."""
    request = send.__self__  # uvicorn's, which then takes its caller for gone
    request.disconnected = True
    request.transport.close()


def _uvicorn():
    """The package uvicorn, without what its own first lines import: its command line, most of the time it takes."""
    package = importlib.util.module_from_spec(importlib.util.find_spec("uvicorn"))
    sys.modules["uvicorn"] = package
    from uvicorn.config import Config

    package.Config = Config  # other modules of uvicorn take it from there
    return package
