"""What a page shows of a run: the model, its classes, how sure it must be, its card and its credits."""

import base64
import csv
import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import PIL

from studio.backbones.preprocessing import Preprocessing
from studio.i18n import _
from studio.retrain.confidence import Confidence, read_anchors
from studio.retrain.model_outputs import with_strangeness
from studio.retrain.run_folder import ATTRIBUTION_TEXT, SNAPSHOT, read_labels, read_model, read_model_json
from studio.settings import settings
from studio.share.web_demo.runtime import COMPAT, CORE, VERSION, WASM, WASM_UTILS


@dataclass(frozen=True)
class Demo:
    """One model, for people.

    model: a LiteRT file whose first output is probabilities; one that can tell strange images has a second.
    facts: pairs of a name and what there is to say. credits: a text; empty where the run has none.
    """

    name: str
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    model: bytes
    sureness: Confidence
    facts: tuple[tuple[str, str], ...]
    credits: str

    @classmethod
    def of_run(cls, run_dir: Path, name: str) -> "Demo":
        """Read what a finished run's folder has. Raises ModelUnreadable."""
        card = read_model_json(run_dir)
        model = read_model(run_dir, card)
        sureness = Confidence.read(run_dir)
        if sureness is None or sureness.model_sha256 != card["model_sha256"]:
            sureness = Confidence()
        anchors = None if sureness.most_strangeness is None else read_anchors(run_dir)
        credits = run_dir / ATTRIBUTION_TEXT
        return cls(
            name,
            read_labels(run_dir, card),
            Preprocessing.from_json(card["preprocessing"]),
            model if anchors is None else with_strangeness(model, anchors),
            sureness,
            tuple(_facts(run_dir, card)),
            credits.read_text(encoding="utf-8") if credits.is_file() else "",
        )

    @property
    def pixels(self) -> dict[str, int]:
        """How the page makes an image into the network's input.

        pillow: the version whose resize is followed, to the bit: that of this studio's own answers.
        """
        width_px, height_px = self.preprocessing.width_px, self.preprocessing.height_px
        return {
            "width_px": width_px,
            "height_px": height_px,
            "pillow": int(PIL.__version__.partition(".")[0]),
        }


def _facts(run_dir: Path, card: dict[str, Any]) -> list[tuple[str, str]]:
    with (run_dir / SNAPSHOT).open(encoding="utf-8", newline="") as file:
        splits = [row["split"] for row in csv.DictReader(file)]
    found = [
        (_("Learned from"), _("{count} images").format(count=f"{splits.count('training'):,}")),
    ]
    evaluation = card.get("evaluation") or {}
    if evaluation.get("n"):
        low, high = evaluation["interval"]
        found.append(
            (
                _("Right on images it had not seen"),
                _("{share:.1%} of {count} (95% interval {low:.0%} to {high:.0%})").format(
                    share=evaluation["accuracy"], count=f"{evaluation['n']:,}", low=low, high=high
                ),
            )
        )
    found.append((_("Network"), str(card.get("backbone", {}).get("name", ""))))
    size = card["preprocessing"]
    found.append((_("Sees images at"), f"{size['width_px']} x {size['height_px']} px"))
    found.append(
        (
            _("Limits"),
            _("It knows these classes alone, and was never asked about anything else."),
        )
    )
    return found


def drawn_texts() -> dict[str, str]:
    """Return the texts that stand in the page from the beginning, by the name of their place in it."""
    return {
        "starting": _("One moment: the page is starting. If this stays, the browser is too old for it."),
        "loading_label": _("How much of the model has come"),
        "noscript": _("This page answers in your browser, with JavaScript, which is turned off."),
        "choose": _("Choose images"),
        "drop": _("Or drop images anywhere on the page, or paste one."),
        "camera": _("Camera"),
        "camera_on": _("Use the camera"),
        "camera_sees": _("What the camera sees"),
        "camera_take": _("Keep this image"),
        "camera_other": _("Other camera"),
        "camera_off": _("Turn the camera off"),
        "answers": _("Answers"),
    }


def said_texts() -> dict[str, str]:
    """Return the texts that the page's own code says, by the names that it knows."""
    return {
        "loading": _("Fetching the model: {done} of {total} MB."),
        "here": _("The model runs in this browser: no image leaves this device."),
        "at_server": _(
            "This browser leaves the model to the server: your images are sent there to be answered."
        ),
        "fault": _("The model cannot run in this browser ({why}). A newer browser will do."),
        "speed": _("{ms} ms an image, over {images}."),
        "photo": _("Photograph"),
        "sure": _("{label}, {share}"),
        "unsure": _("Not sure. Perhaps {label}, {share}"),
        "strange": _("Not sure: unlike anything it learned from. Nearest is {label}, {share}"),
        "all": _("All classes"),
        "unreadable": _("{name} cannot be opened by this browser. Try a JPEG, PNG or WebP file."),
        "unanswered": _("{name} could not be answered: {why}"),
        "camera_insecure": _(
            "The browser gives the camera only to pages behind https. Choose images instead."
        ),
        "camera_refused": _(
            "The page may not use the camera. Allow it in the browser's settings for this page."
        ),
        "camera_missing": _("No camera was found. Choose images instead."),
        "camera_fault": _("The camera does not answer. Is another program using it?"),
        "wrong": _("Is this wrong?"),
        "right": _("What it really is"),
        "none_of_them": _("None of these, or not known"),
        "send_image": _("Send the image too, for the owner of this page to learn from"),
        "send": _("Send"),
        "thanks": _("Thank you. The owner of this page will see it."),
        "not_sent": _("It could not be sent. Try again later."),
    }


PAGE_DIR = Path(__file__).parent / "page"
"""The page's own files. Those of `assets` belong where `Places.assets` says."""
_START = 'import "demo/app.js";'
_PIECE_BYTES = 3 << 16
"""WebKit takes half a minute to read a text of 20 MB in one element, and a second to read it in pieces."""


@dataclass(frozen=True)
class Places:
    """Where a page finds what is not in it: addresses of its own origin, absolute, or relative with `./`.

    assets, runtime: folders, with a slash at the end. model: None where the server answers on every image.
    server: where an image is posted that the browser does not answer on itself; None where there is none.
    feedback: where a visitor's word goes that an answer is wrong; None where nobody asks. asks_for_image:
    whether the image is asked for as well.
    examples: addresses of images by class.
    """

    assets: str = "./"
    runtime: str = "./litert/"
    model: str | None = "./model.tflite"
    server: str | None = None
    feedback: str | None = None
    asks_for_image: bool = False
    examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def assets() -> list[Path]:
    """Return the page's own files that a browser fetches: scripts and the style sheet."""
    return sorted(path for path in PAGE_DIR.iterdir() if path.suffix in (".js", ".css"))


def html(demo: Demo, places: Places) -> str:
    """Return the page whose files lie at `places`."""
    return _page(
        demo,
        places,
        import_map=_map_of(places),
        policy=policy(places),
        style=f'<link rel="stylesheet" href="{escape(places.assets)}style.css">',
        script=f'<script type="module" src="{escape(places.assets)}app.js"></script>',
    )


def whole_html(demo: Demo, runtime: Path) -> str:
    """Return the page with everything inside: one file that works wherever it is opened."""
    import_map = _import_map(
        {
            "@litertjs/core": _as_data(runtime / CORE),
            "@litertjs/wasm-utils": _as_data(runtime / WASM_UTILS),
            **{f"demo/{path.name}": _as_data(path) for path in assets() if path.suffix == ".js"},
        }
    )
    style = (PAGE_DIR / "style.css").read_text(encoding="utf-8")
    build = runtime / WASM / COMPAT
    inside = {
        "model": demo.model,
        "script": build.with_suffix(".js").read_bytes(),
        "wasm": build.with_suffix(".wasm").read_bytes(),
    }
    return _page(
        demo,
        Places(),
        import_map=import_map,
        policy=_policy(
            script=f"{_hash(import_map)} {_hash(_START)} data: blob: 'wasm-unsafe-eval'",
            style=_hash(style),
            own="",
            connect="'none'",
        ),
        style=f"<style>{style}</style>",
        script=f'<script type="module">{_START}</script>',
        embedded="\n".join(
            f'<script type="text/plain" data-inside="{name}">{piece}</script>'
            for name, content in inside.items()
            for piece in _pieces(content)
        ),
    )


def policy(places: Places) -> str:
    """Return the Content-Security-Policy that `html` writes into its page: nothing goes to another origin."""
    script = f"'self' {_hash(_map_of(places))} 'wasm-unsafe-eval'"
    return _policy(script=script, style="'self'", own="'self'", connect="'self'")


def _map_of(places: Places) -> str:
    return _import_map(
        {
            "@litertjs/core": places.runtime + CORE,
            "@litertjs/wasm-utils": places.runtime + WASM_UTILS,
            "demo/": places.assets,
        }
    )


def _policy(*, script: str, style: str, own: str, connect: str) -> str:
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; img-src {own} data: blob:; "
        f"media-src {own} blob:; connect-src {connect}; base-uri 'none'; form-action 'none'"
    )


def _page(
    demo: Demo,
    places: Places,
    *,
    import_map: str,
    policy: str,
    style: str,
    script: str,
    embedded: str = "",
) -> str:
    language = settings().language
    config: dict[str, Any] = {
        "labels": demo.labels,
        "preprocessing": demo.pixels,
        "sureness": {
            "temperature": demo.sureness.temperature,
            "least_probability": demo.sureness.least_probability,
            "most_strangeness": demo.sureness.most_strangeness,
        },
        "model": places.model and {"address": places.model, "size_bytes": len(demo.model)},
        "runtime": places.runtime,
        "server": places.server,
        "feedback": places.feedback,
        "asks_for_image": places.asks_for_image,
        "language": language,
        "texts": said_texts(),
    }
    template = Template((PAGE_DIR / "index.html").read_text(encoding="utf-8"))
    return template.substitute(
        {name: escape(text) for name, text in drawn_texts().items()},
        language=escape(language),
        name=escape(demo.name),
        about=escape(
            _("Show it an image, and it says which of {count} classes it is.").format(count=len(demo.labels))
        ),
        policy=escape(policy),
        style=style,
        import_map=import_map,
        config=_json(config),
        embedded=embedded,
        script=script,
        about_model=_about_model(demo, places),
    )


def _about_model(demo: Demo, places: Places) -> str:
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in demo.facts)
    parts = [
        _section(_("What it knows"), _classes(demo, places), open_=True),
        _section(_("About this model"), f"<dl>{facts}</dl>"),
    ]
    if demo.credits:
        parts.append(
            _section(_("The images it learned from, and their authors"), f"<pre>{escape(demo.credits)}</pre>")
        )
    if places.model:
        parts.append(_section(_("Software"), f"<p>{escape(_software())}</p>"))
    return "\n".join(parts)


def _software() -> str:
    return _(
        "This page was made with Retrain Studio. The model runs on LiteRT.js {version}, copyright "
        "Google LLC, under the Apache License 2.0, https://www.apache.org/licenses/LICENSE-2.0."
    ).format(version=VERSION)


def _section(title: str, inside: str, *, open_: bool = False) -> str:
    return f"<details{' open' if open_ else ''}><summary>{escape(title)}</summary>{inside}</details>"


def _classes(demo: Demo, places: Places) -> str:
    items = "".join(
        f"<li>{escape(label)}"
        + "".join(
            f'<img src="{escape(address)}" alt="" loading="lazy">'
            for address in places.examples.get(label, ())
        )
        + "</li>"
        for label in demo.labels
    )
    return f'<ul class="classes{" shown" if places.examples else ""}">{items}</ul>'


def _import_map(imports: dict[str, str]) -> str:
    return _json({"imports": imports})


def _json(value: object) -> str:
    # Inside of a script element nothing may look like its end.
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _as_data(path: Path) -> str:
    return f"data:text/javascript;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _pieces(content: bytes) -> Iterator[str]:
    # Without the time in its header, so that the same model gives the same file.
    packed = gzip.compress(content, mtime=0)
    for start in range(0, len(packed), _PIECE_BYTES):
        yield base64.b64encode(packed[start : start + _PIECE_BYTES]).decode()
