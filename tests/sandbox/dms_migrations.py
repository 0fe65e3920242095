"""What the DMS tests share: small, fast migrations from a bucket to a table, and the events they send."""

import json
import urllib.error
import urllib.request
import uuid

from patience import PATIENCE, until

ACCOUNT = "111122223333"
FAST = 20_000  # rows a second: as quick as it goes
EVERYTHING = {"Effect": "Allow", "Action": ["s3:*", "dynamodb:*"], "Resource": "*"}
COLUMNS = [
    {"ColumnName": "code", "ColumnType": "STRING", "ColumnLength": "8", "ColumnIsPk": "true"},
    {"ColumnName": "name", "ColumnType": "STRING", "ColumnLength": "40"},
    {"ColumnName": "runways", "ColumnType": "INT2"},
]
INCLUDE_ALL = {
    "rule-type": "selection",
    "rule-id": "1",
    "rule-name": "all",
    "rule-action": "include",
    "object-locator": {"schema-name": "%", "table-name": "%"},
}


def unique(name):
    return f"{name}-{uuid.uuid4().hex[:8]}"


def csv(rows):
    """A CSV file of airports A0, A1, ...: the columns of COLUMNS."""
    return "".join(f'A{number},"Airport, number {number}",{number % 7}\n' for number in range(rows))


def definition(tables):
    """An external table definition. tables: {name: columns}, all of schema travel."""
    return json.dumps(
        {
            "TableCount": str(len(tables)),
            "Tables": [
                {
                    "TableName": name,
                    "TablePath": f"travel/{name}/",
                    "TableOwner": "travel",
                    "TableColumns": columns,
                    "TableColumnsTotal": str(len(columns)),
                }
                for name, columns in tables.items()
            ],
        }
    )


def mapping_rule(target, name="airports", action="map-record-to-record", **parameters):
    """An object-mapping rule of one source table."""
    rule = {
        "rule-type": "object-mapping",
        "rule-id": "2",
        "rule-name": f"map-{name}",
        "rule-action": action,
        "object-locator": {"schema-name": "travel", "table-name": name},
        "target-table-name": target,
    }
    named = {key.replace("_", "-"): value for key, value in parameters.items()}
    return rule | ({"mapping-parameters": named} if named else {})


class Migrations:
    """Migrations in a sandbox, which share a bucket, a role that may everything, and a replication instance."""

    def __init__(self, aws):
        self.aws = aws
        self.dms, self.s3, self.dynamodb, self.iam = aws("dms"), aws("s3"), aws("dynamodb"), aws("iam")
        self.bucket = unique("migrations")
        self.s3.create_bucket(Bucket=self.bucket)
        self.role = self.new_role(EVERYTHING)
        answer = self.dms.create_replication_instance(
            ReplicationInstanceIdentifier=unique("instance"), ReplicationInstanceClass="dms.t3.micro"
        )
        self.instance = answer["ReplicationInstance"]["ReplicationInstanceArn"]
        self.wait("replication_instance_available", "replication-instance-arn", self.instance)

    def new_role(self, *statements, service="dms.amazonaws.com"):
        """The ARN of a role that DMS may assume, with a policy of these statements."""
        name = unique("dms-role")
        trust = [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]
        answer = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))
        self.iam.put_role_policy(RoleName=name, PolicyName="access", PolicyDocument=_policy(statements))
        return answer["Role"]["Arn"]

    def wait(self, waiter, filter_name, arn):
        """Use one of boto3's waiters, patiently but quickly."""
        self.dms.get_waiter(waiter).wait(
            Filters=[{"Name": filter_name, "Values": [arn]}],
            WaiterConfig={"Delay": 0.03, "MaxAttempts": int(PATIENCE / 0.03)},
        )

    def table(self, keys=(("code", "S"),)):
        """The name of a new, empty DynamoDB table."""
        name = unique("airports")
        self.dynamodb.create_table(
            TableName=name,
            KeySchema=[
                {"AttributeName": key, "KeyType": kind} for (key, _), kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": type_} for key, type_ in keys],
            BillingMode="PAY_PER_REQUEST",
        )
        return name

    def items(self, table):
        """All items of a table as DynamoDB shows them, by the text of their key `code`."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=table)
        return {next(iter(item["code"].values())): item for page in pages for item in page["Items"]}

    def endpoints(self, tables, files, role=None, **s3_settings):
        """(source ARN, target ARN), tested. files: {table name: [content of LOAD001.csv, ...]}."""
        folder = unique("data")
        for name, contents in files.items():
            for number, content in enumerate(contents, 1):
                key = f"{folder}/travel/{name}/LOAD{number:03}.csv"
                self.s3.put_object(Bucket=self.bucket, Key=key, Body=content)
        settings = {
            "BucketName": self.bucket,
            "BucketFolder": folder,
            "ServiceAccessRoleArn": role or self.role,
            "ExternalTableDefinition": definition(tables),
            **s3_settings,
        }
        source = self.dms.create_endpoint(
            EndpointIdentifier=unique("source"), EndpointType="source", EngineName="s3", S3Settings=settings
        )["Endpoint"]["EndpointArn"]
        target = self.dms.create_endpoint(
            EndpointIdentifier=unique("target"),
            EndpointType="target",
            EngineName="dynamodb",
            DynamoDbSettings={"ServiceAccessRoleArn": role or self.role},
        )["Endpoint"]["EndpointArn"]
        for endpoint in (source, target):
            self.dms.test_connection(ReplicationInstanceArn=self.instance, EndpointArn=endpoint)
        return source, target

    def new(self, content=None, target=None, rules=None, rate=FAST, tables=None, files=None, settings=None,
            role=None, migration_type="full-load", s3_settings=None):  # fmt: skip
        """A task that is ready. content: of the one file; target: the table's name, a new one when left out."""
        tables = tables or {"airports": COLUMNS}
        files = files or {"airports": [csv(10) if content is None else content]}
        target = target or self.table()
        source_arn, target_arn = self.endpoints(tables, files, role, **s3_settings or {})
        answer = self.dms.create_replication_task(
            ReplicationTaskIdentifier=unique("task"),
            SourceEndpointArn=source_arn,
            TargetEndpointArn=target_arn,
            ReplicationInstanceArn=self.instance,
            MigrationType=migration_type,
            TableMappings=json.dumps({"rules": rules or [INCLUDE_ALL, mapping_rule(target)]}),
            ReplicationTaskSettings=json.dumps(
                {"FullLoadSettings": {"TargetTablePrepMode": "DO_NOTHING"}} if settings is None else settings
            ),
            Tags=[{"Key": "sandbox:rows-per-second", "Value": str(rate)}],
        )
        migration = Migration(self, answer["ReplicationTask"]["ReplicationTaskArn"], source_arn, target_arn, target)
        self.wait("replication_task_ready", "replication-task-arn", migration.arn)
        for endpoint in (source_arn, target_arn):
            self.wait("test_connection_succeeds", "endpoint-arn", endpoint)
        return migration


class Migration:
    """A replication task, its endpoints and the table it fills."""

    def __init__(self, migrations, arn, source, target_endpoint, table):
        self.all, self.dms, self.arn = migrations, migrations.dms, arn
        self.source, self.target_endpoint, self.table = source, target_endpoint, table

    def start(self, how="start-replication"):
        answer = self.dms.start_replication_task(ReplicationTaskArn=self.arn, StartReplicationTaskType=how)
        return answer["ReplicationTask"]

    def stop(self):
        return self.dms.stop_replication_task(ReplicationTaskArn=self.arn)["ReplicationTask"]

    def describe(self, **options):
        """The task as DescribeReplicationTasks shows it."""
        wanted = [{"Name": "replication-task-arn", "Values": [self.arn]}]
        (task,) = self.dms.describe_replication_tasks(Filters=wanted, **options)["ReplicationTasks"]
        return task

    def statistics(self):
        """Table statistics, by table name."""
        rows = self.dms.describe_table_statistics(ReplicationTaskArn=self.arn)["TableStatistics"]
        return {row["TableName"]: row for row in rows}

    def until(self, *statuses):
        """Wait for one of these statuses; the task then."""

        def look():
            task = self.describe(WithoutSettings=True)
            return task if task["Status"] in statuses else None

        return until(look)

    def run(self, how="start-replication"):
        """Start it and wait for its end; the task then."""
        self.start(how)
        return self.until("stopped", "failed")

    def items(self):
        return self.all.items(self.table)


class Events:
    """All events of DMS, as a rule on the default event bus hands them to a queue."""

    def __init__(self, aws):
        self._sqs, events = aws("sqs"), aws("events")
        name = unique("dms-events")
        self._queue = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"
        allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
        self._sqs.set_queue_attributes(
            QueueUrl=self._queue, Attributes={"Policy": _policy([allow | {"Resource": arn}])}
        )
        events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.dms"]}))
        events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
        self._seen = []

    def of(self, migration):
        """The events of a task that have come so far, in the order in which they came."""
        while True:
            answer = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10)
            if not answer.get("Messages"):
                break
            for message in answer["Messages"]:
                self._seen.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return [event for event in self._seen if event["resources"] == [migration.arn]]

    def kinds(self, migration):
        return [event["detail"]["eventType"].removeprefix("REPLICATION_TASK_") for event in self.of(migration)]

    def wait_for(self, migration, count):
        """Wait until so many events of a task have come; their kinds."""
        return until(lambda: (kinds := self.kinds(migration)) if len(self.of(migration)) >= count else None)


class Faults:
    """The sandbox's control address for faults of DMS events."""

    def __init__(self, sandbox):
        self._url, self._key = f"{sandbox['endpoint']}/_sandbox/faults", sandbox["secret_access_key"]

    def get(self):
        """The plan in force, as a list."""
        return self._call("GET", None)["faults"]

    def of(self, migration):
        """What of it is for this migration."""
        return [fault for fault in self.get() if fault.get("task_arn") == migration.arn]

    def add(self, *faults):
        """Add faults, which must name their task: others use the sandbox at the same time, and have their own."""
        assert all("task_arn" in fault for fault in faults)
        return self.post({"faults": faults})

    def post(self, plan):
        """Add a whole plan; the plan in force, or the message of the refusal."""
        return self._call("POST", json.dumps(plan).encode())

    def _call(self, method, body):
        headers = {"Authorization": f"Bearer {self._key}"}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self._url, data=body, headers=headers, method=method), timeout=PATIENCE
            ) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            return json.load(refused)["message"]


def _policy(statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
