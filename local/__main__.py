"""``python -m local``: the command behind ``make run``."""

import signal

if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a quiet end, until there is something that must be ended

    import typer

    from local.command_line import run

    typer.run(run)
