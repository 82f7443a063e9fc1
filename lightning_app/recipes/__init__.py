"""Recipes: lists of stages that lead from a task to a small, fast model."""
