"""The world outside of a durable function: what its steps do there, and what comes back."""

import json


class ProcessEnded(BaseException):
    """Raised in a process that has crashed: what it still tries to do does not happen."""


class World:
    """What a handler acts on, and what answers its callbacks: derive from it, with a method for each thing it can do.

    A world is made anew for each schedule. Its methods are plain Python; they say with `did` what happens, and with
    `succeed`, `fail` and `heartbeat` they answer callbacks: within a call (then the answer is there before a submitter
    has returned), or with `later`, at a time on the one clock.

        class Shop(World):
            def order(self, item, callback_id):
                self.did("order", item)
                self.later(3600, self.succeed, callback_id, "shipped")

    effects: what happened, in order: a list of tuples, as they were given to `did`.
    modules: {name: object} that a handler's file can import; a property, or set in __init__. None, if nothing is said.
    """

    modules = {}  # noqa: RUF012 -- replaced, never changed

    _play = None
    _made_effects = None

    @property
    def effects(self):
        if self._made_effects is None:
            self._made_effects = []
        return self._made_effects

    def did(self, *effect):
        """Something happened that is seen from outside: ("order", "A-17"). Say so before the world is changed.

        Raises ProcessEnded in a process that has crashed by now: there it does not happen.
        """
        if self._play:
            self._play.happens(effect)
        else:
            self.effects.append(effect)

    def now(self):
        """Seconds since the execution began, on the one clock."""
        return self._bound().seconds()

    def later(self, seconds, do, *arguments):
        """Call do(*arguments) when so many seconds have passed on the one clock."""
        self._bound().later(seconds, lambda: do(*arguments))

    def succeed(self, callback_id, result=None):
        """Answer a callback with success, as SendDurableExecutionCallbackSuccess does.

        result: text or bytes as they are, anything else as JSON.
        Returns whether it was taken: False where it had been answered, has timed out, or its execution is over.
        """
        if result is not None and not isinstance(result, str | bytes):
            result = json.dumps(result)
        return self._bound().answer("succeed", callback_id, result.encode() if isinstance(result, str) else result)

    def fail(self, callback_id, message, error="Error"):
        """Answer a callback with failure; returns whether it was taken. error: the ErrorType."""
        return self._bound().answer("fail", callback_id, (error, message))

    def heartbeat(self, callback_id):
        """A sign of life for a callback; returns whether it was taken."""
        return self._bound().answer("heartbeat", callback_id, None)

    def invoke(self, function, payload):
        """What context.invoke(function, payload) gets: return a result, or raise. By default there is no function."""
        raise LookupError(f"This world has no function {function!r}: give it a method invoke(function, payload).")

    def _bound(self):
        if self._play is None:
            raise RuntimeError("This world is not being played: give its class to explore(..., world=...).")
        return self._play
