"""A page about runs and artifacts, rebuilt from what they left on disk."""
