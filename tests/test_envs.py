"""Environments that are made without envs/run have the same packages.

python -m tests.test_envs    writes envs/pipeline.yaml anew, after a change of requirements.txt
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONDA = ROOT / "envs/pipeline.yaml"
HEAD = """\
# For `snakemake --sdm conda`; envs/run makes the same environment without conda. Snakemake copies
# this file alone, so it has the pins of requirements.txt itself (python -m tests.test_envs).
channels:
  - conda-forge
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def conda_environment() -> str:
    """The text of pipeline.yaml, by the pins of requirements.txt."""
    text = (ROOT / "envs/requirements.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([A-Za-z0-9._-]+==[^ ;\\]+)", text, re.M)
    return HEAD + "".join(f"      - {pin}\n" for pin in pins)


def test_condas_environment_has_the_pins_of_requirements() -> None:
    assert CONDA.read_text(encoding="utf-8") == conda_environment()


def test_the_set_up_goes_on_where_packages_are_not_debians(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "envs", tmp_path / "envs")
    venv = tmp_path / ".venv"
    (venv / "bin").mkdir(parents=True)
    pins = (ROOT / "envs/uv.txt").read_bytes() + (ROOT / "envs/requirements.txt").read_bytes()
    known = subprocess.run(["sha256sum"], input=pins, capture_output=True, check=True).stdout
    (venv / "stamp").write_bytes(known.split()[0] + b"\n")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "cat", "cut", "dirname", "env", "python3.11", "sha256sum"):
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(os.path.realpath(found))
    command = [str(tmp_path / "envs/run"), "python3.11", "-c", "print('done')"]
    done = subprocess.run(command, env={"PATH": str(tools)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"
    assert "envs/system-packages.txt" in done.stderr


if __name__ == "__main__":
    CONDA.write_text(conda_environment(), encoding="utf-8")
