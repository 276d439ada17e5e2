"""`journeyd doctor` and `journeyd send-test`: whether the channels work."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from channels.message import Accepted
from runtime import show
from runtime.clock import SystemClock
from runtime.commandline import FAILED, OK, Config, DatabasePath, Json, Stop, err, print_json, project_of, reading_app
from runtime.doctor import Examined, examine_channels, examine_store
from runtime.sendtest import send_one, told
from runtime.settings import load_project
from runtime.store import StoreError


def doctor(*, config: Config = Path(), database: DatabasePath = None, json: Json = False) -> int:
    """Try every channel's credentials and settings without messaging anyone; look at database, clock and stuck enrolments."""
    project = project_of(config, database)
    clock = SystemClock()
    with show.spinner(err, "doctor") as said:
        found: list[Examined] = []
        for thing in examine_channels(project, clock):
            said(thing.where)
            found.append(thing)
    try:
        app = reading_app(config, database)
    except (Stop, StoreError) as error:
        none_yet = isinstance(error, Stop)  # no fault: a new project has none
        text = error.text if isinstance(error, Stop) else str(error)
        found.append(Examined("database", "open", ok=none_yet, found=text))
    else:
        found += examine_store(app.store, app.engine, project, clock.now())
        app.close()
    if json:
        print_json([asdict(thing) for thing in found])
    else:
        show.examined(Console(highlight=False, soft_wrap=True), found)
    return OK if all(thing.ok for thing in found) else FAILED


def send_test(
    channel: str, address: str, *, template: str | None = None,
    text: Annotated[str, Parameter(help="of a push, WeCom message or e-mail")] = "journeyd: 测试 / test",
    data: Annotated[dict[str, str] | None, Parameter(help="template fields: --data.title 您好 --data.note 测试")] = None,
    config: Config = Path(), json: Json = False,
) -> int:  # fmt: skip
    """Send one message to one address through a channel's adapter, past the ledger: to see that it arrives. Yours, please.

    CHANNEL: wechat, sms, push, wecom, email, or robot:NAME. ADDRESS: an openid, a phone, a registration id, a member, an e-mail
    address; for a robot its name.
    """
    project = load_project(config)
    outcome = send_one(project, channel, address, template, text, data or {}, SystemClock())
    if json:
        print_json({"outcome": type(outcome).__name__, **{k: v for k, v in asdict(outcome).items() if v not in ("", {}, None)}})
    else:
        show.paper().print(told(outcome), markup=False)
    return OK if isinstance(outcome, Accepted) else FAILED
