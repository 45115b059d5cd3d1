"""docs/configuration.md: every parameter, output and variable, from the template, the settings and the commands."""

from typing import Final

import opdex.settings
from docs.pages.command_reference import commands, options
from docs.pages.settings_reference import variables
from docs.pages.tables import DASH, code, table
from docs.pages.template_reference import outputs, parameters, sources_of_variables
from local.build import PROJECT, TEMPLATE
from local.command_line import run
from local.keys import key
from local.template import read_template

# What is read without a settings class, by libraries or from the runtime.
BESIDES: Final = {
    "POWERTOOLS_LOG_LEVEL": ("`INFO`", "The least severe log lines that are kept: DEBUG, INFO, WARNING or ERROR."),
    "POWERTOOLS_METRICS_NAMESPACE": ("`Opdex`", "The namespace of the metrics."),
    "AWS_REGION": ("Lambda's", "The region of the services that are called."),
    "AWS_ENDPOINT_URL": (DASH, "Where AWS's services are, for an emulator."),
    "_X_AMZN_TRACE_ID": ("Lambda's", "The trace of the invocation, which goes along with its messages."),
}
OF_DEVELOPERS: Final = {
    "OPDEX_CORPUS": "A folder of real documents, for the tests and benchmarks that read such, `make fuzz` and "
    "`make eval` ([what the latter looks for in it](search.md#how-good-it-is)).",
    "OPDEX_URL": "With `OPDEX_KEY`, the service that `make eval` asks, in place of one that it starts.",
    "OPDEX_RANKED": "A folder where `make eval` keeps what was found, one file a run and ranking.",
    "OPDEX_TEST_SERVER": "The URL of a Postgres that runs, for the tests to make their databases in: they start none.",
    "OPDEX_POSTGRES": "A folder of Postgres's programs to test on, in place of the wheel's; `make oldest` sets it.",
    "OPDEX_ROAD": "`localstack` where the end-to-end tests deploy to it; `make test-localstack` sets it.",
    "FAULTS_SEED": "Repeats a run of `tests/faults` under pytest; `make faults` takes `SEED`.",
    "OSV_URL": "Where `make check` asks about vulnerabilities, in place of PyPI and OSV; it has to answer as OSV does.",
}

_HEAD: Final = """# Configuration

Everything that can be set. `make docs` makes this page from `template.yaml`, `layers/core/opdex/settings.py` and the
commands: change it there. A test fails where the page is behind.

A stack is set by its parameters: in a table of `samconfig.toml`, or by `sam deploy --parameter-overrides Workers=3`. A
parameter that is not named keeps the value of the last deploy. Some parameters set variables of the functions. One that
no parameter sets has its default, unless you add it to `Globals` in `template.yaml`. On one machine `make run` takes
[what stands below](#make-run), and `PYTHONPATH=layers/core:. .venv/bin/python -m local --function-variable NAME=VALUE`
sets any variable of the functions.
"""


def page() -> str:
    """Return the page. Raises ValueError where a setting says nothing of itself."""
    template = read_template(TEMPLATE)
    sources = sources_of_variables(template)
    sections = (
        _HEAD,
        "## Parameters of the stack\n",
        *parameters(template),
        "## Outputs of the stack\n",
        outputs(template),
        "## Variables of the functions\n",
        "An empty variable is as good as none. One that is off stops its function, with an error that names it.\n",
        *variables(opdex.settings, sources),
        "### Besides\n",
        table(
            ("variable", "default", "what it is", "set by"),
            ((f"`{name}`", default, said, code(sources.get(name, ()))) for name, (default, said) in BESIDES.items()),
        ),
        "## Commands\n",
        "Each takes its variables as `make run PORT=8081`, or from the environment.\n",
        commands(PROJECT / "Makefile"),
        "### make run\n",
        options(run, template),
        "### make key\n",
        options(key, template),
        "### Tests and checks\n",
        table(("variable", "what it is"), ((f"`{name}`", said) for name, said in OF_DEVELOPERS.items())),
    )
    return "\n".join(sections)
