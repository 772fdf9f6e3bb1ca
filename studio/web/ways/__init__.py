"""The ways in, each as one section of the page Collect."""
