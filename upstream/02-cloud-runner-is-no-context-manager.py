"""Can DurableFunctionCloudTestRunner be used in a `with`, as the example in its docstring does?"""

import os
import sys

from aws_durable_execution_sdk_python_testing import DurableFunctionCloudTestRunner

os.environ.update(AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none")
runner = DurableFunctionCloudTestRunner("any:1", region="us-east-1")
shown = "with runner:" in (DurableFunctionCloudTestRunner.__doc__ or "")
try:
    with runner:
        pass
except (TypeError, AttributeError) as error:
    print(f"{type(error).__name__}: {error}")
    print("Its docstring shows it in a `with`." if shown else "Its docstring does not show it in a `with`.")
    sys.exit(1)
print("It can.")
