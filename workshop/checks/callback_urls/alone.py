"""Exercise 1's file alone: whether a fault that a later exercise has seen is one of `callbacks.py`.

What later exercises make stands around that file. Exercise 1's check looks at what becomes of an order, so it would
find their faults, too. Here its two functions are called with nothing around them, and in two processes, as they will
be: beside the other files of `submit`, and beside those of `callback`.
"""

import contextlib
import dataclasses
import secrets
from collections.abc import Sequence
from pathlib import Path

from workshop import clients, deploy
from workshop.checking.exercises import Case, Draw, Exercise, contract, require_earlier
from workshop.checking.explorations import code_of
from workshop.checking.outcomes import NotAttempted
from workshop.checking.resources import Invoked, invoke
from workshop.checking.submitting import gives_away, twice_at_once
from workshop.checking.waiting import side_by_side

CALLS = """
from callbacks import open_callback, token_of


def lambda_handler(event, context):
    if "CallbackId" in event:
        return token_of(event["CallbackId"])
    return open_callback(event["Execution"], event["TaskToken"], event["Attempt"])
"""
MAY_READ = ("dynamodb:GetItem",)
MAY = {"submit": (*MAY_READ, "dynamodb:UpdateItem"), "callback": MAY_READ}  # as the lab's own functions
ENTERED = "2026-12-01T12:00:00.000Z"


@dataclasses.dataclass(frozen=True)
class Called:
    """What came of calls for one execution.

    tokens: with which it was opened. opened: what open_callback returned each time. found: what token_of said of the
    address that came first, after each of them; of "nobody", of an address that nobody has.
    """

    about: str
    tokens: Sequence[str] = ()
    opened: Sequence[Invoked] = ()
    found: Sequence[Invoked] = ()

    @property
    def evidence(self) -> list[str]:
        calls = {"open_callback": self.opened, "token_of": self.found}
        return [f"{name} {each.in_words()}" for name, all_of_it in calls.items() for each in all_of_it if each.error]


class Alone(Exercise):
    cases = {
        "again": Case("a state that was retried with a new token"),
        "at once": Case("two calls at the same moment", needs_sandbox=True),
        "nobody": Case("an address that nobody has"),
    }

    def observe(self, lab, draw, cases):
        plays = {"again": self._again, "at once": self._at_once, "nobody": self._nobody}
        opens, finds = (lab.name(f"check-{thing}-alone") for thing in MAY)
        try:
            side_by_side(*(lambda thing=thing: _deploy_alone(lab, thing) for thing in MAY))
            arns = [deploy.arn("states", f"execution:{lab.name('check')}:{secrets.token_hex(16)}") for _ in cases]
            played = [
                lambda name=name, arn=arn: plays[name](self.cases[name].about, arn, opens, finds)
                for name, arn in zip(cases, arns, strict=True)
            ]
            return dict(zip(cases, side_by_side(*played), strict=True))
        finally:
            for name in (opens, finds):
                with contextlib.suppress(clients.of("lambda").exceptions.ResourceNotFoundException):
                    clients.of("lambda").delete_function(FunctionName=name)

    @staticmethod
    def _again(about, arn, opens, finds):
        tokens, opened, found = [_token(), _token()], [], []
        for number, token in enumerate(tokens):
            event = {"Execution": arn, "TaskToken": token, "Attempt": f"{ENTERED} {number:03}"}
            opened.append(invoke(opens, event))
            found.append(invoke(finds, {"CallbackId": opened[0].result}))
        return Called(about, tokens, opened, found)

    @staticmethod
    def _at_once(about, arn, opens, finds):
        event = {"Execution": arn, "TaskToken": _token(), "Attempt": f"{ENTERED} 000"}
        return Called(about, [event["TaskToken"]], twice_at_once(arn, lambda: invoke(opens, event)))

    @staticmethod
    def _nobody(about, arn, opens, finds):
        return Called(about, found=[invoke(finds, {"CallbackId": secrets.token_urlsafe(32)})])

    @contract("Nothing that the vendor gets contains the token.", cases="again")
    def keeps_the_token(self, seen: Called):
        for opened in seen.opened:
            if opened.error or not isinstance(opened.result, str):
                returned = f"returned {opened.result!r}" if not opened.error else opened.in_words()
                return f"open_callback was called, and {returned}."
            if gives_away(opened.result, seen.tokens):
                return "The address that open_callback returned contains the token."

    @contract(
        "Called again for the same execution, also at the same moment, it returns the same address. An "
        "attempt that comes after a later one may raise instead.",
        cases="again, at once",
    )
    def keeps_the_address(self, seen: Called):
        if failed := next((opened for opened in seen.opened if opened.error), None):
            return f"open_callback was called twice for one execution, and one of them {failed.in_words()}."
        if len({str(opened.result) for opened in seen.opened}) > 1:
            return f"In the case of {seen.about}, open_callback returned two addresses for one execution."

    @contract(
        "`token_of` returns the token behind an address, and `None` for an address that nobody has.",
        cases="again, nobody",
    )
    def finds_the_token(self, seen: Called):
        if failed := next((found for found in seen.found if found.error), None):
            return f"token_of was asked about {self._asked(seen)}, and {failed.in_words()}."
        wanted = seen.tokens[0] if seen.tokens else None
        if seen.found[0].result != wanted:
            return f"token_of was asked about {self._asked(seen)}, and returned {_named(seen.found[0].result)}."

    @contract(
        "The address leads to the token of the latest attempt, in whatever order their functions begin and end.",
        cases="again",
    )
    def finds_the_latest(self, seen: Called):
        if seen.found[-1].result != seen.tokens[-1]:
            old = seen.found[-1].result == seen.tokens[0]
            returned = "the token of the attempt before" if old else _named(seen.found[-1].result)
            return f"In the case of {seen.about}, token_of returned {returned}."

    @staticmethod
    def _asked(seen):
        return "the address that open_callback had returned" if seen.tokens else "an address that nobody has"


def require_addresses(lab, draw: Draw):
    """Raise a NotYet where `callbacks.py` itself is at fault; for a check that has seen a fault."""
    require_earlier(lab, draw, 1, Alone(), [*Alone.cases])


def _deploy_alone(lab, thing):
    """Deploy the files of one of the learner's functions with nothing but `callbacks.py` called."""
    with code_of(lab, thing) as (folder, environment):
        modules = [str(path) for path in Path(folder).glob("*.py") if path.name != "lambda_function.py"]
        table = deploy.arn("dynamodb", f"table/{environment['TABLE']}")
        made = deploy.function(
            lab.name(f"check-{thing}-alone"),
            CALLS,
            modules=modules,
            permissions=dict.fromkeys(MAY[thing], table),
            environment=environment,
        )
    if made is None:
        raise NotAttempted(f"A file of {lab.name(thing)} is still blank.")


def _token():
    return secrets.token_urlsafe(300)


def _named(answer):
    return "None" if answer is None else f"{str(answer)[:20]!r}, which is no token of it"
