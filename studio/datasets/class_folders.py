"""A folder for each class: what most trainers read, ours too."""

from studio.datasets.layout import CLASSES_FOLDER, REJECTED_FOLDER, UNLABELLED_FOLDER
from studio.datasets.writing import Exporting, Listed, write_images
from studio.images.file_names import UniqueNames, safe_name

ONE_FOLDER = "pictures"


def write_class_folders(exporting: Exporting) -> dict[int, str]:
    """Write images into `classes/CLASS`; those to be learnt from stand alone there.

    The others are in `unlabelled` and `rejected` beside it, where nobody takes them for classes.
    """
    unique = UniqueNames()
    folders = {look.name: unique.take(safe_name(look.name)) for look in exporting.listing.classes}

    def folder_of(image: Listed) -> str:
        if not image.labelled:
            return state_folder(image)
        name = image.class_name or ""
        if name not in folders:
            folders[name] = unique.take(safe_name(name))
        return f"{CLASSES_FOLDER}/{folders[name]}"

    return write_images(exporting, folder_of)


def state_folder(image: Listed) -> str:
    """Return the folder of an image that is not to be learnt from."""
    return REJECTED_FOLDER if image.state == "rejected" else UNLABELLED_FOLDER


def write_one_folder(exporting: Exporting) -> dict[int, str]:
    """Write all images into `images`: the table beside them says what they are."""
    return write_images(exporting, lambda image: ONE_FOLDER)
