"""The one exception that a user causes and can mend."""

from __future__ import annotations


class InputError(ValueError):
    """The input or the arguments are wrong.

    The message is one clear sentence that names the file or argument and says how to mend it. The command line prints it without a
    traceback and leaves with exit code 2.
    """
