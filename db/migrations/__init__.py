"""The schema's history. `HEAD` names its newest step, so that a start need not read them all."""

HEAD = "0006"
