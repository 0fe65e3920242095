"""Replication tasks and what happens when one runs: rows really go from files in S3 to a DynamoDB table.

A run goes through its tables one after the other, at a steady number of rows a second, and keeps the task's figures
true while it does. It ends

- `stopped`, "Stop Reason FULL_LOAD_ONLY_FINISHED": every table was gone through. `TablesErrored` may be over 0 all the
  same: with the documented default (`ErrorBehavior.TableErrorPolicy` SUSPEND_TABLE) a table that fails is put aside
  and the others go on.
- `stopped`, "Stop Reason NORMAL": somebody stopped it.
- `failed`, with `LastFailureMessage` and the same text as stop reason, as recorded on AWS: with STOP_TASK at the first
  table that fails, and otherwise when no table at all could be loaded.

What AWS documents: the two policies (https://docs.aws.amazon.com/dms/latest/userguide/
CHAP_Tasks.CustomizingTasks.TaskSettings.ErrorHandling.html), that a stopped task can have errors in its statistics,
and that resume-processing of a full load loads again every table that is not complete. What is our choice: that a task
of which no table was loaded is `failed` (AWS is also reported to say `stopped` then), that a row which does not fit
its table's definition is an error of the table rather than of the record, and that tables load one after the other.

Missing target tables: with `TargetTablePrepMode` DO_NOTHING, too, AWS creates a table that does not exist. So does the
sandbox when the endpoint's role may (dynamodb:CreateTable); when it may not, the table fails, and says so.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field

from sandbox import delays
from sandbox.dms import access, events, tables

logger = logging.getLogger("dms")

# Seconds that short-lived statuses last; minutes on AWS.
_CHANGING = 0.05  # of what is made, tested, modified or deleted: whoever waits asks twice
PAUSE = 0.15  # of a task that starts or stops
ROWS_PER_SECOND = 300.0
_STEP = 0.1  # seconds between two gulps of rows
_GULP = 50  # rows written before others get their turn


def changing():
    """How many seconds it takes to make, test, modify or delete something."""
    return _CHANGING + delays.seconds["migrations"]


class TableFailed(Exception):
    """A table cannot be loaded; the message is for people."""


class Stopped(Exception):
    """The task stops before it is done; the message is the reason, in DMS's words."""


@dataclass
class Progress:
    """How far one table has come. size, read: bytes of its files."""

    source: tables.SourceTable
    state: str = "Before load"
    rows: int = 0
    errors: int = 0
    size: int = 0
    read: float = 0.0
    began: float | None = None
    ended: float | None = None
    updated: float | None = None
    reloaded: bool = False


@dataclass(eq=False)
class Task:
    """A replication task. Times are seconds since the epoch; `definition` holds the fields that the user gave."""

    arn: str
    definition: dict
    settings: dict
    created: float
    status: str = "creating"
    rows_per_second: float = ROWS_PER_SECOND
    stop_reason: str | None = None
    failure: str | None = None
    tables: dict = field(default_factory=dict)  # (schema, table) -> Progress
    requested: float | None = None  # when it was last started
    fresh_start: float | None = None
    started: float | None = None
    stopped: float | None = None
    load_started: float | None = None
    load_finished: float | None = None
    clock: float | None = None  # monotonic time of the run's begin
    elapsed: float = 0.0  # seconds of a run that ended
    stop_requested: asyncio.Event = field(default_factory=asyncio.Event)
    earlier: dict | None = None  # what `now` said before its latest run began, or ended

    @property
    def name(self):
        return self.definition["ReplicationTaskIdentifier"]

    @property
    def active(self):
        return self.status in ("starting", "running", "stopping")

    def now(self):
        """What DescribeReplicationTasks tells of its runs, as of now."""
        told = {
            "Status": self.status,
            "ReplicationTaskStartDate": self.requested,
            "StopReason": self.stop_reason,
            "LastFailureMessage": self.failure,
            "ReplicationTaskStats": self.stats(),
        }
        return {name: value for name, value in told.items() if value is not None}

    def stats(self):
        """ReplicationTaskStats, as of now."""
        states = [progress.state for progress in self.tables.values()]
        size = sum(progress.size for progress in self.tables.values())
        read = sum(progress.read for progress in self.tables.values())
        done = bool(self.load_finished) and not states.count("Table error")
        elapsed = time.monotonic() - self.clock if self.clock is not None else self.elapsed
        times = {
            "FreshStartDate": self.fresh_start,
            "StartDate": self.started,
            "StopDate": self.stopped,
            "FullLoadStartDate": self.load_started,
            "FullLoadFinishDate": self.load_finished,
        }
        return {
            "FullLoadProgressPercent": 100 if done else min(99, int(100 * read / size)) if size else 0,
            "ElapsedTimeMillis": int(1000 * elapsed),
            "TablesLoaded": states.count("Table completed"),
            "TablesLoading": states.count("Full load") + states.count("Table is being reloaded"),
            "TablesQueued": states.count("Before load"),
            "TablesErrored": states.count("Table error"),
        } | {name: moment for name, moment in times.items() if moment is not None}

    async def changed(self, kind, message):
        await events.task_changed(self.arn, self.name, f"REPLICATION_TASK_{kind}", message)


class Run:
    """One run of a task.

    source, target: the endpoints' settings as dicts. how: one of the three start types. interrupted: why it stops by
    itself half-way through a table; None where it does not.
    """

    def __init__(self, task, source, target, how, interrupted=None):
        self._task = task
        self._settings = source["S3Settings"]
        region = task.arn.split(":")[3]
        self._bucket = access.Bucket(
            self._settings["BucketName"], access.Role(self._settings["ServiceAccessRoleArn"], region)
        )
        self._target_role = access.Role(target["DynamoDbSettings"]["ServiceAccessRoleArn"], region)
        self._definition = tables.read_definition(self._settings["ExternalTableDefinition"])
        self._mappings = tables.read_mappings(task.definition["TableMappings"])
        self._how, self._interrupted = how, interrupted
        self._written = self._allowed = 0

    async def run(self):
        """Everything from `starting` to the end. Never raises: what goes wrong is the task's failure."""
        task = self._task
        await asyncio.sleep(PAUSE)
        now = time.time()
        fresh = self._how != "resume-processing"
        task.status, task.started, task.clock = "running", now, time.monotonic()
        task.fresh_start = now if fresh or task.fresh_start is None else task.fresh_start
        flag = "fresh start" if fresh else "resume"
        await task.changed("STARTED", f"Replication task started, with flag = {flag}")
        try:
            self._end("stopped", await self._load(fresh))
        except Stopped as stop:
            await asyncio.sleep(PAUSE)
            self._end("stopped", f"Stop Reason {stop}")
        except Exception as error:
            if not isinstance(error, TableFailed):
                logger.exception("The run of %s broke", task.arn)
            task.failure = f"Last Error {error} Stop Reason FATAL_ERROR Error Level FATAL"
            self._end("failed", task.failure)
            await task.changed("FAILED", task.failure)
            return
        await task.changed("STOPPED", task.stop_reason)

    def _end(self, status, reason):
        task = self._task
        task.earlier = task.now()
        task.elapsed, task.clock = time.monotonic() - task.clock, None
        task.stopped, task.stop_reason, task.status = time.time(), reason, status

    # -- the load ------------------------------------------------------------------------------------------------------

    async def _load(self, fresh):
        """Load what there is to load; the stop reason. Raises TableFailed, Stopped."""
        task = self._task
        selected = [table for table in self._definition if self._mappings.selects(table)]
        if not selected and task.settings["ErrorBehavior"]["FailOnNoTablesCaptured"]:
            raise TableFailed(
                "No tables were found at task initialization. No table of the source's external table definition "
                "matches the selection rules."
            )
        reloading = self._how == "reload-target"
        kept = {} if fresh else {key: p for key, p in task.tables.items() if p.state == "Table completed"}
        task.tables = {
            key: kept.get(key) or Progress(table, reloaded=reloading)
            for table in selected
            for key in [(table.schema, table.name)]
        }
        queue = [progress for progress in task.tables.values() if progress.state != "Table completed"]
        task.load_started, task.load_finished = time.time(), None
        files = await self._files(queue)
        failures = []
        for progress in queue:
            try:
                await self._load_table(progress, files[progress.source])
            except Stopped:
                self._table_ended(progress, "Table cancelled")
                raise
            except (TableFailed, tables.BadRow, tables.InvalidMappings, access.AccessDenied, access.Refused) as error:
                self._table_ended(progress, "Table error")
                failures.append(str(error) if isinstance(error, TableFailed) else f"Table {progress.source}: {error}")
                if task.settings["ErrorBehavior"]["TableErrorPolicy"] == "STOP_TASK":
                    break
        if failures:
            message = " ".join(failure.rstrip(".") + "." for failure in failures)
            completed = any(progress.state == "Table completed" for progress in task.tables.values())
            if not completed or task.settings["ErrorBehavior"]["TableErrorPolicy"] == "STOP_TASK":
                raise TableFailed(message)
            task.failure = f"Last Error {message}"
        task.load_finished = time.time()
        return await self._after_load()

    async def _after_load(self):
        settings = self._task.settings["FullLoadSettings"]
        if self._task.definition["MigrationType"] == "full-load":
            return "Stop Reason FULL_LOAD_ONLY_FINISHED"
        if settings["StopTaskCachedChangesNotApplied"]:
            return "Stop Reason STOPPED_AFTER_FULL_LOAD"
        if settings["StopTaskCachedChangesApplied"]:
            return "Stop Reason STOPPED_AFTER_CACHED_EVENTS"
        await self._task.stop_requested.wait()  # waits for changes, and so never ends by itself
        raise Stopped("NORMAL")

    async def _files(self, queue):
        """{source table: [(key, size)]} of what is to be read, and the sizes noted: progress is told in bytes."""
        files = {}
        for progress in queue:
            folder = "/".join(part for part in (self._folder, progress.source.path) if part)
            try:
                found = await self._bucket.files(f"{folder}/")
            except (access.AccessDenied, access.Refused) as error:
                files[progress.source] = TableFailed(
                    f"Table {progress.source}: s3://{self._bucket.name}/{folder}/ cannot be listed. {error}"
                )
                continue
            found = [(key, size) for key, size in found if key.lower().endswith(".csv")]
            files[progress.source] = found or TableFailed(
                f"Table {progress.source}: there is no file s3://{self._bucket.name}/{folder}/*.csv"
            )
            progress.size = sum(size for _, size in found)
        return files

    @property
    def _folder(self):
        return self._settings.get("BucketFolder", "").strip("/")

    async def _load_table(self, progress, files):
        progress.state = "Table is being reloaded" if progress.reloaded else "Full load"
        progress.began = progress.updated = time.time()
        maker = self._mappings.item_maker(progress.source)
        target = access.Table(maker.target, self._target_role)
        await self._prepare(target, maker)
        if isinstance(files, TableFailed):
            raise files
        before = 0
        for key, size in files:
            place = f"s3://{self._bucket.name}/{key}"
            try:
                content = await self._bucket.read(key)
            except (access.AccessDenied, access.Refused) as error:
                raise TableFailed(f"Table {progress.source}: {place} cannot be read. {error}") from None
            try:
                await self._copy(content, size, before, progress, maker, target)
            except tables.BadRow as bad:
                progress.errors += 1
                raise TableFailed(f"Table {progress.source}: {place}, {bad}") from None
            before += size
            progress.read = before
        self._table_ended(progress, "Table completed")

    async def _copy(self, content, size, before, progress, maker, target):
        """Write a file's rows. Raises BadRow with the line; rows before it stay written and counted."""
        for line, part, row in tables.read_rows(content, progress.source, self._settings):
            await self._turn(target)
            if self._interrupted and part > 0.5:
                raise Stopped(self._interrupted)
            try:
                await target.put(maker.item(row))
            except tables.BadRow as bad:
                raise tables.BadRow(f"line {line}, {bad}") from None
            except access.Refused as refused:
                if refused.code == "ResourceNotFoundException":
                    raise TableFailed(f"The target table '{target.name}' does not exist in DynamoDB any more") from None
                raise tables.BadRow(f"line {line}: DynamoDB does not take the item. {refused}") from None
            self._written += 1
            progress.rows += 1
            progress.read = before + part * size
            progress.updated = time.time()

    async def _turn(self, target):
        """Wait until the next row is due, so that rows go at the task's rate. Raises Stopped, AccessDenied."""
        while self._written >= self._allowed:
            if self._task.stop_requested.is_set():
                raise Stopped("NORMAL")
            due = int((time.monotonic() - self._task.clock) * self._task.rows_per_second) - self._written
            if due > 0:
                self._allowed = self._written + min(due, _GULP)
                target.may("PutItem")
            await asyncio.sleep(0 if due > 0 else _STEP)

    async def _prepare(self, target, maker):
        """Have the target table there, as TargetTablePrepMode says. Raises TableFailed."""
        mode = self._task.settings["FullLoadSettings"]["TargetTablePrepMode"]
        if await target.exists():
            if mode == "TRUNCATE_BEFORE_LOAD":
                await target.truncate()
            if mode != "DROP_AND_CREATE":
                return
            await target.drop()
        try:
            await target.create(maker.keys)
        except access.AccessDenied as denied:
            raise TableFailed(
                f"The target table '{target.name}' does not exist in DynamoDB, and cannot be created. {denied}"
            ) from None

    def _table_ended(self, progress, state):
        progress.state = state
        progress.ended = progress.updated = time.time()
