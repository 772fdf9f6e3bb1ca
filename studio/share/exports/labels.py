"""The labels as a file of their own, a class a line, in the order of the probabilities."""

from pathlib import Path

from studio.retrain.run_folder import LABELS, labels_text, read_card, read_labels


def write_labels(run_dir: Path, output_dir: Path, name: str = LABELS, *, numbered: bool = False) -> None:
    """Write a run's labels. numbered: each with its number before it, `0 daisy`. Raises ModelUnreadable."""
    labels = read_labels(run_dir, read_card(run_dir))
    if numbered:
        labels = tuple(f"{number} {label}" for number, label in enumerate(labels))
    (output_dir / name).write_text(labels_text(labels), encoding="utf-8", newline="\n")
