"""TFRecord files of `tf.train.Example`, with the features that TensorFlow's own converters use."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from studio.collect import tf_pictures
from studio.collect.own_table import places_json
from studio.collect.papers import PaperRecord
from studio.collect.tf_examples import Feature, encode
from studio.collect.tf_records import write_record
from studio.curate.export.class_folders import state_folder
from studio.curate.export.image_folder import FOLDERS
from studio.curate.export.listing import Listed
from studio.curate.export.picture_files import Exporting, named
from studio.curate.export.tables import with_places

LABELS = "labels.txt"
SHARD_BYTES = 64_000_000
"""A file ends once it is as large: readers of archives hold one in memory."""


def write_tf_records(exporting: Exporting) -> dict[int, str]:
    """Write `train-00000-of-00003.tfrecord` and so on, and the classes by their numbers in `labels.txt`.

    Pictures without a label and those that were rejected are in files of their own. A picture's path is the
    file's, and behind a slash the name that its record has.
    """
    shards = dict(_shards(exporting.listing.pictures))
    of_shard = {picture.image_id: shard for shard, pictures in shards.items() for picture in pictures}
    names = dict(named(exporting.listing.pictures, lambda picture: of_shard[picture.image_id]))
    numbers = {look.name: number for number, look in enumerate(exporting.listing.classes)}
    placed: dict[int, str] = {}
    for shard, pictures in shards.items():
        with exporting.read() as session:
            of_picture = {
                p.image_id: places for p, places in with_places(session, exporting.listing, pictures)
            }
        found = exporting.originals.of(pictures)
        first = next(found, None)
        if first is None:  # all of them are lost
            continue
        with exporting.packed.open(shard) as file:
            for picture, data in chain((first,), found):
                name = names[picture.image_id]
                places = of_picture[picture.image_id]
                features = _features(picture, data, name.partition("/")[2], places, numbers)
                write_record(file, encode(features))
                placed[picture.image_id] = name
    labels = "".join(f"{look.name}\n" for look in exporting.listing.classes)
    exporting.packed.add(LABELS, labels.encode(), squeeze=True)
    return placed


def _shards(pictures: Sequence[Listed]) -> Iterator[tuple[str, list[Listed]]]:
    """Yield the files' names, each with its pictures; their sizes are known, and so how many there are."""
    parts: defaultdict[str, list[list[Listed]]] = defaultdict(list)
    sizes: dict[str, int] = {}
    for picture in pictures:
        part = FOLDERS[picture.split] if picture.labelled else state_folder(picture)
        if not parts[part] or sizes[part] >= SHARD_BYTES:
            parts[part].append([])
            sizes[part] = 0
        parts[part][-1].append(picture)
        sizes[part] += picture.size_bytes
    for part in sorted(parts):
        for number, shard in enumerate(parts[part]):
            yield f"{part}-{number:05}-of-{len(parts[part]):05}.tfrecord", shard


def _features(
    picture: Listed,
    data: bytes,
    name: str,
    places: tuple[PaperRecord, ...],
    numbers: Mapping[str, int],
) -> dict[str, Feature]:
    class_name = picture.class_name or ""
    return {
        tf_pictures.ENCODED: [data],
        tf_pictures.FORMAT: [picture.format.lower().encode()],
        tf_pictures.NAME: [name.encode()],
        tf_pictures.TEXT: [class_name.encode()],
        tf_pictures.NUMBER: [numbers.get(class_name, -1)],
        tf_pictures.HEIGHT: [picture.height_px],
        tf_pictures.WIDTH: [picture.width_px],
        tf_pictures.SHA256: [picture.sha256.encode()],
        tf_pictures.SPLIT: [picture.split.encode()],
        tf_pictures.SPLIT_GIVEN: [picture.split_given.encode()],
        tf_pictures.STATE: [picture.state.encode()],
        tf_pictures.PAPERS: [piece.encode() for piece in places_json(places)],
    }
