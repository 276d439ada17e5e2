"""`journeyd graph`: the forms, where they go, whose version is drawn, the numbers, and what is said when nothing can be drawn."""

import contextlib
import json
import os
import re
import subprocess
from xml.etree import ElementTree as ET

import pytest

from runtime.app import build_app
from runtime.applying import Applied, Asked, apply, check_project
from runtime.settings import load_project
from tests.e2e.running import JOURNEYD, surroundings
from tests.shop import HELLO, Shop, make_folder, write_journeys
from tests.town import journey_text

WAITS = journey_text(
    "- id: pause\n  delay: 3d\n- id: tell\n  send: [{push: {title: T, body: 你好}}]", id="waits", entry="{event: app_opened}"
)
SHORTER = WAITS.replace("id: pause", "id: rest\n    was: pause").replace("3d", "2d")
WRONG = journey_text("- id: a\n  if: user.citty == 'x'\n  goto: {step: nowhere}\n- id: b\n  exot: x", id="wrong")
SHAPELESS = "id: shapeless\nsteps: 3\n"


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "shop", HELLO, WAITS)


@pytest.fixture
def lived_in(tmp_path):
    """Three users stand in `waits` at `pause`."""
    shop = Shop(tmp_path / "shop", HELLO, WAITS)
    shop.welcome("u1", "u2", "u3")
    shop.post([{"id": f"e{n}", "type": "app_opened", "user_id": f"u{n}"} for n in (1, 2, 3)])
    shop.settle()
    shop.close()
    return shop.folder


def test_the_tree_is_the_default(call, folder):
    assert call("graph", "waits", "--config", folder) == (
        0,
        "J · waits\nentry event app_opened; once for each user\n├─ delay pause  3d\n├─ send  tell   push “T / 你好”\n└─ end completed\n",
        "",
    )


def test_a_terminal_gets_colours_and_rows_as_wide_as_it_is(folder):
    text = WAITS.replace("send:", f"if: {' or '.join(f'user.points == {n}' for n in range(8))}\n    send:")
    write_journeys(folder, text)

    shown = in_terminal("graph", "waits", folder=folder, columns=60)

    assert "\x1b[" in shown
    rows = re.sub(r"\x1b\[[\d;]*m", "", shown).splitlines()
    assert all(len(row) <= 60 for row in rows)
    assert rows[3].startswith("├─ send  tell   if user.points == 0 or")
    assert rows[4].startswith("│               user.points ==")


def in_terminal(*arguments, folder, columns):
    """What a command shows on a terminal of this width."""
    ours, theirs = os.openpty()
    surrounding = surroundings({"COLUMNS": str(columns), "TERM": "xterm-256color"})
    with subprocess.Popen([*JOURNEYD, *arguments], cwd=folder, env=surrounding, stdout=theirs, stdin=theirs) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # Linux says so when the other end is closed
            while part := os.read(ours, 65536):
                shown += part
    os.close(ours)
    assert process.returncode == 0
    return shown.decode()


def test_mermaid_and_svg_go_to_stdout_for_pipes(call, folder):
    mermaid = call("graph", "hello", "--as", "mermaid", "--config", folder)
    svg = call("graph", "hello", "--as", "svg", "--config", folder)

    assert (mermaid[0], mermaid[1].startswith("stateDiagram-v2\n")) == (0, True)
    assert (svg[0], ET.fromstring(svg[1]).tag) == (0, "{http://www.w3.org/2000/svg}svg")


@pytest.mark.parametrize(("name", "begins"), [("x.svg", "<svg "), ("x.mmd", "stateDiagram-v2"), ("x.SVG", "<svg "), ("x.txt", "J · hello")])
def test_the_form_follows_the_ending_of_the_output(call, folder, tmp_path, name, begins):
    code, out, _ = call("graph", "hello", "--output", tmp_path / name, "--config", folder)

    assert (code, out) == (0, "")
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)
    assert list(tmp_path.glob("*.part")) == []


def test_as_goes_before_the_ending(call, folder, tmp_path):
    call("graph", "hello", "--as", "mermaid", "-o", tmp_path / "x.html", "--config", folder)

    assert (tmp_path / "x.html").read_text().startswith("stateDiagram-v2")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hello", "--output", "x.pdf"], "expected a name that ends in .svg, .mmd, .mermaid, .txt, found x.pdf; or say --as"),
        (["--as", "svg"], "--as and --output draw one journey: which?"),
        (["hello", "--json", "--as", "svg"], "--json is a form of its own"),
        (["hello", "--as", "pdf"], "pdf"),
    ],
)
def test_a_wrong_use_exits_2_and_says_what_is_right(call, folder, arguments, said):
    code, out, err = call("graph", *arguments, "--config", folder)

    assert code == 2
    assert said in err + out


def test_an_output_that_cannot_be_written_is_said_with_its_reason(call, folder, tmp_path):
    code, _, err = call("graph", "hello", "--output", tmp_path / "none" / "x.svg", "--config", folder)

    assert (code, err) == (1, f"{tmp_path / 'none' / 'x.svg'}: cannot be written: No such file or directory\n")


def test_a_misspelt_journey_gets_a_suggestion(call, folder):
    code, out, err = call("graph", "wats", "--config", folder)

    assert (code, out) == (1, "")
    assert err == "there is no journey wats; `journeyd graph` lists them, did you mean waits?\n"


def test_a_journey_with_errors_is_said_so_with_the_first_of_them(call, folder):
    write_journeys(folder, HELLO, WRONG, SHAPELESS)

    code, out, err = call("graph", "wrong", "--config", folder)
    shapeless = call("graph", "shapeless", "--config", folder)[2]

    assert (code, out) == (1, "")
    assert err.startswith("wrong cannot be drawn: its file has errors\n")
    assert "wrong.yaml:" in err
    assert "J" in err.splitlines()[1]
    assert shapeless.splitlines()[0] == "shapeless cannot be drawn: its file has errors"
    assert len(shapeless.splitlines()) == 5
    assert shapeless.splitlines()[-1].startswith("and ")
    assert call("graph", "hello", "--config", folder)[0] == 0  # a good one beside them
    assert "did you mean wrong?" in call("graph", "wrng", "--config", folder)[2]


# ------------------------------------------------------------------------------------------------ numbers


def test_without_a_database_nothing_is_counted_and_none_is_made(call, folder):
    assert "inside" not in call("graph", "waits", "--config", folder)[1]
    assert not (folder / "data").exists()


def test_who_is_inside_stands_at_each_step(call, lived_in):
    code, out, err = call("graph", "waits", "--config", lived_in)

    assert (code, err) == (0, "")
    assert out.splitlines()[1:] == [
        "numbers: how many are inside now",
        "  entry event app_opened; once for each user",
        "3 ├─ delay pause  3d",
        "0 ├─ send  tell   push “T / 你好”",
        "  └─ end completed",
    ]
    assert "inside" not in call("graph", "waits", "--no-counts", "--config", lived_in)[1]
    assert ">3</text>" in call("graph", "waits", "--as", "svg", "--config", lived_in)[1]
    assert "delay pause (3)" in call("graph", "waits", "--as", "mermaid", "--config", lived_in)[1]


def test_those_on_a_step_that_the_file_has_no_more_are_shown_apart_and_those_on_a_renamed_one_at_its_new_name(call, lived_in):
    write_journeys(lived_in, HELLO, SHORTER)
    renamed = json.loads(call("graph", "waits", "--json", "--config", lived_in)[1])
    write_journeys(lived_in, HELLO, WAITS.replace("id: pause", "id: rest"))
    gone = json.loads(call("graph", "waits", "--json", "--config", lived_in)[1])

    assert {node["id"]: node["inside"] for node in renamed["nodes"]} == {"$entry": None, "rest": 3, "tell": 0, "$ended:completed": None}
    assert renamed["gone"] == {}
    assert (gone["gone"], gone["held_out"]) == ({"pause": 3}, 0)
    assert "on steps that are not here any more: pause 3" in call("graph", "waits", "--config", lived_in)[1]


RENAMED = WAITS.replace("id: pause", "id: rest\n    was: pause")
NO_WAS = RENAMED.replace("\n    was: pause", "")
TAKEN = NO_WAS + "  - id: pause\n    delay: 1d\n"


@pytest.mark.parametrize(
    ("edits", "inside", "gone"),
    [
        ([RENAMED, NO_WAS], {"rest": 3}, {}),
        ([RENAMED, NO_WAS.replace("id: tell", "id: pause")], {"rest": 3}, {}),
        ([RENAMED, TAKEN, TAKEN.replace("id: rest", "id: other")], {}, {"pause (v1)": 3}),
        ([RENAMED, NO_WAS, WAITS], {"pause": 3}, {}),
        ([RENAMED, TAKEN, RENAMED], {"rest": 3}, {}),  # it keeps its origins: what `was` names is another step by now
    ],
    ids=["was has done its work", "another step has the name", "the step is gone and another has the name", "as it was in the beginning", "as it was before"],
)  # fmt: skip
@pytest.mark.parametrize("applied", [True, False])
def test_those_on_an_older_version_are_counted_at_the_step_that_theirs_is_now(call, lived_in, applied, edits, inside, gone):
    app = build_app(load_project(lived_in))
    for number, text in enumerate(edits, 1):
        write_journeys(lived_in, text)
        if applied or number < len(edits):  # else the last is only a file: counted as it would be
            outcome = apply(app.store, app.project, check_project(app.project), app.clock.now(), Asked("me", ""))
            assert isinstance(outcome, Applied)
    app.close()

    body = json.loads(call("graph", "waits", *(["--applied"] if applied else []), "--json", "--config", lived_in)[1])

    assert ({node["id"]: node["inside"] for node in body["nodes"] if node["inside"]}, body["gone"]) == (inside, gone)


def test_the_held_out_are_counted_apart(call, tmp_path):
    held = WAITS.replace("steps:", "holdout: 100%\ngoal: {event: order_paid, within: 7d}\nsteps:")
    shop = Shop(tmp_path / "shop", held)
    shop.welcome("u1")
    shop.post({"id": "e1", "type": "app_opened", "user_id": "u1"})
    shop.settle()
    shop.close()

    assert "held out: 1" in call("graph", "waits", "--config", shop.folder)[1].splitlines()


@pytest.mark.parametrize("applied", [[], ["--applied"]])
def test_a_database_asked_for_by_name_has_to_be_there(call, folder, tmp_path, applied):
    code, out, err = call("graph", "waits", "--database", tmp_path / "none.db", *applied, "--config", folder)

    assert (code, out, "there is no such database" in err) == (1, "", True)


def test_a_database_that_cannot_be_read_costs_only_the_numbers(call, folder):
    (folder / "data").mkdir()
    (folder / "data" / "journeyd.db").touch()

    code, out, err = call("graph", "waits", "--config", folder)

    assert (code, out.startswith("J · waits\nentry")) == (0, True)
    assert err.startswith("drawn without numbers: ")


# ------------------------------------------------------------------------------------------------ what runs, and all of them


def test_applied_draws_the_version_that_runs(call, lived_in):
    write_journeys(lived_in, HELLO, SHORTER, journey_text("- exit: x", id="brand_new"))

    file, runs = call("graph", "waits", "--config", lived_in)[1], call("graph", "waits", "--applied", "--config", lived_in)[1]

    assert ("rest  2d" in file, "3 ├─ delay pause  3d" in runs) == (True, True)
    assert call("graph", "brand_new", "--applied", "--config", lived_in)[::2] == (
        1, "release 1, which runs, has no journey brand_new; without --applied the file is drawn\n",
    )  # fmt: skip
    assert json.loads(call("graph", "waits", "--applied", "--json", "--config", lived_in)[1])["release"] == 1


def test_applied_before_the_first_release_says_how_to_make_it(call, folder):
    build_app(load_project(folder)).close()

    code, out, err = call("graph", "waits", "--applied", "--config", folder)

    assert (code, out) == (1, "")
    assert err.startswith("nothing is applied yet; `journeyd apply` or `journeyd run` makes the first release")


def test_without_a_name_all_journeys_are_listed_with_those_that_have_errors(call, lived_in):
    write_journeys(lived_in, HELLO, WAITS, SHAPELESS, journey_text("- exit: x", id="sketch", status="draft"))

    code, out, _ = call("graph", "--config", lived_in)
    rows = json.loads(call("graph", "--json", "--config", lived_in)[1])

    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["journey", "hello", "shapeless", "sketch", "waits"]
    assert "errors in its file; see `journeyd check`" in out
    assert [(r["journey"], r["status"], r["entry"], r["steps"], r["inside"]) for r in rows] == [
        ("hello", "live", "event app_opened", 1, 0), ("shapeless", "", "", None, 0), ("sketch", "draft", "by call", 1, 0),
        ("waits", "live", "event app_opened", 2, 3),
    ]  # fmt: skip
    assert rows[1]["errors"] >= 1


def test_json_is_the_picture_with_triggers_and_lines_of_the_file(call, folder):
    body = json.loads(call("graph", "hello", "--json", "--config", folder)[1])

    assert (body["journey"], body["status"], body["release"]) == ("hello", "live", None)
    assert [(n["id"], n["kind"], n["line"]) for n in body["nodes"]] == [
        ("$entry", "entry", None),
        ("hello", "send", 8),
        ("$ended:completed", "end", None),
    ]
    assert body["edges"][-1] == {"from": "hello", "to": "$ended:completed", "moves": [{"trigger": "done", "label": ""}]}
