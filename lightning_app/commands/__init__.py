"""Glint's own commands, beside those of Lightning's Trainer."""
