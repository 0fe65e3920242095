"""Does DurableFunctionCloudTestRunner.run start a function again that takes longer than botocore's read timeout?

A server on this machine stands for Lambda. It keeps each invocation waiting. So as not to take minutes, botocore's
default of 60 s is set to one second: how often a request is sent does not depend on that.
"""

import http.server
import os
import sys
import threading

import botocore.config
from aws_durable_execution_sdk_python_testing import DurableFunctionCloudTestRunner

starts, over = [], threading.Event()


class Lambda(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        starts.append(self.path)
        over.wait()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Lambda)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ.update(AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none")
botocore.config.Config.OPTION_DEFAULTS["read_timeout"] = 1

endpoint = f"http://127.0.0.1:{server.server_port}"
runner = DurableFunctionCloudTestRunner("slow:1", region="us-east-1", lambda_endpoint=endpoint)
try:
    runner.run({"a": "test"}, timeout=600)
except Exception as error:
    print(f"run() ended with {type(error).__name__}.")
over.set()
print(f"The function was invoked {len(starts)} times by one call of run().")
sys.exit(len(starts) != 1)
