"""The local AWS that the workshop runs against: one process, one loopback port, plain boto3 against it."""
