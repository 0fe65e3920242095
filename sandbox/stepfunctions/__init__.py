"""Step Functions as AWS has it, around MiniStack's.

MiniStack keeps the state machines, versions, aliases, tags and activities, and does the optimized integrations; this
package runs the executions (`executions`, `states`, `choices`, `tasks` with `integrations`, `sdk` and `roles`, `data`
with `paths`, `templates` and `expressions`), writes their history and their `logs`, answers the calls about them
(`api`), runs single states (`single_state`) and checks definitions (`definitions`).
"""

_loaded = False


def install():
    """Put this package over MiniStack's module once that is loaded: at the first Step Functions request.

    It is loaded lazily because it costs start-up time. Nothing else can need it earlier: rules and schedules only
    start a state machine that a request has created.
    """
    from ministack import app

    get_module = app._get_module

    def get_module_with_ours(name):
        module = get_module(name)
        if name == "stepfunctions" and not _loaded:
            _put_over(module)
        return module

    app._get_module = get_module_with_ours


def _put_over(engine):
    global _loaded
    from . import api, distributed, single_state, tasks

    engine._create_state_machine = api.create_state_machine
    engine._update_state_machine = api.update_state_machine
    engine._delete_state_machine = api.delete_state_machine
    engine._list_executions = api.list_executions
    engine._validate_state_machine_definition = api.validate_state_machine_definition
    engine._start_execution = api.start_execution
    engine._start_sync_execution = api.start_sync_execution
    engine._stop_execution = api.stop_execution
    engine._describe_execution = api.describe_execution
    engine._get_execution_history = api.get_execution_history
    engine._get_activity_task = api.get_activity_task
    engine._run_sub_machine = distributed.run_child
    engine._test_state = single_state.test_state
    engine._send_task_success = tasks.send_task_success
    engine._send_task_failure = tasks.send_task_failure
    engine._send_task_heartbeat = tasks.send_task_heartbeat
    _loaded = True


def reset():
    """Forget what runs and every token; MiniStack's own reset forgets the records."""
    if not _loaded:
        return
    from . import executions, sdk, tasks

    sdk.reset()
    for execution in list(executions.running.values()):
        execution.discard()
    tasks.tokens.clear()
