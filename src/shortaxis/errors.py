"""What a user is told: an error that stops and can be mended, a warning about data that are not as usual."""

from __future__ import annotations


class InputError(ValueError):
    """The input or the arguments are wrong.

    The message is one clear sentence that names the file or argument and says how to mend it. The command line prints it without a
    traceback and leaves with exit code 2.
    """


class DataWarning(UserWarning):
    """The data are usable but not as usual, and something was done about it: the message names the file or series, and what."""
