"""Cores and GPUs shared out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from srexp.options import OptionError
from srexp.sweeps import slots as module
from srexp.sweeps.slots import Slot, slots, visible_gpus


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Eight cores, no GPU."""
    monkeypatch.setattr(module, "available_cores", lambda: [0, 1, 2, 3, 8, 9, 10, 11])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return monkeypatch


def test_one_job_has_everything(machine: pytest.MonkeyPatch) -> None:
    assert slots(None, None) == slots(1, None) == [Slot()]


def test_every_core_belongs_to_one_slot(machine: pytest.MonkeyPatch) -> None:
    assert slots(2, None) == [Slot((0, 1, 2, 3)), Slot((8, 9, 10, 11))]
    three = slots(3, None)
    assert sorted(core for slot in three for core in slot.cores) == [0, 1, 2, 3, 8, 9, 10, 11]
    assert sorted(len(slot.cores) for slot in three) == [2, 3, 3]


def test_more_jobs_than_cores_share_them_all(machine: pytest.MonkeyPatch) -> None:
    assert slots(9, None) == [Slot()] * 9


def test_one_job_a_gpu(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-5a")
    assert [slot.gpu for slot in slots(None, None)] == ["2", "GPU-5a"]
    assert [slot.gpu for slot in slots(3, None)] == ["2", "GPU-5a", "2"]
    assert [slot.gpu for slot in slots(2, [1, 0])] == ["1", "0"]
    # One job alone keeps all that there are, for trainer.strategy=mirrored.
    assert slots(1, None) == [Slot(gpu="2,GPU-5a")]


def test_gpus_as_the_driver_lists_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: GPU-1)'\necho 'GPU 1: B (UUID: GPU-2)'\n")
    tool.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert visible_gpus() == ["0", "1"]
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert visible_gpus() == []


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "two"])
def test_a_number_of_jobs_that_cannot_be(wrong: object) -> None:
    with pytest.raises(OptionError, match=r"hydra\.launcher\.n_jobs"):
        slots(wrong, None)  # type: ignore[arg-type]
