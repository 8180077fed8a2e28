# One scan, labelled by a trained network: `snakemake predict --config 'predict={scan: PATH, network: PATH}'`.
# It has no output that Snakemake knows, so it runs whenever it is asked for. The command checks the options.
rule predict:
    log:
        "logs/predict.log",
    conda:
        "../../envs/pipeline.yaml"
    resources:
        **machine.resources_of(16000, 60, gpus=1),
    params:
        options=[f"--{option}={value}" for option, value in config["predict"].items()],
    shell:
        "python -m pipeline predict {params.options:q} 2>&1 | tee {log:q}"
