"""The export format `deploy`: a folder that a host of Streamlit apps or containers runs without changes."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path

from studio.backbones.interpreter import LiteRTInterpreter
from studio.files import atomic_text
from studio.i18n import _
from studio.retrain.run_folder import MODEL_FILE
from studio.share.exports.export_format import ExportContext, ExportFormat, PredictFunction
from studio.share.web_demo.demo_page import Demo

_SPACE_DIR = "space"
_APP_DIR = Path(__file__).parent / "space"
_APP_FILES = ("app.py", "demo_model.py")
_LIBRARIES = ("streamlit", "ai-edge-litert", "numpy", "pillow", "pillow-heif")
_DOCKERFILE = """\
FROM python:3.12-slim
WORKDIR /app
# Streamlit writes to the home folder, which not every host provides.
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
# Some hosts show the app in a frame, where browsers send no cookies, and uploads would be rejected.
# The app has no accounts and stores nothing, so cross-site requests can do no harm.
enableXsrfProtection = false

[browser]
gatherUsageStats = false

[client]
toolbarMode = "minimal"

[theme]
primaryColor = "#17865b"
"""


def _write(run_dir: Path, output_dir: Path, context: ExportContext) -> None:
    """Write `space/`: the app, the model and what the app needs to run. Raises ModelUnreadable."""
    demo = Demo.from_run(run_dir, context.name)
    space = output_dir / _SPACE_DIR
    (space / ".streamlit").mkdir(parents=True)
    for file in _APP_FILES:
        shutil.copyfile(_APP_DIR / file, space / file)
    (space / MODEL_FILE).write_bytes(demo.model)
    for name, text in {
        "demo.json": json.dumps(_demo_json(demo), ensure_ascii=False, indent=1),
        "requirements.txt": "".join(f"{_version_range(library)}\n" for library in _LIBRARIES),
        "Dockerfile": _DOCKERFILE,
        ".streamlit/config.toml": _CONFIG,
        "README.md": _space_readme(demo.name),
    }.items():
        with atomic_text(space / name) as output:
            output.write(text)


def _load_predictor(output_dir: Path) -> PredictFunction:
    """Load the model in the folder."""
    return LiteRTInterpreter((output_dir / _SPACE_DIR / MODEL_FILE).read_bytes())


def _demo_json(demo: Demo) -> dict[str, object]:
    return {
        "name": demo.name,
        "labels": demo.labels,
        "preprocessing": {
            "width_px": demo.preprocessing.width_px,
            "height_px": demo.preprocessing.height_px,
        },
        "sureness": demo.confidence_config,
        "facts": demo.facts,
        "credits": demo.credits,
        "texts": {
            "about": _("Classifies an image as one of {count} classes.").format(count=len(demo.labels)),
            "files": _("Images"),
            "camera": _("Camera"),
            "drop": _("Drop one or more images"),
            "take": _("Take an image"),
            "turn_on": _("Turn the camera on"),
            "unreadable": _("{name} cannot be read as an image. Try a JPEG, PNG or WebP file."),
            "sure": "{label}",
            "unlikely": _("Not sure. Perhaps {label}, {share}"),
            "strange": _("Not sure: unlike the training images. Nearest is {label}, {share}"),
            "model": _("About this model"),
            "credits": _("Training images and their authors"),
        },
    }


def _version_range(library: str) -> str:
    """Return a requirement from the installed version of a library up to its next major version.

    Another major version of Pillow may resize differently.
    """
    installed = version(library)
    return f"{library}>={installed},<{int(installed.partition('.')[0]) + 1}"


def _space_readme(name: str) -> str:
    """Return the README with the settings of a Hugging Face Space."""
    settings = {"title": name, "emoji": "🌼", "sdk": "docker", "app_port": 8501, "pinned": False}
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
    return "\n".join(["---", *lines, "---", "", _("An image classifier, made with Retrain Studio."), ""])


_USAGE = _(
    """\
`space/` has a small app, the model, and all that a host needs to run them: LiteRT and Streamlit, not
TensorFlow.

- **Streamlit Community Cloud**: copy the content of `space/` into a repository on GitHub, then choose it at
  https://share.streamlit.io with `app.py` as its main file.
- **Hugging Face Spaces**: create a Docker Space, then copy the content of `space/` into it. `README.md` has
  the Space's settings.
- **Any host of containers**: `docker build -t demo space && docker run -p 8501:8501 demo`
- **This machine**, in a new virtual environment:

```
cd space
pip install -r requirements.txt
streamlit run app.py
```

The host classifies the images and does not store them. If they should not leave the visitor's device, export
the web demo instead.
"""
)

DEPLOY = ExportFormat(
    "deploy",
    _("Deploy folder"),
    _("A small app for Streamlit Community Cloud, a Hugging Face Space or any host of containers."),
    _write,
    _USAGE,
    _load_predictor,
    max_difference=1e-3,
)
