"""Two racers for the last units of a budget: a few rounds in every run of the tests, 200 on each database as a proof."""

import pytest

from tests import postgres
from tests.prove import budget_race

SLICE, ROUNDS = 15, 200


@pytest.mark.timeout(90)
def test_two_processes_never_overshoot_a_budget(postgres_url, capsys):
    _holds(budget_race.on_postgres(postgres.new_database(postgres_url), SLICE), "postgresql, two processes", capsys, SLICE)


def test_two_threads_never_overshoot_a_budget(tmp_path, capsys):
    _holds(budget_race.on_sqlite(f"sqlite:///{tmp_path}/race.db", SLICE), "sqlite, two threads", capsys, SLICE)


@pytest.mark.prove
@pytest.mark.timeout(600)
def test_two_hundred_races_never_overshoot(tmp_path, postgres_url, capsys):
    _holds(budget_race.on_sqlite(f"sqlite:///{tmp_path}/race.db", ROUNDS), "sqlite, two threads", capsys, ROUNDS)
    _holds(budget_race.on_postgres(postgres.new_database(postgres_url), ROUNDS), "postgresql, two processes", capsys, ROUNDS)


@pytest.mark.prove
@pytest.mark.timeout(300)
def test_the_race_catches_a_reservation_that_looks_first_and_takes_then(postgres_url, capsys):
    race = budget_race.on_postgres(postgres.new_database(postgres_url), 50, careless=True)
    with capsys.disabled():
        print("\n" + race.summary("postgresql, a careless reservation"))
    assert race.overshoot > 0


def _holds(race, name, capsys, rounds):
    text = race.summary(name)
    with capsys.disabled():
        print("\n" + text)
    assert race.rounds == rounds
    assert race.overshoot == 0, text
