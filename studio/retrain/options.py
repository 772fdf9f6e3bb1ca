"""What a person can choose about a run; with a snapshot it says exactly what comes out."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from studio.backbones import DEFAULT

Optimizer = Literal["sgd", "momentum", "adam"]
ClassWeighting = Literal["balanced", "none"]
Compat = Literal["", "retrain.py"]


@dataclass(frozen=True)
class RunOptions:
    """Named as the flags of `retrain.py` where it has them; percentages 0-100.

    backbone: one of the registry, or several joined by "+", whose features stand side by side.
    optimizer: sgd, plain gradient descent; momentum, the same with 0.9 of the last step; adam.
    l2: weight of half the squared weights in the loss; None has it chosen on the validation images.
    class_weighting: balanced draws classes alike, as the peer does; none draws images alike.
    patience: validations in a row that bring nothing better before training ends; 0 trains all the steps.
    flip_left_right, random_crop, random_scale, random_brightness: the peer's distortions, percent.
    random_rotation: degrees to either side; random_colour: percent by which saturation and hue vary.
    distorted_views: distorted copies of each training image whose bottlenecks are cached; used only where
    a distortion is asked for.
    fine_tune: train the backbone's last blocks too, for `fine_tune_epochs` passes over the images.
    minutes: choose backbone, views and depth within so many minutes; None leaves all as it is chosen here.
    validation_batch_size, test_batch_size: images asked at each validation and in the test, drawn as those
    of a training batch are; -1 asks all.
    compat: whose conventions the head is trained by, where ours are others; see `studio.retrain.compat`.
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
            raise ValueError(f"expected positive steps, batch size, interval and learning rate; got {self}")
        shares = (self.validation_percentage, self.testing_percentage)
        if min(shares) < 0 or sum(shares) >= 100:  # noqa: PLR2004 - percent
            raise ValueError(f"expected validation and testing percentages below 100 together; got {shares}")
        if self.optimizer not in get_args(Optimizer) or self.class_weighting not in get_args(ClassWeighting):
            raise ValueError(f"expected an optimizer and a class weighting that exist; got {self}")
        asked = (self.validation_batch_size, self.test_batch_size)
        if any(size < 1 and size != -1 for size in asked) or self.compat not in get_args(Compat):
            raise ValueError(
                f"expected batch sizes of 1 or more, or -1 for all, and conventions that exist; got {self}"
            )
        if (self.l2 is not None and self.l2 < 0) or (self.minutes is not None and self.minutes <= 0):
            raise ValueError(f"expected l2 of 0 or more and more than no minutes; got {self}")
        distortions = (self.random_crop, self.random_brightness, self.random_colour, self.random_rotation)
        if min(*distortions, self.random_scale) < 0 or max(self.random_crop, self.random_colour) >= 100:  # noqa: PLR2004 - percent
            raise ValueError(f"expected distortions of 0 to 99 percent; got {self}")

    @property
    def distorts(self) -> bool:
        """Whether any distortion is asked for."""
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
        """Return plain values for a JSON file."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "RunOptions":
        """Return what `to_json` gave; what an older studio did not know has its default."""
        return cls(**values)
