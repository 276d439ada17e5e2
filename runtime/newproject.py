"""`init`: a ready project folder. And the packaged project, on which the demo runs without any folder."""

import base64
import os
import secrets
import shutil
from pathlib import Path

import orjson

import journeys
from journeys.schema import audience_schema, journey_schema
from runtime.settings import DefinitionsSection, Project, load_project

DEFINITIONS = Path(journeys.__file__).parent / "definitions"
TEMPLATE = Path(__file__).parent / "project"
SECRET_BYTES = 32


class ProjectExists(Exception):
    """The folder holds something already; nothing was changed in it."""


def make_project(folder: Path) -> Path:
    """Fill a new or empty folder: config.toml, secrets/shop (0600), journeys/, schemas, README.md, .gitignore."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        msg = f"{folder} is not empty; name a new folder (nothing was changed)"
        raise ProjectExists(msg)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config.toml", "README.md"):
        shutil.copyfile(TEMPLATE / name, folder / name)
    (folder / ".gitignore").write_text("data/\nsecrets/\n", encoding="utf-8")
    target = folder / "journeys"
    target.mkdir()
    for file in sorted(DEFINITIONS.glob("*.yaml")):
        schema = "audience.schema.json" if file.stem == "audience" else "journey.schema.json"
        head = f"# yaml-language-server: $schema=../{schema}\n"
        (target / file.name).write_text(head + file.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "journey.schema.json").write_bytes(orjson.dumps(journey_schema(), option=orjson.OPT_INDENT_2))
    (folder / "audience.schema.json").write_bytes(orjson.dumps(audience_schema(), option=orjson.OPT_INDENT_2))
    _write_secret(folder / "secrets" / "shop")
    return folder


def _write_secret(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret + "\n")


def packaged_project(folder: Path) -> Project:
    """The shipped config and journeys, with its data in `folder`; nobody can post to it."""
    settings = load_project(TEMPLATE).settings
    no_sources = settings.intake.model_copy(update={"sources": {}})
    definitions = DefinitionsSection(path=str(DEFINITIONS))
    return Project(settings.model_copy(update={"definitions": definitions, "intake": no_sources}), folder)
