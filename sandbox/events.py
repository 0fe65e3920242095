"""EventBridge as on AWS: a rule needs permission to invoke its target, a failing target is tried again.

MiniStack keeps buses, rules and targets, and matches patterns as AWS does. Here an event is handed to the targets of a
rule. Delivery is at least once: what a target did not take is sent again, later and later, until the target's retry
policy ends (24 hours and 185 retries where it has none), and then goes to the target's dead-letter queue. A missing
permission or a missing target is not tried again (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html).

Functions are invoked asynchronously, so an error of the function itself is no matter of EventBridge's any more.
"""

import contextvars
import json
import logging
import threading
import time

from sandbox import delays, event_inputs, permissions

MOST_RETRIES = 185
OLDEST_SECONDS = 86_400
LONGEST_PAUSE_SECONDS = 60

# What a target can be invoked with only if it names a role; others may permit it in their own policy.
_NEEDS_ROLE = {"states", "events"}

# The services whose resources can be targets of a rule, and what only others take.
_TARGETS = {"events", "lambda", "sns", "sqs", "states"}
_OF_OTHER_TARGETS = {
    "AppSyncParameters", "BatchParameters", "EcsParameters", "KinesisParameters", "RedshiftDataParameters",
    "RunCommandParameters", "SageMakerPipelineParameters",
}  # fmt: skip

logger = logging.getLogger("events")
_emptied = threading.Event()


def install():
    """Put this over MiniStack's EventBridge, which it loads at its start anyway."""
    from ministack.services import eventbridge as engine
    from ministack.services import scheduler

    put_events, put_targets, test_event_pattern = engine._put_events, engine._put_targets, engine._test_event_pattern
    engine._invoke_target = invoke_target
    engine._put_events = lambda data, **options: _put_events(put_events, data, **options)
    engine._put_targets = lambda data: _put_targets(put_targets, data)
    engine._test_event_pattern = lambda data: _test_event_pattern(test_event_pattern, data)
    # Seconds between looks at what is due; AWS promises the minute.
    engine._SCHEDULER_TICK_INTERVAL = scheduler._SCHEDULE_TICK_INTERVAL = 1


def reset():
    """Forget the deliveries that wait to be tried again."""
    global _emptied
    _emptied.set()
    _emptied = threading.Event()


# -- delivery ----------------------------------------------------------------------------------------------------------


class Undeliverable(Exception):
    """A target did not take an event. code: as in the ERROR_CODE of a dead letter; again: whether to try again."""

    def __init__(self, code, message, again=False):
        super().__init__(message)
        self.code = code
        self.again = again


def invoke_target(target, event, rule, view=None):
    """Deliver an event to a target of a rule, or of a schedule.

    The first attempt is made before this comes back, but for an HTTP endpoint, which may take its time.
    """
    delivery = Delivery(target, event, rule, view)
    if not delivery.scheduled and not delays.rule_is_felt(rule["Arn"]):
        return
    if ":api-destination/" in delivery.arn:
        _in_background(delivery.attempt)
    else:
        delivery.attempt()


def _in_background(work):
    threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True).start()


class Delivery:
    """One event on its way to one target."""

    def __init__(self, target, event, rule, view):
        from ministack.services import eventbridge as engine

        self.engine = engine
        self.target = target
        self.arn = target.get("Arn", "")
        self.event = event
        self.rule = rule
        self.view = view or engine._pattern_event_view(event)
        self.since = time.monotonic()
        self.retries = 0
        self.emptied = _emptied

    @property
    def scheduled(self):
        """Whether EventBridge Scheduler sends it, and no rule does."""
        return ":scheduler:" in self.rule.get("Arn", "")

    def attempt(self):
        """Send it. What fails is tried again, or goes to the dead-letter queue."""
        try:
            self._send()
            return
        except Undeliverable as problem:
            failure = problem
        except Exception as problem:
            # What a service refused, with its own code and words, or what went wrong in here.
            logger.debug("%s did not take an event", self.arn, exc_info=problem)
            failure = Undeliverable(getattr(problem, "code", "INTERNAL_ERROR"), str(problem) or repr(problem))
        logger.warning("%s did not reach %s: %s", self.rule.get("Arn"), self.arn, failure)
        exhausted = None
        if failure.again:
            policy = self.target.get("RetryPolicy") or {}
            pause = self._pause()
            if self.retries >= policy.get("MaximumRetryAttempts", MOST_RETRIES):
                exhausted = "MaximumRetryAttempts"
            elif time.monotonic() - self.since + pause > policy.get("MaximumEventAgeInSeconds", OLDEST_SECONDS):
                exhausted = "MaximumEventAgeInSeconds"
            else:
                self._again(pause)
                return
        self._bury(failure, exhausted)

    def _pause(self):
        from sandbox.functions.settings import settings

        return min(settings.delivery_retry_seconds * 2**self.retries, LONGEST_PAUSE_SECONDS)

    def _again(self, pause):
        def wait():
            if not self.emptied.wait(pause):
                self.retries += 1
                self.attempt()

        _in_background(wait)

    def _bury(self, failure, exhausted):
        """Put the event in the target's dead-letter queue, if it has one; without one it is lost, as on AWS."""
        queue = (self.target.get("DeadLetterConfig") or {}).get("Arn")
        if not queue:
            return
        attributes = {
            "RULE_ARN": self.rule.get("Arn"),
            "TARGET_ARN": self.arn,
            "ERROR_CODE": failure.code,
            "ERROR_MESSAGE": str(failure),
            "RETRY_ATTEMPTS": str(self.retries),
        }
        if exhausted:
            attributes["EXHAUSTED_RETRY_CONDITION"] = exhausted
        try:
            self._permit("sqs:SendMessage", queue)
            _send_message(queue, json.dumps(self.view.event_with_detail()), attributes)
        except Exception as problem:
            logger.warning("A dead letter of %s is lost, since %s did not take it: %s", self.arn, queue, problem)

    # -- one attempt --------------------------------------------------------------------------------------------------

    def _send(self):
        try:
            spec = self.engine.parse_arn(self.arn)
        except self.engine.ArnParseError:
            raise Undeliverable("INVALID_PARAMETER", f"{self.arn} is not an ARN") from None
        if (spec.account_id, spec.region) != (self.engine.get_account_id(), self.engine.get_region()):
            raise Undeliverable("NO_RESOURCE", f"{self.arn} is not in the sandbox's account and Region")
        payload = self._payload()
        if spec.service == "lambda":
            self._to_function(payload)
        elif spec.service == "states":
            self._to_state_machine(payload)
        elif spec.service == "sqs":
            self._to_queue(spec, payload)
        elif spec.service == "sns":
            self._to_topic(payload)
        elif spec.service == "events" and spec.resource.startswith("event-bus/"):
            self._to_bus(spec, payload)
        elif spec.service == "events" and spec.resource.startswith("api-destination/"):
            self._to_endpoint(spec, payload)
        else:
            raise Undeliverable("SDK_CLIENT_ERROR", f"The sandbox cannot deliver events to {self.arn}")

    def _payload(self):
        """What the target gets, as text; None where that is the event as it is."""
        try:
            return event_inputs.payload(self.target, self.rule, self.view.event_with_detail(), self.view.envelope())
        except event_inputs.Unusable as problem:
            raise Undeliverable("INVALID_JSON", str(problem)) from None

    def _text(self, payload):
        return json.dumps(self.view.event_with_detail()) if payload is None else payload

    def _permit(self, action, resource):
        """Raise Undeliverable unless the rule may do that: with the target's role, or since the resource lets it."""
        role, service = self.target.get("RoleArn"), "scheduler" if self.scheduled else "events"
        # A dead-letter queue of a rule permits it in its own policy, whatever role the target has.
        if role and (self.scheduled or resource == self.arn):
            if not permissions.trusts(role, f"{service}.amazonaws.com"):
                message = f"The role {role} does not let {service}.amazonaws.com assume it"
                raise Undeliverable("FAILED_TO_ASSUME_ROLE", message)
            denial = permissions.role_denial(role, self.rule["Name"][:64], action, resource)
        elif self.scheduled or action.partition(":")[0] in _NEEDS_ROLE:
            denial = f"The target has no role with which to perform {action} on {resource}"
        else:
            denial = permissions.service_denial(f"{service}.amazonaws.com", action, resource, self.rule["Arn"])
        if denial:
            raise Undeliverable("NO_PERMISSIONS", denial)

    def _to_function(self, payload):
        from ministack.services import lambda_svc

        try:
            event = self.view.event_with_detail() if payload is None else json.loads(payload)
        except ValueError as problem:
            raise Undeliverable("INVALID_JSON", f"The input for {self.arn} is not JSON: {problem}") from None
        function, config, _ = lambda_svc._get_func_record_for_ref(self.arn)
        if not config:
            raise Undeliverable("NO_RESOURCE", f"Function not found: {self.arn}")
        self._permit("lambda:InvokeFunction", self.arn)
        lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(function, config), event)

    def _to_state_machine(self, payload):
        from ministack import app

        stepfunctions = app._get_module("stepfunctions")
        self._permit("states:StartExecution", self.arn)
        data = {"stateMachineArn": self.arn, "input": self._text(payload)}
        status, _, body = stepfunctions._start_execution(data)
        if status >= 400:
            error = json.loads(body)
            code = error.get("__type", "").rpartition("#")[2]
            if code == "StateMachineDoesNotExist":
                raise Undeliverable("NO_RESOURCE", error.get("message", code))
            again = code == "ExecutionLimitExceeded"
            raise Undeliverable("THROTTLING" if again else "INVALID_PARAMETER", error.get("message", code), again)

    def _to_queue(self, spec, payload):
        from ministack.services import sqs

        if sqs._queue_by_arn(self.arn) is None:
            raise Undeliverable("NO_RESOURCE", f"The queue {self.arn} does not exist")
        self._permit("sqs:SendMessage", self.arn)
        self.engine._dispatch_to_sqs(spec, self._text(payload), self.target.get("SqsParameters") or {})

    def _to_topic(self, payload):
        from sandbox import topics

        if not topics.exists(self.arn):
            raise Undeliverable("NO_RESOURCE", f"The topic {self.arn} does not exist")
        self._permit("sns:Publish", self.arn)
        topics.publish(self.arn, self._text(payload))

    def _to_bus(self, spec, payload):
        if spec.resource.partition("/")[2] not in self.engine._event_buses:
            raise Undeliverable("NO_RESOURCE", f"The event bus {self.arn} does not exist")
        if self.target.get("RoleArn"):  # in the same account one is not needed
            self._permit("events:PutEvents", self.arn)
        path = set(self.event.get("_DispatchPath") or [])
        self.engine._dispatch_to_event_bus(spec, self.event, self.rule, path, payload)

    def _to_endpoint(self, spec, payload):
        """Call an API destination (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-api-destinations.html)."""
        engine = self.engine
        destination = engine._api_destinations.get(spec.resource.split("/")[1]) or {}
        connection_name = destination.get("ConnectionArn", "").split("connection/")[-1].split("/")[0]
        connection = engine._connections.get(connection_name)
        if connection is None:
            raise Undeliverable("NO_RESOURCE", f"There is no {self.arn}, or its connection is gone")
        self._permit("events:InvokeApiDestination", self.arn)
        parameters = engine._resolve_http_parameters(
            self.target.get("HttpParameters") or {}, self.view.event_with_detail()
        )
        request = engine._build_api_destination_request(destination, connection, parameters, self._text(payload))
        token_key = engine.get_account_id(), engine.get_region(), connection_name
        try:
            status = engine._api_destination_send_sync(request, engine._connection_auth_headers(connection, token_key))
        except OSError as problem:
            raise Undeliverable("CONNECTION_FAILURE", str(problem), again=True) from None
        if status >= 300:
            again = status in (401, 407, 409, 429) or status >= 500
            raise Undeliverable("ERROR_FROM_TARGET", f"{request['url']} answered with status {status}", again)


# -- requests ----------------------------------------------------------------------------------------------------------


def _put_events(put_events, data, **options):
    """PutEvents: an entry without what it must have is refused, the others go on."""
    entries = data.get("Entries") or []
    wrong = {index: _problem(entry) for index, entry in enumerate(entries)}
    wrong = {index: problem for index, problem in wrong.items() if problem}
    if options.get("allow_aws_source") or not wrong:
        return put_events(data, **options)
    good = [entry for index, entry in enumerate(entries) if index not in wrong]
    status, headers, body = put_events({**data, "Entries": good}, **options)
    if status >= 300:
        return status, headers, body
    answer = json.loads(body)
    for index, (code, message) in wrong.items():
        answer["Entries"].insert(index, {"ErrorCode": code, "ErrorMessage": message})
    answer["FailedEntryCount"] += len(wrong)
    return status, headers, json.dumps(answer).encode()


def _problem(entry):
    """(code, message) of what AWS refuses an entry for, None for one that is well."""
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            return "InvalidArgument", f"Parameter {name} is not valid. Reason: {name} is a required argument."
    try:
        detail = json.loads(entry["Detail"])
    except (ValueError, RecursionError):
        detail = None
    return None if isinstance(detail, dict) else ("MalformedDetail", "Detail is malformed.")


def _put_targets(put_targets, data):
    """PutTargets: some targets need a role, and a dead-letter queue is a standard queue."""
    for target in data.get("Targets") or []:
        arn, queue = target.get("Arn", ""), (target.get("DeadLetterConfig") or {}).get("Arn")
        if arn.split(":")[2:3] == ["states"] and not target.get("RoleArn"):
            return _refused(f"RoleArn is required for target {arn}.")
        if queue is not None and (queue.split(":")[2:3] != ["sqs"] or queue.endswith(".fifo")):
            return _refused(f"Parameter {queue} is not valid. Reason: A dead-letter queue is a standard SQS queue.")
        if problem := _not_delivered(target) or event_inputs.problem(target):
            return _refused(problem)
    return put_targets(data)


def _not_delivered(target):
    """What a target asks for that the sandbox does not do, as a sentence; None where nothing is."""
    service = (target.get("Arn", "").split(":") + [""] * 3)[2]
    if service and service not in _TARGETS and target["Arn"].startswith("arn:"):
        return f"The sandbox has no targets of the service '{service}'. It has {', '.join(sorted(_TARGETS))}."
    for field in _OF_OTHER_TARGETS & target.keys():
        return f"The sandbox does not support {field}: it has no target that takes them."
    return None


def _test_event_pattern(test_event_pattern, data):
    """TestEventPattern: the event must look like one (docs.aws.amazon.com/eventbridge/latest/APIReference)."""
    try:
        event = json.loads(data.get("Event") or "null")
    except (ValueError, RecursionError):
        event = None
    required = {"id", "account", "source", "time", "region", "detail-type"}
    if not isinstance(event, dict) or not required <= event.keys():
        return _refused("Parameter Event is not valid.")
    return test_event_pattern(data)


def _refused(message):
    from ministack.core.responses import error_response_json

    return error_response_json("ValidationException", message, 400)


def _send_message(queue_arn, body, attributes):
    from ministack.services import sqs

    queue = sqs._queue_by_arn(queue_arn)
    if queue is None:
        raise LookupError("the queue does not exist")
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    data = {"QueueUrl": queue["url"], "MessageBody": body, "MessageAttributes": attributes}
    sqs._act_send_message(data, queue["url"])
