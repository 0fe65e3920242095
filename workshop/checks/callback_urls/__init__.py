"""Lab 03: wait for a vendor that calls a URL. Each exercise has a module of its own.

The part of such a URL that is an execution's own is its *address*. What the vendor makes of a table is an *audit*.
What the cases play with stands in `workshop/checking/`: `submitting` (executions for which `submit` is invoked),
`attacks` and `messages` (what is sent to their URLs), `vendors`, and `stories` (two troubles, one after the other).
"""

from workshop.checks.callback_urls.addresses import Address
from workshop.checks.callback_urls.answers import Answer
from workshop.checks.callback_urls.orders import OrderOnce
from workshop.checks.callback_urls.signatures import Signature
from workshop.checks.callback_urls.silence import NeverCalls

EXERCISES = {1: Address(), 2: OrderOnce(), 3: Signature(), 4: Answer(), 5: NeverCalls()}
