"""Making a plan: the facts about a dataset are collected from the config and from files."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline import readers
from pipeline.errors import BadInput
from pipeline.facts import Facts
from pipeline.plan import (
    digests,
    manifest,
    missing,
    moved_store,
    provenance,
    rawdata,
    weights,
)
from pipeline.plan.missing import Elsewhere
from pipeline.plan.plan import Plan

GROUPS = tuple(group for group in readers.GROUPS if group != "files")  # of raw files


def make_plan(
    dataset: str,
    config: Mapping[str, Any],
    wanted: bool = True,
    elsewhere: Elsewhere = missing.NOWHERE,
) -> Plan:
    """Plan `dataset`; unless it is `wanted`, its raw files and weights are not looked at.

    What is to be had `elsewhere` need not be here. Raises `BadInput` where they are needed and
    missing.
    """
    facts = collect(dataset, config)
    if wanted:
        digest = weights.weights_digest(facts.section["embeddings"], Path(facts.store))
        facts = replace(facts, weights=digest)
        rawdata.require_scans(facts)
    plan = Plan(facts)
    try:
        found = plan.keys
    except BadInput as error:  # a recipe, codec, model or loss term that does not exist
        where, what, remedy = error.args
        raise BadInput(f"{dataset}: {where}", what, remedy) from error
    digests_ = raw_digests(plan, wanted, elsewhere)
    plan = Plan(replace(facts, keys=found, raw_digests=digests_))
    if wanted:
        rawdata.require(plan, elsewhere)
        weights.require_features(plan, elsewhere)
    return plan


def make_plans(
    datasets: Sequence[str],
    config: Mapping[str, Any],
    wanted: Sequence[str],
    elsewhere: Elsewhere = missing.NOWHERE,
    fetch: bool = False,
) -> dict[str, Plan]:
    """The plans of all datasets; of one that is not wanted, a fault leaves it out.

    If asked to `fetch`, weights of a hub that nobody knows yet are fetched, since keys name them.
    Raises `BadInput` for a fault in one that is wanted.
    """
    plans = {}
    for dataset in datasets:
        try:
            if dataset in wanted:
                _know_weights(config, dataset, elsewhere, fetch)
            plans[dataset] = make_plan(dataset, config, dataset in wanted, elsewhere)
        except BadInput:
            if dataset in wanted:
                raise
    return plans


def read_plans(config: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, Plan]:
    """The plans that a run wrote when it began, as its jobs read them on other machines.

    Raises `BadInput` where one cannot be read.
    """
    return {dataset: Plan.load(Path(config["work"], dataset, "plan.json")) for dataset in wanted}


def _know_weights(
    config: Mapping[str, Any], dataset: str, elsewhere: Elsewhere, fetch: bool
) -> None:
    tower, store = config[dataset]["embeddings"], Path(store_of(config))
    elsewhere.bring_weights(tower, store)
    if fetch:
        weights.fetch_unknown(tower, store)


def store_of(config: Mapping[str, Any]) -> str:
    """The folder of the store: $SCAN_STORE, or what the config names."""
    return os.environ.get("SCAN_STORE", str(config["store"]))


def collect(dataset: str, config: Mapping[str, Any]) -> Facts:
    """What the config and the manifests say of a dataset. Raises `BadInput`."""
    section = config[dataset]
    rows, left_out = rawdata.scans(section)
    scans = [row for row in rows if row["split"] != "test"]
    classes = manifest.read_classes(Path(section["classes"]))
    reader = readers.load(section["reader"], "files")
    return Facts(
        dataset=dataset,
        store=store_of(config),
        work=config["work"],
        results=config["results"],
        section=section,
        splits={s: [r["scan"] for r in scans if r["split"] == s] for s in ("train", "val")},
        classes=classes,
        protocol=reader.PROTOCOL or "scannet_official",
        has_labels=reader.HAS_LABELS,
        simulator=reader.SIMULATOR,
        seeds={row["scan"]: int(row.get("seed") or 0) for row in scans},
        areas={row["scan"]: row["area"] for row in scans if row.get("area")},
        blessed=manifest.read_blessed(manifest.BLESSED),
        left_out=left_out,
        tags=rawdata.scene_tags(section, [row["scan"] for row in scans], classes),
    )


def raw_digests(
    plan: Plan, wanted: bool, elsewhere: Elsewhere = missing.NOWHERE
) -> dict[str, dict[str, str]]:
    """Scan -> group -> digest of its raw files, as far as they are known."""
    facts = plan.facts
    if facts.simulated:  # a simulated scan is what its seed and its recipe say
        key, seeds = plan.keys["simulate"], facts.seeds
        known = {
            scan: dict.fromkeys(GROUPS, provenance.digest(key, scan, split, str(seeds[scan])))
            for split, scans in facts.splits.items()
            for scan in scans
        }
    elif wanted and plan.raw.is_dir():
        moved_store.carry_raw_digests(plan)
        progress = f"{facts.dataset}: hashing every raw file once"
        known = digests.raw_digests(rawdata.complete_scans(plan), plan.records, progress)
    else:
        if wanted:
            elsewhere.bring_digests(plan)
        known = digests.raw_digests(dict.fromkeys(facts.scans), plan.records)
    if facts.features:
        found = weights.features_digests(facts.features, facts.scans, plan.records, wanted)
        known = {scan: groups | found.get(scan, {}) for scan, groups in known.items()}
    return known
