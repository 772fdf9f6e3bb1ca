"""Texts of the labelling grid, its map, class dialog and history, by group as the scripts read them."""

from studio.curate.image_issues import IMAGE_ISSUES
from studio.i18n import _
from studio.web.text import provenance_titles

Texts = dict[str, str | dict[str, str]]


def grid_texts() -> dict[str, Texts]:
    """Return the texts of the grid by group."""
    return {
        "grid": {"name": _("Labelling grid"), "images": _("Images")},
        "tile": _tile(),
        "states": {
            "all": _("All"),
            "unlabelled": _("Unlabelled"),
            "labelled": _("Labelled"),
            "rejected": _("Rejected"),
        },
        "side": {
            "side": _("Filter images"),
            "states": _("Images"),
            "classes": _("Classes"),
            "found": _("Analysis"),
            "edit": _("Edit"),
            "no_classes": _("None yet. Select images and type a name."),
            "not_yet": _("Suggestions, label issues and duplicates appear here after the analysis."),
        },
        "found": _result_titles(),
        "orders": _sort_order_titles(),
        "tools": _tools(),
        "selected": _selected(),
        "chooser": {
            "title": _("Label {images} as…"),
            "name": _("Class"),
            "placeholder": _("Type a class"),
            "make": _("Make the class “{name}”"),
            "none": _("No classes yet. Type the name of one."),
        },
        "closer": _viewer(),
        "acts": _operations(),
        "status": _status(),
        "hint": {
            "moved": {
                "one": _("{count} image no longer belongs here."),
                "many": _("{count} images no longer belong here."),
            },
            "fresh": {
                "one": _("{count} more image belongs here."),
                "many": _("{count} more images belong here."),
            },
            "stale": _("Many labels have changed since this list was read."),
            "refresh": _("Refresh"),
            "nothing": _("No images here."),
            "clear": _("Show all images"),
        },
        "keys": _keys(),
    }


def _tile() -> Texts:
    return {
        "unlabelled": _("unlabelled"),
        "rejected": _("rejected"),
        "labelled": _("labelled"),
        "loading": _("loading"),
        "gone": _("not in this project any more"),
        "suggestion": _("suggested: {name}, {share}"),
        "doubt": _("label issue: may be {name}"),
        "clash": _("clash: somebody else labelled it {name}"),
        "copy": _("duplicate of another image"),
        "keeper": _("best of its duplicates"),
        "moved": _("no longer belongs here; it stays until you refresh"),
    }


def _result_titles() -> Texts:
    return {
        "suggestion": _("Suggestions"),
        "next": _("Label next"),
        "doubtful": _("Label issues"),
        "clash": _("Clashes"),
        "copies": _("Duplicates"),
        **{issue.name: issue.title() for issue in IMAGE_ISSUES},
    }


def _sort_order_titles() -> Texts:
    return {
        "newest": _("Newest first"),
        "oldest": _("Oldest first"),
        "next": _("Best to label next"),
        "uncertain": _("Least confident first"),
        "doubtful": _("Likeliest label issues first"),
        "suggestion": _("Most confident suggestions first"),
        "spread": _("Most diverse first"),
        "strongest": _("Strongest first"),
        "group": _("Grouped by duplicates"),
        "alike": _("Most similar first"),
    }


def _tools() -> Texts:
    return {
        "toolbar": _("Sort order, filters and tools"),
        "order": _("Sort order"),
        "text": _("Search names, titles, authors"),
        "filters": _("Filters"),
        "source": _("Source"),
        "licence": _("Licence"),
        "split": _("Split"),
        "from": _("From"),
        "to": _("To"),
        "suggested": _("Suggested"),
        "any": _("any"),
        "unknown": _("Unknown"),
        "known": _("Known"),
        "training": _("Training"),
        "validation": _("Validation"),
        "testing": _("Testing"),
        "size": _("Size of the images"),
        "undo": _("Undo"),
        "redo": _("Redo"),
        "map": _("Map"),
        "classes": _("Classes…"),
        "history": _("History"),
        "help": _("Keys"),
        "chosen": _("Chosen on the map"),
        "alike": _("Similar to one image"),
        "drop": _("Remove this filter"),
        "clear": _("Show all images"),
        "sources": provenance_titles(),
        "runs": _run_result_titles(),
    }


def _run_result_titles() -> dict[str, str]:
    """Return the titles of lists of images by a run's results."""
    return {
        "tested": _("Run {run}: its test images"),
        "right": _("Run {run}: {true}, predicted correctly"),
        "taken": _("Run {run}: {true} predicted as {predicted}"),
        "wrong": _("Run {run}: wrong predictions"),
        "added": _("Added between runs {since} and {run}"),
        "removed": _("Removed between runs {since} and {run}"),
        "relabelled": _("Relabelled between runs {since} and {run}"),
        "moved": _("In another split in run {run} than in {since}"),
        "mended": _("Right in run {run}, wrong in {since}"),
        "broken": _("Wrong in run {run}, right in {since}"),
        "surest": _("Most confident predictions first"),
        "as_found": _("In the order of the run"),
    }


def _selected() -> Texts:
    return {
        "bar": _("Actions on the selection"),
        "selected": _("{count} selected"),
        "label": _("Label…"),
        "accept": _("Accept suggestions"),
        "reject": _("Reject"),
        "unlabel": _("Unlabel"),
        "keep_best": _("Reject duplicates, keep ★"),
        "keep_label": _("Keep the current label"),
        "use_other": _("Use the other label"),
        "all": _("Select all"),
        "none": _("Select none"),
    }


def _viewer() -> Texts:
    return {
        "name": _("Image"),
        "label": _("Label as"),
        "before": _("Previous image"),
        "next": _("Next image"),
        "reject": _("Reject"),
        "unlabel": _("Unlabel"),
        "undo": _("Undo"),
        "provenance": _("Provenance"),
        "alike": _("Similar images"),
        "other": _("Other…"),
        "close": _("Close"),
        "loading": _("Loading its provenance…"),
        "lost": _("Its provenance could not be read. Close this and open it again."),
        "places": _("Provenance"),
    }


def _operations() -> Texts:
    return {
        "images": {"one": _("{count} image"), "many": _("{count} images")},
        "unlabelled": _("Unlabelled"),
        "rejected": _("Rejected"),
        "accepted": _("Accepted: {act}"),
        "undone": _("Undone: {act}"),
        "redone": _("Redone: {act}"),
        "much": _("many images"),
        "nothing_to_undo": _("There is nothing to undo."),
        "nothing_to_redo": _("There is nothing to redo."),
        "no_suggestion": _("Nothing is suggested here."),
        "no_copies": _("None of these is a duplicate of an image that is kept."),
        "refused": _("Not saved: {why}"),
        "unknown": _("the studio did not accept it. Reload the page and try again."),
        "clash_one": _("Somebody else labelled {count} image meanwhile."),
        "clash_many": _("Somebody else labelled {count} images meanwhile."),
        "keep_theirs": _("Keep theirs"),
        "use_mine": _("Use mine"),
    }


def _status() -> Texts:
    return {
        "images": {"one": _("{count} image"), "many": _("{count} images")},
        "images_so_far": {"one": _("{count} image so far…"), "many": _("{count} images so far…")},
        "selected": _("{count} selected"),
        "saved": _("All saved"),
        "waiting": {
            "one": _("{count} label waits to be saved"),
            "many": _("{count} labels wait to be saved"),
        },
        "away": _("The studio does not answer. Labels are kept in this browser and sent when it does."),
        "silent": _("The studio does not answer."),
        "secret": _("The studio asks for its secret again: reload the page and enter it. Labels are kept."),
        "refused": _("The studio does not accept labels now. They are kept in this browser and sent again."),
        "unkept": _("This browser's storage is full: keep this tab open until all is saved."),
        "notices": _("Notices"),
        "close": _("Close"),
    }


def _keys() -> Texts:
    return {
        "title": _("Keys"),
        "close": _("Close"),
        "about": _(
            "A key acts on all selected images, or else on the one in focus. A class can have a key of its "
            "own, which takes precedence. Mouse: drag over images to select them, drag selected images "
            "onto a class, double-click to enlarge. Touch: hold to select."
        ),
        "move": _("Move"),
        "ends": _("First, last image"),
        "pages": _("One screen up, down"),
        "select": _("Select or deselect"),
        "range": _("Select a range"),
        "all": _("Select all shown"),
        "clear": _("Select none"),
        "label": _("Label with a class"),
        "type": _("Any other letter: type a class"),
        "choose": _("Choose or make a class"),
        "accept": _("Accept the suggestion, or the class of a label issue"),
        "accept_screen": _("Accept all suggestions on the screen"),
        "reject": _("Reject"),
        "unlabel": _("Unlabel"),
        "undo": _("Undo"),
        "redo": _("Redo"),
        "zoom": _("Enlarge, and back"),
        "details": _("Details and provenance"),
        "help": _("This list"),
    }


def dialog_texts() -> dict[str, Texts]:
    """Return the texts of the map, the class dialog and the history by group."""
    return {"map": _map(), "classes": _classes(), "history": _history()}


def _map() -> Texts:
    return {
        "map": _("Map of the images"),
        "help": _(
            "Similar images lie close together. Drag or press the arrows to move, turn the wheel or press + "
            "and - to zoom, 0 for the whole map, Enter for the image in the middle. To select images with "
            "the lasso, press Shift and drag, or L."
        ),
        "loading": _("Loading the map…"),
        "none_yet": _("There is no map yet. It is drawn when the images have been analysed."),
        "unread": _("The map could not be read. The studio may be busy or stopped; try again."),
        "again": _("Try again"),
        "lasso": _("Lasso"),
        "lasso_help": _("Draw a line around images to select them. Also: Shift and drag."),
        "select_seen": _("Select visible images"),
        "clear": _("Clear"),
        "in_sight": _("{seen} of {count} images visible"),
        "selected": {
            "one": _("{count} image selected in the grid"),
            "many": _("{count} images selected in the grid"),
        },
        "none_inside": _("No image inside has a class that the legend shows."),
        "closer": _("Zoom in"),
        "farther": _("Zoom out"),
        "reset": _("Show the whole map"),
        "gone": _("not in this project any more"),
        "legend": _("Classes"),
        "legend_help": _(
            "Point at a class to see it alone; click to hide or show it. Hidden images are not selected."
        ),
        "all": _("Show all"),
        "only": _("Only"),
        "only_class": _("Only {name}"),
        "unlabelled": _("Unlabelled"),
        "rejected": _("Rejected"),
    }


def _classes() -> Texts:
    return {
        "classes": _("Classes"),
        "about": _(
            "To split a class, select some of its images in the grid and label them with a new name. "
            "Drag a row, or press Alt with ↑ or ↓ in it, to move it."
        ),
        "close": _("Close"),
        "colour": _("Colour"),
        "name": _("Name"),
        "key": _("Key"),
        "count": _("Images"),
        "drag": _("Drag to move"),
        "colour_of": _("Colour of {name}"),
        "name_of": _("Name of {name}"),
        "key_of": _("Key that labels images as {name}: a letter or a digit"),
        "up": _("Move {name} up"),
        "down": _("Move {name} down"),
        "merge": _("Merge…"),
        "merge_of": _("Merge {name} into another class"),
        "merge_into": _("Class that {name} is merged into"),
        "moves": {
            "one": _("Its {count} image moves to"),
            "many": _("Its {count} images move to"),
        },
        "merge_now": _("Merge"),
        "remove": _("Delete…"),
        "remove_of": _("Delete {name}"),
        "returns": {
            "one": _("Its {count} image returns to unlabelled."),
            "many": _("Its {count} images return to unlabelled."),
        },
        "empty_goes": _("It has no images."),
        "remove_now": _("Delete the class"),
        "undoable": _("Undo, or the history, brings the class back with its images."),
        "cancel": _("Cancel"),
        "images": {"one": _("{count} image"), "many": _("{count} images")},
        "new_name": _("Name of a new class"),
        "add": _("Add"),
        "moved": _("Now in place {place} of {count}."),
        "done_add": _("Added."),
        "done_rename": _("Renamed."),
        "done_recolour": _("Its colour is changed."),
        "done_hotkey": _("Its key is changed."),
        "done_reorder": _("The order is changed."),
        "done_merge": _("Merged. Undo, or the history, brings it back."),
        "done_remove": _("Deleted. Undo, or the history, brings it back."),
    }


def _history() -> Texts:
    return {
        "history": _("History"),
        "close": _("Close"),
        "reading": _("Loading the history…"),
        "nothing": _("Nothing has been labelled yet."),
        "unread": _("The history could not be read. The studio may be busy or stopped; try again below."),
        "earlier": _("Earlier"),
        "you": _("You"),
        "other": _("Somebody else"),
        "studio": _("The studio"),
        "undo": _("Undo"),
        "undo_what": _("Undo: {what}"),
        "undone": _("undone"),
        "taken_back": _("Undone."),
    }
