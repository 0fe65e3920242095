"""Tell who waits how the migration ended, as DMS says it now."""

from dms_task import MigrationFailed, describe, outcome, under_way
from tell import tell
from waiting import forget


def answer(item):
    """Whether its migration is still under way. If not, whoever waits for it has been told."""
    arn, task = item["Id"], describe(item["Id"])
    if under_way(task):
        return True
    if task["Started"] != item["StartedBefore"]:  # else it is the end of the run before
        try:
            tell(item["CallbackId"], success=outcome(arn, task))
        except MigrationFailed as why:
            tell(item["CallbackId"], failure=("MigrationFailed", str(why)))
        forget(item)
    return False
