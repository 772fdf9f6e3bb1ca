"""What a page shows of a run: the model, its classes, how sure it must be, its card and its credits."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL

from studio.language import _
from studio.predict.inner import with_strangeness
from studio.predict.sureness import Sureness, read_anchors
from studio.retrain.preprocessing import Preprocessing
from studio.retrain.run_folder import ATTRIBUTION_TEXT, SNAPSHOT, read_card, read_labels, read_model


@dataclass(frozen=True)
class Demo:
    """One model, for people.

    model: a LiteRT file whose first output is probabilities; one that can tell strange pictures has a second.
    facts: pairs of a name and what there is to say. credits: a text; empty where the run has none.
    """

    name: str
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    model: bytes
    sureness: Sureness
    facts: tuple[tuple[str, str], ...]
    credits: str

    @classmethod
    def of_run(cls, run_dir: Path, name: str) -> "Demo":
        """Read what a finished run's folder has. Raises ModelUnreadable."""
        card = read_card(run_dir)
        model = read_model(run_dir, card)
        sureness = Sureness.read(run_dir)
        if sureness is None or sureness.model_sha256 != card["model_sha256"]:
            sureness = Sureness()
        anchors = None if sureness.most_strangeness is None else read_anchors(run_dir)
        credits = run_dir / ATTRIBUTION_TEXT
        return cls(
            name,
            read_labels(run_dir, card),
            Preprocessing.from_json(card["preprocessing"]),
            model if anchors is None else with_strangeness(model, anchors),
            sureness,
            tuple(_facts(run_dir, card)),
            credits.read_text(encoding="utf-8") if credits.is_file() else "",
        )

    @property
    def pixels(self) -> dict[str, int]:
        """How the page makes a picture into the network's input.

        pillow: the version whose resize is followed, to the bit: that of this studio's own answers.
        """
        width_px, height_px = self.preprocessing.width_px, self.preprocessing.height_px
        return {
            "width_px": width_px,
            "height_px": height_px,
            "pillow": int(PIL.__version__.partition(".")[0]),
        }


def _facts(run_dir: Path, card: dict[str, Any]) -> list[tuple[str, str]]:
    with (run_dir / SNAPSHOT).open(encoding="utf-8", newline="") as file:
        splits = [row["split"] for row in csv.DictReader(file)]
    found = [
        (_("Learned from"), _("{count} pictures").format(count=f"{splits.count('training'):,}")),
    ]
    evaluation = card.get("evaluation") or {}
    if evaluation.get("n"):
        low, high = evaluation["interval"]
        found.append(
            (
                _("Right on pictures it had not seen"),
                _("{share:.1%} of {count} (95% interval {low:.0%} to {high:.0%})").format(
                    share=evaluation["accuracy"], count=f"{evaluation['n']:,}", low=low, high=high
                ),
            )
        )
    found.append((_("Network"), str(card.get("backbone", {}).get("name", ""))))
    size = card["preprocessing"]
    found.append((_("Sees pictures at"), f"{size['width_px']} x {size['height_px']} px"))
    found.append(
        (
            _("Limits"),
            _("It knows these classes alone, and was never asked about anything else."),
        )
    )
    return found
