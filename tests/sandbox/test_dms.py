"""AWS Database Migration Service of the sandbox, over HTTP with stock boto3.

What each test holds to is AWS's documented or recorded behaviour; sources stand in sandbox/dms.
"""

import json
import time
import urllib.request
from datetime import datetime
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from dms_migrations import (
    ACCOUNT,
    COLUMNS,
    EVERYTHING,
    FAST,
    INCLUDE_ALL,
    Events,
    Faults,
    Migrations,
    csv,
    definition,
    mapping_rule,
    unique,
    until,
)  # fmt: skip
from patience import PATIENCE

pytestmark = pytest.mark.takes(55)


@pytest.fixture(scope="module")
def migrations(aws):
    return Migrations(aws)


@pytest.fixture(scope="module")
def dms(migrations):
    return migrations.dms


@pytest.fixture(scope="module")
def events(aws):
    return Events(aws)


@pytest.fixture
def faults(sandbox):
    return Faults(sandbox)


def refused(call, **parameters):
    """(code, message) of the error that a boto3 call raises."""
    with pytest.raises(ClientError) as refusal:
        call(**parameters)
    error = refusal.value.response["Error"]
    return error["Code"], error["Message"]


# -- a migration -------------------------------------------------------------------------------------------------------


def watched(migration):
    """(its task once it has stopped, [(status, percent, rows) of each look]) of a migration of one table."""
    seen = []

    def look():
        task = migration.describe(WithoutSettings=True)
        rows = sum(row["FullLoadRows"] for row in migration.statistics().values())
        seen.append((task["Status"], task["ReplicationTaskStats"]["FullLoadProgressPercent"], rows))
        # Rows that are counted are there.
        assert len(migration.items()) >= rows
        return task if task["Status"] == "stopped" else None

    return until(look), seen


def test_life_of_a_migration(migrations, events):
    for rate in (150, 30, 6):  # slower where it was over before anybody looked
        migration = migrations.new(csv(200), rate=rate)
        ready = migration.describe()
        assert ready["Status"] == "ready" and "StopReason" not in ready and "ReplicationTaskStartDate" not in ready
        answer = migration.start()
        assert answer["Status"] == "starting"
        task, seen = watched(migration)
        if any(0 < percent < 100 and 0 < rows < 200 for _, percent, rows in seen):
            break
    else:
        pytest.fail(f"It was never seen half done: {seen}")
    statuses = list(dict.fromkeys(status for status, _, _ in seen))
    assert statuses in (["starting", "running", "stopped"], ["running", "stopped"])
    percents = [percent for _, percent, _ in seen]
    assert percents == sorted(percents) and percents[-1] == 100

    assert task["StopReason"] == "Stop Reason FULL_LOAD_ONLY_FINISHED" and "LastFailureMessage" not in task
    stats = task["ReplicationTaskStats"]
    figures = {name: value for name, value in stats.items() if name.startswith(("Tables", "FullLoadProgress"))}
    assert figures == {
        "FullLoadProgressPercent": 100,
        "TablesLoaded": 1,
        "TablesLoading": 0,
        "TablesQueued": 0,
        "TablesErrored": 0,
    }
    assert stats["ElapsedTimeMillis"] >= 1000 * 199 / rate
    order = ["FreshStartDate", "StartDate", "FullLoadStartDate", "FullLoadFinishDate", "StopDate"]
    assert sorted(order, key=stats.get) == order and stats["FreshStartDate"] == stats["StartDate"]

    table = migration.statistics()["airports"]
    assert table["SchemaName"] == "travel" and table["TableState"] == "Table completed"
    assert table["FullLoadRows"] == 200 and table["FullLoadErrorRows"] == 0 and table["FullLoadReloaded"] is False
    assert table["FullLoadStartTime"] <= table["FullLoadEndTime"]

    items = migration.items()
    assert len(items) == 200
    assert items["A8"] == {"code": {"S": "A8"}, "name": {"S": "Airport, number 8"}, "runways": {"N": "1"}}

    events.wait_for(migration, 3)
    created, started, stopped = events.of(migration)
    assert stopped == {
        "version": "0",
        "id": stopped["id"],
        "detail-type": "DMS Replication Task State Change",
        "source": "aws.dms",
        "account": ACCOUNT,
        "time": stopped["time"],
        "region": "us-east-1",
        "resources": [migration.arn],
        "detail": {
            "type": "REPLICATION_TASK",
            "category": "StateChange",
            "eventType": "REPLICATION_TASK_STOPPED",
            "eventId": "DMS-EVENT-0079",
            "resourceLink": "https://console.aws.amazon.com/dms/v2/home?region=us-east-1#taskDetails/"
            + task["ReplicationTaskIdentifier"],
            "detailMessage": "Stop Reason FULL_LOAD_ONLY_FINISHED",
        },
    }
    assert migration.arn not in json.dumps(stopped["detail"])
    detail = created["detail"]
    assert (detail["eventId"], detail["eventType"], detail["category"], detail["detailMessage"]) == (
        "DMS-EVENT-0074",
        "REPLICATION_TASK_CREATED",
        "Creation",
        "The replication task has been created.",
    )
    detail = started["detail"]
    assert (detail["eventId"], detail["eventType"], detail["category"], detail["detailMessage"]) == (
        "DMS-EVENT-0069",
        "REPLICATION_TASK_STARTED",
        "StateChange",
        "Replication task started, with flag = fresh start",
    )


def test_migrations_run_side_by_side(migrations):
    many = [migrations.new(csv(40), rate=200) for _ in range(5)]
    for migration in many:
        migration.start()
    for migration in many:
        task = migration.until("stopped", "failed")
        assert task["Status"] == "stopped" and task["ReplicationTaskStats"]["ElapsedTimeMillis"] >= 1000 * 39 / 200
        assert len(migration.items()) == 40


def test_the_default_rate_is_300_rows_a_second(migrations):
    migration = migrations.new(csv(60))
    migrations.dms.remove_tags_from_resource(ResourceArn=migration.arn, TagKeys=["sandbox:rows-per-second"])
    elapsed = migration.run()["ReplicationTaskStats"]["ElapsedTimeMillis"]
    assert elapsed >= 1000 * 59 / 300


def test_the_airports_table(migrations):
    """The data that the labs migrate is what its README says."""
    import workshop

    airports = (Path(workshop.__file__).parent / "data" / "airports.csv").read_bytes()
    columns = [
        {"ColumnName": "iata", "ColumnType": "STRING", "ColumnLength": "4", "ColumnIsPk": "true"},
        {"ColumnName": "name", "ColumnType": "STRING", "ColumnLength": "50", "ColumnNullable": "false"},
        {"ColumnName": "city", "ColumnType": "STRING", "ColumnLength": "40"},
        {"ColumnName": "state", "ColumnType": "STRING", "ColumnLength": "2"},
        {"ColumnName": "country", "ColumnType": "STRING", "ColumnLength": "40", "ColumnNullable": "false"},
        {"ColumnName": "latitude", "ColumnType": "REAL8", "ColumnNullable": "false"},
        {"ColumnName": "longitude", "ColumnType": "REAL8", "ColumnNullable": "false"},
    ]
    target = migrations.table(keys=[("iata", "S")])
    migration = migrations.new(airports, target, tables={"airports": columns}, rate=100_000)
    task = migration.run()
    assert task["StopReason"] == "Stop Reason FULL_LOAD_ONLY_FINISHED"
    assert migration.statistics()["airports"]["FullLoadRows"] == 3376
    key = {"iata": {"S": "35A"}}
    assert migrations.dynamodb.get_item(TableName=target, Key=key)["Item"] == {
        **key,
        "name": {"S": "Union County, Troy Shelton"},
        "city": {"S": "Union"},
        "state": {"S": "SC"},
        "country": {"S": "USA"},
        "latitude": {"N": "34.68680111"},
        "longitude": {"N": "-81.64121167"},
    }
    assert "city" not in migrations.dynamodb.get_item(TableName=target, Key={"iata": {"S": "CLD"}})["Item"]


# -- rows, types, mappings ---------------------------------------------------------------------------------------------


def test_types_and_nulls(migrations):
    kinds = {
        "code": "STRING", "small": "INT1", "unsigned": "UINT8", "exact": "NUMERIC", "real": "REAL8", "flag": "BOOLEAN",
        "day": "DATE", "text": "CLOB",
    }  # fmt: skip
    sizes = {"STRING": {"ColumnLength": "3"}, "NUMERIC": {"ColumnPrecision": "6", "ColumnScale": 2}}
    columns = [{"ColumnName": name, "ColumnType": kind, **sizes.get(kind, {})} for name, kind in kinds.items()]
    columns[0]["ColumnIsPk"] = True
    content = (
        "code|small|unsigned|exact|real|flag|day|text\r\n"
        'ABCDE|-128|18446744073709551615|1234.50|1e-3|true|2026-11-24|"two\nlines, ""quoted"""\r\n'
        "DEF||||||NULL|\r\n"
    )
    settings = {"CsvDelimiter": "|", "IgnoreHeaderRows": 1, "CsvNullValue": "NULL"}
    migration = migrations.new(content, tables={"airports": columns}, s3_settings=settings)
    task = migration.run()
    assert task["Status"] == "stopped", task
    assert migration.items() == {
        "ABC": {  # cut to its length
            "code": {"S": "ABC"},
            "small": {"N": "-128"},
            "unsigned": {"N": "18446744073709551615"},
            "exact": {"N": "1234.5"},
            "real": {"N": "0.001"},
            "flag": {"BOOL": True},
            "day": {"S": "2026-11-24"},
            "text": {"S": 'two\nlines, "quoted"'},
        },
        "DEF": {"code": {"S": "DEF"}},
    }


def test_object_mapping_to_attributes(migrations):
    target = migrations.table(keys=[("code", "S"), ("runways", "N")])
    rule = mapping_rule(
        target,
        partition_key_name="code",
        sort_key_name="runways",
        exclude_columns=["code", "name"],
        attribute_mappings=[
            {
                "target-attribute-name": "code",
                "attribute-type": "scalar",
                "attribute-sub-type": "string",
                "value": "US-${code}",
            },
            {
                "target-attribute-name": "twice",
                "attribute-type": "scalar",
                "attribute-sub-type": "number",
                "value": "${runways}${runways}",
            },
            {
                "target-attribute-name": "details",
                "attribute-type": "document",
                "attribute-sub-type": "dynamodb-map",
                "value": {
                    "M": {
                        "name": {"S": "${name} (${code})"},
                        "all": {"L": [{"N": "${runways}"}, {"S": "${name}"}]},
                    }
                },
            },
        ],
    )
    migration = migrations.new("A1,Thigpen,2\nA2,,3\n", target, rules=[INCLUDE_ALL, rule])
    assert migration.run()["Status"] == "stopped"
    assert migration.items() == {
        "US-A1": {
            "code": {"S": "US-A1"},
            "runways": {"N": "2"},
            "twice": {"N": "22"},
            "details": {
                "M": {"name": {"S": "Thigpen (A1)"}, "all": {"L": [{"N": "2"}, {"S": "Thigpen"}]}},
            },
        },
        "US-A2": {
            "code": {"S": "US-A2"},
            "runways": {"N": "3"},
            "twice": {"N": "33"},
            "details": {"M": {"name": {"S": " (A2)"}, "all": {"L": [{"N": "3"}]}}},
        },
    }


def test_object_mapping_to_a_document(migrations):
    target = migrations.table()
    rule = mapping_rule(target, action="map-record-to-document", exclude_columns=["name"], partition_key_name="code")
    migration = migrations.new("A1,Thigpen,2\n", target, rules=[INCLUDE_ALL, rule])
    assert migration.run()["Status"] == "stopped"
    document = {"code": {"S": "A1"}, "runways": {"N": "2"}}
    assert migration.items() == {"A1": {"code": {"S": "A1"}, "_doc": {"M": document}}}


@pytest.mark.parametrize(
    ("selections", "loaded"),
    [
        ([("include", "tr%", "air%")], {"airports", "airlines"}),
        ([("include", "%", "%"), ("exclude", "travel", "airl_nes")], {"airports", "hotels"}),
        ([("include", "travel", "air[pq]orts")], {"airports"}),
        ([("explicit", "travel", "hotels")], {"hotels"}),
    ],
)
def test_selection_rules(migrations, selections, loaded):
    names = ("airports", "airlines", "hotels")
    rules = [
        INCLUDE_ALL | {"rule-action": action, "object-locator": {"schema-name": schema, "table-name": table}}
        for action, schema, table in selections
    ]
    targets = [mapping_rule(migrations.table(), name) for name in names]
    files = {name: [csv(2)] for name in names}
    migration = migrations.new(tables=dict.fromkeys(names, COLUMNS), files=files, rules=rules + targets)
    assert migration.run()["Status"] == "stopped"
    assert set(migration.statistics()) == loaded


def test_files_are_read_in_order_and_other_files_are_not(migrations):
    migration = migrations.new(files={"airports": ["A1,first,1\nA2,first,1\n", "A1,second,2\n"]})
    folder = migrations.dms.describe_endpoints(Filters=[{"Name": "endpoint-arn", "Values": [migration.source]}])[
        "Endpoints"
    ][0]["S3Settings"]["BucketFolder"]
    migrations.s3.put_object(Bucket=migrations.bucket, Key=f"{folder}/travel/airports/notes.txt", Body=b"no csv")
    assert migration.run()["Status"] == "stopped"
    assert {code: item["name"]["S"] for code, item in migration.items().items()} == {"A1": "second", "A2": "first"}
    assert migration.statistics()["airports"]["FullLoadRows"] == 3


# -- failures ----------------------------------------------------------------------------------------------------------

ROWS = "A1,One,1\nA2,Two,2\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("A3,Three,x\n", "LOAD001.csv, line 3, column runways: 'x' is not a INT2"),
        ("A3,Three,2.5\n", "line 3, column runways: '2.5' is not a INT2"),
        ("A3,Three,40000\n", "line 3, column runways: 40000 is out of range for INT2"),
        ("A3,Three\n", "line 3: it has 2 columns, table 'travel'.'airports' has 3"),
        ('A3,"Three,3\n', "line 3: unexpected end of data"),
        (",Three,3\n", "line 3, column code: is empty, and the column is not nullable"),
        ("\nA4,Four\n", "line 4: it has 2 columns"),
        (b"A3,Thr\xffe,3\n", "line 3: byte 24 is not UTF-8 text"),
    ],
)
def test_a_row_that_does_not_parse(migrations, events, content, said):
    content = ROWS.encode() + (content if isinstance(content, bytes) else content.encode())
    migration = migrations.new(content)
    task = migration.run()
    assert task["Status"] == "failed" and said in task["LastFailureMessage"]
    assert f"s3://{migrations.bucket}/" in task["LastFailureMessage"]
    assert task["LastFailureMessage"].startswith("Last Error ")
    assert task["LastFailureMessage"].endswith("Stop Reason FATAL_ERROR Error Level FATAL")
    assert task["StopReason"] == task["LastFailureMessage"]
    # Rows already copied stay, and stay counted. (A file that is not text at all has none.)
    copied = 0 if isinstance(content, bytes) and b"\xff" in content else 2
    table = migration.statistics()["airports"]
    assert (table["TableState"], table["FullLoadRows"], table["FullLoadErrorRows"]) == ("Table error", copied, 1)
    assert len(migration.items()) == copied
    stats = task["ReplicationTaskStats"]
    assert stats["TablesErrored"] == 1 and stats["TablesLoaded"] == 0 and stats["FullLoadProgressPercent"] < 100
    assert "FullLoadFinishDate" not in stats and stats["StopDate"] >= stats["StartDate"]
    events.wait_for(migration, 3)
    failed = events.of(migration)[-1]["detail"]
    assert (failed["category"], failed["eventType"], failed["eventId"], failed["detailMessage"]) == (
        "Failure",
        "REPLICATION_TASK_FAILED",
        "DMS-EVENT-0078",
        task["LastFailureMessage"],
    )


def test_a_missing_file_and_the_run_after_it_is_there(migrations):
    migration = migrations.new(files={"airports": []})
    task = migration.run()
    assert task["Status"] == "failed" and "there is no file s3://" in task["LastFailureMessage"]
    endpoint = [{"Name": "endpoint-arn", "Values": [migration.source]}]
    settings = migrations.dms.describe_endpoints(Filters=endpoint)["Endpoints"][0]["S3Settings"]
    key = f"{settings['BucketFolder']}/travel/airports/LOAD001.csv"
    migrations.s3.put_object(Bucket=migrations.bucket, Key=key, Body=csv(5))
    task = migration.run("reload-target")
    assert task["Status"] == "stopped" and "LastFailureMessage" not in task
    assert len(migration.items()) == 5 and migration.statistics()["airports"]["FullLoadReloaded"] is True


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"partition_key_name": "iata"}, "key 'iata' is neither a column"),
        ({"partition_key_name": "name", "exclude_columns": ["name"]}, "key 'name' is neither a column"),
        ({"exclude_columns": ["elevation"]}, "has no column 'elevation'"),
    ],
)
def test_mappings_that_do_not_fit_the_table(migrations, rule, said):
    target = migrations.table()
    task = migrations.new(target=target, rules=[INCLUDE_ALL, mapping_rule(target, **rule)]).run()
    assert task["Status"] == "failed" and said in task["LastFailureMessage"]


def test_an_item_that_dynamodb_does_not_take(migrations):
    """The table's key is a number there, and a string here."""
    migration = migrations.new(ROWS, migrations.table(keys=[("code", "N")]))
    task = migration.run()
    assert task["Status"] == "failed"
    assert "line 1: DynamoDB does not take the item. ValidationException" in task["LastFailureMessage"]


def test_no_table_is_selected(migrations):
    rules = [INCLUDE_ALL | {"object-locator": {"schema-name": "travel", "table-name": "nothing"}}]
    task = migrations.new(rules=rules).run()
    assert task["Status"] == "failed" and "No tables were found at task initialization." in task["LastFailureMessage"]
    settings = {"ErrorBehavior": {"FailOnNoTablesCaptured": False}}
    task = migrations.new(rules=rules, settings=settings).run()
    assert (task["Status"], task["StopReason"]) == ("stopped", "Stop Reason FULL_LOAD_ONLY_FINISHED")


def test_one_of_several_tables_fails(migrations, events):
    """Stopped and finished, and yet not a success: TablesErrored says so."""
    names = {"airports": [csv(30)], "hotels": [csv(3) + "X,Broken,many\n"], "trains": [csv(4)]}
    rules = [INCLUDE_ALL, *(mapping_rule(migrations.table(), name) for name in names)]
    migration = migrations.new(tables=dict.fromkeys(names, COLUMNS), files=names, rules=rules)
    task = migration.run()
    assert (task["Status"], task["StopReason"]) == ("stopped", "Stop Reason FULL_LOAD_ONLY_FINISHED")
    stats = task["ReplicationTaskStats"]
    assert (stats["TablesLoaded"], stats["TablesErrored"]) == (2, 1) and stats["FullLoadProgressPercent"] < 100
    assert "'travel'.'hotels'" in task["LastFailureMessage"]
    table = migration.statistics()
    assert {name: (row["TableState"], row["FullLoadRows"]) for name, row in table.items()} == {
        "airports": ("Table completed", 30),
        "hotels": ("Table error", 3),
        "trains": ("Table completed", 4),
    }
    assert events.wait_for(migration, 3) == ["CREATED", "STARTED", "STOPPED"]

    settings = {
        "FullLoadSettings": {"TargetTablePrepMode": "DO_NOTHING"},
        "ErrorBehavior": {"TableErrorPolicy": "STOP_TASK"},
    }
    strict = migrations.new(tables=dict.fromkeys(names, COLUMNS), files=names, rules=rules, settings=settings)
    task = strict.run()
    stats = task["ReplicationTaskStats"]
    assert task["Status"] == "failed"
    assert (stats["TablesLoaded"], stats["TablesErrored"], stats["TablesQueued"]) == (1, 1, 1)


# -- the endpoints' role -----------------------------------------------------------------------------------------------

READ = {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": "*"}
LIST = {"Effect": "Allow", "Action": "dynamodb:ListTables", "Resource": "*"}
WRITE = {"Effect": "Allow", "Action": ["dynamodb:PutItem", "dynamodb:DescribeTable"], "Resource": "*"}


@pytest.mark.parametrize(
    ("statements", "action", "resource"),
    [
        (
            [READ | {"Condition": {"StringLike": {"s3:prefix": "data-*"}}}, LIST, WRITE],
            "s3:GetObject",  # the condition allows to list, but no key of it comes with reading
            "arn:aws:s3:::",
        ),
        ([{**READ, "Action": "s3:ListBucket"}, LIST, WRITE], "s3:GetObject", "arn:aws:s3:::"),
        ([READ, LIST, {**WRITE, "Action": "dynamodb:DescribeTable"}], "dynamodb:PutItem", "arn:aws:dynamodb:"),
        ([READ, LIST], "dynamodb:DescribeTable", "arn:aws:dynamodb:"),
        ([READ, LIST, WRITE, {**READ, "Effect": "Deny", "Action": "s3:GetObject"}], "s3:GetObject", "arn:aws:s3:::"),
    ],
)
def test_a_role_that_may_not(migrations, statements, action, resource):
    migration = migrations.new(role=migrations.new_role(*statements))
    task = migration.run()
    said = task["LastFailureMessage"]
    assert task["Status"] == "failed" and len(migration.items()) == 0
    assert f"is not authorized to perform: {action} on resource: {resource}" in said
    assert "assumed-role/dms-role-" in said


def test_a_permission_taken_away_while_it_runs(migrations):
    role = migrations.new_role(EVERYTHING)
    migration = migrations.new(csv(1000), rate=20, role=role)
    migration.start()
    until(lambda: migration.statistics().get("airports", {}).get("FullLoadRows"))
    migrations.iam.delete_role_policy(RoleName=role.rpartition("/")[2], PolicyName="access")
    task = migration.until("failed", "stopped")
    assert task["Status"] == "failed" and "dynamodb:PutItem" in task["LastFailureMessage"]
    rows = migration.statistics()["airports"]["FullLoadRows"]
    assert 0 < rows < 1000 and len(migration.items()) == rows


def test_a_bucket_policy_that_denies(migrations, aws):
    bucket = unique("private")
    migrations.s3.create_bucket(Bucket=bucket)
    migrations.s3.put_object(Bucket=bucket, Key="travel/airports/LOAD001.csv", Body=ROWS)
    migration = migrations.new(s3_settings={"BucketName": bucket, "BucketFolder": ""})
    statement = {
        "Effect": "Deny",
        "Principal": {"AWS": migrations.role},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    migrations.s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    task = migration.run()
    assert task["Status"] == "failed" and "s3:GetObject" in task["LastFailureMessage"]


def test_connections_try_the_role(migrations, dms):
    source, target = migrations.endpoints(
        {"airports": COLUMNS}, {}, role=migrations.new_role({**WRITE, "Action": "dynamodb:PutItem"})
    )
    for endpoint, action in ((source, "s3:ListBucket"), (target, "dynamodb:ListTables")):
        wanted = [{"Name": "endpoint-arn", "Values": [endpoint]}]
        (connection,) = until(
            lambda wanted=wanted: [
                found
                for found in dms.describe_connections(Filters=wanted)["Connections"]
                if found["Status"] != "testing"
            ]
        )
        assert connection["Status"] == "failed" and action in connection["LastFailureMessage"]
    source, _ = migrations.endpoints({"airports": COLUMNS}, {}, BucketName="there-is-no-such-bucket")
    wanted = [{"Name": "endpoint-arn", "Values": [source]}]
    until(lambda: dms.describe_connections(Filters=wanted)["Connections"][0]["Status"] == "failed")
    assert "NoSuchBucket" in dms.describe_connections(Filters=wanted)["Connections"][0]["LastFailureMessage"]


# -- the target table --------------------------------------------------------------------------------------------------

AS_ON_AWS = {}  # DROP_AND_CREATE
TRUNCATE = {"FullLoadSettings": {"TargetTablePrepMode": "TRUNCATE_BEFORE_LOAD"}}


def test_a_missing_table_is_created_when_the_role_may(migrations):
    migration = migrations.new(target=unique("new"))
    assert migration.run()["Status"] == "stopped"
    table = migrations.dynamodb.describe_table(TableName=migration.table)["Table"]
    throughput = table["ProvisionedThroughput"]
    assert (throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]) == (200, 200)
    assert table["KeySchema"] == [{"AttributeName": "code", "KeyType": "HASH"}]
    assert len(migration.items()) == 10


def test_a_missing_table_fails_the_task_otherwise(migrations):
    migration = migrations.new(target=unique("new"), role=migrations.new_role(READ, LIST, WRITE))
    task = migration.run()
    assert task["Status"] == "failed"
    assert f"The target table '{migration.table}' does not exist in DynamoDB" in task["LastFailureMessage"]
    assert "dynamodb:CreateTable" in task["LastFailureMessage"]


@pytest.mark.parametrize(("settings", "left"), [(AS_ON_AWS, False), (TRUNCATE, False), (None, True)])
def test_what_happens_to_a_table_that_has_items(migrations, settings, left):
    target = migrations.table()
    migrations.dynamodb.put_item(TableName=target, Item={"code": {"S": "OLD"}})
    migration = migrations.new(ROWS, target, settings=settings)
    assert migration.run()["Status"] == "stopped"
    assert set(migration.items()) == {"A1", "A2"} | ({"OLD"} if left else set())
    billing = migrations.dynamodb.describe_table(TableName=target)["Table"].get("BillingModeSummary", {})
    assert (billing.get("BillingMode") == "PAY_PER_REQUEST") == (settings != AS_ON_AWS)


def test_a_table_deleted_while_it_is_filled(migrations):
    migration = migrations.new(csv(2000), rate=200)
    migration.start()
    until(lambda: migration.statistics().get("airports", {}).get("FullLoadRows"))
    migrations.dynamodb.delete_table(TableName=migration.table)
    task = migration.until("failed", "stopped")
    assert task["Status"] == "failed" and "does not exist in DynamoDB any more" in task["LastFailureMessage"]


# -- start, stop, resume, reload ---------------------------------------------------------------------------------------


def test_stop_resume_and_reload(migrations, events):
    names = {"airports": [csv(20)], "hotels": [csv(2000)]}
    targets = {name: migrations.table() for name in names}
    rules = [INCLUDE_ALL, *(mapping_rule(target, name) for name, target in targets.items())]
    migration = migrations.new(tables=dict.fromkeys(names, COLUMNS), files=names, rules=rules, rate=250)
    migration.start()

    def hotels(rows):
        return lambda: migration.statistics().get("hotels", {}).get("FullLoadRows", 0) >= rows

    until(hotels(10))
    stats = migration.describe()["ReplicationTaskStats"]
    assert (stats["TablesLoaded"], stats["TablesLoading"], stats["TablesQueued"]) == (1, 1, 0)
    assert migration.stop()["Status"] == "stopping"
    code, message = refused(migration.stop)
    assert code == "InvalidResourceStateFault" and "already being stopped" in message
    task = migration.until("stopped")
    assert task["StopReason"] == "Stop Reason NORMAL" and "LastFailureMessage" not in task
    assert 0 < task["ReplicationTaskStats"]["FullLoadProgressPercent"] < 100
    at_stop = migration.statistics()
    assert at_stop["airports"]["TableState"] == "Table completed" and at_stop["hotels"]["TableState"] == (
        "Table cancelled"
    )
    assert len(migrations.items(targets["hotels"])) == at_stop["hotels"]["FullLoadRows"] < 2000
    assert events.wait_for(migration, 3) == ["CREATED", "STARTED", "STOPPED"]
    assert events.of(migration)[-1]["detail"]["detailMessage"] == "Stop Reason NORMAL"

    # Tables that are complete stay; one that was partly loaded is loaded again (API_StartReplicationTask).
    migrations.dms.add_tags_to_resource(
        ResourceArn=migration.arn, Tags=[{"Key": "sandbox:rows-per-second", "Value": str(FAST)}]
    )
    fresh_start = task["ReplicationTaskStats"]["FreshStartDate"]
    task = migration.run("resume-processing")
    assert task["StopReason"] == "Stop Reason FULL_LOAD_ONLY_FINISHED"
    assert task["ReplicationTaskStats"]["FreshStartDate"] == fresh_start < task["ReplicationTaskStats"]["StartDate"]
    resumed = migration.statistics()
    assert resumed["airports"]["FullLoadStartTime"] == at_stop["airports"]["FullLoadStartTime"]
    assert resumed["hotels"]["FullLoadRows"] == 2000 == len(migrations.items(targets["hotels"]))
    events.wait_for(migration, 5)
    assert events.of(migration)[3]["detail"]["detailMessage"] == "Replication task started, with flag = resume"

    task = migration.run("reload-target")
    assert task["ReplicationTaskStats"]["FreshStartDate"] > fresh_start
    assert all(row["FullLoadReloaded"] for row in migration.statistics().values())


def test_start_types(migrations):
    migration = migrations.new()
    for how in ("resume-processing", "reload-target"):
        code, _ = refused(migration.start, how=how)
        assert code == "InvalidParameterCombinationException"
    migration.run()
    assert refused(migration.start) == (
        "InvalidParameterCombinationException",
        "Start Type : START_REPLICATION, valid only for tasks running for the first time",
    )


def test_states_that_do_not_allow_a_call(migrations, dms):
    migration = migrations.new(csv(2000), rate=100)
    code, message = refused(migration.stop)
    assert code == "InvalidResourceStateFault" and "is not currently running" in message
    migration.start()
    migration.until("running")
    task = {"ReplicationTaskArn": migration.arn}
    for call, parameters, said in (
        (dms.start_replication_task, {**task, "StartReplicationTaskType": "reload-target"}, "invalid state"),
        (dms.delete_replication_task, task, "before trying to delete it"),
        (dms.modify_replication_task, {**task, "MigrationType": "full-load"}, "cannot be modified while"),
        (dms.modify_endpoint, {"EndpointArn": migration.source}, "Stop the task first"),
        (dms.delete_endpoint, {"EndpointArn": migration.source}, "is part of one or more ReplicationTasks"),
        (
            dms.delete_replication_instance,
            {"ReplicationInstanceArn": migrations.instance},
            "has one or more replication tasks",
        ),
    ):
        code, message = refused(call, **parameters)
        assert code == "InvalidResourceStateFault" and said in message
    migration.stop()
    migration.until("stopped")


def test_a_task_starts_only_after_its_connections_were_tested(migrations, dms):
    source, target = migrations.endpoints({"airports": COLUMNS}, {"airports": [ROWS]})
    migrations.wait("test_connection_succeeds", "endpoint-arn", source)
    table = migrations.table()
    dms.modify_endpoint(EndpointArn=source, S3Settings={"CsvDelimiter": ","})  # from now on it is another endpoint
    arn = dms.create_replication_task(
        ReplicationTaskIdentifier=unique("task"),
        SourceEndpointArn=source,
        TargetEndpointArn=target,
        ReplicationInstanceArn=migrations.instance,
        MigrationType="full-load",
        TableMappings=json.dumps({"rules": [INCLUDE_ALL, mapping_rule(table)]}),
    )["ReplicationTask"]["ReplicationTaskArn"]
    start = {"ReplicationTaskArn": arn, "StartReplicationTaskType": "start-replication"}
    migrations.wait("replication_task_ready", "replication-task-arn", arn)
    code, message = refused(dms.start_replication_task, **start)
    assert code == "InvalidResourceStateFault"
    assert "should be successful for starting the replication task" in message and source in message
    dms.test_connection(ReplicationInstanceArn=migrations.instance, EndpointArn=source)
    migrations.wait("test_connection_succeeds", "endpoint-arn", source)
    dms.start_replication_task(**start)


def test_a_task_that_captures_changes_does_not_stop_by_itself(migrations):
    settings = {"CdcPath": "changes"}
    migration = migrations.new(migration_type="full-load-and-cdc", s3_settings=settings)
    migration.start()
    until(lambda: migration.describe()["ReplicationTaskStats"]["FullLoadProgressPercent"] == 100)
    task = migration.describe()
    assert task["Status"] == "running" and "FullLoadFinishDate" in task["ReplicationTaskStats"]
    migration.stop()
    assert migration.until("stopped")["StopReason"] == "Stop Reason NORMAL"
    for name, reason in (
        ("StopTaskCachedChangesApplied", "Stop Reason STOPPED_AFTER_CACHED_EVENTS"),
        ("StopTaskCachedChangesNotApplied", "Stop Reason STOPPED_AFTER_FULL_LOAD"),
    ):
        stops = migrations.new(
            migration_type="full-load-and-cdc",
            s3_settings=settings,
            settings={"FullLoadSettings": {"TargetTablePrepMode": "DO_NOTHING", name: True}},
        )
        assert stops.run()["StopReason"] == reason


def test_boto3_waiters(migrations, dms):
    migration = migrations.new(csv(2000), rate=100)
    migration.start()
    migrations.wait("replication_task_running", "replication-task-arn", migration.arn)
    migration.stop()
    migrations.wait("replication_task_stopped", "replication-task-arn", migration.arn)
    dms.delete_replication_task(ReplicationTaskArn=migration.arn)
    migrations.wait("replication_task_deleted", "replication-task-arn", migration.arn)
    for endpoint in (migration.source, migration.target_endpoint):
        dms.delete_endpoint(EndpointArn=endpoint)
        migrations.wait("endpoint_deleted", "endpoint-arn", endpoint)
    instance = dms.create_replication_instance(
        ReplicationInstanceIdentifier=unique("Other"), ReplicationInstanceClass="dms.t3.small", AllocatedStorage=20
    )["ReplicationInstance"]
    assert instance["ReplicationInstanceStatus"] == "creating"
    assert instance["ReplicationInstanceIdentifier"].startswith("other-")
    arn = instance["ReplicationInstanceArn"]
    migrations.wait("replication_instance_available", "replication-instance-arn", arn)
    dms.delete_replication_instance(ReplicationInstanceArn=arn)
    migrations.wait("replication_instance_deleted", "replication-instance-arn", arn)


def test_deleted_and_modified_are_events_too(migrations, events, dms):
    migration = migrations.new()
    name = unique("renamed")
    answer = dms.modify_replication_task(
        ReplicationTaskArn=migration.arn,
        ReplicationTaskIdentifier=name,
        ReplicationTaskSettings='{"FullLoadSettings": {"CommitRate": 5000}}',
    )
    assert answer["ReplicationTask"]["Status"] == "modifying"
    task = migration.until("ready")
    settings = json.loads(migration.describe()["ReplicationTaskSettings"])
    assert task["ReplicationTaskIdentifier"] == name
    assert settings["FullLoadSettings"]["CommitRate"] == 5000
    assert settings["FullLoadSettings"]["TargetTablePrepMode"] == "DO_NOTHING"  # what was not named stays
    dms.delete_replication_task(ReplicationTaskArn=migration.arn)
    assert events.wait_for(migration, 3) == ["CREATED", "MODIFIED", "DELETED"]
    details = [event["detail"] for event in events.of(migration)]
    assert [(detail["eventId"], detail["category"]) for detail in details] == [
        ("DMS-EVENT-0074", "Creation"),
        ("DMS-EVENT-0080", "ConfigurationChange"),
        ("DMS-EVENT-0073", "Deletion"),
    ]
    assert details[-1]["resourceLink"].endswith(f"#taskDetails/{name}")


# -- settings ----------------------------------------------------------------------------------------------------------


def test_settings_are_large_and_can_be_left_out(migrations):
    migration = migrations.new(settings={"ErrorBehavior": {"DataErrorPolicy": "STOP_TASK"}})
    text = migration.describe()["ReplicationTaskSettings"]
    assert len(text) > 3500
    settings = json.loads(text)
    assert settings["ErrorBehavior"]["DataErrorPolicy"] == "STOP_TASK"
    assert settings["ErrorBehavior"]["TableErrorPolicy"] == "SUSPEND_TABLE"
    assert settings["FullLoadSettings"]["TargetTablePrepMode"] == "DROP_AND_CREATE"
    assert len(settings["Logging"]["LogComponents"]) == 19
    assert "ReplicationTaskSettings" not in migration.describe(WithoutSettings=True)


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def task(migrations):
    return migrations.new()


def valid_task(migrations, task, **changes):
    return {
        "ReplicationTaskIdentifier": unique("task"),
        "SourceEndpointArn": task.source,
        "TargetEndpointArn": task.target_endpoint,
        "ReplicationInstanceArn": migrations.instance,
        "MigrationType": "full-load",
        "TableMappings": json.dumps({"rules": [INCLUDE_ALL]}),
        **changes,
    }


def nowhere(kind):
    return f"arn:aws:dms:us-east-1:{ACCOUNT}:{kind}:NOWHERE"


def mappings(*rules):
    return json.dumps({"rules": rules})


VALUE = "InvalidParameterValueException"


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"ReplicationTaskIdentifier": "1st"}, VALUE, "must begin with a letter"),
        ({"ReplicationTaskIdentifier": "two--hyphens"}, VALUE, "no two in a row"),
        ({"ReplicationTaskIdentifier": "trailing-"}, VALUE, "none at the end"),
        ({"ReplicationTaskIdentifier": "a" * 256}, VALUE, "at most 255"),
        ({"SourceEndpointArn": nowhere("endpoint")}, "ResourceNotFoundFault", "NOWHERE not found"),
        ({"ReplicationInstanceArn": nowhere("rep")}, "ResourceNotFoundFault", "NOWHERE not found"),
        ({"MigrationType": "cdc"}, VALUE, "does not capture changes"),
        ({"MigrationType": "full-load-and-cdc"}, VALUE, "needs CdcPath"),
        ({"MigrationType": "everything"}, "ValidationException", "enum value set: [full-load, cdc"),
        ({"TableMappings": "{"}, VALUE, "Invalid Table Mappings document"),
        ({"TableMappings": "[]"}, VALUE, 'no list of "rules"'),
        ({"TableMappings": mappings()}, VALUE, "no selection rule"),
        ({"TableMappings": mappings(INCLUDE_ALL | {"rule-action": "exclude"})}, VALUE, "no selection rule"),
        ({"TableMappings": mappings(INCLUDE_ALL | {"rule-action": "select"})}, VALUE, "include, exclude or explicit"),
        ({"TableMappings": mappings(INCLUDE_ALL | {"filters": [{}]})}, VALUE, "no source filters"),
        ({"TableMappings": mappings(INCLUDE_ALL | {"object-locator": {}})}, VALUE, "no object-locator"),
        ({"TableMappings": mappings(INCLUDE_ALL | {"rule-name": ""})}, VALUE, "has no rule-name"),
        ({"TableMappings": mappings(INCLUDE_ALL | {"rule-type": "transformation"})}, VALUE, "no rule-type"),
        ({"TableMappings": mappings(INCLUDE_ALL, mapping_rule("x y"))}, VALUE, "name of a DynamoDB table"),
        ({"TableMappings": mappings(INCLUDE_ALL, mapping_rule("abc", action="copy"))}, VALUE, "map-record-to-record"),
        ({"TableMappings": mappings(INCLUDE_ALL, mapping_rule("abc", condition_expression={}))}, VALUE, "condition"),
        (
            {"TableMappings": mappings(INCLUDE_ALL, mapping_rule("abc", attribute_mappings=[{}]))},
            VALUE,
            "no target-attribute-name",
        ),
        ({"ReplicationTaskSettings": "{"}, VALUE, "Invalid task settings JSON"),
        ({"ReplicationTaskSettings": '{"Unheard": {}}'}, VALUE, "no section 'Unheard'"),
        (
            {"ReplicationTaskSettings": '{"FullLoadSettings": {"TargetTablePrepMode": "KEEP"}}'},
            VALUE,
            "TargetTablePrepMode must be one of",
        ),
        (
            {"ReplicationTaskSettings": '{"Logging": {"CloudWatchLogGroup": "mine"}}'},
            VALUE,
            "cannot be set on create",
        ),
        ({"Tags": [{"Key": "aws:mine", "Value": "x"}]}, VALUE, "Invalid tag"),
        ({"Tags": [{"Key": "sandbox:rows-per-second", "Value": "quick"}]}, VALUE, "must be a number"),
        ({"Tags": [{"Key": "sandbox:rows-per-second", "Value": "0"}]}, VALUE, "must be a number"),
        ({"ResourceIdentifier": "-"}, VALUE, "Invalid ResourceIdentifier"),
        ({"CdcStartPosition": "now"}, "InvalidParameterCombinationException", "no position to start"),
    ],
)
def test_tasks_that_are_refused(migrations, task, changes, code, said):
    parameters = valid_task(migrations, task, **changes)
    if changes.get("SourceEndpointArn") is None:
        parameters["SourceEndpointArn"] = task.source
    found, message = refused(migrations.dms.create_replication_task, **parameters)
    assert found == code and said in message


def test_names_are_taken_once(migrations, dms, task):
    name = task.describe()["ReplicationTaskIdentifier"]
    code, message = refused(
        dms.create_replication_task, **valid_task(migrations, task, ReplicationTaskIdentifier=name.upper())
    )
    assert (code, message) == ("ResourceAlreadyExistsFault", f"A task with this name already exists: {name.upper()}")
    endpoint = {"EndpointType": "target", "EngineName": "dynamodb"}
    settings = {"ServiceAccessRoleArn": migrations.role}
    identifier = unique("target")
    dms.create_endpoint(EndpointIdentifier=identifier, DynamoDbSettings=settings, **endpoint)
    code, _ = refused(dms.create_endpoint, EndpointIdentifier=identifier, DynamoDbSettings=settings, **endpoint)
    assert code == "ResourceAlreadyExistsFault"
    swapped = valid_task(migrations, task, SourceEndpointArn=task.target_endpoint)
    assert refused(dms.create_replication_task, **swapped)[0] == VALUE


S3 = {"BucketName": "some-bucket", "ExternalTableDefinition": definition({"airports": COLUMNS})}


def columns(**column):
    return {**S3, "ExternalTableDefinition": definition({"airports": [{**COLUMNS[0], **column}]})}


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"EngineName": "mysql"}, VALUE, "no source endpoints with the engine 'mysql'"),
        ({"EndpointType": "target"}, VALUE, "no target endpoints with the engine 's3'"),
        ({"EndpointType": "both"}, "ValidationException", "enum value set: [source, target]"),
        ({"ServerName": "db.example.com"}, VALUE, "no ServerName"),
        ({"SslMode": "require"}, VALUE, "SslMode must be none"),
        ({"S3Settings": {"ExternalTableDefinition": S3["ExternalTableDefinition"]}}, VALUE, "BucketName"),
        ({"S3Settings": {"BucketName": "some-bucket"}}, VALUE, "ExternalTableDefinition"),
        ({"S3Settings": {**S3, "DataFormat": "parquet"}}, VALUE, "reads CSV files"),
        ({"S3Settings": {**S3, "CsvDelimiter": "||"}}, VALUE, "one character"),
        ({"S3Settings": {**S3, "CsvDelimiter": '"'}}, VALUE, "no quote"),
        ({"S3Settings": {**S3, "CsvRowDelimiter": ";"}}, VALUE, "rows end in"),
        ({"S3Settings": {**S3, "IgnoreHeaderRows": 2}}, VALUE, "0 or 1"),
        ({"S3Settings": {**S3, "ExternalTableDefinition": "{}"}}, VALUE, "no list of Tables"),
        ({"S3Settings": columns(ColumnType="BLOB")}, VALUE, "BLOB is not one of"),
        ({"S3Settings": columns(ColumnLength="wide")}, VALUE, "ColumnLength must be a whole number"),
        ({"S3Settings": columns(ColumnType="NUMERIC")}, VALUE, "ColumnPrecision must be a whole number"),
        ({"S3Settings": columns(ColumnNullable="maybe")}, VALUE, "must be true or false"),
        (
            {"ServiceAccessRoleArn": f"arn:aws:iam::{ACCOUNT}:role/nobody"},
            "AccessDeniedFault",
            "not configured properly",
        ),
    ],
)
def test_endpoints_that_are_refused(migrations, changes, code, said):
    parameters = {
        "EndpointIdentifier": unique("source"),
        "EndpointType": "source",
        "EngineName": "s3",
        "ServiceAccessRoleArn": migrations.role,
        "S3Settings": S3,
        **changes,
    }
    found, message = refused(migrations.dms.create_endpoint, **parameters)
    assert found == code and said in message


def test_a_role_must_trust_dms(migrations):
    role = migrations.new_role(EVERYTHING, service="lambda.amazonaws.com")
    code, message = refused(
        migrations.dms.create_endpoint,
        EndpointIdentifier=unique("target"),
        EndpointType="target",
        EngineName="dynamodb",
        DynamoDbSettings={"ServiceAccessRoleArn": role},
    )
    assert (code, message) == ("AccessDeniedFault", f"The IAM Role {role} is not configured properly.")


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"ReplicationInstanceClass": "large"}, VALUE, "like dms.t3.micro"),
        ({"AllocatedStorage": 1}, VALUE, "between 5 and 6144"),
        ({"ReplicationInstanceIdentifier": "a" * 64}, VALUE, "at most 63"),
        ({"ReplicationSubnetGroupIdentifier": "mine"}, "ResourceNotFoundFault", "Replication Subnet Group mine"),
    ],
)
def test_instances_that_are_refused(dms, changes, code, said):
    parameters = {"ReplicationInstanceIdentifier": unique("i"), "ReplicationInstanceClass": "dms.t3.micro", **changes}
    found, message = refused(dms.create_replication_instance, **parameters)
    assert found == code and said in message


@pytest.mark.parametrize(
    ("call", "parameters"),
    [
        ("start_replication_task", {"StartReplicationTaskType": "start-replication"}),
        ("stop_replication_task", {}),
        ("delete_replication_task", {}),
        ("modify_replication_task", {}),
        ("describe_table_statistics", {}),
    ],
)
def test_a_task_that_is_not_there(dms, call, parameters):
    code, message = refused(getattr(dms, call), ReplicationTaskArn=nowhere("task"), **parameters)
    assert code == "ResourceNotFoundFault" and "NOWHERE not found" in message


def test_other_things_that_are_not_there(migrations, dms):
    for call, parameters in (
        (dms.delete_endpoint, {"EndpointArn": nowhere("endpoint")}),
        (dms.modify_endpoint, {"EndpointArn": nowhere("endpoint")}),
        (dms.delete_replication_instance, {"ReplicationInstanceArn": nowhere("rep")}),
        (dms.test_connection, {"ReplicationInstanceArn": nowhere("rep"), "EndpointArn": nowhere("endpoint")}),
        (
            dms.test_connection,
            {"ReplicationInstanceArn": migrations.instance, "EndpointArn": nowhere("endpoint")},
        ),
        (dms.list_tags_for_resource, {"ResourceArn": nowhere("task")}),
        (dms.add_tags_to_resource, {"ResourceArn": nowhere("task"), "Tags": []}),
        (dms.remove_tags_from_resource, {"ResourceArn": nowhere("task"), "TagKeys": []}),
    ):
        assert refused(call, **parameters)[0] == "ResourceNotFoundFault"


@pytest.mark.parametrize(
    ("operation", "body", "code"),
    [
        ("DescribeReplicationTasks", b"{", "SerializationException"),
        ("DescribeReplicationTasks", b"[1]", "SerializationException"),
        ("DescribeReplicationTasks", b'{"MaxRecords": "20"}', "SerializationException"),
        ("DescribeReplicationTasks", b'{"Filters": [{"Name": "migration-type"}]}', "ValidationException"),
        ("DescribeReplicationTasks", b'{"WithSettings": true}', "UnknownParameterException"),
        pytest.param("DescribeReplicationTasks", b'{"Filters": ' + b"[" * 50_000, "SerializationException", id="deep"),
        ("StartReplicationTask", b"{}", "ValidationException"),
        ("MoveReplicationTask", b"{}", "UnknownOperationException"),
        ("Migrate", b"", "UnknownOperationException"),
    ],
)
def test_requests_that_boto3_would_not_send(sandbox, operation, body, code):
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    headers = {"X-Amz-Target": f"AmazonDMSv20160101.{operation}", "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", sandbox["endpoint"] + "/", data=body, headers=headers)
    keys = Credentials(sandbox["access_key_id"], sandbox["secret_access_key"])
    SigV4Auth(keys, "dms", "us-east-1").add_auth(request)
    with pytest.raises(urllib.request.HTTPError) as answer:
        urllib.request.urlopen(
            urllib.request.Request(request.url, body, dict(request.headers), method="POST"), timeout=PATIENCE
        )
    assert answer.value.status == 400
    assert answer.value.headers["Content-Type"] == "application/x-amz-json-1.1"
    document = json.load(answer.value)
    assert document["__type"] == code and document["message"]


# -- describing many ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(migrations):
    """A replication instance with 45 tasks between two endpoints."""
    answer = migrations.dms.create_replication_instance(
        ReplicationInstanceIdentifier=unique("busy"), ReplicationInstanceClass="dms.t3.medium"
    )
    instance = answer["ReplicationInstance"]["ReplicationInstanceArn"]
    migrations.wait("replication_instance_available", "replication-instance-arn", instance)
    source, target = migrations.endpoints({"airports": COLUMNS}, {}, CdcPath="changes")
    for number in range(45):
        migrations.dms.create_replication_task(
            ReplicationTaskIdentifier=unique(f"many-{number}"),
            SourceEndpointArn=source,
            TargetEndpointArn=target,
            ReplicationInstanceArn=instance,
            MigrationType="full-load-and-cdc" if number % 3 == 0 else "full-load",
            TableMappings=json.dumps({"rules": [INCLUDE_ALL]}),
        )
    return {"instance": instance, "source": source, "target": target}


def test_paging(dms, many):
    filters = [{"Name": "replication-instance-arn", "Values": [many["instance"]]}]
    first = dms.describe_replication_tasks(Filters=filters, MaxRecords=20, WithoutSettings=True)
    assert len(first["ReplicationTasks"]) == 20 and first["Marker"]
    pages = dms.get_paginator("describe_replication_tasks").paginate(
        Filters=filters, WithoutSettings=True, PaginationConfig={"PageSize": 20}
    )
    sizes, names = [], set()
    for page in pages:
        sizes.append(len(page["ReplicationTasks"]))
        names |= {task["ReplicationTaskIdentifier"] for task in page["ReplicationTasks"]}
    assert sizes == [20, 20, 5] and len(names) == 45
    for parameters in ({"MaxRecords": 19}, {"MaxRecords": 101}, {"Marker": "nothing"}):
        assert refused(dms.describe_replication_tasks, **parameters)[0] == VALUE


def test_filters_of_tasks(dms, many):
    def found(**filters):
        wanted = [{"Name": name.replace("_", "-"), "Values": values} for name, values in filters.items()]
        tasks = dms.describe_replication_tasks(Filters=wanted, WithoutSettings=True)["ReplicationTasks"]
        return [(task["ReplicationTaskArn"], task["ReplicationTaskIdentifier"]) for task in tasks]

    instance = {"replication_instance_arn": [many["instance"]]}
    assert len(found(**instance)) == 45
    assert len(found(endpoint_arn=[many["source"]])) == 45 == len(found(endpoint_arn=[many["target"]]))
    assert len(found(**instance, migration_type=["full-load-and-cdc"])) == 15  # filters are joined by and,
    assert len(found(**instance, migration_type=["full-load", "full-load-and-cdc"])) == 45  # their values by or
    one, two = found(**instance)[:2]
    assert found(replication_task_id=[one[1]]) == [one]
    assert found(replication_task_arn=[one[0], two[0]]) == [one, two]
    with pytest.raises(dms.exceptions.ResourceNotFoundFault):
        found(replication_task_id=["nobody"])
    code, message = refused(lambda: found(status=["ready"]))
    assert code == VALUE and "replication-task-arn" in message


def test_filters_of_other_things(dms, many):
    def count(call, key, **filters):
        wanted = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
        return len(getattr(dms, call)(Filters=wanted)[key])

    assert count("describe_endpoints", "Endpoints", endpoint_arn=many["source"], endpoint_type="source") == 1
    assert count("describe_endpoints", "Endpoints", endpoint_arn=many["target"], engine_name="dynamodb") == 1
    code, _ = refused(lambda: count("describe_endpoints", "Endpoints", endpoint_arn=many["target"], engine_name="s3"))
    assert code == "ResourceNotFoundFault"
    assert count("describe_connections", "Connections", endpoint_arn=many["source"]) == 1
    name = {"replication_instance_class": "dms.t3.medium", "replication_instance_arn": many["instance"]}
    assert count("describe_replication_instances", "ReplicationInstances", **name) == 1


def test_filters_of_table_statistics(migrations, dms):
    names = {"airports": [csv(1)], "hotels": ["X,Broken,many\n"]}
    rules = [INCLUDE_ALL, *(mapping_rule(migrations.table(), name) for name in names)]
    migration = migrations.new(tables=dict.fromkeys(names, COLUMNS), files=names, rules=rules)
    assert dms.describe_table_statistics(ReplicationTaskArn=migration.arn)["TableStatistics"] == []
    migration.run()
    for name, value, table in (("table-name", "hotels", "hotels"), ("table-state", "Table completed", "airports")):
        (row,) = dms.describe_table_statistics(
            ReplicationTaskArn=migration.arn, Filters=[{"Name": name, "Values": [value]}]
        )["TableStatistics"]
        assert row["TableName"] == table


def test_tags(migrations, dms, task):
    dms.add_tags_to_resource(ResourceArn=task.arn, Tags=[{"Key": "lab", "Value": "01"}, {"Key": "who"}])
    dms.remove_tags_from_resource(ResourceArn=task.arn, TagKeys=["who", "never"])
    tags = {tag["Key"]: tag["Value"] for tag in dms.list_tags_for_resource(ResourceArn=task.arn)["TagList"]}
    assert tags == {"sandbox:rows-per-second": str(FAST), "lab": "01"}
    several = dms.list_tags_for_resource(ResourceArnList=[task.arn, task.source])["TagList"]
    assert {tag["ResourceArn"] for tag in several} == {task.arn}
    assert refused(dms.list_tags_for_resource)[0] == "InvalidParameterCombinationException"


def test_endpoints_are_described_and_modified(migrations, dms):
    source, _ = migrations.endpoints({"airports": COLUMNS}, {})
    (endpoint,) = dms.describe_endpoints(Filters=[{"Name": "endpoint-arn", "Values": [source]}])["Endpoints"]
    assert (endpoint["EndpointType"], endpoint["EngineDisplayName"], endpoint["Status"]) == (
        "SOURCE",
        "Amazon S3",
        "active",
    )
    assert endpoint["S3Settings"]["CsvDelimiter"] == "," and endpoint["S3Settings"]["BucketName"] == migrations.bucket
    name = unique("renamed")
    changed = dms.modify_endpoint(EndpointArn=source, EndpointIdentifier=name, S3Settings={"IgnoreHeaderRows": 1})
    settings = changed["Endpoint"]["S3Settings"]
    assert changed["Endpoint"]["EndpointIdentifier"] == name
    assert (settings["IgnoreHeaderRows"], settings["BucketName"]) == (1, migrations.bucket)
    code, _ = refused(dms.modify_endpoint, EndpointArn=source, ExactSettings=True, S3Settings={"IgnoreHeaderRows": 1})
    assert code == VALUE  # nothing else is kept then, so the bucket is missing
    code, _ = refused(dms.modify_endpoint, EndpointArn=source, EngineName="dynamodb", EndpointType="target")
    assert code == VALUE


def test_a_resource_identifier_ends_the_arn(dms):
    resource = unique("my-arn")
    answer = dms.create_replication_instance(
        ReplicationInstanceIdentifier=unique("i"),
        ReplicationInstanceClass="dms.t3.micro",
        ResourceIdentifier=resource,
    )
    arn = answer["ReplicationInstance"]["ReplicationInstanceArn"]
    assert arn == f"arn:aws:dms:us-east-1:{ACCOUNT}:rep:{resource}"
    code, _ = refused(
        dms.create_replication_instance,
        ReplicationInstanceIdentifier=unique("i"),
        ReplicationInstanceClass="dms.t3.micro",
        ResourceIdentifier=resource,
    )
    assert code == "ResourceAlreadyExistsFault"


# -- who may call ------------------------------------------------------------------------------------------------------


def client_of_role(aws, sandbox, *statements):
    """A dms client with a role's credentials, as a Lambda function has them."""
    name = unique("caller")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    role = aws("iam").create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    aws("iam").put_role_policy(RoleName=name, PolicyName="dms", PolicyDocument=policy)
    keys = aws("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return boto3.client(
        "dms",
        endpoint_url=sandbox["endpoint"],
        region_name="us-east-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def test_calls_are_authorised(aws, sandbox, migrations):
    migration = migrations.new()
    other = migrations.new()
    nothing = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    client = client_of_role(aws, sandbox, nothing)
    start = {"ReplicationTaskArn": migration.arn, "StartReplicationTaskType": "start-replication"}
    code, message = refused(client.start_replication_task, **start)
    assert code == "AccessDeniedException"
    assert "assumed-role/caller-" in message
    assert f"is not authorized to perform: dms:StartReplicationTask on resource: {migration.arn}" in message
    assert migration.describe()["Status"] == "ready"

    own_task = {"Effect": "Allow", "Action": "dms:*", "Resource": migration.arn}
    client = client_of_role(aws, sandbox, own_task)
    assert client.start_replication_task(**start)["ReplicationTask"]["Status"] == "starting"
    assert refused(client.stop_replication_task, ReplicationTaskArn=other.arn)[0] == "AccessDeniedException"
    assert client.list_tags_for_resource(ResourceArn=migration.arn)["TagList"]
    # DescribeReplicationTasks knows no single resource: a policy has to say *.
    assert refused(client.describe_replication_tasks)[0] == "AccessDeniedException"
    describe = {"Effect": "Allow", "Action": "dms:DescribeReplicationTasks", "Resource": "*"}
    assert client_of_role(aws, sandbox, describe).describe_replication_tasks()["ReplicationTasks"]


# -- from a state machine ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def states(aws):
    """Runs one Task on aws-sdk:databasemigration in a state machine: the execution as described at its end."""
    client, iam = aws("stepfunctions"), aws("iam")
    name = unique("machine")
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "dms:*", "Resource": "*"}]}
    iam.put_role_policy(RoleName=name, PolicyName="dms", PolicyDocument=json.dumps(policy))

    def run(action, **parameters):
        state = {
            "Type": "Task",
            "Resource": f"arn:aws:states:::aws-sdk:databasemigration:{action}",
            "Parameters": parameters,
            "End": True,
        }
        machine = client.create_state_machine(
            name=unique("machine"), roleArn=role, definition=json.dumps({"StartAt": "Call", "States": {"Call": state}})
        )["stateMachineArn"]
        execution = client.start_execution(stateMachineArn=machine)["executionArn"]
        return until(
            lambda: (
                ended if (ended := client.describe_execution(executionArn=execution))["status"] != "RUNNING" else None
            )
        )

    return run


def test_in_a_state_machine(migrations, states):
    migration = migrations.new()
    ended = states(
        "startReplicationTask", ReplicationTaskArn=migration.arn, StartReplicationTaskType="start-replication"
    )
    assert ended["status"] == "SUCCEEDED"
    answer = json.loads(ended["output"])["ReplicationTask"]
    assert answer["Status"] == "starting" and answer["ReplicationTaskArn"] == migration.arn
    migration.until("stopped")
    filters = [{"Name": "replication-task-arn", "Values": [migration.arn]}]
    ended = states("describeReplicationTasks", Filters=filters, WithoutSettings=True)
    (task,) = json.loads(ended["output"])["ReplicationTasks"]
    assert task["StopReason"] == "Stop Reason FULL_LOAD_ONLY_FINISHED"
    assert task["ReplicationTaskStats"]["TablesLoaded"] == 1
    # Moments are texts there.
    assert datetime.fromisoformat(task["ReplicationTaskStats"]["StopDate"]).timestamp() <= time.time()
    ended = states("describeReplicationTasks", Filters=filters)
    (task,) = json.loads(ended["output"])["ReplicationTasks"]
    assert len(task["ReplicationTaskSettings"]) > 3500


def test_errors_in_a_state_machine(migrations, states):
    missing = {"ReplicationTaskArn": nowhere("task")}
    ended = states("startReplicationTask", **missing, StartReplicationTaskType="start-replication")
    assert (ended["status"], ended["error"]) == ("FAILED", "DatabaseMigration.ResourceNotFoundException"), ended
    assert "NOWHERE not found" in ended["cause"]
    migration = migrations.new()
    mine = {"ReplicationTaskArn": migration.arn}
    assert states("stopReplicationTask", **mine)["error"] == "DatabaseMigration.InvalidResourceStateException"
    migration.run()
    ended = states("startReplicationTask", **mine, StartReplicationTaskType="start-replication")
    assert ended["error"] == "DatabaseMigration.DatabaseMigrationException"  # no error of the service model
    assert "valid only for tasks running for the first time" in ended["cause"]
    ended = states("stopReplicationTask", **mine, Hard=True)
    assert ended["error"] == "States.Runtime" and "Hard" in ended["cause"]


# -- events that go wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ([], "must be an object with one key"),
        ({"faults": {}}, "must be an object with one key"),
        ({"faults": [{}]}, "faults[0].fault must be one of drop, duplicate, delay, reorder, early, throttle"),
        ({"faults": [{"fault": "drop"}, {"fault": "lose"}]}, "faults[1].fault must be one of"),
        ({"faults": [{"fault": "drop", "chance": 1}]}, "faults[0] has unknown keys: chance."),
        ({"faults": [{"fault": "drop", "count": 0}]}, "faults[0].count must be a whole number"),
        ({"faults": [{"fault": "drop", "count": True}]}, "faults[0].count must be a whole number"),
        ({"faults": [{"fault": "drop", "probability": 1.5}]}, "faults[0].probability must be a number from 0 to 1."),
        ({"faults": [{"fault": "delay", "seconds": -1}]}, "faults[0].seconds must be a number from 0 to 3600."),
        ({"faults": [{"fault": "drop", "events": ["STOPPED"]}]}, "faults[0].events must list some of"),
        ({"faults": [{"fault": "drop", "task_arn": 5}]}, "faults[0].task_arn must be the ARN"),
        ({"faults": [{"fault": "throttle", "events": ["REPLICATION_TASK_STOPPED"]}]}, "has unknown keys: events."),
        ({"faults": [{"fault": "interrupt", "seconds": 1}]}, "has unknown keys: seconds."),
        ({"faults": [{"fault": "stale", "reason": "NORMAL"}]}, "has unknown keys: reason."),
        ({"faults": [{"fault": "interrupt", "reason": "no memory"}]}, "faults[0].reason must be a stop reason in"),
    ],
)
def test_plans_of_faults_that_are_refused(faults, plan, said):
    assert said in faults.post(plan)


def test_a_dropped_event(migrations, events, faults):
    migration = migrations.new()
    events.wait_for(migration, 1)
    faults.add({"fault": "drop", "events": ["REPLICATION_TASK_STOPPED"], "task_arn": migration.arn, "count": 1})
    migration.run()
    migration.run("reload-target")
    assert events.wait_for(migration, 4) == ["CREATED", "STARTED", "STARTED", "STOPPED"]
    assert faults.of(migration) == []  # it happened once, as asked


def test_a_duplicated_event(migrations, events, faults):
    migration, other = migrations.new(), migrations.new()
    faults.add(
        {"fault": "drop", "task_arn": migration.arn, "probability": 0},
        {"fault": "duplicate", "events": ["REPLICATION_TASK_STOPPED"], "task_arn": migration.arn},
    )
    other.run()
    migration.run()
    assert events.wait_for(migration, 4) == ["CREATED", "STARTED", "STOPPED", "STOPPED"]
    first, second = (event for event in events.of(migration) if event["detail"]["eventId"] == "DMS-EVENT-0079")
    assert first["detail"] == second["detail"]
    assert events.wait_for(other, 3) == ["CREATED", "STARTED", "STOPPED"]


def test_a_delayed_event(migrations, events, faults):
    migration = migrations.new()
    faults.add({"fault": "delay", "seconds": 2, "task_arn": migration.arn, "events": ["REPLICATION_TASK_STARTED"]})
    migration.run()
    assert events.wait_for(migration, 3) == ["CREATED", "STOPPED", "STARTED"]


def test_reordered_events(migrations, events, faults):
    migration, alone = migrations.new(), migrations.new()
    faults.add(
        {"fault": "reorder", "task_arn": migration.arn, "events": ["REPLICATION_TASK_STARTED"]},
        {"fault": "reorder", "task_arn": alone.arn, "events": ["REPLICATION_TASK_STOPPED"], "seconds": 0.1},
    )
    migration.run()
    assert events.wait_for(migration, 3) == ["CREATED", "STOPPED", "STARTED"]
    alone.run()
    assert events.wait_for(alone, 3) == ["CREATED", "STARTED", "STOPPED"]  # no other came


def test_an_event_before_the_start_call_returns(migrations, events, faults):
    migration = migrations.new()
    events.wait_for(migration, 1)
    faults.add({"fault": "early", "task_arn": migration.arn, "count": 1, "seconds": 0})
    answer = migration.start()
    assert events.kinds(migration) == ["CREATED", "STARTED", "STOPPED"]  # without waiting
    assert answer["Status"] == "starting"  # what the caller is told is out of date
    assert migration.describe()["Status"] == "stopped"
    assert faults.of(migration) == []


def test_a_throttled_description(migrations, dms, events, faults):
    migration, other = migrations.new(), migrations.new()
    one = [{"Name": "replication-task-arn", "Values": [migration.arn]}]
    faults.add({"fault": "throttle", "task_arn": migration.arn, "count": 2})
    assert other.describe()["Status"] == "ready"
    for _ in range(2):
        assert refused(dms.describe_replication_tasks, Filters=one) == ("ThrottlingException", "Rate exceeded")
    assert migration.describe()["Status"] == "ready"
    assert faults.of(migration) == []


def test_a_start_whose_answer_is_lost(migrations, events, faults):
    migration = migrations.new()
    faults.add({"fault": "unanswered", "task_arn": migration.arn, "count": 1})
    with pytest.raises(ClientError) as failure:
        migration.start()
    assert failure.value.response["Error"]["Code"] == "InternalFailure"
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    migration.until("stopped")
    assert events.wait_for(migration, 3) == ["CREATED", "STARTED", "STOPPED"]  # these go right


def test_an_answer_that_is_out_of_date(migrations, events, faults):
    migration = migrations.new(csv(40), rate=10)  # it runs for as long as the first two questions take
    faults.add({"fault": "stale", "task_arn": migration.arn, "count": 1})
    assert migration.describe()["Status"] == "ready"  # nothing happened yet, so there is nothing earlier to tell
    faults.add({"fault": "stale", "task_arn": migration.arn, "count": 1})
    migration.start()
    begun = migration.describe()
    assert (begun["Status"], begun["ReplicationTaskStats"].get("StartDate")) == ("ready", None)
    events.wait_for(migration, 3)
    faults.add({"fault": "stale", "task_arn": migration.arn, "count": 2})
    for _ in range(2):
        over = migration.describe()
        assert (over["Status"], over.get("StopReason")) == ("running", None)
    faults.add({"fault": "stale", "task_arn": migration.arn, "count": 1, "status": "stopping"})
    assert migration.describe()["Status"] == "stopping"
    assert migration.describe()["Status"] == "stopped"
    assert faults.of(migration) == []


def test_a_run_that_is_interrupted(migrations, events, faults):
    migration = migrations.new(csv(40))
    faults.add({"fault": "interrupt", "task_arn": migration.arn, "count": 1})
    task = migration.run()
    assert (task["Status"], task["StopReason"]) == ("stopped", "Stop Reason STOPPED_DUE_TO_LOW_MEMORY")
    assert task["ReplicationTaskStats"]["TablesErrored"] == task["ReplicationTaskStats"]["TablesLoaded"] == 0
    assert 0 < len(migration.items()) < 40
    assert events.wait_for(migration, 3) == ["CREATED", "STARTED", "STOPPED"]
    assert faults.of(migration) == []
    migration.start("resume-processing")
    assert migration.until("stopped")["StopReason"] == "Stop Reason FULL_LOAD_ONLY_FINISHED"


# -- the end of all of it ----------------------------------------------------------------------------------------------


def test_a_reset_ends_what_runs(tmp_path, monkeypatch):
    """In a sandbox of its own, since the others' resources would go too."""
    from workshop import sandbox as process

    monkeypatch.setattr(process, "FOLDER", tmp_path / "sandbox")
    own = process.start()
    try:
        keys = {"aws_access_key_id": own["access_key_id"], "aws_secret_access_key": own["secret_access_key"]}

        def client(service):
            return boto3.client(service, endpoint_url=own["endpoint"], region_name=own["region"], **keys)

        migration = Migrations(client).new(csv(1000), rate=50)
        migration.start()
        migration.until("running")
        Faults(own).post({"faults": [{"fault": "drop"}]})
        process.reset()
        dms = client("dms")
        assert dms.describe_replication_tasks()["ReplicationTasks"] == []
        assert dms.describe_endpoints()["Endpoints"] == dms.describe_connections()["Connections"] == []
        assert dms.describe_replication_instances()["ReplicationInstances"] == []
        assert Faults(own).get() == []
        assert Migrations(client).new().run()["Status"] == "stopped"
        assert "Traceback" not in Path(own["log"]).read_text(encoding="utf-8")
    finally:
        process.stop()
