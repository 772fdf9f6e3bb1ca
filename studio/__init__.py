"""Retrain Studio: a picture classifier made in the browser, from pictures to a phone."""

__version__ = "0.1.0"
