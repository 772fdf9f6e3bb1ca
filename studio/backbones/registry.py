"""The registry of backbones by name.

To add a backbone, add a row to the table of its family in `keras_catalogue`; a new family is one new module
with a tuple of backbones and one entry in `FAMILIES`. See docs/decisions/0050-backbones.md.
"""

from difflib import get_close_matches

from studio.backbones.backbone import Backbone
from studio.backbones.concatenated import concatenate
from studio.backbones.efficientnet_lite import EFFICIENTNET_LITES
from studio.backbones.keras_catalogue import EFFICIENTNETS, MOBILENETS, OTHER_NETWORKS
from studio.errors import BackboneError
from studio.i18n import _

DEFAULT = "efficientnet_lite0"
"""Name of the backbone that is used unless another one is chosen."""

FAMILIES: tuple[tuple[Backbone, ...], ...] = (
    EFFICIENTNET_LITES,
    MOBILENETS,
    EFFICIENTNETS,
    OTHER_NETWORKS,
)
"""All backbones, in the order of the documentation."""

BACKBONES = {backbone.name: backbone for family in FAMILIES for backbone in family}


def get_backbone(name: str) -> Backbone:
    """Return a backbone by name; for names joined by "+", return their concatenation.

    Raises BackboneError for an unknown name and for backbones that cannot be concatenated.
    """
    backbones = [_get_single(part.strip()) for part in name.split("+")]
    return backbones[0] if len(backbones) == 1 else concatenate(backbones)


def _get_single(name: str) -> Backbone:
    if name in BACKBONES:
        return BACKBONES[name]
    similar = get_close_matches(name, BACKBONES, n=3, cutoff=0.5) or [DEFAULT]
    raise BackboneError(
        _(
            "expected the name of a backbone; got “{name}”. Similar names: {similar}. List all with "
            "python -m studio backbones"
        ).format(name=name, similar=", ".join(similar))
    )
