"""AWS Database Migration Service for the sandbox: no engine had one that does the work.

  service.py     requests as boto3's `dms` client sends them; endpoints, replication instances, tasks
  migration.py   a replication task, and what happens when it runs
  tables.py      CSV files, external table definitions and table mappings; pure
  settings.py    the settings document of a task
  access.py      reading S3 and writing DynamoDB with an endpoint's role
  events.py      state changes on the default event bus, and faults in their delivery

All state lives on the event loop that serves MiniStack's requests, and a running task is a coroutine there.
"""

from sandbox.dms import service
from sandbox.dms.events import get_faults, set_faults
from sandbox.dms.service import reset

__all__ = ["get_faults", "install", "reset", "set_faults"]

# Names of DMS errors as Step Functions gives them: prefix and naming of the AWS SDK for Java 2. An error that the
# service model does not list has the name of the SDK's base exception there.
# https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
ERRORS_IN_STEP_FUNCTIONS = {
    "AccessDeniedFault": "AccessDeniedException",
    "InvalidResourceStateFault": "InvalidResourceStateException",
    "ResourceAlreadyExistsFault": "ResourceAlreadyExistsException",
    "ResourceNotFoundFault": "ResourceNotFoundException",
    "AccessDeniedException": "DatabaseMigrationException",
    "InvalidParameterCombinationException": "DatabaseMigrationException",
    "InvalidParameterValueException": "DatabaseMigrationException",
    "SerializationException": "DatabaseMigrationException",
    "ValidationException": "DatabaseMigrationException",
    # What a state names that DMS does not have: Step Functions itself refuses it.
    "UnknownOperationException": "States.Runtime",
    "UnknownParameterException": "States.Runtime",
}


def install():
    """Add the service to MiniStack: its requests, its IAM actions, and aws-sdk:databasemigration in state machines."""
    from ministack import app
    from ministack.core import iam_actions, router
    from ministack.services import stepfunctions

    app.SERVICE_HANDLERS["dms"] = service.handle_request
    router.SERVICE_PATTERNS["dms"] = {"target_prefixes": [service.TARGET_PREFIX]}

    iam_actions.SERVICE_TO_IAM_NAMESPACE["dms"] = "dms"
    resource_arn = iam_actions.extract_resource_arn
    denied = iam_actions.access_denied_response

    def extract_resource_arn(name, method, path, headers, body, query_params, region, account_id):
        if name == "dms":
            return service.iam_resource(body, headers, region, account_id)
        return resource_arn(name, method, path, headers, body, query_params, region, account_id)

    def access_denied_response(name, *args, **kwargs):
        # DMS words a denial as SSM does: JSON 1.1, status 400, the resource named.
        return denied("ssm" if name == "dms" and not kwargs.get("error_code") else name, *args, **kwargs)

    iam_actions.extract_resource_arn = extract_resource_arn
    iam_actions.access_denied_response = access_denied_response

    stepfunctions._AWS_SDK_SERVICE_MAP["databasemigration"] = {
        "target_prefix": service.TARGET_PREFIX,
        "protocol": "json",
        "service_key": "dms",
    }
    stepfunctions._AWS_SDK_ERROR_PREFIX["databasemigration"] = "DatabaseMigration"
    stepfunctions._AWS_SDK_ERROR_CODE_OVERRIDES["databasemigration"] = ERRORS_IN_STEP_FUNCTIONS
