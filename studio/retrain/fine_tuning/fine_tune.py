"""Fine-tuning: a backbone's last blocks and a head, trained together on what comes before those blocks.

The network is shown images a third larger than its own size, and the blocks learn from windows as large as
that. They stand beside the same blocks as they were: the model answers by both. The plain head is trained
first, so that every run says what the rest has brought.
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
from studio.backbones import Backbone, BackboneFile, backbone_named, ready
from studio.backbones.bottleneck_cache import BottleneckCache
from studio.backbones.conversion import converted_on_pixels
from studio.backbones.embedding import embed
from studio.errors import BackboneError
from studio.i18n import _
from studio.retrain.curve import OnPoints
from studio.retrain.fine_tuning.features import DeepLesson, cache_of, deep_lesson, front_of
from studio.retrain.fine_tuning.network import cut, larger, tap_of, together, tuned_network
from studio.retrain.fine_tuning.training import Tuner, in_batches, train_tail
from studio.retrain.head.dataset import Lesson, Scaling
from studio.retrain.head.head import Head, TrainedHead, choose_l2, judged
from studio.retrain.model_file import with_head
from studio.retrain.options import RunOptions
from studio.retrain.snapshot import Snapshot
from studio.retrain.train_head import RunContext, TrainResult, compare, embedded, identity_on, testing

SHARE = 0.32
"""Of a network's multiply-adds, at most what is trained: the last four blocks of EfficientNet-Lite0."""
_PLAIN_CHECKPOINT, _UNTOUCHED_CHECKPOINT = "checkpoint-plain.npz", "checkpoint-untouched.npz"
_CHECKPOINT = "checkpoint-tuning.npz"
_COMPARED = 8
_TOLERANCE = 1e-3
"""Of a probability, between Keras and LiteRT on the same pixels; measured differences are below 1e-5."""


def tunable(name: str) -> Backbone:
    """Return a backbone whose last blocks can be trained. Raises BackboneError for one where they cannot."""
    backbone = backbone_named(name)
    if backbone.members or backbone.quantized:
        first = backbone.members[0].name if backbone.members else backbone.name
        raise BackboneError(
            _(
                "expected one backbone that is not quantized, for its last blocks to be trained; got "
                "“{name}”. "
                "Choose {example}, or leave fine-tuning out."
            ).format(name=name, example=first.removesuffix("_quantized"))
        )
    return backbone


def learn_tuned(
    snapshot: Snapshot, options: RunOptions, means: RunContext, identity: str, on_points: OnPoints
) -> TrainResult:
    """Train the last blocks of a backbone with a head, and leave a model of the same kind as `learn_head`.

    Raises BackboneError where the backbone has no blocks to train, TooLittleToLearnFrom, Stopped.
    """
    backbone = tunable(options.backbone)
    file = ready(options.backbone, means.backbones_dir, means.progress)
    own_size = backbone.network()
    backbone = larger(backbone)
    network = backbone.network()
    # Before anything is computed: some networks have no such place.
    tap = tap_of(network, SHARE)
    with embedded(snapshot, _undistorted(options), file, means) as seen:
        used = seen.snapshot
        identity = identity_on(identity, file, used)
        plain, _tried = choose_l2(
            seen.lesson,
            options,
            checkpoint=means.run_dir / _PLAIN_CHECKPOINT,
            identity=identity,
            progress=means.progress,
            on_points=lambda _points: None,
        )
        places = testing(used)
        answers = plain.head.probabilities(seen.lesson.vectors[places])
        plainly = judged(answers, seen.lesson.labels[places])[0] if len(places) else None

    front = front_of(backbone, network, tap, means.backbones_dir, means.progress)
    identity = f"{identity} {front.file.fingerprint}"
    began = time.monotonic()
    working: dict[str, Any] = {"threads": means.threads, "progress": means.progress}
    cache = cache_of(means.bottleneck_dir, front)
    with deep_lesson(used, options, front, cache, scratch_dir=means.run_dir, **working) as lesson:
        embedded_s = time.monotonic() - began
        (_front, tail), (_own_front, own_tail) = cut(network, front.tap), cut(own_size, front.tap)
        untouched, seen_larger = _untouched(tail, lesson, used, options, means, identity)
        steps = options.fine_tune_epochs * lesson.epoch_steps
        scaling = Scaling.of(seen_larger)
        tuner = Tuner(own_tail, tail, len(used.classes), scaling, steps=steps, seed=options.seed)
        points = train_tail(
            tuner,
            lesson,
            options,
            beside=untouched.logits(seen_larger.vectors[seen_larger.validation]),
            checkpoint=means.run_dir / _CHECKPOINT,
            identity=identity,
            progress=means.progress,
            on_points=on_points,
        )
        images, views = lesson.training.shape[:2]
    began = time.monotonic()
    means.progress.report(_("Writing the model"), 0, 1)
    network = tuned_network(backbone, front.tap.name, tuner.tuned())
    head = together(tuner.head(), untouched)
    model = with_head(_converted(backbone, network), head)
    asked = replace(file, preprocessing=backbone.preprocessing)
    compare(
        model,
        _answering(network, head, backbone),
        asked,
        used.examples[:_COMPARED],
        tolerance=_TOLERANCE,
    )
    converted_s = time.monotonic() - began
    probabilities = _asked(model, used, asked, means)
    validation = next((point for point in reversed(points) if point.split == "validation"), None)
    facts = {
        "seconds": {
            "bottlenecks": seen.seconds + embedded_s,
            "training": plain.seconds + (points[-1].elapsed_s or 0.0),
            "converting": converted_s,
        },
        "steps": steps,
        "stopped_early": False,
        "l2": plain.l2,
        "tried": [_plain_attempt(plain)],
        "fine_tuning": {
            "before": front.tap.name,
            "share": front.tap.share,
            "pictures": images,
            "views": views,
            "epochs": options.fine_tune_epochs,
            "size_px": backbone.preprocessing.width_px,
            "plain_test_accuracy": plainly,
        },
    }
    return TrainResult(
        used,
        seen.refusals,
        file,
        model,
        steps,
        validation,
        probabilities,
        facts,
        backbone.preprocessing,
        tuner.tuned(),
    )


def _untouched(
    tail: Any, lesson: DeepLesson, used: Snapshot, options: RunOptions, means: RunContext, identity: str
) -> tuple[Head, Lesson]:
    """Return a head on what the tail makes of the images before it is trained, and what it learnt from."""
    count, width = len(lesson.labels), tail.output.shape[-1]
    maps = (lesson.training[:, 0], lesson.validation)
    larger_lesson = Lesson(
        np.concatenate([in_batches(tail, part, width) for part in maps]),
        np.concatenate([lesson.labels, lesson.validation_labels]),
        np.arange(count),
        np.arange(count, count + len(lesson.validation_labels)),
        len(used.classes),
    )
    trained, _tried = choose_l2(
        larger_lesson,
        options,
        checkpoint=means.run_dir / _UNTOUCHED_CHECKPOINT,
        identity=identity,
        progress=means.progress,
        on_points=lambda _points: None,
    )
    return trained.head, larger_lesson


def _undistorted(options: RunOptions) -> RunOptions:
    return replace(
        options,
        flip_left_right=False,
        random_crop=0,
        random_scale=0,
        random_brightness=0,
        random_rotation=0,
        random_colour=0,
    )


def _plain_attempt(plain: TrainedHead) -> dict[str, Any]:
    return {
        "what": "head",
        "validation_accuracy": None if plain.validation is None else plain.validation.accuracy,
        "seconds": plain.seconds,
    }


def _converted(backbone: Backbone, network: Any) -> bytes:
    scaling = backbone.preprocessing.scaling_layer()
    # Keras numbers what has no name, and names go into the file: a run done again shall leave the same bytes.
    scaling.name = "scaling"
    return converted_on_pixels(lambda pixels: network(scaling(pixels)), backbone.preprocessing, name="tuned")


def _answering(
    network: Any, head: Head, backbone: Backbone
) -> Callable[[npt.NDArray[np.uint8]], Float32Array]:
    def answer(pixels: npt.NDArray[np.uint8]) -> Float32Array:
        scaled = backbone.preprocessing.scaled(pixels[np.newaxis])
        answers = head.probabilities(np.asarray(network(scaled, training=False), np.float32))
        return np.asarray(answers[0])

    return answer


def _asked(model: bytes, used: Snapshot, file: BackboneFile, means: RunContext) -> Float32Array:
    """Return what the file itself says of the test images: float32, (N, classes)."""
    with tempfile.TemporaryDirectory(dir=means.run_dir) as room:
        path = Path(room) / "model.tflite"
        path.write_bytes(model)
        asked = replace(file, path=path, features=len(used.classes))
        cache = BottleneckCache(Path(room), asked.features)
        tested = used.of_split("testing")
        embed(tested, asked, cache, threads=means.threads, progress=means.progress)
        answers: Float32Array = cache.vectors([example.sha256 for example in tested])
        return answers
