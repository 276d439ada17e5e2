"""The command line. Data on stdout, progress and findings' counts on stderr; exit codes 0 ok, 1 findings or failure, 2 usage.

A command is imported when it is asked for: what the others need costs it nothing.
"""

import sys
from importlib import metadata
from pathlib import Path

from cyclopts import App as CommandLine

from runtime.commandline import FAILED, INTERRUPTED, OK, USAGE, Stop, err, language_here

COMMANDS = {  # where it stands, and what it does: in English, in Chinese
    "apply": ("release_command:apply_", "the checked files become the release that runs", "检查过的文件成为运行的版本"),
    "check": ("check_command:check", "all findings of all files, and their tests", "检查所有文件，并跑其中的测试"),
    "demo": ("demo_command:demo", "a small town lives 90 days with the journeys", "一个小镇带着这些旅程过 90 天"),
    "doctor": ("doctor_command:doctor", "try every channel without messaging anyone", "逐个试通道，不打扰任何人"),
    "explain": (
        "explain_command:explain",
        "one user's story, one message, or who entered a journey",
        "一个人的经过、一条消息，或谁进过某旅程",
    ),
    "graph": ("graph_command:graph", "a journey as a tree, Mermaid or SVG", "把旅程画成树、Mermaid 或 SVG"),
    "import": ("import_command:import_app", "users and their history from files", "从文件导入用户和历史"),
    "init": ("run_command:init", "a ready project folder", "建一个现成的项目目录"),
    "pause": ("pause_command:pause", "nobody in a journey takes a step; --resume goes on", "暂停旅程；--resume 继续"),
    "plan": ("release_command:plan", "what apply would change, for those inside, too", "应用后会变什么、里面的人会怎样"),
    "quarantine": ("quarantine_command:quarantine_app", "what was set aside and why; read it again", "隔离了什么、为什么；重新读入"),
    "rebuild": ("rebuild_command:rebuild", "profiles made anew from the kept events", "用保存的事件重算用户资料"),
    "releases": ("release_command:releases", "what was applied, by whom, when and why", "应用过什么，谁、何时、为何"),
    "run": ("run_command:run_", "the daemon", "守护进程"),
    "schema": ("schema_command:schema", "the JSON Schema for editors", "给编辑器用的 JSON Schema"),
    "send-test": ("doctor_command:send_test", "one message to one address", "给一个地址发一条"),
    "simulate": (
        "simulate_command:simulate_",
        "the past through the journeys: who would get what, at what cost",
        "让过去走一遍：谁会收到什么，花多少钱",
    ),
    "status": ("status_command:status", "what runs, who is inside, what was sent, what is stuck", "在跑什么，谁在里面，发了什么，卡在哪"),
}
ABOUT = ("Journeys of community group-buying users: files in, messages out.", "社区团购用户的旅程：文件进，消息出。")


def _command_line(about: str) -> CommandLine:
    return CommandLine(name="journeyd", help=about, version_flags=["--version"], version=lambda: metadata.version("journeyd"))


cli = _command_line(ABOUT[0])
for _name, (_function, *_) in COMMANDS.items():
    cli.command(f"runtime.{_function}", name=_name)


def _overview() -> CommandLine:
    """The list of the commands with a line for each, without importing any."""
    chinese = language_here(Path()) == "zh"
    listed = _command_line(ABOUT[chinese])
    for name, (function, *about) in COMMANDS.items():
        listed.command(f"runtime.{function}", name=name, help=about[chinese])
    return listed


def main() -> None:
    """Run the command line and exit with its code; nobody but a developer ever sees a traceback."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code."""
    try:
        command_line = _overview() if not arguments or arguments[0] in ("--help", "-h") else cli
        result = command_line(arguments, result_action="return_value", exit_on_error=False, print_error=True)
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


if __name__ == "__main__":
    main()
