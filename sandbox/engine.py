"""MiniStack, set up as the workshop's account: which services, which settings, what of ours stands over it.

MiniStack does Lambda, DynamoDB, EventBridge, API Gateway, S3, SQS, SNS, IAM, STS, Scheduler, Logs and Step Functions
in one process without Docker. Each module listed in `MENDED` replaces a part of it that AWS does differently,
or adds a service it lacks. An installed package is never edited: MiniStack looks its own functions up when it
calls them, so replacing a name in a module is enough, and the pinned version keeps such a name from moving.
"""

import importlib
import os

from sandbox import ACCOUNT, REGION

# MiniStack's names for the services that the workshop uses; all others are refused.
SERVICES = (
    "apigateway", "cloudformation", "dynamodb", "events", "iam", "lambda", "logs", "monitoring", "s3", "scheduler",
    "sns", "sqs", "states", "sts", "tagging",
)  # fmt: skip

# What is ours, installed in this order.
MENDED = (
    "sandbox.faults", "sandbox.keys", "sandbox.bodies", "sandbox.permissions", "sandbox.logs", "sandbox.functions",
    "sandbox.function_urls", "sandbox.events", "sandbox.schedules", "sandbox.topics", "sandbox.alarms", "sandbox.dms",
    "sandbox.stepfunctions", "sandbox.durable", "sandbox.http_apis", "sandbox.tagging",
    "sandbox.cloudformation", "sandbox.policies", "sandbox.authorization",
)  # fmt: skip


def settings(port, access_key_id, secret_access_key, temporary):
    """The environment in which MiniStack is to be imported, as a dict of strings.

    Handlers' processes inherit it too, with their role's credentials in place of the learner's.
    """
    return {
        "GATEWAY_PORT": str(port),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AUTH": "true",  # policies are evaluated, signatures checked
        "AWS_ACCESS_KEY_ID": access_key_id,
        "AWS_SECRET_ACCESS_KEY": secret_access_key,
        # No file of a real account is ever read here, by us or by a handler.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SERVICES": ",".join(SERVICES),
        "LAMBDA_EXECUTOR": "local",
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        # Parts that would open a port of their own on every interface.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "TMPDIR": str(temporary),
        "TEMP": str(temporary),
        "TMP": str(temporary),
        "LOG_LEVEL": "INFO",
    }


def load():
    """Import MiniStack, put our modules over it, and give its ASGI application."""
    from ministack import app

    for name in MENDED:
        importlib.import_module(name).install()
    return app.app


def reset():
    """Empty the account: every resource of every service, running executions included."""
    from ministack import app

    from sandbox import cloudformation

    cloudformation.abandon()  # before: what a stack under way still makes would stay
    app._reset_all_state()
    for name in MENDED:
        importlib.import_module(name).reset()


def stop():
    """End what still runs, and the processes of handlers; nothing of the sandbox outlives it."""
    from ministack.core import lambda_runtime

    from sandbox import durable, faults, functions

    faults.reset()  # what stands at a gate goes on, and so to its end
    durable.stop()
    functions.stop()
    lambda_runtime.reset()
