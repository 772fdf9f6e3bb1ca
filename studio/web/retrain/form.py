"""What a person can ask of a run: defaults that need no thought, and everything else one click away."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import streamlit as st

from studio.backbones import BACKBONES, DEFAULT, Backbone, BackboneFile, backbone_named
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.concatenated import MOST_TOGETHER
from studio.backbones.speed import measured
from studio.curate import overview
from studio.curate.filters import Filter
from studio.curate.items import Counts, project_image
from studio.curate.overview import Stamp
from studio.curate.paging import walk
from studio.datasets.projects import Project
from studio.errors import ImageRefused, StudioError
from studio.i18n import _, counted
from studio.retrain import tasks
from studio.retrain.distortions import Distortions, preview
from studio.retrain.estimate import estimate
from studio.retrain.fine_tuning.fine_tune import tunable
from studio.retrain.options import RunOptions
from studio.retrain.runs.snapshot_records import labelled
from studio.settings import settings
from studio.web.retrain.views import optimizers, weightings
from studio.web.state import database, now, store
from studio.web.text import duration, file_size, images, percent, plain

_KEY = "retraining-backbones"
_MILLION, _BILLION = 1_000_000, 1_000_000_000


def choose_backbone(here: Project) -> str:
    """Draw the choice; return the backbone's name, several joined by "+".

    Raises BackboneError where what was chosen cannot stand side by side.
    """
    if _KEY not in st.session_state:
        st.session_state[_KEY] = [DEFAULT]
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    chosen = left.multiselect(
        _("Backbone"),
        sorted(BACKBONES, key=lambda name: not BACKBONES[name].installed),
        format_func=lambda name: BACKBONES[name].title,
        max_selections=MOST_TOGETHER,
        key=_KEY,
        help=_("The pretrained network. Several stand side by side: better features, and slower."),
    )
    if right.button(_("Compare all…"), icon=":material/table:", width="stretch"):
        st.dialog(_("Backbones"), width="large")(_all)(here)
    backbone = backbone_named("+".join(chosen) or DEFAULT)
    st.caption(_backbone_note(backbone))
    return backbone.name


def _backbone_note(backbone: Backbone) -> str:
    facts = backbone.facts
    parts = [
        file_size(backbone.size_bytes),
        _("{count} multiply-adds").format(count=_many(facts.multiply_adds)),
    ]
    if facts.top1 is not None:
        right = _("{share} of ImageNet right").format(share=percent(facts.top1 / 100))
        parts.append(f"[{right}]({facts.top1_source})" if facts.top1_source else right)
    speed = measured(settings().backbones_dir).get(backbone.name)
    if speed is not None:
        parts.append(_("{count} images/s on this machine").format(count=f"{speed:,.0f}"))
    if not backbone.installed:
        parts.append(_("its weights are fetched first: {told}").format(told=plain(backbone.source.told)))
    return " · ".join(parts)


def _all(here: Project) -> None:
    speeds = measured(settings().backbones_dir)
    names = sorted(BACKBONES, key=lambda name: (not BACKBONES[name].installed, name))
    found = [BACKBONES[name] for name in names]
    picked = st.dataframe(
        {
            _("name"): [backbone.title for backbone in found],
            _("here"): [backbone.installed for backbone in found],
            _("ImageNet"): [backbone.facts.top1 for backbone in found],
            **({_("images/s here"): [speeds.get(name) for name in names]} if speeds else {}),
            _("size, MB"): [backbone.size_bytes / _MILLION for backbone in found],
            _("multiply-adds, millions"): [backbone.facts.multiply_adds / _MILLION for backbone in found],
            _("input, px"): [backbone.preprocessing.width_px for backbone in found],
            _("features"): [backbone.features for backbone in found],
            _("published"): [backbone.facts.top1_source or None for backbone in found],
            _("licence"): [backbone.facts.licence for backbone in found],
        },
        column_config={
            _("ImageNet"): st.column_config.NumberColumn(
                format="%.1f%%", help=_("Of its validation images, how many the network gets right.")
            ),
            _("images/s here"): st.column_config.NumberColumn(
                format="%.0f",
                help=_("As measured on this machine, with nothing else at work."),
            ),
            _("size, MB"): st.column_config.NumberColumn(format="%.1f"),
            _("multiply-adds, millions"): st.column_config.NumberColumn(format="%.0f"),
            _("published"): st.column_config.LinkColumn(display_text=_("source")),
        },
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        width="stretch",
        height=420,
    )
    rows = picked.selection.rows
    use, measure = st.columns(2)
    if use.button(_("Use it"), type="primary", disabled=not rows, on_click=_take, args=(names, rows)):
        st.rerun()
    if measure.button(
        _("Measure them here"),
        icon=":material/speed:",
        help=_("How many images each of those that are here takes in a second: a few seconds each."),
    ):
        tasks.measure_backbones(database(), here.id, now())
        st.rerun()


def _take(names: list[str], rows: list[int]) -> None:
    st.session_state[_KEY] = [names[row] for row in rows]


def _many(count: int) -> str:
    if count >= _BILLION:
        return _("{count} billion").format(count=f"{count / _BILLION:.1f}")
    return _("{count} million").format(count=f"{count / _MILLION:,.0f}")


_SHOWN_IMAGES, _SHOWN_VIEWS = 3, 6
_GAP_PX = 6


def choose_distortions(here: Project, options: RunOptions) -> RunOptions:
    """Draw the distortions and, where any is chosen, some images so distorted; return the options."""
    st.markdown("**" + _("Distortions") + "**")
    st.caption(
        _("Copies of the training images, changed by chance, so that the model minds such changes less.")
    )
    flip = st.checkbox(_("Flip left and right"))
    left, middle, right = st.columns(3)
    chosen = replace(
        options,
        flip_left_right=flip,
        random_crop=left.slider(_("Crop, percent"), 0, 90, 0, step=5),
        random_scale=middle.slider(_("Scale, percent"), 0, 100, 0, step=5),
        random_brightness=right.slider(_("Brightness, percent"), 0, 100, 0, step=5),
    )
    left, middle, right = st.columns(3)
    chosen = replace(
        chosen,
        random_rotation=left.slider(_("Rotation, degrees"), 0, 180, 0, step=5),
        random_colour=middle.slider(_("Colour, percent"), 0, 95, 0, step=5),
    )
    distortions = Distortions.of(chosen)
    if distortions is None:
        return chosen
    views = right.number_input(
        _("Views of each image"),
        1,
        50,
        options.distorted_views,
        help=_("Each is computed once and kept, so that training takes hardly longer."),
    )
    try:
        st.image(
            _distorted_examples(here.id, chosen.backbone, distortions, int(chosen.seed)),
            caption=_("What the network will see: a row an image."),
            width="stretch",
        )
    except StudioError as error:
        st.warning(plain(str(error)))
    return replace(chosen, distorted_views=int(views))


@st.cache_data(max_entries=8, show_spinner=False)
def _distorted_examples(
    project_id: int, backbone: str, distortions: Distortions, seed: int
) -> npt.NDArray[np.uint8]:
    """Return one image of several views: uint8, (h, w, 4), a row an image, with nothing between."""
    preprocessing = backbone_named(backbone).preprocessing
    with database().read() as session:
        ids = walk(session, project_id, "newest", Filter(state="labelled")).ids
        apart = ids[:: max(1, len(ids) // _SHOWN_IMAGES)][:_SHOWN_IMAGES]
        found = [project_image(session, project_id, image_id) for image_id in apart]
    rows = []
    for each in filter(None, found):
        try:
            path = store().original(each.sha256, each.format)
            rows.append(_row(preview(path, distortions, preprocessing, _SHOWN_VIEWS, seed)))
        except (OSError, ImageRefused):
            continue  # a lost file is told of when the run comes to it
    if not rows:
        raise StudioError(_("No labelled image can be read to show it distorted."))
    return np.concatenate([np.pad(row, ((0, _GAP_PX), (0, 0), (0, 0))) for row in rows])


def _row(views: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    solid = [np.pad(view, ((0, 0), (0, 0), (0, 1)), constant_values=255) for view in views]
    return np.concatenate([np.pad(view, ((0, 0), (0, _GAP_PX), (0, 0))) for view in solid], axis=1)


def estimated(here: Project, several: Sequence[RunOptions], stamp: str) -> str:
    """Return what these runs should take on this machine, and what fine-tuning brought elsewhere, in words.

    stamp: another one where a run has ended since, which leaves bottlenecks.
    """
    with database().read() as session:
        labels = overview.stamp(session, here.id)
    first = several[0]
    try:
        count, missing = _steps_per_image(here.id, labels, first.backbone, stamp)
        counts = _dealt(count, first)
        speeds = measured(settings().backbones_dir)
        # The first computes the bottlenecks, the others find them there.
        found = [
            estimate(options, **counts, missing=0 if at else missing, speeds=speeds)
            for at, options in enumerate(several)
        ]
    except StudioError:
        return ""
    text = _("About {time} on this machine.").format(time=duration(sum(each.seconds for each in found)))
    if first.minutes is not None:
        text = _("At most {time}.").format(time=duration(found[0].seconds))
    elif missing:
        text += " " + _("The network has not looked at {images} yet.").format(images=images(missing))
    if found[0].gain_points:
        text += " " + _(
            "On 600 photographs of flowers it got {points} points more of the test right than the quick way."
        ).format(points=f"{found[0].gain_points:.1f}")
    return text


def _dealt(count: int, options: RunOptions) -> dict[str, int]:
    """Return about how many of so many images each split gets: near enough, and asks none of them."""
    validation = round(count * options.validation_percentage / 100)
    testing = round(count * options.testing_percentage / 100)
    return {"training": count - validation - testing, "validation": validation, "testing": testing}


@st.cache_data(max_entries=16, show_spinner=False)
def _steps_per_image(project_id: int, labels: Stamp, backbone_name: str, stamp: str) -> tuple[int, int]:
    """Return how many images are labelled, and how many of them have no bottleneck of the backbone.

    labels, stamp: only to be remembered by.
    """
    backbone = backbone_named(backbone_name)
    file = BackboneFile(
        Path(), backbone.name, backbone.fingerprint, backbone.preprocessing, backbone.features
    )
    cache = BottleneckCache.of(settings().bottleneck_dir, file)
    with database().read() as session:
        digests = labelled(session, project_id)
    return len(digests), len(digests) - cache.count(digests)


_USUAL = RunOptions()
_MINUTES = 5.0
_MOST_RATES = 12
_LARGEST_RATE = 10
_CHOSEN = "chosen"
_MOST_ASIDE = 45
"""Percent: something must be left to learn from."""


def draw(here: Project, counts: Counts, stamp: str, *, hidden: bool) -> None:
    """Draw the settings and the button that begins; where it was pressed, ask for the run and draw anew.

    stamp: another one where a run has ended since. hidden: drawn, but not seen, while a run is on its way:
    Streamlit forgets what was chosen in widgets that are not drawn.
    """
    if hidden:
        st.html("<style>.st-key-asking { display: none; }</style>")
    with st.container(key="asking"):
        _draw(here, counts, None if hidden else stamp)


def _draw(here: Project, counts: Counts, stamp: str | None) -> None:
    too_few = sum(map(bool, counts.by_class.values())) < 2  # noqa: PLR2004 - telling apart takes two
    ways = {
        "head": _("Quick"),
        "fine_tune": _("Fine-tuned"),
        "minutes": _("Best in a given time"),
    }
    way = (
        st.segmented_control(
            _("How"),
            list(ways),
            format_func=lambda each: ways[each],
            default="head",
            key=f"way-{here.id}",
            width="stretch",
        )
        or "head"
    )
    st.caption(_about(way))
    base = _USUAL
    if way == "minutes":
        minutes = st.number_input(_("Minutes"), 0.5, 600.0, _MINUTES, step=0.5, format="%.1f")
        base = replace(base, minutes=float(minutes))
    several: tuple[RunOptions, ...] = ()
    with st.expander(_("Settings"), icon=":material/tune:"):
        try:
            several = _asked(here, replace(base, fine_tune=way == "fine_tune"))
        except (ValueError, StudioError) as error:
            st.warning(plain(str(error)))
    label = _("Retrain")
    if several[1:]:
        label = counted("Train {count} run", "Train {count} runs", len(several))
    begin, about = st.columns([1, 3], vertical_alignment="center")
    pressed = begin.button(
        label,
        type="primary",
        icon=":material/model_training:",
        disabled=too_few or not several,
        width="stretch",
    )
    if several and not too_few and stamp is not None:
        about.caption(estimated(here, several, stamp))
    if pressed:
        _begin(here, several)


def _about(way: str) -> str:
    return {
        "head": _("Trains a new last layer on what the network sees. Takes seconds once it has looked."),
        "fine_tune": _(
            "Trains the network's last blocks too, on larger images: more of them right, for minutes "
            "of work. The model takes 2 to 3 times as long for an image."
        ),
        "minutes": _(
            "Give the time: the studio chooses backbone, views and depth, and ends in time with the best."
        ),
    }[way]


def _begin(here: Project, several: tuple[RunOptions, ...]) -> None:
    try:
        if len(several) == 1:
            tasks.retrain(database(), store(), here.id, several[0], now())
        else:
            tasks.sweep(database(), store(), here.id, several, now())
    except StudioError as error:
        st.warning(plain(str(error)))
    else:
        st.rerun()


def _asked(here: Project, base: RunOptions) -> tuple[RunOptions, ...]:
    """Draw every setting; return the options of each run. Raises ValueError, StudioError."""
    if base.minutes is None:
        base = replace(base, backbone=choose_backbone(here))
    left, middle, right = st.columns(3)
    steps = left.number_input(
        _("Training steps"), 10, 100_000, base.how_many_training_steps, step=100, disabled=base.fine_tune
    )
    rates = _rates(
        middle.text_input(
            _("Learning rate"),
            f"{base.learning_rate:g}",
            disabled=base.fine_tune,
            help=_("Several, with commas between, are tried one after the other: 0.003, 0.01, 0.03"),
        )
    )
    seed = right.number_input(
        _("Seed"), 0, 2**31 - 1, base.seed, help=_("Decides the split and the batches.")
    )
    validation = left.number_input(
        _("Validation, percent"),
        0,
        _MOST_ASIDE,
        int(base.validation_percentage),
        help=_("Of the images, kept aside to choose the best head by."),
    )
    testing = middle.number_input(
        _("Testing, percent"),
        0,
        _MOST_ASIDE,
        int(base.testing_percentage),
        help=_("Of the images, kept aside to measure the result on. They are never trained on."),
    )
    base = replace(base, validation_percentage=int(validation), testing_percentage=int(testing))
    if base.fine_tune:
        epochs = right.number_input(
            _("Fine-tuning epochs"), 1, 100, base.fine_tune_epochs, help=_("Passes over all images.")
        )
        base = replace(base, fine_tune_epochs=int(epochs))
        tunable(base.backbone)  # so that what cannot be is said before it is tried
    else:
        base = _head(base)
    base = choose_distortions(here, replace(base, how_many_training_steps=int(steps), seed=int(seed)))
    return tuple(replace(base, learning_rate=rate) for rate in rates)


def _head(base: RunOptions) -> RunOptions:
    """Draw how the last layer is trained."""
    left, middle, right = st.columns(3)
    optimizer = left.selectbox(
        _("Optimizer"), list(optimizers()), format_func=lambda name: optimizers()[name]
    )
    l2 = middle.selectbox(
        "L2",
        ["0", _CHOSEN],
        format_func=lambda value: _("chosen on the validation images") if value == _CHOSEN else value,
        accept_new_options=True,
        help=_("Weight of half the squared weights in the loss; holds large weights down."),
    )
    weighting = right.selectbox(
        _("Drawn alike"),
        list(weightings()),
        format_func=lambda name: weightings()[name],
        help=_("Classes: a small class counts as much as a large one. Images: each image counts the same."),
    )
    batch = left.number_input(_("Batch"), 1, 10_000, base.train_batch_size)
    patience = middle.number_input(
        _("Patience"),
        0,
        10_000,
        base.patience,
        help=_("Ends after so many validations in a row that brought nothing better; 0 trains all steps."),
    )
    return replace(
        base,
        train_batch_size=int(batch),
        optimizer=optimizer,
        l2=_l2(l2 or "0"),
        class_weighting=weighting,
        patience=int(patience),
    )


def _rates(text: str) -> tuple[float, ...]:
    parts = [part.strip() for part in text.replace(";", ",").split(",") if part.strip()]
    try:
        rates = tuple(dict.fromkeys(float(part) for part in parts))
    except ValueError:
        rates = ()
    if not 0 < len(rates) <= _MOST_RATES or not all(0 < rate <= _LARGEST_RATE for rate in rates):
        raise ValueError(
            _(
                "expected one to {most} learning rates above 0 and up to {largest}, such as 0.01, 0.03; "
                "“{text}” came."
            ).format(most=_MOST_RATES, largest=_LARGEST_RATE, text=text[:60])
        )
    return rates


def _l2(text: str) -> float | None:
    if text == _CHOSEN:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(
            _("expected an L2 of 0 or more, such as 0.001; “{text}” came.").format(text=text[:40])
        )
    return value
