# The rules of any dataset: one a stage, `config` saying what the plan found. `scan` names an entry.
rule train:
    input:
        config["scores"],
        config["labelled"],
    output:
        text="<results>/table.txt",
        json="<results>/table.json",
        csv="<results>/table.csv",
    log:
        "<logs>/report.log",
    conda:
        "../../envs/pipeline.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        plan=config["plan"],
    shell:
        "python -m pipeline report {params.plan} {output.text} 2>&1 | tee {log}"


# Where there is nothing to score by, the networks label the scans.
rule clouds:
    input:
        lambda wildcards: config["inputs"]("clouds", wildcards.scan),
    output:
        expand("<results>/{{scan}}/{cloud}.ply", cloud=config["clouds"] or ["labels"]),
    log:
        "<logs>/clouds/{scan}.log",
    benchmark:
        "<benchmarks>/clouds/{scan}.tsv"
    conda:
        "../../envs/pipeline.yaml"
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=60,
    params:
        plan=config["plan"],
        folder=subpath(output[0], parent=True),
    shell:
        "python -m pipeline clouds {params.plan} {params.folder} 2>&1 | tee {log}"


rule pseudo_labels:
    input:
        "<targets>/{scan}.zarr.zip",
        "<text>/classes.zarr.zip",
        "<tags>/{scan}.zarr.zip",
        "<voxels>/{scan}.zarr.zip",
    output:
        "<pseudo_labels>/{scan}.zarr.zip",
    log:
        "<logs>/pseudo_labels/{scan}.log",
    conda:
        "../../envs/pipeline.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        plan=config["plan"],
    shell:
        "python -m pipeline pseudo_labels {params.plan} {output} 2>&1 | tee {log}"


rule targets:
    input:
        lambda wildcards: config["inputs"]("targets", wildcards.scan),
    output:
        "<targets>/{scan}.zarr.zip",
    log:
        "<logs>/targets/{scan}.log",
    benchmark:
        "<benchmarks>/targets/{scan}.tsv"
    conda:
        "../../envs/pipeline.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        plan=config["plan"],
    shell:
        "python -m pipeline targets {params.plan} {output} 2>&1 | tee {log}"


# A job embeds a batch of scans, so that the image tower is loaded once for all of them.
for number, batch in enumerate(config["batches"]):

    rule:
        name:
            f"embeddings_{number}"
        input:
            expand("<frames>/{scan}.zarr.zip", scan=batch),
        output:
            expand("<embeddings>/{scan}.zarr.zip", scan=batch),
        log:
            f"<logs>/embeddings/{number}.log",
        benchmark:
            f"<benchmarks>/embeddings/{number}.tsv"
        conda:
            "../../envs/pipeline.yaml"
        threads: config["threads"]
        resources:
            gpu=1,
            mem_mb=16000,
            runtime=240,
        params:
            plan=config["plan"],
        shell:
            "python -m pipeline embeddings {params.plan} {output} 2>&1 | tee {log}"


rule text:
    output:
        "<text>/classes.zarr.zip",
    log:
        "<logs>/text.log",
    conda:
        "../../envs/pipeline.yaml"
    resources:
        mem_mb=8000,
        runtime=30,
    params:
        plan=config["plan"],
    shell:
        "python -m pipeline text {params.plan} {output} 2>&1 | tee {log}"


rule projections:
    input:
        "<frames>/{scan}.zarr.zip",
        "<voxels>/{scan}.zarr.zip",
    output:
        "<projections>/{scan}.zarr.zip",
    log:
        "<logs>/projections/{scan}.log",
    benchmark:
        "<benchmarks>/projections/{scan}.tsv"
    conda:
        "../../envs/pipeline.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        plan=config["plan"],
    shell:
        "python -m pipeline projections {params.plan} {output} 2>&1 | tee {log}"


# Scene-level labels: one small job for all scans.
rule tags:
    input:
        config["sources_of_tags"],
    output:
        expand("<tags>/{scan}.zarr.zip", scan=config["tagged"]),
    log:
        "<logs>/tags.log",
    conda:
        "../../envs/pipeline.yaml"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        plan=config["plan"],
    shell:
        "python -m pipeline tags {params.plan} {output} 2>&1 | tee {log}"


rule labels:
    input:
        config["raw"],
    output:
        "<labels>/{scan}.zarr.zip",
    log:
        "<logs>/labels/{scan}.log",
    conda:
        "../../envs/pipeline.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        plan=config["plan"],
    shell:
        "python -m pipeline labels {params.plan} {output} 2>&1 | tee {log}"


rule voxels:
    input:
        config["raw"],
    output:
        "<voxels>/{scan}.zarr.zip",
    log:
        "<logs>/voxels/{scan}.log",
    benchmark:
        "<benchmarks>/voxels/{scan}.tsv"
    conda:
        "../../envs/pipeline.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        plan=config["plan"],
    shell:
        "python -m pipeline voxels {params.plan} {output} 2>&1 | tee {log}"


rule frames:
    input:
        config["raw"],
    output:
        "<frames>/{scan}.zarr.zip",
    log:
        "<logs>/frames/{scan}.log",
    benchmark:
        "<benchmarks>/frames/{scan}.tsv"
    conda:
        "../../envs/pipeline.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        plan=config["plan"],
    shell:
        "python -m pipeline frames {params.plan} {output} 2>&1 | tee {log}"
