"""Exports of a trained model: the formats, the documents, and the parity with the run's own model."""
