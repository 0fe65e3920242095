"""`my_hours = prediction(...)`: what a reader of a lesson expects, before the next cell shows it."""


class _Nothing:
    """Stands where nothing has been predicted; a notebook runs through all the same."""

    def __repr__(self):
        return "nothing yet"


NOTHING = _Nothing()


def prediction(*values):
    """What was predicted, as it was written: the value, or several as a tuple; also a list or a dict of values.

    In the place of each `...` stands NOTHING, which a cell can print; and this cell says that it is still blank.
    """
    written = [_written(value) for value in values]
    if "nothing yet" in repr(written):
        print("You have predicted nothing yet. Write it in place of the dots, and run this cell again.")
    return written[0] if len(written) == 1 else tuple(written)


def _written(value):
    if isinstance(value, list):
        return [_written(each) for each in value]
    if isinstance(value, dict):
        return {key: _written(each) for key, each in value.items()}
    return NOTHING if value is ... else value
