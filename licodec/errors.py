"""Every error licodec raises on purpose; each kind has its documented exit status."""


class LicodecError(Exception):
    """Base class. `str(error)` is one line that names the file, the place and what to do."""

    exit_status = 1


class UsageError(LicodecError):
    """The request itself makes no sense: a bad option, a missing input, an output that exists."""

    exit_status = 2


class DamagedFileError(LicodecError):
    """The bytes are not what the format promises: cut, changed, or never a `.linr` file."""

    exit_status = 3


class UnsupportedError(LicodecError):
    """The input is sound, but needs something that this version cannot do."""

    exit_status = 4


class LimitError(LicodecError):
    """The input asks for more memory or compute than the limits allow."""

    exit_status = 5


class TargetError(LicodecError):
    """The requested size, rate, quality or time cannot be reached for this input."""

    exit_status = 6
