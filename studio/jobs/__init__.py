"""The job queue and what a task gets; `studio.worker` runs the jobs."""
