import sys

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

from pipeline.config import check, register
from pipeline.errors import BadInput
from pipeline.plan import Plan
from pipeline.rules import gpus, pathvars, recover, settings, summary

min_version("9.20")


configfile: "workflow/config.yaml"


# A limit on GPUs holds on this machine too, so that two jobs do not share one by chance.
workflow.resource_settings.resources.setdefault("gpu", gpus())

# Raw files are looked at only for the datasets asked for. Snakemake does not tell its targets while
# it reads this file, so they are taken from the command.
DATASETS = ("demo", "simulated", "scannet")
WANTED = [d for d in DATASETS if any(d in a.split("=")[0] for a in sys.argv[1:])]

try:
    check(config)
    PLANS = {d: Plan.make(d, config, wanted=d in WANTED) for d in DATASETS}
    if workflow.is_main_process:
        recover()
        for dataset in WANTED:
            # In this order, so that nothing is pruned that is about to be linked.
            register(PLANS[dataset])
            PLANS[dataset].adopt()
except BadInput as error:
    raise WorkflowError(str(error)) from None


onstart:
    for dataset in WANTED:
        PLANS[dataset].write()


onsuccess:
    for dataset in WANTED:
        print(summary(PLANS[dataset]))


rule help:
    log:
        "logs/help.log",
    localrule: True
    conda:
        "envs/pipeline.yaml"
    shell:
        "echo 'Say what to make: train_demo, train_simulated or train_scannet.' | tee {log}"


module demo_rules:
    pathvars:
        **pathvars(PLANS["demo"]),
    snakefile:
        "workflow/rules/dataset.smk"
    config:
        settings(PLANS["demo"])


module demo_simulation:
    pathvars:
        **pathvars(PLANS["demo"]),
    snakefile:
        "workflow/rules/simulate.smk"
    config:
        settings(PLANS["demo"])


module simulated_rules:
    pathvars:
        **pathvars(PLANS["simulated"]),
    snakefile:
        "workflow/rules/dataset.smk"
    config:
        settings(PLANS["simulated"])


module simulated_simulation:
    pathvars:
        **pathvars(PLANS["simulated"]),
    snakefile:
        "workflow/rules/simulate.smk"
    config:
        settings(PLANS["simulated"])


module scannet_rules:
    pathvars:
        **pathvars(PLANS["scannet"]),
    snakefile:
        "workflow/rules/dataset.smk"
    config:
        settings(PLANS["scannet"])


use rule * from demo_rules exclude train as demo_*


use rule train from demo_rules as train_demo


use rule * from demo_simulation as demo_*


use rule * from simulated_rules exclude train as simulated_*


use rule train from simulated_rules as train_simulated


use rule * from simulated_simulation as simulated_*


use rule * from scannet_rules exclude train as scannet_*


use rule train from scannet_rules as train_scannet
