"""`journeyd rebuild`."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from runtime import show
from runtime.app import build_app
from runtime.commandline import (
    FAILED,
    INTERRUPTED,
    OK,
    Config,
    DatabasePath,
    Json,
    Stop,
    err,
    print_json,
    project_of,
    require_database,
    url_of,
)
from runtime.control import ask, socket_path
from runtime.rebuilding import Ask, Rebuilt, go_through, one_chunk
from runtime.settings import Project


def rebuild(
    *, user: Annotated[str, Parameter(help="only this user")] = "",
    check: Annotated[bool, Parameter(negative=(), help="only compare; exit code 1 when anything differs")] = False,
    after: Annotated[str, Parameter(help="go on after this user id")] = "",
    config: Config = Path(), database: DatabasePath = None, json: Json = False,
) -> int:  # fmt: skip
    """Make the aggregates and windows of all users anew from the kept events; values and tags stay. Nobody enters by it.

    Also beside a running daemon. A release that changes what a trait means needs no rebuild: the engine does it by itself.
    """
    project = project_of(config, database)
    language, rebuilt = project.language(), Rebuilt(after=after)
    try:
        with show.progress(err, show.word("rebuild", language), None) as bar, _rebuilder(project, url_of(database)) as ask_chunk:
            problem = go_through(rebuilt, ask_chunk, {"user": user, "check": check}, bar)
    except KeyboardInterrupt:
        problem = ""
    if not rebuilt.done:
        command = shlex.join(["journeyd", "rebuild", *(["--check"] if check else []), "--after", rebuilt.after])
        raise Stop(FAILED if problem else INTERRUPTED, "\n".join(filter(None, [problem, show.word("go_on", language, command=command)])))
    if user and not rebuilt.users:
        raise Stop(FAILED, show.word("unknown_user", language, user=user))
    if json:
        print_json({name: value for name, value in asdict(rebuilt).items() if name != "done"})
    else:
        show.differences(Console(highlight=False, soft_wrap=True), rebuilt.differences, rebuilt.unreadable, language)
        counts = {"users": rebuilt.users, "differing": rebuilt.differing, "renewed": rebuilt.renewed}
        sys.stdout.write(show.word("compared" if check else "rebuilt", language, **counts) + "\n")
    return FAILED if rebuilt.unreadable or (check and rebuilt.differing) else OK


@contextmanager
def _rebuilder(project: Project, url: str | None) -> Iterator[Ask]:
    """Who works off a chunk: the daemon that holds the SQLite file, else this process, which then holds it."""
    path = socket_path(url or project.database_url)
    require_database(project, url)
    if path is not None and ask(path, {"command": "hello"}) is not None:
        gone = {"error": "the daemon has stopped"}
        yield lambda request: ask(path, request) or gone
        return
    app = build_app(project, "daemon", url=url, channels={})
    try:
        yield lambda request: one_chunk(app.engine, request, app.clock.now())
    finally:
        app.close()
