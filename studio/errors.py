"""The errors that people see, as a tree. Each message says what was expected, what came and what to do.

StudioError
├── ImageRefused          a file that cannot be used as an image
├── ArchiveRefused        a zip or tar archive that is broken, unsafe or too large
├── SourceMissing         a file or folder that is not there or cannot be read
├── ProjectError          a project or class that is missing, or a name that is taken
├── TooFewImages          too few classes or images to train
├── BackboneError         a backbone that is unknown, or whose weights are missing or altered
├── ModelUnreadable       a run folder that is incomplete or altered
├── DownloadFailed        no internet connection, or the server refused
├── OutputRefused         an export that cannot be written to its place
├── SearchFailed          a search service that refused, or an invalid query
├── ServerError           a port that is taken, an unusable data folder, a missing secret
├── JobFailed             a job that failed
├── JobAlreadyRunning     a job of the same kind runs for the project already
└── Stopped               a person pressed Stop; what was finished is kept
"""


class StudioError(Exception):
    """Base of all errors for people: `str(error)` is one readable line."""


class ImageRefused(StudioError):
    """A file that cannot be used as an image; other files are not affected.

    skip_reason: one of `studio.images.skip_reasons.SkipReason`.
    """

    def __init__(self, message: str, skip_reason: str = "other") -> None:
        super().__init__(message)
        self.skip_reason = skip_reason


class ArchiveRefused(StudioError):
    """An archive that is broken, unsafe or too large to unpack."""


class SourceMissing(StudioError):
    """A file or folder that does not exist or cannot be read."""


class ProjectError(StudioError):
    """A project or class that does not exist, or a name that is taken or not allowed."""


class TooFewImages(StudioError):
    """Too few classes or images to train and to test."""


class BackboneError(StudioError):
    """A backbone that is unknown, or whose weights are missing or have another hash than expected."""


class ModelUnreadable(StudioError):
    """A run folder in which a file is missing or altered."""


class DownloadFailed(StudioError):
    """A download that failed; a repeated request resumes it.

    cause: the cause alone, for messages with advice of their own.
    """

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause or message


class OutputRefused(StudioError):
    """An export that cannot be written to the given place."""


class SearchFailed(StudioError):
    """A search service that did not answer, or a query that it does not support."""


class ServerError(StudioError):
    """The studio cannot start with these settings."""


class JobFailed(StudioError):
    """A job that failed."""


class Stopped(StudioError):
    """A person stopped the job."""


class JobAlreadyRunning(StudioError):
    """A job of the same kind runs for the project already; two would only slow each other down."""
