"""`journeyd demo`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from runtime import show
from runtime.app import build_app
from runtime.applying import check_project
from runtime.clock import SystemClock
from runtime.commandline import FAILED, OK, Config, Json, Stop, err, print_json, project_of, url_of
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
    checked = check_project(project)
    if checked.errors:
        raise Stop(FAILED, show.word("demo_errors", language, folder=project.definitions, n=checked.errors))
    err.print(show.word("demo_with", language, n=len(checked.journeys), folder=project.definitions), markup=False)
    with show.progress(err, show.word("town", language), days) as advance:
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
        for user_id in lived.stories:
            story(out, whole_story(app, user_id, app.clock.now())[0], wording, most=14)
    finally:
        app.close()
    if vendors:
        vendors_table(out, lived, language)
    user = lived.stories[0] if lived.stories else "USER"
    commands = f"journeyd status --database {database}   journeyd explain {user} --database {database}   journeyd run --database {database}"
    out.print(show.word("demo_next", language, commands=commands), markup=False, soft_wrap=True)
    return code
