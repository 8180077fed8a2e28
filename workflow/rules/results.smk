# The rules of results. A benchmark would be one more output, whose loss makes the tables again.
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
        priority: each.priority
        conda:
            "../../envs/pipeline.yaml"
        threads: each.threads
        resources:
            **each.resources,
        params:
            stage=each.stage,
            plan=config["plan"],
        shell:
            "python -m pipeline {params.stage} {params.plan} {output} 2>&1 | tee {log}"
