"""The Python runtime inside a function's process: it loads the handler and calls it for one event after the other.

`processes.py` starts this file as a script of its own, with the function's environment variables, or a fork of
`fork_server.py`, which has imported it, goes on with `run`. It knows nothing of the sandbox, only three pipes:

    stdin   one JSON object a line: first what to load, then one for each invocation
    stdout  one JSON object a line: that the handler is loaded, then how each invocation ended
    stderr  the log. Whatever the handler, or a program that it starts, writes to either stream arrives there. Records
            of `logging` and errors are written as one line that begins with a mark, so that they stay one log event.
            A mark with nothing behind it says that the log of loading, or of an invocation, is complete.

What it does and says is what AWS's own runtime does and says
(https://github.com/aws/aws-lambda-python-runtime-interface-client: bootstrap.py, lambda_runtime_log_utils.py,
lambda_context.py), short of what only AWS's platform needs.
"""

import contextlib
import ctypes
import decimal
import importlib
import json
import logging
import os
import queue
import signal
import sys
import threading
import time
import traceback

TASK_ROOT = "/var/task"  # where AWS puts a function's code; what a stack trace names here too


class Fault(Exception):
    """The handler cannot be loaded, or its result cannot be given back. kind: the error type that AWS reports."""

    def __init__(self, kind, message, trace=()):
        super().__init__(message)
        self.kind = kind
        self.trace = list(trace)


class Log:
    """The log pipe, for what must stay one event: records and errors. It has a descriptor of its own: a handler may
    lead its standard streams elsewhere."""

    def __init__(self, mark):
        self._mark = mark.encode()
        self._pipe = os.dup(2)
        self._lock = threading.Lock()

    def write(self, text):
        self._line(json.dumps(text))

    def end(self):
        """Say that all there was to log about loading, or about this invocation, has been written."""
        self._line("")

    def _line(self, text):
        line = self._mark + text.encode() + b"\n"
        with self._lock:
            while line:
                line = line[os.write(self._pipe, line) :]


class RecordHandler(logging.Handler):
    """The handler of the root logger. Like AWS's it adds `aws_request_id` to records and writes one event for each."""

    def __init__(self, log):
        super().__init__()
        self.log_sink = log
        self.request_id = ""

    def emit(self, record):
        record.aws_request_id = self.request_id
        self.log_sink.write(self.format(record))


# What every record has, or has under another name in Lambda's JSON format.
RECORDS_OWN = {*vars(logging.makeLogRecord({})), "message", "asctime", "aws_request_id"}


class JsonFormatter(logging.Formatter):
    """A record as a JSON object with the keys of Lambda's JSON log format; `extra` values are added."""

    def format(self, record):
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry = {
            "timestamp": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info:
            kind, error, trace = record.exc_info
            entry["stackTrace"] = traceback.format_tb(trace)
            entry["errorType"] = kind.__name__
            entry["errorMessage"] = str(error)
        entry["requestId"] = record.aws_request_id
        if record.exc_info:
            entry["location"] = f"{record.pathname}:{record.funcName}:{record.lineno}"
        entry |= {key: value for key, value in vars(record).items() if key not in RECORDS_OWN and key not in entry}
        return json.dumps(entry, ensure_ascii=False, default=str) + "\n"


class CognitoIdentity:
    cognito_identity_id = None
    cognito_identity_pool_id = None


class Context:
    """The `context` of a handler (https://docs.aws.amazon.com/lambda/latest/dg/python-context.html)."""

    def __init__(self, request):
        self.aws_request_id = request["request_id"]
        self.invoked_function_arn = request["arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = CognitoIdentity()
        self.client_context = None
        self.tenant_id = None
        self._deadline = request["deadline"]

    def get_remaining_time_in_millis(self):
        return max(0, int((self._deadline - time.time()) * 1000))

    def log(self, message):
        print(message, end="")


def main():
    requests, answers = take_the_pipes()
    setup = json.loads(requests.readline())
    die_with(setup["parent"])
    run(requests, answers, setup)


def run(requests, answers, setup):
    """Load the handler and call it for as long as events come. setup: the first line of the requests."""
    end_first()
    waiting = queue.SimpleQueue()
    threading.Thread(target=read, args=(requests, waiting), daemon=True).start()
    code = setup["code"]
    sys.path[:0] = [code, *setup["layers"]]
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 (for as long as the process lives)
    log = Log(setup["mark"])
    records = log_records(log)
    for script in setup["scripts"]:
        with open(script, encoding="utf-8") as text:
            exec(compile(text.read(), script, "exec"), {"__name__": "sandbox"})
    began = time.perf_counter()
    try:
        handler = load(os.environ["_HANDLER"])
    except Exception as error:
        # As on AWS the process ends, and the next invocation tries again in a new one.
        failure = failure_of(error, code)
        log_failure(failure, log)
        log.end()
        answer(answers, {"init_error": failure})
        sys.exit(1)
    milliseconds = 1000 * (time.perf_counter() - began)
    log.end()
    answer(answers, {"ready": True, "milliseconds": milliseconds})
    own_process = os.getpid()
    while True:
        request = json.loads(waiting.get())
        records.request_id = request["request_id"]
        if request["trace_id"]:
            os.environ["_X_AMZN_TRACE_ID"] = request["trace_id"]
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        outcome = invoke(handler, request, code, log)
        if os.getpid() != own_process:
            os._exit(0)  # a child of os.fork() that returned from the handler: only the parent answers
        log.end()
        answers.write(outcome.encode() + b"\n")
        answers.flush()


def take_the_pipes():
    """(requests, answers) as files of their own; both output streams of the process become the log."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    if hasattr(os, "register_at_fork"):
        # Else a child that lives on would hide that this process has ended.
        os.register_at_fork(after_in_child=lambda: os.close(answers.fileno()))
    return requests, answers


def die_with(parent):
    """Have the system kill this process when its parent ends, however that ends. parent: its process id."""
    if sys.platform == "linux":
        signal_at_death_of_parent(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # it ended before it was asked to be watched


def signal_at_death_of_parent(number):
    """number: of the signal that the system sends to this process then."""
    ctypes.CDLL(None).prctl(1, number, 0, 0, 0)  # PR_SET_PDEATHSIG


def end_first():
    """Where memory runs out, the system is to end this process before the sandbox, and before what others fork from."""
    with contextlib.suppress(OSError, ValueError), open("/proc/self/oom_score_adj", "r+", encoding="utf-8") as score:
        score.write(str(max(500, int(score.read()))))


def read(requests, waiting):
    """Hand on what comes in. When the sandbox is gone the process ends, whatever the handler is doing."""
    for line in requests:
        waiting.put(line)
    os._exit(1)


def answer(answers, document):
    answers.write(json.dumps(document).encode() + b"\n")
    answers.flush()


def log_records(log):
    """Give the root logger its handler, as AWS's runtime does before the function's own code is loaded."""
    logging.Formatter.converter = time.gmtime
    handler = RecordHandler(log)
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
        handler.setFormatter(JsonFormatter())
    else:
        pattern = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
        handler.setFormatter(logging.Formatter(pattern, "%Y-%m-%dT%H:%M:%S"))
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL")
    if level:
        level = "DEBUG" if level == "TRACE" else level
        logging.getLogger().setLevel(level)
        handler.setLevel(level)  # what code asks for below this level does not get through either
    logging.getLogger().addHandler(handler)
    return handler


def load(name):
    """The handler of that name, such as "lambda_function.lambda_handler". Raises Fault, or what the module raises."""
    module_name, dot, function_name = name.rpartition(".")
    if not dot:
        problem = "not enough values to unpack (expected 2, got 1)"
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler '{name}': {problem}")
    if module_name.partition(".")[0] in sys.builtin_module_names:
        message = f"Cannot use built-in module {module_name} as a handler module"
        raise Fault("Runtime.BuiltInModuleConflict", message)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}") from error
    except SyntaxError as error:
        file = named(error.filename or "", sys.path[0])
        trace = [f'  File "{file}" Line {error.lineno}\n    {error.text}']
        message = f"Syntax error in module '{module_name}': {error}"
        raise Fault("Runtime.UserCodeSyntaxError", message, trace) from error
    try:
        return getattr(module, function_name)
    except AttributeError:
        message = f"Handler '{function_name}' missing on module '{module_name}'"
        raise Fault("Runtime.HandlerNotFound", message) from None


def invoke(handler, request, code, log):
    """Call the handler; gives the answer as JSON text. SystemExit and its like pass, and end the process."""
    try:
        result = to_json(handler(request["event"], Context(request)))
        return f'{{"result": {result}, "peak": {peak_memory()}}}'
    except Exception as error:
        failure = failure_of(error, code, request["request_id"])
        log_failure(failure, log)
        return json.dumps({"failure": failure, "peak": peak_memory()})


def to_json(result):
    try:
        return json.dumps(result, default=number, allow_nan=False)
    except Exception as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from None


def number(value):
    """A Decimal, which DynamoDB gives for every number and AWS's runtime writes as one."""
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent >= 0 else float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def failure_of(error, code, request_id=""):
    """An exception as Lambda reports it: its message, its class and where in the function's code it was raised."""
    kind, trace = type(error).__name__, getattr(error, "trace", None)
    if isinstance(error, Fault):
        kind = error.kind
    else:
        trace = traceback.format_list(
            (named(frame.filename, code), frame.lineno, frame.name, frame.line)
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename not in (__file__, importlib.__file__) and not frame.filename.startswith("<frozen import")
        )
    return {"errorMessage": str(error), "errorType": kind, "requestId": request_id, "stackTrace": trace}


def named(file, code):
    """The file as it is called on AWS, where code lies in /var/task."""
    return TASK_ROOT + file[len(code) :].replace(os.sep, "/") if file.startswith(code) else file


def log_failure(failure, log):
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        log.write(json.dumps({"timestamp": moment, "level": "ERROR", **failure}, ensure_ascii=False))
        return
    lines = [f"[ERROR] {failure['errorType']}: {failure['errorMessage']}", "Traceback (most recent call last):"]
    for entry in failure["stackTrace"]:
        for line in entry.splitlines():
            text = line.lstrip(" ")
            lines.append("\N{NO-BREAK SPACE}" * (len(line) - len(text)) + text)  # so that consoles keep the indentation
    log.write("\n".join(lines))


def peak_memory():
    """The most memory that this process has held, in MB; 0 where the system does not say."""
    try:
        with open("/proc/self/status", encoding="utf-8") as status:
            return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**20  # bytes, on macOS


if __name__ == "__main__" and sys.argv[0] == __file__:  # the fork server has it as `__main__`, too
    main()
