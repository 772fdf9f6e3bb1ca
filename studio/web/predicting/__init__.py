"""The Predict page in parts."""
