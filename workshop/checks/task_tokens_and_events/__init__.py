"""Lab 02: wait for a migration with a task token, and let DMS's own event end the wait.

Who waits stands in the table `waiting`, an item for each: ReplicationTaskArn (its key), TaskToken, Execution (ARN),
CreatedAt and ExpiresAt (seconds since 1970), StartedBefore (the StartDate of the task's run before this one, as text;
"" where it never ran).

Each exercise has a module of its own, and beside it how its cases play: `start.py` judges, `start_scenes.py` plays.
"""

from workshop.checks.task_tokens_and_events.decide import Decide
from workshop.checks.task_tokens_and_events.migrate import Migrate
from workshop.checks.task_tokens_and_events.reconcile import Reconcile
from workshop.checks.task_tokens_and_events.resume import Resume
from workshop.checks.task_tokens_and_events.rule import Rule
from workshop.checks.task_tokens_and_events.start import Start

EXERCISES = {1: Start(), 2: Migrate(), 3: Rule(), 4: Resume(), 5: Reconcile(), 6: Decide()}
