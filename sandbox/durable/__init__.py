"""Lambda durable functions as AWS has them, on AWS's own local runner.

The runner (aws-durable-execution-sdk-python-testing) keeps executions, applies checkpoints, fires timers and decides
when a handler is invoked again. MiniStack keeps the functions and runs their handlers. This package puts the two
together behind the Lambda API, and mends what the runner leaves out.

  api.py          requests as boto3's `lambda` client sends them
  executions.py   the runner, with AWS's ARNs, names, invocations, pauses and callbacks
  history.py      an execution's events, written as they happen
  quotas.py       what is too large or too much
  chained.py      `context.invoke`: other functions, durable or not
  notices.py      status changes on the event bus, dead-letter queues
  apis.py         REST APIs in front of a durable function
  functions.py    MiniStack's functions: what is different where they are durable, and one run of a handler

Nothing of the runner is imported before the first durable function starts: that costs 0.3 s and 16 MB. It opens no
socket: its own web server is not used, its executor is called here.
"""

import threading

_lock = threading.Lock()
_service = None


def install():
    """Put this package over MiniStack's Lambda once that is loaded, and teach IAM the actions of durable executions."""
    from ministack import app
    from ministack.core import iam_actions

    from . import api, apis, functions

    put_over = {
        "lambda_svc": (functions.put_over, api.put_over),
        "iam": (functions.put_over_iam,),
        "apigateway_v1": (apis.put_over,),
    }
    get_module = app._get_module

    def get_module_with_ours(name):
        module = get_module(name)
        for put in put_over.pop(name, ()):
            put(module)
        return module

    app._get_module = get_module_with_ours
    api.put_over_actions(iam_actions)


def service():
    """The executions of this account; the first call loads the runner and starts it."""
    global _service
    with _lock:
        if _service is None:
            from .executions import Executions

            _service = Executions()
        return _service


def reset():
    """Empty the account: every execution ends where it is, and nobody waits for it any longer."""
    global _service
    with _lock:
        ended, _service = _service, None
    if ended is not None:
        ended.close()


def stop():
    """The sandbox ends. Executions that still wait are named in its log; they are lost."""
    if _service is not None:
        _service.say_who_waits()
    reset()
