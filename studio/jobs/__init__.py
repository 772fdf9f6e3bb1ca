"""Long work: the queue, the worker and its children, progress, stopping, recovery."""
