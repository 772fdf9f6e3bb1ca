"""The registry: every backbone by its name."""

from difflib import get_close_matches

from studio.backbones.backbone import Backbone
from studio.backbones.concatenated import side_by_side
from studio.backbones.efficientnet_lite import EFFICIENTNET_LITES
from studio.backbones.keras_catalogue import EFFICIENTNETS, MOBILENETS, NETWORKS
from studio.errors import BackboneError
from studio.i18n import _

DEFAULT = "efficientnet_lite0"

BACKBONES = {
    backbone.name: backbone for backbone in (*EFFICIENTNET_LITES, *MOBILENETS, *EFFICIENTNETS, *NETWORKS)
}


def backbone_named(name: str) -> Backbone:
    """Return a backbone of the registry, or several, joined by "+", as one.

    Raises BackboneError for a name that is not in it, and for those that cannot stand side by side.
    """
    found = [_one_named(part.strip()) for part in name.split("+")]
    return found[0] if len(found) == 1 else side_by_side(found)


def _one_named(name: str) -> Backbone:
    if name in BACKBONES:
        return BACKBONES[name]
    close = get_close_matches(name, BACKBONES, n=3, cutoff=0.5) or [DEFAULT]
    raise BackboneError(
        _(
            "expected a backbone by its name; got “{name}”. Near to it: {close}. All of them: "
            "python -m studio backbones"
        ).format(name=name, close=", ".join(close))
    )
