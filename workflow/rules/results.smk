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


# The last rule of train_<dataset>. `snakemake --report` takes the page into its report.
rule page:
    input:
        config["page"]["inputs"],
    output:
        page=report(config["page"]["page"], category="Results"),
        run=config["page"]["run"],
    log:
        "<logs>/page.log",
    conda:
        "../../envs/pipeline.yaml"
    resources:
        **config["page"]["resources"],
    params:
        plan=config["page"]["plan"],
    shell:
        "python -m pipeline page {params.plan:q} {output.page:q} > {log:q} 2>&1"
