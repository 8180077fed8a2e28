# Simulated rooms, written as the raw files of a dataset. They are each user's own and not shared.
rule simulate:
    output:
        "<raw>/{scan}.done",
    log:
        "<logs>/simulate/{scan}.log",
    benchmark:
        "<benchmarks>/simulate/{scan}.tsv"
    conda:
        "../../envs/pipeline.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        plan=config["plan"],
    shell:
        "python -m pipeline simulate {params.plan} {output} 2>&1 | tee {log}"
