"""What the page says, in the person's language when it is written."""

from studio.language import _


def drawn_texts() -> dict[str, str]:
    """Return the texts that stand in the page from the beginning, by the name of their place in it."""
    return {
        "starting": _("One moment: the page is starting. If this stays, the browser is too old for it."),
        "loading_label": _("How much of the model has come"),
        "noscript": _("This page answers in your browser, with JavaScript, which is turned off."),
        "choose": _("Choose pictures"),
        "drop": _("Or drop pictures anywhere on the page, or paste one."),
        "camera": _("Camera"),
        "camera_on": _("Use the camera"),
        "camera_sees": _("What the camera sees"),
        "camera_take": _("Keep this picture"),
        "camera_other": _("Other camera"),
        "camera_off": _("Turn the camera off"),
        "answers": _("Answers"),
    }


def said_texts() -> dict[str, str]:
    """Return the texts that the page's own code says, by the names that it knows."""
    return {
        "loading": _("Fetching the model: {done} of {total} MB."),
        "here": _("The model runs in this browser: no picture leaves this device."),
        "at_server": _(
            "This browser leaves the model to the server: your pictures are sent there to be answered."
        ),
        "fault": _("The model cannot run in this browser ({why}). A newer browser will do."),
        "speed": _("{ms} ms a picture, over {pictures}."),
        "photo": _("Photograph"),
        "sure": _("{label}, {share}"),
        "unsure": _("Not sure. Perhaps {label}, {share}"),
        "strange": _("Not sure: unlike anything it learned from. Nearest is {label}, {share}"),
        "all": _("All classes"),
        "unreadable": _("{name} cannot be opened by this browser. Try a JPEG, PNG or WebP file."),
        "unanswered": _("{name} could not be answered: {why}"),
        "camera_insecure": _(
            "The browser gives the camera only to pages behind https. Choose pictures instead."
        ),
        "camera_refused": _(
            "The page may not use the camera. Allow it in the browser's settings for this page."
        ),
        "camera_missing": _("No camera was found. Choose pictures instead."),
        "camera_fault": _("The camera does not answer. Is another program using it?"),
        "wrong": _("Is this wrong?"),
        "right": _("What it really is"),
        "none_of_them": _("None of these, or not known"),
        "send_picture": _("Send the picture too, for the owner of this page to learn from"),
        "send": _("Send"),
        "thanks": _("Thank you. The owner of this page will see it."),
        "not_sent": _("It could not be sent. Try again later."),
    }
