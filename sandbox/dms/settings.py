"""The settings of a replication task: the large JSON document that DescribeReplicationTasks returns.

A task created without settings has these defaults on AWS, as recorded there in July 2026 with a full-load task
(public recording: github.com/go-to-k/cdk-real-drift, tests/corpus/AWS__DMS__ReplicationTask.HuntDmsTask.json).
Two of them surprise: `TargetTablePrepMode` is `DROP_AND_CREATE`, so that an existing target table is replaced unless
the task says `DO_NOTHING`, and `FailOnNoTablesCaptured` is true.

What the sandbox acts on: `FullLoadSettings.TargetTablePrepMode`, `StopTaskCachedChangesApplied` and
`StopTaskCachedChangesNotApplied`, `ErrorBehavior.FailOnNoTablesCaptured` and `TableErrorPolicy`. All else is kept and
shown.
"""

import copy
import json

PREPARATIONS = ("DROP_AND_CREATE", "DO_NOTHING", "TRUNCATE_BEFORE_LOAD")
TABLE_ERROR_POLICIES = ("SUSPEND_TABLE", "STOP_TASK")

_LOG_COMPONENTS = (
    "DATA_STRUCTURE", "COMMUNICATION", "IO", "COMMON", "FILE_FACTORY", "FILE_TRANSFER", "REST_SERVER", "ADDONS",
    "TARGET_LOAD", "TARGET_APPLY", "SOURCE_UNLOAD", "SOURCE_CAPTURE", "TRANSFORMATION", "SORTER", "TASK_MANAGER",
    "TABLES_MANAGER", "METADATA_MANAGER", "PERFORMANCE", "VALIDATOR_EXT",
)  # fmt: skip

DEFAULTS = {
    "Logging": {
        "EnableLogging": False,
        "EnableLogContext": False,
        "LogComponents": [{"Severity": "LOGGER_SEVERITY_DEFAULT", "Id": name} for name in _LOG_COMPONENTS],
        "CloudWatchLogGroup": None,
        "CloudWatchLogStream": None,
    },
    "StreamBufferSettings": {"StreamBufferCount": 3, "CtrlStreamBufferSizeInMB": 5, "StreamBufferSizeInMB": 8},
    "ErrorBehavior": {
        "FailOnNoTablesCaptured": True,
        "ApplyErrorUpdatePolicy": "LOG_ERROR",
        "FailOnTransactionConsistencyBreached": False,
        "RecoverableErrorThrottlingMax": 1800,
        "DataErrorEscalationPolicy": "SUSPEND_TABLE",
        "ApplyErrorEscalationCount": 0,
        "RecoverableErrorStopRetryAfterThrottlingMax": True,
        "RecoverableErrorThrottling": True,
        "ApplyErrorFailOnTruncationDdl": False,
        "DataMaskingErrorPolicy": "STOP_TASK",
        "DataTruncationErrorPolicy": "LOG_ERROR",
        "ApplyErrorInsertPolicy": "LOG_ERROR",
        "EventErrorPolicy": "IGNORE",
        "ApplyErrorEscalationPolicy": "LOG_ERROR",
        "RecoverableErrorCount": -1,
        "DataErrorEscalationCount": 0,
        "TableErrorEscalationPolicy": "STOP_TASK",
        "RecoverableErrorInterval": 5,
        "ApplyErrorDeletePolicy": "IGNORE_RECORD",
        "TableErrorEscalationCount": 0,
        "FullLoadIgnoreConflicts": True,
        "DataErrorPolicy": "LOG_ERROR",
        "TableErrorPolicy": "SUSPEND_TABLE",
    },
    "TTSettings": None,
    "FullLoadSettings": {
        "CommitRate": 10000,
        "StopTaskCachedChangesApplied": False,
        "StopTaskCachedChangesNotApplied": False,
        "MaxFullLoadSubTasks": 8,
        "TransactionConsistencyTimeout": 600,
        "CreatePkAfterFullLoad": False,
        "TargetTablePrepMode": "DROP_AND_CREATE",
    },
    "TargetMetadata": {
        "ParallelApplyBufferSize": 0,
        "ParallelApplyQueuesPerThread": 0,
        "ParallelApplyThreads": 0,
        "TargetSchema": "",
        "InlineLobMaxSize": 0,
        "ParallelLoadQueuesPerThread": 0,
        "SupportLobs": True,
        "LobChunkSize": 64,
        "TaskRecoveryTableEnabled": False,
        "ParallelLoadThreads": 0,
        "LobMaxSize": 32,
        "BatchApplyEnabled": False,
        "FullLobMode": False,
        "LimitedSizeLobMode": True,
        "LoadMaxFileSize": 0,
        "ParallelLoadBufferSize": 0,
    },
    "BeforeImageSettings": None,
    "ControlTablesSettings": {
        "historyTimeslotInMinutes": 5,
        "HistoryTimeslotInMinutes": 5,
        "StatusTableEnabled": False,
        "SuspendedTablesTableEnabled": False,
        "HistoryTableEnabled": False,
        "ControlSchema": "",
        "FullLoadExceptionTableEnabled": False,
    },
    "LoopbackPreventionSettings": None,
    "CharacterSetSettings": None,
    "FailTaskWhenCleanTaskResourceFailed": False,
    "ChangeProcessingTuning": {
        "StatementCacheSize": 50,
        "CommitTimeout": 1,
        "RecoveryTimeout": -1,
        "BatchApplyPreserveTransaction": True,
        "BatchApplyTimeoutMin": 1,
        "BatchSplitSize": 0,
        "BatchApplyTimeoutMax": 30,
        "MinTransactionSize": 1000,
        "MemoryKeepTime": 60,
        "BatchApplyMemoryLimit": 500,
        "MemoryLimitTotal": 1024,
    },
    "ChangeProcessingDdlHandlingPolicy": {
        "HandleSourceTableDropped": True,
        "HandleSourceTableTruncated": True,
        "HandleSourceTableAltered": True,
    },
    "PostProcessingRules": None,
}

# Sections that AWS documents and that a default document does not show.
_OPTIONAL_SECTIONS = ("ValidationSettings", "DataResyncSettings")


class InvalidSettings(ValueError):
    """Settings that AWS, or the sandbox, does not take; says why."""


def merged(text, onto=None):
    """The settings document of a task, as a dict: `text`, the user's JSON (or None), laid over the defaults.

    `onto`: the document to change instead of the defaults (ModifyReplicationTask). Raises InvalidSettings.
    """
    document = copy.deepcopy(DEFAULTS if onto is None else onto)
    if not text:
        return document
    try:
        wanted = json.loads(text)
    except ValueError:
        wanted = None
    if not isinstance(wanted, dict):
        raise InvalidSettings("Invalid task settings JSON")
    for section, value in wanted.items():
        default = document.get(section)
        if section not in document and section not in _OPTIONAL_SECTIONS:
            raise InvalidSettings(f"Invalid task settings JSON: there is no section {section!r}")
        if isinstance(default, dict) and not isinstance(value, dict):
            raise InvalidSettings(f"Invalid task settings JSON: {section!r} must be an object")
        document[section] = {**default, **value} if isinstance(default, dict) else value
    logging = wanted.get("Logging", {})
    if onto is None and (logging.get("CloudWatchLogGroup") or logging.get("CloudWatchLogStream")):
        raise InvalidSettings("Task Settings CloudWatchLogGroup or CloudWatchLogStream cannot be set on create.")
    _one_of(document, "FullLoadSettings", "TargetTablePrepMode", PREPARATIONS)
    _one_of(document, "ErrorBehavior", "TableErrorPolicy", TABLE_ERROR_POLICIES)
    return document


def _one_of(document, section, name, allowed):
    if document[section][name] not in allowed:
        raise InvalidSettings(f"Invalid task settings JSON: {section}.{name} must be one of {', '.join(allowed)}")
