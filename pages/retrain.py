"""Retrain: one button, live curves, and what the test pictures say."""

import streamlit as st

from studio.curate.grid import counts
from studio.jobs import queue, requests
from studio.language import _
from studio.retrain import project_runs
from studio.retrain.options import RunOptions
from studio.web.charts import confusion, curves
from studio.web.jobs_panel import ended_badly, watch
from studio.web.look import heading
from studio.web.rooms import go
from studio.web.state import database, now, project, store
from studio.web.words import moment, percent, pictures, plain

here = project()
heading(
    _("Retrain"),
    _("Teach a pretrained network your classes. It goes on if you close the browser."),
    here.name,
)
with database().read() as session:
    count = counts(session, here.id)
    runs = project_runs.runs(session, here.id)


def draw_curves(run_id: int) -> None:
    """Draw both measures side by side; on a phone one below the other."""
    with database().read() as session:
        points = project_runs.curve(session, run_id)
    if not points:
        return
    left, right = st.columns(2)
    left.altair_chart(curves(points, "accuracy", _("accuracy")), alt=_("Accuracy over the steps"))
    right.altair_chart(
        curves(points, "cross_entropy", _("cross-entropy")), alt=_("Cross-entropy over the steps")
    )
    last = {point.split: point for point in points}
    if "validation" in last:
        st.caption(
            _("step {step}: training accuracy {training}, validation accuracy {validation}").format(
                step=f"{points[-1].step:,}",
                training=percent(last["training"].accuracy) if "training" in last else "—",
                validation=percent(last["validation"].accuracy),
            )
        )


job = watch(here.id, {"retrain"}, lambda live: draw_curves(live.arguments["run_id"]))
busy = job is not None and job.live

if not busy:
    filled = [name for name, number in count.by_class.items() if number]
    too_few = len(filled) < 2  # noqa: PLR2004 - telling apart takes two
    st.markdown(
        _("{pictures} in {classes} classes are labelled.").format(
            pictures=pictures(count.labelled), classes=len(filled)
        )
    )
    with st.expander(_("Settings"), icon=":material/tune:"):
        left, middle, right = st.columns(3)
        steps = left.number_input(
            _("Training steps"), 10, 100_000, RunOptions().how_many_training_steps, step=100
        )
        rate = middle.number_input(
            _("Learning rate"), 0.0001, 10.0, RunOptions().learning_rate, format="%.4f", step=0.005
        )
        seed = right.number_input(_("Seed"), 0, 2**31 - 1, 0, help=_("Decides the split and the batches."))
    if st.button(_("Retrain"), type="primary", icon=":material/model_training:", disabled=too_few):
        options = RunOptions(how_many_training_steps=int(steps), learning_rate=float(rate), seed=int(seed))
        requests.retrain(database(), store(), here.id, options, now())
        st.rerun()
    if too_few:
        st.info(_("Retraining needs at least two classes with pictures."), icon=":material/info:")
        if st.button(_("Collect pictures")):
            go("collect", here.name)
    if job is not None:
        ended_badly(job)

finished = [run for run in runs if run.evaluation is not None]
if not finished:
    st.stop()
st.subheader(_("Results"), anchor=False)
run = finished[0]
if len(finished) > 1:
    run = st.selectbox(
        _("Run"),
        finished,
        format_func=lambda run: (
            f"{moment(run.created_at)} · {percent(run.evaluation.accuracy)} · {run.pictures:,}"
        ),
    )
evaluation = run.evaluation
assert evaluation is not None  # noqa: S101 - only finished runs are listed
with database().read() as session:
    its_job = queue.find(session, run.job_id) if run.job_id else None
accuracy, tested, steps_done = st.columns(3)
low_high = evaluation.interval
accuracy.metric(
    _("Test accuracy"),
    percent(evaluation.accuracy),
    help=None
    if low_high is None
    else _("With 95% confidence between {low} and {high}.").format(
        low=percent(low_high[0]), high=percent(low_high[1])
    ),
    border=True,
)
tested.metric(_("Test pictures"), f"{evaluation.n:,}", border=True)
steps_done.metric(_("Training steps"), f"{run.options.how_many_training_steps:,}", border=True)
for warning in its_job.result["warnings"] if its_job is not None and its_job.result else ():
    st.warning(plain(warning), icon=":material/warning:")
if st.button(_("Next: predict"), icon=":material/arrow_forward:", type="primary"):
    go("predict", here.name)

table, matrix = st.columns(2, gap="large")
with table:
    st.markdown("**" + _("Each class on the test pictures") + "**")
    st.dataframe(
        {
            _("class"): [score.label for score in evaluation.scores],
            _("precision"): [score.precision for score in evaluation.scores],
            _("recall"): [score.recall for score in evaluation.scores],
            _("F1"): [score.f1 for score in evaluation.scores],
            _("pictures"): [score.count for score in evaluation.scores],
        },
        column_config={
            name: st.column_config.NumberColumn(format="percent")
            for name in (_("precision"), _("recall"), _("F1"))
        },
        hide_index=True,
        width="stretch",
    )
with matrix:
    st.markdown("**" + _("Confusion matrix") + "**")
    st.altair_chart(
        confusion(evaluation, dark=st.context.theme.type == "dark"),
        alt=_("Confusion matrix: rows are true classes, columns predicted"),
    )
if not busy:
    draw_curves(run.id)
