"""Checks documents for AWS against the descriptions of requests that its own client has, and runs the imports on a server here.

    aws_requests.py ENDPOINT BUCKET  < {"shapes": [[SERVICE, OPERATION, PARAMETERS]], "imports": [PARAMETERS]}

Prints the number of items that each import brought, as a JSON list.
"""

import json
import sys
import time

import boto3
from botocore.validate import ParamValidator


def client(service, endpoint):
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")


def main():
    endpoint = sys.argv[1]
    asked = json.load(sys.stdin)
    for service, operation, parameters in asked["shapes"]:
        model = client(service, endpoint).meta.service_model.operation_model(operation)
        found = ParamValidator().validate(parameters, model.input_shape)
        if found.has_errors():
            sys.exit(f"{service} {operation}: {found.generate_report()}")
    dynamodb = client("dynamodb", endpoint)
    counts = []
    for parameters in asked["imports"]:
        begun = dynamodb.import_table(**parameters)["ImportTableDescription"]
        for _ in range(600):
            begun = dynamodb.describe_import(ImportArn=begun["ImportArn"])["ImportTableDescription"]
            if begun["ImportStatus"] != "IN_PROGRESS":
                break
            time.sleep(0.1)
        if begun["ImportStatus"] != "COMPLETED":
            sys.exit(f"{parameters}: {begun}")
        name = parameters["TableCreationParameters"]["TableName"]
        pages = dynamodb.get_paginator("scan").paginate(TableName=name)
        counts.append(sum(len(page["Items"]) for page in pages))
    print(json.dumps(counts))


main()
