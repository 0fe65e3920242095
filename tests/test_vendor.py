"""The vendor does what its API page says: takes orders once, reports the truth, signs, delivers until answered."""

import base64
import concurrent.futures
import hashlib
import hmac
import itertools
import json
import time
import urllib.error
import urllib.request
from datetime import datetime
from decimal import Decimal

import boto3
import pytest
from patience import PATIENCE

from workshop import account as accounts
from workshop import clients, deploy, migration, vendor
from workshop.checking import attacks
from workshop.checking.waiting import until
from workshop.http_apis import THROTTLE, http_api
from workshop.names import name

pytestmark = pytest.mark.usefixtures("account")

# A customer's endpoint: answers to each callback URL as its query says (?answers=500,200), and keeps what came.
CUSTOMER = """
import os, time
import boto3
kept = boto3.resource("dynamodb").Table(os.environ["KEPT"])


def lambda_handler(event, context):
    came = {name: event[name] for name in ("headers", "body", "isBase64Encoded")}
    calls = kept.update_item(
        Key={"id": event["pathParameters"]["id"]},
        UpdateExpression="SET came = list_append(if_not_exists(came, :none), :came)",
        ExpressionAttributeValues={":none": [], ":came": [{**came, "at": str(time.time())}]},
        ReturnValues="ALL_NEW",
    )["Attributes"]["came"]
    answers = event["queryStringParameters"]["answers"].split(",")
    answer = answers[min(len(calls), len(answers)) - 1]
    if answer == "none":
        time.sleep(2)
    return {"statusCode": int(answer if answer.isdigit() else 200), "headers": {"Location": "/elsewhere"}}
"""


class Customer:
    """Somebody who has signed up, with tables and an endpoint."""

    def __init__(self):
        self.vendor = vendor.deploy(name("93", "vendor"), seconds=0, patience=30)
        kept = deploy.table(name("93", "kept"), key="id")
        permissions = {"dynamodb:UpdateItem": deploy.arn("dynamodb", f"table/{kept}")}
        function = deploy.function(
            name("93", "customer"), CUSTOMER, permissions=permissions, environment={"KEPT": kept}, timeout=60
        )
        self.url = http_api(name("93", "customer"), {"POST /callbacks/{id}": function})
        self.kept = boto3.resource("dynamodb").Table(kept)
        self.numbers = itertools.count()

    def table(self, *rows, **rehearsal):
        """The ARN of a new table with these rows, whose checks go as rehearsed."""
        table = deploy.table(name("93", f"table-{next(self.numbers)}"), key="iata")
        with boto3.resource("dynamodb").Table(table).batch_writer() as batch:
            for row in rows:
                batch.put_item(Item=row)
        arn = deploy.arn("dynamodb", f"table/{table}")
        self.vendor.rehearse(arn, **{"seconds": 0, **rehearsal})
        return arn

    def callback_url(self, answers="200"):
        return f"{self.url}/callbacks/{next(self.numbers)}?answers={answers}"

    def order(self, table, callback_url, key="", **headers):
        return self.call("/v1/checks", {"table": table, "callback_url": callback_url}, key, **headers)

    def call(self, path, document=None, key="", **headers):
        """(status, document) that the vendor's API answers."""
        headers = {"Authorization": f"Bearer {self.vendor.key}", "Content-Type": "application/json", **headers}
        headers |= {"Idempotency-Key": key} if key else {}
        body = document if document is None or isinstance(document, bytes) else json.dumps(document).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self.vendor.url + path, body, headers)) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def came(self, callback_url, count=1, within=PATIENCE):
        """The callbacks that came to a URL, once there are so many: dicts with headers, body (bytes), message, at."""
        found = []

        def enough():
            key = {"id": callback_url.partition("?")[0].rpartition("/")[2]}
            found[:] = self.kept.get_item(Key=key, ConsistentRead=True).get("Item", {"came": []})["came"]
            return len(found) >= count

        assert until(enough, within), found
        for each in found:
            each["body"] = base64.b64decode(each["body"]) if each["isBase64Encoded"] else each["body"].encode()
            each["message"] = json.loads(each["body"])
        return found

    def checked(self, table, answers="200", count=1):
        """Order a check and wait for its callbacks; gives (its ID, the callbacks)."""
        url = self.callback_url(answers)
        status, answer = self.order(table, url)
        assert status == 202
        return answer["check_id"], self.came(url, count)

    def deliveries(self, check_id, count=1, within=PATIENCE):
        """The deliveries of a check, once there are so many."""

        def told():
            return self.call(f"/v1/checks/{check_id}")[1]["deliveries"]

        assert until(lambda: len(told()) >= count, within), told()
        return told()


@pytest.fixture(scope="module")
def customer(sandbox):
    accounts.use_sandbox(sandbox)
    return Customer()


# -- orders -----------------------------------------------------------------------------------------------------------


def test_an_order_is_taken_at_once_and_its_check_takes_a_while(customer):
    table, url = customer.table(seconds=3), customer.callback_url()
    status, answer = customer.order(table, url)
    assert (status, answer["status"]) == (202, "running")
    assert customer.call(f"/v1/checks/{answer['check_id']}")[1]["status"] == "running"
    [callback] = customer.came(url)
    assert callback["message"]["check_id"] == answer["check_id"]
    assert customer.call(f"/v1/checks/{answer['check_id']}")[1]["status"] == "completed"


def test_the_report_is_true(customer):
    airports = migration(name("93", "vendor-airports"), rows_per_second=3000)
    airports.start()
    assert until(lambda: airports.describe()["Status"] == "stopped", PATIENCE)
    _, [callback] = customer.checked(deploy.arn("dynamodb", f"table/{airports.table}"))
    assert callback["message"]["type"] == "check.completed"
    assert callback["message"]["report"] == {"rows": 3376, "missing": {"city": 12, "state": 12}, "out_of_range": 0}


def test_the_report_is_about_the_rows_that_are_there_now(customer):
    rows = [
        {"iata": "1", "city": "", "latitude": Decimal(91)},
        {"iata": "2", "city": None, "longitude": "-180.5"},
        {"iata": "3", "latitude": "north", "longitude": "0"},
        {"iata": "4", "city": "Guam", "latitude": "13.4", "longitude": "144.8"},
    ]
    table = customer.table(*rows)
    check_id, [callback] = customer.checked(table)
    report = {"rows": 4, "missing": {"city": 3, "latitude": 1, "longitude": 1}, "out_of_range": 3}
    assert callback["message"]["report"] == report
    assert customer.call(f"/v1/checks/{check_id}")[1]["report"] == report
    boto3.resource("dynamodb").Table(table.partition("/")[2]).delete_item(Key={"iata": "1"})
    assert customer.checked(table)[1][0]["message"]["report"]["rows"] == 3


def test_a_table_that_cannot_be_read_fails_the_check(customer):
    check_id, [callback] = customer.checked(deploy.arn("dynamodb", "table/you-93-nowhere"))
    assert callback["message"]["type"] == "check.failed"
    assert callback["message"]["error"]["code"] == "TableNotReadable"
    shown = customer.call(f"/v1/checks/{check_id}")[1]
    assert (shown["status"], shown["error"]) == ("failed", callback["message"]["error"])


def test_the_tables_of_another_lab_are_not_its_business(customer):
    deploy.table(name("02", "secret"), key="id")
    _, [callback] = customer.checked(deploy.arn("dynamodb", f"table/{name('02', 'secret')}"))
    assert "not authorized" in callback["message"]["error"]["message"]


def test_the_same_key_orders_once(customer):
    """In a row and at the same moment."""
    table, url = customer.table(seconds=1), customer.callback_url()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: customer.order(table, url, "once"), range(8)))
    answers.append(customer.order(table, url, "once"))
    assert {status for status, _ in answers} == {202}
    assert len({answer["check_id"] for _, answer in answers}) == 1
    customer.came(url)
    assert customer.order(table, url, "once")[1]["status"] == "completed"
    assert len(customer.vendor.checks(table)) == 1
    assert len(customer.vendor.orders(table)) == 10


def test_without_a_key_or_with_another_it_orders_anew(customer):
    table, url = customer.table(), customer.callback_url()
    orders = [customer.order(table, url, key)[1]["check_id"] for key in ("", "", "a", "b")]
    assert len(set(orders)) == 4


def test_the_same_key_with_another_order_is_refused(customer):
    table = customer.table()
    assert customer.order(table, customer.callback_url(), "other")[0] == 202
    assert customer.order(table, customer.callback_url(), "other")[0] == 422


@pytest.mark.parametrize(
    "body",
    [
        b"no JSON",
        b"[]",
        b"{}",
        b'{"table": 1, "callback_url": "https://example.com"}',
        b'{"table": "airports", "callback_url": "https://example.com"}',
        b'{"table": "arn:aws:dynamodb:us-east-1:1:table/a", "callback_url": "http://example.com/"}',
        b'{"table": "arn:aws:dynamodb:us-east-1:1:table/a", "callback_url": "file:///etc/passwd"}',
        b'{"table": "arn:aws:dynamodb:us-east-1:1:table/a", "callback_url": "https:///nowhere"}',
        json.dumps({"table": "arn:aws:dynamodb:us-east-1:1:table/a", "callback_url": "https://e.com/" + "x" * 2048}),
    ],
)
def test_an_order_that_is_none(customer, body):
    status, answer = customer.call("/v1/checks", body if isinstance(body, bytes) else body.encode())
    assert status == 400 and answer["message"]


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Bearer ü"])
def test_strangers_order_nothing_and_see_nothing(customer, authorization):
    table = customer.table()
    assert customer.order(table, customer.callback_url(), Authorization=authorization.encode())[0] == 401
    assert customer.call("/v1/checks/chk_1", Authorization=authorization.encode())[0] == 401
    assert customer.vendor.orders(table) == []


def test_without_a_callback_url_it_calls_nobody(customer):
    status, answer = customer.call("/v1/checks", {"table": customer.table({"iata": "1"})})
    assert status == 202

    def shown():
        return customer.call(f"/v1/checks/{answer['check_id']}")[1]

    assert until(lambda: shown()["status"] == "completed", PATIENCE)
    assert (shown()["report"]["rows"], shown()["deliveries"]) == (1, [])
    assert datetime.fromisoformat(shown()["ended"]).tzinfo


def test_an_unknown_check(customer):
    assert customer.call("/v1/checks/chk_unknown")[0] == 404


def test_what_it_answers_to_the_first_orders_can_be_rehearsed(customer):
    table = customer.table(answers=[503, 429, "lost", "slow"], slow_seconds=0.5)
    url = customer.callback_url()
    assert [customer.order(table, url, "k")[0] for _ in range(3)] == [503, 429, 502]
    assert len(customer.vendor.checks(table)) == 1  # taken with the third
    began = time.monotonic()
    assert customer.order(table, url, "k")[0] == 202
    assert time.monotonic() - began >= 0.5
    assert len(customer.vendor.checks(table)) == 1
    customer.vendor.rehearse(table, seconds=0)
    assert customer.order(table, url, "k")[0] == 202


def test_it_can_call_before_it_answers(customer):
    url = customer.callback_url()
    customer.order(customer.table(answers=["overtaken"], slow_seconds=28), url)
    key = {"id": url.partition("?")[0].rpartition("/")[2]}
    assert len(customer.kept.get_item(Key=key, ConsistentRead=True)["Item"]["came"]) == 1


def test_a_rehearsal_that_it_does_not_know(customer):
    with pytest.raises(ValueError, match="cannot rehearse colour"):
        customer.vendor.rehearse("arn", colour="blue")


# -- callbacks --------------------------------------------------------------------------------------------------------


def test_a_callback_is_signed_as_the_page_says(customer):
    began = int(time.time())
    _, [callback] = customer.checked(customer.table())
    headers = callback["headers"]
    assert began <= int(headers["x-verirow-timestamp"]) <= time.time()
    signed = headers["x-verirow-timestamp"].encode() + b"." + callback["body"]
    digest = hmac.new(customer.vendor.secret.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["x-verirow-signature"] == f"v1={digest}"
    assert customer.vendor.headers(callback["body"], at=int(headers["x-verirow-timestamp"])).items() >= {
        ("X-Verirow-Signature", f"v1={digest}")
    }
    # Whoever parses the body and writes it again gets other bytes.
    assert json.dumps(callback["message"]).encode() != callback["body"]
    assert customer.vendor.key not in str(callback) and customer.vendor.secret not in str(callback)


def test_a_message_names_its_check_and_where_it_goes(customer):
    url = customer.callback_url()
    _, answer = customer.order(customer.table(), url)
    message = customer.came(url)[0]["message"]
    assert (message["check_id"], message["callback_url"]) == (answer["check_id"], url)


def test_other_content_types_arrive_as_base64(customer):
    _, [callback] = customer.checked(customer.table(content_type="application/vnd.verirow+json"))
    assert callback["isBase64Encoded"] is True
    assert "Vérirow".encode() in callback["body"]


@pytest.mark.parametrize("answers", ["500,503,200", "408,429,204"])
def test_it_delivers_again_with_growing_pauses_and_signs_anew(customer, answers):
    check_id, came = customer.checked(customer.table(), answers, count=3)
    first, second, third = (float(callback["at"]) for callback in came)
    assert second - first >= 1 and third - second >= 2
    assert len({callback["body"] for callback in came}) == 1
    assert len({callback["headers"]["x-verirow-timestamp"] for callback in came}) == 3
    told = [(each["attempt"], each["answer"]) for each in customer.deliveries(check_id, 3)]
    assert told == list(enumerate(map(int, answers.split(",")), start=1))


def test_no_answer_in_time_is_delivered_again(customer):
    """On a busy machine it may be more than one that has no answer in time."""
    check_id, _ = customer.checked(customer.table(patience=1), "none,200", count=2)

    def answers():
        return [each["answer"] for each in customer.deliveries(check_id)]

    assert until(lambda: answers()[-1:] == [200], PATIENCE), answers()
    *before, _ = answers()
    assert before and set(before) == {None}


def test_other_answers_end_the_delivery(customer):
    """A progress callback comes a second later, when there might have been another attempt."""
    table = customer.table(late_progress=True)
    answers = [200, 202, 204, 301, 400, 401, 404, 409, 410, 413, 422]
    with concurrent.futures.ThreadPoolExecutor(len(answers)) as pool:
        checks = list(pool.map(lambda answer: customer.checked(table, str(answer), count=2)[0], answers))
    for answer, check_id in zip(answers, checks, strict=True):
        told = [(each["type"], each["attempt"], each["answer"]) for each in customer.deliveries(check_id, 2)]
        assert sorted(told) == [("check.completed", 1, answer), ("check.progress", 1, answer)]


def test_it_gives_up_in_the_end(customer):
    check_id, _ = customer.checked(customer.table(attempts=2), "500", count=2)
    customer.deliveries(check_id, 2)
    executions = boto3.client("lambda").list_durable_executions_by_function(
        FunctionName=f"{customer.vendor.name}-worker", DurableExecutionName=check_id
    )["DurableExecutions"]
    arn = executions[0]["DurableExecutionArn"]
    client = boto3.client("lambda")
    assert until(lambda: client.get_durable_execution(DurableExecutionArn=arn)["Status"] == "SUCCEEDED", PATIENCE)
    assert len(customer.deliveries(check_id)) == 2


def test_progress_on_the_way_and_after_the_end(customer):
    table = customer.table(seconds=2, progress=1, late_progress=True)
    _, came = customer.checked(table, count=3)
    told = [(callback["message"]["type"], callback["message"].get("percent")) for callback in came]
    assert told == [("check.progress", 50), ("check.completed", None), ("check.progress", 99)]


def test_a_message_is_overtaken_while_its_delivery_is_tried_again(customer):
    table = customer.table(seconds=2, progress=1)
    _, came = customer.checked(table, "500,200", count=3)
    first, *rest = [callback["message"]["type"] for callback in came]
    assert first == "check.progress" and sorted(rest) == ["check.completed", "check.progress"]


def test_twice_at_the_same_moment(customer):
    check_id, came = customer.checked(customer.table(twice=True), count=2)
    assert came[0]["body"] == came[1]["body"]
    assert [told["attempt"] for told in customer.deliveries(check_id, count=2)] == [1, 1]


def test_one_good_answer_of_two_is_not_enough(customer):
    check_id, _ = customer.checked(customer.table(twice=True), "500,200", count=4)
    told = customer.deliveries(check_id, count=4)
    assert [(each["attempt"], each["answer"]) for each in told[2:]] == [(2, 200), (2, 200)]


def test_a_check_that_fails(customer):
    _, [callback] = customer.checked(customer.table(fails="Half of it is missing."))
    assert callback["message"]["type"] == "check.failed"
    assert callback["message"]["error"] == {"code": "CheckFailed", "message": "Half of it is missing."}


def test_silence_and_the_truth_in_its_status(customer):
    url = customer.callback_url()
    _, answer = customer.order(customer.table({"iata": "1"}, silent=True), url)

    def shown():
        return customer.call(f"/v1/checks/{answer['check_id']}")[1]

    assert until(lambda: shown()["status"] == "completed", PATIENCE)
    assert shown()["report"]["rows"] == 1
    assert customer.kept.get_item(Key={"id": url.partition("?")[0].rpartition("/")[2]}).get("Item") is None


# -- signing up -------------------------------------------------------------------------------------------------------


def test_signing_up_again_keeps_url_key_and_secret(customer):
    first = vendor.deploy(name("93", "again"))
    second = vendor.deploy(name("93", "again"), seconds=1)
    assert (first.url, first.key, first.secret) == (second.url, second.key, second.secret)
    assert vendor.find(name("93", "again")) == first
    assert vendor.find(name("93", "nobody")) is None
    assert first.secret not in repr(first) and first.key not in repr(first)
    assert (first.key, first.secret) != (customer.vendor.key, customer.vendor.secret)


def test_an_api_keeps_its_url_and_gets_other_routes(account):
    echo = deploy.function(name("93", "echo"), "def lambda_handler(event, context):\n    return event['routeKey']\n")
    url = http_api(name("93", "routes"), {"GET /a": echo, "POST /b": None})
    assert urllib.request.urlopen(f"{url}/a").read() == b"GET /a"
    assert http_api(name("93", "routes"), {"GET /c": echo}) == url
    assert urllib.request.urlopen(f"{url}/c").read() == b"GET /c"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{url}/a")


def test_on_a_real_account_an_api_takes_a_few_requests_a_second(account, monkeypatch):
    """What is more is a 429, which a check there does not take for an answer: it sends the same again."""
    apis = clients.of("apigatewayv2")
    echo = deploy.function(name("93", "echo"), "def lambda_handler(event, context):\n    return event['routeKey']\n")

    def made(api):
        url = http_api(api, {"POST /": echo})
        (found,) = [each["ApiId"] for each in apis.get_apis()["Items"] if each["Name"] == api]
        return url, found, apis.get_stages(ApiId=found)["Items"][0]["DefaultRouteSettings"]

    assert made(name("93", "here"))[2] == {}
    monkeypatch.setattr(accounts, "_real", accounts.Account("aws", "111122223333", "us-east-1", "http://127.0.0.1:1"))
    url, api, throttle = made(name("93", "there"))
    assert throttle == THROTTLE

    def let(burst):
        apis.update_stage(ApiId=api, StageName="$default", DefaultRouteSettings={"ThrottlingBurstLimit": burst})

    def pauses():
        yield 0
        let(100)
        yield 0

    let(0)
    monkeypatch.setattr(attacks, "PAUSES", (0,))
    assert attacks.send(f"{url}/", {}, b"{}") == 429  # in the end it is one
    monkeypatch.setattr(attacks, "PAUSES", pauses())
    assert attacks.send(f"{url}/", {}, b"{}") == 200
