"""Search over any key of a configuration: trials of `glint search`, their study and results."""
