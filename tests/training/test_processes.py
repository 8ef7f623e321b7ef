from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from shortaxis.training.processes import Processes, joined_processes

CPU = torch.device("cpu")


def test_one_process_needs_no_set_up():
    with joined_processes("cpu") as processes:
        assert processes == Processes(0, 1, CPU)
        assert processes.is_first
        assert processes.any(flag=True)
        assert not processes.any(flag=False)


PROGRAM = """
    import json, sys
    from pathlib import Path
    import torch
    sys.path.insert(0, sys.argv[2])
    from conftest import RECIPE, make_dataset
    from shortaxis.training import train
    from shortaxis.training.recipe import recipe_from_dict
    torch.set_num_threads(1)
    out = Path(sys.argv[1])
    recipe = recipe_from_dict(RECIPE | {"batch": {"frames": 2, "slices": 12}})
    seen = []
    result = train(recipe, make_dataset(), out, device="cpu", on_progress=lambda p: seen.append(p.step))
    assert result.complete
    if result.model is not None:
        (out / "result.json").write_text(json.dumps([result.step, result.total, seen]))
"""


@pytest.mark.slow
def test_two_processes_train_one_model_together(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(PROGRAM))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script), str(tmp_path / "run")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, str(Path(__file__).parent)], capture_output=True, text=True, timeout=240, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    step, total, seen = json.loads((tmp_path / "run" / "result.json").read_text())
    # 8 frames, 2 a batch and process: 2 steps an epoch, 4 epochs; one process alone would need 16.
    assert (step, total, seen) == (8, 8, [8])
    assert (tmp_path / "run" / "model.safetensors").is_file()
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert len(lines) == 1
