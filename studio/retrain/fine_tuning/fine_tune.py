"""Fine-tuning: a backbone's last blocks and a head, trained together on the feature maps before those blocks.

The network takes images a third larger than the backbone's own size, and the blocks are trained on windows as
large as the backbone's own feature maps. The model contains the trained and the pretrained blocks, and mixes
the logits of both. A plain head is trained first, so that every run reports what fine-tuning has gained.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.arrays import Float32Array
from studio.backbones import Backbone, BackboneFile, get_backbone, prepare_backbone
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.conversion import convert_on_pixels
from studio.backbones.embedding import embed
from studio.errors import BackboneError
from studio.i18n import _
from studio.retrain.fine_tuning.features import (
    FeatureMapDataset,
    feature_map_cache,
    feature_map_dataset,
    prepare_frozen_blocks,
)
from studio.retrain.fine_tuning.network import (
    choose_split_layer,
    combined_head,
    fine_tuned_network,
    split_network,
    with_larger_input,
)
from studio.retrain.fine_tuning.training import BlockTrainer, predict_in_batches, train_blocks
from studio.retrain.head.dataset import FeatureScaling, HeadDataset
from studio.retrain.head.head import Head, TrainedHead, TrainingContext, evaluate_probabilities, search_l2
from studio.retrain.model_file import attach_head
from studio.retrain.options import RunOptions
from studio.retrain.snapshot import Snapshot
from studio.retrain.train_head import (
    RunContext,
    TrainResult,
    check_model_file,
    checkpoint_identity,
    embed_snapshot,
    ignore_points,
    testing_rows,
)

TRAINABLE_SHARE = 0.32
"""Largest share of a network's multiply-adds that is trained: the last four blocks of EfficientNet-Lite0."""
_PLAIN_CHECKPOINT, _PRETRAINED_CHECKPOINT = "checkpoint-plain.npz", "checkpoint-untouched.npz"
_CHECKPOINT = "checkpoint-tuning.npz"
_CHECKED_IMAGES = 8
_TOLERANCE = 1e-3
"""Largest difference of a probability between Keras and LiteRT; measured differences are below 1e-5."""


def get_fine_tunable_backbone(name: str) -> Backbone:
    """Return a backbone that can be fine-tuned. Raises BackboneError for quantized and concatenated ones."""
    backbone = get_backbone(name)
    if backbone.members or backbone.quantized:
        first = backbone.members[0].name if backbone.members else backbone.name
        raise BackboneError(
            _(
                "expected a single backbone that is not quantized, for fine-tuning; got “{name}”. "
                "Choose {example}, or turn fine-tuning off."
            ).format(name=name, example=first.removesuffix("_quantized"))
        )
    return backbone


def train_fine_tuned(
    snapshot: Snapshot, options: RunOptions, context: RunContext, identity: str
) -> TrainResult:
    """Train the last blocks of a backbone with a head; the result has the same form as that of `train_head`.

    Raises TooFewImages, Stopped, and BackboneError for a backbone that cannot be fine-tuned.
    """
    backbone = get_fine_tunable_backbone(options.backbone)
    file = prepare_backbone(options.backbone, context.backbones_dir, context.progress)
    own_size_network = backbone.network()
    backbone = with_larger_input(backbone)
    network = backbone.network()
    # Before anything is computed: some networks have no split layer.
    split_layer = choose_split_layer(network, TRAINABLE_SHARE)
    with embed_snapshot(snapshot, _without_distortions(options), file, context) as embedded:
        used = embedded.snapshot
        identity = checkpoint_identity(identity, file, used)
        plain, _heads = search_l2(
            embedded.dataset, options, context.training(_PLAIN_CHECKPOINT, identity, ignore_points)
        )
        rows = testing_rows(used)
        probabilities = plain.head.probabilities(embedded.dataset.vectors[rows])
        plain_test_accuracy = (
            evaluate_probabilities(probabilities, embedded.dataset.labels[rows])[0] if len(rows) else None
        )

    blocks = prepare_frozen_blocks(backbone, network, split_layer, context.backbones_dir, context.progress)
    training = context.training(_CHECKPOINT, f"{identity} {blocks.file.fingerprint}", context.on_points)
    started = time.monotonic()
    with feature_map_dataset(
        used,
        options,
        blocks,
        feature_map_cache(context.bottleneck_dir, blocks),
        scratch_dir=context.run_dir,
        threads=context.threads,
        progress=context.progress,
    ) as dataset:
        embedded_s = time.monotonic() - started
        _frozen, full_blocks = split_network(network, split_layer)
        _own_frozen, trainable_blocks = split_network(own_size_network, split_layer)
        pretrained_head, head_dataset = _train_pretrained_head(
            full_blocks,
            dataset,
            len(used.classes),
            options,
            context.training(_PRETRAINED_CHECKPOINT, training.identity, ignore_points),
        )
        steps = options.fine_tune_epochs * dataset.steps_per_epoch
        trainer = BlockTrainer(
            trainable_blocks,
            full_blocks,
            len(used.classes),
            FeatureScaling.of(head_dataset),
            steps=steps,
            seed=options.seed,
        )
        points = train_blocks(
            trainer,
            dataset,
            options,
            training,
            pretrained_logits=pretrained_head.logits(head_dataset.vectors[head_dataset.validation]),
        )
        images, views = dataset.training.shape[:2]
    started = time.monotonic()
    context.progress.report(_("Writing the model"), 0, 1)
    tuned_weights = trainer.tuned_weights()
    network = fine_tuned_network(backbone, split_layer.name, tuned_weights)
    head = combined_head(trainer.head(), pretrained_head)
    model = attach_head(_convert_network(backbone, network), head)
    model_input = replace(file, preprocessing=backbone.preprocessing)
    check_model_file(
        model,
        _keras_probabilities(network, head, backbone),
        model_input,
        used.examples[:_CHECKED_IMAGES],
        tolerance=_TOLERANCE,
    )
    converted_s = time.monotonic() - started
    facts = {
        "seconds": {
            "bottlenecks": embedded.seconds + embedded_s,
            "training": plain.seconds + (points[-1].elapsed_s or 0.0),
            "converting": converted_s,
        },
        "steps": steps,
        "stopped_early": False,
        "l2": plain.l2,
        "tried": [_plain_trial_record(plain)],
        "fine_tuning": {
            "before": split_layer.name,
            "share": split_layer.share,
            "pictures": images,
            "views": views,
            "epochs": options.fine_tune_epochs,
            "size_px": backbone.preprocessing.width_px,
            "plain_test_accuracy": plain_test_accuracy,
        },
    }
    return TrainResult(
        used,
        embedded.skipped,
        file,
        model,
        steps,
        next((point for point in reversed(points) if point.split == "validation"), None),
        _predict_test_images(model, used, model_input, context),
        facts,
        backbone.preprocessing,
        tuned_weights,
    )


def _train_pretrained_head(
    blocks: Any, dataset: FeatureMapDataset, classes: int, options: RunOptions, training: TrainingContext
) -> tuple[Head, HeadDataset]:
    """Train a head on the features of the pretrained blocks; return it with its dataset."""
    count, width = len(dataset.labels), blocks.output.shape[-1]
    maps = (dataset.training[:, 0], dataset.validation)
    head_dataset = HeadDataset(
        np.concatenate([predict_in_batches(blocks, part, width) for part in maps]),
        np.concatenate([dataset.labels, dataset.validation_labels]),
        np.arange(count),
        np.arange(count, count + len(dataset.validation_labels)),
        classes,
    )
    trained, _heads = search_l2(head_dataset, options, training)
    return trained.head, head_dataset


def _without_distortions(options: RunOptions) -> RunOptions:
    return replace(
        options,
        flip_left_right=False,
        random_crop=0,
        random_scale=0,
        random_brightness=0,
        random_rotation=0,
        random_colour=0,
    )


def _plain_trial_record(plain: TrainedHead) -> dict[str, Any]:
    return {
        "what": "head",
        "validation_accuracy": None if plain.validation is None else plain.validation.accuracy,
        "seconds": plain.seconds,
    }


def _convert_network(backbone: Backbone, network: Any) -> bytes:
    scaling = backbone.preprocessing.scaling_layer()
    # Without a name Keras numbers the layer, and names are part of the file: a repeated run must give the
    # same bytes.
    scaling.name = "scaling"
    return convert_on_pixels(lambda pixels: network(scaling(pixels)), backbone.preprocessing, name="tuned")


def _keras_probabilities(
    network: Any, head: Head, backbone: Backbone
) -> Callable[[npt.NDArray[np.uint8]], Float32Array]:
    def probabilities(pixels: npt.NDArray[np.uint8]) -> Float32Array:
        scaled = backbone.preprocessing.scaled(pixels[np.newaxis])
        features = np.asarray(network(scaled, training=False), np.float32)
        return np.asarray(head.probabilities(features)[0])

    return probabilities


def _predict_test_images(
    model: bytes, used: Snapshot, file: BackboneFile, context: RunContext
) -> Float32Array:
    """Return the model file's own probabilities for the test images: float32, (N, classes)."""
    with tempfile.TemporaryDirectory(dir=context.run_dir) as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(model)
        # The cache of vectors also serves for probabilities: one of each test image.
        model_file = replace(file, path=path, features=len(used.classes))
        cache = BottleneckCache(Path(folder), model_file.features)
        test_images = used.of_split("testing")
        embed(test_images, model_file, cache, threads=context.threads, progress=context.progress)
        probabilities: Float32Array = cache.vectors([example.sha256 for example in test_images])
        return probabilities
