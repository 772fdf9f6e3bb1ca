"""The options of a training run; with a snapshot they determine its result."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from studio.backbones import DEFAULT

Optimizer = Literal["sgd", "momentum", "adam"]
ClassWeighting = Literal["balanced", "none"]
Compat = Literal["", "retrain.py"]


@dataclass(frozen=True)
class RunOptions:
    """The options of a training run.

    They are named as the flags of `retrain.py` where it has them. Percentages are 0-100.

    backbone (defaults to `DEFAULT`): name of the pretrained network, see `studio.backbones.BACKBONES`.
        Several names joined by "+" concatenate their features: often more accurate, always slower.
    how_many_training_steps (defaults to 500): number of optimizer steps for the head, one batch each.
        More steps fit the training images more closely and take longer; `patience` may end training earlier.
    learning_rate (defaults to 0.01): learning rate of the head's optimizer.
        A larger one converges in fewer steps but may overshoot; fine-tuned blocks have their own.
    train_batch_size (defaults to 100): number of training images per optimizer step, drawn with replacement.
        A larger batch gives smoother steps, each of which takes longer.
    validation_percentage (defaults to 10): share of the images in the validation split.
        They select the best step, stop training early and choose `l2`; 0 keeps the last step.
    testing_percentage (defaults to 10): share of the images in the test split.
        They are used only for the final evaluation; a larger share makes the test accuracy more precise.
    eval_step_interval (defaults to 10): number of training steps between two validations.
        A smaller interval finds the best step more exactly and takes longer.
    seed (defaults to 0): seed of batches, initial weights, dropout and distorted views.
        The same seed, options and snapshot give the same model.
    optimizer (defaults to "sgd"): optimizer of the head: "sgd", "momentum" or "adam".
        "momentum" is SGD with a momentum of 0.9; "adam" adapts the step size of each weight.
    l2 (defaults to 0.0): weight of half the squared weights in the loss.
        A larger one keeps weights small against overfitting; None chooses it on the validation images.
    class_weighting (defaults to "balanced"): how the images of a batch are drawn.
        "balanced" draws each class equally often, as `retrain.py` does; "none" draws each image.
    patience (defaults to 0): number of validations without improvement after which training stops early.
        A small one saves time but may stop too soon; 0 always trains all steps.
    flip_left_right (defaults to False): mirror half of the distorted views.
        Helps where left and right do not matter; harmful for text or arrows.
    random_crop (defaults to 0): percent by which an image is enlarged before a random crop.
        Makes the model robust against the position and framing of things.
    random_scale (defaults to 0): largest percent of further random enlargement.
        Makes the model robust against the size of things.
    random_brightness (defaults to 0): largest percent by which pixel values are multiplied up or down.
        Makes the model robust against lighting.
    random_rotation (defaults to 0): largest rotation to either side, in degrees.
        Makes the model robust against tilted images; the corners are filled by reflection.
    random_colour (defaults to 0): largest percent by which saturation and hue vary.
        Makes the model robust against white balance; harmful where colour distinguishes classes.
    distorted_views (defaults to 4): number of cached distorted views per training image.
        More views vary the training more and take longer to embed; used only with a distortion.
    fine_tune (defaults to False): also train the backbone's last blocks, not only the head.
        Usually more accurate, but training takes minutes instead of seconds, and predictions are slower.
    fine_tune_epochs (defaults to 24): number of epochs over the training images in fine-tuning.
        More epochs fit the images more closely and take longer; used only with `fine_tune`.
    minutes (defaults to None): time budget to search for the best backbone and training in.
        Tries `backbone` first, then fine-tuning and other backbones; None trains only what these options say.
    validation_batch_size (defaults to -1): number of validation images per validation, balanced by class.
        A sample is faster but makes the best step a matter of chance; -1 uses all images.
    test_batch_size (defaults to -1): number of test images in the evaluation, balanced by class.
        A sample makes the test accuracy less precise; -1 uses all images.
    compat (defaults to ""): conventions of the training.
        "retrain.py" trains exactly as `retrain.py` does where it differs; see `studio.retrain.compat`.
    """

    backbone: str = DEFAULT
    how_many_training_steps: int = 500
    learning_rate: float = 0.01
    train_batch_size: int = 100
    validation_percentage: float = 10
    testing_percentage: float = 10
    eval_step_interval: int = 10
    seed: int = 0
    optimizer: Optimizer = "sgd"
    l2: float | None = 0.0
    class_weighting: ClassWeighting = "balanced"
    patience: int = 0
    flip_left_right: bool = False
    random_crop: int = 0
    random_scale: int = 0
    random_brightness: int = 0
    random_rotation: int = 0
    random_colour: int = 0
    distorted_views: int = 4
    fine_tune: bool = False
    fine_tune_epochs: int = 24
    minutes: float | None = None
    validation_batch_size: int = -1
    test_batch_size: int = -1
    compat: Compat = ""

    def __post_init__(self) -> None:
        counts = (self.how_many_training_steps, self.train_batch_size, self.eval_step_interval)
        if (
            min(*counts, self.distorted_views, self.fine_tune_epochs) < 1
            or self.learning_rate <= 0
            or min(self.seed, self.patience) < 0
        ):
            raise ValueError(
                "expected positive steps, batch size, interval, views, epochs and learning rate, and a seed "
                f"and patience of 0 or more; got {self}"
            )
        percentages = (self.validation_percentage, self.testing_percentage)
        if min(percentages) < 0 or sum(percentages) >= 100:  # noqa: PLR2004 - percent
            raise ValueError(
                "expected validation and testing percentages of 0 or more, below 100 in total; "
                f"got {percentages}"
            )
        if self.optimizer not in get_args(Optimizer) or self.class_weighting not in get_args(ClassWeighting):
            raise ValueError(
                f"expected optimizer in {get_args(Optimizer)} and class_weighting in "
                f"{get_args(ClassWeighting)}; got {self.optimizer!r} and {self.class_weighting!r}"
            )
        sample_sizes = (self.validation_batch_size, self.test_batch_size)
        if any(size < 1 and size != -1 for size in sample_sizes) or self.compat not in get_args(Compat):
            raise ValueError(
                "expected validation and test batch sizes of 1 or more, or -1 for all, and compat in "
                f"{get_args(Compat)}; got {sample_sizes} and {self.compat!r}"
            )
        if (self.l2 is not None and self.l2 < 0) or (self.minutes is not None and self.minutes <= 0):
            raise ValueError(
                f"expected l2 of 0 or more and minutes above 0; got {self.l2} and {self.minutes}"
            )
        distortions = (self.random_crop, self.random_brightness, self.random_colour, self.random_rotation)
        if min(*distortions, self.random_scale) < 0 or max(self.random_crop, self.random_colour) >= 100:  # noqa: PLR2004 - percent
            raise ValueError(f"expected distortions from 0 to 99 percent; got {self}")

    @property
    def distorts(self) -> bool:
        """Return whether the training images are distorted."""
        return self.flip_left_right or any(
            (
                self.random_crop,
                self.random_scale,
                self.random_brightness,
                self.random_rotation,
                self.random_colour,
            )
        )

    def to_json(self) -> dict[str, Any]:
        """Return the options as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "RunOptions":
        """Return the options that `to_json` returned.

        Fields that an older version did not write get their default.
        """
        return cls(**values)
