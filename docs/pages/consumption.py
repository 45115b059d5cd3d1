"""What a stack consumes: figures of the last benchmarks, and facts of the template."""

from collections.abc import Mapping, Sequence
from typing import Any

from local.template import parameter_values, resolved, variable_name
from tests.benchmarks.figures import RESULTS, read_figure

_BENCHES = ("consumption", "billed_time", "upload")
SHARE = "share of billed embed time in a provider of 0.37 s a text, a cold start included"
UPLOADED_OPERATIONS = 1_223
UPLOAD = f"upload of github_octokit (13 MB of JSON, {UPLOADED_OPERATIONS:,} operations) to its answer"


class Measured:
    """The figures of the last benchmarks, by their names."""

    def __init__(self) -> None:
        lines = (line for bench in _BENCHES for line in (RESULTS / f"{bench}.jsonl").read_text("utf-8").splitlines())
        self._figures = {figure.figure: figure for figure in map(read_figure, lines)}

    def __getitem__(self, name: str) -> float:
        return self._figures[name].value

    def runs(self) -> list[str]:
        """Return when, for which commit and on what the figures were taken."""
        said = "{date}, commit {commit}: {processor}, {cores} cores, {memory_gib} GiB, Postgres {postgres}"
        return sorted({said.format(**figure.run) for figure in self._figures.values()})


class Stack:
    """The template as some parameters make it."""

    def __init__(self, template: Mapping[str, Any], **given: str) -> None:
        self._template = template
        self._values = parameter_values(template, {variable_name(name): value for name, value in given.items()})
        self._properties = {name: about.get("Properties", {}) for name, about in template["Resources"].items()}

    def memory_gb(self, function: str) -> float:
        """Return a function's memory, as it is billed."""
        default = self._template["Globals"]["Function"]["MemorySize"]
        return int(self._resolved(self._properties[function].get("MemorySize", default))) / 1024

    def invocation_seconds(self) -> int:
        """Return how long one embed invocation may run."""
        return int(self._resolved(self._properties["EmbedFunction"]["Timeout"]))

    def sweep_minutes(self) -> int:
        """Return the minutes between two sweeps."""
        if (chosen := int(self._values["SweepMinutes"])) != 0:
            return chosen
        tick = self._properties["SweepFunction"]["Events"]["Tick"]["Properties"]
        return int(str(self._resolved(tick["ScheduleExpression"])).removeprefix("rate(").removesuffix(" minutes)"))

    def awake_seconds(self) -> float:
        """Return how long the database stays awake for one statement: until the session ends, and then the pause."""
        session = self._properties["DatabaseParameters"]["Parameters"]["idle_session_timeout"]
        return int(session) / 1000 + float(self._values["DatabasePauseSeconds"])

    def endpoint_zones(self) -> int:
        """Return in how many zones the stack has interface endpoints, all endpoints together."""
        return sum(
            len(properties["SubnetIds"])
            for name, properties in self._properties.items()
            if properties.get("VpcEndpointType") == "Interface" and self.has(name)
        )

    def alarm_metrics(self) -> int:
        """Return how many metrics the alarms look at."""
        of_alarms = (alarm.get("Metrics", [{"MetricStat": alarm}]) for alarm in self._of_type("AWS::CloudWatch::Alarm"))
        return sum("MetricStat" in metric for metrics in of_alarms for metric in metrics)

    def secrets(self) -> int:
        """Return how many secrets the stack makes, the database's own included."""
        return len(self._of_type("AWS::SecretsManager::Secret")) + sum(
            bool(cluster.get("ManageMasterUserPassword")) for cluster in self._of_type("AWS::RDS::DBCluster")
        )

    def firewall_rules(self) -> int:
        """Return how many rules the firewall has; 0 without one."""
        return sum(len(firewall["Rules"]) for firewall in self._of_type("AWS::WAFv2::WebACL"))

    def has(self, name: str) -> bool:
        """Tell whether the stack has a resource."""
        condition = self._template["Resources"][name].get("Condition")
        return condition is None or self._resolved({"Fn::If": [condition, True, False]}) is True

    def _of_type(self, kind: str) -> Sequence[Mapping[str, Any]]:
        resources = self._template["Resources"].items()
        return [self._properties[name] for name, about in resources if about["Type"] == kind and self.has(name)]

    def _resolved(self, value: Any) -> Any:
        return resolved(value, self._template, self._values)
