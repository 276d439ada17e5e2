"""`journeyd graph`: a journey as a tree, as Mermaid or as SVG, with how many are inside each step now."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from journeys.check import Checked
from journeys.compiled import CompiledJourney
from journeys.diagram import Counts, Diagram, diagram
from journeys.drawing import svg
from journeys.errors import Finding, Language, did_you_mean
from journeys.labels import entry_lines
from journeys.localtime import print_instant
from journeys.mermaid import mermaid
from journeys.outline import as_text, outline
from runtime import show
from runtime.app import App
from runtime.applying import check_project
from runtime.commandline import FAILED, OK, USAGE, Config, DatabasePath, Json, Stop, err, print_json, project_of, reading_app
from runtime.settings import Project
from runtime.store import StoreError
from runtime.whereabouts import Whereabouts, whereabouts_of

Form = Literal["tree", "mermaid", "svg"]
ENDINGS: dict[str, Form] = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".txt": "tree"}
SHOWN_FINDINGS = 3
STYLES = {
    "title": "bold", "name": "bold", "quiet": "dim", "guide": "dim", "label": "italic", "number": "bold cyan", "entry": "green",
    "send": "blue", "delay": "yellow", "wait_for": "dark_orange", "branch": "magenta", "split": "magenta", "grant": "red",
    "update": "cyan", "call": "cyan", "goto": "dim", "exit": "dim", "end": "dim",
}  # fmt: skip


@dataclass(frozen=True)
class Sources:
    """The journeys (of the files, or as applied), what is wrong with others, and who is inside: how many each, or where in the one."""

    project: Project
    journeys: Mapping[str, CompiledJourney]
    wrong: Mapping[str, list[Finding]]  # errors by the journey's id, where a file has some
    paused: Mapping[str, str]  # since when, by journey
    inside: Mapping[str, int] | None = None
    whereabouts: Whereabouts | None = None
    release: int = 0
    broken: Mapping[str, str] = field(default_factory=dict)  # applied versions that do not compile any more, and why


def graph(
    journey: str | None = None, *,
    as_: Annotated[Form | None, Parameter(name="--as", help="default: by the ending of --output (.svg, .mmd, .txt), else the tree")] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], help="a file instead of stdout")] = None,
    applied: Annotated[bool, Parameter(negative=(), help="the version that runs, not the file")] = False,
    counts: Annotated[bool, Parameter(help="how many are inside each step now, where there is a database")] = True,
    config: Config = Path(), database: DatabasePath = None, json: Json = False,
) -> int:  # fmt: skip
    """A journey as a picture: a tree in the terminal, Mermaid, or SVG. Without JOURNEY: all journeys, one line each.

    Where a database is, the numbers say how many users are inside each step now, over all versions of the journey.
    """
    if json and (as_ is not None or output is not None):
        raise Stop(USAGE, "--json is a form of its own: leave out --as and --output (`> FILE` keeps it)")
    if journey is None and (as_ is not None or output is not None):
        raise Stop(USAGE, "--as and --output draw one journey: which? `journeyd graph` lists them")
    form = as_ or _form_of(output)
    sources = _sources(config, database, journey, applied=applied, counts=counts)
    language = sources.project.language()
    if journey is None:
        return _overview(sources, language, json=json)
    compiled = _one(sources, journey, applied=applied)
    where = sources.whereabouts
    numbers = Counts(where.by_step(compiled), {}, "inside", sources.paused.get(compiled.id, "")) if where is not None else None
    if json:
        print_json(_as_json(compiled, numbers, sources))
        return OK
    console = show.paper()
    if form == "tree" and output is None and console.is_terminal:
        for row in outline(compiled, numbers, language=language, width=console.width):
            console.print(Text.assemble(*((span.text, STYLES.get(span.style, "")) for span in row)), soft_wrap=True)
        return OK
    if form == "tree":
        text = as_text(outline(compiled, numbers, language=language))
    else:
        text = (svg if form == "svg" else mermaid)(compiled, numbers, language=language)
    _write(text, output)
    return OK


def _form_of(output: Path | None) -> Form:
    if output is None:
        return "tree"
    form = ENDINGS.get(output.suffix.lower())
    if form is None:
        raise Stop(USAGE, f"--output: expected a name that ends in {', '.join(ENDINGS)}, found {output}; or say --as")
    return form


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
        return
    half = output.with_name(output.name + ".part")
    try:
        half.write_text(text, encoding="utf-8")
        os.replace(half, output)  # noqa: PTH105 - a viewer that has the old file open never sees half of a new one
    except OSError as error:
        raise Stop(FAILED, f"{output}: cannot be written: {error.strerror}") from None


def _sources(config: Path, database: str | None, journey: str | None, *, applied: bool, counts: bool) -> Sources:
    """The project's journeys with the numbers. Without a database there are none, unless one was asked for by name or by --applied."""
    project = project_of(config, database)
    app: App | None = None
    if applied or counts:
        try:
            app = reading_app(config, database)
        except (Stop, StoreError) as error:
            if applied or database is not None:
                raise
            if isinstance(error, StoreError):
                err.print(show.word("graph_no_counts", project.language(), why=str(error)), markup=False)
    if app is None:
        return _of_files(project, {})
    try:
        with app.store.database.reading() as tx:
            inside, whereabouts = app.store.reports.inside(tx) if counts and journey is None else None, None
            if counts and journey is not None:
                whereabouts = whereabouts_of(app.store, tx, journey, app.engine.catalogue.release_id, app.clock.now())
            paused = {p.journey: print_instant(p.paused_at, project.zone) for p in app.store.movements.paused(tx)}
            release = app.store.releases.current(tx) if applied else None
        catalogue = app.engine.catalogue
    finally:
        app.close()
    if not applied:
        return _of_files(project, paused, inside, whereabouts)
    if release is None:
        raise Stop(FAILED, show.word("graph_no_release", project.language()))
    journeys = {identifier: versioned.journey for identifier, versioned in catalogue.current.items()}
    broken = {version.journey: catalogue.broken[version.id] for version in release.versions if version.id in catalogue.broken}
    return Sources(project, journeys, {}, paused, inside, whereabouts, release.id, broken)


def _of_files(
    project: Project, paused: Mapping[str, str], inside: Mapping[str, int] | None = None, whereabouts: Whereabouts | None = None
) -> Sources:
    checked = check_project(project)
    return Sources(project, checked.journeys, _wrong(checked), paused, inside, whereabouts)


def _wrong(checked: Checked) -> dict[str, list[Finding]]:
    """The errors of each file, by the id of its journey: by the file's name where it is too wrong to have one."""
    ids = {source.file: identifier for identifier, source in checked.sources.items()}
    found: dict[str, list[Finding]] = {}
    for finding in checked.findings:
        if finding.severity == "error":
            found.setdefault(ids.get(finding.place.file, Path(finding.place.file).stem), []).append(finding)
    return {identifier: findings for identifier, findings in found.items() if identifier not in checked.journeys}


def _one(sources: Sources, journey: str, *, applied: bool) -> CompiledJourney:
    compiled = sources.journeys.get(journey)
    if compiled is not None:
        return compiled
    language = sources.project.language()
    wrong = sources.wrong.get(journey, [])
    if wrong:
        lines = [finding.line(language) for finding in wrong[:SHOWN_FINDINGS]]
        more = len(wrong) - len(lines)
        lines += [show.word("graph_more_findings", language, n=more)] if more else []
        raise Stop(FAILED, "\n".join([show.word("graph_wrong", language, journey=journey), *lines]))
    if journey in sources.broken:
        words = {"journey": journey, "release": sources.release, "why": sources.broken[journey]}
        raise Stop(FAILED, show.word("graph_broken", language, **words))
    hint = did_you_mean(journey, [*sources.journeys, *sources.wrong])
    text = show.word("graph_not_applied" if applied else "graph_unknown", language, journey=journey, release=sources.release)
    raise Stop(FAILED, text + (show.word("graph_hint", language, hint=hint) if hint else ""))


def _overview(sources: Sources, language: Language, *, json: bool) -> int:
    rows = [_row(sources, identifier) for identifier in sorted({*sources.journeys, *sources.wrong})]
    if json:
        print_json(rows)
        return OK
    table = Table(box=None, pad_edge=False)
    for key in ("journey", "graph_name", "state", "graph_entry"):
        table.add_column(show.word(key, language), overflow="fold")
    for key in ("graph_steps", *(["inside"] if sources.inside is not None else [])):
        table.add_column(show.word(key, language), justify="right", no_wrap=True)
    for row in rows:
        entry = Text(show.word("graph_errors", language, n=row["errors"]), "red")
        if not row["errors"]:
            entry = Text(entry_lines(sources.journeys[row["journey"]], language)[0])
        numbers = [f"{row[key]:,}" if row[key] is not None else "" for key in ("steps", "inside")]
        table.add_row(Text(row["journey"], "bold"), Text(row["name"]), _status(row, language), entry, *numbers[: len(table.columns) - 4])
    show.paper().print(table)
    return OK


def _status(row: Mapping[str, Any], language: Language) -> str:
    return f"{row['status']}, {show.word('graph_paused', language)}" if row["paused"] else row["status"]


def _row(sources: Sources, identifier: str) -> dict[str, Any]:
    journey = sources.journeys.get(identifier)
    inside = sources.inside.get(identifier, 0) if sources.inside is not None else None
    row: dict[str, Any] = {"journey": identifier, "name": "", "status": "", "entry": "", "steps": None, "inside": inside}
    row["paused"] = sources.paused.get(identifier)
    if journey is not None:
        row |= {
            "name": journey.journey.name,
            "status": journey.journey.status,
            "entry": entry_lines(journey, "en")[0],
            "steps": len(journey.steps),
        }
    return row | {"errors": len(sources.wrong.get(identifier, []))}


def _as_json(journey: CompiledJourney, counts: Counts | None, sources: Sources) -> dict[str, Any]:
    picture: Diagram = diagram(journey, counts)
    inside = dict(counts.steps) if counts is not None else None
    body: dict[str, Any] = {
        "journey": picture.id, "name": picture.name, "status": picture.status,
        "paused": sources.paused.get(picture.id), "digest": journey.digest, "release": sources.release or None,
        "nodes": [
            {"id": node.id, "kind": node.kind, "lines": [line.text for line in node.lines],
             "inside": inside.get(node.id, 0) if inside is not None and node.id in journey.steps else None,
             "line": journey.steps[node.id].line if node.id in journey.steps else None}
            for node in picture.nodes.values()
        ],
        "edges": [
            {"from": edge.source, "to": edge.target,
             "moves": [{"trigger": move.trigger, "label": move.label.replace("\u00a0", " ")} for move in edge.moves]}
            for edge in picture.edges
        ],
    }  # fmt: skip
    if inside is not None:
        body["held_out"] = inside.get("$held_out", 0)
        body["gone"] = {step: n for step, n in inside.items() if step not in journey.steps and not step.startswith("$")}
    return body
