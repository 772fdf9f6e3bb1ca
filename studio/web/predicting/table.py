"""Many answers as a table, with the CSV file that others can work with."""

import io
from collections.abc import Sequence

import streamlit as st

from studio.language import _
from studio.predict.many import Row, write_csv


def table(rows: Sequence[Row], *, key: str) -> list[int]:
    """Draw answers as a table; return the places of those rows that a person has picked."""
    shown = [
        {
            _("File"): row.name,
            _("Answer"): row.answer or "—",
            _("Probability"): row.probability,
            _("Sure"): _said(row),
            _("Second"): row.second,
        }
        for row in rows
    ]
    event = st.dataframe(
        shown,
        key=key,
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        column_config={
            _("Probability"): st.column_config.ProgressColumn(
                format="percent", min_value=0.0, max_value=1.0, width="small"
            )
        },
    )
    return list(event.selection.rows)


def csv_of(rows: Sequence[Row]) -> bytes:
    """Return the CSV file of some rows."""
    text = io.StringIO()
    write_csv(rows, text)
    return text.getvalue().encode("utf-8")


def _said(row: Row) -> str:
    if row.refused:
        return row.refused
    return {None: _("sure"), "unlikely": _("not sure"), "strange": _("like nothing in training")}[row.doubt]
