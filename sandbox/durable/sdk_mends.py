"""A script that runs first in the process of a durable handler: it mends the SDK 3.0.0 there, once that is imported.

- The SDK puts aside an operation of more than 768,000 bytes until there is a batch that it fits into. There is none,
  and its handler waits for ever. Here such an operation is sent alone, as the SDK's comments say, so that the service
  can take it or refuse it.
- At the end of each invocation the SDK waits until its thread for checkpoints looks whether it should end, which it
  does every 100 ms. Here it is woken.

A function that brings another version of the SDK has it as it is.
"""

import importlib.abc
import importlib.machinery
import queue
import sys

_MODULE = "aws_durable_execution_sdk_python.state"
_VERSION = "3.0.0"


def _mend(module):
    from aws_durable_execution_sdk_python.__about__ import __version__

    if __version__ != _VERSION:
        return
    state = module.ExecutionState
    stop = state.stop_checkpointing

    def drain_overflow(self, batch):
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

    def stop_checkpointing(self):
        stop(self)
        self._checkpoint_queue.put(module._Signal.REFRESH_WAKE)

    state._drain_overflow = drain_overflow
    state.stop_checkpointing = stop_checkpointing


class _Mending(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != _MODULE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None:
            load = spec.loader.exec_module

            def exec_module(module):
                load(module)
                _mend(module)

            spec.loader.exec_module = exec_module
        return spec


if _MODULE in sys.modules:  # in a fork
    _mend(sys.modules[_MODULE])
else:
    sys.meta_path.insert(0, _Mending())
