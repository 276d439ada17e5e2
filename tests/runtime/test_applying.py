"""`apply`: one release of everything or none; what people inside still need cannot be taken away."""

import pytest

from runtime.applying import Applied, Asked, Refused, Unchanged, apply, check_project, outcome_json
from tests.shop import HELLO, Shop, write_journeys
from tests.town import AUDIENCE, DAY, NOON, journey_text

NEEDS_CITY = journey_text(
    "- id: pause\n  delay: 3d\n- id: local\n  if: user.city == '上海'\n  send: [{push: {title: T, body: B}}]",
    id="local",
    entry="{event: app_opened}",
)
WITHOUT_CITY = AUDIENCE.replace("  city: {type: text, from: profile}\n", "")


@pytest.fixture
def shop(tmp_path, database_url):
    opened = Shop(tmp_path / "shop", NEEDS_CITY, url=database_url)
    yield opened
    opened.close()


def attempt(shop, *journeys, audience=AUDIENCE, now=NOON):
    write_journeys(shop.folder, *journeys, audience=audience)
    return apply(shop.app.store, shop.project, check_project(shop.project), now, Asked("me", "why"))


def releases(shop):
    with shop.app.store.database.reading() as tx:
        return shop.app.store.releases.current(tx).id


def test_the_same_files_make_no_second_release(shop):
    outcome = attempt(shop, NEEDS_CITY)

    assert isinstance(outcome, Unchanged)
    assert outcome_json(outcome, "en") == {"outcome": "unchanged", "release": 1, "digest": outcome.release.digest}


def test_a_release_says_what_changed_and_what_is_gone(shop):
    outcome = attempt(shop, HELLO)

    assert isinstance(outcome, Applied)
    assert (outcome.changed, outcome.gone, outcome.release.author, outcome.release.message) == (("hello",), ("local",), "me", "why")


def test_a_change_of_the_audience_alone_is_a_release_without_new_versions(shop):
    outcome = attempt(shop, NEEDS_CITY, audience=AUDIENCE.replace(">= 30}", ">= 31}"))

    assert isinstance(outcome, Applied)
    assert (outcome.changed, outcome.gone) == ((), ())
    assert [v.number for v in outcome.release.versions] == [1]


def test_a_draft_is_no_part_of_a_release(shop):
    outcome = attempt(shop, NEEDS_CITY, HELLO.replace("status: live", "status: draft"))

    assert isinstance(outcome, Unchanged)


def test_one_file_with_an_error_stops_the_whole_release(shop):
    outcome = attempt(shop, HELLO, journey_text("- id: a\n  goto: {step: nowhere}", id="bad"))

    assert isinstance(outcome, Refused)
    assert {f.severity for f in outcome.findings} == {"error"}
    assert any("J031" in line for line in outcome_json(outcome, "en")["findings"])
    assert releases(shop) == 1


def test_a_trait_that_somebody_inside_needs_cannot_be_taken_away(shop):
    shop.post({"id": "e1", "type": "app_opened", "user_id": "u1"})
    shop.settle()

    outcome = attempt(shop, HELLO, audience=WITHOUT_CITY)

    assert isinstance(outcome, Refused)
    assert [f.code for f in outcome.findings] == ["J088"]
    assert "city" in outcome.findings[0].text("en")
    assert "local v1" in outcome.findings[0].text("en")
    assert releases(shop) == 1


def test_a_trait_that_nobody_inside_needs_any_more_can_be_taken_away(shop):
    shop.post({"id": "e1", "type": "app_opened", "user_id": "u1"})
    shop.settle()
    shop.settle(NOON + 4 * DAY)

    assert isinstance(attempt(shop, HELLO, audience=WITHOUT_CITY, now=NOON + 4 * DAY), Applied)


def test_who_is_inside_a_deleted_journey_walks_it_to_its_end(shop):
    shop.welcome("u1")
    shop.post({"user_id": "u1", "traits": {"city": "上海"}}, "/v1/users")
    shop.post({"id": "e1", "type": "app_opened", "user_id": "u1"})
    shop.settle()

    attempt(shop, HELLO)
    shop.app.engine.refresh()
    shop.settle(NOON + 3 * DAY)

    assert [(e["journey"], e["ended_by"]) for e in shop.story().enrolments] == [("local", "completed")]
    assert [(m["step"], m["state"]) for m in shop.story().messages] == [("local", "ACCEPTED")]
