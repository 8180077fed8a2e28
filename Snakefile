import sys

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

from pipeline.plan import folds
from pipeline.plan.config import check, datasets, folded, register, transfers, wanted
from pipeline.errors import BadInput
from pipeline.plan.plan import Plan
from pipeline.plan.rules import gpus, pathvars, recover, settings, summary, targets, tell
from pipeline.plan.transfer import Transfer

min_version("9.27")


configfile: "workflow/config.yaml"


# A limit on GPUs holds on this machine too, so that two jobs do not share one by chance.
workflow.resource_settings.resources.setdefault("gpu", gpus())

# Raw files are looked at only for the datasets asked for. Snakemake does not tell its targets while
# it reads this file, so they are taken from the command.
try:
    check(config)
    WANTED = wanted(datasets(config), sys.argv[1:], config["transfer"])
    PLANS = {d: Plan.make(d, config, wanted=d in WANTED) for d in datasets(config)}
    TRANSFERS = {a: Transfer(PLANS[a], PLANS[b]) for a, b in config["transfer"].items()}
    FOLDS = {d: folds.folds(PLANS[d]) for d in folded(datasets(config), sys.argv[1:])}
    # The folds of a dataset beside its own split, which may be one of them.
    SPLITS = {
        d: [*dict.fromkeys([p, *FOLDS.get(d, {}).values()])] for d, p in PLANS.items()
    }
    if workflow.is_main_process:
        recover()
        for dataset in WANTED:
            tell(PLANS[dataset])
            # In this order, so that nothing is pruned that is about to be linked.
            for plan in SPLITS[dataset]:
                register(plan)
            PLANS[dataset].adopt()
        for name in transfers(TRANSFERS, sys.argv[1:]):
            TRANSFERS[name].require()
            TRANSFERS[name].adopt()
        for dataset, found in FOLDS.items():
            folds.adopt(PLANS[dataset], found)
except BadInput as error:
    raise WorkflowError(str(error)) from None


onstart:
    for dataset in WANTED:
        for plan in SPLITS[dataset]:
            plan.write()


onsuccess:
    for dataset in WANTED:
        print(summary(PLANS[dataset], FOLDS.get(dataset)))


rule help:
    log:
        "logs/help.log",
    localrule: True
    conda:
        "envs/pipeline.yaml"
    params:
        targets=" ".join(targets(PLANS) + [f"transfer_{t}" for t in TRANSFERS]),
    shell:
        "echo 'Say what to make, one of: {params.targets}' | tee {log}"


include: "workflow/rules/predict.smk"


# For each dataset of the config its rules, all named <dataset>_<rule> but the targets.
for dataset, plan in PLANS.items():
    found = FOLDS.get(dataset, {})
    rules_of, simulation_of = f"{dataset}_rules", f"{dataset}_simulation"
    named, target = f"{dataset}_", f"train_{dataset}"

    module:
        name: rules_of
        pathvars:
            **pathvars(plan),
        snakefile:
            "workflow/rules/dataset.smk"
        config:
            settings(plan, found)

    use rule * from rules_of exclude train as named*

    use rule train from rules_of as target

    if plan.simulated:

        module:
            name: simulation_of
            pathvars:
                **pathvars(plan),
            snakefile:
                "workflow/rules/simulate.smk"
            config:
                settings(plan)

        use rule * from simulation_of as named*

    # Networks and scores, which are of a split.
    for split in SPLITS[dataset]:
        split_named = "_".join(split.parts) + "_"
        networks_of = f"{split_named}networks"

        module:
            name: networks_of
            pathvars:
                **pathvars(split),
            snakefile:
                "workflow/rules/networks.smk"
            config:
                settings(split)

        use rule * from networks_of as split_named*

    if found:
        table_of, sixfold = f"{dataset}_sixfold_rules", f"sixfold_{dataset}"

        module:
            name: table_of
            pathvars:
                **pathvars(plan, found),
            snakefile:
                "workflow/rules/folds.smk"
            config:
                settings(plan, found)

        use rule sixfold from table_of as sixfold


# And for each two that the config has under `transfer` one rule, which is named after the first.
for name, transfer in TRANSFERS.items():
    rule_of, target = f"{name}_transfer", f"transfer_{name}"

    module:
        name: rule_of
        pathvars:
            **transfer.pathvars,
        snakefile:
            "workflow/rules/transfer.smk"
        config:
            transfer.settings

    use rule transfer from rule_of as target
