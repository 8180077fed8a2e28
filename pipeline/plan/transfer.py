"""Which entries are needed to score the networks of two datasets on the scans of each other."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.plan import graph, provenance
from pipeline.plan.machine import resources_of
from pipeline.plan.plan import Entry, Plan
from pipeline.store import links
from pipeline.store.links import PAGE

MODULES = ["model.scoring.transfer", "model.reports.transfer_report"]


class Transfer:
    """Networks of two datasets scored on each other's scans; `one` gives the name."""

    def __init__(self, one: Plan, other: Plan) -> None:
        self.plans = (one, other)

    @property
    def directions(self) -> list[tuple[Plan, Plan]]:
        """Whose networks are scored on whose scans; on both, unless one has no labels."""
        one, other = self.plans
        return [(a, b) for a, b in ((one, other), (other, one)) if b.facts.scored]

    @property
    def common(self) -> list[str]:
        """The names of the classes that both have."""
        one, other = ([str(c["name"]) for c in plan.facts.classes] for plan in self.plans)
        return [name for name in one if name in other]

    @property
    def entries(self) -> list[tuple[Plan, Entry]]:
        """All that the tables are made from: networks, scans, and scores of their own networks."""
        found: dict[tuple[Plan, Entry], None] = {}
        for taught, asked in self.directions:
            runs = taught.facts.weak_networks
            found |= {(taught, (taught.facts.trainer(run), run)): None for run in runs}
            known = asked.facts.weak_networks
            own = [(asked.facts.evaluator(run), run) for run in runs if run in known]
            scans = asked.splits["val"]
            scenes = [(stage, scan) for scan in scans for stage in ("voxels", "labels")]
            found |= {(asked, entry): None for entry in (*own, *scenes)}
        return list(found)

    @property
    def results(self) -> Path:
        """The folder of the tables, named by all that they come from: never out of date."""
        params = {plan.dataset: _shown(plan) for plan in self.plans}
        modules = [*MODULES, *graph.stage("report").parts(self.plans[0].facts).values()]
        parts = [provenance.key(provenance.recipe("transfer", modules, params))]
        for plan, (stage, name) in self.entries:
            parts += [plan.keys[stage], plan.digest(stage, name)]
        one = self.plans[0]
        return Path(one.facts.results, "transfer", one.dataset, provenance.digest(*parts))

    @property
    def settings(self) -> dict[str, Any]:
        """The `config` of the rule."""
        links = (plan.link(*entry) for plan, entry in self.entries)
        one = self.plans[0]
        page = one.page(self.results)
        return {
            "resources": resources_of(16000, 240, gpus=1),
            "plans": [str(plan.path) for plan in self.plans],
            # As in the rules of a dataset, entries that the store has are not named.
            "inputs": [str(link) for link in links if not link.is_symlink()],
            "page": {"plan": str(one.path), "page": str(page), "run": str(page.with_name(PAGE[1]))},
        }

    @property
    def pathvars(self) -> dict[str, str]:
        """The folders that the rule names as <name>."""
        return {"results": str(self.results), "logs": f"logs/{self.plans[0].dataset}"}

    def adopt(self) -> None:
        """Say which tables are the latest, before anything is planned."""
        links.show_latest(self.results)
        links.show_page(self.results, self.plans[0].page(self.results))

    def require(self) -> None:
        """Raises `BadInput` before any job where there is nothing that could be scored."""
        if not self.directions:
            names = " and ".join(plan.dataset for plan in self.plans)
            raise BadInput("transfer", f"neither of {names} has scans to score on", "name others")
        for taught, _ in self.directions:
            if taught.facts.tower is None:
                what = f"features from elsewhere teach the networks of {taught.dataset}"
                remedy = "name a dataset with a text tower, for the words of other classes"
                raise BadInput("transfer", what, remedy)


def _shown(plan: Plan) -> Mapping[str, Any]:
    """What the tables show that is in no entry."""
    return {"classes": plan.facts.classes, "protocol": plan.facts.protocol}
