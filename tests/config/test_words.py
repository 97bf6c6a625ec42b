"""Words of other programs: what is said can be typed as it stands."""

from __future__ import annotations

import shlex

import hydra
import pytest
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from srexp.config.catalogue import Catalogue, catalogue
from srexp.config.compose import compose, conf_dir
from srexp.config.errors import readable
from srexp.config.hydra_settings import check_hydra
from srexp.config.settings import evaluate_settings, experiment_of
from srexp.config.words import OPTIONS, WORDS, advice, meant
from srexp.options import OptionError

FLAGS = {f: a.nargs != 0 for a in get_args_parser()._actions for f in a.option_strings}


@pytest.fixture(scope="module", params=["train", "evaluate"])
def known(request: pytest.FixtureRequest) -> Catalogue:
    return catalogue(request.param)


def test_every_word_leads_to_what_can_be_typed(known: Catalogue) -> None:
    check = experiment_of if known.command == "train" else evaluate_settings
    words = [(word, "") for word in WORDS]
    words += [(other, "") for options in OPTIONS.values() for other in options if other != "none"]
    words += [(name, "") for group in known.groups.values() for name in group.options]
    words += [(group, other) for group, options in OPTIONS.items() for other in options]
    found = {}
    for word, value in words:
        meaning = meant(word, value, known)
        if meaning is not None:
            for typed in [(t,) for t in meaning.typed] if meaning.either else [meaning.typed]:
                found[typed] = str(meaning)
    # Sweeps make several, runs are looked for, tables are of reproduce.
    hints = [typed for typed in found if not typed[0].startswith(("sweep", "resume", "table"))]
    assert len(hints) > (35 if known.command == "train" else 20)
    for typed in hints:
        values = compose(known.command, list(typed))
        if typed == ("loss=total_variation",):
            with pytest.raises(ValueError, match="make it a term of loss=sum"):
                check(values)  # type: ignore[operator]
        elif not typed[0].startswith("benchmark="):  # their folders are wanted when they are read
            check(values)  # type: ignore[operator]


def said(command: str, line: str) -> str:
    """The one line that a command line is answered with."""
    known = catalogue(command)
    arguments = shlex.split(line)
    text = advice(command, arguments, FLAGS, known)
    if text is None:
        with pytest.raises((HydraException, OmegaConfBaseException, ValueError)) as caught:
            compose(command, [a for a in arguments if not a.startswith("-")])
        text = readable(caught.value, known)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("line", "typed"),
    [
        ("lr=3e-4", "optimizer.learning_rate=3e-4"),
        ("--lr=1e-4", "optimizer.learning_rate=1e-4"),
        ("--learning-rate 1e-4", "optimizer.learning_rate=1e-4"),
        ("trainer.lr=1e-2", "optimizer.learning_rate=1e-2"),
        ("-m lr=1e-4,1e-3", "-m optimizer.learning_rate=1e-4,1e-3"),
        ("activation=[relu,swish]", "-m act=relu,silu"),
        ("epochs=10", "trainer.steps=500"),
        ("--epochs 10", "trainer.steps=500"),
        ("trainer.num_epochs=3", "trainer.steps=500"),
        ("scale=4", "degradation.scale=4"),
        ("model.upscale=3", "degradation.scale=3"),
        ("activation=PReLU", "act=prelu"),
        ("noise=25", "degradation=chain degradation.links.noise.sigma=25"),
        ("quality=30", "degradation=chain degradation.links.jpeg.quality=30"),
        ("link=jpeg", "degradation=chain +link@degradation.links.more=jpeg"),
        ("degradation=chain link=webp", "+link@degradation.links.more=webp"),
        ("model.activation=relu", "act=relu"),
        ("batch_size=8", "trainer.batch_size=8"),
        ("--batch-size 8", "trainer.batch_size=8"),
        ("patch_size=96", "trainer.hr_patch_size=96"),
        ("interpolation=lanczos", "degradation.interpolation=lanczos"),
        ("filters=64", "model.filters=64"),
        ("depth=5", "model.depth=5"),
        ("device=cuda", "trainer.strategy=mirrored"),
        ("gpu=0", "trainer.strategy=mirrored"),
        ("gpus=2", "trainer.strategy=mirrored"),
        ("workers=4", "trainer.threads=4"),
        ("dataset=t91", "data=t91"),
        ("dataset=set5", "benchmark=set5"),
        ("dataset='my pictures'", "data=folder 'data.train_dir=my pictures'"),
        ("data=my/pictures", "data=folder data.train_dir=my/pictures"),
        ("save_dir=runs", "paths.output_dir=runs"),
        ("--wandb", "tracking=mlflow"),
        ("tensorboard=true", "tracking=mlflow"),
        ("sgd", "optimizer=sgd"),
        ("relu", "act=relu"),
        ("l1", "loss=mae"),
        ("loss=l1", "loss=mae"),
        ("loss=L2", "loss=mse"),
        ("--loss l2", "loss=mse"),
        ("--model srcnn", "model=srcnn"),
        ("--dry-run", "trainer.dry_run=true"),
        ("weight_decay=1e-4", "optimizer=adamw optimizer.weight_decay=1e-4"),
        ("benchmark=folder benchmark.dir=DIR", "benchmark.folder.dir=DIR"),
        ("benchmark.set5.dir=DIR", "benchmark=set5 benchmark.set5.dir=DIR"),
        ("~tracking", "tracking=none"),
        ("~benchmark", "benchmark=[]"),
        ("~loss", "loss=mse"),
    ],
)
def test_what_a_newcomer_types_is_answered_with_what_to_type(line: str, typed: str) -> None:
    text = said("train", line)
    assert text.endswith(f"type {typed}")
    overrides = [o for o in shlex.split(line) if "=" in o and "benchmark=folder" in o]
    if "-m " not in typed and (" " in typed or "=[" in typed):
        experiment_of(compose("train", [*overrides, *shlex.split(typed)]))


def test_a_term_of_a_sum_may_be_left_out() -> None:
    line = ["loss=sum", "~loss.terms.ssim"]  # as conf/loss/sum.yaml says
    assert advice("train", line, FLAGS, catalogue("train")) is None
    assert list(compose("train", line)["loss"]["terms"]) == ["mae"]


@pytest.mark.parametrize(
    ("command", "line", "wanted"),
    [
        ("train", "epochs=10", "training is counted in steps"),
        ("train", "device=cpu", "CUDA_VISIBLE_DEVICES= the CPU"),
        ("train", "model=srcnn model.depth=5", "srcnn has no such key; it has filters, kernel_si"),
        ("train", "model=srcnn depth=5", "model=srcnn has filters, kernel_sizes"),
        ("train", "experiment=srcnn_915_x3_t91 depth=5", "model=srcnn has filters, kernel_sizes"),
        ("train", "optimizer=sgd optimizer.beta_1=0", "sgd has no such key; it has learning_rate"),
        ("train", "experiment=srcnn_915_x3", "did you mean srcnn_915_x3_t91"),
        ("train", "optimizer=relu", "relu is an option of another group: act=relu"),
        ("train", "activation=foo", "act is one of elu, gelu"),
        ("train", "sr_dir=x", "sr_dir is of srexp evaluate"),
        ("train", "--nonsense", "srexp train --help says what there is"),
        ("train", "~model.depth", "no key can be left out"),
        ("train", "hydra.run.dirr=x", "did you mean hydra.run.dir?"),
        ("train", "hydra.run.foo=x", "hydra.run has no such key; it has dir"),
        ("train", "~nonsens", "~nonsens: no such key or group"),
        ("train", "hydra/launcher=joblib", "pip install hydra-joblib-launcher"),
        ("train", "hydra/launcher=submitit_slurm", "pip install hydra-submitit-launcher"),
        ("train", "hydra/job_logging=colorlog", "add > FILE 2>&1"),
        ("train", "-m hydra/sweeper=ax", "pip install hydra-ax-sweeper"),
        ("evaluate", "lr=1", "optimizer.learning_rate is of srexp train"),
        ("evaluate", "--checkpoint x.npz", "type run=latest"),
        ("reproduce", "srcnn", "type table=srcnn"),
    ],
)
def test_what_cannot_be_typed_is_explained(command: str, line: str, wanted: str) -> None:
    assert wanted in said(command, line)


@pytest.mark.parametrize(
    "line",
    [
        "model.depth=5 act=prelu seed=3", "-m act=relu,prelu", "--multirun seed=1,2", "--multi",
        "--cfg job model.depth=5", "-c job", "--config-dir lr", "-cd epochs act=relu",
        "+lr=3", "'data.train_dir=~/pictures'", "benchmark=[set5,set14]", "~experiment",
        "hydra.launcher.n_jobs=2", "experiment=tutorial2018", "--info plugins", "--resolve",
    ],
)  # fmt: skip
def test_what_hydra_understands_is_left_to_it(line: str) -> None:
    assert advice("train", shlex.split(line), FLAGS, catalogue("train")) is None


# Hydra's own settings.


def checked(*overrides: str) -> None:
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        check_hydra(hydra.compose("train", list(overrides), return_hydra_config=True))


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("hydra.run.dir=my_folder", "type paths.output_dir=my_folder"),
        ("hydra.sweep.dir=my_folder", "type paths.output_dir=my_folder"),
        ("hydra.sweep.subdir=job", "a folder of its own in paths.output_dir"),
        ("hydra.output_subdir=.hydra", "config.yaml"),
        ("hydra.job.chdir=true", "stays in the folder where it was started"),
        ("hydra.job.name=mine", "submitit_slurm alone"),
        ("hydra.verbose=true", "hydra.verbose=true: nothing here writes by"),
        ("hydra/job_logging=default", "add > FILE"),
    ],
)
def test_a_setting_of_hydras_that_would_do_nothing_is_refused(override: str, reason: str) -> None:
    with pytest.raises(OptionError) as caught:
        checked(override)
    assert reason in str(caught.value)
    assert str(caught.value).startswith(override.split("=")[0])


def test_the_other_settings_of_hydras_are_taken() -> None:
    checked("+hydra.job.env_set.SREXP_X=1", "hydra.launcher.n_jobs=2", "hydra.mode=MULTIRUN")
