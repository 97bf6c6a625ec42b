"""Adversarial training: a second network learns to tell the network's images from HR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from srexp.losses.base import Loss
from srexp.options import OptionError, bounded, choice
from srexp.training.algorithms.base import Algorithm
from srexp.training.discriminators.base import Discriminator
from srexp.training.optimizers import Optimizer

if TYPE_CHECKING:
    import keras

    from srexp.training.experiment import Experiment
    from srexp.training.learner import Learner
    from srexp.training.strategy import Strategy


@dataclass(kw_only=True)
class Adversarial(Algorithm, name="adversarial"):
    """The run's loss plus `weight` times the adversarial term; two networks, two optimizers.

    A step moves the network, then the discriminator by the same images. Curves: `loss`, which the
    network lowers, with its terms `loss_NAME` and `loss_adversarial`; `discriminator_loss`, and
    the mean logits `discriminator_real` of HR and `discriminator_fake` of SR.

    Attributes:
        objective: See `objectives`.
        weight: Of the adversarial term.
        discriminator: The second network.
        optimizer: Of the discriminator; its rate follows the run's schedule.
    """

    objective: str = choice("relativistic", "standard")
    weight: float = bounded(above=0)
    discriminator: Discriminator
    optimizer: Optimizer

    def check(self, experiment: Experiment) -> None:
        if (strategy := experiment.trainer.strategy) != "none":
            raise OptionError(
                f"trainer.strategy={strategy}: algorithm={self.name} trains on one device "
                "(discriminators have state that replicas do not share); leave it at none",
                "trainer.strategy",
            )
        model, sides = experiment.model, [size for size, _ in experiment.trainer.patch_sizes()]
        side = sides[-1]
        if model.compared_side(side, experiment.degradation.scale) != side:
            raise OptionError(
                f"model={model.name}: algorithm={self.name} judges whole patches, and the loss of "
                "this network looks at others (of several sizes, or without their edges)",
                "model",
            )
        if len(sides) > 1:
            raise OptionError(
                f"trainer.early_patch_sizes={sides[:-1]}: algorithm={self.name} trains on patches "
                "of one size, that of its discriminator; leave it at null",
                "trainer.early_patch_sizes",
            )
        self.discriminator.check(side)

    def curves(self, loss: Loss) -> tuple[str, ...]:
        if not (terms := loss.terms_given):
            return ()
        kinds = ("loss", "real", "fake")
        return (
            "loss",
            *(f"loss_{name}" for name in (*terms, "adversarial")),
            *(f"discriminator_{kind}" for kind in kinds),
        )

    def build(self, experiment: Experiment, network: keras.Model, strategy: Strategy) -> Learner:
        import tensorflow as tf

        from srexp.training.learner import Learner, Trained, total

        mixed = experiment.trainer.mixed_precision
        discriminator = self.discriminator.build(
            side=experiment.trainer.hr_patch_size, channels=experiment.channels
        )
        generator = Trained(network, experiment.build_optimizer(), mixed, experiment.model.rates)
        judge = Trained(discriminator, self.optimizer.build(experiment.schedule, ema=None), mixed)
        loss = experiment.build_loss()

        def step(inputs: Any, hr: Any, number: Any) -> dict[str, Any]:
            # One pass for both: the discriminator has not moved when it sees the images again.
            with tf.GradientTape(persistent=True) as tape:
                sr = tf.cast(network(inputs, training=True), tf.float32)
                real = discriminator(hr, training=True)
                fake = discriminator(sr, training=True)
                adversarial, told = objectives(self.objective, real, fake)
                terms = {**loss(hr, sr, number), "adversarial": self.weight * adversarial}
                scalars = total(terms, network.losses)
                lowered = generator.scale(scalars["loss"])
                told_apart = judge.scale(told)
            of_network = tape.gradient(lowered, network.trainable_variables)
            of_discriminator = tape.gradient(told_apart, discriminator.trainable_variables)
            generator.apply(of_network)
            judge.apply(of_discriminator)
            means = {"loss": told, "real": tf.reduce_mean(real), "fake": tf.reduce_mean(fake)}
            return {**scalars, **{f"discriminator_{name}": v for name, v in means.items()}}

        return Learner(
            {"model": generator, "discriminator": judge},
            step,
            strategy=strategy,
            jit_compile=bool(experiment.trainer.jit_compile),
        )


def objectives(objective: str, real: Any, fake: Any) -> tuple[Any, Any]:
    """What the network lowers and what the discriminator lowers: two scalars.

    `standard`: -log D(SR), and -log D(HR) - log(1 - D(SR)), with D the sigmoid of the logit.
    Ledig et al., CVPR 2017, equations 2 and 6. `relativistic`: D(HR) is the sigmoid of the logit
    less the mean logit of SR, and the other way round; the network lowers the same with HR and SR
    exchanged. Wang et al., ESRGAN, ECCVW 2018, equations 1 and 2; both halved, as by the authors'
    program, to which the published weight 0.005 belongs.

    Args:
        objective: Of the two.
        real: Logits of HR, of any shape.
        fake: Logits of SR, of the same shape.
    """
    from keras import ops

    def surprise(logits: Any, *, wanted: bool) -> Any:
        """Binary cross-entropy: -log sigmoid(logits), or of 1 less that."""
        return ops.mean(ops.softplus(-logits if wanted else logits))

    if objective == "standard":
        told = surprise(real, wanted=True) + surprise(fake, wanted=False)
        return surprise(fake, wanted=True), told
    of_real, of_fake = real - ops.mean(fake), fake - ops.mean(real)
    return (
        (surprise(of_real, wanted=False) + surprise(of_fake, wanted=True)) / 2,
        (surprise(of_real, wanted=True) + surprise(of_fake, wanted=False)) / 2,
    )
