"""botocore's models of AWS's services, loaded once for all of the sandbox."""

import functools
import threading

_lock = threading.Lock()  # to make a client changes the session


@functools.cache
def _session():
    # Here, and not at the top: the sandbox is ready before botocore is loaded.
    import botocore.session

    return botocore.session.get_session()


def of(service: str):
    """The ServiceModel of a service by botocore's name for it. Raises botocore.exceptions.UnknownServiceError."""
    with _lock:
        return _session().get_service_model(service)


def client(service: str, **options):
    """A client of a service. options: as botocore.session.Session.create_client takes them.

    Clients of one session share the models, which are tens of megabytes as Python holds them.
    """
    with _lock:
        return _session().create_client(service, **options)
