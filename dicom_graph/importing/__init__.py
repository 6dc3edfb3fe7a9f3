"""Imports: a job from paths to a report."""
