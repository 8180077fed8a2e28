# One scan, labelled by a trained network: `snakemake predict --config scan=PATH network=PATH`. It has
# no output that Snakemake knows, so that it is made anew whenever it is asked for.
rule predict:
    log:
        "logs/predict.log",
    conda:
        "../../envs/pipeline.yaml"
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=60,
    params:
        scan=config["scan"],
        network=config["network"],
        out=config["out"],
        up=config["up"],
        query=config["query"],
    shell:
        "python -m model.inference.label_scan --scan={params.scan:q} --network={params.network:q} "
        "--out={params.out:q} --up={params.up} --query={params.query:q} 2>&1 | tee {log}"
