"""`init`: what stands in a new project, with which modes; the packaged project takes no posts."""

import json

import pytest

from runtime.applying import check_project
from runtime.intake.signature import decode_secret
from runtime.newproject import DEFINITIONS, ProjectExists, make_project, packaged_project
from runtime.settings import load_project


def test_a_new_project_has_everything_that_it_needs(tmp_path):
    folder = make_project(tmp_path / "deep" / "shop")

    assert sorted(p.name for p in folder.iterdir()) == [
        ".gitignore", "README.md", "audience.schema.json", "config.toml", "journey.schema.json", "journeys", "secrets",
    ]  # fmt: skip
    assert {p.name for p in (folder / "journeys").iterdir()} == {p.name for p in DEFINITIONS.glob("*.yaml")}
    assert json.loads((folder / "journey.schema.json").read_text())["properties"]["entry"]
    assert check_project(load_project(folder)).errors == 0


def test_the_secret_is_for_its_owner_alone_ignored_by_git_and_new_each_time(tmp_path):
    first, second = make_project(tmp_path / "a"), make_project(tmp_path / "b")

    secret = (first / "secrets" / "shop").read_text().strip()

    assert (first / "secrets").stat().st_mode & 0o777 == 0o700
    assert (first / "secrets" / "shop").stat().st_mode & 0o777 == 0o600
    assert {"secrets/", "data/"} <= set((first / ".gitignore").read_text().split())
    assert len(decode_secret(secret) or b"") == 32
    assert secret != (second / "secrets" / "shop").read_text().strip()


def test_every_file_names_its_schema(tmp_path):
    folder = make_project(tmp_path / "a")

    for file in (folder / "journeys").glob("*.yaml"):
        first = file.read_text().splitlines()[0]
        schema = first.removeprefix("# yaml-language-server: $schema=")
        assert (file.parent / schema).resolve().is_file(), first


def test_an_empty_folder_is_filled(tmp_path):
    assert make_project(tmp_path) == tmp_path


@pytest.mark.parametrize("kind", ["file", "folder with something"])
def test_what_is_there_is_never_touched(tmp_path, kind):
    target = tmp_path / "x"
    if kind == "file":
        target.write_text("mine")
    else:
        (target / "sub").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(ProjectExists, match="nothing was changed"):
        make_project(target)

    assert sorted(tmp_path.rglob("*")) == before


def test_nobody_can_post_to_the_packaged_project(tmp_path):
    project = packaged_project(tmp_path)

    assert project.settings.intake.sources == {}
    assert project.recording_file == tmp_path / "data" / "outbox.jsonl"
    assert len(check_project(project).journeys) == len(list(DEFINITIONS.glob("*.yaml"))) - 1
