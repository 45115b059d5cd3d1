"""The logger and the metrics that all functions share; one service name, so that one query finds them all."""

import os
import warnings

from aws_lambda_powertools import Logger, Metrics

# An invocation that found nothing to do is no reason for a line on standard error.
warnings.filterwarnings("ignore", "No application metrics to publish")

logger = Logger(service="opdex")
# The template gives each stack a namespace of its own.
metrics = Metrics(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "Opdex"), service="opdex")
