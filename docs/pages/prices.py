"""AWS's list prices in us-east-1, in USD, without free tiers, discounts or taxes. Looked up in November 2026."""

from typing import Final

REGION: Final = "us-east-1"
AS_OF: Final = "November 2026"
HOURS: Final = 730  # of a month, as AWS counts
MILLION: Final = 1_000_000
GB: Final = 10**9

# Lambda, x86: https://aws.amazon.com/lambda/pricing
LAMBDA_GB_SECOND: Final = 0.0000166667
LAMBDA_REQUEST: Final = 0.20 / MILLION
# API Gateway, REST: https://aws.amazon.com/api-gateway/pricing
GATEWAY_REQUEST: Final = 3.50 / MILLION
TRANSFER_GB: Final = 0.09  # to the internet
# SQS, standard queues: https://aws.amazon.com/sqs/pricing
SQS_REQUEST: Final = 0.40 / MILLION
# EventBridge Scheduler: https://aws.amazon.com/eventbridge/pricing
SCHEDULED_INVOCATION: Final = 1.00 / MILLION
# Secrets Manager: https://aws.amazon.com/secrets-manager/pricing
SECRET_MONTH: Final = 0.40
SECRET_READ: Final = 0.05 / 10_000
# Aurora PostgreSQL Serverless v2, standard storage: https://aws.amazon.com/rds/aurora/pricing
ACU_HOUR: Final = 0.12
LEAST_ACUS: Final = 0.5  # of a database that is awake
DATABASE_GB_MONTH: Final = 0.10
DATABASE_WRITE: Final = 0.20 / MILLION
DATABASE_WRITE_BYTES: Final = 4096  # of write-ahead log, each write at most
# VPC: https://aws.amazon.com/privatelink/pricing and https://aws.amazon.com/vpc/pricing
ENDPOINT_ZONE_HOUR: Final = 0.01
NAT_HOUR: Final = 0.045
NAT_GB: Final = 0.045
ADDRESS_HOUR: Final = 0.005
# CloudWatch and X-Ray: https://aws.amazon.com/cloudwatch/pricing and https://aws.amazon.com/xray/pricing
LOG_GB: Final = 0.50
METRIC_MONTH: Final = 0.30
ALARM_METRIC_MONTH: Final = 0.10
DASHBOARD_MONTH: Final = 3.00
TRACE: Final = 5.00 / MILLION
# WAF: https://aws.amazon.com/waf/pricing
FIREWALL_MONTH: Final = 5.00
FIREWALL_RULE_MONTH: Final = 1.00
FIREWALL_REQUEST: Final = 0.60 / MILLION

# How Lambda polls a queue for a function: so many long polls at once, each of so many seconds where nothing comes.
POLLS_AT_ONCE: Final = 5
POLL_SECONDS: Final = 20
# What X-Ray takes of many requests, by its default rule.
TRACED_SHARE: Final = 0.05
