"""The local AWS that the workshop runs against: one process, one loopback port, plain boto3 against it."""

ACCOUNT = "111122223333"  # one of those that AWS's documentation uses
REGION = "us-east-1"
