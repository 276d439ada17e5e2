"""Traits that are calculated from others (`value: EXPR`): what they count is remembered, and segments that read them keep time."""

from tests.town import AUDIENCE, DAY, NOON, Town, event, journey_text

HELLO = "- {id: hi, send: [{push: {title: T, body: B}}]}"


def audience_text(traits, segment):
    return AUDIENCE.replace("traits:\n", f"traits:\n{traits}").replace("segments:\n", f"segments:\n  reads: {{name: R, when: {segment}}}\n")


def flips(town):
    """The edges of the segment, and the day of each."""
    return [
        (entry.action, (entry.at - NOON) / DAY)
        for _, _, entry in town.story().log
        if entry.action in ("segment_entered", "segment_left") and entry.why["segment"] == "reads"
    ]


def test_a_count_within_a_calculated_trait_counts_and_falls_back_as_its_window_moves_on(store):
    opens = audience_text("  opens: {type: number, value: \"count('app_opened', within='60d') + 0\"}\n", "user.opens >= 2")
    town = Town(store, journey_text(HELLO, entry="{segment: reads, existing: skip}"), audience_text=opens)
    for day in (0, 1, 2):
        town.post(event("app_opened", NOON + day * DAY))
        town.settle(NOON + day * DAY)

    town.settle(NOON + 70 * DAY)

    assert flips(town) == [("segment_entered", 1), ("segment_left", 61)]
    assert town.ends() == [("j", "completed")]
