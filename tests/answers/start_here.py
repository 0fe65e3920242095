"""Answers to the toy exercise of lesson 00, right and wrong; see `answers/polling_loop.py`.

code: run as the learner's cell, with `boto3` and the `table` that the set-up made.
"""

PUT = 'boto3.client("dynamodb").put_item(TableName=table, Item={})'

ANSWERS = {
    1: [
        dict(name="put_item", code=PUT.format('{"iata": {"S": "ZRH"}, "city": {"S": "Zurich"}}')),
        dict(
            name="the resource interface, with more attributes",
            code='airports = boto3.resource("dynamodb").Table(table)\n'
            'airports.put_item(Item={"iata": "JFK", "city": "New York", "runways": 4})',
        ),
        dict(
            name="update_item",
            code='boto3.client("dynamodb").update_item(TableName=table, Key={"iata": {"S": "ORD"}}, '
            'UpdateExpression="SET city = :city", ExpressionAttributeValues={":city": {"S": "Chicago"}})',
        ),
        dict(
            name="a batch, one of them wrong",
            code='batch = [{"iata": "zrh", "city": "Zurich"}, {"iata": "OSL", "city": "Oslo"}]\n'
            'with boto3.resource("dynamodb").Table(table).batch_writer() as writer:\n'
            "    for item in batch:\n"
            "        writer.put_item(Item=item)",
        ),
        dict(name="nothing yet", code="", says="not attempted", words="is empty"),
        dict(
            name="the table deleted",
            code='boto3.client("dynamodb").delete_table(TableName=table)',
            says="not attempted",
            words="There is no table named",
        ),
        dict(
            name="read in place of written",
            code='boto3.client("dynamodb").get_item(TableName=table, Key={"iata": {"S": "ZRH"}})',
            says="not attempted",
            words="is empty",
        ),
        dict(
            name="the code in small letters",
            code=PUT.format('{"iata": {"S": "zrh"}, "city": {"S": "Zurich"}}'),
            says="not yet",
            words="three capital letters",
        ),
        dict(
            name="the four-letter code of air traffic control",
            code=PUT.format('{"iata": {"S": "KJFK"}, "city": {"S": "New York"}}'),
            says="not yet",
            words="'KJFK'",
        ),
        dict(name="only the key", code=PUT.format('{"iata": {"S": "ZRH"}}'), says="not yet", words="no attribute city"),
        dict(
            name="the attribute's name in capitals",
            code=PUT.format('{"iata": {"S": "ZRH"}, "City": {"S": "Zurich"}}'),
            says="not yet",
            words="no attribute city",
        ),
        dict(
            name="the city as a number",
            code=PUT.format('{"iata": {"S": "ZRH"}, "city": {"N": "8058"}}'),
            says="not yet",
            words="not a text",
        ),
        dict(
            name="an empty city",
            code=PUT.format('{"iata": {"S": "ZRH"}, "city": {"S": ""}}'),
            says="not yet",
            words="is empty.",
        ),
    ]
}
