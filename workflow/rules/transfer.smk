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
        gpu=1,
        mem_mb=16000,
        runtime=240,
    params:
        plans=config["plans"],
    shell:
        "python -m pipeline transfer {params.plans} {output.text} 2>&1 | tee {log}"
