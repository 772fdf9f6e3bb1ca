"""The errors a person can meet, as a tree. Each message says what was expected, what came, what to do.

StudioError
├── ImageRefused        one file is not an image the studio can use
├── ArchiveRefused        a zip or tar that is broken, unsafe or too large
├── SourceMissing         a file or folder that is not there or cannot be read
├── ProjectError          a project or class that is missing, or a name already taken
├── TooLittleToLearnFrom  too few classes or images to train
├── BackboneError         weights missing, altered, or a name unknown
├── ModelUnreadable       a run's folder that is incomplete or altered
├── DownloadFailed        no internet, or the other side refused
├── OutputRefused         an export cannot be written where it should be
├── SearchFailed          a service of images refused, or was asked what it does not know
├── ServerError           a port taken, a data folder that cannot be used, a missing secret
├── JobFailed             long work that ended badly, with what to do
└── Stopped               a person pressed Stop: not a fault, and nothing is lost
"""


class StudioError(Exception):
    """Base of all errors meant for people: `str(error)` is one readable line."""


class ImageRefused(StudioError):
    """One file cannot be used as an image; the others are not touched by it.

    why: the kind of refusal, one of `studio.images.reasons.SkipReason`.
    """

    def __init__(self, message: str, why: str = "other") -> None:
        super().__init__(message)
        self.why = why


class ArchiveRefused(StudioError):
    """An archive is broken, unsafe or too large to unpack."""


class SourceMissing(StudioError):
    """A file or folder named by a person is not there, or cannot be read."""


class ProjectError(StudioError):
    """A project or class does not exist, or its name is taken or not allowed."""


class TooFewImages(StudioError):
    """There are too few classes or too few images to train and to test."""


class BackboneError(StudioError):
    """A backbone is unknown, or its weights are missing or not what they should be."""


class ModelUnreadable(StudioError):
    """A run's folder lacks a file, or a file in it is not what it should be."""


class DownloadFailed(StudioError):
    """Something could not be fetched; asking again goes on from where it stopped.

    why: the cause alone, for a message that says what to do in another way.
    """

    def __init__(self, message: str, why: str = "") -> None:
        super().__init__(message)
        self.why = why or message


class OutputRefused(StudioError):
    """An export cannot be written to the place that a person named."""


class SearchFailed(StudioError):
    """A service of images did not answer, or was asked something that it cannot."""


class ServerError(StudioError):
    """The studio cannot start as asked."""


class JobFailed(StudioError):
    """Long work ended badly."""


class Stopped(StudioError):
    """A person pressed Stop."""


class JobAlreadyRunning(StudioError):
    """The project's retraining is under way; two at once would only slow each other down."""
