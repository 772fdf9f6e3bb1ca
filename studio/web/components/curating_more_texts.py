"""What the map, the classes and the history of the curating grid say."""

from studio.language import _

Texts = dict[str, str | dict[str, str]]


def more_texts() -> dict[str, Texts]:
    """Return the texts by group: map, classes and history."""
    return {"map": _map(), "classes": _classes(), "history": _history()}


def _map() -> Texts:
    return {
        "map": _("Map of the pictures"),
        "help": _(
            "Pictures that look alike lie close together. Drag or press the arrows to move, turn the wheel "
            "or press + and - to come closer, 0 for the whole map, Enter for the picture in the middle. To "
            "circle pictures with the lasso, press Shift and drag, or L."
        ),
        "loading": _("Reading the map…"),
        "none_yet": _("There is no map yet. It is drawn when the studio has looked through the pictures."),
        "unread": _("The map could not be read. The studio may be busy or stopped; try again."),
        "again": _("Look again"),
        "lasso": _("Lasso"),
        "lasso_help": _("Draw a line around pictures to select them. Also: Shift and drag."),
        "select_seen": _("Select what is in sight"),
        "clear": _("Clear"),
        "in_sight": _("{seen} of {count} pictures in sight"),
        "selected": {
            "one": _("{count} picture selected in the grid"),
            "many": _("{count} pictures selected in the grid"),
        },
        "none_inside": _("There is no picture in that which the legend shows."),
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
            "To split a class, select some of its pictures in the grid and label them with a new name. "
            "Drag a row, or press Alt with ↑ or ↓ in it, to move it."
        ),
        "close": _("Close"),
        "colour": _("Colour"),
        "name": _("Name"),
        "key": _("Key"),
        "count": _("Pictures"),
        "drag": _("Drag to move"),
        "colour_of": _("Colour of {name}"),
        "name_of": _("Name of {name}"),
        "key_of": _("Key that labels pictures as {name}: a letter or a digit"),
        "up": _("Move {name} up"),
        "down": _("Move {name} down"),
        "merge": _("Merge…"),
        "merge_of": _("Merge {name} into another class"),
        "merge_into": _("Class that {name} is merged into"),
        "moves": {
            "one": _("Its {count} picture moves to"),
            "many": _("Its {count} pictures move to"),
        },
        "merge_now": _("Merge"),
        "remove": _("Delete…"),
        "remove_of": _("Delete {name}"),
        "returns": {
            "one": _("Its {count} picture returns to unlabelled."),
            "many": _("Its {count} pictures return to unlabelled."),
        },
        "empty_goes": _("It has no pictures."),
        "remove_now": _("Delete the class"),
        "undoable": _("Undo, or the history, brings the class back with its pictures."),
        "cancel": _("Cancel"),
        "pictures": {"one": _("{count} picture"), "many": _("{count} pictures")},
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
