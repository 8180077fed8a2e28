# The tables of several plans of a dataset: of its folds, or of the rows of an ablation.
rule tables:
    input:
        config["counts"],
    output:
        text="<tables>/table.txt",
        json="<tables>/table.json",
        csv="<tables>/table.csv",
    log:
        f"<logs>/{config['command']}.log",
    conda:
        "../../envs/pipeline.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        command=config["command"],
        plans=config["plans"],
    shell:
        "python -m pipeline {params.command:q} {params.plans:q} {output.text:q} > {log:q} 2>&1"


rule page:
    input:
        "<tables>/table.json",
    output:
        page=report(config["page"]["page"], category="Results"),
        run=config["page"]["run"],
    log:
        f"<logs>/{config['command']}_page.log",
    conda:
        "../../envs/pipeline.yaml"
    resources:
        **config["page"]["resources"],
    params:
        plan=config["page"]["plan"],
    shell:
        "python -m pipeline page-of-tables {params.plan:q} {input:q} {output.page:q} > {log:q} 2>&1"
