"""Lambda functions and their processes as on AWS, around MiniStack's.

MiniStack keeps the functions, versions, aliases, permissions and URLs. This package runs Python handlers:

  requests.py      whose handler sent the request that is being served
  credentials.py   every process has credentials of its own, of the function's role
  invocations.py   one invocation, from the request to the result as Lambda gives it
  asynchronous.py  invocations that nobody waits for: retries, dead-letter queues, destinations
  environments.py  the processes, and how many of them there may be
  processes.py     how a process is started: as a fork of a warm one, or anew
  forks.py         the warm process, from the sandbox's side
  fork_server.py   the warm process itself: a script of its own
  runtime.py       what runs in a handler's process: a script of its own
  logs.py          what it logs, on its way to CloudWatch Logs
  code_urls.py     where a function's code can be downloaded
  settings.py      pauses before retries, numbers of processes
  memory.py        how much memory a process holds, and how many processes there is room for

Whoever invokes a function does it through MiniStack's module `lambda_svc`, looked up there at the time of the call, so
that others can wrap it too:

  _execute_function_with_config_scope(record, event)   run it and wait. Gives {"body": result, "log": text}, with an
                                                       error also "error": True, and {"throttle": True, ...}
  invoke_async_with_retry(record, event)               queue it
  invalidate_worker(name, qualifier, account, region)  its processes are of no use any more

`_execute_function_dispatch(record, config, event, request_id, started)` is where this package takes over. MiniStack's
own `acquire_worker` and `release_worker` have nothing to do with Python functions here.

It is put over MiniStack when the first request to Lambda comes: nothing can invoke a function that does not exist.
"""

_loaded = False


def install():
    from ministack import app

    from . import requests

    requests.install()
    get_module = app._get_module

    def get_module_with_ours(name):
        module = get_module(name)
        if name == "lambda_svc" and not _loaded:
            _put_over(module)
        return module

    app._get_module = get_module_with_ours


def _put_over(engine):
    global _loaded
    from ministack.core import lambda_runtime

    from . import asynchronous, code_urls, credentials, environments, invocations

    invocations.put_over()
    code_urls.put_over(engine)
    asynchronous.put_over()
    engine.execution_credentials = lambda_runtime.execution_credentials = credentials.session
    invalidate = engine.invalidate_worker

    def invalidate_worker(name, qualifier=None, account=None, region=None):
        invalidate(name, qualifier, account, region)
        account, region = account or engine.get_account_id(), region or engine.get_region()
        environments.pool.retire(name, account, region, qualifier)

    engine.invalidate_worker = invalidate_worker
    create, update = engine._create_function, engine._update_config
    engine._create_function = lambda data: _not_assumable(engine, data) or create(data)
    engine._update_config = lambda name, data: _not_assumable(engine, data) or update(name, data)
    engine._LAMBDA_STATE_TRANSITION_DELAY = 0.05  # for which a new function is Pending: nothing is prepared meanwhile
    _loaded = True


def _not_assumable(engine, data):
    """The refusal of a function whose role Lambda may not assume, None if it may or no role is given."""
    from sandbox import permissions

    if "Role" not in data or permissions.trusts(data["Role"], "lambda.amazonaws.com"):
        return None
    message = "The role defined for the function cannot be assumed by Lambda."
    return engine.error_response_json("InvalidParameterValueException", message, 400)


def reset():
    """End every process and forget what is queued."""
    from . import settings

    settings.reset()
    if _loaded:
        from . import asynchronous, environments, processes

        asynchronous.reset()
        environments.pool.clear()
        processes.reset()


def get_settings():
    """The settings, and how many processes there are; see settings.py."""
    from . import settings

    if not _loaded:
        return {**settings.get(), "now": {"processes": 0, "busy": 0, "waiting": 0}}
    from . import environments

    return {**settings.get(), "now": environments.pool.counts()}


def set_settings(wanted):
    """Set some of the settings; see settings.py. Raises ValueError with one clear sentence."""
    from . import settings

    settings.set_some(wanted)


def start_with(wanted):
    """Take the settings that the sandbox is to have from its start on, a dict. Raises ValueError."""
    from . import settings

    settings.start_with(wanted)


def warm_up():
    """Begin, in the background, to make ready what processes of handlers are forked from."""
    from . import processes, settings

    if settings.settings.warm_processes:
        processes.warm_up()


def stop():
    """End every process: nothing of the sandbox outlives it."""
    from . import processes

    reset()
    processes.stop()
