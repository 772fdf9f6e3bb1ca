"""The form that starts runs: options with defaults, a preview of distortions, an estimate of the duration."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import streamlit as st

from studio.arrays import Uint8Array
from studio.backbones import BackboneFile, get_backbone
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.speed import read_speeds
from studio.curate import overview
from studio.curate.filters import Filter
from studio.curate.items import ImageCounts, project_image
from studio.curate.overview import OverviewVersion
from studio.curate.paging import next_page
from studio.datasets.projects import Project
from studio.errors import ImageRefused, StudioError
from studio.i18n import _, counted
from studio.retrain import tasks
from studio.retrain.distortions import Distortions, preview_distortions
from studio.retrain.estimate import estimate_run
from studio.retrain.fine_tuning.fine_tune import get_fine_tunable_backbone
from studio.retrain.options import RunOptions
from studio.retrain.runs.snapshot_records import labelled_sha256s
from studio.retrain.snapshot import MIN_CLASSES
from studio.settings import settings
from studio.web.retrain.backbone_choice import choose_backbone
from studio.web.retrain.option_texts import class_balancing_titles, optimizer_titles
from studio.web.state import database, now, store
from studio.web.text import escape_markdown, format_duration, image_count

_DEFAULTS = RunOptions()
_DEFAULT_MINUTES = 5.0
_MAX_LEARNING_RATES = 12
_MAX_LEARNING_RATE = 10
_L2_AUTOMATIC = "automatic"
_MAX_SPLIT_PERCENT = 45
"""Of the validation and of the test split: some images must remain for training."""
_PREVIEW_IMAGES, _PREVIEW_VIEWS = 3, 6
_GAP_PX = 6


def draw_form(project: Project, counts: ImageCounts, stamp: str, *, hidden: bool) -> None:
    """Draw the options and the button that starts training; start the runs when it was pressed.

    stamp: changes when a run ends, which leaves bottlenecks. hidden: hide the form by CSS while a run is
    live; Streamlit forgets the values of widgets that are not drawn.
    """
    if hidden:
        st.html("<style>.st-key-retrain-form { display: none; }</style>")
    with st.container(key="retrain-form"):
        _draw_form(project, counts, None if hidden else stamp)


def _draw_form(project: Project, counts: ImageCounts, stamp: str | None) -> None:
    """Draw the form. stamp: None: without the estimate."""
    too_few_classes = sum(map(bool, counts.by_class.values())) < MIN_CLASSES
    mode = _choose_mode(project)
    base = replace(_DEFAULTS, fine_tune=mode == "fine_tune")
    if mode == "minutes":
        minutes = st.number_input(
            _("Time budget (minutes)"),
            0.5,
            600.0,
            _DEFAULT_MINUTES,
            step=0.5,
            format="%.1f",
            help=_("Time for the whole search (default 5). More time tries more backbones and options."),
        )
        base = replace(base, minutes=float(minutes))
    runs: tuple[RunOptions, ...] = ()
    with st.expander(_("Settings"), icon=":material/tune:"):
        try:
            runs = _choose_options(project, base)
        except (ValueError, StudioError) as error:
            st.warning(escape_markdown(str(error)))
    label = counted("Train {count} run", "Train {count} runs", len(runs)) if runs[1:] else _("Retrain")
    button, estimate = st.columns([1, 3], vertical_alignment="center")
    pressed = button.button(
        label,
        type="primary",
        icon=":material/model_training:",
        disabled=too_few_classes or not runs,
        width="stretch",
    )
    if runs and not too_few_classes and stamp is not None:
        estimate.caption(_estimate_text(project, runs, stamp))
    if pressed:
        _start(project, runs)


def _choose_mode(project: Project) -> str:
    titles = {"head": _("Quick"), "fine_tune": _("Fine-tuning"), "minutes": _("Time budget")}
    descriptions = {
        "head": _(
            "Trains a new head on the backbone's features (default). Takes seconds once the bottlenecks are "
            "computed."
        ),
        "fine_tune": _(
            "Also trains the backbone's last blocks, on larger images. Usually more accurate; training takes "
            "minutes, and predictions take 2 to 3 times as long."
        ),
        "minutes": _(
            "Tries several backbones, distortions and fine-tuning within the time budget and keeps the best "
            "model."
        ),
    }
    mode = st.segmented_control(
        _("Training"),
        list(titles),
        format_func=lambda name: titles[name],
        default="head",
        key=f"mode-{project.id}",
        width="stretch",
    )
    st.caption(descriptions[mode or "head"])
    return mode or "head"


def _choose_options(project: Project, base: RunOptions) -> tuple[RunOptions, ...]:
    """Draw all options; return those of each run. Raises ValueError and StudioError."""
    if base.minutes is None:
        base = replace(base, backbone=choose_backbone(project))
    left, middle, right = st.columns(3)
    steps = left.number_input(
        _("Training steps"),
        10,
        100_000,
        base.how_many_training_steps,
        step=100,
        disabled=base.fine_tune,
        help=_(
            "Optimizer steps of one batch each (default 500). More steps fit the training images more "
            "closely and take longer."
        ),
    )
    learning_rates = _parse_learning_rates(
        middle.text_input(
            _("Learning rate"),
            f"{base.learning_rate:g}",
            disabled=base.fine_tune,
            help=_(
                "Learning rate of the optimizer (default 0.01). Several, separated by commas, train one run "
                "each: 0.003, 0.01, 0.03"
            ),
        )
    )
    seed = right.number_input(
        _("Seed"),
        0,
        2**31 - 1,
        base.seed,
        help=_("Seed of the split, the batches and the initial weights (default 0)."),
    )
    validation = left.number_input(
        _("Validation split (%)"),
        0,
        _MAX_SPLIT_PERCENT,
        int(base.validation_percentage),
        help=_("Share of the images that select the best step (default 10). They are not trained on."),
    )
    testing = middle.number_input(
        _("Test split (%)"),
        0,
        _MAX_SPLIT_PERCENT,
        int(base.testing_percentage),
        help=_("Share of the images that measure the accuracy (default 10). They are not trained on."),
    )
    base = replace(base, validation_percentage=int(validation), testing_percentage=int(testing))
    if base.fine_tune:
        epochs = right.number_input(
            _("Fine-tuning epochs"),
            1,
            100,
            base.fine_tune_epochs,
            help=_(
                "Passes over the training images (default 24). More epochs fit them more closely and take "
                "longer."
            ),
        )
        base = replace(base, fine_tune_epochs=int(epochs))
        get_fine_tunable_backbone(base.backbone)  # raises here, before training starts
    else:
        base = _choose_head_options(base)
    base = _choose_distortions(project, replace(base, how_many_training_steps=int(steps), seed=int(seed)))
    return tuple(replace(base, learning_rate=rate) for rate in learning_rates)


def _choose_head_options(base: RunOptions) -> RunOptions:
    """Draw the options of the head's training; return them."""
    left, middle, right = st.columns(3)
    optimizer = left.selectbox(
        _("Optimizer"),
        list(optimizer_titles()),
        format_func=lambda name: optimizer_titles()[name],
        help=_("Optimizer of the head (default SGD). Adam adapts the step size of each weight."),
    )
    l2 = middle.selectbox(
        "L2",
        ["0", _L2_AUTOMATIC],
        format_func=lambda value: _("automatic") if value == _L2_AUTOMATIC else value,
        accept_new_options=True,
        help=_(
            "L2 regularisation: weight of half the squared weights in the loss (default 0). Larger values "
            "reduce overfitting; “automatic” chooses by validation accuracy."
        ),
    )
    class_weighting = right.selectbox(
        _("Class balancing"),
        list(class_balancing_titles()),
        format_func=lambda name: class_balancing_titles()[name],
        help=_("“balanced” draws each class equally often (default); “none” draws each image equally often."),
    )
    batch_size = left.number_input(
        _("Batch size"),
        1,
        10_000,
        base.train_batch_size,
        help=_("Training images per step (default 100). Larger batches give smoother, slower steps."),
    )
    patience = middle.number_input(
        _("Patience"),
        0,
        10_000,
        base.patience,
        help=_("Stop after this many validations without improvement (default 0: train all steps)."),
    )
    return replace(
        base,
        train_batch_size=int(batch_size),
        optimizer=optimizer,
        l2=_parse_l2(l2 or "0"),
        class_weighting=class_weighting,
        patience=int(patience),
    )


def _parse_learning_rates(text: str) -> tuple[float, ...]:
    parts = [part.strip() for part in text.replace(";", ",").split(",") if part.strip()]
    try:
        rates = tuple(dict.fromkeys(float(part) for part in parts))
    except ValueError:
        rates = ()
    if not 0 < len(rates) <= _MAX_LEARNING_RATES or not all(0 < rate <= _MAX_LEARNING_RATE for rate in rates):
        raise ValueError(
            _(
                "expected one to {count} learning rates above 0 and up to {limit}, such as 0.01, 0.03; "
                "got “{text}”."
            ).format(count=_MAX_LEARNING_RATES, limit=_MAX_LEARNING_RATE, text=text[:60])
        )
    return rates


def _parse_l2(text: str) -> float | None:
    if text == _L2_AUTOMATIC:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(
            _("expected an L2 of 0 or more, such as 0.001; got “{text}”.").format(text=text[:40])
        )
    return value


def _choose_distortions(project: Project, options: RunOptions) -> RunOptions:
    """Draw the distortions and, if there are any, a preview; return the options with them."""
    st.markdown("**" + _("Distortions") + "**")
    st.caption(
        _(
            "Data augmentation: also trains on randomly changed copies of the training images, so that the "
            "model is robust to such changes (default: none)."
        )
    )
    flip = st.checkbox(_("Flip left and right"))
    left, middle, right = st.columns(3)
    options = replace(
        options,
        flip_left_right=flip,
        random_crop=left.slider(_("Crop (%)"), 0, 90, 0, step=5),
        random_scale=middle.slider(_("Scale (%)"), 0, 100, 0, step=5),
        random_brightness=right.slider(_("Brightness (%)"), 0, 100, 0, step=5),
    )
    left, middle, right = st.columns(3)
    options = replace(
        options,
        random_rotation=left.slider(_("Rotation (degrees)"), 0, 180, 0, step=5),
        random_colour=middle.slider(_("Colour (%)"), 0, 95, 0, step=5),
    )
    distortions = Distortions.of(options)
    if distortions is None:
        return options
    views = right.number_input(
        _("Views per image"),
        1,
        50,
        options.distorted_views,
        help=_("Distorted copies of each training image (default 4). They are computed once and cached."),
    )
    try:
        st.image(
            _distortion_preview(project.id, options.backbone, distortions, int(options.seed)),
            caption=_("Network input: one row per image."),
            width="stretch",
        )
    except StudioError as error:
        st.warning(escape_markdown(str(error)))
    return replace(options, distorted_views=int(views))


@st.cache_data(max_entries=8, show_spinner=False)
def _distortion_preview(project_id: int, backbone: str, distortions: Distortions, seed: int) -> Uint8Array:
    """Return distorted views of some images: uint8, (h, w, 4), a row per image, with transparent gaps."""
    preprocessing = get_backbone(backbone).preprocessing
    with database().read() as session:
        ids = next_page(session, project_id, "newest", Filter(state="labelled")).ids
        sample = ids[:: max(1, len(ids) // _PREVIEW_IMAGES)][:_PREVIEW_IMAGES]
        images = [project_image(session, project_id, image_id) for image_id in sample]
    rows = []
    for image in filter(None, images):
        try:
            path = store().original(image.sha256, image.format)
            views = preview_distortions(path, distortions, preprocessing, _PREVIEW_VIEWS, seed)
        except (OSError, ImageRefused):
            continue  # the run reports a lost file
        rows.append(_preview_row(views))
    if not rows:
        raise StudioError(_("There is no preview, because no labelled image can be read."))
    return np.concatenate([np.pad(row, ((0, _GAP_PX), (0, 0), (0, 0))) for row in rows])


def _preview_row(views: Sequence[Uint8Array]) -> Uint8Array:
    opaque = [np.pad(view, ((0, 0), (0, 0), (0, 1)), constant_values=255) for view in views]
    return np.concatenate([np.pad(view, ((0, 0), (0, _GAP_PX), (0, 0))) for view in opaque], axis=1)


def _estimate_text(project: Project, runs: Sequence[RunOptions], stamp: str) -> str:
    """Return the estimated duration of the runs on this computer, and the expected gain of fine-tuning.

    stamp: changes when a run ends, which leaves bottlenecks.
    """
    with database().read() as session:
        version = overview.overview_version(session, project.id)
    first = runs[0]
    try:
        labelled, missing = _count_missing_bottlenecks(project.id, version, first.backbone, stamp)
        counts = _split_sizes(labelled, first)
        speeds = read_speeds(settings().backbones_dir)
        # The first run computes the bottlenecks; the others read them from the cache.
        estimates = [
            estimate_run(options, **counts, missing=0 if index else missing, speeds=speeds)
            for index, options in enumerate(runs)
        ]
    except StudioError:
        return ""
    if first.minutes is not None:
        text = _("At most {time}.").format(time=format_duration(estimates[0].seconds))
    else:
        seconds = sum(estimate.seconds for estimate in estimates)
        text = _("About {time} on this computer.").format(time=format_duration(seconds))
        if missing:
            text += " " + _("Bottlenecks of {images} are computed first.").format(images=image_count(missing))
    if estimates[0].gain_points:
        text += " " + _(
            "On 600 images of flowers, fine-tuning raised the test accuracy by {points} percentage points."
        ).format(points=f"{estimates[0].gain_points:.1f}")
    return text


@st.cache_data(max_entries=16, show_spinner=False)
def _count_missing_bottlenecks(
    project_id: int, version: OverviewVersion, backbone_name: str, stamp: str
) -> tuple[int, int]:
    """Return how many images are labelled, and how many of them have no bottleneck of the backbone.

    version, stamp: only parts of the cache key.
    """
    backbone = get_backbone(backbone_name)
    file = BackboneFile(
        Path(), backbone.name, backbone.fingerprint, backbone.preprocessing, backbone.features
    )
    cache = BottleneckCache.of(settings().bottleneck_dir, file)
    with database().read() as session:
        sha256s = labelled_sha256s(session, project_id)
    return len(sha256s), len(sha256s) - cache.count(sha256s)


def _split_sizes(count: int, options: RunOptions) -> dict[str, int]:
    """Return the approximate number of images of each split, by percentage."""
    validation = round(count * options.validation_percentage / 100)
    testing = round(count * options.testing_percentage / 100)
    return {"training": count - validation - testing, "validation": validation, "testing": testing}


def _start(project: Project, runs: tuple[RunOptions, ...]) -> None:
    try:
        if len(runs) == 1:
            tasks.enqueue_run(database(), store(), project.id, runs[0], now())
        else:
            tasks.enqueue_sweep(database(), store(), project.id, runs, now())
    except StudioError as error:
        st.warning(escape_markdown(str(error)))
    else:
        st.rerun()
