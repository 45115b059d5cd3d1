"""What the template promises; the parts that one wrong number, name or reference would break silently."""

import json
import math
import re
import subprocess
import sys
from itertools import chain
from typing import Any

import pytest

from local.build import PROJECT, TEMPLATE
from local.errors import LocalRunError
from local.template import holds, parameter_values, read_template, resolved, variable_name
from opdex.database import _CONNECTION, Database
from opdex.embedding import make_embedder
from opdex.embedding.minilm import MODEL
from opdex.http.answer_size import MAX_PAYLOAD_BYTES
from opdex.http.context import ApiContext
from opdex.http.route_table import api_function_routes, search_function_routes
from opdex.http.service_description import describe_service
from opdex.indexing.intake import _SEE_AGAIN_UNLESS_HANDLED_SECONDS as SEEN_AGAIN_SECONDS
from opdex.jobs.wakeups import WakeUpSender
from opdex.ranking.segment_builder import SCHEME
from opdex.settings import ApiSettings, EmbedSettings, MigrateSettings
from tests.gateway import function_of, proxy_event

SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:database-a1B2c3"
LAMBDA_PAYLOAD_BYTES = 6 * 1024 * 1024
GATEWAY_SECONDS = 29
SECONDS_TO_WAKE = 60  # at most; a database that paused a moment ago takes 15
CONNECT_SECONDS = int(_CONNECTION["connect_timeout"])
SERVING = ["ApiFunction", "SearchFunction", "EmbedFunction", "SweepFunction"]  # with the database that is in use
AWS_NAMESPACES = {"AWS/SQS", "AWS/Lambda", "AWS/ApiGateway", "AWS/RDS"}

template = read_template(TEMPLATE)
resources: dict[str, Any] = template["Resources"]
operations_page = (PROJECT / "docs" / "operations.md").read_text()


def _of_type(kind: str) -> dict[str, Any]:
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}


functions = _of_type("AWS::Serverless::Function")
roles = _of_type("AWS::IAM::Role")
alarms = _of_type("AWS::CloudWatch::Alarm")
logs = _of_type("AWS::Logs::LogGroup")
embed = functions["EmbedFunction"]
wake_ups = embed["Events"]["WakeUp"]["Properties"]
body = resources["Api"]["Properties"]["DefinitionBody"]


def _values(**given: str | int) -> dict[str, str]:
    chosen = {variable_name(name): str(value) for name, value in given.items()}
    if chosen.get("CREATE_DATABASE") != "true":
        chosen = {"DATABASE_SECRET_ARN": SECRET, **chosen}
    return parameter_values(template, chosen)


def _deployed(value: Any, **given: str | int) -> Any:
    """Return a part of the template as these parameters make it; what they leave out is gone."""
    values = _values(**given)

    def chosen(part: Any) -> Any:
        if isinstance(part, dict) and (part.keys() == {"Fn::If"} or part.get("Ref") in {*values, "AWS::NoValue"}):
            part = resolved(part, template, values)
            return chosen(part) if isinstance(part, dict | list) else part
        if isinstance(part, dict):
            inner = {name: chosen(value) for name, value in part.items()}
            return {name: value for name, value in inner.items() if value is not None}
        if isinstance(part, list):
            return [value for value in map(chosen, part) if value is not None]
        return part

    return chosen(value)


def _is_deployed(name: str, **given: str | int) -> bool:
    condition = resources[name].get("Condition")
    return condition is None or holds({"Condition": condition}, template, _values(**given))


def _longest_timeout(function: dict[str, Any]) -> int:
    timeout = function["Timeout"]
    return int(template["Parameters"][timeout["Ref"]]["MaxValue"]) if isinstance(timeout, dict) else int(timeout)


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return list(chain.from_iterable(map(_strings, chain(value.keys(), value.values()))))
    return list(chain.from_iterable(map(_strings, value))) if isinstance(value, list) else [str(value)]


# Parameters and rules.


@pytest.mark.parametrize("name", sorted(template["Parameters"]))
def test_parameter_says_what_it_is_and_has_a_default_when_asked_for(name: str) -> None:
    about = template["Parameters"][name]
    assert about["Description"].endswith(".")
    assert "Default" in about


def test_each_parameter_is_asked_for_in_one_group_when_the_deploy_is_guided() -> None:
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    asked = list(chain.from_iterable(group["Parameters"] for group in groups))
    assert sorted(asked) == sorted(template["Parameters"])


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"DatabaseSecretArn": ""}, "Give DATABASE_SECRET_ARN"),
        ({"CreateDatabase": "true", "DatabaseSecretArn": SECRET}, "Give DATABASE_SECRET_ARN"),
        ({"EmbeddingProvider": "ollama"}, "needs EMBEDDING_URL"),
        ({"EmbeddingModel": "nomic-embed-text"}, f"EMBEDDING_MODEL is {MODEL} or empty"),
        (
            {"CreateDatabase": "true", "EmbeddingProvider": "ollama", "EmbeddingUrl": "https://ollama.example"},
            "can be reached with INTERNET=none",
        ),
        ({"ApiAuthorization": "cognito"}, "needs COGNITO_USER_POOL_ARN"),
        ({"ApiAuthorization": "jwt", "TokenIssuer": "https://issuer.example"}, "TOKEN_AUDIENCE"),
        ({"ApiAuthorization": "jwt", "TokenAudience": "opdex"}, "TOKEN_ISSUER"),
        ({"DomainName": "opdex.example.com"}, "needs CERTIFICATE_ARN"),
        ({"HostedZoneId": "Z1"}, "needs DOMAIN_NAME"),
        ({"GatewayAddress": "false"}, "needs DOMAIN_NAME"),
        ({"VpcSubnetIds": "subnet-1"}, "VPC_SUBNET_IDS and VPC_SECURITY_GROUP_IDS"),
        ({"VpcSecurityGroupIds": "sg-1"}, "VPC_SUBNET_IDS and VPC_SECURITY_GROUP_IDS"),
        ({"DatabaseMinCapacity": "2", "DatabaseMaxCapacity": "1"}, "DATABASE_MAX_CAPACITY"),
        ({"DatabaseMinCapacity": "16", "DatabaseMaxCapacity": "8"}, "DATABASE_MAX_CAPACITY"),
    ],
)
def test_rule_refuses_the_deploy_when_it_could_not_work(given: dict[str, str], complaint: str) -> None:
    with pytest.raises(LocalRunError, match=complaint):
        _values(**given)


@pytest.mark.parametrize("name", ["DatabaseSecretArn", "EmbeddingSecretArn"])
@pytest.mark.parametrize("arn", [SECRET.removesuffix("-a1B2c3"), f"{SECRET}:password::", "opdex/database-a1B2c3"])
def test_secret_is_refused_when_no_policy_could_name_it_so(name: str, arn: str) -> None:
    with pytest.raises(LocalRunError, match=r"must be the whole ARN of a Secrets Manager secret"):
        _values(**{name: arn})


def test_whole_arns_are_asked_for_when_a_parameter_names_a_secret() -> None:
    assert [name for name in template["Parameters"] if "Secret" in name] == [
        "DatabaseSecretArn",
        "SecretsKeyArn",
        "EmbeddingSecretArn",
    ]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"VpcSubnetIds": "subnet-1,subnet-2", "VpcSecurityGroupIds": "sg-1"},
        {"CreateDatabase": "true", "DatabaseMinCapacity": "16", "DatabaseMaxCapacity": "16"},
        {"CreateDatabase": "true", "DatabaseMinCapacity": "0.5", "DatabaseMaxCapacity": "1"},
        {"EmbeddingModel": MODEL},
        {"EmbeddingProvider": "ollama", "EmbeddingUrl": "http://10.0.0.5:11434"},
        {"CreateDatabase": "true"},
        {
            "CreateDatabase": "true",
            "Internet": "nat",
            "EmbeddingProvider": "ollama",
            "EmbeddingUrl": "https://ollama.example",
        },
        {"ApiAuthorization": "jwt", "TokenIssuer": "https://issuer.example", "TokenAudience": "opdex"},
        {"ApiAuthorization": "iam"},
    ],
)
def test_rules_let_the_deploy_pass_when_it_can_work(given: dict[str, str]) -> None:
    assert _values(**given).items() >= given.items()


# Workers.


def test_workers_is_one_when_nothing_is_said() -> None:
    assert template["Parameters"]["Workers"]["Default"] == 1


@pytest.mark.parametrize("workers", [0, 1, 2, 3, 40])
def test_workers_is_the_reserved_concurrency_when_deployed(workers: int) -> None:
    assert _deployed(embed, Workers=workers)["ReservedConcurrentExecutions"] == str(workers)


def test_nothing_is_reserved_when_the_account_has_too_little() -> None:
    for function in functions.values():
        assert "ReservedConcurrentExecutions" not in _deployed(function, ReserveWorkers="false")


@pytest.mark.parametrize("workers", [0, 1, 2, 3, 40])
def test_event_source_concurrency_is_the_larger_of_two_and_workers_when_deployed(workers: int) -> None:
    assert int(_deployed(wake_ups, Workers=workers)["ScalingConfig"]["MaximumConcurrency"]) == max(2, workers)


@pytest.mark.parametrize(("workers", "enabled"), [(0, False), (1, True), (7, True)])
def test_event_source_rests_when_workers_is_zero(workers: int, enabled: bool) -> None:
    assert _deployed(wake_ups, Workers=workers)["Enabled"] is enabled


@pytest.mark.parametrize("name", SERVING)
def test_workers_is_told_to_the_functions_when_they_report_or_wake(name: str) -> None:
    assert functions[name]["Environment"]["Variables"]["WORKERS"] == {"Ref": "Workers"}


def test_event_source_answers_for_each_message_when_one_comes_at_a_time() -> None:
    assert (wake_ups["BatchSize"], wake_ups["FunctionResponseTypes"]) == (1, ["ReportBatchItemFailures"])


def test_recursive_loop_is_allowed_when_it_is_the_embed_function_alone() -> None:
    assert [name for name, properties in functions.items() if "RecursiveLoop" in properties] == ["EmbedFunction"]
    assert embed["RecursiveLoop"] == "Allow"


# Times and sizes that must fit each other.


def test_visibility_is_six_timeouts_when_the_timeout_is_the_longest() -> None:
    queue = resources["EmbedQueue"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * _longest_timeout(embed)
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 100


def test_lease_outlives_heartbeats_when_nothing_is_set() -> None:
    settings = EmbedSettings(embed_queue_url="queue")
    assert 3 * settings.heartbeat_seconds < settings.lease_seconds < SEEN_AGAIN_SECONDS
    assert settings.database_statement_seconds < settings.lease_seconds
    assert resources["EmbedQueue"]["Properties"]["VisibilityTimeout"] > SEEN_AGAIN_SECONDS


def test_sweep_ends_before_the_next_one_begins_when_they_are_as_close_as_can_be() -> None:
    shortest = min(minutes for minutes in template["Parameters"]["SweepMinutes"]["AllowedValues"] if minutes)
    assert _longest_timeout(functions["SweepFunction"]) <= 60 * shortest


def test_api_ends_before_the_gateway_gives_up_when_it_waits_for_something() -> None:
    settings = ApiSettings(embed_queue_url="queue")
    assert {_longest_timeout(functions[name]) for name in ("ApiFunction", "SearchFunction")} <= {GATEWAY_SECONDS}
    assert CONNECT_SECONDS + settings.database_statement_seconds < GATEWAY_SECONDS
    assert CONNECT_SECONDS + settings.fetch_seconds + settings.max_document_seconds < GATEWAY_SECONDS
    longest_embedding = template["Parameters"]["EmbeddingQueryTimeoutSeconds"]["MaxValue"]
    assert longest_embedding + CONNECT_SECONDS < GATEWAY_SECONDS
    assert settings.embedding_query_timeout_seconds < CONNECT_SECONDS


def test_migration_ends_before_cloudformation_gives_up_when_the_database_sleeps() -> None:
    settings = MigrateSettings()
    longest = _longest_timeout(functions["MigrateFunction"])
    assert settings.database_wait_seconds + settings.database_statement_seconds < longest
    assert longest < resources["Migrations"]["Properties"]["ServiceTimeout"]


def test_answer_fits_lambda_when_it_is_the_largest() -> None:
    assert MAX_PAYLOAD_BYTES < LAMBDA_PAYLOAD_BYTES


def test_connections_stay_below_the_alarm_when_everything_runs_at_once() -> None:
    values = _values()
    sweep_and_migrate = 2
    requests = int(values["ApiConcurrency"]) + int(values["SearchConcurrency"])
    at_once = requests + 2 * int(values["Workers"]) + sweep_and_migrate
    assert at_once < int(values["MaxDatabaseConnections"])


# The database.


def test_functions_are_in_no_vpc_when_none_is_given() -> None:
    assert "VpcConfig" not in _deployed(template["Globals"]["Function"])


def test_functions_are_in_the_given_vpc_when_subnets_are_given() -> None:
    placed = _deployed(template["Globals"]["Function"], VpcSubnetIds="subnet-1,subnet-2", VpcSecurityGroupIds="sg-1")
    assert placed["VpcConfig"] == {"SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1"}


def test_functions_are_beside_the_database_when_the_stack_makes_one() -> None:
    placed = _deployed(template["Globals"]["Function"], CreateDatabase="true")
    assert placed["VpcConfig"] == {
        "SubnetIds": [{"Ref": "PrivateSubnetA"}, {"Ref": "PrivateSubnetB"}],
        "SecurityGroupIds": [{"Ref": "FunctionsSecurityGroup"}],
    }
    variables = placed["Environment"]["Variables"]
    assert variables["DATABASE_SECRET_ARN"] == {"Fn::GetAtt": ["Database", "MasterUserSecret.SecretArn"]}
    assert variables["DATABASE_HOST"] == {"Fn::GetAtt": ["Database", "Endpoint.Address"]}
    assert variables["DATABASE_NAME"] == resources["Database"]["Properties"]["DatabaseName"]


def test_functions_are_told_where_the_database_is_when_its_secret_has_a_login_alone() -> None:
    placed = _deployed(template["Globals"]["Function"], DatabaseHost="db.example", DatabaseName="catalog")
    variables = placed["Environment"]["Variables"]
    assert (variables["DATABASE_HOST"], variables["DATABASE_NAME"]) == ("db.example", "catalog")


@pytest.mark.parametrize(
    ("internet", "made"),
    [
        ("none", {"S3Endpoint", "SqsEndpoint", "SecretsEndpoint"}),
        # An endpoint for S3 would come before the NAT gateway, also for the documents that are fetched from there.
        ("nat", {"NatGateway", "NatRoute", "InternetGateway"}),
    ],
)
def test_network_leads_to_what_the_functions_call_when_the_stack_makes_it(internet: str, made: set[str]) -> None:
    ways = {"S3Endpoint", "SqsEndpoint", "SecretsEndpoint", "BedrockRuntimeEndpoint"}
    ways |= {"NatGateway", "NatRoute", "InternetGateway"}
    assert {name for name in ways if _is_deployed(name, CreateDatabase="true", Internet=internet)} == made
    assert not any(map(_is_deployed, ways))


def test_bedrock_has_an_endpoint_when_it_is_asked_for_without_internet() -> None:
    chosen = {"CreateDatabase": "true", "BedrockEndpoint": "true"}
    assert _is_deployed("BedrockRuntimeEndpoint", **chosen)
    assert not _is_deployed("BedrockRuntimeEndpoint", **chosen, Internet="nat")


@pytest.mark.parametrize(("internet", "ports"), [("none", {443}), ("nat", {80, 443, 1024})])
def test_functions_may_call_a_providers_port_when_there_is_a_way_to_it(internet: str, ports: set[int]) -> None:
    group = _deployed(resources["FunctionsSecurityGroup"]["Properties"], CreateDatabase="true", Internet=internet)
    assert {rule["FromPort"] for rule in group["SecurityGroupEgress"]} == ports


def test_version_is_the_snapshots_when_the_database_starts_from_one() -> None:
    database = resources["Database"]["Properties"]
    assert _deployed(database, CreateDatabase="true")["EngineVersion"].startswith("17.")
    restored = _deployed(database, CreateDatabase="true", DatabaseSnapshot="opdex-restored")
    assert "EngineVersion" not in restored


def test_database_pauses_when_it_is_left_alone() -> None:
    database = _deployed(resources["Database"]["Properties"], CreateDatabase="true")
    scaling = database["ServerlessV2ScalingConfiguration"]
    assert (scaling["MinCapacity"], scaling["SecondsUntilAutoPause"]) == ("0", "300")
    idle_milliseconds = int(resources["DatabaseParameters"]["Properties"]["Parameters"]["idle_session_timeout"])
    assert 0 < idle_milliseconds <= 60_000
    awake = _deployed(resources["Database"]["Properties"], CreateDatabase="true", DatabaseMinCapacity="0.5")
    assert "SecondsUntilAutoPause" not in awake["ServerlessV2ScalingConfiguration"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "rate(5 minutes)"),
        ({"CreateDatabase": "true"}, "rate(60 minutes)"),
        ({"CreateDatabase": "true", "DatabaseMinCapacity": "0.5"}, "rate(5 minutes)"),
        ({"CreateDatabase": "true", "SweepMinutes": "15"}, {"Fn::Sub": "rate(${SweepMinutes} minutes)"}),
        ({"SweepMinutes": "60"}, {"Fn::Sub": "rate(${SweepMinutes} minutes)"}),
    ],
)
def test_sweep_is_seldom_when_the_database_may_pause(given: dict[str, str], expected: Any) -> None:
    tick = _deployed(functions["SweepFunction"], **given)["Events"]["Tick"]["Properties"]
    assert tick["ScheduleExpression"] == expected


def test_data_is_kept_when_the_stack_is_deleted() -> None:
    database = resources["Database"]
    assert (database["DeletionPolicy"], database["UpdateReplacePolicy"]) == ("Snapshot", "Snapshot")
    assert database["Properties"]["StorageEncrypted"] is True
    assert database["Properties"]["ManageMasterUserPassword"] is True
    assert _deployed(database["Properties"], CreateDatabase="true")["DeletionProtection"] == "true"


def test_database_lets_in_the_functions_alone_when_the_stack_makes_it() -> None:
    ingress = _of_type("AWS::EC2::SecurityGroupIngress")
    (into_database,) = (rule for rule in ingress.values() if rule["GroupId"] == {"Ref": "DatabaseSecurityGroup"})
    assert into_database["SourceSecurityGroupId"] == {"Ref": "FunctionsSecurityGroup"}
    assert "SecurityGroupIngress" not in resources["DatabaseSecurityGroup"]["Properties"]
    assert resources["DatabaseInstance"]["Properties"]["PubliclyAccessible"] is False
    assert resources["DatabaseParameters"]["Properties"]["Parameters"]["rds.force_ssl"] == "1"


# Migrations.


@pytest.mark.parametrize("name", SERVING)
def test_function_is_deployed_after_the_migrations_when_it_needs_the_schema(name: str) -> None:
    assert resources[name]["DependsOn"] == "Migrations"


def test_migrations_run_again_when_they_changed() -> None:
    assert resources["Migrations"]["Properties"]["MigrationsLayer"] == {"Ref": "MigrationsLayer"}
    assert {"Ref": "MigrationsLayer"} in functions["MigrateFunction"]["Layers"]


def test_migrations_run_again_when_segments_are_made_in_another_way() -> None:
    assert resources["Migrations"]["Properties"]["SegmentScheme"] == SCHEME


def test_migrations_run_again_when_the_database_is_another() -> None:
    trigger = resources["Migrations"]["Properties"]
    given = _deployed(trigger, DatabaseHost="db.example", DatabaseName="catalog")
    assert (given["Database"], given["DatabaseHost"], given["DatabaseName"]) == (SECRET, "db.example", "catalog")
    assert _deployed(trigger, CreateDatabase="true")["Database"] == {"Ref": "DatabaseInstance"}


@pytest.mark.parametrize("internet", ["none", "nat"])
def test_way_to_aws_outlives_the_migrations_when_the_stack_is_deleted(internet: str) -> None:
    needed = _strings(_deployed(resources["Migrations"]["Properties"], CreateDatabase="true", Internet=internet))
    assert {"PrivateRoutesA", "PrivateRoutesB"} <= set(needed)
    ways = {"none": {"S3Endpoint", "SecretsEndpoint"}, "nat": {"NatRoute"}}
    assert set(needed) & {way for some in ways.values() for way in some} == ways[internet]


@pytest.mark.parametrize("name", ["MigrateFunction", "SweepFunction"])
def test_lambda_tries_nothing_again_when_a_deploy_or_a_tick_failed(name: str) -> None:
    assert functions[name]["EventInvokeConfig"] == {"MaximumRetryAttempts": 0}


# Rights, encryption, logs.


def test_each_function_has_a_role_of_its_own_when_deployed() -> None:
    used = [function["Role"]["Fn::GetAtt"][0] for function in functions.values()]
    assert sorted(used) == sorted(roles)


def test_role_is_taken_by_lambda_alone_when_it_is_a_functions() -> None:
    for role in roles.values():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}


CARRIED = {
    "TracingPolicy": {"Tracing": "true"},
    "NetworkPolicy": {"VpcSubnetIds": "subnet-1", "VpcSecurityGroupIds": "sg-1"},
}
SECRETS_KEY = "arn:aws:kms:eu-central-1:123456789012:key/k"
policies = _of_type("AWS::IAM::ManagedPolicy")


def _carried(name: str, **given: str) -> set[str]:
    """Return the managed policies that a function's role carries."""
    role = _deployed(roles[functions[name]["Role"]["Fn::GetAtt"][0]], **given)
    return {policy["Ref"] for policy in role.get("ManagedPolicyArns", [])}


def _allowed() -> list[tuple[str, dict[str, Any]]]:
    documents = [(name, policy["PolicyDocument"]) for name, role in roles.items() for policy in role["Policies"]]
    documents += [(name, policy["PolicyDocument"]) for name, policy in policies.items()]
    return [
        (name, statement)
        for name, document in documents
        for statement in _deployed(document["Statement"], CreateDatabase="true", SecretsKeyArn=SECRETS_KEY)
        if statement["Effect"] == "Allow"
    ]


def test_policy_allows_named_things_alone_when_they_have_a_name() -> None:
    without_a_name = {
        "TracingPolicy": {"xray:PutTraceSegments", "xray:PutTelemetryRecords"},
        "NetworkPolicy": {
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:AssignPrivateIpAddresses",
            "ec2:UnassignPrivateIpAddresses",
        },
    }
    for name, statement in _allowed():
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert "*" not in "".join(actions), name
        assert set(actions) <= without_a_name.get(name, set()) or "*" not in _strings(statement["Resource"]), name
    assert {name for name, _ in _allowed()} == roles.keys() | policies.keys()


@pytest.mark.parametrize("policy", sorted(CARRIED))
def test_policy_is_there_and_carried_when_it_is_needed(policy: str) -> None:
    needed = {"Tracing": "false", **CARRIED[policy]}
    for name in set(functions) - {"AuthorizerFunction"}:
        assert _carried(name, Tracing="false") == ({"DatabasePolicy"} if name in SERVING else set())
        assert _carried(name, **needed) - {"DatabasePolicy"} == {policy}
    assert not _is_deployed(policy, Tracing="false")
    assert _is_deployed(policy, **needed)


def test_authorizer_may_do_nothing_but_trace_when_all_is_asked_for() -> None:
    everything = {name: value for given in CARRIED.values() for name, value in given.items()}
    assert _carried("AuthorizerFunction", **everything) == {"TracingPolicy"}
    assert _carried("AuthorizerFunction", Tracing="false") == set()


def _readable(name: str, **given: str) -> list[dict[str, Any]]:
    """Return what a function's role allows it of secrets, and of the key that they are encrypted with."""
    documents = [policy["PolicyDocument"] for policy in roles[functions[name]["Role"]["Fn::GetAtt"][0]]["Policies"]]
    documents += [policies[policy]["PolicyDocument"] for policy in _carried(name, **given)]
    statements = chain.from_iterable(_deployed(document, **given)["Statement"] for document in documents)
    return [s for s in statements if s["Action"] in ("secretsmanager:GetSecretValue", "kms:Decrypt")]


@pytest.mark.parametrize("name", sorted(functions))
def test_key_opens_secrets_alone_when_it_is_ones_own(name: str) -> None:
    opened = [s for s in _readable(name, SecretsKeyArn=SECRETS_KEY) if s["Action"] == "kms:Decrypt"]
    assert [s["Resource"] for s in opened] == ([] if name == "AuthorizerFunction" else [SECRETS_KEY])
    assert all(s["Condition"]["StringEquals"].keys() == {"kms:ViaService"} for s in opened)


@pytest.mark.parametrize(
    ("name", "reads"),
    [
        ("ApiFunction", {"database"}),
        ("SearchFunction", {"database", "provider"}),
        ("EmbedFunction", {"database", "provider"}),
        ("SweepFunction", {"database", "admin key"}),
        ("MigrateFunction", {"database", "admin key"}),
        ("AuthorizerFunction", set()),
    ],
)
def test_function_reads_its_own_secrets_alone_when_deployed(name: str, reads: set[str]) -> None:
    provider = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:provider-a1B2c3"
    known = {str([SECRET]): "database", provider: "provider", str({"Ref": "AdminKeySecret"}): "admin key"}
    assert {known[str(s["Resource"])] for s in _readable(name, EmbeddingSecretArn=provider)} == reads


def test_database_in_use_is_read_when_another_is_being_prepared() -> None:
    # Functions that serve keep the old one's secret until the migrations of the new one are through.
    assert resources["DatabasePolicy"]["DependsOn"] == "Migrations"
    assert "DatabasePolicy" not in _carried("MigrateFunction")
    endpoint = resources["SecretsEndpoint"]["Properties"]["PolicyDocument"]
    assert "Database" not in str(_strings(endpoint))
    assert any(text.endswith(":secret:rds!cluster-*") for text in _strings(endpoint))


def test_provider_key_is_named_when_a_function_calls_the_provider() -> None:
    named = {name for name, f in functions.items() if "EMBEDDING_SECRET_ARN" in f["Environment"]["Variables"]}
    assert named == {"SearchFunction", "EmbedFunction"}


def test_model_is_carried_when_a_function_embeds() -> None:
    carrying = {name for name, f in functions.items() if {"Ref": "MinilmLayer"} in _deployed(f).get("Layers", [])}
    assert carrying == {"SearchFunction", "EmbedFunction"}


@pytest.mark.parametrize("name", ["EmbedQueue", "EmbedDeadLetterQueue"])
def test_queue_is_encrypted_when_deployed(name: str) -> None:
    assert resources[name]["Properties"]["SqsManagedSseEnabled"] is True


def test_queues_refuse_anybody_when_they_come_without_tls() -> None:
    policy = resources["QueuesTakeTlsAlone"]["Properties"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert policy["Queues"] == [{"Ref": "EmbedQueue"}, {"Ref": "EmbedDeadLetterQueue"}]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "sqs:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_each_function_logs_to_a_group_of_its_own_when_deployed() -> None:
    used = [function["LoggingConfig"]["LogGroup"]["Ref"] for function in functions.values()]
    assert len(set(used)) == len(functions)
    assert {*used, "AccessLogGroup"} == logs.keys()


@pytest.mark.parametrize("name", sorted(logs))
def test_logs_are_kept_and_encrypted_as_asked_when_deployed(name: str) -> None:
    key = "arn:aws:kms:eu-central-1:123456789012:key/k"
    group = _deployed(logs[name], LogKeyArn=key, LogRetentionDays=90)
    assert (group["RetentionInDays"], group["KmsKeyId"]) == ("90", key)
    assert "KmsKeyId" not in _deployed(logs[name])


@pytest.mark.parametrize("level", template["Parameters"]["LogLevel"]["AllowedValues"])
def test_logger_keeps_what_was_asked_for_when_lambda_has_a_level_too(level: str) -> None:
    deployed = _deployed(template["Globals"]["Function"], LogLevel=level)
    variables = {
        "POWERTOOLS_LOG_LEVEL": deployed["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"],
        "AWS_LAMBDA_LOG_LEVEL": deployed["LoggingConfig"]["ApplicationLogLevel"],
    }
    asked = "import logging; from opdex.observability import logger; print(logging.getLevelName(logger.log_level))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", asked],
        env={"PYTHONPATH": str(PROJECT / "layers/core"), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == (level, "")


@pytest.mark.parametrize("level", template["Parameters"]["LogLevel"]["AllowedValues"])
def test_lambda_drops_no_metrics_when_few_lines_are_kept(level: str) -> None:
    logging = _deployed(template["Globals"]["Function"], LogLevel=level)["LoggingConfig"]
    assert logging["ApplicationLogLevel"] in ("DEBUG", "INFO")  # a line without a level counts as INFO
    assert all(function["LoggingConfig"].keys() == {"LogGroup"} for function in functions.values())


def test_metrics_have_a_namespace_of_their_own_when_a_stack_is_deployed() -> None:
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["POWERTOOLS_METRICS_NAMESPACE"] == {"Ref": "AWS::StackName"}


# The gateway.

OPEN = {"/", "/healthz", "/docs", "/docs/{proxy+}", "/openapi.json"}
GUARDED = {"/{proxy+}", "/api/v1/admin/search", "/api/v1/admin/embedding/status", "/mcp"}
GUARDS = {
    "iam": {},
    "cognito": {"CognitoUserPoolArn": "arn:aws:cognito-idp:eu-central-1:123456789012:userpool/p"},
    "jwt": {"TokenIssuer": "https://issuer.example", "TokenAudience": "opdex"},
}


def _routes_of(name: str) -> set[tuple[str, str]]:
    """Return the methods and paths that a function serves, by the service's own description."""
    settings = ApiSettings(embed_queue_url="queue")
    sender = WakeUpSender(settings.embed_queue_url)
    context = ApiContext(settings, Database(settings), sender, lambda: make_embedder(settings))
    tables = {"ApiFunction": api_function_routes, "SearchFunction": search_function_routes}
    paths: dict[str, Any] = json.loads(describe_service(tables[name](context)))["paths"]
    return {(method.upper(), re.sub("[{}]", "", path)) for path, methods in paths.items() for method in methods}


@pytest.mark.parametrize("name", ["ApiFunction", "SearchFunction"])
def test_each_route_leads_to_the_function_that_serves_it_when_it_is_called(name: str) -> None:
    routes = _routes_of(name)
    assert {function_of(method, proxy_event(method, path)["resource"]) for method, path in routes} == {name}


def test_function_takes_every_method_when_it_serves_a_path() -> None:
    several = {path: methods.keys() for path, methods in body["paths"].items() if path not in OPEN}
    assert several == {path: {"get", "post", "put", "delete"} for path in GUARDED}


@pytest.mark.parametrize("guard", sorted(GUARDS))
def test_guard_stands_before_all_but_the_open_routes_when_there_is_one(guard: str) -> None:
    api = _deployed(body, ApiAuthorization=guard, **GUARDS[guard])
    guarded = {path for path, methods in api["paths"].items() for method in methods.values() if method.get("security")}
    assert guarded == GUARDED
    methods = chain.from_iterable(api["paths"][path].values() for path in GUARDED)
    assert all(method["security"] == [{"gateway": []}] for method in methods)
    scheme = api["components"]["securitySchemes"]["gateway"]
    kinds = {"iam": "awsSigv4", "cognito": "cognito_user_pools", "jwt": "custom"}
    assert scheme["x-amazon-apigateway-authtype"] == kinds[guard]
    assert ("x-amazon-apigateway-authorizer" in scheme) is (guard != "iam")
    assert _is_deployed("AuthorizerFunction", ApiAuthorization=guard, **GUARDS[guard]) is (guard == "jwt")


def test_no_guard_stands_before_the_api_when_none_is_asked_for() -> None:
    assert "security" not in _strings(_deployed(body["paths"]))
    assert _deployed(body["components"]) == {"securitySchemes": {}}
    assert not _is_deployed("AuthorizerFunction")


RESPONSES: dict[str, Any] = body["x-amazon-apigateway-gateway-responses"]


@pytest.mark.parametrize("guard", ["none", "iam"])
@pytest.mark.parametrize("kind", sorted(RESPONSES))
def test_gateways_own_answer_has_the_shape_of_an_error_when_it_refuses(kind: str, guard: str) -> None:
    answer = _deployed(RESPONSES[kind], ApiAuthorization=guard)
    text = answer["responseTemplates"]["application/json"].replace("$context.error.messageString", '"so"')
    error = json.loads(text)["error"]
    assert error.keys() == {"code", "message", "details"}
    assert error["details"] == {}
    if answer.get("statusCode") in (429, 503):
        assert int(answer["responseParameters"]["gatewayresponse.header.Retry-After"].strip("'")) > 0


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("BAD_REQUEST_BODY", 400, "malformed_request"),
        ("UNAUTHORIZED", 401, "unauthenticated"),
        ("ACCESS_DENIED", 403, "forbidden"),
        ("WAF_FILTERED", 403, "forbidden"),
        ("RESOURCE_NOT_FOUND", 404, "not_found"),
        ("MISSING_AUTHENTICATION_TOKEN", 405, "method_not_allowed"),
        ("REQUEST_TOO_LARGE", 413, "too_large"),
        ("THROTTLED", 429, "throttled"),
        ("INTEGRATION_FAILURE", 502, "function_failed"),
        ("AUTHORIZER_FAILURE", 503, "authorizer_unavailable"),
        ("INTEGRATION_TIMEOUT", 504, "timeout"),
        ("DEFAULT_4XX", None, "refused"),
        ("DEFAULT_5XX", None, "internal_error"),
    ],
)
def test_gateways_own_answer_has_its_stable_code_when_it_refuses(kind: str, status: int | None, code: str) -> None:
    answer = _deployed(RESPONSES[kind])
    assert answer.get("statusCode") == status
    assert f'"code": "{code}"' in answer["responseTemplates"]["application/json"]


@pytest.mark.parametrize("code", ["throttled", "timeout", "function_failed", "authorizer_unavailable", "refused"])
def test_code_is_explained_when_the_gateway_alone_has_it(code: str) -> None:
    assert f"`{code}`" in operations_page


def test_requests_are_throttled_and_never_logged_whole_when_they_come() -> None:
    (settings,) = resources["Api"]["Properties"]["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert settings["ThrottlingRateLimit"] == {"Ref": "ApiRequestsPerSecond"}
    assert settings["ThrottlingBurstLimit"] == {"Ref": "ApiBurst"}
    assert settings["DataTraceEnabled"] is False


def test_firewall_counts_what_is_said_when_a_document_is_uploaded_or_searched_for() -> None:
    rules = resources["Firewall"]["Properties"]["Rules"]
    groups = {rule["Name"]: rule["Statement"]["ManagedRuleGroupStatement"] for rule in rules}
    counted = {name: {o["Name"] for o in group.get("RuleActionOverrides", [])} for name, group in groups.items()}
    assert counted == {
        "common": {
            "SizeRestrictions_QUERYSTRING",
            "CrossSiteScripting_QUERYARGUMENTS",
            "EC2MetaDataSSRF_QUERYARGUMENTS",
            "GenericLFI_QUERYARGUMENTS",
            "GenericRFI_QUERYARGUMENTS",
            "RestrictedExtensions_QUERYARGUMENTS",
            "SizeRestrictions_BODY",
            "CrossSiteScripting_BODY",
            "EC2MetaDataSSRF_BODY",
            "GenericLFI_BODY",
            "GenericRFI_BODY",
        },
        "known-bad-inputs": {"JavaDeserializationRCE_BODY", "Log4JRCE_BODY", "ReactJSRCE_BODY"},
        "ip-reputation": set(),
    }
    overrides = chain.from_iterable(group.get("RuleActionOverrides", []) for group in groups.values())
    assert all(override["ActionToUse"] == {"Count": {}} for override in overrides)


def test_gateway_and_firewall_keep_no_key_when_they_keep_requests() -> None:
    logged = _deployed(resources["Api"]["Properties"], AccessLogs="true")["AccessLogSetting"]["Format"]
    assert json.loads(logged)["route"] == "$context.resourcePath"
    assert "$context.path" not in logged
    protections = resources["Firewall"]["Properties"]["DataProtectionConfig"]["DataProtections"]
    assert [protection["Field"].get("FieldKeys") for protection in protections] == [
        ["authorization", "x-api-key"],
        None,
    ]
    assert {protection["Action"] for protection in protections} == {"SUBSTITUTION"}


@pytest.mark.parametrize("name", ["Firewall", "FirewallAssociation"])
def test_firewall_is_there_when_it_is_asked_for(name: str) -> None:
    assert _is_deployed(name, Waf="true")
    assert not _is_deployed(name)


def test_domain_is_the_only_way_in_when_the_gateway_is_closed() -> None:
    chosen = {
        "DomainName": "opdex.example.com",
        "CertificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/c",
    }
    endpoint = body["x-amazon-apigateway-endpoint-configuration"]
    assert _deployed(endpoint, **chosen, GatewayAddress="false") == {"disableExecuteApiEndpoint": True}
    assert _deployed(endpoint, **chosen) == {"disableExecuteApiEndpoint": False}  # its record may be made afterwards
    assert resources["Domain"]["Properties"]["SecurityPolicy"] == "TLS_1_2"
    assert _is_deployed("DomainMapping", **chosen)
    assert _is_deployed("DomainRecord", **chosen, HostedZoneId="Z1")
    assert not _is_deployed("DomainRecord", **chosen)


# Alarms and the dashboard.


@pytest.mark.parametrize("name", sorted(alarms))
def test_alarm_tells_the_topic_and_is_explained_when_there_is_one(name: str) -> None:
    topic = "arn:aws:sns:eu-central-1:123456789012:alarms"
    alarm = _deployed(alarms[name], AlarmTopicArn=topic)
    assert alarm["AlarmActions"] == alarm["OKActions"] == [topic]
    assert "AlarmActions" not in _deployed(alarms[name])
    assert alarm["TreatMissingData"] == "notBreaching"  # an idle stack measures nothing
    assert f"`{name}`" in operations_page


@pytest.mark.parametrize("name", ["OldestReadyJobAlarm", "NoProgressAlarm"])
def test_alarm_is_silent_when_embedding_is_paused(name: str) -> None:
    assert _deployed(alarms[name], Workers=0)["ActionsEnabled"] is False
    assert _deployed(alarms[name])["ActionsEnabled"] is True


def test_api_errors_outlast_a_waking_database_when_they_ring() -> None:
    alarm = alarms["ApiErrorsAlarm"]
    periods_of_a_wake = 1 + math.ceil(SECONDS_TO_WAKE / alarm["Period"])  # where it begins at the end of one
    assert periods_of_a_wake < alarm["DatapointsToAlarm"] <= alarm["EvaluationPeriods"]


def test_database_is_watched_when_its_instance_is_known() -> None:
    assert not _is_deployed("DatabaseConnectionsAlarm")
    assert _is_deployed("DatabaseConnectionsAlarm", DatabaseInstanceId="mine")
    assert _is_deployed("DatabaseConnectionsAlarm", CreateDatabase="true")


def _dashboard() -> dict[str, Any]:
    text, parts = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widget = parts["DatabaseWidget"]["Fn::If"][1]["Fn::Sub"][0]
    return dict(json.loads(re.sub(r"\$\{[A-Za-z:.]+\}", "x", text.replace("${DatabaseWidget}", widget))))


def _own_metrics() -> set[str]:
    """Return the names of the metrics in the stack's own namespace that an alarm or the dashboard shows."""
    shown = [query["MetricStat"]["Metric"] for alarm in alarms.values() for query in alarm.get("Metrics", [])[1:]]
    shown += [alarm for alarm in alarms.values() if "MetricName" in alarm]
    names = {metric["MetricName"] for metric in shown if metric["Namespace"] == {"Ref": "AWS::StackName"}}
    for widget in _dashboard()["widgets"]:
        namespace = name = ""
        for metric in widget["properties"]["metrics"]:
            if not isinstance(metric[0], str):
                continue
            if metric[0] != "...":  # which repeats all but the last dimension of the line before
                namespace = namespace if metric[0] == "." else metric[0]
                name = name if metric[1] == "." else metric[1]
            if namespace not in AWS_NAMESPACES:
                names.add(name)
    return names


@pytest.mark.parametrize("name", sorted(_own_metrics()))
def test_metric_is_emitted_when_an_alarm_or_the_dashboard_shows_it(name: str) -> None:
    sources = chain((PROJECT / "layers/core/opdex").rglob("*.py"), (PROJECT / "functions").rglob("*.py"))
    assert any(f'"{name}"' in source.read_text() for source in sources)


def test_dashboard_is_readable_when_everything_is_on_it() -> None:
    titles = [widget["properties"]["title"] for widget in _dashboard()["widgets"]]
    assert len(set(titles)) == len(titles) == 10
