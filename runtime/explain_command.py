"""`journeyd explain`."""

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from journeys.errors import did_you_mean
from journeys.values import clean_text, parse_time
from runtime.app import App
from runtime.commandline import (
    FAILED,
    OK,
    USAGE,
    Config,
    DatabasePath,
    Json,
    Stop,
    err,
    language_here,
    next_command,
    print_json,
    reading_app,
)
from runtime.enquiring import trace, trace_json, whole_story, why_not, why_not_json
from runtime.explain import as_json, nothing_of, only
from runtime.finding import Meant, meant_by
from runtime.places import Places
from runtime.show import paper, word
from runtime.show_entrants import entrants, entrants_json
from runtime.show_message import message
from runtime.show_story import MOST_LINES, notes, story
from runtime.show_whynot import why_not_shown
from runtime.wording import Wording

WhyNotFlag = Annotated[bool, Parameter(name="--why-not", negative=(), help="why this user is not in JOURNEY, or got nothing by it")]
All = Annotated[bool, Parameter(name="--all", negative=(), help="every line of a long story")]
Since = Annotated[str | None, Parameter(name="--since", help="from a day or time on, such as 2026-12-01")]
MOST_ENTRANTS = 20
JourneyOption = Annotated[str | None, Parameter(name=["--journey", "-j"], help="this journey only")]


def explain(  # noqa: PLR0913 - its options
    who: str | None = None, journey: str | None = None, /, *, journey_: JourneyOption = None,
    why_not: WhyNotFlag = False, since: Since = None,
    all_: All = False, config: Config = Path(), database: DatabasePath = None, json: Json = False,
) -> int:  # fmt: skip
    """One user's whole story: entries, refusals, branches, messages, with the clause and the values then; or one message's.

    WHO: a user's id or a former one, a phone, openid, unionid or other identity; or a message: its key, the key that a vendor was
    given, the vendor's own id. JOURNEY: that journey only; without WHO (--journey): those who entered it, the newest first. With
    --why-not: why this user never entered JOURNEY, or got nothing by it, clause by clause, with what would have to change. Addresses
    are shown with their ends only; --json has them whole.
    """
    if who is None and journey_ is None:
        raise Stop(USAGE, word("whose_story", language_here(config)))
    app = reading_app(config, database)
    try:
        explaining = _Explaining(app, lambda text: next_command(text, config, database), json=json)
        if who is None:
            if why_not:
                raise Stop(USAGE, explaining.wording("why_not_what"))
            return explaining.entrants(journey_ or "", since, most=None if all_ or json else MOST_ENTRANTS)
        return explaining.run(clean_text(who), journey, journey_, why_not=why_not, since=since, most=None if all_ else MOST_LINES)
    finally:
        app.close()


class _Explaining:
    """One question to one database."""

    def __init__(self, app: App, next_command: Callable[[str], str], *, json: bool) -> None:
        self.app, self.next_command, self.json, self.now = app, next_command, json, app.clock.now()
        self.wording = wording_of(app)

    def run(self, who: str, journey: str | None, option: str | None, *, why_not: bool, since: str | None, most: int | None) -> int:
        """The exit code."""
        if journey and option and journey != option:
            raise Stop(USAGE, self.wording("one_of", first=journey, second=option))
        wanted = journey or option or ""
        if why_not and not wanted:
            raise Stop(USAGE, self.wording("why_not_what"))
        if why_not and since is not None:
            raise Stop(USAGE, self.wording("since_whole"))
        instant = self._since(since)
        if wanted:
            self._known_journey(wanted)
        meant = meant_by(self.app.store, who)
        if meant.messages:
            if wanted or since is not None:
                raise Stop(USAGE, self.wording("only_messages", asked=who))
            return self._messages(meant.messages)
        if not meant.user_id:
            if self.json:
                print_json({**as_json(nothing_of(who), self.app.project.zone), "found_by": meant.by, "alike": meant.alike})
            raise Stop(FAILED, self._nobody(meant))
        if meant.by not in ("id", "former"):
            by = self.wording(f"by_{meant.by}") if meant.by == "beginning" else meant.by
            err.print(self.wording("found_by", asked=who, by=by, user=meant.user_id), markup=False)
        return self._why_not(meant, wanted) if why_not else self._story(meant, wanted, instant, most)

    def entrants(self, journey: str, since: str | None, most: int | None) -> int:
        """Those who entered a journey."""
        self._known_journey(journey)
        instant = self._since(since) or 0
        with self.app.store.database.reading() as tx:
            found, n = self.app.store.enquiries.entrants(tx, journey, instant, most)
            pause = next((pause for pause in self.app.store.movements.paused(tx) if pause.journey == journey), None)
        if self.json:
            print_json(entrants_json(journey, found, n, self.app.project.zone, pause))
        else:
            entrants(paper(), journey, found, n, self.wording, pause)
        return OK

    def _story(self, meant: Meant, journey: str, since: int | None, most: int | None) -> int:
        whole, present = whole_story(self.app, meant.user_id, self.now)
        never_in = ""
        if journey and not only(whole, journey).chapters:
            command = self.next_command(f"journeyd explain {shlex.quote(meant.user_id)} {journey} --why-not")
            never_in = self.wording("never_in", journey=journey, command=command)
        whole = replace(only(whole, journey, since), asked=meant.asked, by=meant.by)
        if self.json:
            print_json(as_json(whole, self.app.project.zone))
            return OK
        console = paper()
        wording = self._on_clock_of(present)
        story(console, whole, wording, most, never_in)
        notes(console, present, wording)
        return OK

    def _why_not(self, meant: Meant, journey: str) -> int:
        answer = why_not(self.app, meant.user_id, journey, self.now)
        if self.json:
            print_json({**why_not_json(answer, self.app.project.zone), "asked": meant.asked, "found_by": meant.by})
            return OK
        why_not_shown(paper(), answer, self._on_clock_of(answer.present), self.now)
        return OK

    def _messages(self, keys: list[str]) -> int:
        traced = [trace(self.app, key, self.now) for key in keys]
        if self.json:
            told = [trace_json(one, self.app.project.zone) for one in traced]
            print_json(told[0] if len(told) == 1 else told)
            return OK
        console = paper()
        for one in traced:
            message(console, one, replace(self.wording, zone=one.zone))
        return OK

    def _on_clock_of(self, present: object) -> Wording:
        zone = present.user.zone if present is not None else self.wording.zone  # type: ignore[attr-defined]
        return replace(self.wording, zone=zone)

    def _known_journey(self, journey: str) -> None:
        with self.app.store.database.reading() as tx:
            known = self.app.store.enquiries.journeys(tx)
        if journey not in known and (self.app.project.definitions / f"{journey}.yaml").is_file():
            raise Stop(FAILED, self.wording("not_applied", journey=journey))
        if journey not in known:
            named = [id_ for id_, current in self.app.engine.catalogue.current.items() if current.journey.journey.name == journey]
            near = next(iter(named), "") or did_you_mean(journey, known)
            raise Stop(FAILED, self.wording("unknown_journey", journey=journey, hint=self.wording("hint", near=near) if near else ""))

    def _nobody(self, meant: Meant) -> str:
        alike = self.wording.listed(meant.alike)
        if not meant.alike:
            return self.wording("unknown", asked=meant.asked)
        return self.wording("shared" if meant.by else "ambiguous", asked=meant.asked, by=meant.by, alike=alike)

    def _since(self, text: str | None) -> int | None:
        if text is None:
            return None
        instant = parse_time(text, self.app.project.zone) if not text.isdigit() else None
        if instant is None:
            raise Stop(USAGE, self.wording("bad_since", found=text))
        return instant


def wording_of(app: App) -> Wording:
    """How things are said in a project: its language and zone, the types of its traits, the names of its segments and stages."""
    audience = app.engine.catalogue.audience
    kinds = {name: trait.kind for name, trait in audience.traits.items()}
    stages = Places(app.store, app.engine.catalogue).stage_names(app.clock.now())
    return Wording(app.project.language(), app.project.zone, kinds, audience.segment_names, stages)
