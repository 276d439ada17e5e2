"""What every command shares: exit codes, options, how a project and its database are opened, how data is printed."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

if TYPE_CHECKING:
    from journeys.errors import Language
    from runtime.app import App
    from runtime.settings import Project

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
err = Console(stderr=True, soft_wrap=True, highlight=False)

A_RELEASE = Number(gte=1, lte=2**31 - 1)  # what a number of a release can be

Config = Annotated[Path, Parameter(name=["--config", "-c"], help="config.toml, or the folder it is in")]
DatabasePath = Annotated[str | None, Parameter(name="--database", help="another database than config's: a path or a URL")]
Map = Annotated[list[str] | None, Parameter(name="--map", negative=(), help="COLUMN=FIELD: the column is called so; repeatable")]
EventType = Annotated[str, Parameter(name="--type", help="of rows that have none: order_paid")]
Json = Annotated[bool, Parameter(name="--json", negative=(), help="print data as JSON")]


class Stop(Exception):
    """A command ends with an exit code after it has said why."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code, self.text = code, text


def names_of(mapped: list[str] | None) -> dict[str, str]:
    """What --map says, by column."""
    names: dict[str, str] = {}
    for text in mapped or ():
        column, found, name = text.rpartition("=")
        if not (found and column and name):
            raise Stop(USAGE, f"--map: expected COLUMN=FIELD, such as 订单号=order_id, found {text}")
        names[column] = name
    return names


def print_json(value: Any) -> None:
    """Data on stdout."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS  # names of columns are a subclass of str
    sys.stdout.write(orjson.dumps(value, option=options, default=str).decode() + "\n")


def project_of(config: Path, database: str | None = None) -> "Project":
    """The project of a config; with --database, and no config there, the packaged one."""
    from runtime.newproject import packaged_project
    from runtime.settings import load_project

    file = config / "config.toml" if config.is_dir() else config
    if database is not None and not file.exists():
        return packaged_project(Path.cwd())
    return load_project(config)


def language_here(config: Path) -> "Language":
    """The language of a project's texts; without a project the locale's."""
    import os

    from runtime.settings import ConfigError, load_project
    from runtime.texts import language_of

    try:
        return load_project(config).language()
    except ConfigError:
        return language_of(os.environ)


def url_of(database: str | None) -> str | None:
    """The URL of --database, where it is given."""
    if database is None or "://" in database:
        return database
    return f"sqlite:///{Path(database).absolute()}"


def next_command(text: str, config: Path, database: str | None) -> str:
    """A command to type next: `text` with the options that told this one its project and database."""
    options = [*(["--config", str(config)] if config != Path() else []), *(["--database", database] if database is not None else [])]
    return " ".join([text, *map(shlex.quote, options)])


def require_database(project: "Project", url: str | None, *, own_is_made: bool = False) -> None:
    """Raises Stop where there is no database, with what makes one.

    A command that makes the project's own (`own_is_made`) is stopped only where --database names another that is not there: a name
    typed wrong would publish, or take events, where nobody looks.
    """
    if is_there(project, url) or (own_is_made and url in (None, project.database_url)):
        return
    demo = "; the demo's is there: --database data/demo.db" if Path("data/demo.db").exists() else ", `journeyd demo` one to look at"
    made = f"`journeyd apply` or `journeyd run` makes one{demo}"
    if url in (None, project.database_url):
        raise Stop(FAILED, f"{_path(project, url)}: there is no database yet; {made}")
    raise Stop(
        FAILED,
        f"{_path(project, url)}: there is no such database, and --database makes none; without it, the project's own is taken"
        f" ({_path(project, None)}): {made}",
    )


def _path(project: "Project", url: str | None) -> str:
    return (url or project.database_url).removeprefix("sqlite:///")


def is_there(project: "Project", url: str | None) -> bool:
    """Whether the database exists; of a server's it is known when it is asked."""
    path = _path(project, url)
    return "://" in path or Path(path).exists()


def reading_app(config: Path, database: str | None) -> "App":
    """The project with its database, to read beside a daemon. Raises Stop when there is none yet."""
    from runtime.app import build_app

    project = project_of(config, database)
    url = url_of(database)
    require_database(project, url)
    return build_app(project, "reading", url=url)
