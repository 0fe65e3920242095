"""What Python runs first in the process of a durable handler: mends the SDK there, once it is imported.

The SDK 3.0.0 puts aside an operation of more than 768,000 bytes until there is a batch that it fits into, and there is
none; its handler waits for ever. Here such an operation is sent alone, as its comments say it should be, so that the
service can take it or refuse it.
"""

import importlib.abc
import importlib.machinery
import queue
import sys

_MODULE = "aws_durable_execution_sdk_python.state"


def _drain_overflow(self, batch):
    """Take operations left over from earlier batches, oldest first; the first of a batch whatever its size."""
    try:
        while not batch.is_full():
            operation = self._overflow_queue.get_nowait()
            size = self._calculate_operation_size(operation)
            if not batch.is_empty() and not batch.fits(size):
                self._overflow_queue.put(operation)
                break
            batch.add(operation, size)
    except queue.Empty:
        pass


class _Mending(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != _MODULE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None:
            load = spec.loader.exec_module

            def exec_module(module):
                load(module)
                module.ExecutionState._drain_overflow = _drain_overflow

            spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, _Mending())
