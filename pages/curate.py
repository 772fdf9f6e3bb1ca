"""Curate: look at the pictures by class, move them to another, reject, undo."""

from uuid import uuid4

import streamlit as st

from studio.curate import labels
from studio.curate.grid import Licence, State, counts, page
from studio.language import _
from studio.web.components.picture_grid import picture_grid
from studio.web.look import heading
from studio.web.rooms import go
from studio.web.state import database, now, project
from studio.web.words import pictures, plain

PAGE_SIZE = 120

here = project()
heading(
    _("Curate"), _("Look through each class. Select what is wrong, then move it or reject it."), here.name
)
with database().read() as session:
    count = counts(session, here.id)
if not count.total:
    st.info(_("There are no pictures in this project yet."), icon=":material/photo_library:")
    if st.button(_("Collect pictures"), type="primary"):
        go("collect", here.name)
    st.stop()

shelf_place = st.container()
licences: dict[Licence, str] = {"all": _("All"), "unknown": _("Unknown"), "known": _("Known")}
licence = st.segmented_control(
    _("Licence"),
    list(licences),
    default="all",
    required=True,
    format_func=lambda each: licences[each],
    help=_("Unknown: no place where the picture was found states a licence, and it is not your own work."),
    key=f"licence-{here.id}",
)
with database().read() as session:
    shown = count if licence == "all" else counts(session, here.id, licence)

# Shelves stay when the filter leaves them empty, so that nobody is moved to another by it.
shelves: dict[str, tuple[State, str | None, int]] = {
    f"class:{name}": ("labelled", name, number) for name, number in shown.by_class.items()
}
if count.unlabelled:
    shelves["unlabelled"] = ("unlabelled", None, shown.unlabelled)
if count.rejected:
    shelves["rejected"] = ("rejected", None, shown.rejected)


def titled(shelf: str) -> str:
    """Name a shelf with its count."""
    state, name, number = shelves[shelf]
    title = (
        plain(name) if name is not None else {"unlabelled": _("Unlabelled"), "rejected": _("Rejected")}[state]
    )
    return f"{title} · {number:,}"


chosen = shelf_place.segmented_control(
    _("Show"),
    list(shelves),
    default=next(
        (f"class:{name}" for name, number in count.by_class.items() if number),
        "unlabelled" if count.unlabelled else "rejected",
    ),
    required=True,
    format_func=titled,
    key=f"shelf-{here.id}",
)
state, class_name, number = shelves[chosen]
at = st.pagination(-(-number // PAGE_SIZE), key=f"page-{chosen}-{licence}") if number > PAGE_SIZE else 1
with database().read() as session:
    found = page(
        session,
        here.id,
        state=state,
        class_name=class_name,
        licence=licence,
        number=at,
        size=PAGE_SIZE,
    )
if not found:
    st.info(_("No pictures here."), icon=":material/inbox:")

bar = st.container(horizontal=True, vertical_alignment="bottom", key="labelling-bar")
selected = picture_grid(here.id, found, key=f"grid-{here.id}-{chosen}")


def done(operation: str, said: str) -> None:
    """Remember an act so that it can be undone, and begin the next."""
    st.session_state["last_operation"] = (here.id, operation)
    st.session_state["acts"] += 1
    st.toast(said, icon=":material/check:")
    st.rerun()


target = bar.selectbox(
    _("Class"),
    [name for name in count.by_class if name != class_name],
    index=None,
    placeholder=_("choose or type a class"),
    accept_new_options=True,
    width=260,
    key=f"target-{st.session_state.setdefault('acts', 0)}",
)
if bar.button(
    _("Move to class"), type="primary", disabled=not selected or not target, icon=":material/label:"
):
    operation = uuid4().hex
    with database().write() as session:
        labels.label(session, here.id, selected, target or "", operation_id=operation, now=now())
    done(
        operation,
        _("{pictures} moved to {name}.").format(pictures=pictures(len(selected)), name=plain(target or "")),
    )
if state != "rejected" and bar.button(_("Reject"), disabled=not selected, icon=":material/block:"):
    operation = uuid4().hex
    with database().write() as session:
        labels.reject(session, here.id, selected, operation_id=operation, now=now())
    done(operation, _("{pictures} rejected.").format(pictures=pictures(len(selected))))
if state != "unlabelled" and bar.button(_("Unlabel"), disabled=not selected, icon=":material/label_off:"):
    operation = uuid4().hex
    with database().write() as session:
        labels.unlabel(session, here.id, selected, operation_id=operation, now=now())
    done(operation, _("{pictures} returned to unlabelled.").format(pictures=pictures(len(selected))))

whose, last = st.session_state.get("last_operation", (None, None))
if bar.button(_("Undo"), disabled=whose != here.id, icon=":material/undo:", shortcut="Mod+Z"):
    with database().write() as session:
        undone = labels.undo(session, here.id, last, new_operation_id=uuid4().hex, now=now())
    del st.session_state["last_operation"]
    st.toast(_("Undone for {pictures}.").format(pictures=pictures(undone)), icon=":material/undo:")
    st.rerun()

if st.button(
    _("Next: retrain"), icon=":material/arrow_forward:", type="primary" if not selected else "secondary"
):
    go("retrain", here.name)
