"""Does a text of JSON reach a handler in the same form from both runners?

A server on this machine stands for Lambda. It keeps what the cloud runner sends.
"""

import http.server
import json
import logging
import os
import sys
import threading

from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python_testing import DurableFunctionCloudTestRunner, DurableFunctionTestRunner

TEXT = '{"Table": "airports"}'

logging.disable()
events = {}


class Lambda(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        events["cloud"] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(202)
        self.end_headers()

    def log_message(self, *_):
        pass


@durable_execution
def handler(event, context):
    events["local"] = event


with DurableFunctionTestRunner(handler) as runner:
    runner.run(TEXT)

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Lambda)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ.update(AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none")
endpoint = f"http://127.0.0.1:{server.server_port}"
DurableFunctionCloudTestRunner("any:1", region="us-east-1", lambda_endpoint=endpoint).run_async(TEXT)

for runner, event in events.items():
    print(f"{runner}: the handler gets {event!r}.")
sys.exit(events["local"] != events["cloud"])
