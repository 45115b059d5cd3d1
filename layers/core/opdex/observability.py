"""The logger, metrics and tracer that all functions share; one service name, so that one query finds them all."""

from aws_lambda_powertools import Logger, Metrics

logger = Logger(service="opdex")
metrics = Metrics(namespace="Opdex", service="opdex")
