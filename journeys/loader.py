"""From files to models, with every finding of shape at its place. Names and flow come later, in `check`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from journeys.audience import AudienceModel
from journeys.codes.code import Words, words
from journeys.errors import Finding, Place
from journeys.expectations import found_of
from journeys.misshapen import report_shape
from journeys.model import Journey
from journeys.source import Source, decode_source, parse_source, read_source

AUDIENCE_FILE = "audience.yaml"
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class LoadedJourney:
    """A journey file: the model is None when the file's shape is wrong (see source.findings)."""

    source: Source
    journey: Journey | None


@dataclass(frozen=True)
class Definitions:
    """All files of a folder: the journeys in the order of their names, and the audience."""

    journeys: tuple[LoadedJourney, ...]
    audience: AudienceModel
    audience_source: Source
    findings: tuple[Finding, ...] = ()


def load_definitions(folder: Path) -> Definitions:
    """Every *.yaml of a folder. A missing audience.yaml is an empty audience; an unreadable file is a finding."""
    files = sorted(p for p in folder.glob("*.yaml") if p.name != AUDIENCE_FILE) if folder.is_dir() else []
    findings = [] if files else [Finding("J016", Place(str(folder)), {"found": str(folder)})]
    journeys = tuple(load_journey(path) for path in files)
    audience_path = folder / AUDIENCE_FILE
    audience, source = load_audience(audience_path) if audience_path.exists() else (AudienceModel(), Source(AUDIENCE_FILE, ""))
    return Definitions(journeys, audience, source, tuple(findings))


def load_journey(path: Path) -> LoadedJourney:
    """One journey file."""
    return _journey(read_source(path))


def load_journey_bytes(raw: bytes, file: str) -> LoadedJourney:
    """A journey from the bytes of its file."""
    return _journey(decode_source(raw, file))


def load_journey_text(text: str, file: str) -> LoadedJourney:
    """A journey from its text, as releases keep it."""
    return _journey(parse_source(text, file))


def _journey(source: Source) -> LoadedJourney:
    return LoadedJourney(
        source, _validate(Journey, source, words("a mapping of keys (id, name, entry, steps, …)", "一组键（id、name、entry、steps……）"))
    )


def load_audience(path: Path) -> tuple[AudienceModel, Source]:
    """The audience file; an empty model when its shape is wrong (see the source's findings)."""
    source = read_source(path)
    return _audience(source), source


def load_audience_bytes(raw: bytes, file: str) -> tuple[AudienceModel, Source]:
    """The audience from the bytes of its file."""
    source = decode_source(raw, file)
    return _audience(source), source


def load_audience_text(text: str, file: str = AUDIENCE_FILE) -> tuple[AudienceModel, Source]:
    """The audience from its text, as releases keep it."""
    source = parse_source(text, file)
    return _audience(source), source


def _audience(source: Source) -> AudienceModel:
    if source.data is None and not source.findings:
        return AudienceModel()
    return (
        _validate(
            AudienceModel, source, words("a mapping (events, traits, segments, lifecycle)", "一组键（events、traits、segments、lifecycle）")
        )
        or AudienceModel()
    )


def _validate(model: type[_Model], source: Source, expected: Words) -> _Model | None:
    if source.data is None:
        if not source.findings:
            source.report("J004", ())
        return None
    if not isinstance(source.data, dict):
        source.report("J009", (), expected=expected, found=found_of(source.data))
        return None
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        report_shape(model, source, error)
    return None
