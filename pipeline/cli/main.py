"""All commands in their groups, each with what it does in one line."""

from pipeline.cli.common import LazyGroup
from pipeline.plan import graph

COMMANDS = {
    "Before a run": {
        "doctor": ("pipeline.cli.doctor:doctor", "Find what is wrong with raw scans."),
        "estimate": ("pipeline.cli.estimate:estimate", "Say what a run takes, before it starts."),
        "fetch-weights": (
            "pipeline.cli.fetch_weights:fetch_weights",
            "Fetch weights for a machine without a network.",
        ),
        "look": ("pipeline.cli.look:look", "See what CLIP sees in a few frames, and codec costs."),
    },
    "Results": {
        "compare": ("pipeline.cli.compare:compare", "Show what differs between runs, on a page."),
        "predict": ("pipeline.cli.predict:predict", "Label a scan with a trained network."),
        "view": ("pipeline.cli.view:view", "Look at a scan in the browser, and ask in words."),
        "release": ("pipeline.cli.release:release", "Make a folder of a network for others."),
        "export": ("pipeline.cli.export:export", "Predictions in the files of a benchmark."),
    },
    "Store": {
        "store": ("pipeline.cli.store:store", "Status, reasons, checks and clean-up of the store."),
    },
    "Development": {
        "demo-clip": ("pipeline.cli.demo_clip:demo_clip", "Train and score the demo's small CLIP."),
    },
}
STAGES = {
    "Stages, which Snakemake runs": {
        **{name: (f"pipeline.cli.stages:{name}", graph.about(name)) for name in graph.modules()},
        "sixfold": ("pipeline.cli.stages:sixfold", "Tables of all folds of a dataset."),
        "ablation": ("pipeline.cli.stages:ablation", "Tables of the rows of an ablation."),
        "transfer": ("pipeline.cli.stages:transfer", "Tables of networks on another dataset."),
        "page-of-tables": ("pipeline.cli.stages:page_of_tables", "Page about any of these tables."),
    },
}

main = LazyGroup(
    COMMANDS | STAGES,
    name="pipeline",
    help="3D semantic segmentation without point labels: stages, checks and tools.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def run() -> None:
    """The command line."""
    main()
