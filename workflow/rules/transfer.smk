# Networks of two datasets, each scored on the validation scans of the other.
rule transfer:
    input:
        config["inputs"],
    output:
        text="<results>/table.txt",
        json="<results>/table.json",
        csv="<results>/table.csv",
    log:
        "<logs>/transfer.log",
    conda:
        "../../envs/pipeline.yaml"
    resources:
        **config["resources"],
    params:
        plans=config["plans"],
    shell:
        "python -m pipeline transfer {params.plans:q} {output.text:q} > {log:q} 2>&1"


rule page:
    input:
        "<results>/table.json",
    output:
        page=report(config["page"]["page"], category="Results"),
        run=config["page"]["run"],
    log:
        "<logs>/transfer_page.log",
    conda:
        "../../envs/pipeline.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        plan=config["page"]["plan"],
    shell:
        "python -m pipeline page-of-tables {params.plan:q} {input:q} {output.page:q} > {log:q} 2>&1"
