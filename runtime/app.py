"""The composition root: one function builds the program from its settings, with ports that tests may replace."""

import gc
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from channels.message import Channel
from runtime.adapters import StoredTokens, build_channels, flows
from runtime.clock import Clock, SystemClock
from runtime.deliver import Delivery
from runtime.engine import Engine
from runtime.settings import Project
from runtime.store import SqlStore, open_store

SENDERS = 8


@dataclass
class App:
    """Everything that a command or the daemon works with."""

    project: Project
    store: SqlStore
    engine: Engine
    delivery: Delivery
    clock: Clock
    pool: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """Let go of the database and the senders."""
        if self.pool is not None:
            self.pool.shutdown(wait=True)
        self.store.close()


def build_app(
    project: Project,
    mode: str = "inline",
    *,
    url: str | None = None,
    clock: Clock | None = None,
    channels: Mapping[str, Channel] | None = None,
    virtual: bool = False,
    scratch: bool = False,
) -> App:
    """Open the store and wire the services. Raises StoreError or ConfigError, with the cure.

    `mode`: "daemon" (lock, writer thread), "inline" (virtual time, commands that write) or "reading" (writes nothing, beside
    a daemon too). `scratch` gives up durability.
    """
    gc.set_threshold(50_000, 20, 50)  # a batch makes many small objects that die with it: looking for circles early is waste
    zone, rules, world = project.zone, project.rules(), project.world()
    if virtual:  # what people subscribed to is not known there: everybody who can be reached is
        rules = replace(rules, counts_credits=False)
    clock = clock or (None if virtual else SystemClock())
    store = open_store(url or project.database_url, zone, mode, scratch=scratch)
    engine = Engine(store, world, zone, rules, virtual=virtual)
    pool = ThreadPoolExecutor(SENDERS, "journeyd-sender") if mode == "daemon" else None
    if channels is None and mode == "reading":
        channels = {}  # nothing is sent: no secret is needed
    elif channels is None:
        channels = build_channels(project, clock or SystemClock(), StoredTokens(store))
    delivery = Delivery(store, engine, channels, rules, zone, pool, clock, flows(project))
    if mode != "reading":
        budgets = {name: section.budget for name, section in project.settings.benefits.items()}
        store.database.write(lambda tx: store.budgets.set_totals(tx, budgets))
    engine.refresh()
    return App(project, store, engine, delivery, clock or SystemClock(), pool)
