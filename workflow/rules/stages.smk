# The rules of stages, one each, as the stages declare themselves: `config["rules"]` has them all.
for each in config["rules"]:

    rule:
        name:
            each.name
        input:
            each.input,
        output:
            each.output,
        log:
            each.log,
        benchmark:
            each.benchmark
        priority: each.priority
        group:
            each.group
        conda:
            "../../envs/pipeline.yaml"
        threads: each.threads
        resources:
            **each.resources,
        params:
            stage=each.stage,
            plan=config["plan"],
        shell:
            "python -m pipeline {params.stage:q} {params.plan:q} {output:q} > {log:q} 2>&1"
