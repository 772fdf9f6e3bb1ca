"""What the grid says: its panel, its tools, its tiles, its keys."""

from studio.i18n import _
from studio.web.text import way

Texts = dict[str, str | dict[str, str]]
WAYS = (
    "folder",
    "archive",
    "upload",
    "camera",
    "drawing",
    "download",
    "crawl",
    "list",
    "openverse",
    "commons",
    "visitor",
)
"""The kinds of provenance that have words for them; others are shown as they are."""


def grid_texts() -> dict[str, Texts]:
    """Return the texts by group, as the scripts ask for them."""
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
            "side": _("What to look at"),
            "states": _("Images"),
            "classes": _("Classes"),
            "found": _("The studio found"),
            "edit": _("Edit"),
            "no_classes": _("None yet. Select images and type a name."),
            "not_yet": _("Suggestions, doubts and copies stand here once the studio has looked through."),
        },
        "found": _found(),
        "orders": _orders(),
        "tools": _tools(),
        "selected": _selected(),
        "chooser": {
            "title": _("Label {images} as…"),
            "name": _("Class"),
            "placeholder": _("Type a class"),
            "make": _("Make the class “{name}”"),
            "none": _("No classes yet. Type the name of one."),
        },
        "closer": _closer(),
        "acts": _acts(),
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
            "stale": _("Much has changed since this was read."),
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
        "loading": _("being read"),
        "gone": _("not in this project any more"),
        "suggestion": _("suggested: {name}, {share}"),
        "doubt": _("doubtful; it might be {name}"),
        "clash": _("somebody else decided differently: {name}"),
        "copy": _("a copy of another image"),
        "keeper": _("the best of its copies"),
        "moved": _("no longer belongs here; it stays until you refresh"),
    }


def _found() -> Texts:
    return {
        "suggestion": _("Suggestions"),
        "next": _("Label next"),
        "doubtful": _("Doubtful"),
        "clash": _("Clashes"),
        "copies": _("Copies"),
        "blurred": _("Blurred"),
        "dark": _("Dark"),
        "blank": _("Blank"),
        "small": _("Small"),
        "shape": _("Odd shape"),
        "far": _("Unlike all others"),
    }


def _orders() -> Texts:
    return {
        "newest": _("Newest first"),
        "oldest": _("Oldest first"),
        "next": _("What to label next"),
        "uncertain": _("Least certain first"),
        "doubtful": _("Most doubtful first"),
        "suggestion": _("Surest suggestions first"),
        "spread": _("As different as can be"),
        "strongest": _("Strongest first"),
        "group": _("Copies side by side"),
        "alike": _("Most alike first"),
    }


def _tools() -> Texts:
    return {
        "toolbar": _("What is shown, and tools"),
        "order": _("Order"),
        "text": _("Search names, titles, authors"),
        "filters": _("Filters"),
        "source": _("Came"),
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
        "alike": _("Like one image"),
        "drop": _("Take this filter away"),
        "clear": _("Show all images"),
        "sources": {kind: way(kind) for kind in WAYS},
        "runs": _runs(),
    }


def _runs() -> dict[str, str]:
    """Return what is said of images that are meant by a run."""
    return {
        "tested": _("Run {run}: its test images"),
        "right": _("Run {run}: {true} that it recognised"),
        "taken": _("Run {run}: {true} taken for {predicted}"),
        "wrong": _("Run {run}: wrong answers"),
        "added": _("Came in between runs {since} and {run}"),
        "removed": _("Went between runs {since} and {run}"),
        "relabelled": _("Relabelled between runs {since} and {run}"),
        "moved": _("On another side of the split in run {run} than in {since}"),
        "mended": _("Right in run {run}, wrong in {since}"),
        "broken": _("Wrong in run {run}, right in {since}"),
        "surest": _("Surest answers first"),
        "as_found": _("As they were found"),
    }


def _selected() -> Texts:
    return {
        "bar": _("With what is selected"),
        "selected": _("{count} selected"),
        "label": _("Label…"),
        "accept": _("Accept suggestions"),
        "reject": _("Reject"),
        "unlabel": _("Unlabel"),
        "keep_best": _("Reject copies, keep ★"),
        "keep_label": _("Keep what stands"),
        "use_other": _("Use the other label"),
        "all": _("Select all"),
        "none": _("Select none"),
    }


def _closer() -> Texts:
    return {
        "name": _("Image"),
        "label": _("Label as"),
        "before": _("Image before"),
        "next": _("Next image"),
        "reject": _("Reject"),
        "unlabel": _("Unlabel"),
        "undo": _("Undo"),
        "provenance": _("Provenance"),
        "alike": _("More like this"),
        "other": _("Other…"),
        "close": _("Close"),
        "loading": _("Reading its provenance…"),
        "lost": _("Its provenance could not be read. Close this, and look again."),
        "places": _("Provenance"),
    }


def _acts() -> Texts:
    return {
        "images": {"one": _("{count} image"), "many": _("{count} images")},
        "unlabelled": _("Unlabelled"),
        "rejected": _("Rejected"),
        "accepted": _("Accepted: {act}"),
        "undone": _("Undone: {act}"),
        "redone": _("Done again: {act}"),
        "much": _("many images"),
        "nothing_to_undo": _("There is nothing to undo."),
        "nothing_to_redo": _("There is nothing to do again."),
        "no_suggestion": _("Nothing is suggested here."),
        "no_copies": _("None of these is a copy of an image that is kept."),
        "refused": _("Not saved: {why}"),
        "unknown": _("the studio did not take it. Reload the page and try again."),
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
        "refused": _("The studio does not take labels now. They are kept in this browser and sent again."),
        "unkept": _("This browser's storage is full: keep this tab open until all is saved."),
        "notices": _("Notices"),
        "close": _("Close"),
    }


def _keys() -> Texts:
    return {
        "title": _("Keys"),
        "close": _("Close"),
        "about": _(
            "With images selected, a key is for all of them, else for the one in focus. A class can have a "
            "letter of its own, which then goes before all others. Mouse: drag over images to select them, "
            "drag selected ones onto a class, double click to look closer. Touch: hold to select."
        ),
        "move": _("Move"),
        "ends": _("First, last image"),
        "pages": _("A screen up, down"),
        "select": _("Select, or not"),
        "range": _("Select a range"),
        "all": _("Select all that is shown"),
        "clear": _("Select none"),
        "label": _("Label with a class"),
        "type": _("Any other letter: type a class"),
        "choose": _("Choose or make a class"),
        "accept": _("Accept the suggestion, or what a doubtful label might be"),
        "accept_screen": _("Accept all suggestions on the screen"),
        "reject": _("Reject"),
        "unlabel": _("Take the label away"),
        "undo": _("Undo"),
        "redo": _("Redo"),
        "zoom": _("Look closer, and back"),
        "details": _("Details and provenance"),
        "help": _("This list"),
    }


def more_texts() -> dict[str, Texts]:
    """Return the texts by group: map, classes and history."""
    return {"map": _map(), "classes": _classes(), "history": _history()}


def _map() -> Texts:
    return {
        "map": _("Map of the images"),
        "help": _(
            "Images that look alike lie close together. Drag or press the arrows to move, turn the wheel "
            "or press + and - to come closer, 0 for the whole map, Enter for the image in the middle. To "
            "circle images with the lasso, press Shift and drag, or L."
        ),
        "loading": _("Reading the map…"),
        "none_yet": _("There is no map yet. It is drawn when the studio has looked through the images."),
        "unread": _("The map could not be read. The studio may be busy or stopped; try again."),
        "again": _("Look again"),
        "lasso": _("Lasso"),
        "lasso_help": _("Draw a line around images to select them. Also: Shift and drag."),
        "select_seen": _("Select what is in sight"),
        "clear": _("Clear"),
        "in_sight": _("{seen} of {count} images in sight"),
        "selected": {
            "one": _("{count} image selected in the grid"),
            "many": _("{count} images selected in the grid"),
        },
        "none_inside": _("There is no image in that which the legend shows."),
        "closer": _("Closer"),
        "farther": _("Farther"),
        "reset": _("The whole map"),
        "gone": _("not in this project any more"),
        "legend": _("Classes"),
        "legend_help": _(
            "Point at a class to see it alone; click to hide or show it. What is hidden is not selected."
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
        "reading": _("Reading the history…"),
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
