"""Exported models: what is in their folder, how it is checked, and how it is run."""
