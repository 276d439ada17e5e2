"""`journeyd demo`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from runtime import show
from runtime.app import build_app
from runtime.applying import check_project
from runtime.clock import SystemClock
from runtime.commandline import FAILED, OK, USAGE, Config, Json, Stop, err, next_command, print_json, project_of, url_of
from runtime.demo import live, vendors_table
from runtime.enquiring import whole_story
from runtime.explain_command import wording_of
from runtime.newproject import packaged_project
from runtime.show_story import story


def demo(
    *, days: int = 90, database: str = "data/demo.db", config: Config = Path(),
    vendors: Annotated[bool, Parameter(negative=(), help="every message goes to stand-ins of the vendors on 127.0.0.1")] = False,
    json: Json = False,
) -> int:  # fmt: skip
    """Let a small town live 90 days in virtual time, ending now, through the real engine, with the journeys of the project.

    Where there is no config.toml, with the journeys that come with journeyd. Leaves data/demo.db, on which status, plan, explain and
    run work (--database data/demo.db). With --vendors the shipped journeys run, their messages go through the real adapters, and what
    the vendors' stand-ins took is compared with the ledger: exit code 1 when they contradict each other.
    """
    # the stand-ins know the templates and coupons of the shipped config
    project = packaged_project(Path.cwd()) if vendors else project_of(config, database)
    language = project.language()
    if Path(database).exists() and url_of(database) == project.database_url:
        raise Stop(USAGE, show.word("demo_own", language, database=database))
    checked = check_project(project)
    if checked.errors:
        first = next(finding for finding in checked.findings if finding.severity == "error").line(language)
        raise Stop(FAILED, show.word("demo_errors", language, folder=project.definitions, n=checked.errors, first=first))
    file = config / "config.toml" if config.is_dir() else config
    whose = "demo_vendors" if vendors else "demo_with" if file.exists() else "demo_shipped"
    err.print(show.word(whose, language, n=len(checked.journeys), folder=project.definitions, file=file), markup=False)
    with show.progress(err, show.word("town", language, days=days), days) as advance:
        lived = live(project, checked, Path(database), SystemClock().now(), advance, days, vendors=vendors)
    code = OK if lived.audit is None or lived.audit.clean else FAILED
    if json:
        print_json(lived.as_json())
        return code
    out = show.paper()
    show.journeys_table(out, lived.journeys, language)
    app = build_app(project, url=url_of(database))
    try:
        wording = wording_of(app)
        for user_id in lived.stories[:1]:
            story(out, whole_story(app, user_id, app.clock.now())[0], wording, most=14)
    finally:
        app.close()
    if vendors:
        vendors_table(out, lived, language)
    others = [f"explain {user}" for user in lived.stories[1:] or ("USER",)]
    commands = [next_command(f"journeyd {what}", config, database) for what in ("status", *others, "run")]
    out.print(show.word("demo_next", language, commands="   ".join(commands)), markup=False, soft_wrap=True)
    return code
