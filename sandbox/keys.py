"""One key opens the account: the learner's own.

MiniStack takes an empty key, `test` and any twelve digits for the account's root, and does not check what they signed.
Here root is the one random key that this sandbox was started with, and its signature is verified as any other's.
"""

import os


def install():
    from ministack.core import iam_evaluator

    own = os.environ["AWS_ACCESS_KEY_ID"]
    iam_evaluator.is_root_access_key = lambda access_key_id: access_key_id == own
    # MiniStack asks this one only to decide whether to skip the verification of a signature.
    iam_evaluator._is_root_key = lambda access_key_id: False


def reset():
    """Nothing is kept."""
