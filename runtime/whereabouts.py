"""Who stands where in one journey, over all of its versions, by the steps of any one of them. Reads only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from journeys.compiled import CompiledJourney
from journeys.lineage import origins_of, was_of
from runtime.store import SqlStore
from runtime.store.movements import Standing
from runtime.store.releases import Version


@dataclass(frozen=True)
class Whereabouts:
    """Those inside, version by version; `number` and `before` are what the next version's origins would be made from."""

    standing: Sequence[Standing]
    versions: Mapping[int, Version]
    number: int
    before: Sequence[Mapping[str, str]]

    def by_step(self, journey: CompiledJourney) -> dict[str, int]:
        """How many stand at each step of this version, which may not be applied yet, whatever theirs calls it.

        A step goes by its origin: its name may have changed, or be another step's by now. Those whose step is not there are counted
        by the name it has in their version, with the version where a step of this one has that name.
        """
        origins = self._origins(journey)
        step_of = {origin: step for step, origin in origins.items()}
        found: dict[str, int] = {}
        for one in self.standing:
            name = one.state
            if not name.startswith("$"):
                version = self.versions[one.version_id]
                # what needs no id has no origin, but nobody rests there
                gone = f"{name} (v{version.number})" if name in origins else name
                name = step_of.get(version.origins.get(name, ""), gone)
            found[name] = found.get(name, 0) + one.n
        return found

    def _origins(self, journey: CompiledJourney) -> Mapping[str, str]:
        """Those of the version that this is, or that it would be given."""
        same = next((version.origins for version in self.versions.values() if version.digest == journey.digest), None)
        return same if same is not None else origins_of(was_of(journey), self.number, self.before)


def whereabouts_of(store: SqlStore, tx: Any, journey: str, release_id: int, now: int) -> Whereabouts:
    """Everybody inside a journey; `release_id` is the release in force."""
    standing = [one for one in store.movements.standing(tx, now) if one.journey == journey]
    versions = {version.id: version for version in store.releases.versions_of(tx, journey)}
    return Whereabouts(standing, versions, *store.releases.lineage(tx, journey, release_id))
