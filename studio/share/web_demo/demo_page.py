"""The web demo's page: its content, its texts, and its HTML as a folder's page or as one file."""

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
from studio.retrain.confidence import Confidence, read_prototypes
from studio.retrain.model_outputs import with_ood_score
from studio.retrain.run_folder import (
    ATTRIBUTION_TEXT,
    SNAPSHOT_FILE,
    read_labels,
    read_model,
    read_model_json,
)
from studio.settings import settings
from studio.share.web_demo.runtime import COMPAT, CORE, VERSION, WASM, WASM_UTILS


@dataclass(frozen=True)
class Demo:
    """A model and what its demo page says about it.

    model: a LiteRT file; output 1 is probabilities, output 2, if any, the out-of-distribution score.
    facts: pairs of a name and a text. credits: the attribution text, empty if the run has none.
    """

    name: str
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    model: bytes
    confidence: Confidence
    facts: tuple[tuple[str, str], ...]
    credits: str

    @classmethod
    def from_run(cls, run_dir: Path, name: str) -> "Demo":
        """Read a finished run's folder. name: of the model, for people. Raises ModelUnreadable."""
        card = read_model_json(run_dir)
        model = read_model(run_dir, card)
        confidence = Confidence.read(run_dir)
        if confidence is None or confidence.model_sha256 != card["model_sha256"]:
            confidence = Confidence()  # not measured, or for another model
        prototypes = None if confidence.max_ood_score is None else read_prototypes(run_dir)
        credits = run_dir / ATTRIBUTION_TEXT
        return cls(
            name,
            read_labels(run_dir, card),
            Preprocessing.from_json(card["preprocessing"]),
            model if prototypes is None else with_ood_score(model, prototypes),
            confidence,
            tuple(_facts(run_dir, card)),
            credits.read_text(encoding="utf-8") if credits.is_file() else "",
        )

    @property
    def preprocessing_config(self) -> dict[str, int]:
        """Return the parameters by which the page preprocesses an image.

        pillow: the major version of this studio's Pillow, whose resizing the page reproduces bit by bit.
        """
        width_px, height_px = self.preprocessing.width_px, self.preprocessing.height_px
        return {
            "width_px": width_px,
            "height_px": height_px,
            "pillow": int(PIL.__version__.partition(".")[0]),
        }

    @property
    def confidence_config(self) -> dict[str, float | None]:
        """Return the temperature and the thresholds for abstention, under the keys of `sureness.json`."""
        return {
            "temperature": self.confidence.temperature,
            "least_probability": self.confidence.min_probability,
            "most_strangeness": self.confidence.max_ood_score,
        }


def _facts(run_dir: Path, card: dict[str, Any]) -> list[tuple[str, str]]:
    with (run_dir / SNAPSHOT_FILE).open(encoding="utf-8", newline="") as file:
        splits = [row["split"] for row in csv.DictReader(file)]
    facts = [
        (_("Trained on"), _("{count} images").format(count=f"{splits.count('training'):,}")),
    ]
    evaluation = card.get("evaluation") or {}
    if evaluation.get("n"):
        low, high = evaluation["interval"]
        facts.append(
            (
                _("Test accuracy"),
                _("{share:.1%} of {count} images (95% CI {low:.0%} to {high:.0%})").format(
                    share=evaluation["accuracy"], count=f"{evaluation['n']:,}", low=low, high=high
                ),
            )
        )
    facts.append((_("Backbone"), str(card.get("backbone", {}).get("name", ""))))
    size = card["preprocessing"]
    facts.append((_("Input size"), f"{size['width_px']} x {size['height_px']} px"))
    facts.append(
        (_("Limits"), _("The model knows these classes only, and was not tested on images of anything else."))
    )
    return facts


def template_texts() -> dict[str, str]:
    """Return the texts of `index.html` by placeholder."""
    return {
        "starting": _("Loading. If this message stays, your browser is too old for this page."),
        "loading_label": _("Progress of the download"),
        "noscript": _("This page needs JavaScript, which is turned off in your browser."),
        "choose": _("Choose images"),
        "drop": _("Or drop images anywhere on the page, or paste one."),
        "camera": _("Camera"),
        "camera_on": _("Use the camera"),
        "camera_sees": _("Camera image"),
        "camera_take": _("Keep this image"),
        "camera_other": _("Other camera"),
        "camera_off": _("Turn the camera off"),
        "answers": _("Predictions"),
    }


def script_texts() -> dict[str, str]:
    """Return the texts that the page's JavaScript shows, by key."""
    return {
        "loading": _("Downloading the model: {done} of {total} MB."),
        "here": _("The model runs in this browser: no image leaves this device."),
        "at_server": _("The model runs on the server, not in this browser: your images are sent there."),
        "fault": _("The model cannot run in this browser ({why}). Use a newer browser."),
        "speed": _("{ms} ms an image, over {images}."),
        "photo": _("Photograph"),
        "sure": _("{label}, {share}"),
        "unsure": _("Not sure. Perhaps {label}, {share}"),
        "strange": _("Not sure: unlike the training images. Nearest is {label}, {share}"),
        "all": _("All classes"),
        "unreadable": _("{name} cannot be opened by this browser. Try a JPEG, PNG or WebP file."),
        "unanswered": _("{name} could not be classified: {why}"),
        "camera_insecure": _("Browsers allow the camera only on https pages. Choose images instead."),
        "camera_refused": _(
            "This page is not allowed to use the camera. Allow it in the browser's settings for this page."
        ),
        "camera_missing": _("No camera was found. Choose images instead."),
        "camera_fault": _("The camera does not respond. Check whether another program is using it."),
        "wrong": _("Is this wrong?"),
        "right": _("Correct class"),
        "none_of_them": _("None of these, or unknown"),
        "send_image": _("Send the image too, so that the owner of this page can train with it"),
        "send": _("Send"),
        "thanks": _("Thank you. The owner of this page will see it."),
        "not_sent": _("Your feedback could not be sent. Try again later."),
    }


PAGE_DIR = Path(__file__).parent / "page"
"""The page's own files; those of `page_assets` are served from `PageUrls.assets`."""
_ENTRY_SCRIPT = 'import "demo/app.js";'
_CHUNK_BYTES = 3 << 16
"""WebKit takes half a minute to read 20 MB of text in one element, and a second to read it in chunks."""


@dataclass(frozen=True)
class PageUrls:
    """URLs of what the page loads and posts to, on its own origin: absolute paths, or relative with `./`.

    assets, runtime: folders, with a slash at the end. model: None if the server predicts every image.
    server: where the page posts an image if the model cannot run in the browser; None if there is no server.
    feedback: where visitor feedback is posted; None for none. asks_for_image: whether the page asks for the
    image, too. examples: image URLs by class.
    """

    assets: str = "./"
    runtime: str = "./litert/"
    model: str | None = "./model.tflite"
    server: str | None = None
    feedback: str | None = None
    asks_for_image: bool = False
    examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def page_assets() -> list[Path]:
    """Return the scripts and the style sheet of the page."""
    return sorted(path for path in PAGE_DIR.iterdir() if path.suffix in (".js", ".css"))


def page_html(demo: Demo, urls: PageUrls) -> str:
    """Return the page's HTML, with its files at `urls`."""
    return _render(
        demo,
        urls,
        import_map=_page_import_map(urls),
        policy=content_security_policy(urls),
        style=f'<link rel="stylesheet" href="{escape(urls.assets)}style.css">',
        script=f'<script type="module" src="{escape(urls.assets)}app.js"></script>',
    )


def standalone_html(demo: Demo, runtime: Path) -> str:
    """Return the page's HTML with all its files embedded. runtime: the runtime's folder."""
    import_map = _import_map(
        {
            "@litertjs/core": _data_url(runtime / CORE),
            "@litertjs/wasm-utils": _data_url(runtime / WASM_UTILS),
            **{f"demo/{path.name}": _data_url(path) for path in page_assets() if path.suffix == ".js"},
        }
    )
    style = (PAGE_DIR / "style.css").read_text(encoding="utf-8")
    build = runtime / WASM / COMPAT
    embedded = {
        "model": demo.model,
        "script": build.with_suffix(".js").read_bytes(),
        "wasm": build.with_suffix(".wasm").read_bytes(),
    }
    return _render(
        demo,
        PageUrls(),
        import_map=import_map,
        policy=_policy(
            script=f"{_hash(import_map)} {_hash(_ENTRY_SCRIPT)} data: blob: 'wasm-unsafe-eval'",
            style=_hash(style),
            origin="",
            connect="'none'",
        ),
        style=f"<style>{style}</style>",
        script=f'<script type="module">{_ENTRY_SCRIPT}</script>',
        embedded="\n".join(
            f'<script type="text/plain" data-inside="{name}">{chunk}</script>'
            for name, content in embedded.items()
            for chunk in _base64_chunks(content)
        ),
    )


def content_security_policy(urls: PageUrls) -> str:
    """Return the Content-Security-Policy of `page_html`, which forbids requests to other origins."""
    script = f"'self' {_hash(_page_import_map(urls))} 'wasm-unsafe-eval'"
    return _policy(script=script, style="'self'", origin="'self'", connect="'self'")


def _page_import_map(urls: PageUrls) -> str:
    return _import_map(
        {
            "@litertjs/core": urls.runtime + CORE,
            "@litertjs/wasm-utils": urls.runtime + WASM_UTILS,
            "demo/": urls.assets,
        }
    )


def _policy(*, script: str, style: str, origin: str, connect: str) -> str:
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; img-src {origin} data: blob:; "
        f"media-src {origin} blob:; connect-src {connect}; base-uri 'none'; form-action 'none'"
    )


def _render(
    demo: Demo,
    urls: PageUrls,
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
        "preprocessing": demo.preprocessing_config,
        "sureness": demo.confidence_config,
        "model": urls.model and {"address": urls.model, "size_bytes": len(demo.model)},
        "runtime": urls.runtime,
        "server": urls.server,
        "feedback": urls.feedback,
        "asks_for_image": urls.asks_for_image,
        "language": language,
        "texts": script_texts(),
    }
    template = Template((PAGE_DIR / "index.html").read_text(encoding="utf-8"))
    return template.substitute(
        {name: escape(text) for name, text in template_texts().items()},
        language=escape(language),
        name=escape(demo.name),
        about=escape(_("Classifies an image as one of {count} classes.").format(count=len(demo.labels))),
        policy=escape(policy),
        style=style,
        import_map=import_map,
        config=_json(config),
        embedded=embedded,
        script=script,
        about_model=_about_model(demo, urls),
    )


def _about_model(demo: Demo, urls: PageUrls) -> str:
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in demo.facts)
    parts = [
        _section(_("Classes"), _classes(demo, urls), open_=True),
        _section(_("About this model"), f"<dl>{facts}</dl>"),
    ]
    if demo.credits:
        parts.append(_section(_("Training images and their authors"), f"<pre>{escape(demo.credits)}</pre>"))
    if urls.model:
        parts.append(_section(_("Software"), f"<p>{escape(_software())}</p>"))
    return "\n".join(parts)


def _software() -> str:
    return _(
        "This page was made with Retrain Studio. The model runs on LiteRT.js {version}, copyright "
        "Google LLC, under the Apache License 2.0, https://www.apache.org/licenses/LICENSE-2.0."
    ).format(version=VERSION)


def _section(title: str, inside: str, *, open_: bool = False) -> str:
    return f"<details{' open' if open_ else ''}><summary>{escape(title)}</summary>{inside}</details>"


def _classes(demo: Demo, urls: PageUrls) -> str:
    items = "".join(
        f"<li>{escape(label)}"
        + "".join(f'<img src="{escape(url)}" alt="" loading="lazy">' for url in urls.examples.get(label, ()))
        + "</li>"
        for label in demo.labels
    )
    return f'<ul class="classes{" shown" if urls.examples else ""}">{items}</ul>'


def _import_map(imports: dict[str, str]) -> str:
    return _json({"imports": imports})


def _json(value: object) -> str:
    # `</script>` in a value would end the script element.
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _data_url(path: Path) -> str:
    return f"data:text/javascript;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _base64_chunks(content: bytes) -> Iterator[str]:
    # Without a time in the header, so that the same model gives the same file.
    packed = gzip.compress(content, mtime=0)
    for start in range(0, len(packed), _CHUNK_BYTES):
        yield base64.b64encode(packed[start : start + _CHUNK_BYTES]).decode()
