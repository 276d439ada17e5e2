"""`simulate` over real shopping histories enters whom a few lines of pandas find: once per silence of 30 days."""

import json
import os
import subprocess
import sys
import time

import pandas as pd
import pytest

from tests.e2e.running import JOURNEYD, journeyd, surroundings
from tests.e2e.silences import baskets, counts, make_project, orders, silences, stages, write_events

HOUSEHOLDS = int(os.environ.get("HOUSEHOLDS", "200"))  # of the year with all shipped journeys


@pytest.fixture
def folder(tmp_path):
    return make_project(tmp_path / "project")


def simulated(folder, until):
    run = journeyd("simulate", "--events", "events.csv", "--until", until, "--json", folder=folder)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_entries_of_a_year_of_50_households_are_their_silences(folder):
    """Two months longer than the orders go, so that the last silences count; `make prove` ends with the last order."""
    until = "2018-03-01T00:00:00Z"
    found = baskets(households=50)
    write_events(found, folder / "events.csv")
    expected = silences(found, pd.Timestamp(until).tz_localize(None))

    result = simulated(folder, until)

    assert expected > 50
    assert counts(result)["entered"] == expected
    assert counts(result)["holdout"] == 0
    assert (result["events"], result["bad_rows"]) == (int((found["at"] <= pd.Timestamp(until).tz_localize(None)).sum()), 0)
    assert counts(result)["sent"]["push"] <= expected


MEASURED = """
import json, resource, sys
from runtime.cli import run
code = run(sys.argv[1:])
print(json.dumps({"megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.prove
@pytest.mark.timeout(1200)
def test_the_entries_of_the_whole_year_of_all_households_are_their_silences(folder):
    found = baskets()
    write_events(found, folder / "events.csv")
    until = "2017-12-31T23:59:59Z"
    expected = silences(found, pd.Timestamp(until).tz_localize(None))

    command = [sys.executable, "-c", MEASURED, "simulate", "--events", "events.csv", "--until", until, "--json"]
    began = time.perf_counter()
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1100, check=False)
    seconds = time.perf_counter() - began

    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    memory = json.loads(run.stderr.splitlines()[-1])["megabytes"]
    print(
        f"\n{found['household_id'].nunique():,} households, {result['events']:,} orders: "
        f"entered {counts(result)['entered']:,}, silences {expected:,}, {seconds:.1f} s, {memory:.0f} MB at most"
    )
    assert counts(result)["entered"] == expected


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_the_shipped_journeys_live_a_year_of_real_orders_and_the_stages_are_those_that_pandas_counts(tmp_path, capsys):
    made = subprocess.run([*JOURNEYD, "init", "shop"], cwd=tmp_path, env=surroundings({}), capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    found = orders(HOUSEHOLDS)
    write_events(found, tmp_path / "shop" / "events.csv")

    command = [*JOURNEYD, "simulate", "--events", "events.csv", "--until", "2017-12-31T23:59:59Z", "--json"]
    began = time.perf_counter()
    run = subprocess.run(command, cwd=tmp_path / "shop", env=surroundings({}), capture_output=True, text=True, timeout=3500, check=False)
    seconds = time.perf_counter() - began

    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    entered = {name: row for name, row in result["journeys"].items() if row["entered"]}
    with capsys.disabled():
        print(f"\n{HOUSEHOLDS} households, {result['events']:,} orders, {seconds:.0f} s; users by stage at the ends of months:")
        for month, counts_ in result["stages"].items():
            print(f"  {month}  " + "  ".join(f"{stage} {n}" for stage, n in counts_.items()))
        for name, row in entered.items():
            print(f"  {name}: entered {row['entered']}, hold-out {row['holdout']}, sent {row['sent']}, converted {row['converted']}")
    assert result["stages"]["2017-12"] == stages(found, pd.Timestamp("2017-12-31T15:59:59.999"))  # the months are those of Shanghai
    assert result["stages"]["2018-01"] == stages(found, pd.Timestamp("2017-12-31T23:59:59"))
    assert {"win_back_30d", "churn_warning"} <= set(entered)
