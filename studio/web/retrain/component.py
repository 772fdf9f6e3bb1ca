"""The board of a project's runs: curves, list, results and differences, as one component."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from studio.datasets.projects import Project
from studio.i18n import _

Texts = dict[str, Any]


def texts() -> dict[str, Texts]:
    """Return the texts by part, as the scripts ask for them."""
    return {
        "curves": _curves(),
        "table": {
            "runs": _("Runs"),
            "run": _("Run"),
            "draw": _("Draw its curves"),
            "draw_run": _("Draw the curves of {run}"),
            "filter": _("Filter runs"),
            "count": {"one": _("{count} run"), "many": _("{count} runs")},
            "some": _("{shown} of {count} runs"),
            "same": _("The same for all: {settings}"),
            "deleted": {"one": _("{count} deleted run"), "many": _("{count} deleted runs")},
            "bring_back": _("Bring back"),
        },
        "results": _results(),
        "difference": _difference(),
        "naming": {
            "rename": _("Name and note"),
            "name": _("Name"),
            "note": _("Note"),
            "save": _("Save"),
            "cancel": _("Cancel"),
        },
        "tensorboard": {
            "open": _("Open TensorBoard"),
            "starting": _("Starting TensorBoard…"),
            "help": _(
                "The same runs with histograms, the graph and hyperparameters. It runs on the studio's own "
                "machine and can be opened there only."
            ),
            "at": _("TensorBoard is at {address}"),
        },
        "acts": {
            "deleted": _("{run} was deleted."),
            "undo": _("Undo"),
            "rerun": _("{run} is done again, with the same images and settings."),
            "away": _("The studio does not answer. Trying again; nothing is lost."),
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
        "raw": _("as measured too"),
        "axis": _("Along"),
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
        "untimed": _("No times are known of: {runs}"),
        "nothing": _("No points yet. They come as soon as training begins."),
        "help": _(
            "Point at a curve to read it, drag across it to zoom, double-click to see all. With the "
            "keyboard: arrows read, + and - zoom, 0 shows all."
        ),
    }


def _results() -> Texts:
    return {
        "results": _("Results"),
        "rename": _("Name and note"),
        "rerun": _("Run again"),
        "rerun_help": _("With the same images, labels, splits and settings"),
        "remove": _("Delete"),
        "compare": _("Compare with"),
        "nothing": _("nothing"),
        "loading": _("Reading its results…"),
        "unfinished": {
            "queued": _("It waits for its turn."),
            "running": _("It is being trained. Its results stand here when it has ended."),
            "stopped": _("It was stopped and has no results. Continue it above, or delete it."),
            "failed": _("It failed and has no results."),
        },
        "accuracy": _("Test accuracy"),
        "between": _("95% interval {low} to {high}"),
        "interval": _("95% interval"),
        "tested": _("Test images"),
        "clean": _("After copies are taken out"),
        "clean_of": {"one": _("of {count} image,"), "many": _("of {count} images,")},
        "calibration": _("Calibration error"),
        "calibration_help": _("how far sureness and accuracy are apart"),
        "classes": _("Each class on the test images"),
        "class": _("Class"),
        "precision": _("Precision"),
        "recall": _("Recall"),
        "average": _("Average precision"),
        "images": _("Images"),
        "confusion": _("Confusion matrix"),
        "confusion_help": _("Rows are true classes, columns what it said. A number opens its images."),
        "axes": _("true ↓  said →"),
        "cell_right": _("{count} of {true} recognised, {share}"),
        "cell_wrong": _("{count} of {true} taken for {predicted}, {share}"),
        "wrong": _("Wrong answers"),
        "wrong_count": {"one": _("{count} wrong answer"), "many": _("{count} wrong answers")},
        "wrong_help": _("Those first of which it was surest: a wrong label is likeliest there."),
        "none_wrong": _("It got every test image right."),
        "all_wrong": {
            "one": _("Open it in the labelling grid"),
            "many": _("Open all {count} in the labelling grid"),
        },
        "mistake": _("{name}: {true}, taken for {predicted} with {score}"),
        "truly": _("is {true}"),
        "precision_recall": _("Precision and recall"),
        "precision_recall_help": _(
            "For each class as fewer and more images are taken for it. Right and high is good."
        ),
        "reliability": _("Reliability"),
        "reliability_help": _(
            "How often it is right where it is so sure; on the line it is as sure as it should be."
        ),
        "confidence": _("Sureness"),
        "right": _("Right"),
        "bin": _("{low} to {high} sure: {accuracy} right, {count} images"),
        "slices": _("By source"),
        "source": _("Source"),
        "facts": _("How it was made"),
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
        "images": _("What changed in the images"),
        "same_images": _("Both learnt from the same images with the same labels, and answer alike."),
        "added": {"one": _("{count} image came in"), "many": _("{count} images came in")},
        "removed": {"one": _("{count} image went"), "many": _("{count} images went")},
        "relabelled": {
            "one": _("{count} image was relabelled"),
            "many": _("{count} images were relabelled"),
        },
        "moved": {
            "one": _("{count} image changed its split"),
            "many": _("{count} images changed their split"),
        },
        "mended": {
            "one": _("{count} test image is right now"),
            "many": _("{count} test images are right now"),
        },
        "broken": {
            "one": _("{count} test image is wrong now"),
            "many": _("{count} test images are wrong now"),
        },
        "each_class": _("What that did to each class"),
        "class": _("Class"),
        "recall": _("Recall"),
        "precision": _("Precision"),
        "points": _("Points"),
    }


_HERE = Path(__file__).with_name("frontend")
_SHARED = Path(__file__).parents[1] / "curate" / "frontend"
_SCRIPTS = (
    _SHARED / "dom.js",
    _SHARED / "colours.js",
    *(
        _HERE / f"{name}.js"
        for name in (
            "smoothing",
            "curve_store",
            "scale",
            "plot",
            "curves",
            "run_table",
            "result_charts",
            "results",
            "difference",
            "naming",
            "board",
        )
    ),
)
"""In the order in which they stand in the one module that they are."""
_component = st.components.v2.component(
    "retraining",
    html='<div class="home"></div>',
    css=(_HERE / "retraining.css").read_text(encoding="utf-8"),
    js="\n".join(path.read_text(encoding="utf-8") for path in _SCRIPTS),
)


def retraining(project: Project, *, stamp: str, key: str) -> None:
    """Draw the board of a project's runs. It asks the studio by itself.

    stamp: another one where the page knows that a run has begun or ended.
    """
    _component(
        key=key,
        data={
            # A browser knows a studio by its address only; another data folder has the same numbers.
            "place": f"{project.id}-{project.created_at.timestamp():.0f}",
            "base": f"/studio/projects/{project.id}",
            "curate": f"/curate?{urlencode({'project': project.name})}",
            "texts": texts(),
            "stamp": stamp,
        },
        on_acted_change=lambda: None,
    )
