"""The table of what errors in the input cost, from known counts."""

from model.reports.ablation import Row
from tests.benchmarks.robustness import row_of_moved, table
from tests.helpers.tiny_ablation import lines_of, result

FIRST = Row(
    "as configured",
    [],
    [
        result("ess_esgs", 5, 0),
        result("ess_esgs", 7, 1),
        result("ess_esgs_voted", 8, 0),
        result("pseudo_labels", 9, split="train"),
    ],
)
OF_MOVED = [
    result("fused", 1),
    result("ess_esgs", 4, 0),
    result("ess_esgs_voted", 6, 0),
    result("refined_labels", 10, 0, split="train"),
    result("pseudo_labels", 7, split="train"),
]


def test_each_condition_is_compared_with_the_demo_as_configured() -> None:
    few = Row("half the frames", ["frames.every = 2"], [result("ess_esgs", 7, 0)])
    rows = [FIRST, few, row_of_moved(FIRST, OF_MOVED)]
    found = lines_of(table(rows, "scannet_official"))
    assert found[-4:] == [
        ["seeds", "mIoU", "diff", "voted", "diff", "labels", "diff"],
        ["as configured", "2", "60.0 ± 14.1", "80.0", "90.0"],
        ["half the frames", "1", "70.0", "+10.0", "-", "-", "-", "-"],
        ["cameras moved by 2 cm", "1", "40.0", "-20.0", "60.0", "-20.0", "70.0", "-20.0"],
    ]
