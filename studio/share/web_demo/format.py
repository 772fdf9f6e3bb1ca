"""The form of export `web`: a folder for any static host, and one file that works when it is opened."""

import shutil
from pathlib import Path

from studio.backbones.interpreter import Engine
from studio.files import atomic_text
from studio.i18n import _
from studio.retrain.run_folder import MODEL
from studio.share.exports.format import Answer, Context, Format
from studio.share.web_demo.runtime import runtime
from studio.share.web_demo.web_demo import Demo, Places, assets, html, whole_html

SITE, ONE_FILE = "site", "demo.html"


def write(run_dir: Path, output_dir: Path, context: Context) -> None:
    """Write `site/`, a folder for a static host, and `demo.html`, the same in one file.

    Raises ModelUnreadable, and DownloadFailed where the runtime is not here and cannot be fetched.
    """
    runtime_dir = runtime(context.downloads_dir, context.progress)
    phase = _("Writing the page")
    context.progress.report(phase, 0, 2)
    demo = Demo.of_run(run_dir, context.name)
    site = output_dir / SITE
    shutil.copytree(runtime_dir, site / "litert")
    (site / MODEL).write_bytes(demo.model)
    for asset in assets():
        shutil.copy(asset, site)
    with atomic_text(site / "index.html") as file:
        file.write(html(demo, Places()))
    context.progress.report(phase, 1, 2)
    with atomic_text(output_dir / ONE_FILE) as file:
        file.write(whole_html(demo, runtime_dir))
    context.progress.report(phase, 2, 2)


def opened(output_dir: Path) -> Answer:
    """Return what asks the model that the page carries, outside of a browser."""
    return Engine((output_dir / SITE / MODEL).read_bytes())


_USAGE = _(
    """\
`demo.html` is the whole page in one file: open it, or send it to somebody. `site/` is the same page for any
static host, where it comes faster, since a browser keeps its parts: put what is in the folder on GitHub
Pages, Netlify or a web server of your own, as it is. To see it here first:

```
python -m http.server --directory site
```

Nothing runs on the host, and no image goes there: the model answers in the visitor's browser, and the page
forbids the browser to ask any other address. A phone's camera needs an address with https, which those hosts
have. Serve `.wasm` files as `application/wasm` and with gzip where you can choose.

The page makes an image small as the studio does, to the bit, and calibrates the answers and says "not sure"
as the studio does. A JPEG of many megapixels is read by the studio at a smaller scale and by a browser in
full, which moves a probability by half a percent on average. Times in `parity.json` are of the studio's own
LiteRT; the page shows those of its visitor's browser.

`site/litert/` is LiteRT.js, copyright Google LLC, under the Apache License 2.0 that lies beside it.
"""
)

WEB = Format(
    "web",
    _("On-device web demo"),
    _(
        "A page with camera and files that answers in its visitor's browser: for any static host, or as "
        "one file to send."
    ),
    write,
    _USAGE,
    answer=opened,
    near=1e-3,
)
