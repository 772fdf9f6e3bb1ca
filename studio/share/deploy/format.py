"""The form of export `deploy`: a folder that a host of Streamlit apps or of containers runs as it is."""

import json
import shutil
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from studio.backbones.interpreter import Engine
from studio.files import atomic_text
from studio.i18n import _
from studio.retrain.run_folder import MODEL
from studio.share.exports.format import Answer, Context, Format
from studio.share.web_demo.web_demo import Demo

SPACE = "space"
_APP_DIR = Path(__file__).parent / "space"
_APP_FILES = ("app.py", "demo_model.py")
_LIBRARIES = ("streamlit", "ai-edge-litert", "numpy", "pillow", "pillow-heif")
_DOCKERFILE = """\
FROM python:3.12-slim
WORKDIR /app
# Streamlit writes into its user's home, which not every host gives it.
ENV HOME=/tmp
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
EXPOSE 8501
CMD ["streamlit", "run", "app.py", "--server.port=8501", "--server.address=0.0.0.0"]
"""
_CONFIG = """\
[server]
headless = true
fileWatcherType = "none"
maxUploadSize = 20
# Some hosts show the app in a frame, in which browsers send no cookies, and uploads would be refused.
# There is nothing here that another site could have a visitor do: no account, and nothing is kept.
enableXsrfProtection = false

[browser]
gatherUsageStats = false

[client]
toolbarMode = "minimal"

[theme]
primaryColor = "#17865b"
"""


def write(run_dir: Path, output_dir: Path, context: Context) -> None:
    """Write `space/`: app, model and what the app needs to run. Raises ModelUnreadable."""
    demo = Demo.of_run(run_dir, context.name)
    space = output_dir / SPACE
    (space / ".streamlit").mkdir(parents=True)
    for file in _APP_FILES:
        shutil.copyfile(_APP_DIR / file, space / file)
    (space / MODEL).write_bytes(demo.model)
    for name, text in {
        "demo.json": json.dumps(_about(demo), ensure_ascii=False, indent=1),
        "requirements.txt": "".join(f"{_bounded(library)}\n" for library in _LIBRARIES),
        "Dockerfile": _DOCKERFILE,
        ".streamlit/config.toml": _CONFIG,
        "README.md": _head(demo.name),
    }.items():
        with atomic_text(space / name) as written:
            written.write(text)


def opened(output_dir: Path) -> Answer:
    """Return what asks the model in the folder."""
    return Engine((output_dir / SPACE / MODEL).read_bytes())


def _about(demo: Demo) -> dict[str, object]:
    sureness = asdict(demo.sureness)
    return {
        "name": demo.name,
        "labels": demo.labels,
        "preprocessing": {
            "width_px": demo.preprocessing.width_px,
            "height_px": demo.preprocessing.height_px,
        },
        "sureness": {
            name: sureness[name] for name in ("temperature", "least_probability", "most_strangeness")
        },
        "facts": demo.facts,
        "credits": demo.credits,
        "texts": {
            "about": _("Show it an image, and it says which of {count} classes it is.").format(
                count=len(demo.labels)
            ),
            "files": _("Photographs"),
            "camera": _("Camera"),
            "drop": _("Drop one or more photographs"),
            "take": _("Take an image"),
            "turn_on": _("Turn the camera on"),
            "unreadable": _("{name} cannot be read as an image. Try a JPEG, PNG or WebP file."),
            "sure": "{label}",
            "unlikely": _("Not sure. Perhaps {label}, {share}"),
            "strange": _("Not sure: unlike anything it learned from. Nearest is {label}, {share}"),
            "model": _("About this model"),
            "credits": _("The images it learned from, and their authors"),
        },
    }


def _bounded(library: str) -> str:
    """Return a library from the version here on and below its next major one.

    Another major version of Pillow may resize otherwise.
    """
    here = version(library)
    return f"{library}>={here},<{int(here.partition('.')[0]) + 1}"


def _head(name: str) -> str:
    """Return the README that Hugging Face reads its settings from."""
    settings = {"title": name, "emoji": "🌼", "sdk": "docker", "app_port": 8501, "pinned": False}
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
    return "\n".join(["---", *lines, "---", "", _("An image classifier, made with Retrain Studio."), ""])


_USAGE = _(
    """\
`space/` is a small app, its model, and all that a host needs to run it: LiteRT and Streamlit, not TensorFlow.

- **Streamlit Community Cloud**: put what is in `space/` into a repository on GitHub, then choose it at
  https://share.streamlit.io with `app.py` as its main file.
- **Hugging Face Spaces**: make a Space with Docker, then put what is in `space/` into it. Its `README.md`
  holds the Space's settings.
- **Anything that runs containers**: `docker build -t demo space && docker run -p 8501:8501 demo`
- **Here**, in an environment of its own:

```
cd space
pip install -r requirements.txt
streamlit run app.py
```

Images are answered by the host and not kept. Where they should not leave the visitor's device, export the
web demo instead.
"""
)

DEPLOY = Format(
    "deploy",
    _("Deploy folder"),
    _("A small app for Streamlit Community Cloud, a Hugging Face Space or any host of containers."),
    write,
    _USAGE,
    answer=opened,
    near=1e-3,
)
