"""Asks several vendors for an offer and takes the first one, if it comes in time."""

import outside
from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import CompletionConfig, Duration, ParallelConfig, WaitForCallbackConfig
from aws_durable_execution_sdk_python.serdes import JsonSerDes


class NoOffer(Exception):
    """None has come in time."""


@durable_execution
def lambda_handler(event, context):
    table = event["Table"]

    def asking(vendor):
        def ask(child):
            config = WaitForCallbackConfig(serdes=JsonSerDes())
            submit = lambda callback_id, _: outside.ask(vendor, table, callback_id)  # noqa: E731
            return {"Vendor": vendor, "Offer": child.wait_for_callback(submit, name=vendor, config=config)}

        return ask

    def deadline(child):
        child.wait(Duration.from_seconds(event["Seconds"]), name="deadline")

    branches = [*map(asking, event["Vendors"]), deadline]
    config = ParallelConfig(completion_config=CompletionConfig.first_successful())
    first = context.parallel(branches, name="first offer", config=config).get_results()[0]
    if first is None:
        raise NoOffer(f"None of {len(event['Vendors'])} vendors has answered.")
    context.step(lambda _: outside.accept(first["Vendor"], table), name="accept")
    return first
