"""What a person can choose about a run; with a snapshot it says exactly what comes out."""

from dataclasses import asdict, dataclass
from typing import Any

from studio.retrain.backbones import DEFAULT


@dataclass(frozen=True)
class RunOptions:
    """Named as the flags of `retrain.py`; percentages 0-100."""

    backbone: str = DEFAULT
    how_many_training_steps: int = 500
    learning_rate: float = 0.01
    train_batch_size: int = 100
    validation_percentage: float = 10
    testing_percentage: float = 10
    eval_step_interval: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        counts = (self.how_many_training_steps, self.train_batch_size, self.eval_step_interval)
        if min(counts) < 1 or self.learning_rate <= 0 or self.seed < 0:
            raise ValueError(f"expected positive steps, batch size, interval and learning rate; got {self}")
        shares = (self.validation_percentage, self.testing_percentage)
        if min(shares) < 0 or sum(shares) >= 100:  # noqa: PLR2004 - percent
            raise ValueError(f"expected validation and testing percentages below 100 together; got {shares}")

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "RunOptions":
        """Return what `to_json` gave."""
        return cls(**values)
