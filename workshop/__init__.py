"""What a notebook of the workshop can say.

    %load_ext workshop          starts or finds the sandbox and points the notebook's AWS calls at it
    from workshop import ...    the names below; each lives in the module of this folder that it is imported from

What a lesson is about (state machines, handlers, event patterns) stands in the notebook; here is only what would
distract from it.
"""

from workshop import deploy, faults, vendor
from workshop.costs.prices import durable_price, price
from workshop.events import fault, rule
from workshop.executions import History, wait
from workshop.extension import load_ipython_extension
from workshop.faults import needs_sandbox
from workshop.handed_over import hand_over
from workshop.http_apis import http_api
from workshop.labs import Lab
from workshop.logs import log
from workshop.measurements import recall, record
from workshop.migrations import migration
from workshop.pictures import draw, timeline
from workshop.predictions import prediction
from workshop.replays import Replay
from workshop.scratch import work_in_folder_of
from workshop.watching import watch

__all__ = [
    "History",
    "Lab",
    "Replay",
    "deploy",
    "draw",
    "durable_price",
    "fault",
    "faults",
    "hand_over",
    "http_api",
    "load_ipython_extension",
    "log",
    "migration",
    "needs_sandbox",
    "prediction",
    "price",
    "recall",
    "record",
    "rule",
    "timeline",
    "vendor",
    "wait",
    "watch",
    "work_in_folder_of",
]
