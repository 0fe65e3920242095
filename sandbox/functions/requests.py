"""The request that is being served: its id, and the function whose handler sent it.

Both are context variables: what a request sets off (an execution, a delivery, an invocation) inherits them.
"""

import contextvars

from . import credentials

# The id that the answer will carry.
request_id = contextvars.ContextVar("request_id", default=None)

# The environment whose handler sent the request, None where nobody's did.
caller = contextvars.ContextVar("caller", default=None)


def install():
    """Note both for each request that MiniStack dispatches to a service."""
    from ministack import app
    from ministack.core.router import extract_access_key_id

    dispatch = app._dispatch_service_request

    async def dispatch_noted(method, path, headers, body, query_params, identity):
        request_id.set(identity)
        caller.set(credentials.environment_of(extract_access_key_id(headers, query_params)))
        return await dispatch(method, path, headers, body, query_params, identity)

    app._dispatch_service_request = dispatch_noted
