import atexit
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

from pipeline.errors import BadInput
from pipeline.estimate.run import Run
from pipeline.plan import (
    ablation,
    batches,
    checkout,
    config_text,
    folds,
    last_words,
    machine,
    moved_store,
    rules,
    summary,
)
from pipeline.plan.config import check, datasets
from pipeline.plan.making import make_plans, read_plans
from pipeline.plan.registered import register
from pipeline.plan.targets import ablated, folded, known, transfers, wanted
from pipeline.plan.transfer import Transfer
from pipeline.remotes.run import Brought

min_version("9.27")

# Before Snakemake reads them, as far as it has not.
try:
    checkout.require_checkout()
    config_text.check_files(
        map(Path, ["workflow/config.yaml", *workflow.overwrite_configfiles])
    )
except BadInput as error:
    raise WorkflowError(str(error)) from None


configfile: "workflow/config.yaml"


machine.put_this_python_first()

# On this machine two jobs must not share a GPU by chance, and none can have more than there are. A
# cluster sees to that itself.
if workflow.local_exec and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", machine.gpus())

# Raw files are looked at only for the datasets asked for. Snakemake does not tell its targets while
# it reads this file, so they are taken from the command.
try:
    check(config)
    WANTED = wanted(datasets(config), sys.argv[1:], config["transfer"])
    brought = Brought(config)
    dry = moved_store.is_dry_run(sys.argv[1:])
    if workflow.is_main_process:
        PLANS = make_plans(
            datasets(config), config, WANTED, brought.caches, fetch=not dry
        )
    else:  # on a node: what was planned at the start, without a look at the raw files
        PLANS = read_plans(config, WANTED)
    TRANSFERS = {
        a: Transfer(PLANS[a], PLANS[b])
        for a, b in config["transfer"].items()
        if {a, b} <= PLANS.keys()
    }
    FOLDS = {d: folds.folds(PLANS[d]) for d in folded(datasets(config), sys.argv[1:])}
    # The folds of a dataset beside its own split, which may be one of them.
    SPLITS = {
        d: [*dict.fromkeys([p, *FOLDS.get(d, {}).values()])] for d, p in PLANS.items()
    }
    ROWS = {
        d: ablation.rows(PLANS[d], fetch=workflow.is_main_process and not dry)
        for d in ablated(datasets(config), sys.argv[1:])
        if config[d].get("ablation")
    }
    EVERY = {d: [*SPLITS[d], *ROWS.get(d, {}).values()] for d in PLANS}
    if workflow.is_main_process:
        checkout.recover()
        for dataset in WANTED:
            summary.print_left_out(PLANS[dataset])
            # In this order, so that nothing is pruned that is about to be linked.
            for plan in EVERY[dataset]:
                register(plan)
                moved_store.carry_entries(plan, dry)
        asked = {dataset: PLANS[dataset] for dataset in WANTED}
        tabled = [TRANSFERS[name] for name in transfers(TRANSFERS, sys.argv[1:])]
        brought.take(asked, FOLDS, ROWS, tabled, sys.argv[1:])
        for dataset in WANTED:
            PLANS[dataset].adopt()
        for name in transfers(TRANSFERS, sys.argv[1:]):
            TRANSFERS[name].require()
            TRANSFERS[name].adopt()
        for dataset, found in FOLDS.items():
            folds.adopt(PLANS[dataset], found)
        for dataset, found in ROWS.items():
            ablation.require(found, brought.caches)
            ablation.adopt(PLANS[dataset], found)
        brought.show()
except BadInput as error:
    raise WorkflowError(str(error)) from None


RUNS = []  # one, from its first job on


onstart:
    # Per job that ends, Snakemake starts one more timer, each of which makes it choose jobs again
    # every second: with hundreds of jobs that is a fifth of a core. Without a limit on how many
    # jobs start in a second it does not, and jobs on this machine need none.
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None
    for dataset in WANTED:
        for plan in EVERY[dataset]:
            plan.write(workflow.execution_settings.keep_going)
    RUNS.append(Run([plan for name in WANTED for plan in EVERY[name]], workflow))
    RUNS[0].begin(workflow.output_settings)


onsuccess:
    ledgers = [sentence for run in RUNS for sentence in run.end()]
    last_words.print_not_made(plan for name in WANTED for plan in EVERY[name])
    for dataset in WANTED:
        print(
            summary.summary(PLANS[dataset], FOLDS.get(dataset), ROWS.get(dataset))
        )
    for sentence in ledgers:
        print(sentence)
    try:
        for dataset in WANTED:
            for plan in EVERY[dataset]:
                batches.require_all(plan)
    except BadInput as error:
        raise WorkflowError(str(error)) from None


onerror:
    for run in RUNS:
        for sentence in run.end():
            print(sentence, file=sys.stderr)
    # At the very end, after what Snakemake says of it.
    atexit.register(last_words.print_last_words, workflow.scheduler.failed)
    last_words.print_not_made(plan for name in WANTED for plan in EVERY[name])


rule help:
    log:
        "logs/help.log",
    localrule: True
    conda:
        "envs/pipeline.yaml"
    params:
        targets=" ".join(known(PLANS) + [f"transfer_{t}" for t in TRANSFERS]),
    shell:
        "echo 'Say what to make, one of: {params.targets}' | tee {log:q}"


include: "workflow/rules/predict.smk"


# For each dataset that is asked for its rules, all named <dataset>_<rule> but the targets.
for dataset in WANTED:
    plan, found = PLANS[dataset], FOLDS.get(dataset, {})
    rules_of, results_of = f"{dataset}_rules", f"{dataset}_results"
    named = f"{dataset}_"
    page, clouds = f"train_{dataset}", f"clouds_{dataset}"

    module:
        name: rules_of
        pathvars:
            **rules.pathvars(plan),
        snakefile:
            "workflow/rules/stages.smk"
        config:
            {
                "plan": str(plan.path),
                "rules": [*rules.rules_of_scans(plan)],
            }

    use rule * from rules_of as named*

    # And one for each stage, by which all of it can be asked for.
    for stage, needed in batches.whole_stages(plan):

        rule:
            name:
                f"{named}{stage}"
            input:
                needed,

    module:
        name: results_of
        pathvars:
            **rules.pathvars(plan),
        snakefile:
            "workflow/rules/results.smk"
        config:
            {
                "plan": str(plan.path),
                "rules": [*rules.rules_of_results(plan)],
                "page": rules.page_of(plan, plan.results),
            }

    use rule * from results_of exclude page as named*

    use rule page from results_of as page

    rule:
        name:
            clouds
        input:
            [*plan.cloud_files()],

    # Networks and counts, which are of a split, and what the rows of an ablation have of their own.
    rows = ROWS.get(dataset, {})
    for part, rules_of_part in [
        *[(split, [*rules.rules_of_split(split)]) for split in SPLITS[dataset]],
        *rules.rules_of_rows(plan, rows),
    ]:
        part_named = "_".join(part.parts) + "_"
        part_of = f"{part_named}part"

        module:
            name: part_of
            pathvars:
                **rules.pathvars(part),
            snakefile:
                "workflow/rules/stages.smk"
            config:
                {"plan": str(part.path), "rules": rules_of_part}

        use rule * from part_of as part_named*

    for command, folder, settings in rules.tables(plan, found, rows):
        tables_of, target = f"{dataset}_{command}_rules", f"{command}_{dataset}"
        of_tables = f"{target}_tables"

        module:
            name: tables_of
            pathvars:
                **rules.pathvars(plan, folder),
            snakefile:
                "workflow/rules/tables.smk"
            config:
                settings

        use rule tables from tables_of as of_tables

        # The last rule has the target's name.
        use rule page from tables_of as target


# And for each two that the config has under `transfer` one rule, which is named after the first.
for name, transfer in TRANSFERS.items():
    rule_of, target = f"{name}_transfer", f"transfer_{name}"
    of_tables = f"{target}_tables"

    module:
        name: rule_of
        pathvars:
            **transfer.pathvars,
        snakefile:
            "workflow/rules/transfer.smk"
        config:
            transfer.settings

    use rule transfer from rule_of as of_tables

    use rule page from rule_of as target
