"""Retrain Studio: an image classifier made in the browser, from images to a phone."""

__version__ = "0.1.0"
