"""Retraining in the browser: what is asked for, what runs came to, and how they differ."""
