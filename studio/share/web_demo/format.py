"""The export format `web`: the demo page as a folder for a static host and as one HTML file."""

import shutil
from pathlib import Path

from studio.backbones.interpreter import LiteRTInterpreter
from studio.files import atomic_text
from studio.i18n import _
from studio.retrain.run_folder import MODEL_FILE
from studio.share.exports.export_format import ExportContext, ExportFormat, PredictFunction
from studio.share.web_demo.demo_page import Demo, PageUrls, page_assets, page_html, standalone_html
from studio.share.web_demo.runtime import ensure_runtime

_SITE_DIR, _STANDALONE_FILE = "site", "demo.html"


def _write(run_dir: Path, output_dir: Path, context: ExportContext) -> None:
    """Write `site/`, a folder for a static host, and `demo.html`, the same page in one file.

    Raises ModelUnreadable, and DownloadFailed if the runtime is missing and cannot be downloaded.
    """
    runtime_dir = ensure_runtime(context.downloads_dir, context.progress)
    phase = _("Writing the page")
    context.progress.report(phase, 0, 2)
    demo = Demo.from_run(run_dir, context.name)
    site = output_dir / _SITE_DIR
    shutil.copytree(runtime_dir, site / "litert")
    (site / MODEL_FILE).write_bytes(demo.model)
    for asset in page_assets():
        shutil.copy(asset, site)
    with atomic_text(site / "index.html") as file:
        file.write(page_html(demo, PageUrls()))
    context.progress.report(phase, 1, 2)
    with atomic_text(output_dir / _STANDALONE_FILE) as file:
        file.write(standalone_html(demo, runtime_dir))
    context.progress.report(phase, 2, 2)


def _load_predictor(output_dir: Path) -> PredictFunction:
    """Load the page's model file, to run outside of a browser."""
    return LiteRTInterpreter((output_dir / _SITE_DIR / MODEL_FILE).read_bytes())


_USAGE = _(
    """\
`demo.html` is the whole page in one file: open it, or send it to somebody. `site/` is the same page for any
static host, where it loads faster, since a browser caches its parts: copy the content of the folder to GitHub
Pages, Netlify or your own web server. To try it on this machine first:

```
python -m http.server --directory site
```

Nothing runs on the host, and no image is sent there: the model runs in the visitor's browser, and the page
forbids the browser to contact any other host. A phone's camera needs https, which those hosts have. Serve
`.wasm` files as `application/wasm` and with gzip if you can choose.

The page resizes an image exactly as the studio does, and calibrates the probabilities and says "not sure" as
the studio does. The studio decodes a JPEG of many megapixels at a smaller scale and a browser in full, which
changes a probability by half a percentage point on average. Times in `parity.json` are of the studio's own
LiteRT; the page shows those of its visitor's browser.

`site/litert/` is LiteRT.js, copyright Google LLC, under the Apache License 2.0, which is in that folder.
"""
)

WEB = ExportFormat(
    "web",
    _("On-device web demo"),
    _(
        "A page with camera and file upload that runs the model in the visitor's browser: for any static "
        "host, or as one file to send."
    ),
    _write,
    _USAGE,
    _load_predictor,
    max_difference=1e-3,
)
