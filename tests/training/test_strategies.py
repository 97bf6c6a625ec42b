"""Two devices, and two processes, compute what one device computes."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tests_environment import command_environment
from tests_forked import ready

from srexp.config.compose import compose
from srexp.config.identity import config_digest
from srexp.config.settings import experiment_of
from srexp.options import OptionError
from srexp.training import checkpoint
from srexp.training.memory import out_of_memory
from srexp.training.strategy import Cluster, Strategy, make

SCRIPT = Path(__file__).with_name("strategies_process.py")
TINY = (
    "model.depth=3", "model.filters=4", "trainer.steps=50", "trainer.eval_every=25",
    "trainer.batch_size=4", "trainer.hr_patch_size=24", "trainer.sample_grids=0",
    "benchmark=[]", "tracking=none", "optimizer=sgd", "optimizer.learning_rate=0.5",
    "optimizer.clip_norm=0.01", "optimizer.accumulate=2", "trainer.ema=0.9",
)  # fmt: skip


class Running:
    """`srexp train` in one or several processes, the chief's first."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        workers: int = 1,
        devices: int = 1,
        others: tuple[str, ...] = (),  # what all but the chief are given besides
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        program = ("-m", "srexp") if devices == 1 else (str(SCRIPT),)
        addresses = [f"localhost:{port}" for port in _free_ports(workers)]
        self.processes = []
        for index in reversed(range(workers)):
            task = {"type": "worker", "index": index}
            config = json.dumps({"cluster": {"worker": addresses}, "task": task})
            more = {"TF_CONFIG": config} if workers > 1 else {}
            process = ready().start(
                folder, "train", *arguments, *(others if index else ()), program=program,
                timeout=120, environment=command_environment(folder, **more),
            )  # fmt: skip
            self.processes.insert(0, process)

    def wait(self) -> list[tuple[int, str, str]]:
        """Exit code, stdout and stderr of each; whoever hangs is killed and fails the test."""
        return [(p.wait(), p.stdout, p.stderr) for p in self.processes]

    def until_checkpoint(self) -> None:
        deadline = time.monotonic() + 120
        while not list(self.folder.glob("outputs/*/checkpoints/step-*.npz")):
            assert all(process.poll() is None for process in self.processes)
            assert time.monotonic() < deadline
            time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def train(folder: Path, *arguments: str, workers: int = 1, devices: int = 1) -> Path:
    """Train to the end; the run's folder."""
    ended = Running(folder, *arguments, workers=workers, devices=devices).wait()
    assert [code for code, _, _ in ended] == [0] * workers, ended
    for _, out, err in ended[1:]:
        assert (out, err) == ("", "")  # all but the chief are quiet
    return only_run(folder)


def only_run(folder: Path) -> Path:
    (info,) = folder.glob("outputs/*/run.json")
    return info.parent


def losses(run: Path) -> list[float]:
    points = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [p["metrics"]["train/loss"] for p in points if "train/loss" in p["metrics"]]


def arrays(run: Path, which: str = "newest") -> dict[str, np.ndarray]:
    folder = run / "checkpoints"
    path = checkpoint.newest(folder)[0] if which == "newest" else checkpoint.best_path(folder)
    return checkpoint.load(path)[0]


@pytest.fixture(scope="module")
def one_device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("one"), *TINY)


def assert_same_run(run: Path, one_device: Path) -> None:
    assert len(losses(one_device)) == 6
    assert losses(run) == pytest.approx(losses(one_device), rel=1e-5)
    for which in ("newest", "best"):
        ours, theirs = arrays(run, which), arrays(one_device, which)
        assert ours.keys() == theirs.keys()
        for name, array in theirs.items():
            scale = max(1e-6, np.abs(array).max())
            np.testing.assert_allclose(ours[name], array, rtol=0, atol=1e-4 * scale, err_msg=name)


@pytest.fixture(scope="module")
def parity() -> dict[str, Any]:
    """Losses of one device and of two replicas, and how far their states are apart."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "parity"],
        capture_output=True, text=True, check=False, timeout=300,
        env=command_environment(Path.cwd()),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", ["plain", "accumulate", "clip", "ema", "all", "mixed"])
def test_two_replicas_have_the_losses_and_the_state_of_one_device(
    parity: dict[str, Any], case: str
) -> None:
    one, two = parity[case]["losses"]
    assert one[-1] < 0.9 * one[0] or "clip" in case or case in ("all", "mixed")
    # float16 rounds each activation to 1e-3.
    mixed = case == "mixed"
    assert two == pytest.approx(one, rel=1e-3 if mixed else 1e-5)
    assert parity[case]["apart"] < (1e-2 if mixed else 1e-4)


@pytest.mark.slow
def test_mirrored_is_one_device_and_checkpoints_go_both_ways(
    tmp_path: Path, one_device: Path
) -> None:
    whole = train(tmp_path / "whole", *TINY, "trainer.strategy=mirrored", devices=2)
    assert_same_run(whole, one_device)
    there = ("trainer.strategy=none", "trainer.strategy=mirrored")
    for first, second in (there, there[::-1]):
        folder = tmp_path / first[-4:]
        train(folder, *TINY, "schedule.steps=50", "trainer.steps=25", first, devices=2)
        run = train(folder, "resume=latest", "trainer.steps=50", second, devices=2)
        assert losses(run)[3:] == pytest.approx(losses(one_device)[3:], rel=1e-5)


@pytest.mark.slow
def test_two_processes_are_one_device_and_checkpoints_go_both_ways(
    tmp_path: Path, one_device: Path
) -> None:
    whole = train(tmp_path / "whole", *TINY, "trainer.strategy=multi_worker", workers=2)
    assert_same_run(whole, one_device)
    there = (("trainer.strategy=none", 1), ("trainer.strategy=multi_worker", 2))
    for (first, before), (second, after) in (there, there[::-1]):
        folder = tmp_path / first[-4:]
        train(folder, *TINY, "schedule.steps=50", "trainer.steps=25", first, workers=before)
        run = train(folder, "resume=latest", "trainer.steps=50", second, workers=after)
        assert losses(run)[3:] == pytest.approx(losses(one_device)[3:], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("asked", [0, 1])
def test_whoever_is_asked_to_stop_all_stop_at_the_same_step(tmp_path: Path, asked: int) -> None:
    running = Running(
        tmp_path, *TINY, "trainer.steps=100000", "trainer.strategy=multi_worker", workers=2
    )
    running.until_checkpoint()
    running.processes[asked].signal(signal.SIGTERM)
    (chief, _, said), (worker, _, _) = running.wait()
    assert chief == (128 + signal.SIGTERM if asked == 0 else 128 + signal.SIGINT)
    assert worker == (0 if asked == 0 else 128 + signal.SIGTERM)
    assert "saved. To go on" in said
    assert json.loads((only_run(tmp_path) / "run.json").read_text())["status"] == "INTERRUPTED"


@pytest.mark.slow
def test_the_clock_stops_all(tmp_path: Path) -> None:
    run = train(
        tmp_path, *TINY, "trainer.steps=100000", "trainer.max_minutes=0.05",
        "trainer.strategy=multi_worker", workers=2,
    )  # fmt: skip
    assert json.loads((run / "run.json").read_text())["status"] == "FINISHED"


@pytest.mark.slow
def test_a_worker_that_is_killed_ends_the_chief_with_one_line_and_all_can_go_on(
    tmp_path: Path,
) -> None:
    running = Running(
        tmp_path, *TINY, "trainer.steps=100000", "trainer.strategy=multi_worker", workers=2
    )
    running.until_checkpoint()
    running.processes[1].kill()
    (code, _, said), _ = running.wait()
    assert code == 1
    assert "another process of trainer.strategy=multi_worker has ended" in said
    assert "Traceback" not in said and len(said.splitlines()) == 2, said
    run = only_run(tmp_path)
    assert json.loads((run / "run.json").read_text())["status"] == "FAILED"
    _, meta, _ = checkpoint.load_newest(run / "checkpoints")
    steps = meta["progress"]["step"] + 10
    train(tmp_path, "resume=latest", f"trainer.steps={steps}", workers=2)
    _, meta, _ = checkpoint.load_newest(run / "checkpoints")
    assert meta["progress"]["step"] == steps


@pytest.mark.slow
def test_processes_with_different_configurations_all_say_so(tmp_path: Path) -> None:
    running = Running(
        tmp_path, *TINY, "trainer.strategy=multi_worker", workers=2, others=("seed=9",)
    )
    for code, _, said in running.wait():
        assert code == 2
        assert "1 of 2 processes have another configuration" in said
    assert not list(tmp_path.glob("outputs/*"))


def test_the_replicas_must_divide_the_batch(tmp_path: Path) -> None:
    done = Running(
        tmp_path, *TINY, "trainer.batch_size=5", "trainer.strategy=mirrored", devices=2
    ).wait()
    ((code, _, said),) = done
    assert code == 2
    assert "trainer.batch_size=5" in said and "4 or 6 would do" in said
    assert "Traceback" not in said and not list(tmp_path.glob("outputs/*"))


def options(*overrides: str) -> Any:
    return experiment_of(compose(overrides=list(overrides)))


def test_xla_and_a_strategy_exclude_each_other() -> None:
    with pytest.raises(OptionError, match=r"trainer\.jit_compile=true: .*strategy=mirrored"):
        options("trainer.strategy=mirrored", "trainer.jit_compile=true")


def test_the_strategy_is_no_part_of_a_runs_identity_and_old_runs_have_none() -> None:
    plain = compose(overrides=[])
    mirrored = compose(overrides=["trainer.strategy=mirrored"])
    assert config_digest(plain) == config_digest(mirrored)
    del plain["trainer"]["strategy"]
    assert experiment_of(plain).trainer.strategy == "none"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
        '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}}',
    ],
)
def test_a_tf_config_that_cannot_be_is_one_line(text: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(OptionError, match=r"^TF_CONFIG: cannot be understood"):
        Cluster.from_environment()


def test_a_chief_of_its_own_kind_comes_first(monkeypatch: Any) -> None:
    cluster = {"worker": ["b:1", "c:1"], "chief": ["a:1"]}
    for task, index in (("chief", 0), ("worker", 1)):
        config = {"cluster": cluster, "task": {"type": task, "index": 0}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(config))
        assert Cluster.from_environment() == Cluster(["a:1", "b:1", "c:1"], index)


def test_slurms_ranks_keep_slurms_order_of_hosts(monkeypatch: Any) -> None:
    """srun's variables as its manual gives them; n10 sorts before n9 as text."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for name, value in {
        "JOB_ID": "20007", "PROCID": "2", "STEP_NUM_TASKS": "4", "STEP_NODELIST": "n[9-10]",
        "STEP_TASKS_PER_NODE": "2(x2)",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"SLURM_{name}", value)
    wanted = ["n9:15007", "n9:15008", "n10:15007", "n10:15008"]
    assert Cluster.from_environment() == Cluster(wanted, 2)


def test_neither_tf_config_nor_slurm_is_one_line(monkeypatch: Any) -> None:
    for name in ("TF_CONFIG", "SLURM_STEP_NODELIST"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(OptionError, match="needs TF_CONFIG"):
        make(options("trainer.strategy=multi_worker").trainer)


def test_the_parts_of_all_processes_are_the_batch() -> None:
    parts = [Strategy(None, workers=3, index=index).part(12) for index in range(3)]
    assert [list(range(12))[part] for part in parts] == [
        [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11],
    ]  # fmt: skip


def test_memory_that_does_not_suffice_names_the_keys_with_their_values() -> None:
    with pytest.raises(tf.errors.ResourceExhaustedError) as info:
        tf.zeros([2**24, 2**20]) + 1  # 64 TiB
    said = out_of_memory(info.value, options("trainer.batch_size=24", "model.depth=4")) or ""
    for key in (
        "trainer.batch_size=24", "trainer.hr_patch_size=48", "optimizer.accumulate=1",
        "model.filters=32", "model.depth=4", "trainer.mixed_precision=true", "scoring",
        "tiles of 512x512",
    ):  # fmt: skip
        assert key in said
    assert "\n" not in said
    assert out_of_memory(ValueError("x"), options()) is None


@pytest.mark.slow
def test_a_network_larger_than_the_memory_is_one_message(tmp_path: Path) -> None:
    arguments = ["model=srcnn", "model.filters=[4096,4096]", "model.kernel_sizes=[9,31,5]"]
    # 24 GiB of addresses; the second layer alone would take 60. By a shell: what Python did in a
    # fork of a process with LiteRT in it ended in a segmentation fault once.
    limited = ["sh", "-c", f'ulimit -v {24 * 2**20} && exec "$@"', "sh"]
    done = subprocess.run(
        [*limited, sys.executable, "-m", "srexp", "train", *TINY[2:], *arguments],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
        env=command_environment(tmp_path),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "out of memory" in done.stderr and "trainer.batch_size=4" in done.stderr
    assert "Traceback" not in done.stderr
