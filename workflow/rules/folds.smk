# The tables of all folds of a dataset, of which each holds out one area.
rule sixfold:
    input:
        config["counts"],
    output:
        text="<sixfold>/table.txt",
        json="<sixfold>/table.json",
        csv="<sixfold>/table.csv",
    log:
        "<logs>/sixfold.log",
    conda:
        "../../envs/pipeline.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        plan=config["plan"],
    shell:
        "python -m pipeline sixfold {params.plan} {output.text} 2>&1 | tee {log}"
