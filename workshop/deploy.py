"""Put a function, a state machine or a table into the account: all that surrounds the code you write.

Every call creates the resource or replaces the one of that name, so a cell can be run again. A function and a state
machine keep their ARN when they are replaced. Roles get exactly the permissions that are named, and no more.
"""

import ast
import base64
import functools
import hashlib
import importlib.util
import io
import json
import textwrap
import threading
import time
import tokenize
import zipfile
from contextlib import suppress
from pathlib import Path

from botocore.exceptions import ClientError, WaiterError

from workshop import account, clients, records, sandbox
from workshop.names import BOUNDARY, tags_of

RUNTIME = "python3.13"
# How many seconds `function` and `state_machine` wait on AWS after a change of permissions. It takes time until such
# a change is felt, and nothing tells when it is:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
SPREAD_SECONDS = 10
KEPT_DAYS = 7  # logs, and what durable executions did
_parsing = threading.Lock()

# What AWS says while something that a call builds on is still on its way: a role that was just made has not spread to
# all services yet, a state machine or a replication task of that name has not ended yet.
_NOT_YET = (
    "is not configured properly",  # what DMS says of a role
    "TestConnectionSucceeds failed",  # of a connection whose role may not do yet what it may
    "cannot be assumed by Lambda",
    "authorized to assume the provided role",
    "must allow AWS EventBridge Scheduler to assume the role",
    "StateMachineDeleting",
    "InvalidResourceStateFault",
)


# How the comment of a line begins where a lab has left something to write.
BLANK = "# your answer"
# The functions that labs left to be written, in files, before there was that comment.
_LEFT_BLANK_BEFORE = frozenset(
    ("lambda_handler", "answer", "open_callback", "token_of", "signed_body", "ask", "migrated", "tell", "checked")
)


class DeployError(Exception):
    """It cannot be deployed; the message says why."""

    def _render_traceback_(self):
        return [str(self)]


def arn(service, resource):
    """The ARN of a resource of this account: arn("dynamodb", "table/you-01-airports")."""
    account.require()
    return f"arn:aws:{service}:{clients.region()}:{clients.account_id()}:{resource}"


def role(name, service, permissions):
    """A role for `service` ("lambda", "states", "dms"), with exactly these permissions; gives its ARN.

    permissions: {action: resource or list of resources}, as in {"dynamodb:PutItem": table_arn}; may be empty or None.
    On AWS it takes some seconds until a change of permissions is felt everywhere: `function` and `state_machine` wait
    for it. Where the account has a boundary for the roles of the labs, a new role carries it: it may do no more than
    both allow.
    """
    account.require()
    iam = clients.of("iam")
    trust = _policy({"Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"})
    try:
        boundary = _boundary(iam)
        bound = {"PermissionsBoundary": boundary} if boundary else {}
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, Tags=tag_list(name), **bound)
    except iam.exceptions.EntityAlreadyExistsException:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust)
        made = iam.get_role(RoleName=name)
    if permissions:
        statements = [{"Action": action, "Resource": resource} for action, resource in permissions.items()]
        policy = _policy(*statements)
        if sandbox.in_use() or _permissions_of(iam, name) != json.loads(policy):
            iam.put_role_policy(RoleName=name, PolicyName="permissions", PolicyDocument=policy)
            _changed[made["Role"]["Arn"]] = time.monotonic()
    else:
        with suppress(iam.exceptions.NoSuchEntityException):
            iam.delete_role_policy(RoleName=name, PolicyName="permissions")
            _changed[made["Role"]["Arn"]] = time.monotonic()
    return made["Role"]["Arn"]


_changed = {}  # ARN of a role -> when its permissions were changed last, by this process


def _permissions_of(iam, name):
    """The policy that a role of ours has, a dict; None where it has none."""
    try:
        return iam.get_role_policy(RoleName=name, PolicyName="permissions")["PolicyDocument"]
    except iam.exceptions.NoSuchEntityException:
        return None


def _let_permissions_spread(role):
    """Wait until what was changed of a role is felt; in the sandbox it is at once."""
    if role in _changed and not sandbox.in_use():
        time.sleep(max(0, _changed[role] + SPREAD_SECONDS - time.monotonic()))


@functools.lru_cache(4)
def _boundary(iam):
    """The ARN of the boundary that roles must carry; None in the sandbox, and in an account that has none."""
    if sandbox.in_use():
        return None
    boundary = f"arn:aws:iam::{clients.account_id()}:policy/{BOUNDARY}"
    try:
        iam.get_policy(PolicyArn=boundary)
    except iam.exceptions.NoSuchEntityException:
        return None
    return boundary


def refusal(name):
    """Why the last answer for that name was refused; None where it was not. The account has an older one, or none."""
    return records.read("refused").get(name)


def _remembers_refusals(deploy):
    @functools.wraps(deploy)
    def remembering(name, *arguments, **options):
        if refusal(name):
            with records.change("refused") as refused:
                refused.pop(name, None)
        try:
            return deploy(name, *arguments, **options)
        except DeployError as error:
            with records.change("refused") as refused:
                refused[name] = str(error)
            raise

    return remembering


@_remembers_refusals
def function(
    name, source, *, modules=(), permissions=None, environment=None, timeout=10, durable=None, dead_letters=None
):
    """A Lambda function, ready to be invoked; gives its ARN.

    source: a file such as a cell with %%writefile writes, or the source text itself. It must define
        lambda_handler(event, context).
    modules: further files that it imports, each by its own name: ["verdict.py"].
    permissions: what the function may do, {action: resource or list of resources}. Writing its own log is always added.
    environment: its environment variables, a dict of strings.
    timeout: seconds that one invocation may take, 1 to 900.
    durable: makes it a durable function, and says how many seconds one of its executions may take in all, at most
        31,622,400; the two permissions that such a function needs are added, and on AWS the durable SDK of this
        environment, in the version that the workshop was tested with.
    dead_letters: the ARN of a queue (`queue`) that keeps the events with which the function was invoked
        asynchronously and failed, once Lambda has given up; the permission for it is added. A durable function's are
        those of executions that did not succeed.

    Where a blank of a lab still stands in the source, or a `...` in a permission or for a variable, nothing is
    deployed, and None is returned.
    Raises DeployError where a file is missing, has a syntax error, or the source has no lambda_handler.
    """
    client = clients.of("lambda")
    files = {"lambda_function.py": _checked_source(source)}
    files |= {Path(module).name: _read_source(module)[1] for module in modules}
    if _has_blank(permissions) or _has_blank(environment) or any(map(_is_blank_file, files.values())):
        _delete_function(client, name)
        return _still_blank()
    code = _zip({**files, **(_durable_sdk() if durable and account.is_real() else {})})
    own = _own_permissions(name, durable, dead_letters)
    wanted = {
        "Role": role(f"{name}-lambda", "lambda", {**(permissions or {}), **own}),
        "Runtime": RUNTIME,
        "Handler": "lambda_function.lambda_handler",
        "Timeout": timeout,
        "Environment": {"Variables": environment or {}},
        # An empty one takes the queue away again.
        "DeadLetterConfig": {"TargetArn": dead_letters or ""},
    }
    if durable:
        wanted["DurableConfig"] = {"ExecutionTimeout": durable, "RetentionPeriodInDays": KEPT_DAYS}
    try:
        if bool(durable) != ("DurableConfig" in client.get_function_configuration(FunctionName=name)):
            _delete_function(client, name)  # which of the two a function is, is settled when it is made
        present = client.get_function_configuration(FunctionName=name)
        present.setdefault("Environment", {"Variables": {}})  # left out by AWS where there are none
        present.setdefault("DeadLetterConfig", {"TargetArn": ""})
    except client.exceptions.ResourceNotFoundException:
        made = {"FunctionName": name, "Code": {"ZipFile": code}, "Tags": tags_of(name)}
        present = patiently(client.create_function, **made, **wanted)
    else:
        # What is as it should be is left alone: its warm instances live on, and the cell is done sooner.
        if present["CodeSha256"] != base64.b64encode(hashlib.sha256(code).digest()).decode():
            client.update_function_code(FunctionName=name, ZipFile=code)
            wait_until(client, "function_updated_v2", FunctionName=name)
        if any(present[setting] != value for setting, value in wanted.items()):
            patiently(client.update_function_configuration, FunctionName=name, **wanted)
            wait_until(client, "function_updated_v2", FunctionName=name)
    wait_until(client, "function_active_v2", FunctionName=name)
    _let_permissions_spread(wanted["Role"])
    return present["FunctionArn"]


@_remembers_refusals
def state_machine(name, definition, *, permissions=None):
    """A Step Functions state machine (Standard); gives its ARN.

    definition: in the Amazon States Language, as a dict or as JSON text.
    permissions: what its executions may do, {action: resource or list of resources}.

    Where the definition or a permission is still `...`, nothing is deployed, and None is given.
    Executions that run keep the definition they started with. On AWS an execution that is started in the first seconds
    after a replacement may still get the old one.
    Raises DeployError where the definition is no JSON object or Step Functions refuses it.
    """
    client = clients.of("stepfunctions")
    machine = arn("states", f"stateMachine:{name}")
    if _has_blank(definition) or _has_blank(permissions):
        with suppress(client.exceptions.StateMachineDoesNotExist):
            delete_state_machine(machine)
        return _still_blank()
    wanted = {
        "definition": json.dumps(read_definition(definition), indent=2, ensure_ascii=False),
        "roleArn": role(f"{name}-states", "states", permissions),
    }
    try:
        try:
            tags = [{"key": key, "value": value} for key, value in tags_of(name).items()]
            patiently(client.create_state_machine, name=name, tags=tags, **wanted)
        except client.exceptions.StateMachineAlreadyExists:
            patiently(client.update_state_machine, stateMachineArn=machine, **wanted)
    except client.exceptions.InvalidDefinition as error:
        raise DeployError(error.response["Error"]["Message"]) from None
    _let_permissions_spread(wanted["roleArn"])
    return machine


def delete_state_machine(machine):
    """Stop the executions of a state machine and delete it: its name is taken for as long as one of them runs.

    Raises botocore's StateMachineDoesNotExist.
    """
    client = clients.of("stepfunctions")
    pages = client.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="RUNNING")
    with suppress(client.exceptions.StateMachineTypeNotSupported):  # an Express one's are not listed, and end soon
        for execution in [execution for page in pages for execution in page["executions"]]:
            client.stop_execution(executionArn=execution["executionArn"], cause="Its state machine is deleted.")
    client.delete_state_machine(stateMachineArn=machine)


def read_definition(definition):
    """A state machine's definition as a dict, from a dict or JSON text; raises DeployError where it is neither."""
    try:
        # A dict makes the round trip too: what cannot be JSON (a set, a function) is found here.
        document = json.loads(definition if isinstance(definition, str) else json.dumps(definition))
    except json.JSONDecodeError as error:
        raise DeployError(f"The definition is not JSON: line {error.lineno}: {error.msg}.") from None
    except TypeError as error:
        raise DeployError(f"The definition cannot be written as JSON: {error}.") from None
    if not isinstance(document, dict):
        raise DeployError(f"A definition is a JSON object with StartAt and States, and this is {document!r:.60}.")
    return document


def table(name, key, *, ttl=None):
    """An empty DynamoDB table, paid for by request, ready to be used; gives its name.

    key: the name of its partition key, which holds strings.
    ttl: the name of the attribute, in seconds since 1970, after which DynamoDB deletes an item.
    A table of that name is deleted first, with its items.
    """
    account.require()
    client = clients.of("dynamodb")
    delete_table(name)
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        Tags=tag_list(name),
    )
    wait_until(client, "table_exists", TableName=name)
    if ttl:
        client.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": ttl})
    return name


def delete_table(name):
    """Delete a DynamoDB table, if there is one of that name, and wait until it is gone."""
    client = clients.of("dynamodb")
    with suppress(client.exceptions.ResourceNotFoundException):
        client.delete_table(TableName=name)
        wait_until(client, "table_not_exists", TableName=name)


def queue(name):
    """A standard SQS queue that keeps messages for the 14 days that AWS allows; gives its ARN.

    One of that name is left as it is, with its messages.
    """
    account.require()
    sqs = clients.of("sqs")
    attributes = {"MessageRetentionPeriod": str(14 * 24 * 3600)}
    url = sqs.create_queue(QueueName=name, Attributes=attributes, tags=tags_of(name))["QueueUrl"]
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def tag_list(name):
    """The tags of a resource of that name, as most services want them: [{"Key": ..., "Value": ...}, ...]."""
    return [{"Key": key, "Value": value} for key, value in tags_of(name).items()]


def wait_until(client, waiter, **arguments):
    """Wait with a boto3 waiter, at the pace of the account. Raises botocore's WaiterError."""
    pause, patience = _pace()
    config = {"Delay": pause, "MaxAttempts": int(patience / pause)}
    client.get_waiter(waiter).wait(WaiterConfig=config, **arguments)


def patiently(call, **arguments):
    """Make a call, and make it again for as long as AWS says that what it builds on is not ready; gives its answer."""
    pause, patience = _pace()
    end = time.monotonic() + patience
    while True:
        try:
            return call(**arguments)
        except (ClientError, WaiterError) as error:
            if time.monotonic() > end or not any(sign in str(error) for sign in _NOT_YET):
                raise
        time.sleep(pause)


def _pace():
    """How long to wait between two questions to the account, and for how long to ask; both in seconds.

    In the sandbox all is ready soon. AWS limits how often it may be asked, and takes minutes for a DMS instance.
    """
    return (0.05, 30) if sandbox.in_use() else (2, 900)


def _policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **each} for each in statements]})


def _log_group(name):
    """The function's log group, made here so that it is tagged and its logs do not stay for ever; gives its ARN."""
    logs = clients.of("logs")
    group = f"/aws/lambda/{name}"
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=group, tags=tags_of(name))
    logs.put_retention_policy(logGroupName=group, retentionInDays=KEPT_DAYS)
    return arn("logs", f"log-group:{group}")


def _own_permissions(name, durable, dead_letters):
    """What a function may do whatever it is for: write its log, keep what it has done or what it failed at.

    https://docs.aws.amazon.com/lambda/latest/dg/durable-security.html
    """
    log = f"{_log_group(name)}:*"
    permissions = {"logs:CreateLogStream": log, "logs:PutLogEvents": log}
    if durable:
        executions = arn("lambda", f"function:{name}:*")
        permissions |= {f"lambda:{do}": executions for do in ("CheckpointDurableExecution", "GetDurableExecutionState")}
    if dead_letters:
        permissions |= {"sqs:SendMessage": dead_letters}
    return permissions


def _delete_function(client, name):
    with suppress(client.exceptions.ResourceNotFoundException):
        client.delete_function(FunctionName=name)


def _parsed(text):
    # Two threads that parse at the same time can fail in Python 3.11: https://github.com/python/cpython/issues/106905
    with _parsing:
        return ast.parse(text)


def _checked_source(source):
    """The text of a function's source, once it compiles and has the handler that Lambda will call."""
    where, text = _read_source(source)
    statements = _parsed(text).body
    if "lambda_handler" not in {name for statement in statements for name in _names_made_by(statement)}:
        raise DeployError(f"{where} defines no lambda_handler(event, context), which is what Lambda calls.")
    return text


def _read_source(source):
    """(what to call it, its text), of a file or of source text, once it compiles."""
    where, text = "The source", source
    if isinstance(source, Path) or "\n" not in source:
        where = str(source)
        if not Path(source).is_file():
            raise DeployError(f"There is no file {where} in {Path.cwd()}: first run the cell that writes it.")
        text = Path(source).read_text(encoding="utf-8")
    try:
        _parsed(text)
    except SyntaxError as error:
        raise DeployError(f"{where}, line {error.lineno}: {error.msg}: {(error.text or '').strip()}") from None
    return where, text


def _names_made_by(statement):
    match statement:
        case ast.FunctionDef() | ast.ClassDef():
            return [statement.name]
        case ast.Assign():
            return [target.id for target in statement.targets if isinstance(target, ast.Name)]
        case ast.ImportFrom():
            return [alias.asname or alias.name for alias in statement.names]
    return []


def _zip(files):
    """Files, {name: text}, as a zip archive; the same files give the same bytes, so AWS can tell a change."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as written:
        for name, text in sorted(files.items()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16  # readable for Lambda's user
            written.writestr(entry, text.encode())
    return archive.getvalue()


@functools.cache
def _durable_sdk():
    """The durable SDK as it is installed here, {path: text}, for a function's package.

    AWS's runtime has one "for testing and development", in a version that nothing says, and AWS recommends to bring
    one's own: https://docs.aws.amazon.com/lambda/latest/dg/durable-supported-runtimes.html. The sandbox has this one.
    boto3 stays the runtime's: a hundred times as large, it is for the whole of AWS.
    """
    package = Path(importlib.util.find_spec("aws_durable_execution_sdk_python").submodule_search_locations[0])
    paths = [*package.rglob("*.py"), package / "LICENSE", package / "NOTICE"]
    return {path.relative_to(package.parent).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def _has_blank(value):
    if isinstance(value, dict):
        return any(map(_has_blank, [*value, *value.values()]))
    if isinstance(value, list | tuple):
        return any(map(_has_blank, value))
    return value is ...


def _is_blank_file(text):
    return is_signed_blank(text) or _is_blank_of_before(text)


def is_signed_blank(source):
    """Whether there is still a blank of a lab in the source of a file, a cell or a function.

    It is a line with a `...` and the lab's sign, BLANK. Any other `...` is Python: `class Refused(Exception): ...`.
    """
    tokens = []
    with suppress(tokenize.TokenError, SyntaxError):  # of a lambda that is a part of a statement
        tokens.extend(tokenize.generate_tokens(io.StringIO(textwrap.dedent(source)).readline))
    signed = {token.start[0] for token in tokens if token.type == tokenize.COMMENT and token.string.startswith(BLANK)}
    return any(token.string == "..." and token.start[0] in signed for token in tokens)


def _is_blank_of_before(text):
    """The same of a file of a lab that was saved before there was a sign.

    One of the functions that these labs left to be written ends with `...`, or with `return ...`. A learner's other
    functions are not looked at: `def nothing(*_): ...` is Python.
    """
    nodes = list(ast.walk(_parsed(text)))
    methods = {id(each) for node in nodes if isinstance(node, ast.ClassDef) for each in node.body}
    left = [
        node
        for node in nodes
        if isinstance(node, ast.FunctionDef)
        and node.name in _LEFT_BLANK_BEFORE
        and id(node) not in methods
        and "overload" not in map(ast.unparse, node.decorator_list)
    ]
    last = [node.body[-1] for node in left]
    ends = [node for node in last if isinstance(node, ast.Expr | ast.Return)]
    return any(isinstance(node.value, ast.Constant) and node.value.value is ... for node in ends)


def _still_blank():
    print("The answer is still blank, so nothing is deployed.")
