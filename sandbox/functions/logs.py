"""What a function logs, on its way to CloudWatch Logs: one log stream for each environment.

Lines arrive in the log group as they are written. As on AWS that needs permission: a function whose role may not write
logs has none.
"""

import json
import logging
import secrets
import threading
from datetime import UTC, datetime

from sandbox import logs, permissions

MOST_BYTES = 16 * 2**20  # of one invocation; what goes beyond is left out, and the log says so
MOST_BYTES_OF_EVENT = 256 * 1024  # a longer line becomes several events
TAIL_BYTES = 4096  # what Invoke with LogType=Tail gives back
SURE_SECONDS = 60  # for a mark that has been written, however busy the machine

logger = logging.getLogger("functions")


class Stream:
    """The log stream of an environment. config: the function's configuration."""

    def __init__(self, config):
        settings = config.get("LoggingConfig") or {}
        self.group = settings.get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
        self.name = f"{datetime.now(UTC):%Y/%m/%d}/[{config['Version']}]{secrets.token_hex(16)}"
        self._config = config
        self._json = settings.get("LogFormat") == "JSON"
        self._reports = settings.get("SystemLogLevel", "INFO") in ("DEBUG", "INFO")
        self._permitted = False
        self._changed = threading.Condition()  # the marks that were read, and the end of the pipe
        self._marks = self._ends = 0  # read of those that say that a log is complete, and waited for
        self._over = False  # the pipe is at its end
        self._tail = b""
        self._size = 0

    # -- from the process ---------------------------------------------------------------------------------------------

    def read(self, pipe, mark):
        """Write what comes through the log pipe of a process, until it ends. mark: see runtime.py."""
        try:
            self._read(pipe, mark.encode())
        finally:
            self._note(over=True)

    def _read(self, pipe, mark):
        rest = b""
        with pipe:
            while chunk := pipe.read1(2**16):
                *lines, rest = (rest + chunk).split(b"\n")
                messages = []
                for line in lines:
                    text, marked, record = line.partition(mark)
                    messages += _pieces(text if marked else text + b"\n")
                    if record:
                        messages.append(json.loads(record))
                    elif marked:
                        self._take(messages)
                        messages = []
                        self._note(marks=1)
                if len(rest) > MOST_BYTES_OF_EVENT + len(mark) and mark not in rest:
                    messages += _pieces(rest[: -len(mark)])
                    rest = rest[-len(mark) :]  # the mark may begin here
                self._take(messages)
        self._take(_pieces(rest))

    def _note(self, marks=0, over=False):
        with self._changed:
            self._marks += marks
            self._over |= over
            self._changed.notify_all()

    def _take(self, messages):
        """Write what the process logged, as far as it is not too much."""
        before, self._size = self._size, self._size + sum(map(len, messages))
        if self._size <= MOST_BYTES:
            self.write(*messages)
        elif before <= MOST_BYTES:
            self.write(f"[sandbox] The log of one invocation ends after {MOST_BYTES // 2**20} MB.\n")

    def wait_for_end(self):
        """Wait until all has been read that was logged by loading, or by the invocation that has been answered now.

        Each of them ends with a mark, which was written before the answer.
        """
        self._ends += 1
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._marks >= self._ends, SURE_SECONDS)

    def wait_for_the_rest(self):
        """Wait until all has been read that a process logged which has been killed. Programs may outlive it."""
        with self._changed:
            self._changed.wait_for(lambda: self._over, 1)

    # -- from the platform --------------------------------------------------------------------------------------------

    def open(self):
        """Get ready for an invocation: find out whether its log may be written."""
        self._permitted = self._permission()
        self._size = 0

    def start(self, request_id):
        """Say that an invocation begins."""
        self._tail = b""
        version = self._config["Version"]
        if not self._json:
            self.write(f"START RequestId: {request_id} Version: {version}\n")
        elif self._reports:
            self._platform("start", {"requestId": request_id, "version": version})

    def report(self, request_id, milliseconds, init, memory, status="success", error=None):
        """Say how an invocation ended. init: milliseconds that loading took, None where it was loaded before.

        status: success, error or timeout; error: why the process could not do its work, such as Runtime.ExitError.
        """
        billed = int(milliseconds + (init or 0)) + 1
        size = self._config["MemorySize"]
        memory = min(memory, size)  # it is looked at now and then, and found over its limit by then
        if self._json:
            metrics = {"durationMs": round(milliseconds, 3), "billedDurationMs": billed}
            metrics |= {"memorySizeMB": size, "maxMemoryUsedMB": memory}
            if init is not None:
                metrics["initDurationMs"] = round(init, 3)
            if self._reports:
                entry = {"requestId": request_id, "metrics": metrics, "status": status}
                self._platform("report", entry | ({"errorType": error} if error else {}))
            return
        parts = [
            f"REPORT RequestId: {request_id}", f"Duration: {milliseconds:.2f} ms", f"Billed Duration: {billed} ms",
            f"Memory Size: {size} MB", f"Max Memory Used: {memory} MB",
        ]  # fmt: skip
        if init is not None:
            parts.append(f"Init Duration: {init:.2f} ms")
        if error or status == "timeout":
            parts.append(f"Status: {status}")
        if error:
            parts.append(f"Error Type: {error}")
        self.write(f"END RequestId: {request_id}\n", "\t".join([*parts, "\n"]))

    def _platform(self, what, record):
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.write(json.dumps({"time": moment, "type": f"platform.{what}", "record": record}) + "\n")

    # -- to CloudWatch Logs -------------------------------------------------------------------------------------------

    @property
    def tail(self):
        """The end of what the invocation logged, as text."""
        return self._tail.decode(errors="replace")

    def write(self, *messages):
        from ministack.services import cloudwatch_logs

        self._tail = (self._tail + "".join(messages).encode(errors="replace"))[-TAIL_BYTES:]
        if not self._permitted or not messages:
            return
        if self.group not in cloudwatch_logs._log_groups:
            cloudwatch_logs._create_log_group({"logGroupName": self.group})
        logs.append(self.group, self.name, messages)

    def _permission(self):
        """Whether the function's role may write here."""
        from ministack.services import cloudwatch_logs

        role, session = self._config["Role"], self._config["FunctionName"]
        region, account = self._config["FunctionArn"].split(":")[3:5]
        group = f"arn:aws:logs:{region}:{account}:log-group:{self.group}"
        stream = f"{group}:log-stream:{self.name}"
        needed = [("CreateLogStream", stream), ("PutLogEvents", stream)]
        if self.group not in cloudwatch_logs._log_groups:
            needed.insert(0, ("CreateLogGroup", group))
        for action, resource in needed:
            if denial := permissions.role_denial(role, session, f"logs:{action}", resource):
                logger.warning("%s has no log: %s", self._config["FunctionName"], denial)
                return False
        return True


def _pieces(text):
    """Bytes as the messages of one event or, if they are too many, of several."""
    starts = range(0, len(text), MOST_BYTES_OF_EVENT)
    return [text[at : at + MOST_BYTES_OF_EVENT].decode(errors="replace") for at in starts]
