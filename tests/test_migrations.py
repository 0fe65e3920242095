"""A migration in one call: it is ready, it does what it says, and it fails as it was asked to."""

import patience
import pytest
from botocore.exceptions import ClientError

from workshop import clients, deploy, migrations
from workshop.names import name

pytestmark = pytest.mark.usefixtures("account")

ENDS = ("stopped", "failed")


def until(migration, *statuses):
    """What the migration says of itself once it has one of these statuses."""

    def look():
        described = migration.describe()
        return described if described["Status"] in statuses else None

    return patience.until(look, every=0.05)


def test_it_brings_its_rows(aws):
    migration = migrations.migration(name("01", "brings"), rows=250, rows_per_second=2000)
    assert migration.describe()["Status"] == "ready"
    assert "ReplicationTaskSettings" not in migration.describe()
    assert migration.rows_arrived() == 0
    migration.start()
    described = until(migration, *ENDS)
    assert described["StopReason"] == "Stop Reason FULL_LOAD_ONLY_FINISHED"
    assert migration.rows == migration.rows_arrived() == 250
    item = aws("dynamodb").get_item(TableName=migration.table, Key={"iata": {"S": "00M"}})["Item"]
    assert item["name"] == {"S": "Thigpen"}
    assert float(item["latitude"]["N"]) == pytest.approx(31.95376472)
    assert repr(migration) == (
        "<Migration you-01-brings: 250 rows from you-01-brings-111122223333 in S3 "
        "to you-01-brings-airports in DynamoDB>"
    )
    with pytest.raises(ClientError, match="valid only for tasks running for the first time"):
        migration.start()
    migration.start("reload-target")
    assert until(migration, *ENDS)["Status"] == "stopped"
    assert migration.rows_arrived() == 250


@pytest.mark.parametrize("thing", ["named", "with-a-name-that-is-longer-than-dms-likes"])
def test_rules_and_policies_can_name_its_task(aws, thing):
    """By how its ARN begins; the rest is made up, so that its successor has another."""
    arn = migrations.migration(name("01", thing), rows=1).arn
    assert arn.startswith(deploy.arn("dms", f"task:{name('01', thing)[:24]}".rstrip("-")))
    assert len(arn.rpartition(":")[2]) <= 31


def test_a_second_one_of_that_name_takes_the_place_of_the_first(aws):
    first = migrations.migration(name("01", "again"), rows=300, rows_per_second=50)
    first.start()  # and it is not waited for
    second = migrations.migration(name("01", "again"), rows=20, rows_per_second=1000)
    assert second.describe()["Status"] == "ready"
    assert second.arn != first.arn
    assert second.rows_arrived() == 0
    with pytest.raises(ClientError, match="ResourceNotFoundFault"):
        first.describe()
    migrations.delete_task(first.arn)  # it is gone, which is what is wanted
    second.start()
    until(second, *ENDS)
    assert second.rows_arrived() == 20


@pytest.mark.parametrize(
    ("fails", "message", "arrived"),
    [
        ("bad row", "line 81, column latitude: 'unknown' is not a REAL8", 80),
        ("no file", "there is no file s3://you-01-fails-111122223333/travel/airports/", 0),
        ("no table", "The target table 'you-01-fails-airports' does not exist", None),
    ],
)
def test_it_fails_as_asked(aws, fails, message, arrived):
    migration = migrations.migration(name("01", "fails"), rows=100, rows_per_second=2000, fails=fails)
    migration.start()
    described = until(migration, *ENDS)
    assert described["Status"] == "failed"
    assert message in described["LastFailureMessage"]
    if arrived is None:
        assert migration.table not in aws("dynamodb").list_tables()["TableNames"]
    else:
        assert migration.rows_arrived() == arrived


def test_a_table_set_aside_looks_finished_but_for_its_errors():
    migration = migrations.migration(name("01", "aside"), rows=50, rows_per_second=2000, fails="table set aside")
    migration.start()
    described = until(migration, *ENDS)
    assert described["StopReason"] == "Stop Reason FULL_LOAD_ONLY_FINISHED"
    assert described["ReplicationTaskStats"]["TablesErrored"] == 1
    assert migration.rows_arrived() == 40


def test_it_can_be_stopped():
    migration = migrations.migration(name("01", "stopped"), rows_per_second=10)
    migration.start()
    until(migration, "running")
    migration.stop()
    assert until(migration, *ENDS)["StopReason"] == "Stop Reason NORMAL"
    assert migration.rows_arrived() < migration.rows


def test_after_a_failure_the_same_name_can_succeed():
    for fails, status in (("no table", "failed"), (None, "stopped")):
        migration = migrations.migration(name("01", "recovers"), rows=50, rows_per_second=2000, fails=fails)
        migration.start()
        assert until(migration, *ENDS)["Status"] == status


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rows": 0}, "rows is 0, but it must be from 1 to 3,376, or None for all."),
        ({"rows": 3377}, "rows is 3377, but"),
        ({"fails": "badly"}, "fails is 'badly'; it may be None, 'bad row', 'table set aside', 'no file', 'no table'."),
    ],
)
def test_what_cannot_be_asked_for(options, sentence):
    with pytest.raises(ValueError) as error:
        migrations.migration(name("01", "never"), **options)
    assert sentence in str(error.value)


def test_its_size_its_rate_and_what_its_roles_may(aws):
    migration = migrations.migration(name("01", "full"))
    assert migration.rows == 3376
    tags = {tag["Key"]: tag["Value"] for tag in aws("dms").list_tags_for_resource(ResourceArn=migration.arn)["TagList"]}
    assert tags["sandbox:rows-per-second"] == "300"
    assert tags["workshop:lab"] == "01"
    source, target = (
        aws("iam").get_role_policy(RoleName=f"you-01-full-{end}", PolicyName="permissions")["PolicyDocument"][
            "Statement"
        ]
        for end in ("source", "target")
    )
    bucket = f"arn:aws:s3:::{migration.bucket}"
    assert {each["Action"]: each["Resource"] for each in source} == {
        "s3:ListBucket": bucket,
        "s3:GetObject": f"{bucket}/*",
    }
    table = deploy.arn("dynamodb", f"table/{migration.table}")
    on_table = {each["Action"].partition(":")[2] for each in target if table in each["Resource"]}
    assert on_table == {"PutItem", "UpdateItem", "DeleteItem", "DescribeTable"}
    assert [each["Action"] for each in target if each["Resource"] == "*"] == ["dynamodb:ListTables"]


def test_one_that_has_ended_may_be_stopped_and_one_that_has_not_begun_may_not():
    migration = migrations.migration(name("01", "stopped"), rows=1)
    with pytest.raises(ClientError, match="InvalidResourceStateFault"):
        migration.stop()
    migration.start()
    ended = until(migration, "stopped")
    migration.stop()
    assert migration.describe() == ended


def test_it_is_deleted_even_where_somebody_starts_it_again_meanwhile():
    """As the function of an answer may that is still at work when its check is over."""
    migration = migrations.migration(name("01", "restless"), rows=12, rows_per_second=0.04)
    migration.start()
    dms, starts = clients.of("dms"), []

    def start_again(**_):
        # While it still stops it may have stopped by the time that the call which follows is done.
        if not starts and migration.describe()["Status"] in ("stopping", "stopped"):
            until(migration, "stopped")
            starts.append("again")
            migration.start("reload-target")

    dms.meta.events.register("before-call.database-migration-service.DeleteReplicationTask", start_again)
    try:
        migrations.delete_task(migration.arn)
    finally:
        dms.meta.events.unregister("before-call.database-migration-service.DeleteReplicationTask", start_again)
    assert starts
    with pytest.raises(dms.exceptions.ResourceNotFoundFault):
        migrations.begin_to_delete(migration.arn)
