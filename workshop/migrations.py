"""A database migration that is ready to be started: airports, from a file in S3 to a table in DynamoDB.

This is the job that the labs wait for. Around it AWS Database Migration Service (DMS) needs a bucket, a table, two
roles, two endpoints and a replication instance; they are made here, so that a lab can be about the waiting.

On AWS a replication instance takes minutes to make and costs money for every hour that it exists, used or not. There
all learners of an account share one, which an administrator makes with all that it needs: `workshop account up`.
"""

import collections
import dataclasses
import json
import re
import secrets
from contextlib import suppress
from pathlib import Path

from workshop import account, clients, deploy
from workshop.names import WORKSHOP, learner, learner_of
from workshop.real_account import AccountError

AIRPORTS = Path(__file__).parent / "data" / "airports.csv"
FAILURES = (None, "bad row", "table set aside", "no file", "no table")

# The columns of airports.csv as DMS must be told them, since a CSV file does not say.
# https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Source.S3.html
_COLUMNS = [
    {
        "ColumnName": "iata",
        "ColumnType": "STRING",
        "ColumnLength": "4",
        "ColumnNullable": "false",
        "ColumnIsPk": "true",
    },
    {"ColumnName": "name", "ColumnType": "STRING", "ColumnLength": "50"},
    {"ColumnName": "city", "ColumnType": "STRING", "ColumnLength": "40"},
    {"ColumnName": "state", "ColumnType": "STRING", "ColumnLength": "2"},
    {"ColumnName": "country", "ColumnType": "STRING", "ColumnLength": "40"},
    {"ColumnName": "latitude", "ColumnType": "REAL8"},
    {"ColumnName": "longitude", "ColumnType": "REAL8"},
]
_SCHEMA = "travel"
# The source knows two tables of these columns, each a folder. The second is migrated only beside one that is set aside.
_TABLE, _SECOND = "airports", "airports-added"

# Tables that DMS keeps of its own beside a DynamoDB target, of one name for all migrations of an account:
# https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.DynamoDB.html
OF_DMS = ("awsdms_apply_exceptions", "awsdms_full_load_exceptions")

# Leave the table as it is; by default DMS would replace it by one with 200 units of provisioned capacity, which costs.
_SETTINGS = {"FullLoadSettings": {"TargetTablePrepMode": "DO_NOTHING"}}
# Stop at the first thing that goes wrong; by default DMS puts the table aside and calls the task "stopped".
_STOP_AT_ERRORS = {"ErrorBehavior": {"DataErrorPolicy": "STOP_TASK", "TableErrorPolicy": "STOP_TASK"}}


@dataclasses.dataclass(frozen=True)
class Migration:
    """A migration that can be started.

    name, arn: of its DMS replication task. table: the DynamoDB table that it fills, by `iata`. bucket: the S3 bucket
    with its file. rows: how many rows the file has. task: what CreateReplicationTask was told beside its name.
    """

    name: str
    arn: str
    table: str
    bucket: str
    rows: int
    task: dict = dataclasses.field(repr=False, compare=False)

    def start(self, kind="start-replication"):
        """Start it: "start-replication" the first time, "reload-target" or "resume-processing" any later time."""
        clients.of("dms").start_replication_task(ReplicationTaskArn=self.arn, StartReplicationTaskType=kind)

    def stop(self):
        """Stop it while it runs, as a person would; where it has ended by then, it stays as it is.

        Raises botocore's ClientError (InvalidResourceStateFault) where it does not run yet.
        """
        dms = clients.of("dms")
        try:
            dms.stop_replication_task(ReplicationTaskArn=self.arn)
        except dms.exceptions.InvalidResourceStateFault:
            if self.describe()["Status"] not in ("stopping", "stopped", "failed"):
                raise

    def describe(self):
        """What DescribeReplicationTasks says of it now, without the (long) settings: a dict with Status and so on."""
        return describe(self)[0]

    def another(self, name, *, rows_per_second=300):
        """A further Migration that does the same, from and to the same; an older one of that name is deleted.

        It takes a tenth of the time of a new one.
        """
        return self.others({name: rows_per_second})[name]

    def others(self, rates):
        """Further Migrations as `another` makes them, as {name: Migration}, in little more time than one takes.

        rates: {name: rows per second}. Raises ResourceNotFoundFault where what this one builds on was deleted.
        """
        dms = clients.of("dms")
        _delete_tasks_named(*rates)
        arns = {name: _create_task(dms, name, rate, **self.task) for name, rate in rates.items()}
        _wait_until_task(dms, "ready", *arns.values())
        return {name: dataclasses.replace(self, name=name, arn=arn) for name, arn in arns.items()}

    def rows_arrived(self):
        """How many items its table has now."""
        pages = clients.of("dynamodb").get_paginator("scan")
        return sum(page["Count"] for page in pages.paginate(TableName=self.table, Select="COUNT", ConsistentRead=True))

    def __repr__(self):
        return f"<Migration {self.name}: {self.rows:,} rows from {self.bucket} in S3 to {self.table} in DynamoDB>"


def migration(name, *, rows=None, rows_per_second=300, fails=None, settings=None):
    """A new Migration of that name, ready to be started; an older one of that name is stopped and deleted.

    rows: how many of the 3,376 airports; None for all.
    rows_per_second: how fast the sandbox copies them; AWS is as fast as it is.
    fails: None, or how it will fail once started:
        "bad row"          a row late in the file has a latitude that is no number
        "table set aside"  the same, but the task puts such a table aside (DMS's default) and goes on with a second,
                           good one of one row: it ends as if it had finished, with TablesErrored 1
        "no file"          there is no file in the bucket
        "no table"         the DynamoDB table does not exist, and the migration may not create one
    settings: task settings beside those that are set here, a dict.
        https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Tasks.CustomizingTasks.TaskSettings.html
    """
    account.require()
    airports = AIRPORTS.read_text(encoding="utf-8").splitlines(keepends=True)
    rows = len(airports) if rows is None else rows
    if not 1 <= rows <= len(airports):
        raise ValueError(f"rows is {rows!r}, but it must be from 1 to {len(airports):,}, or None for all.")
    if fails not in FAILURES:
        raise ValueError(f"fails is {fails!r}; it may be {', '.join(map(repr, FAILURES))}.")
    dms = clients.of("dms")
    _delete_tasks_named(name)
    machine = _replication_instance(dms)
    bucket = _bucket_with(name, airports[:rows], fails)
    table = f"{name}-airports"
    deploy.delete_table(table) if fails == "no table" else deploy.table(table, key="iata")
    endpoints = [_source(dms, name, bucket), _target(dms, name, table)]
    deploy.patiently(_connect, dms=dms, instance=machine, endpoints=endpoints)
    settings = {**_SETTINGS, **({} if fails == "table set aside" else _STOP_AT_ERRORS), **(settings or {})}
    task = {
        "SourceEndpointArn": endpoints[0],
        "TargetEndpointArn": endpoints[1],
        "ReplicationInstanceArn": machine,
        "MigrationType": "full-load",
        "TableMappings": json.dumps(_mappings(table, [_TABLE, _SECOND] if fails == "table set aside" else [_TABLE])),
        "ReplicationTaskSettings": json.dumps(settings),
    }
    arn = _create_task(dms, name, rows_per_second, **task)
    _wait_until_task(dms, "ready", arn)
    return Migration(name, arn, table, bucket, rows, task)


def _connect(dms, instance, endpoints):
    """Test an instance's connections with endpoints: DMS starts a task only then. Raises botocore's WaiterError."""
    for endpoint in endpoints:
        deploy.patiently(dms.test_connection, ReplicationInstanceArn=instance, EndpointArn=endpoint)
    deploy.wait_until(dms, "test_connection_succeeds", Filters=[{"Name": "endpoint-arn", "Values": endpoints}])


def _create_task(dms, name, rows_per_second, **options):
    """Begin to create a replication task; returns its ARN."""
    tags = [*deploy.tag_list(name), {"Key": "sandbox:rows-per-second", "Value": str(rows_per_second)}]
    task = dms.create_replication_task(
        ReplicationTaskIdentifier=name, ResourceIdentifier=_resource_identifier(name), Tags=tags, **options
    )
    return task["ReplicationTask"]["ReplicationTaskArn"]


def _resource_identifier(name):
    """How the ARN of a replication task of that name ends: 31 characters at most, no two dashes beside each other.

    It begins as the name does, so that rules and policies can name a lab's tasks and nobody else's: `task:you-02-*`.
    The end is made up, so that what is said of a task that was deleted is not taken for news of its successor.
    """
    return re.sub("-+", "-", f"{name[:24]}-{secrets.token_hex(3)}")


def delete_task(arn):
    """Stop a replication task if it runs, delete it, and wait until it is gone."""
    with suppress(clients.of("dms").exceptions.ResourceNotFoundFault):
        begin_to_delete(arn)
        _wait_until_task(clients.of("dms"), "deleted", arn)


def begin_to_delete(arn):
    """Delete a replication task, which is stopped first if it runs; once more where somebody starts it between the two.

    Raises ResourceNotFoundFault where there is none.
    """
    dms = clients.of("dms")

    def delete():
        dms.delete_replication_task(ReplicationTaskArn=arn)

    def stop_and_delete():
        with suppress(dms.exceptions.InvalidResourceStateFault):  # it does not run, or not yet
            dms.stop_replication_task(ReplicationTaskArn=arn)
        delete()

    try:
        delete()
    except dms.exceptions.InvalidResourceStateFault:
        deploy.patiently(stop_and_delete)


def _wait_until_task(dms, state, *arns):
    found = {"Filters": [{"Name": "replication-task-arn", "Values": list(arns)}], "WithoutSettings": True}
    deploy.wait_until(dms, f"replication_task_{state}", **found)


def describe(*some):
    """What DescribeReplicationTasks says now of these Migrations, in their order, without the (long) settings."""
    found = _tasks("replication-task-arn", [one.arn for one in some])
    told = {task["ReplicationTaskArn"]: task for task in found}
    return [told[one.arn] for one in some]


def _tasks(by, values):
    pages = clients.of("dms").get_paginator("describe_replication_tasks")
    found = pages.paginate(Filters=[{"Name": by, "Values": values}], WithoutSettings=True)
    return [task for page in found for task in page["ReplicationTasks"]]


def _delete_tasks_named(*names):
    with suppress(clients.of("dms").exceptions.ResourceNotFoundFault):
        for task in _tasks("replication-task-id", list(names)):
            delete_task(task["ReplicationTaskArn"])


def find_instance(name):
    """What DMS says of the replication instance of that name, a dict; None where there is none."""
    dms = clients.of("dms")
    with suppress(dms.exceptions.ResourceNotFoundFault):
        found = dms.describe_replication_instances(Filters=[{"Name": "replication-instance-id", "Values": [name]}])
        return next(iter(found["ReplicationInstances"]), None)


def learners_on(instance):
    """Who has replication tasks on a replication instance, as `find_instance` returns it: {learner: how many}."""
    with suppress(clients.of("dms").exceptions.ResourceNotFoundFault):
        tasks = _tasks("replication-instance-arn", [instance["ReplicationInstanceArn"]])
        return dict(collections.Counter(learner_of(task["ReplicationTaskIdentifier"]) for task in tasks))
    return {}


def _shared_instance():
    """The ARN of the machine that all learners of a real account share; none of them makes one."""
    found = find_instance(WORKSHOP)
    if found is None or found["ReplicationInstanceStatus"] != "available":
        state = (
            f"is {found['ReplicationInstanceStatus']}" if found else "is not there (the brake deletes it after hours)"
        )
        raise AccountError(
            f"The replication instance {WORKSHOP}, on which this account's migrations run, {state}. Whoever looks "
            "after the account makes it with `workshop account up`; `workshop account status` says how it is."
        )
    return found["ReplicationInstanceArn"]


def _replication_instance(dms):
    """The ARN of the machine that migrations run on. In the sandbox each learner has one, made once."""
    if account.is_real():
        return _shared_instance()
    name = f"{learner()}-00-migrations"
    present = find_instance(name)
    if present and present["ReplicationInstanceStatus"] == "available":
        return present["ReplicationInstanceArn"]
    with suppress(dms.exceptions.ResourceAlreadyExistsFault):
        dms.create_replication_instance(
            ReplicationInstanceIdentifier=name,
            ResourceIdentifier=_resource_identifier(name),
            ReplicationInstanceClass="dms.t3.micro",
            AllocatedStorage=5,
            MultiAZ=False,
            PubliclyAccessible=False,
            Tags=deploy.tag_list(name),
        )
    named = {"Filters": [{"Name": "replication-instance-id", "Values": [name]}]}
    deploy.wait_until(dms, "replication_instance_available", **named)
    return find_instance(name)["ReplicationInstanceArn"]


def _bucket_with(name, lines, fails):
    """The name of a bucket with the file to migrate. Bucket names are unique in all of AWS, so the account is in it."""
    s3 = clients.of("s3")
    bucket = f"{name}-{clients.account_id()}"
    region = s3.meta.region_name
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=bucket, **where)
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": deploy.tag_list(name)})
    file = f"{_SCHEMA}/{_TABLE}/LOAD001.csv"
    if fails == "no file":
        s3.delete_object(Bucket=bucket, Key=file)
        return bucket
    if fails == "table set aside":
        s3.put_object(Bucket=bucket, Key=f"{_SCHEMA}/{_SECOND}/LOAD001.csv", Body=lines[0].encode())
    if fails in ("bad row", "table set aside"):
        late = len(lines) * 4 // 5
        *before, _, longitude = lines[late].split(",")
        lines[late] = ",".join([*before, "unknown", longitude])
    s3.put_object(Bucket=bucket, Key=file, Body="".join(lines).encode())
    return bucket


def _source(dms, name, bucket):
    """The ARN of the endpoint from which the rows come."""
    arn = f"arn:aws:s3:::{bucket}"
    role = deploy.role(f"{name}-source", "dms", {"s3:ListBucket": arn, "s3:GetObject": f"{arn}/*"})
    tables = [
        {
            "TableName": table,
            "TablePath": f"{_SCHEMA}/{table}/",
            "TableOwner": _SCHEMA,
            "TableColumns": _COLUMNS,
            "TableColumnsTotal": str(len(_COLUMNS)),
        }
        for table in (_TABLE, _SECOND)
    ]
    settings = {
        "BucketName": bucket,
        "ServiceAccessRoleArn": role,
        "ExternalTableDefinition": json.dumps({"TableCount": str(len(tables)), "Tables": tables}),
        "Rfc4180": True,
    }
    return _endpoint(dms, f"{name}-source", EndpointType="source", EngineName="s3", S3Settings=settings)


def _target(dms, name, table):
    """The ARN of the endpoint to which the rows go.

    Its role may fill the table, but not create it. It may create the two that DMS keeps beside it.
    """
    own = [deploy.arn("dynamodb", f"table/{each}") for each in OF_DMS]
    both = [deploy.arn("dynamodb", f"table/{table}"), *own]
    permissions = {f"dynamodb:{action}": both for action in ("PutItem", "UpdateItem", "DeleteItem", "DescribeTable")}
    permissions |= {"dynamodb:CreateTable": own, "dynamodb:DeleteTable": own, "dynamodb:ListTables": "*"}
    settings = {"ServiceAccessRoleArn": deploy.role(f"{name}-target", "dms", permissions)}
    return _endpoint(dms, f"{name}-target", EndpointType="target", EngineName="dynamodb", DynamoDbSettings=settings)


def _endpoint(dms, name, **settings):
    """The ARN of an endpoint. All that it says follows from its name, so one that is there already will do."""
    settings |= {"EndpointIdentifier": name, "ResourceIdentifier": _resource_identifier(name)}
    settings |= {"Tags": deploy.tag_list(name)}
    try:
        return deploy.patiently(dms.create_endpoint, **settings)["Endpoint"]["EndpointArn"]
    except dms.exceptions.ResourceAlreadyExistsFault:
        found = dms.describe_endpoints(Filters=[{"Name": "endpoint-id", "Values": [name]}])
        return found["Endpoints"][0]["EndpointArn"]


def _mappings(target, sources):
    """Which rows go where: all of these tables of the source, as they are, to items of one DynamoDB table.

    https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.DynamoDB.html
    """
    key = {
        "target-attribute-name": "iata",
        "attribute-type": "scalar",
        "attribute-sub-type": "string",
        "value": "${iata}",
    }
    to_items = {
        "rule-type": "object-mapping",
        "rule-action": "map-record-to-record",
        "target-table-name": target,
        "mapping-parameters": {"partition-key-name": "iata", "attribute-mappings": [key]},
    }
    rules = []
    for source in sources:
        for rule in ({"rule-type": "selection", "rule-action": "include"}, to_items):
            number = str(len(rules) + 1)
            place = {"schema-name": _SCHEMA, "table-name": source}
            rules.append({**rule, "rule-id": number, "rule-name": number, "object-locator": place})
    return {"rules": rules}
