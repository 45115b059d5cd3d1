"""What ``make run`` runs: each option is also an environment variable, and each mistake is told in one line."""

import signal
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from local.build import PROJECT, TEMPLATE
from local.errors import LocalRunError, give_up
from local.indexing import Document, Indexing, read_document
from local.system import Options, System, running
from local.template import parameter_values, read_template

_WATCH_SECONDS = 0.5
_ANY_ARN = "arn:aws:secretsmanager:::secret:any-a1B2c3"
_EXAMPLE = "docs/examples/library.yaml"
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Text, whatever it stands for: a wrong value is answered with a line of our own, not with a usage box.
_Text = str


def run(
    *,
    port: Annotated[
        _Text, typer.Option(envvar="PORT", help="The one port that all is served on, 1 to 65535.", show_default="8080")
    ] = "",
    data_dir: Annotated[
        _Text, typer.Option(envvar="DATA_DIR", help="Where data survives between runs.", show_default=".local")
    ] = "",
    spec: Annotated[
        _Text, typer.Option(envvar="SPEC", help="A document to index: a file or a URL, also of a zip.")
    ] = "",
    entry: Annotated[
        _Text, typer.Option(envvar="ENTRY", help="Where SPEC is a zip: the file that the document begins in.")
    ] = "",
    workers: Annotated[_Text, typer.Option(envvar="WORKERS", help="How many embed workers.")] = "",
    embedding_provider: Annotated[_Text, typer.Option(envvar="EMBEDDING_PROVIDER", help="minilm or ollama.")] = "",
    embedding_model: Annotated[_Text, typer.Option(envvar="EMBEDDING_MODEL", help="The provider's model.")] = "",
    embedding_url: Annotated[_Text, typer.Option(envvar="EMBEDDING_URL", help="Where the provider listens.")] = "",
    embedding_query_timeout_seconds: Annotated[
        _Text,
        typer.Option(
            envvar="EMBEDDING_QUERY_TIMEOUT_SECONDS", help="How long the provider may take for a search query."
        ),
    ] = "",
    embed_timeout_seconds: Annotated[
        _Text, typer.Option(envvar="EMBED_TIMEOUT_SECONDS", help="How long one embed invocation may run.")
    ] = "",
    function_variable: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for every function: settings that are no parameter.")
    ] = None,
) -> None:
    """Run Opdex on this machine until Ctrl-C."""
    console = Console(highlight=False, soft_wrap=True)
    data_folder = Path(data_dir or PROJECT / ".local").expanduser().absolute()
    try:
        options = Options(
            port=_port(port or "8080"),
            data_folder=data_folder,
            parameters=_parameters(
                WORKERS=workers,
                EMBEDDING_PROVIDER=embedding_provider,
                EMBEDDING_MODEL=embedding_model,
                EMBEDDING_URL=embedding_url,
                EMBEDDING_QUERY_TIMEOUT_SECONDS=embedding_query_timeout_seconds,
                EMBED_TIMEOUT_SECONDS=embed_timeout_seconds,
            ),
            function_variables=dict(_assignment(text) for text in function_variable or ()),
        )
        document = read_document(spec, entry or None) if spec else None
        _end_in_order()
        _run(console, options, document)
    except LocalRunError as error:
        give_up(str(error))
    except OSError as error:  # the disk is full, a file belongs to another user
        give_up(f"{error}: make room or mend the rights there, or choose another DATA_DIR than {data_folder}.")
    except KeyboardInterrupt:
        console.print("\nStopped; the data is kept.")


def _run(console: Console, options: Options, document: Document | None) -> None:
    began = time.monotonic()
    with running(options, lambda step: console.print(f"[dim]{step} …[/dim]")) as system:
        try:
            _introduce(console, system, options, time.monotonic() - began, offer_example=document is None)
            if document is not None:
                paused = int(options.parameters.get("WORKERS", 1)) == 0
                Indexing(system.endpoint, document, system.watch, console).run(paused=paused)
            while True:
                system.watch()
                time.sleep(_WATCH_SECONDS)
        finally:
            for ending in _ENDINGS:
                signal.signal(ending, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running


def _end_in_order() -> None:
    for ending in _ENDINGS:
        # `nohup … &` has some ignored on purpose; SIGTERM is how such a run is ended.
        if ending == signal.SIGTERM or signal.getsignal(ending) is not signal.SIG_IGN:
            signal.signal(ending, signal.default_int_handler)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise LocalRunError(f"PORT takes a whole number from 1 to 65535, not '{text}'.")
    return int(text)


def _parameters(**given: str) -> dict[str, str]:
    chosen = {name: value for name, value in given.items() if value}
    # Refused now rather than in the middle of a deploy, which will know the database.
    parameter_values(read_template(TEMPLATE), {**chosen, "DATABASE_SECRET_ARN": _ANY_ARN})
    return chosen


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise LocalRunError(f"--function-variable takes NAME=VALUE, not '{text}'.")
    return name, value


def _introduce(console: Console, system: System, options: Options, seconds: float, *, offer_example: bool) -> None:
    endpoint = system.endpoint
    console.print(f"\n[bold green]Opdex is ready[/bold green] after {seconds:.1f} s. Ctrl-C ends it; the data is kept.")
    console.print(f"  Portal    {endpoint.url}/")
    console.print(f"  API key   {endpoint.api_key}")
    console.print(f"  Scripts   {options.data_folder / 'endpoint.json'}")
    if offer_example:
        console.print(f"  Index an example document:  make run SPEC={_EXAMPLE}")
    console.print(f"  Search    curl -H 'X-API-Key: {endpoint.api_key}' '{endpoint.url}/api/v1/admin/search?q=…'\n")
