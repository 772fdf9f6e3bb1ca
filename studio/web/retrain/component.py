"""The panel of a project's runs: curves, table, results and comparison, as one component."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from studio.datasets.projects import Project
from studio.i18n import _
from studio.web.assets import register_component

Texts = dict[str, Any]


def texts() -> dict[str, Texts]:
    """Return the texts by part of the panel."""
    return {
        "curves": _curves(),
        "table": {
            "runs": _("Runs"),
            "run": _("Run"),
            "draw": _("Show curves"),
            "draw_run": _("Show the curves of {run}"),
            "filter": _("Filter runs"),
            "count": {"one": _("{count} run"), "many": _("{count} runs")},
            "some": _("{shown} of {count} runs"),
            "same": _("Same in all runs: {settings}"),
            "deleted": {"one": _("{count} deleted run"), "many": _("{count} deleted runs")},
            "bring_back": _("Restore"),
        },
        "results": _results(),
        "difference": _difference(),
        "naming": {
            "rename": _("Edit name and note"),
            "name": _("Name"),
            "note": _("Note"),
            "save": _("Save"),
            "cancel": _("Cancel"),
        },
        "tensorboard": {
            "open": _("Open TensorBoard"),
            "starting": _("Starting TensorBoard…"),
            "help": _(
                "TensorBoard shows these runs with histograms, the graph and hyperparameters. It opens only "
                "on the computer that runs the studio."
            ),
            "at": _("TensorBoard: {address}"),
        },
        "acts": {
            "deleted": _("{run} was deleted."),
            "undo": _("Undo"),
            "rerun": _("{run} is trained again with the same images and settings."),
            "away": _("The studio does not answer. Trying again; your work is saved."),
            "close": _("Close"),
        },
    }


def _curves() -> Texts:
    return {
        "curves": _("Curves"),
        "accuracy": _("Accuracy"),
        "cross_entropy": _("Cross-entropy"),
        "training": _("training"),
        "validation": _("validation"),
        "smoothing": _("Smoothing"),
        "raw": _("Show raw values"),
        "axis": _("X axis"),
        "step": _("steps"),
        "time": _("time"),
        "whole": _("Show all"),
        "run": _("Run"),
        "latest": _("Latest values"),
        "at_step": _("At step {at}"),
        "at_time": _("After {at}"),
        "smooth_value": _("smoothed: {value}"),
        "seconds": _("{count} s"),
        "minutes": _("{count} min"),
        "hours": _("{count} h"),
        "untimed": _("No times were recorded for: {runs}"),
        "nothing": _("No points yet. They appear when training starts."),
        "help": _(
            "Point at a curve to read its values, drag to zoom, double-click to show all. Keyboard: arrow "
            "keys read values, + and - zoom, 0 shows all."
        ),
    }


def _results() -> Texts:
    return {
        "results": _("Results"),
        "rename": _("Edit name and note"),
        "rerun": _("Run again"),
        "rerun_help": _("With the same images, labels, splits and settings"),
        "remove": _("Delete"),
        "compare": _("Compare with"),
        "nothing": _("none"),
        "loading": _("Loading results…"),
        "unfinished": {
            "queued": _("This run is waiting for other jobs."),
            "running": _("This run is training. Its results appear here when it ends."),
            "stopped": _("This run was stopped and has no results. Continue it above, or delete it."),
            "failed": _("This run failed and has no results."),
        },
        "accuracy": _("Test accuracy"),
        "between": _("95% CI {low} to {high}"),
        "interval": _("95% CI"),
        "tested": _("Test images"),
        "clean": _("Without duplicates"),
        "clean_of": {"one": _("{count} image,"), "many": _("{count} images,")},
        "calibration": _("Calibration error"),
        "calibration_help": _("mean difference of confidence and accuracy"),
        "classes": _("Results by class"),
        "class": _("Class"),
        "precision": _("Precision"),
        "recall": _("Recall"),
        "average": _("Average precision"),
        "images": _("Images"),
        "confusion": _("Confusion matrix"),
        "confusion_help": _("Rows: true classes. Columns: predicted classes. A number opens its images."),
        "axes": _("true ↓  predicted →"),
        "cell_right": _("{count} of {true} predicted correctly, {share}"),
        "cell_wrong": _("{count} of {true} predicted as {predicted}, {share}"),
        "wrong": _("Wrong predictions"),
        "wrong_count": {"one": _("{count} wrong prediction"), "many": _("{count} wrong predictions")},
        "wrong_help": _("Most confident first: check their labels."),
        "none_wrong": _("All test images were predicted correctly."),
        "all_wrong": {
            "one": _("Open it in Curate"),
            "many": _("Open all {count} in Curate"),
        },
        "mistake": _("{name}: {true}, predicted as {predicted} with {score}"),
        "truly": _("true: {true}"),
        "precision_recall": _("Precision-recall curves"),
        "precision_recall_help": _(
            "One curve per class, over all thresholds. Closer to the top right is better."
        ),
        "reliability": _("Reliability diagram"),
        "reliability_help": _("Accuracy by confidence. On the diagonal, the confidence is well calibrated."),
        "confidence": _("Confidence"),
        "right": _("Accuracy"),
        "bin": _("confidence {low} to {high}: accuracy {accuracy}, {count} images"),
        "slices": _("By source"),
        "source": _("Source"),
        "facts": _("Training details"),
    }


def _difference() -> Texts:
    return {
        "results": _("Results"),
        "settings": _("Settings that differ"),
        "alike": {
            "one": _("{count} other setting is the same."),
            "many": _("{count} other settings are the same."),
        },
        "all_alike": _("All settings are the same."),
        "images": _("Changes of the images"),
        "same_images": _("Both runs have the same images, labels, splits and predictions."),
        "added": {"one": _("{count} image was added"), "many": _("{count} images were added")},
        "removed": {"one": _("{count} image was removed"), "many": _("{count} images were removed")},
        "relabelled": {
            "one": _("{count} image was relabelled"),
            "many": _("{count} images were relabelled"),
        },
        "moved": {
            "one": _("{count} image changed its split"),
            "many": _("{count} images changed their split"),
        },
        "mended": {
            "one": _("{count} test image is now correct"),
            "many": _("{count} test images are now correct"),
        },
        "broken": {
            "one": _("{count} test image is now wrong"),
            "many": _("{count} test images are now wrong"),
        },
        "each_class": _("Changes by class"),
        "class": _("Class"),
        "recall": _("Recall"),
        "precision": _("Precision"),
        "points": _("Points"),
    }


_FRONTEND = Path(__file__).with_name("frontend")
_component = register_component(
    "retraining",
    html='<div class="home"></div>',
    css=_FRONTEND / "runs_panel.css",
    entry=_FRONTEND / "runs_panel.js",
)


def draw_runs(project: Project, *, stamp: str, key: str) -> None:
    """Draw the panel of a project's runs. It fetches what it shows from the studio's routes.

    stamp: changes when a run starts or ends, so that the panel updates at once.
    """
    _component(
        key=key,
        data={
            # For keys in the browser's storage: projects of another data folder have the same ids.
            "place": f"{project.id}-{project.created_at.timestamp():.0f}",
            "base": f"/studio/projects/{project.id}",
            "curate": f"/curate?{urlencode({'project': project.name})}",
            "texts": texts(),
            "stamp": stamp,
        },
        on_acted_change=lambda: None,
    )
