"""Answers to the tasks of lab 03, right and wrong: {task: [answer, ...]}; see `answers/polling_loop.py`.

An answer is what stands in the answer cell in place of the solution: all of it (`text`), or what is changed in it
(`changes`, {what stands there: what is to stand there}). All else is the solution's, up to that task; `cells` names
cells beyond that whose files it needs, and `earlier` says what is changed in answers to earlier tasks: {task: changes}.
"""

from contextlib import suppress

import boto3

from workshop import deploy, http_api, vendor

from . import cells

CELLS = cells.of_solution("03-callback-urls")
SOLVED = {number: CELLS[f"task-{number}-answer"] for number in range(1, 6)}

# -- giving an answer --------------------------------------------------------------------------------------------------


def give(lab, number, answer, scratch):
    """Put an answer into the account, and what the lab has made until then; returns the names of the notebook.

    scratch: a folder.
    """
    text = cells.changed(SOLVED[number], answer)
    before = list(CELLS)[: list(CELLS).index(f"task-{number}-answer")]
    earlier = [
        cells.changed(SOLVED[task], {**answer, "changes": told}) for task, told in answer.get("earlier", {}).items()
    ]
    files = cells.written([*(CELLS[cell] for cell in [*before, *answer.get("cells", ())]), *earlier, text])
    for name, content in files.items():
        (scratch / name).write_text(content)
    own = lab.name
    lab.name = lambda thing: "answer-03-vendor" if thing == "vendor" else own(thing)  # one vendor for all of them
    names = {"lab": lab, "boto3": boto3, "http_api": http_api, "deploy": cells.Deploy(scratch)}
    names["verirow"] = vendor.find(lab.name("vendor"))
    exec(CELLS["deploy-functions"], names)
    exec(CELLS["deploy-machine"], names)
    names["modules"] += [
        name for name in files if name not in [*names["modules"], "submit.py", "callback.py", "ask.py"]
    ]
    names["deploy_all"]()
    if number == 5:
        with suppress(deploy.DeployError):  # a learner sees it, and then runs the check
            for cell in (CELLS["task-5-ask-deploy"], text, CELLS["task-5-deploy"]):
                exec(cell, names)
    return names


def prepare():
    """What all learners share: the vendor."""
    vendor.deploy("answer-03-vendor", reads="answer-*", patience=30)


# -- task 1 ------------------------------------------------------------------------------------------------------------

WHO_IS_FIRST = """    keep(execution, only_if=Attr("CallbackId").not_exists(), CallbackId=secrets.token_urlsafe(32))
    callback_id = find(execution)["CallbackId"]  # mine, or that of whoever was first
"""
NEW_ID = "secrets.token_urlsafe(32)"
NEWEST = 'Attr("Attempt").not_exists() | Attr("Attempt").lte(attempt)'
KEEPS_TOKEN = "    keep(callback_id, only_if=newest, TaskToken=token, Attempt=attempt)\n"
TOKEN_OF = 'find(callback_id).get("TaskToken")'


def id_is(expression, *imports):
    """The changes that make this the address; `execution` and `token` can be used in it."""
    return {
        WHO_IS_FIRST: f"    callback_id = {expression}\n",
        "import secrets": "\n".join(f"import {each}" for each in (*imports, "secrets")),
    }


LOOKS_FIRST = """    callback_id = find(execution).get("CallbackId") or secrets.token_urlsafe(32)
    keep(execution, CallbackId=callback_id)
"""

HMAC = """%%writefile callbacks.py
import hashlib
import hmac
import secrets

from boto3.dynamodb.conditions import Attr
from waiting import find, keep


def open_callback(execution, token, attempt):
    keep("key of addresses", Attr("Id").not_exists(), Key=secrets.token_hex(32))
    key = find("key of addresses")["Key"]
    callback_id = hmac.new(key.encode(), execution.encode(), hashlib.sha256).hexdigest()
    keep(callback_id, Attr("Attempt").not_exists() | Attr("Attempt").lt(attempt), TaskToken=token, Attempt=attempt)
    return callback_id


def token_of(callback_id):
    return find(callback_id).get("TaskToken")
"""

BY_EXECUTION = """%%writefile callbacks.py
import uuid

from boto3.dynamodb.conditions import Attr
from waiting import find, keep


def open_callback(execution, token, attempt):
    new = str(uuid.uuid4())
    keep(new, Execution=execution)
    keep(execution, Attr("CallbackId").not_exists(), CallbackId=new)
    keep(execution, Attr("Attempt").not_exists() | Attr("Attempt").lt(attempt), Token=token, Attempt=attempt)
    return find(execution)["CallbackId"]


def token_of(callback_id):
    execution = find(callback_id).get("Execution")
    return find(execution).get("Token") if execution else None
"""

IF_NOT_EXISTS = """%%writefile callbacks.py
import secrets

from boto3.dynamodb.conditions import Attr
from waiting import find, keep, table


def open_callback(execution, token, attempt):
    item = table.update_item(
        Key={"Id": execution},
        UpdateExpression="SET Address = if_not_exists(Address, :new)",
        ExpressionAttributeValues={":new": secrets.token_hex(16)},
        ReturnValues="ALL_NEW",
    )["Attributes"]
    keep(item["Address"], Attr("Id").not_exists() | Attr("Attempt").lt(attempt), TaskToken=token, Attempt=attempt)
    return item["Address"]


def token_of(callback_id):
    return find(callback_id).get("TaskToken")
"""

EACH_ATTEMPT = """%%writefile callbacks.py
import secrets

from boto3.dynamodb.conditions import Attr
from waiting import find, keep


def open_callback(execution, token, attempt):
    keep(execution, Attr("CallbackId").not_exists(), CallbackId=secrets.token_urlsafe(20))
    callback_id = find(execution)["CallbackId"]
    keep(callback_id, **{"Of" + attempt.encode().hex(): token})
    return callback_id


def token_of(callback_id):
    item = find(callback_id)
    attempts = [name for name in item if name.startswith("Of")]
    return item[max(attempts)] if attempts else None
"""

OPENED = """    opened = table.update_item(
        Key={"Id": execution},
        UpdateExpression="ADD Opened :one",
        ExpressionAttributeValues={":one": 1},
        ReturnValues="ALL_NEW",
    )["Attributes"]["Opened"]
"""

IN_MEMORY = {  # what is changed in callbacks.py so that each process has addresses of its own
    "from waiting import find, keep": "from waiting import find, keep\n\nkept = {}",
    KEEPS_TOKEN: "    kept[callback_id] = token\n",
    TOKEN_OF: "kept.get(callback_id)",
}
REMEMBERS = {  # ... so that a token that was looked up once is not looked up again
    "def token_of": "@functools.cache\ndef token_of",
    "import secrets": "import functools\nimport secrets",
}

TASK_1 = [
    dict(name="the solution"),
    dict(
        name="takes a new token once, and no more",
        changes={
            "from waiting import find, keep": "from waiting import find, keep, table",
            WHO_IS_FIRST: OPENED + WHO_IS_FIRST,
            KEEPS_TOKEN: f"    if opened <= 2:\n    {KEEPS_TOKEN}",
        },
        says="not yet",
        words="After all of it, a report was answered with 500, and the execution was still running",
    ),
    dict(name="an HMAC of the execution, with a key that nobody else has", text=HMAC),
    dict(name="a UUID; the token is kept under the execution", text=BY_EXECUTION),
    dict(name="hex, with if_not_exists", text=IF_NOT_EXISTS),
    dict(name="keeps the tokens of all attempts, and takes the latest", text=EACH_ATTEMPT),
    dict(
        name="remembers what it has looked up",
        changes=REMEMBERS,
        says="not yet",
        words="In the case of a state that was retried after the vendor had called, a report",
    ),
    dict(
        name="remembers which addresses nobody has",
        changes={
            "def token_of": "nobody = set()\n\n\ndef token_of",
            f"return {TOKEN_OF}": f"token = None if callback_id in nobody else {TOKEN_OF}\n"
            "    nobody.update([callback_id] if token is None else [])\n    return token",
        },
    ),
    dict(
        name="keeps the address under the execution's name",
        changes={WHO_IS_FIRST: '    execution = execution.rpartition(":")[2]\n' + WHO_IS_FIRST},
        says="not yet",
        words="Two executions of the same name, of two state machines, got the same address",
    ),
    dict(
        name="raises where a later attempt was there before",
        changes={KEEPS_TOKEN: f"    if not {KEEPS_TOKEN.strip()}:\n        raise RuntimeError('too late')\n"},
    ),
    dict(
        name="blank",
        text="%%writefile callbacks.py\ndef open_callback(execution, token):\n    return ...\n\n\n"
        "def token_of(callback_id):\n    return ...\n",
        says="not attempted",
        words="There is no function named",
    ),
    dict(
        name="the token itself, as the prototype had it",
        changes=id_is('token.replace("/", "_").replace("+", "-").rstrip("=")'),
        says="not yet",
        words="has your task token",
    ),
    dict(
        name="the token in base64",
        changes=id_is('base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")', "base64"),
        says="not yet",
        words="has your task token",
    ),
    dict(
        name="the token beside the address",
        changes={"    return callback_id": '    return callback_id + "-" + token.encode().hex()[:96]'},
        says="not yet",
        words="has your task token",
    ),
    dict(
        name="a hash of the execution, which is known",
        changes=id_is("hashlib.sha256(execution.encode()).hexdigest()", "hashlib"),
        says="not yet",
        words="can be computed from the execution's ARN",
    ),
    dict(
        name="a hash of the token",
        changes=id_is("hashlib.sha256(token.encode()).hexdigest()", "hashlib"),
        says="not yet",
        words="can be computed from the task token",
    ),
    dict(
        name="a UUID of the name of the execution",
        changes=id_is('str(uuid.uuid5(uuid.NAMESPACE_URL, execution.split(":")[-1]))', "uuid"),
        says="not yet",
        words="can be computed from the execution's name",
    ),
    dict(
        name="the name of the execution, and something random",
        changes={NEW_ID: 'execution.split(":")[-1] + secrets.token_urlsafe(32)'},
        says="not yet",
        words="contains the execution's name",
    ),
    dict(
        name="the ARN of the execution, quoted",
        changes=id_is('urllib.parse.quote(execution, safe="")', "urllib.parse"),
        says="not yet",
        words="contains the execution's ARN",
    ),
    dict(
        name="a UUID made of the time and this machine",
        changes={NEW_ID: "str(uuid.uuid1())", "import secrets": "import uuid"},
        says="not yet",
        words="random bits at most",
    ),
    dict(
        name="short",
        changes={NEW_ID: "secrets.token_hex(6)"},
        says="not yet",
        words="random bits at most",
    ),
    dict(
        name="almost long enough",
        changes={NEW_ID: "secrets.token_urlsafe(12)"},
        says="not yet",
        words="random bits at most",
    ),
    dict(
        name="with signs that mean something in a URL",
        changes={NEW_ID: '"you:" + secrets.token_urlsafe(32)'},
        says="not yet",
        words="An address is 'you:",
    ),
    dict(name="one for all", changes=id_is('"callback"'), says="not yet", words="got the same address"),
    dict(
        name="another one after a retry",
        changes=id_is(NEW_ID),
        says="not yet",
        words="the vendor got 2 addresses for one execution",
    ),
    dict(
        name="one for each attempt",
        changes={WHO_IS_FIRST: WHO_IS_FIRST.replace("(execution", "(execution + attempt")},
        says="not yet",
        words="In the case of a state that was retried with a new token, the vendor got 2 addresses",
    ),
    dict(
        name="a new one each time, although another was first",
        changes={WHO_IS_FIRST: WHO_IS_FIRST.replace('find(execution)["CallbackId"]', NEW_ID)},
        says="not yet",
        words="the vendor got 2 addresses for one execution",
    ),
    dict(
        name="looks first, and then writes",
        changes={WHO_IS_FIRST: LOOKS_FIRST},
        says="not yet",
        words="In the case of a function that was invoked twice at the same moment, the vendor got 2 addresses",
    ),
    dict(
        name="looks, and writes on condition, and goes on with its own",
        changes={
            WHO_IS_FIRST: LOOKS_FIRST.replace("keep(execution, ", 'keep(execution, Attr("CallbackId").not_exists(), ')
        },
        says="not yet",
        words="In the case of a function that was invoked twice at the same moment, the vendor got 2 addresses",
    ),
    dict(
        name="remembers the addresses in its memory",
        changes={
            "\n\ndef open_callback": "\nADDRESSES = {}\n\n\ndef open_callback",
            WHO_IS_FIRST: f"    callback_id = ADDRESSES.setdefault(execution, {NEW_ID})\n",
        },
        says="not yet",
        words="addresses for one execution",
    ),
    dict(
        name="whoever is second is turned away",
        changes={
            WHO_IS_FIRST: '    if not keep(execution, only_if=Attr("CallbackId").not_exists(), '
            f"CallbackId={NEW_ID}):\n        raise RuntimeError('somebody is at it')\n"
            '    callback_id = find(execution)["CallbackId"]\n'
        },
        says="not yet",
        words="submit failed with RuntimeError: somebody is at it (callbacks.py, line",
    ),
    dict(
        name="after a retry the old token stays",
        changes={NEWEST: 'Attr("Attempt").not_exists()'},
        says="not yet",
        words="the old one is dead",
    ),
    dict(
        name="the earliest attempt counts",
        changes={".lte(attempt)": ".gte(attempt)"},
        says="not yet",
        words="the old one is dead",
    ),
    dict(
        name="whoever writes last has the address",
        changes={"only_if=newest, ": ""},
        says="not yet",
        words="an attempt whose function began when that of its retry was done, a report was answered with",
    ),
    dict(
        name="looks which attempt is the latest, and then writes",
        changes={
            KEEPS_TOKEN: '    if find(callback_id).get("Attempt", "") <= attempt:\n'
            "        keep(callback_id, TaskToken=token, Attempt=attempt)\n"
        },
        says="not yet",
        words="an attempt whose function was slow, and was overtaken by that of the next one, a report",
    ),
    dict(
        name="the later attempt is the one that began later",
        changes={
            "    newest =": "    attempt = str(time.time())\n    newest =",
            "import secrets": "import secrets\nimport time",
        },
        says="not yet",
        words="an attempt whose function began when that of its retry was done, a report was answered with",
    ),
    dict(
        name="does not keep which attempt it was",
        changes={", Attempt=attempt": ""},
        says="not yet",
        words="an attempt whose function began when",
    ),
    dict(
        name="writes the token into the log",
        changes={"    return callback_id": '    print("waiting with", token)\n    return callback_id'},
        says="not yet",
        words="A task token stands in the log of submit",
    ),
    dict(
        name="the token in the log of what is asked",
        changes={f"    return {TOKEN_OF}": f"    token = {TOKEN_OF}\n    print(token)\n    return token"},
        says="not yet",
        words="A task token stands in the log of callback",
    ),
    dict(
        name="gives the whole item for the token",
        changes={TOKEN_OF: "find(callback_id)"},
        says="not yet",
        words="A task token stands in the log of callback",  # botocore says what it was given
    ),
    dict(
        name="there is always a token",
        changes={TOKEN_OF: 'find(callback_id)["TaskToken"]'},
        says="not yet",
        words="that nobody has, and the function callback failed with KeyError: 'TaskToken' (callbacks.py, line",
    ),
    dict(
        name="asks under the execution",
        changes={"keep(callback_id, only_if": "keep(execution, only_if"},
        says="not yet",
        words="was answered with 500",
    ),
    dict(
        name="an HMAC of the execution, with the key that the vendor gave you",
        changes=id_is(
            'hmac.new(os.environ["VENDOR_KEY"].encode(), execution.encode(), "sha256").hexdigest()', "hmac", "os"
        ),
        says="not yet",
        words="can be computed from the execution's ARN, with a key that the vendor has",
    ),
    dict(
        name="a hash of the vendor's key and the execution's name, in base64",
        changes=id_is(
            'base64.urlsafe_b64encode(hashlib.sha512((os.environ["VENDOR_KEY"] + execution.rpartition(":")[2])'
            '.encode()).digest()).decode().rstrip("=")',
            "base64",
            "hashlib",
            "os",
        ),
        says="not yet",
        words="can be computed from the execution's name, with a key that the vendor has",
    ),
    dict(
        name="the last part of a hash of the execution",
        changes=id_is("hashlib.sha256(execution.encode()).hexdigest()[32:]", "hashlib"),
        says="not yet",
        words="can be computed from the execution's ARN",
    ),
    dict(
        name="random, with the execution as its seed",
        changes=id_is("f'{random.Random(execution).getrandbits(256):x}'", "random"),
        says="not yet",
        words="can be computed from the execution's ARN",
    ),
    dict(
        name="a hash of the execution's name, as a UUID",
        changes=id_is("str(uuid.UUID(hashlib.md5(execution.split(':')[-1].encode()).hexdigest()))", "hashlib", "uuid"),
        says="not yet",
        words="can be computed from the execution's name",
    ),
    dict(
        name="short, and twice that it looks longer",
        changes={NEW_ID: "secrets.token_urlsafe(8) * 2"},
        says="not yet",
        words="random bits at most",
    ),
    dict(
        name="the token stands under the execution too, so that its ARN is an address",
        changes={KEEPS_TOKEN: KEEPS_TOKEN + "    keep(execution, TaskToken=token)\n"},
        says="not yet",
        words="A report came with the execution's ARN or its name in place of the address, and the execution ended",
    ),
    dict(
        name="an empty text where nobody waits",
        changes={TOKEN_OF: 'find(callback_id).get("TaskToken", "")'},
        says="not yet",
        words="asked about an address that nobody has, and did not return None: the function callback failed with",
    ),
    dict(
        name="a token that is none where nobody waits",
        changes={TOKEN_OF: 'find(callback_id).get("TaskToken", "nobody")'},
        says="not yet",
        words="asked about an address that nobody has, and did not return None: the function callback failed with",
    ),
    dict(
        name="logs the token of an attempt that came too late",
        changes={
            KEEPS_TOKEN: f"    if not {KEEPS_TOKEN.strip()}:\n        print('a dead token:', token)\n",
        },
        says="not yet",
        words="A task token stands in the log of submit",
    ),
    dict(
        name="compares only when the state was entered, and not the retries",
        changes={
            "    newest =": "    attempt = attempt.split()[0]\n    newest =",
        },
        says="not yet",
        words="an attempt whose function began when that of its retry was done, a report was answered",
    ),
    dict(
        name="compares only the number of retries",
        changes={
            "    newest =": "    attempt = attempt.split()[-1]\n    newest =",
        },
        says="not yet",
        words="an attempt whose function was slow, and was overtaken by that of the next one",
    ),
    dict(
        name="another address for an attempt that came too late",
        changes={
            KEEPS_TOKEN: f"    if not {KEEPS_TOKEN.strip()}:\n        return {NEW_ID}\n",
        },
        says="not yet",
        words="an attempt whose function began when that of its retry was done, the vendor got 2 addresses",
    ),
    dict(
        name="no None, but an error of its own, where nobody waits",
        changes={
            f"    return {TOKEN_OF}": f"    token = {TOKEN_OF}\n    if token is None:\n"
            "        raise LookupError(callback_id)\n    return token"
        },
        says="not yet",
        words="asked about an address that nobody has, and the function callback failed with LookupError",
    ),
    dict(
        name="looks first, and so writes an address only where there is none",
        changes={
            WHO_IS_FIRST: '    if "CallbackId" not in find(execution):\n'
            f'        keep(execution, only_if=Attr("CallbackId").not_exists(), CallbackId={NEW_ID})\n'
            '    callback_id = find(execution)["CallbackId"]\n'
        },
    ),
    dict(
        name="prints the address and the attempt",
        changes={"    return callback_id": "    print('waits:', callback_id, attempt)\n    return callback_id"},
    ),
    dict(
        name="a keyed hash of the ARN, whose key is the table's name",
        changes=id_is("blake2b(execution.encode(), key=os.environ['TABLE'].encode()[:64]).hexdigest()", "os")
        | {"from boto3": "from hashlib import blake2b\n\nfrom boto3"},
        says="not yet",
        words="each time to a table with nothing in it, it got the same address each time",
    ),
]

# -- task 2 ------------------------------------------------------------------------------------------------------------

PROTOTYPE = CELLS["prototype-submit"]

HASH_AS_KEY = """%%writefile submit.py
import hashlib
import http.client
import json
import urllib.error
import urllib.request

from callbacks import open_callback
from verirow import order
from waiting import keep


class VendorUnavailable(Exception):
    pass


class VendorRefused(Exception):
    pass


def lambda_handler(event, context):
    callback_id = open_callback(event["Execution"], event["TaskToken"], event["Attempt"])
    key = hashlib.sha256(event["Execution"].encode()).hexdigest()
    try:
        answer = urllib.request.urlopen(order(event["Table"], callback_id, key), None, 1.5)
    except urllib.error.URLError as problem:
        if 400 <= getattr(problem, "code", 0) < 500 and problem.code not in (408, 429):
            raise VendorRefused(problem.read().decode())
        raise VendorUnavailable(str(problem))
    except OSError:
        raise VendorUnavailable("no answer")
    try:
        said = answer.read()
    except (http.client.IncompleteRead, OSError):
        raise VendorUnavailable("half an answer")
    try:
        check_id = json.loads(said)["check_id"]
    except json.JSONDecodeError:
        raise VendorUnavailable("half an answer, of no length")
    keep(event["Execution"], CheckId=check_id)
"""

HTTP_CLIENT = """%%writefile submit.py
import http.client
import json
from urllib.parse import urlsplit

from callbacks import open_callback
from verirow import order
from waiting import keep

VendorUnavailable = type("VendorUnavailable", (Exception,), {})
VendorRefused = type("VendorRefused", (Exception,), {})


def lambda_handler(event, context):
    callback_id = open_callback(event["Execution"], event["TaskToken"], event["Attempt"])
    request = order(event["Table"], callback_id, key=callback_id)
    address = urlsplit(request.full_url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.netloc, timeout=2)
    try:
        connection.request("POST", address.path, request.data, dict(request.header_items()))
        answer = connection.getresponse()
        document = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as problem:
        raise VendorUnavailable(repr(problem)) from problem
    if answer.status in (408, 429) or answer.status >= 500:
        raise VendorUnavailable(answer.status)
    if answer.status >= 400:
        raise VendorRefused(document)
    keep(event["Execution"], CheckId=document["check_id"])
"""

OPENS = '    callback_id = open_callback(event["Execution"], event["TaskToken"], event.get("Attempt", ""))\n'
KEEPS_CHECK = '    keep(event["Execution"], CheckId=check_id)'
AGAIN = "again = error.code in (408, 429) or error.code >= 500"
RAISES = '        raise (VendorUnavailable if again else VendorRefused)(f"Verirow answered {error.code}.") from None\n'
NO_ANSWER = """    except (OSError, HTTPException, ValueError) as error:  # no answer in time, or half of one
        raise VendorUnavailable(f"Verirow does not answer: {error}") from None
"""
KEY = "key=callback_id"

NOT_AGAIN = """%%writefile submit.py
import json
import urllib.error
import urllib.request

from callbacks import open_callback
from errors import VendorRefused, VendorUnavailable
from verirow import order
from waiting import find, keep


def lambda_handler(event, context):
    callback_id = open_callback(event["Execution"], event["TaskToken"], event["Attempt"])
    if "CheckId" in find(event["Execution"]):
        return "ordered before"
    request = order(event["Table"], callback_id, callback_id + "-order")
    opener = urllib.request.build_opener()
    try:
        document = json.load(opener.open(request, timeout=2))
    except urllib.error.HTTPError as problem:
        if problem.code // 100 == 5 or problem.code in {408, 429}:
            raise VendorUnavailable(problem.code)
        raise VendorRefused(problem.code)
    except Exception as problem:
        raise VendorUnavailable(repr(problem))
    keep(event["Execution"], CheckId=document["check_id"], Table=event["Table"])
"""

IN_A_PLACE_OF_ITS_OWN = """%%writefile submit.py
import contextlib
import json
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import urlopen

from callbacks import open_callback
from errors import VendorRefused, VendorUnavailable
from verirow import order
from waiting import keep


@contextlib.contextmanager
def faults_of_the_vendor():
    try:
        yield
    except HTTPError as error:
        if 400 <= error.code < 500 and error.code not in {408, 429}:
            raise VendorRefused(error) from error
        raise VendorUnavailable(error) from error
    except (OSError, HTTPException, ValueError) as error:
        raise VendorUnavailable(error) from error


def lambda_handler(event, context):
    execution = event["Execution"]
    callback_id = open_callback(execution, event["TaskToken"], event["Attempt"])
    with faults_of_the_vendor(), urlopen(order(event["Table"], callback_id, execution), timeout=2) as answer:
        document = json.loads(answer.read())
    keep(execution, CheckId=document["check_id"])
"""

TASK_2 = [
    dict(name="the solution"),
    dict(
        name="opens the callback without the attempt",
        changes={OPENS: OPENS.replace(', event.get("Attempt", "")', "")},
        says="not yet",
        words="an attempt whose function began when that of its retry was done, a report",
    ),
    dict(name="another key, and all that urllib raises in one", text=HASH_AS_KEY),
    dict(name="with http.client", text=HTTP_CLIENT),
    dict(name="the ARN of the execution as the key", changes={KEY: 'key=event["Execution"]'}),
    dict(name="does not order again once it has the answer", text=NOT_AGAIN),
    dict(
        name="the execution's name and the table as the key",
        changes={KEY: 'key=event["Execution"].split(":")[-1] + event["Table"].split("/")[-1]'},
        says="not yet",
        words="the same name, of two state machines, and their orders had the same key",
    ),
    dict(name="a second and a half is enough to wait", changes={"timeout=2": "timeout=1.8"}),
    dict(
        name="blank",
        text="%%writefile submit.py\ndef lambda_handler(event, context):\n    ...\n",
        says="not attempted",
        words="There is no function named",
    ),
    dict(name="the prototype", text=PROTOTYPE, says="not yet", words="answered 408, and submit failed with HTTPError"),
    dict(
        name="no key: each attempt orders an audit",
        changes={f", {KEY}": ""},
        says="not yet",
        words="the vendor now makes 2 audits for one execution",
    ),
    dict(
        name="the token as the key",
        changes={KEY: 'key=event["TaskToken"][:200]'},
        says="not yet",
        words="the vendor now makes 2 audits",
    ),
    dict(
        name="a piece of the token in the key",
        changes={KEY: 'key=callback_id + find(callback_id)["TaskToken"][:60]', "import keep": "import find, keep"},
        says="not yet",
        words="audits for one execution",
    ),
    dict(
        name="the execution and its first token as the key",
        changes={
            OPENS: OPENS + '    key = find(event["Execution"]).get("Key", event["TaskToken"][:200])\n'
            '    keep(event["Execution"], Key=key)\n',
            KEY: "key=key",
            "import keep": "import find, keep",
        },
        says="not yet",
        words="the key of the order contains it",
    ),
    dict(
        name="one key for all executions",
        changes={KEY: 'key="check"'},
        says="not yet",
        words="Verirow answered 422.",
    ),
    dict(
        name="the table as the key",
        changes={KEY: 'key=event["Table"]'},
        says="not yet",
        words="There were two executions with the same table, and their orders had the same key",
    ),
    dict(
        name="the execution's name as the key",
        changes={KEY: 'key=event["Execution"].rpartition(":")[2]'},
        says="not yet",
        words="the same name, of two state machines, and their orders had the same key",
    ),
    dict(name="the execution's ARN as the key", changes={KEY: 'key=event["Execution"]'}),
    dict(
        name="a new key each time",
        changes={KEY: "key=secrets.token_hex()", "import json\n": "import json\nimport secrets\n"},
        says="not yet",
        words="the vendor now makes 2 audits for one execution",
    ),
    dict(
        name="a new key for each attempt",
        changes={KEY: 'key=callback_id + event["Attempt"]'},
        says="not yet",
        words="the vendor now makes 2 audits for one execution",
    ),
    dict(
        name="whatever it is, it is tried again",
        changes={AGAIN: "again = True"},
        says="not yet",
        words="The vendor answered 400, and submit failed with VendorUnavailable",
    ),
    dict(
        name="whatever it is, it is final",
        changes={AGAIN: "again = False"},
        says="not yet",
        words="The vendor answered 408, and submit failed with VendorRefused",
    ),
    dict(
        name="every 4xx is final",
        changes={AGAIN: "again = error.code >= 500"},
        says="not yet",
        words="The vendor answered 408, and submit failed with VendorRefused",
    ),
    dict(
        name="every 4xx but 408 is final",
        changes={AGAIN: "again = error.code == 408 or error.code >= 500"},
        says="not yet",
        words="The vendor answered 429, and submit failed with VendorRefused",
    ),
    dict(
        name="final is what stands in a list",
        changes={AGAIN: "again = error.code not in (400, 401, 402, 403, 404, 409, 410, 422)"},
        says="not yet",
        words="and submit failed with VendorUnavailable",
    ),
    dict(
        name="worth another try is what stands in a list",
        changes={AGAIN: "again = error.code in (408, 429, 500, 502, 503, 504)"},
        says="not yet",
        words="and submit failed with VendorRefused",
    ),
    dict(
        name="401 and 403 are mended by somebody, and so worth another try",
        changes={AGAIN: "again = error.code in (401, 403, 408, 429) or error.code >= 500"},
        says="not yet",
        words="The vendor answered 401, and submit failed with VendorUnavailable",
    ),
    dict(
        name="what is gone may come back",
        changes={AGAIN: "again = error.code in (408, 410, 429) or error.code >= 500"},
        says="not yet",
        words="The vendor answered 410, and submit failed with VendorUnavailable",
    ),
    dict(
        name="what the vendor has not built stays so",
        changes={AGAIN: "again = error.code in (408, 429) or error.code >= 500 and error.code != 501"},
        says="not yet",
        words="The vendor answered 501, and submit failed with VendorRefused",
    ),
    dict(
        name="a gateway that has waited long enough is final",
        changes={AGAIN: "again = error.code in (408, 429, 500, 501, 502, 503) or error.code > 504"},
        says="not yet",
        words="The vendor answered 504, and submit failed with VendorRefused",
    ),
    dict(
        name="names of its own for the errors",
        changes={"VendorUnavailable if again": "ConnectionError if again"},
        says="not yet",
        words="The vendor answered 408, and submit failed with ConnectionError",
    ),
    dict(
        name="waits for the answer as long as it takes",
        changes={", timeout=2": ""},
        says="not yet",
        words="did not answer for almost three seconds, submit ended without an error",
    ),
    dict(
        name="waits for five seconds",
        changes={"timeout=2": "timeout=5"},
        says="not yet",
        words="did not answer for almost three seconds, submit ended without an error",
    ),
    dict(
        name="waits for half a second",
        changes={"timeout=2": "timeout=0.5"},
        says="not yet",
        words="submit failed with VendorUnavailable",
    ),
    dict(
        name="an answer that does not come is nobody's business",
        changes={NO_ANSWER: ""},
        says="not yet",
        words="did not answer for almost three seconds, submit failed with TimeoutError",
    ),
    dict(
        name="what cannot be reached is left out",
        changes={
            "(OSError, HTTPException, ValueError) as error": "(TimeoutError, ConnectionError, HTTPException) as error"
        },
        says="not yet",
        words="a vendor that could not be reached, submit failed with URLError",
    ),
    dict(
        name="only what urllib calls an error",
        changes={
            "(OSError, HTTPException, ValueError) as error": "(URLError, TimeoutError) as error",
            "import HTTPError": "import HTTPError, URLError",
        },
        says="not yet",
        words="closed the connection without an answer, submit failed with RemoteDisconnected",
    ),
    dict(
        name="tries again by itself, in a loop, and then by the state machine too",
        changes={
            OPENS: OPENS
            + "    import time\n    for _ in range(3):\n        try:\n            order_once(event, callback_id)\n"
            "            return\n        except VendorUnavailable:\n            time.sleep(0.1)\n"
            "    order_once(event, callback_id)\n\n\ndef order_once(event, callback_id):\n"
        },
        says="not yet",
        words="500, and submit ended without an error",
    ),
    dict(
        name="asks the vendor twice each time",
        changes={
            "    try:\n": "    try:\n        urlopen(order(event['Table'], callback_id, key=callback_id), timeout=2)\n"
        },
        says="not yet",
        words="submit",
    ),
    dict(
        name="orders twice to be sure, once it is taken",
        changes={
            KEEPS_CHECK: "    urlopen(order(event['Table'], callback_id, key=callback_id), timeout=2)\n" + KEEPS_CHECK
        },
        says="not yet",
        words="submit was invoked 10 times, and the vendor got 11 orders",
    ),
    dict(
        name="orders with an address of its own, and then opens the callback",
        changes={
            "import json\n": "import json\nimport secrets\n",
            OPENS: "    callback_id = secrets.token_urlsafe(32)\n",
            KEEPS_CHECK: '    keep(event["Execution"], CallbackId=callback_id, CheckId=check_id)\n'
            '    keep(callback_id, TaskToken=event["TaskToken"])',
        },
        says="not yet",
        words="a report was answered with 500, and the execution was still running",
    ),
    dict(
        name="opens the callback when the order is answered, with an address that it keeps before",
        changes={
            "import json\n": "import json\nimport secrets\n",
            "from waiting import keep": "from waiting import find, keep",
            OPENS: '    callback_id = find(event["Execution"]).get("CallbackId") or secrets.token_urlsafe(32)\n'
            '    keep(event["Execution"], CallbackId=callback_id)\n',
            KEEPS_CHECK: KEEPS_CHECK + '\n    keep(callback_id, TaskToken=event["TaskToken"])',
        },
        says="not yet",
        words="called back before it had answered the order",
    ),
    dict(
        name="what is refused is written into the log, and that is it",
        changes={RAISES: "        return print('Verirow answered', error.code)\n"},
        says="not yet",
        words="The vendor answered 408, and submit ended without an error",
    ),
    dict(
        name="does not keep the vendor's check_id",
        changes={KEEPS_CHECK: "    print(check_id)"},
        says="not yet",
        words="and the item of the execution has the CheckId None",
    ),
    dict(
        name="keeps the check_id under the address",
        changes={'keep(event["Execution"], CheckId': "keep(callback_id, CheckId"},
        says="not yet",
        words="and the item of the execution has the CheckId None",
    ),
    dict(
        name="keeps all of the answer",
        changes={'json.load(answer)["check_id"]': "json.dumps(json.load(answer))"},
        says="not yet",
        words="and the item of the execution has the CheckId '{",
    ),
    dict(
        name="the former callbacks.py: two at the same moment make two addresses",
        changes={
            "from callbacks import open_callback": "from waiting import find\nimport secrets",
            OPENS: LOOKS_FIRST.replace("execution", 'event["Execution"]')
            + '    keep(callback_id, TaskToken=event["TaskToken"])\n',
        },
        says="not yet",
        words="orders, and they had different callback URLs",
    ),
    dict(
        name="right, with a callbacks.py that makes an address each time",
        earlier={1: {WHO_IS_FIRST: f"    callback_id = {NEW_ID}\n"}},
        changes={"timeout=2": "timeout=1.8"},
        says="not yet",
        words="what exercise 1 made, and that is not right yet. In the case of a state that was "
        "retried with a new token, open_callback returned two addresses",
    ),
    dict(
        name="right, with a callbacks.py that looks first, and then writes",
        earlier={1: {WHO_IS_FIRST: LOOKS_FIRST}},
        changes={"timeout=2": "timeout=1.8"},
        says="not yet",
        words="what exercise 1 made, and that is not right yet. In the case of two calls at the same "
        "moment, open_callback returned two addresses",
    ),
    dict(
        name="does not open the callback again once it has ordered",
        changes={
            "import keep": "import find, keep",
            OPENS: '    if "CheckId" in find(event["Execution"]):\n        return\n' + OPENS,
        },
        says="not yet",
        words="a state that was tried again all the same, a report was answered with",
    ),
    dict(
        name="half an answer is not thought of",
        changes={"(OSError, HTTPException, ValueError) as error": "(OSError, ValueError) as error"},
        says="not yet",
        words="a vendor whose answer broke off in the middle, a 202 and then a 503, submit failed with IncompleteRead",
    ),
    dict(
        name="half an answer is one that is shorter than it says",
        changes={"(OSError, HTTPException, ValueError) as error": "(OSError, HTTPException) as error"},
        says="not yet",
        words="and had not said its length, submit failed with JSONDecodeError",
    ),
    dict(
        name="a conflict is an order that was taken before",
        changes={AGAIN: "if error.code == 409:\n            return\n        " + AGAIN},
        says="not yet",
        words="The vendor answered 409, and submit ended without an error",
    ),
    dict(  # only two troubles together show it: an answer that was lost, and a process that ended
        name="a new key after two orders that nobody has answered",
        changes={
            "import keep": "import find, keep",
            OPENS: OPENS + '    vain = int(find(event["Execution"]).get("Vain", 0))\n'
            '    keep(event["Execution"], Vain=vain + 1)\n'
            '    key = callback_id if vain < 2 else f"{callback_id}-{vain // 2}"\n',
            KEY: "key=key",
            "        again =": '        keep(event["Execution"], Vain=vain)\n        again =',
            KEEPS_CHECK: '    keep(event["Execution"], CheckId=check_id, Vain=0)',
        },
        says="not yet",
        words="orders of one execution had different keys",
    ),
    dict(
        name="with what goes wrong in a place of its own",
        text=IN_A_PLACE_OF_ITS_OWN,
    ),
    dict(
        name="reads the refusal's body for its message",
        changes={
            "        again = error.code": "        why = error.read().decode()\n        again = error.code",
            'answered {error.code}."': 'answered {error.code}: {why}"',
        },
        says="not yet",
        words="a 202 and then a 503, submit failed with IncompleteRead",
    ),
]

# -- task 3 ------------------------------------------------------------------------------------------------------------

RAW = '    body = base64.b64decode(body) if event["isBase64Encoded"] else body.encode()\n'
NUMBER = " or not timestamp.isdecimal()"
EXPECTED = 'hmac.new(secret, timestamp.encode() + b"." + body, "sha256").hexdigest()'
COMPARED = "    if not hmac.compare_digest(expected.encode(), signature.encode()):\n        return None\n"
AGE = "abs(time.time() - int(timestamp)) <= MOST_SECONDS"

CAREFUL = """%%writefile signature.py
import base64
import hashlib
import hmac
import os
import time


def signed_body(event):
    try:
        raw = event["body"].encode("utf-8")
        if event.get("isBase64Encoded"):
            raw = base64.b64decode(raw, validate=True)
        sent = float(event["headers"]["x-verirow-timestamp"])
        scheme, _, digest = event["headers"]["x-verirow-signature"].partition("=")
        given = bytes.fromhex(digest)
    except (KeyError, ValueError):
        return None
    mac = hmac.new(os.environ["VENDOR_SECRET"].encode(), digestmod=hashlib.sha256)
    mac.update(event["headers"]["x-verirow-timestamp"].encode())
    mac.update(b".")
    mac.update(raw)
    fresh = -300 <= time.time() - sent <= 300
    if scheme == "v1" and fresh and len(raw) <= 65536 and hmac.compare_digest(mac.digest(), given):
        return raw
"""

TASK_3 = [
    dict(name="the solution"),
    dict(name="all that can go wrong first, then bytes compared", text=CAREFUL),
    dict(
        name="a try around all of it",
        changes={
            RAW: "    try:\n        return check(secret, body, timestamp, signature, event)\n"
            "    except (ValueError, TypeError):\n        return None\n\n\n"
            "def check(secret, body, timestamp, signature, event):\n" + RAW,
            COMPARED: "    if not hmac.compare_digest(expected, signature):\n        return None\n",
        },
    ),
    dict(
        name="blank",
        text="%%writefile signature.py\ndef signed_body(event):\n    return ...\n",
        says="not attempted",
        words="There is no function named",
    ),
    dict(
        name="the prototype",
        text=CELLS["prototype-signature"],
        says="not yet",
        words="A report that API Gateway hands over in base64 was answered with 500 (JSONDecodeError",
    ),
    dict(
        name="a signature that is missing is forgiven",
        changes={
            NUMBER: "",
            COMPARED: COMPARED.replace("if not", "if signature and not"),
            AGE: f"not timestamp or {AGE}",
        },
        says="not yet",
        words="A report without a signature got through",
    ),
    dict(
        name="looks whether there is a signature",
        changes={NUMBER: "", COMPARED: "    if not signature:\n        return None\n", AGE: f"not timestamp or {AGE}"},
        says="not yet",
        words="got through",
    ),
    dict(
        name="compares as much as there is",
        changes={
            NUMBER: "",
            COMPARED: "    if not expected.startswith(signature):\n        return None\n",
            AGE: f"not timestamp or {AGE}",
        },
        says="not yet",
        words="A report without a signature got through",
    ),
    dict(
        name="each signature is good once",
        changes={
            "MOST_BYTES, MOST_SECONDS = ": "SEEN = set()\nMOST_BYTES, MOST_SECONDS = ",
            "    # From here on both are": "    if signature in SEEN:\n        return None\n    SEEN.add(signature)\n"
            "    # From here on both are",
        },
        says="not yet",
        words="sent again after Step Functions had refused the function's call, was answered with 4",
    ),
    dict(
        name="what is no text is left out",
        changes={"base64.b64decode(body) if": 'base64.b64decode(body).decode(errors="ignore").encode() if'},
        says="not yet",
        words="A report to which a byte was added that is no text got through",
    ),
    dict(
        name="any age",
        changes={f"body if {AGE} else None": "body"},
        says="not yet",
        words="sent again after an hour (a replay) got through",
    ),
    dict(
        name="an hour is young enough",
        changes={"64 * 1024, 300": "64 * 1024, 3000"},
        says="not yet",
        words="sent again after 330 seconds (a replay) got through",
    ),
    dict(
        name="looks only into the past",
        changes={AGE: "time.time() - int(timestamp) <= MOST_SECONDS"},
        says="not yet",
        words="A report from an hour in the future got through",
    ),
    dict(
        name="no patience with clocks",
        changes={"64 * 1024, 300": "64 * 1024, 60"},
        says="not yet",
        words="A report that was signed four and a half minutes ago was answered with 401",
    ),
    dict(
        name="signs the body without the timestamp",
        changes={EXPECTED: 'hmac.new(secret, body, "sha256").hexdigest()'},
        says="not yet",
        words="A report as Verirow sends it was answered with 401",
    ),
    dict(
        name="signs what json makes of the body",
        changes={
            "import hmac\n": "import hmac\nimport json\n",
            EXPECTED: 'hmac.new(secret, timestamp.encode() + b"." + again(body), "sha256").hexdigest()',
            "def signed_body": "def again(body):\n    try:\n        return json.dumps(json.loads(body)).encode()\n"
            "    except ValueError:\n        return body\n\n\ndef signed_body",
        },
        says="not yet",
        words="A report as Verirow sends it was answered with 401",
    ),
    dict(
        name="forgets the base64",
        changes={RAW: "    body = body.encode()\n"},
        says="not yet",
        words="A report that API Gateway hands over in base64 was answered with 401",
    ),
    dict(
        name="gives the body as API Gateway hands it over",
        changes={"return body if": 'return event["body"] if'},
        says="not yet",
        words="A report that API Gateway hands over in base64 was answered with 500",
    ),
    dict(
        name="compares text that may not be ASCII",
        changes={COMPARED: COMPARED.replace(".encode()", "")},
        says="not yet",
        words="letters in the signature that are not ASCII was answered with 500",
    ),
    dict(
        name="reads the timestamp before it knows whose it is",
        changes={
            NUMBER: "",
            COMPARED: "    if abs(time.time() - int(timestamp)) > MOST_SECONDS:\n        return None\n" + COMPARED,
        },
        says="not yet",
        words="was answered with 500",
    ),
    dict(
        name="takes it for a number because it is signed",
        changes={NUMBER: ""},
        says="not yet",
        words="moved into the timestamp, which leaves the signature good was answered with 500",
    ),
    dict(
        name="any size",
        changes={"len(body) > MOST_BYTES or ": ""},
        says="not yet",
        words="A report of 70,000 bytes, with a good signature got through",
    ),
    dict(
        name="no room for a report",
        changes={"64 * 1024, 300": "1024, 300"},
        says="not yet",
        words="A report of 65,536 bytes was answered with 401",
    ),
    dict(
        name="a byte too few",
        changes={"len(body) > MOST_BYTES": "len(body) >= MOST_BYTES"},
        says="not yet",
        words="A report of 65,536 bytes was answered with 401",
    ),
    dict(
        name="a kilobyte is a thousand bytes",
        changes={"64 * 1024": "64 * 1000"},
        says="not yet",
        words="A report of 65,536 bytes was answered with 401",
    ),
    dict(
        name="measures what API Gateway hands over",
        changes={"len(body) > MOST_BYTES": 'len(event.get("body", "")) > MOST_BYTES'},
        says="not yet",
        words="A report of 65,536 bytes that API Gateway hands over in base64 was answered with 401",
    ),
    dict(
        name="measures only text",
        changes={"len(body) > MOST_BYTES": '(not event["isBase64Encoded"] and len(body) > MOST_BYTES)'},
        says="not yet",
        words="A report of 65,537 bytes in base64, with a good signature got through",
    ),
    dict(
        name="only ASCII",
        changes={RAW: RAW.replace("body.encode()", 'body.encode("ascii", "ignore")')},
        says="not yet",
        words="A report as Verirow sends it was answered with 401",
    ),
    dict(
        name="strips the body",
        changes={EXPECTED: EXPECTED.replace("body", "body.strip()")},
        says="not yet",
        words="A report to which a blank was added",
    ),
    dict(
        name="compares the first half",
        changes={
            COMPARED: "    if not hmac.compare_digest(expected[:35].encode(), signature[:35].encode()):\n"
            "        return None\n"
        },
        says="not yet",
        words="with all but the last character of its signature got through",
    ),
    dict(
        name="an empty key is as good as the secret",
        changes={
            COMPARED: '    other = "v1=" + hmac.new(b"", timestamp.encode() + b"." + body, '
            '"sha256").hexdigest()\n    if not (hmac.compare_digest(expected.encode(), signature.encode()) or other == '
            "signature):\n        return None\n",
        },
        says="not yet",
        words="got through",
    ),
    dict(
        name="looks only into the future",
        changes={AGE: "int(timestamp) - time.time() <= MOST_SECONDS"},
        says="not yet",
        words="sent again after an hour (a replay) got through",
    ),
    dict(
        name="minutes for seconds",
        changes={AGE: "abs(time.time() - int(timestamp)) // 60 <= MOST_SECONDS // 60"},
        says="not yet",
        words="sent again after 330 seconds (a replay) got through",
    ),
    dict(
        name="raises where nothing is signed",
        changes={'event["headers"].get("x-verirow-signature", "")': 'event["headers"]["x-verirow-signature"]'},
        says="not yet",
        words="was answered with 500 (KeyError: 'x-verirow-signature' in signature.py",
    ),
    dict(
        name="asks for a type of content",
        changes={RAW: '    if event["headers"]["content-type"] != "application/json":\n        return None\n' + RAW},
        says="not yet",
        words="that API Gateway hands over in base64 was answered with 401",
    ),
    dict(
        name="hashlib's name for the hash, and upper case",
        changes={
            EXPECTED: EXPECTED.replace('"sha256"', "hashlib.sha256"),
            "import hmac\n": "import hashlib\nimport hmac\n",
        },
    ),
    dict(
        name="raises nothing, by a net under it all",
        changes={
            NUMBER: "",
            "def signed_body(event):\n": "def signed_body(event):\n    try:\n        return signed(event)\n"
            "    except Exception:\n        return None\n\n\ndef signed(event):\n",
        },
    ),
    dict(
        name="measures the letters of a text",
        changes={"if len(body) >": 'if len(body if event["isBase64Encoded"] else event["body"]) >'},
        says="not yet",
        words="A report of 70,000 bytes in some 35,000 letters, with a good signature got through",
    ),
    dict(
        name="takes the beginning off the signature with lstrip, which takes off more",
        changes={'expected = "v1=" + ': "expected = ", "signature.encode()": 'signature.lstrip("v1=").encode()'},
        says="not yet",
        words="A report whose signature begins with v1=1 was answered with 401",
    ),
    dict(
        name="returns the body as text",
        changes={"return body if": "return body.decode() if"},
        says="not yet",
        words="A report that begins with a byte order mark was answered with",
    ),
    dict(
        name="knows that it is a number, and reads it before it knows whose",
        changes={
            COMPARED: "    if abs(int(time.time()) - int(timestamp)) > MOST_SECONDS:\n        return None\n" + COMPARED,
        },
        says="not yet",
        words="A report with a timestamp of 5,000 digits was answered with 500 (ValueError",
    ),
    # Nobody but the vendor can make what these two take.
    dict(
        name="whatever version the signature is of",
        changes={
            COMPARED: COMPARED.replace("expected.encode()", "expected[3:].encode()").replace(
                "signature.encode()", 'signature.rpartition("=")[2].encode()'
            )
        },
    ),
    dict(
        name="with or without the version before the signature",
        changes={
            COMPARED: COMPARED.replace("expected.encode()", "expected[3:].encode()").replace(
                "signature.encode()", 'signature.removeprefix("v1=").encode()'
            )
        },
    ),
    dict(
        name="takes the signature apart at its equals sign",
        changes={
            COMPARED: '    if "=" not in signature:\n        return None\n    version, given = signature.split("=")\n'
            '    if version != "v1" or not hmac.compare_digest(expected[3:].encode(), given.encode()):\n'
            "        return None\n"
        },
        says="not yet",
        words="more than one equals sign was answered with 500 (ValueError",
    ),
    dict(
        name="reads the signature as hex",
        changes={
            COMPARED: '    given = bytes.fromhex(signature.removeprefix("v1="))\n'
            "    if not hmac.compare_digest(bytes.fromhex(expected[3:]), given):\n        return None\n"
        },
        says="not yet",
        words="was answered with 500 (ValueError",
    ),
    dict(
        name="what begins like a good signature is good",
        changes={COMPARED: "    if not signature or not expected.startswith(signature):\n        return None\n"},
        says="not yet",
        words='A report with the signature "v1=" got through',
    ),
    dict(
        name="the body in lower case",
        changes={EXPECTED: EXPECTED.replace("body", "body.lower()")},
        says="not yet",
        words="A report as Verirow sends it was answered with 401",
    ),
    dict(
        name="compares digests of the signatures, so that the time tells nothing",
        changes={
            COMPARED: "    key = os.urandom(32)\n"
            '    if hmac.digest(key, expected.encode(), "sha256") != hmac.digest(key, signature.encode(), "sha256"):\n'
            "        return None\n"
        },
    ),
    dict(
        name="as a class of its own",
        changes={
            "def signed_body(event):\n": "class Door:\n    def __call__(self, event):\n"
            "        return opened(event)\n\n\nsigned_body = Door()\n\n\ndef opened(event):\n"
        },
    ),
]

# -- task 4 ------------------------------------------------------------------------------------------------------------

SUPPRESS = "    with suppress(stepfunctions.exceptions.TaskTimedOut):  # answered before, or too late\n"
BEAT = "            stepfunctions.send_task_heartbeat(taskToken=token)\n"
FAILURE = (
    "            stepfunctions.send_task_failure("
    'taskToken=token, error="CheckFailed", cause=message["error"]["message"])\n'
)
EARLY_BEAT = "        with suppress(stepfunctions.exceptions.TaskTimedOut):\n" + BEAT
FOR_NOBODY = 'token is None or not message["callback_url"].endswith(f"/{callback_id}")'

STEP_BY_STEP = """%%writefile answer.py
import json

import boto3
from callbacks import token_of

stepfunctions = boto3.client("stepfunctions")


def answer(callback_id, message):
    token = token_of(callback_id)
    if not token:
        return 410
    if message["callback_url"].split("/")[-1] != callback_id:
        return 403
    try:
        tell(token, message)
    except stepfunctions.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "TaskTimedOut":
            print(error)
            return 503
    return 204


def tell(token, message):
    match message["type"]:
        case "check.completed":
            stepfunctions.send_task_success(taskToken=token, output=json.dumps(message["report"], indent=2))
        case "check.failed":
            cause = "{code}: {message}".format(**message["error"])
            stepfunctions.send_task_failure(taskToken=token, error="CheckFailed", cause=cause)
        case "check.progress":
            stepfunctions.send_task_heartbeat(taskToken=token)
"""

TASK_4 = [
    dict(name="the solution"),
    dict(name="step by step, each with a status of its own", text=STEP_BY_STEP),
    dict(
        name="as the lab closes, with one function behind it",
        text=CELLS["closing-url-door"],
        cells=["closing-resume"],
    ),
    dict(
        name="blank",
        text="%%writefile answer.py\ndef answer(callback_id, message):\n    return ...\n",
        says="not attempted",
        words="There is no function named",
    ),
    dict(
        name="500 for what comes again",
        changes={SUPPRESS: "    if token:\n"},
        says="not yet",
        words="A report that came a second time was answered with 500 (TaskTimedOut: Task Timed Out",
    ),
    dict(
        name="409 for what comes again",
        changes={
            SUPPRESS: "    try:\n",
            "\n    return 200": "\n    except stepfunctions.exceptions.TaskTimedOut:\n        return 409\n"
            "    return 200",
        },
        says="not yet",
        words="A report that came a second time was answered with 409.",
    ),
    dict(
        name="200 whatever goes wrong",
        changes={SUPPRESS: "    with suppress(Exception):\n"},
        says="not yet",
        words="While Step Functions refused the function's call (",
    ),
    dict(
        name="400 whatever goes wrong",
        changes={
            "def answer(callback_id, message):\n": "def answer(callback_id, message):\n    try:\n"
            "        return handle(callback_id, message)\n    except Exception:\n        return 400\n\n\n"
            "def handle(callback_id, message):\n"
        },
        says="not yet",
        words="While DynamoDB refused the function's call (",
    ),
    dict(
        name="progress is taken and forgotten",
        changes={BEAT: "            pass\n"},
        says="not yet",
        words="and the execution ended FAILED (States.Timeout",
    ),
    dict(
        name="a failed audit as a success with a bad report",
        changes={FAILURE: "            stepfunctions.send_task_success(taskToken=token, output='{}')\n"},
        says="not yet",
        words="The audit failed, and the execution ended SUCCEEDED",
    ),
    dict(
        name="a failure without its cause",
        changes={', cause=message["error"]["message"]': ""},
        says="not yet",
        words="The vendor said: ",
    ),
    dict(
        name="all of the message as output",
        changes={'json.dumps(message["report"])': "json.dumps(message)"},
        says="not yet",
        words="A report came, and the execution ended SUCCEEDED with the output {'id'",
    ),
    dict(
        name="does not ask whether anybody waits",
        changes={FOR_NOBODY: FOR_NOBODY.removeprefix("token is None or ")},
        says="not yet",
        words="for an address that nobody has was answered with 500",
    ),
    dict(
        name="200 for an address that nobody has",
        changes={f"    if {FOR_NOBODY}": f"    if token is None:\n        return 200\n    if {FOR_NOBODY}"},
        says="not yet",
        words="for an address that nobody has was answered with 200",
    ),
    dict(
        name="any message for any URL",
        changes={FOR_NOBODY: "token is None"},
        says="not yet",
        words="A genuine report about another execution got through",
    ),
    dict(
        name="whatever has a report is one",
        changes={'if message["type"] == "check.completed"': 'if "report" in message'},
        says="not yet",
        words="A message of the type check.annotated came, and the execution ended SUCCEEDED",
    ),
    dict(
        name="what is no end is a heartbeat",
        changes={
            'if message["type"] == "check.progress"': 'if message["type"] not in ("check.completed", "check.failed")'
        },
        says="not yet",
        words="Messages of a type that is not on the vendor's page came again and again",
    ),
    dict(
        name="404 for types that it does not know",
        changes={
            SUPPRESS: '    if message["type"] not in ("check.progress", "check.completed", "check.failed"):\n'
            "        return 404\n" + SUPPRESS
        },
        says="not yet",
        words="A message of the type check.annotated was answered with 404",
    ),
    dict(
        name="the vendor's code as the error",
        changes={'error="CheckFailed"': 'error=message["error"]["code"]'},
        says="not yet",
        words="The audit failed, and the execution ended FAILED (",
    ),
    dict(
        name="the vendor's code as the cause",
        changes={'cause=message["error"]["message"]': 'cause=message["error"]["code"]'},
        says="not yet",
        words="The vendor said: ",
    ),
    dict(
        name="the type that begins with completed",
        changes={'message["type"] == "check.completed"': 'message["type"].startswith("check.completed")'},
        says="not yet",
        words="A message of the type check.completed.v2 came, and the execution ended SUCCEEDED",
    ),
    dict(
        name="this address anywhere in the URL",
        changes={FOR_NOBODY: 'token is None or callback_id not in message["callback_url"]'},
        says="not yet",
        words="A genuine report about a longer URL got through",
    ),
    dict(
        name="this address at the end of the URL, and anything before it",
        changes={FOR_NOBODY: 'token is None or not message["callback_url"].endswith(callback_id)'},
        says="not yet",
        words="A genuine report about a URL with the same end got through",
    ),
    dict(
        name="looks at the URL of reports only",
        changes={
            FOR_NOBODY: 'token is None or ("report" in message and not '
            'message["callback_url"].endswith(f"/{callback_id}"))'
        },
        says="not yet",
        words="A genuine failure about another execution got through",
    ),
    dict(
        name="looks for the URL after it has answered",
        changes={
            f"    if {FOR_NOBODY}:\n        return 404\n": "    if token is None:\n        return 404\n",
            "    return 200": '    return 200 if message["callback_url"].endswith(f"/{callback_id}") else 404',
        },
        says="not yet",
        words="A genuine report about another execution got through",
    ),
    dict(
        name="425: too early, as it were",
        changes={"return 404": "return 429"},
        says="not yet",
        words="was answered with 429, so the vendor sends it again needlessly",
    ),
    dict(
        name="500 for whom nobody waits",
        changes={"return 404": "return 500"},
        says="not yet",
        words="was answered with 500, so the vendor sends it again needlessly",
    ),
    dict(
        name="a redirect for what it has",
        changes={"return 200": "return 303"},
        says="not yet",
        words="A report was answered with 303",
    ),
    dict(
        name="what Step Functions says is final",
        changes={
            SUPPRESS: "    try:\n",
            "\n    return 200": "\n    except stepfunctions.exceptions.TaskTimedOut:\n        pass\n"
            "    except stepfunctions.exceptions.ClientError:\n        return 400\n    return 200",
        },
        says="not yet",
        words="While Step Functions refused the function's call (",
    ),
    dict(
        name="asks whether the execution still waits, by a heartbeat for all",
        changes={SUPPRESS: SUPPRESS + "        stepfunctions.send_task_heartbeat(taskToken=token)\n"},
        says="not yet",
        words="Messages of a type that is not on the vendor's page came again and again",
    ),
    dict(
        name="progress is a success of its own",
        changes={BEAT: "            stepfunctions.send_task_success(taskToken=token, output='{}')\n"},
        says="not yet",
        words="and the execution ended SUCCEEDED",
    ),
    dict(
        name="the report as text in text",
        changes={'json.dumps(message["report"])': 'json.dumps(json.dumps(message["report"]))'},
        says="not yet",
        words="A report came, and the execution ended SUCCEEDED with the output {",
    ),
    dict(
        name="all that it does not want is thrown away in silence",
        changes={"return 404": "return 202"},
        says="not yet",
        words="A genuine report about another execution was answered with 202",
    ),
    dict(
        name="progress counts before it is looked at whom it is for",
        changes={
            f"    if {FOR_NOBODY}:\n": f"    if token and message['type'] == 'check.progress':\n{EARLY_BEAT}"
            f"    if {FOR_NOBODY}:\n"
        },
        says="not yet",
        words="Progress about another execution came again and again. HeartbeatSeconds was ",
    ),
    dict(
        name="progress counts before it is looked at whom it is for, and gets 200",
        changes={
            f"    if {FOR_NOBODY}:\n": f"    if token and message['type'] == 'check.progress':\n{EARLY_BEAT}"
            f"        return 200\n    if {FOR_NOBODY}:\n"
        },
        says="not yet",
        words="rogress about another execution was answered with 200",
    ),
    dict(
        name="403 and 410, with a table of what to call",
        changes={"return 404": "return 410 if token is None else 403"},
    ),
    dict(
        name="an expired token is a final 4xx of its own, once it is known to be over",
        changes={
            SUPPRESS: "    try:\n",
            "\n    return 200": "\n    except stepfunctions.exceptions.ClientError as error:\n"
            "        if error.response['Error']['Code'] != 'TaskTimedOut':\n            raise\n    return 200",
        },
    ),
    dict(
        name="says itself that it is our fault",
        changes={
            "def answer(callback_id, message):\n": "def answer(callback_id, message):\n    try:\n"
            "        return handle(callback_id, message)\n    except Exception as error:\n"
            "        print(type(error))\n        return 503\n\n\n"
            "def handle(callback_id, message):\n"
        },
    ),
    dict(
        name="a message is known before it is passed on",
        changes={
            "def answer": "known = set()\n\n\ndef answer",
            SUPPRESS: '    if message["id"] in known:\n        return 200\n    known.add(message["id"])\n' + SUPPRESS,
        },
        says="not yet",
        words="was answered with 200, and the execution was still running. The report is not lost",
    ),
    dict(
        name="a message is known once it is passed on",
        changes={
            "    return 200": '    known.add(message["id"])\n    return 200',
            "def answer": "known = set()\n\n\ndef answer",
            SUPPRESS: '    if message["id"] in known:\n        return 200\n' + SUPPRESS,
        },
    ),
    dict(
        name="remembers the tokens that it has looked up",
        changes={
            "def answer": "tokens = {}\n\n\ndef answer",
            "    token = token_of(callback_id)\n": "    token = tokens.get(callback_id) or token_of(callback_id)\n"
            "    if token:\n        tokens[callback_id] = token\n",
        },
        says="not yet",
        words="A report, after progress and a retry of the state, came, and the execution was still running",
    ),
    dict(
        name="remembers the tokens that it has looked up, and looks anew where one is closed",
        changes={
            "def answer(callback_id, message):": "tokens = {}\n\n\ndef answer(callback_id, message):\n"
            "    known = tokens.get(callback_id)\n    said = tell(callback_id, message)\n"
            "    if known and said == 410 and token_of(callback_id) != known:\n"
            "        tokens.pop(callback_id, None)\n        said = tell(callback_id, message)\n"
            "    return said if said != 410 else 200\n\n\ndef tell(callback_id, message):",
            "    token = token_of(callback_id)\n": "    token = tokens.get(callback_id) or token_of(callback_id)\n",
            SUPPRESS: "    tokens[callback_id] = token\n    try:\n",
            "    return 200": "    except stepfunctions.exceptions.TaskTimedOut:\n        return 410\n    return 200",
        },
    ),
    dict(  # only two troubles together show it: a report that was refused, and a state that was retried then
        name="remembers the token of a message that it could not pass on",
        changes={
            "def answer(callback_id, message):": "tokens = {}\n\n\ndef answer(callback_id, message):\n"
            "    try:\n        said = tell(callback_id, message)\n    except Exception:\n"
            "        tokens[callback_id] = token_of(callback_id)\n        raise\n"
            "    tokens.pop(callback_id, None)\n    return said\n\n\ndef tell(callback_id, message):",
            "    token = token_of(callback_id)\n": "    token = tokens.get(callback_id) or token_of(callback_id)\n",
        },
        says="not yet",
        words="After the state had been retried, the same report was answered with 200, and after that the execution "
        "was still running",
    ),
    dict(
        name="right, with a callbacks.py that remembers what it has looked up",
        earlier={1: REMEMBERS},
        changes={"return 404": "return 410"},
        says="not yet",
        words="what exercise 1 made, and that is not right yet. In the case of a state that was "
        "retried with a new token, token_of returned the token of the attempt before",
    ),
    dict(
        name="right, with a callbacks.py that keeps tokens in memory",
        earlier={1: IN_MEMORY},
        changes={"return 404": "return 410"},
        says="not yet",
        words="what exercise 1 made, and that is not right yet. token_of was asked about the address "
        "that open_callback had returned, and returned None",
    ),
    dict(
        name="a cause as long as an error's name may be",
        changes={'cause=message["error"]["message"]': 'cause=message["error"]["message"][:256]'},
        says="not yet",
        words="had 500 characters, and the cause has the first 256 of them",
    ),
    dict(
        name="a table of what to call, and no place in it for other types",
        changes={
            SUPPRESS: "    with suppress(stepfunctions.exceptions.TaskTimedOut):\n"
            "        {'check.progress': 1, 'check.completed': 2, 'check.failed': 3}[message['type']]\n"
        },
        says="not yet",
        words="A message of the type check.annotated was answered with 500 (KeyError: 'check.annotated' in answer.py",
    ),
    dict(
        name="a slip of the pen",
        changes={'message["report"]': 'message["reports"]'},
        says="not yet",
        words="A report was answered with 500 (KeyError: 'reports' in answer.py, line",
    ),
    dict(
        name="a permission that is missing is final",
        changes={
            SUPPRESS: "    try:\n",
            "\n    return 200": "\n    except stepfunctions.exceptions.TaskTimedOut:\n        pass\n"
            "    except stepfunctions.exceptions.ClientError as error:\n"
            '        if error.response["Error"]["Code"] == "AccessDeniedException":\n            return 403\n'
            "        raise\n    return 200",
        },
        says="not yet",
        words="(AccessDeniedException), a report was answered with 403, so the vendor does not send it again",
    ),
    dict(
        name="429 for whatever goes wrong at Step Functions",
        changes={
            SUPPRESS: "    try:\n",
            "\n    return 200": "\n    except stepfunctions.exceptions.TaskTimedOut:\n        pass\n"
            "    except stepfunctions.exceptions.ClientError:\n        return 429\n    return 200",
        },
        says="not yet",
        words="a report was answered with 429. When anything is wrong on our side",
    ),
    dict(
        name="whatever Step Functions says, it has it",
        changes={SUPPRESS: "    with suppress(stepfunctions.exceptions.ClientError):\n"},
        says="not yet",
        words="While Step Functions refused the function's call (",
    ),
    dict(
        name="compares the whole URL",
        changes={
            FOR_NOBODY: 'token is None or message["callback_url"] != f"{os.environ[\'CALLBACKS\']}/{callback_id}"',
            "import json\n": "import json\nimport os\n",
        },
    ),
    dict(
        name="the error as JSON in the cause",
        changes={'cause=message["error"]["message"]': 'cause=json.dumps(message["error"])'},
        says="not yet",
        words="The vendor said: ",
    ),
    dict(
        name="a failure is no end, until it comes a second time",
        changes={
            "def answer": "failed = set()\n\n\ndef answer",
            FAILURE: "            if token in failed:\n    " + FAILURE + "            failed.add(token)\n",
        },
        says="not yet",
        words="The news that the audit failed came, and the execution was still running",
    ),
    dict(
        name="as a class, with a method for each type",
        changes={
            SUPPRESS: "    with suppress(stepfunctions.exceptions.TaskTimedOut):\n"
            '        getattr(Told(token, message), message["type"].replace(".", "_"), print)()\n    return 200\n\n\n'
            "class Told:\n    def __init__(self, token, message):\n"
            "        self.token, self.message = token, message\n\n"
            "    def check_progress(self):\n        stepfunctions.send_task_heartbeat(taskToken=self.token)\n\n"
            "    def check_completed(self):\n        report = json.dumps(self.message['report'], ensure_ascii=False)\n"
            "        stepfunctions.send_task_success(taskToken=self.token, output=report)\n\n"
            "    def check_failed(self):\n        cause = self.message['error']['message']\n        "
            "stepfunctions.send_task_failure(taskToken=self.token, error='CheckFailed', cause=cause)\n\n\n"
            "def former(token, message):\n    if True:\n",
        },
    ),
]

# -- task 5 ------------------------------------------------------------------------------------------------------------

BEATS = '    "HeartbeatSeconds": "{% $states.context.Execution.Input.HeartbeatSeconds %}",\n'
ENDS = '    "TimeoutSeconds": "{% $states.context.Execution.Input.TimeoutSeconds %}",\n'
ASKS = '    {"ErrorEquals": ["States.Timeout"], "Next": "Ask"},\n'
TELLS = '    {"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput %}", "Next": "Not checked"},\n'
ON = 'waits_on = "{% " + seconds + " < $states.context.Execution.Input.TimeoutSeconds %}"'

TASK_5 = [
    dict(name="the solution"),
    dict(
        name="other errors are not caught, and end it by themselves",
        changes={TELLS: "", ON: 'waits_on = "{% $states.context.Execution.Input.TimeoutSeconds > " + seconds + " %}"'},
    ),
    dict(
        name="both kinds of timeout by name, in time only if running or unknown",
        changes={
            '["States.Timeout"]': '["States.HeartbeatTimeout", "States.Timeout"]',
            ON: "waits_on = \"{% $states.input.status in ['running', 'unknown'] and \" + seconds + "
            '" < $states.context.Execution.Input.TimeoutSeconds %}"',
        },
    ),
    dict(
        name="blank",
        text='seconds = "1"\nlimits = {"HeartbeatSeconds": ..., "TimeoutSeconds": ...}\ncatch = ...\nwaits_on = ...\n',
        says="not attempted",
        words="There is no state machine named",
    ),
    dict(
        name="no heartbeat",
        changes={BEATS: ""},
        says="not yet",
        words="a vendor that had its report after a second, and never called was still running",
    ),
    dict(
        name="no limit for the whole",
        changes={ENDS: ""},
        says="not yet",
        words="The execution of a vendor that worked on and on, and sent progress was still running",
    ),
    dict(
        name="asks about heartbeats only",
        changes={'["States.Timeout"]': '["States.HeartbeatTimeout"]'},
        says="not yet",
        words="without asking",
    ),
    dict(
        name="a timeout is taken for a failure of the task",
        changes={'["States.Timeout"]': '["States.TaskFailed"]', TELLS: ""},
        says="not yet",
        words="The execution of a vendor that refused the order",
    ),
    dict(
        name="gives up without asking",
        changes={'"Next": "Ask"': '"Next": "Gave up"'},
        says="not yet",
        words='State "Ask" is not reachable',
    ),
    dict(
        name="the general Catcher first",
        changes={ASKS + TELLS: TELLS + ASKS},
        says="not yet",
        words="'States.ALL' must appear alone",
    ),
    dict(
        name="asks whatever went wrong",
        changes={ASKS + TELLS: '    {"ErrorEquals": ["States.ALL"], "Next": "Ask"},\n'},
        says="not yet",
        words="The execution of a vendor that refused the order was still running",
    ),
    dict(
        name="asks once, and gives up when there is no result",
        changes={ON: 'waits_on = "{% false %}"'},
        says="not yet",
        words="in silence ended FAILED (NoReport",
    ),
    dict(
        name="waits on for ever",
        changes={ON: 'waits_on = "{% true %}"'},
        says="not yet",
        words="The execution of a vendor that worked on and on in silence was still running",
    ),
    dict(
        name="the heartbeat is the limit for the whole stay",
        changes={BEATS + ENDS: ENDS.replace("Input.TimeoutSeconds", "Input.HeartbeatSeconds")},
        says="not yet",
        words="While there are signs of life, it asks nobody",
    ),
    dict(
        name="the limits in each other's place",
        changes={
            BEATS: BEATS.replace("Input.Heartbeat", "Input.Timeout"),
            ENDS: ENDS.replace("Input.Timeout", "Input.Heartbeat"),
        },
        says="not yet",
        words="HeartbeatSeconds",
    ),
    dict(
        name="a heartbeat of three seconds, whatever the input says",
        changes={BEATS: '    "HeartbeatSeconds": 3,\n'},
        says="not yet",
        words="HeartbeatSeconds was",
    ),
    dict(
        name="five seconds in all, whatever the input says",
        changes={ENDS: '    "TimeoutSeconds": 5,\n'},
        says="not yet",
        words="and it had asked",
    ),
    dict(
        name="waits on only for what is running",
        changes={
            ON: "waits_on = \"{% $states.input.status = 'running' and \" + seconds + "
            '" < $states.context.Execution.Input.TimeoutSeconds %}"'
        },
        says="not yet",
        words="The execution of a vendor that did not answer the first question ended FAILED (NoReport",
    ),
    dict(
        name="waits on only where there was no answer",
        changes={
            ON: "waits_on = \"{% $states.input.status = 'unknown' and \" + seconds + "
            '" < $states.context.Execution.Input.TimeoutSeconds %}"'
        },
        says="not yet",
        words="in silence ended FAILED (NoReport",
    ),
    dict(
        name="milliseconds for seconds",
        changes={ON: ON.replace("seconds +", "seconds + ' * 1000' +")},
        says="not yet",
        words="ended FAILED (NoReport",
    ),
    dict(
        name="gives up at half the time",
        changes={ON: ON.replace("TimeoutSeconds", "TimeoutSeconds / 2")},
        says="not yet",
        words="seconds.",
    ),
    dict(
        name="waits on after the time is over",
        changes={ON: ON.replace("TimeoutSeconds", "TimeoutSeconds * 100")},
        says="not yet",
        words="The execution of a vendor that worked on and on in silence was still running",
    ),
    dict(
        name="the error without its name",
        changes={
            TELLS: TELLS.replace("$states.errorOutput", "{'Error': 'Failed', 'Cause': $states.errorOutput.Cause}")
        },
        says="not yet",
        words="The execution of a vendor that refused the order ended FAILED (Failed",
    ),
    dict(
        name="the error without its cause",
        changes={
            TELLS: TELLS.replace("$states.errorOutput", "{'Error': $states.errorOutput.Error, 'Cause': 'it failed'}")
        },
        says="not yet",
        words="The vendor said: ",
    ),
    dict(
        name="what the vendor refuses is checked",
        changes={TELLS: TELLS.replace('"Next": "Not checked"', '"Next": "Checked"')},
        says="not yet",
        words="The execution of a vendor that refused the order ended SUCCEEDED",
    ),
    dict(
        name="the bound by the numbers of seconds, the other way round",
        changes={ON: 'waits_on = "{% $not(" + seconds + " >= $states.context.Execution.Input.TimeoutSeconds) %}"'},
    ),
    dict(
        name="errors by name",
        changes={
            TELLS: TELLS.replace('"States.ALL"', '"CheckFailed", "VendorRefused", "VendorUnavailable"'),
        },
    ),
    dict(
        name="heartbeats first, then the rest of the timeouts",
        changes={
            ASKS: '    {"ErrorEquals": ["States.HeartbeatTimeout"], "Next": "Ask"},\n' + ASKS,
        },
    ),
    dict(
        name="gives up where there is no time for another silence",
        changes={ON: ON.replace('" < ', '" + $states.context.Execution.Input.HeartbeatSeconds < ')},
        says="not yet",
        words="worked on and on in silence ended FAILED (NoReport",
    ),
    dict(
        name="goes on for one more silence after its time is over",
        changes={ON: ON.replace("TimeoutSeconds", "TimeoutSeconds + $states.context.Execution.Input.HeartbeatSeconds")},
        says="not yet",
        words="worked on and on in silence had asked, there was no result, and it went back to Check after ",
    ),
    dict(
        name="counts from when it came to decide, in whole seconds",
        changes={
            ON: ON.replace(
                '" + seconds + "',
                "$floor(($toMillis($states.context.State.EnteredTime) - "
                "$toMillis($states.context.Execution.StartTime)) / 1000)",
            )
        },
    ),
    dict(
        name="goes on while the clock says that there is time left",
        changes={
            ON: ON.replace(
                '" + seconds + "', "$toMillis($now()) - $toMillis($states.context.Execution.StartTime)"
            ).replace("Input.TimeoutSeconds", "Input.TimeoutSeconds * 1000")
        },
    ),
    dict(
        name="half of the heartbeat",
        changes={
            BEATS: BEATS.replace(
                "{% $states.context.Execution.Input.HeartbeatSeconds %}",
                "{% $floor($states.context.Execution.Input.HeartbeatSeconds / 2) %}",
            )
        },
        says="not yet",
        words="asked after 1.",
    ),
    dict(
        name="twice the heartbeat",
        changes={BEATS: BEATS.replace("HeartbeatSeconds %}", "HeartbeatSeconds * 2 %}")},
        says="not yet",
        words="The execution of a vendor that had its report after a second, and never called",
    ),
    dict(
        name="twice the time",
        changes={ENDS: ENDS.replace("TimeoutSeconds %}", "TimeoutSeconds * 2 %}")},
        says="not yet",
        words="The execution of a vendor that worked on and on, and sent progress stayed in Check for 14.",
    ),
    dict(
        name="half of the time for each stay",
        changes={
            ENDS: ENDS.replace(
                "$states.context.Execution.Input.TimeoutSeconds",
                "$ceil($states.context.Execution.Input.TimeoutSeconds / 2)",
            )
        },
        says="not yet",
        words="A stay in Check had timeoutInSeconds 300",
    ),
    dict(
        name="half a minute for each stay at most",
        changes={
            ENDS: ENDS.replace(
                "{% $states.context.Execution.Input.TimeoutSeconds %}",
                "{% $min([$states.context.Execution.Input.TimeoutSeconds, 30]) %}",
            )
        },
        says="not yet",
        words="A stay in Check had timeoutInSeconds 30: it would have asked after 30 s, whatever signs of life came",
    ),
    dict(
        name="seven seconds for each stay, whatever the input says",
        changes={ENDS: '    "TimeoutSeconds": 7,\n'},
        says="not yet",
        words="A stay in Check had timeoutInSeconds 7",
    ),
    dict(
        name="ten seconds of silence at most",
        changes={
            BEATS: BEATS.replace(
                "{% $states.context.Execution.Input.HeartbeatSeconds %}",
                "{% $min([$states.context.Execution.Input.HeartbeatSeconds, 10]) %}",
            )
        },
        says="not yet",
        words="A stay in Check had heartbeatInSeconds 10: it would have asked after 10 s of silence",
    ),
    dict(  # only after a question that had no answer, and with few signs of life
        name="the silence counts from the start of the execution",
        changes={
            BEATS: '    "HeartbeatSeconds": "{% $max([1, $ceil($states.context.Execution.Input.HeartbeatSeconds - "\n'
            '    + seconds + ")]) %}",\n',
        },
        says="not yet",
        words="did not answer the first question, and then sent progress and the end ended",
    ),
    dict(
        name="each stay gets what is left of the whole",
        changes={
            ENDS: '    "TimeoutSeconds": "{% $max([1, $ceil($states.context.Execution.Input.TimeoutSeconds - "\n'
            '    + seconds + ")]) %}",\n',
            BEATS: '    "HeartbeatSeconds": "{% $max([1, $min([$states.context.Execution.Input.HeartbeatSeconds, "\n'
            '    "$ceil($states.context.Execution.Input.TimeoutSeconds - " + seconds + ") - 1])]) %}",\n',
        },
    ),
    dict(
        name="right, with a submit.py that does not keep the vendor's check_id",
        earlier={2: {'keep(event["Execution"], CheckId=check_id)': "print(check_id)"}},
        changes={},
        says="not yet",
        words="what exercise 2 made, and that is not right yet. In the case of a vendor that took the order",
    ),
    dict(
        name="right, with a submit.py that tries again whatever it is",
        earlier={2: {"(VendorUnavailable if again else VendorRefused)": "VendorUnavailable"}},
        changes={},
        says="not yet",
        words="what exercise 2 made, and that is not right yet. The vendor answered 4",
    ),
    dict(
        name="right, with an answer.py that takes progress and forgets it",
        earlier={4: {BEAT: "            pass\n"}},
        changes={},
        says="not yet",
        words="what exercise 4 made, and that is not right yet. The vendor sent progress again and again",
    ),
    dict(
        name="right, with an answer.py that fails at reports",
        earlier={4: {'message["report"]': 'message["reports"]'}},
        changes={},
        says="not yet",
        words="what exercise 4 made, and that is not right yet. A report was answered with 500",
    ),
    dict(
        name="silence is success",
        changes={ASKS: ASKS.replace('"Ask"', '"Checked"') + ASKS.replace("States.Timeout", "Nothing")},
        says="not yet",
        words="worked on and on in silence ended SUCCEEDED",
    ),
]

ANSWERS = {1: TASK_1, 2: TASK_2, 3: TASK_3, 4: TASK_4, 5: TASK_5}
