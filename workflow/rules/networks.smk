# Networks and their scores, which differ by who is trained on: of a dataset, and of each fold of one.
rule evaluate:
    input:
        lambda wildcards: config["inputs"]("evaluate", wildcards.score),
    output:
        "<evaluate>/{score}.json",
    log:
        "<logs>/evaluate/{score}.log",
    benchmark:
        "<benchmarks>/evaluate/{score}.tsv"
    conda:
        "../../envs/pipeline.yaml"
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        plan=config["plan"],
    shell:
        "python -m pipeline evaluate {params.plan} {output} 2>&1 | tee {log}"


rule train_network:
    input:
        lambda wildcards: config["inputs"]("train", wildcards.run),
    output:
        "<train>/{run}.safetensors",
    log:
        "<logs>/train/{run}.log",
    benchmark:
        "<benchmarks>/train/{run}.tsv"
    priority: -1  # long: what is short goes first
    conda:
        "../../envs/pipeline.yaml"
    threads: config["workers"] + 1
    resources:
        gpu=1,
        mem_mb=24000,
        runtime=2880,
    params:
        plan=config["plan"],
    shell:
        "python -m pipeline train {params.plan} {output} 2>&1 | tee {log}"


rule train_ceiling:
    input:
        lambda wildcards: config["inputs"]("ceiling", wildcards.run),
    output:
        "<ceiling>/{run}.safetensors",
    log:
        "<logs>/ceiling/{run}.log",
    benchmark:
        "<benchmarks>/ceiling/{run}.tsv"
    priority: -1  # long: what is short goes first
    conda:
        "../../envs/pipeline.yaml"
    threads: config["workers"] + 1
    resources:
        gpu=1,
        mem_mb=24000,
        runtime=2880,
    params:
        plan=config["plan"],
    shell:
        "python -m pipeline ceiling {params.plan} {output} 2>&1 | tee {log}"
