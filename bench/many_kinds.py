"""Several kinds in one picture: tags, multi-label trainings and heatmaps, on photos that no training saw.

    python -m bench.many_kinds --data FOLDER ... --unknown FOLDER --weights FILE [--json]

Class folders are taken together as kinds of one data set. 30% of their photos are held out for collages of two to
four, on plain and photographic grounds, with photos of other things among them; a model of the preset `quick` learns
from the rest. Figures are means over `--seeds`, which draw photos, collages and networks anew. `tags_f1`,
`whole_image_f1` (kinds of a probability of 0.5 and more in one plain prediction; with `whole_image_best_f1` at the
threshold that suits it best, found on the test itself) and `brute_force_f1` (the same windows, each cropped from the
picture and classified, with the bar at which they are wrong on as many photos of other things as `tags` are;
`brute_force_our_bar_f1` with the bar of `tags`, and `brute_force_our_bar_empty_kept_empty` what that costs) are micro
F1 of the kinds that are there. `pointing_accuracy`: of the kinds found rightly, those whose box has its centre in the
right photo. `tags_cost_ratio`: an answer with tags over one without; `tags_vs_brute_force_speedup`.
`empty_kept_empty`: photos of other things without a tag. `scenes_tags_f1`, `scenes_pointing_accuracy`: of things that
stand together without straight borders; `photos_tags_f1`: in held-out photos of one kind each. `multilabel_map`,
`multilabel_map_fastai`, `multilabel_quick_speedup`: a multi-label `quick` training on collages beside fastai's own
recipe. `heatmap_beats_random`: of the backbone where that is least.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.mixing import looks, places, sets
from bench.mixing.photos import Photo, Photos, blend, gather, mix
from bench.report import parse, show, weights_folder
from bench.teaching.ours import School
from training.run import Picture
from tsukiji.explain.window_regression import learn
from tsukiji.kernel.settings import InferenceSettings
from tsukiji.vision.backbones import BACKBONES, find_weights
from tsukiji.vision.engines.selection import choose
from tsukiji.vision.execution_plan import take_all_cores
from tsukiji.vision.predictor import Predictor
from tsukiji.vision.weights import load_backbone_weights
from worker.inference.explanation_calibration import HELD_OUT_IMAGES, LEARNT_IMAGES

PARTS = ("tags", "multilabel", "heatmaps")


def main() -> None:
    parser = parse(__doc__)
    parser.add_argument("--unknown", type=Path, required=True, help="folder of pictures of other things")
    parser.add_argument("--backbone", choices=sorted(BACKBONES), default="resnet34", help="of the model of `tags`")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--collages", type=int, default=120, help="of held-out photos; of others to learn from, thrice")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this; may be given again")
    parser.add_argument("--backbones", nargs="+", choices=sorted(BACKBONES), default=list(BACKBONES))
    parser.add_argument("--seeds", type=int, default=3, help="the figures are means; `heatmaps` takes one")
    options = parser.parse_args()
    there = options.weights or find_weights(BACKBONES[options.backbone], None)
    if not options.data or there is None:
        raise SystemExit("Give --data and --weights: made-up pictures and random weights show nothing here.")
    if options.quick:
        options.collages, options.backbones, options.seeds = 10, ["resnet34"], 1
    with tempfile.TemporaryDirectory() as scratch:
        weights = weights_folder(options.weights, Path(scratch) / "weights")
        figures: dict[str, Any] = {}
        for part in options.part or PARTS:
            measure = {"tags": tags, "multilabel": multilabel, "heatmaps": heatmaps}[part]
            rows = []
            for seed in range(1 if part == "heatmaps" else options.seeds):
                school = School(
                    Path(scratch) / f"{part}-{seed}", weights, image_size=options.image_size, backbone=options.backbone
                )
                take_all_cores()
                photos = gather(options.data, options.unknown, seed)
                rows.append(measure(photos, school, options, seed))
                show(f"{part}, seed {seed}", rows[-1], as_json=False)
            figures |= {name: statistics.mean(row[name] for row in rows) for name in rows[0]}
    show("many kinds", figures, as_json=options.json)


def tags(photos: Photos, school: School, options: Any, seed: int) -> dict[str, float]:
    trained = school.train(photos.lesson, seed, "kinds", preset="quick")
    plan = choose(InferenceSettings(), trained.folder, int8=False)
    predictor = Predictor.planned(trained.folder / "package", plan, trained.folder)
    plan.begin_stream()
    lesson = photos.lesson
    parts = ((lesson.of_split("valid"), HELD_OUT_IMAGES), (lesson.of_split("train"), LEARNT_IMAGES))
    examples = [
        (Photo(picture.path, None).open(), predictor.label_names.index(picture.label))
        for part, most in parts
        for picture in thin(part, most)
    ]
    began = time.perf_counter()
    reader = learn(predictor, examples)
    learning = {"tags_learning_seconds": time.perf_counter() - began}
    mixtures = mix(photos.test, photos.distractors, photos.grounds, options.collages, seed + 1)
    scenes = blend(photos.test, photos.distractors, photos.grounds, options.collages, seed + 4)
    return (
        places.measure(predictor, reader, mixtures, few(photos.empty, options))
        | places.measure_without_frames(predictor, reader, scenes, few(photos.test, options))
        | learning
    )


def multilabel(photos: Photos, school: School, options: Any, seed: int) -> dict[str, float]:
    assert school.weights
    body, _ = load_backbone_weights("resnet34", folder=school.weights, download=False)
    known = [Photo(picture.path, picture.label) for picture in photos.lesson.pictures]
    learnt = mix(known, photos.distractors, photos.grounds, 3 * options.collages, seed + 2)
    held_out = mix(photos.test, photos.empty, photos.grounds, options.collages, seed + 3)
    lesson = sets.write(school.folder / "collages", learnt, held_out)
    of_sets = replace(school, kind="multi_label", backbone="resnet34")
    return sets.measure(lesson, of_sets, body, seed)


def heatmaps(photos: Photos, school: School, options: Any, seed: int) -> dict[str, float]:
    return looks.measure(photos.lesson, school, few(photos.test, options), options.backbones, seed)


def thin(pictures: Sequence[Picture], most: int) -> Sequence[Picture]:
    """Return as many pictures as the service takes to learn how windows are read, spread evenly."""
    return pictures[:: -(-len(pictures) // most)]


def few(photos: Sequence[Photo], options: Any) -> Sequence[Photo]:
    return photos[:: max(1, len(photos) // options.collages)]


if __name__ == "__main__":
    main()
