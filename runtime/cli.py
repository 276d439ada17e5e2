"""The command line. Data on stdout, progress and findings' counts on stderr; exit codes 0 ok, 1 findings or failure, 2 usage.

A command is imported when it is asked for: what the others need costs it nothing.
"""

import sys
from importlib import metadata

from cyclopts import App as CommandLine

from runtime.commandline import FAILED, INTERRUPTED, OK, USAGE, Stop, err

COMMANDS = {
    "apply": "release_command:apply_",
    "check": "check_command:check",
    "demo": "demo_command:demo",
    "doctor": "doctor_command:doctor",
    "explain": "explain_command:explain",
    "graph": "graph_command:graph",
    "import": "import_command:import_app",
    "init": "run_command:init",
    "pause": "pause_command:pause",
    "plan": "release_command:plan",
    "quarantine": "quarantine_command:quarantine_app",
    "rebuild": "rebuild_command:rebuild",
    "releases": "release_command:releases",
    "run": "run_command:run_",
    "schema": "schema_command:schema",
    "send-test": "doctor_command:send_test",
    "simulate": "simulate_command:simulate_",
    "status": "status_command:status",
}

cli = CommandLine(
    name="journeyd",
    help="Journeys of community group-buying users: files in, messages out.",
    version_flags=["--version"],
    version=lambda: metadata.version("journeyd"),
)
for _name, _function in COMMANDS.items():
    cli.command(f"runtime.{_function}", name=_name)


def main() -> None:
    """Run the command line and exit with its code; nobody but a developer ever sees a traceback."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code."""
    try:
        result = cli(arguments, result_action="return_value", exit_on_error=False, print_error=True)
    except Stop as stop:
        if stop.text:
            err.print(stop.text, markup=False)
        return stop.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED
    except Exception as error:
        if type(error).__module__.startswith("cyclopts"):
            return USAGE
        if isinstance(error, _sayable()):
            err.print(str(error), markup=False)
            return FAILED
        raise
    return result if isinstance(result, int) else OK


def _sayable() -> tuple[type[Exception], ...]:
    """The errors whose message says everything; asked for when there is one."""
    from runtime.control import NoAnswer
    from runtime.newproject import ProjectExists
    from runtime.settings import ConfigError
    from runtime.simulate import CannotSimulate
    from runtime.store import StoreError

    return ConfigError, StoreError, CannotSimulate, ProjectExists, NoAnswer
