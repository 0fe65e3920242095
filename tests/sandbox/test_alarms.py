"""Alarms of CloudWatch on the messages in a queue, on how executions ended, on 5xx of an HTTP API.

What AWS documents: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html, and on
values that are not there https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html.
"""

import urllib.error
import urllib.request
from urllib.parse import urlencode

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session
from state_machines import StateMachines, unique
from test_functions_async import Queue

WORDS = {
    "Namespace": "AWS/SQS",
    "MetricName": "ApproximateNumberOfMessagesVisible",
    "Statistic": "Maximum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 0,
    "ComparisonOperator": "GreaterThanThreshold",
}


class Alarm:
    def __init__(self, aws, of, dimension="QueueName", **other):
        self.client, self.name = aws("cloudwatch"), unique("alarm")
        dimensions = [{"Name": dimension, "Value": of}]
        words = {"AlarmName": self.name, "Dimensions": dimensions, **WORDS, **other}
        self.client.put_metric_alarm(**{name: value for name, value in words.items() if value is not None})

    @property
    def state(self):
        (found,) = self.client.describe_alarms(AlarmNames=[self.name])["MetricAlarms"]
        return found["StateValue"]


@pytest.fixture
def queue(aws):
    return Queue(aws)


def name_of(queue):
    return queue.arn.rpartition(":")[2]


def test_it_rings_while_a_message_waits(aws, queue):
    alarm = Alarm(aws, name_of(queue))
    other = Alarm(aws, name_of(Queue(aws)))
    assert (alarm.state, other.state) == ("OK", "OK")
    queue.client.send_message(QueueUrl=queue.url, MessageBody="failed")
    assert (alarm.state, other.state) == ("ALARM", "OK")
    queue.next()
    assert alarm.state == "OK"
    history = alarm.client.describe_alarm_history(AlarmName=alarm.name, HistoryItemType="StateUpdate")
    assert "Alarm updated from ALARM to OK" in [item["HistorySummary"] for item in history["AlarmHistoryItems"]]


def test_it_is_looked_at_when_it_is_made(aws, queue):
    queue.client.send_message(QueueUrl=queue.url, MessageBody="failed")
    alarm = Alarm(aws, name_of(queue))
    ringing = alarm.client.describe_alarms(StateValue="ALARM")["MetricAlarms"]
    assert alarm.name in [each["AlarmName"] for each in ringing]


@pytest.mark.parametrize(
    "treatment, state", [(None, "INSUFFICIENT_DATA"), ("notBreaching", "OK"), ("breaching", "ALARM")]
)
def test_without_a_queue_there_are_no_values(aws, treatment, state):
    assert Alarm(aws, unique("nowhere"), TreatMissingData=treatment).state == state


STATES = {"Namespace": "AWS/States", "Statistic": "Sum", "Period": 3600, "TreatMissingData": "notBreaching"}
ENDS = {
    "ExecutionsFailed": {"Type": "Fail", "Error": "Broken"},
    "ExecutionsTimedOut": {"Type": "Wait", "Seconds": 60, "End": True},
}


@pytest.mark.parametrize("metric", ENDS)
def test_it_rings_when_an_execution_has_ended_so(aws, metric):
    """https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html"""
    machines = StateMachines(aws)
    machine = machines.create({"Only": ENDS[metric]}, TimeoutSeconds=1)
    alarms = {name: Alarm(aws, machine, dimension="StateMachineArn", MetricName=name, **STATES) for name in ENDS}
    assert {name: alarm.state for name, alarm in alarms.items()} == dict.fromkeys(ENDS, "OK")
    machines.finish(machines.client.start_execution(stateMachineArn=machine)["executionArn"])
    assert {name: alarm.state for name, alarm in alarms.items()} == {**dict.fromkeys(ENDS, "OK"), metric: "ALARM"}


def test_it_rings_when_an_api_has_answered_with_a_5xx(aws):
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html"""
    client = aws("apigatewayv2")
    # An integration that leads to no function.
    nowhere = "arn:aws:lambda:us-east-1:111122223333:function:nowhere"
    api = client.create_api(Name=unique("api"), ProtocolType="HTTP", Target=nowhere)
    words = {**STATES, "Namespace": "AWS/ApiGateway", "MetricName": "5xx"}
    alarm = Alarm(aws, api["ApiId"], dimension="ApiId", **words)
    assert alarm.state == "OK"
    with pytest.raises(urllib.error.HTTPError, match="500"):
        urllib.request.urlopen(f"{api['ApiEndpoint']}/any")
    assert alarm.state == "ALARM"


@pytest.mark.parametrize("sign, limit, state", [
    ("GreaterThanOrEqualToThreshold", 1, "ALARM"),
    ("GreaterThanThreshold", 1, "OK"),
    ("LessThanThreshold", 1, "OK"),
    ("LessThanOrEqualToThreshold", 1, "ALARM"),
])  # fmt: skip
def test_comparisons(aws, queue, sign, limit, state):
    queue.client.send_message(QueueUrl=queue.url, MessageBody="one")
    assert Alarm(aws, name_of(queue), ComparisonOperator=sign, Threshold=limit).state == state


REFUSED = [
    ({"Namespace": "AWS/Lambda", "MetricName": "Errors"}, "on no other metric"),
    ({"MetricName": "ApproximateAgeOfOldestMessage"}, "on no other metric"),
    ({"Dimensions": []}, "one dimension for this metric: QueueName"),
    ({"Statistic": None, "ExtendedStatistic": "p90"}, "wants Statistic"),
    ({"Period": None}, "wants Period"),
    ({"Statistic": "SampleCount"}, "these statistics of this metric: Maximum, Minimum, Average, Sum"),
    ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "compares with a threshold"),
    ({"EvaluationPeriods": 3}, "EvaluationPeriods can only be 1"),
    ({"AlarmActions": ["arn:aws:sns:us-east-1:111122223333:topic"]}, "it has no AlarmActions"),
]


@pytest.mark.parametrize("other, words", REFUSED, ids=[words for _, words in REFUSED])
def test_what_would_have_no_effect_is_refused_by_name(aws, queue, other, words):
    with pytest.raises(ClientError, match="The sandbox") as refused:
        Alarm(aws, name_of(queue), **other)
    assert words in refused.value.response["Error"]["Message"]


def test_composite_alarms_are_refused_by_name(aws):
    with pytest.raises(ClientError, match="The sandbox has no composite alarms"):
        aws("cloudwatch").put_composite_alarm(AlarmName=unique("alarm"), AlarmRule="TRUE")


@pytest.mark.parametrize("dimension, status", [("QueueName", 200), ("QueueUrl", 400)])
def test_in_the_query_protocol_of_older_sdks(aws, queue, dimension, status):
    client, name = aws("cloudwatch"), unique("alarm")
    form = {"Action": "PutMetricAlarm", "Version": "2010-08-01", "AlarmName": name, **WORDS}
    form |= {"Dimensions.member.1.Name": dimension, "Dimensions.member.1.Value": name_of(queue)}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = AWSRequest("POST", client.meta.endpoint_url, data=urlencode(form), headers=headers)
    SigV4Auth(client._request_signer._credentials, "monitoring", "us-east-1").add_auth(request)
    assert URLLib3Session().send(request.prepare()).status_code == status
    assert len(client.describe_alarms(AlarmNames=[name])["MetricAlarms"]) == (status == 200)
