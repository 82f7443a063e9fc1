"""The errors that are the user's to mend: one sentence, exit code 2, no traceback."""


class InputError(ValueError):
    """Something outside the program is wrong: an argument, a file, a checkpoint, the hub.

    The message is one sentence that names the argument or file, what came, and the way out.
    The command line prints it without a traceback and exits with code 2.
    """


class NonFiniteLossError(InputError):
    """The training loss became NaN or infinite; the last good checkpoint was left alone."""
