"""The logger and the metrics that all functions share; one service name, so that one query finds them all."""

import os

from aws_lambda_powertools import Logger, Metrics

logger = Logger(service="opdex")
# The template gives each stack a namespace of its own.
metrics = Metrics(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "Opdex"), service="opdex")
