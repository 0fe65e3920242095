"""AWS Database Migration Service for the sandbox: no engine had one that does the work.

  service.py     the operations that boto3's `dms` client calls, those of replication tasks among them
  resources.py   endpoints, replication instances, connections, tags
  wire.py        errors, validation, paging, filters
  migration.py   a replication task, and what happens when it runs
  tables.py      CSV files, external table definitions and table mappings; pure
  settings.py    the settings document of a task
  access.py      reading S3 and writing DynamoDB with an endpoint's role
  events.py      state changes on the default event bus; faults in their delivery and in calls

All state lives on the event loop that serves MiniStack's requests, and a running task is a coroutine there. The
modules, and botocore's model of DMS, are loaded when the first request comes: that costs 150 ms and 12 MB.
"""

_PREFIX = "AmazonDMSv20160101"  # of X-Amz-Target

# Errors that no call of AWS's answers with, since Step Functions itself refuses what a state names wrongly.
_REFUSED_BY_STEP_FUNCTIONS = dict.fromkeys(("UnknownOperationException", "UnknownParameterException"), "States.Runtime")


def install():
    """Add the service to MiniStack: its requests, its IAM actions, and aws-sdk:databasemigration in state machines."""
    from ministack import app
    from ministack.core import router

    app.SERVICE_HANDLERS["dms"] = _handle_request
    router.SERVICE_PATTERNS["dms"] = {"target_prefixes": [_PREFIX]}
    _add_iam_actions()
    get_module = app._get_module

    def get_module_with_dms(name):
        module = get_module(name)
        if name == "stepfunctions" and "databasemigration" not in module._AWS_SDK_SERVICE_MAP:
            info = {"target_prefix": _PREFIX, "protocol": "json", "service_key": "dms"}
            module._AWS_SDK_SERVICE_MAP["databasemigration"] = info
            module._AWS_SDK_ERROR_PREFIX["databasemigration"] = "DatabaseMigration"
            module._AWS_SDK_ERROR_CODE_OVERRIDES["databasemigration"] = _REFUSED_BY_STEP_FUNCTIONS
        return module

    app._get_module = get_module_with_dms  # Step Functions is loaded at its first request


def _add_iam_actions():
    from ministack.core import iam_actions

    resource_arn = iam_actions.extract_resource_arn
    denied = iam_actions.access_denied_response

    def extract_resource_arn(name, method, path, headers, body, query_params, region, account_id):
        if name == "dms":
            from sandbox.dms import wire

            return wire.iam_resource(body, headers, region, account_id)
        return resource_arn(name, method, path, headers, body, query_params, region, account_id)

    def access_denied_response(name, *args, **kwargs):
        # DMS words a denial as SSM does: JSON 1.1, status 400, the resource named.
        return denied("ssm" if name == "dms" and not kwargs.get("error_code") else name, *args, **kwargs)

    iam_actions.SERVICE_TO_IAM_NAMESPACE["dms"] = "dms"
    iam_actions.extract_resource_arn = extract_resource_arn
    iam_actions.access_denied_response = access_denied_response


async def _handle_request(*request):
    from sandbox.dms import service

    return await service.handle_request(*request)


def reset():
    """Empty the account: endpoints, instances, tasks, and the plan of faults. May be called from any thread."""
    from sandbox.dms import service

    service.reset()


def tags():
    """The tags of everything of DMS in the account: {ARN: {key: value}}."""
    from sandbox.dms import resources

    return resources.account.tags


def get_faults():
    """How events and calls go wrong on purpose, a list: see events.checked_fault."""
    from sandbox.dms import events

    return events.get_faults()


def checked_fault(fault, where):
    """A fault that can be added: see events.checked_fault. Raises ValueError with one clear sentence."""
    from sandbox.dms import events

    return events.checked_fault(fault, where)


def add_fault(fault):
    """Let events or calls go wrong; returns the fault's id."""
    from sandbox.dms import events

    return events.add_fault(fault)


def end_faults(meant):
    """End the faults of which `meant` is true; returns them."""
    from sandbox.dms import events

    return events.end_faults(meant)
