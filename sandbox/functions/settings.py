"""What can be set about functions and events, at PUT /_sandbox/functions; GET shows it.

Everything has a value after the account was emptied, too: the one it had at the start.
"""

from dataclasses import asdict, dataclass, field

from . import memory

_LIMITS = {
    "retry_seconds": (0, 21_600),
    "delivery_retry_seconds": (0, 3600),
    "processes_per_function": (1, 1000),
    "processes": (1, 1000),
    "idle_seconds": (1, 86_400),
}


class InvalidSettings(ValueError):
    """A value that cannot be set; the message says which and why, in one sentence."""


@dataclass
class Settings:
    # How long an asynchronous invocation that failed waits for its first and its second retry; on AWS about one and
    # two minutes (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html).
    retry_seconds: tuple = (1, 2)
    # How long EventBridge waits before it tries a target again: so long at first, then twice as long each time. AWS
    # says "exponential back-off and jitter" and no numbers.
    delivery_retry_seconds: float = 1
    processes_per_function: int = 4
    processes: int = field(default_factory=memory.processes)
    idle_seconds: float = 300
    warm_processes: bool = True  # whether processes may be forks; see processes.py


settings = Settings()
_at_the_start = Settings()


def get():
    """The settings, as a dict."""
    return asdict(settings)


def set_some(wanted):
    """Set some of them. wanted: a dict. Raises InvalidSettings, and then sets none."""
    if not isinstance(wanted, dict):
        raise InvalidSettings("The settings must be an object.")
    for name, value in wanted.items():
        if name not in asdict(settings):
            raise InvalidSettings(f"There is no setting {name!r}; there are {', '.join(asdict(settings))}.")
        if name == "warm_processes":
            if not isinstance(value, bool):
                raise InvalidSettings("warm_processes must be true or false.")
            continue
        numbers = value if name == "retry_seconds" else [value]
        if name == "retry_seconds" and (not isinstance(value, list | tuple) or len(value) != 2):
            raise InvalidSettings("retry_seconds must be a list of two numbers.")
        least, most = _LIMITS[name]
        if not all(type(number) in (int, float) and least <= number <= most for number in numbers):
            raise InvalidSettings(f"{name} must be a number from {least} to {most}.")
    for name, value in wanted.items():
        setattr(settings, name, value)


def start_with(wanted):
    """Set some for good: emptying the account brings them back. Raises InvalidSettings."""
    global _at_the_start
    set_some(wanted)
    _at_the_start = Settings(**asdict(settings))


def reset():
    vars(settings).update(asdict(_at_the_start))
