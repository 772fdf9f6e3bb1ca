"""A folder for each class: what most trainers read, ours too."""

from studio.datasets.layout import CLASSES_FOLDER, REJECTED_FOLDER, UNLABELLED_FOLDER
from studio.datasets.writing import Exporting, Listed, write_pictures
from studio.images.file_names import UniqueNames, safe_name

ONE_FOLDER = "pictures"


def write_class_folders(exporting: Exporting) -> dict[int, str]:
    """Write pictures into `classes/CLASS`; those to be learnt from stand alone there.

    The others are in `unlabelled` and `rejected` beside it, where nobody takes them for classes.
    """
    unique = UniqueNames()
    folders = {look.name: unique.take(safe_name(look.name)) for look in exporting.listing.classes}

    def folder_of(picture: Listed) -> str:
        if not picture.labelled:
            return state_folder(picture)
        name = picture.class_name or ""
        if name not in folders:
            folders[name] = unique.take(safe_name(name))
        return f"{CLASSES_FOLDER}/{folders[name]}"

    return write_pictures(exporting, folder_of)


def state_folder(picture: Listed) -> str:
    """Return the folder of a picture that is not to be learnt from."""
    return REJECTED_FOLDER if picture.state == "rejected" else UNLABELLED_FOLDER


def write_one_folder(exporting: Exporting) -> dict[int, str]:
    """Write all pictures into `pictures`: the table beside them says what they are."""
    return write_pictures(exporting, lambda picture: ONE_FOLDER)
