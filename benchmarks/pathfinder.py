"""Evidence that the drawn Pathfinder images are the task; writes docs/pathfinder.md.

    python -m benchmarks.pathfinder [--part=sheets --part=scenes ...] [--size=32] [--cache_dir=...]

Each part replaces its own section. Images are drawn into the cache where they are not there yet.
"""

import dataclasses
import re
import time
from pathlib import Path

import numpy as np
from absl import app, flags
from PIL import Image

from benchmarks.data_tables.tables import logistic_regression, standardise, table
from benchmarks.pathfinder_follower import predict
from keras_dss.datasets import lra_pathfinder, lra_pathx
from keras_dss.datasets.pathfinder.generator import draw_chunk, generate_chunk
from keras_dss.datasets.pathfinder.render import dashes
from keras_dss.datasets.pathfinder.settings import SETTINGS, Easier
from keras_dss.datasets.paths import replacing

TASKS = {32: lra_pathfinder, 128: lra_pathx}
PARTS = ("sheets", "easier", "labels", "scenes", "shortcuts", "follower", "speed", "pixels")
FLAGS = flags.FLAGS
flags.DEFINE_multi_enum("part", None, PARTS, "What to do; everything by default.")
flags.DEFINE_multi_enum("size", ["32", "128"], ["32", "128"], "Sizes of the images.")
flags.DEFINE_string("docs", "docs", "Folder of the page and the pictures.")
flags.DEFINE_string("cache_dir", None, "Folder of drawn images.")
flags.DEFINE_list("train", ["40000", "4000"], "Images for the models, 32 x 32 and 128 x 128.")
flags.DEFINE_list("test", ["10000", "6000"], "Held-out images for them.")
flags.DEFINE_list("solve", ["2000", "500"], "Images for the path follower.")


def amount(numbers, size):
    return int(numbers[sorted(TASKS).index(size)])


def load(size, split, examples):
    x, y = TASKS[size].load(split, examples=examples, cache_dir=FLAGS.cache_dir)
    return x.raw, y


def percent(right):
    error = 100 * np.sqrt(np.mean(right) * (1 - np.mean(right)) / len(right))
    return f"{100 * np.mean(right):.1f} ± {error:.1f}"


def sheets(sizes):
    """Pictures of a few images of each class."""
    text = ""
    for size in sizes:
        x, y = load(size, "test", 64)
        columns, rows, scale = {32: (8, 3, 4), 128: (5, 2, 1.5)}[size]
        for label, name in enumerate(("negative", "positive")):
            images = x[y == label][: rows * columns]
            file = f"pathfinder_{size}_{name}.png"
            save_sheet(images.reshape(rows, columns, size, size), scale, file)
            connected = "the same contour" if label else "different contours"
            text += f"{size} x {size}, {name}: the markers are on {connected}.\n\n"
            text += f"![{name} images of {size} x {size} pixels]({file})\n\n"
    return "Images", text


def save_sheet(images, scale, file):
    """A picture of images (rows, columns, height, size), enlarged."""
    images = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=90)
    rows, _, height, width = images.shape
    sheet = Image.fromarray(images.swapaxes(1, 2).reshape(rows * height, -1))
    large = (int(sheet.width * scale), int(sheet.height * scale))
    how = Image.Resampling.NEAREST if width == 34 else Image.Resampling.LANCZOS
    sheet.resize(large, how).save(Path(FLAGS.docs) / file, optimize=True)


def easier(sizes):
    """Images with shorter contours, which trainings may begin with."""
    text = (
        "`load(contour_length=n)` draws, in turn, contours of 2 to n dashes with none to n / 2\n"
        "distractors; all else is as in the task. A row of the picture shows contours of 2,\n"
        "3, 4 and 5 dashes, four negative images and then four positive ones.\n\n"
        "![easier images of 32 x 32 pixels](pathfinder_32_easier.png)\n\n"
    )
    lengths, rows = (2, 3, 4, 5, 9), []
    settings = SETTINGS[32]
    picture = []
    for length in lengths:
        right = []
        for distractors in (0, min(settings.distractors, length // 2)):
            chunk = distractors * (length - 1) + length - 2
            images, y = generate_chunk(settings, 0, 0, chunk, Easier(length))
            kind = Easier(length).settings(settings, chunk)
            right.append(predict(images, kind) == y)
        rows.append([length, *map(percent, right)])
        picture.append(np.concatenate([images[y == 0][:4], images[y == 1][:4]]))
    save_sheet(np.stack(picture[:4]), 4, "pathfinder_32_easier.png")
    text += "The path follower below on 500 images of 32 x 32 pixels each, accuracy in %:\n\n"
    header = ["dashes of a contour", "no distractors", "most distractors"]
    text += table(header, rows) + "\n\n"
    text += (
        "It takes distractors, which have 4 dashes, for contours where those have 2. The recipe\n"
        "of Pathfinder begins with such images (`recipes/lra_pathfinder.py`).\n\n"
    )
    return "Easier images", text + strips()


def strips():
    """Images of fewer rows, which trainings of Path-X may begin with."""
    settings, rows = SETTINGS[128], []
    for height in (32, 48, 64, 96):
        easier = Easier(height=height)
        longest = max(easier.settings(settings, chunk).contour_length for chunk in range(13))
        right = []
        for distractors in (0, min(settings.distractors, longest // 2)):
            chunk = distractors * (longest - 1) + longest - 2
            kind = dataclasses.replace(easier.settings(settings, chunk), chunk=500)
            images, y = generate_chunk(
                dataclasses.replace(settings, chunk=500), 0, 0, chunk, easier
            )
            square = np.pad(images, ((0, 0), (0, 128 - height), (0, 0)))
            right.append(predict(square, kind) == y)
        rows.append([height, 128 * height, longest, *map(percent, right)])
        if height == 32:
            chosen = np.concatenate([images[y == label][:9] for label in (0, 1)])
            picture = chosen.reshape(2, 9, height, 128).swapaxes(0, 1)
    save_sheet(picture, 2, "pathfinder_128_strips.png")
    header = ["rows", "steps", "dashes of a contour", "no distractors", "most distractors"]
    return (
        "`lra_pathx.load(height=h)` draws images of 128 columns and h rows, with contours of 2 to\n"
        "as many dashes as suit the height, so that a sequence is shorter and the rows above and\n"
        "below a pixel are where they are in the task's own. The picture shows 32 rows, negative\n"
        "images on the left, positive ones on the right. The recipe of Path-X begins with them\n"
        "(`recipes/lra_pathx.py`).\n\n"
        "![images of 32 rows and 128 columns](pathfinder_128_strips.png)\n\n"
        "The path follower on 500 images each with the longest contours, accuracy in %:\n\n"
        + table(header, rows)
        + "\n"
    )


def labels(sizes):
    """Pictures of images and of the labels of their pixels."""
    text = (
        "`load(step_labels=True)` returns labels of the pixels too: whether a dash of the contour\n"
        "on which the first marker lies passes there (white), another dash (gray), or none. The\n"
        "recipe of Pathfinder learns them beside the task (`recipes/step_labels.py`). In each\n"
        "picture the left half of the images is negative, the right half positive.\n\n"
    )
    for size in sizes:
        half, scale = {32: (4, 4), 128: (2, 1.75)}[size]
        x, y, z = TASKS[size].load("test", examples=32, step_labels=True)
        chosen = np.concatenate([np.flatnonzero(y == label)[:half] for label in (0, 1)])
        sheet = np.stack([x.raw[chosen], np.array([0, 130, 255], np.uint8)[z[chosen]]])
        file = f"pathfinder_{size}_labels.png"
        save_sheet(sheet.reshape(2, 2 * half, size, size), scale, file)
        text += f"![images of {size} x {size} pixels, and labels of the pixels]({file})\n\n"
    return "Labels of pixels", text


def scenes(sizes):
    """What the drawn scenes hold, against the settings."""
    text = ""
    for size in sizes:
        settings = SETTINGS[size]
        drawn = [draw_chunk(settings, 0, 0, chunk) for chunk in range({32: 4, 128: 20}[size])]
        contours = np.concatenate([s.contours for s, _ in drawn])
        margins = np.concatenate([s.margins for s, _ in drawn])
        distractors = np.concatenate([s.distractors for s, _ in drawn])
        markers = np.concatenate([s.markers for s, _ in drawn])
        labels = np.concatenate([y for _, y in drawn])
        start, end = dashes(settings, contours, margins)
        gap = np.linalg.norm(start[:, :, 1:] - end[:, :, :-1], axis=-1)
        origin = np.linalg.norm(start[:, 0, 0] - start[:, 1, 0], axis=-1)
        step = np.diff(contours, axis=2)
        heading = np.degrees(np.arctan2(step[..., 0], step[..., 1]))
        turn = (np.diff(heading, axis=2) + 180) % 360 - 180
        present = (~np.isnan(distractors[:, :, 0, 0])).sum(axis=1)
        length = np.linalg.norm(step, axis=-1).sum(axis=2)
        distance = np.linalg.norm(np.diff(markers, axis=2), axis=-1)[..., 0]
        limit = 90 / settings.continuity
        spread = limit * np.sqrt(1 / 3 - 2 / np.pi**2)
        chosen = distance[np.arange(len(labels)), labels]

        def quartiles(values):
            return " / ".join(f"{v:.1f}" for v in np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))

        rows = [
            ["dashes of a contour", settings.contour_length, start.shape[2]],
            [
                "length of a dash",
                settings.dash,
                f"{np.linalg.norm(end - start, axis=-1).mean():.2f}",
            ],
            [
                "gap between dashes, min / quartiles / max",
                "at most " + " or ".join(str(2 * m) for m in settings.margins),
                quartiles(gap),
            ],
            ["turn, standard deviation", f"{spread:.1f}° of all turns", f"{turn.std():.1f}°"],
            ["turn, largest", f"{limit:.0f}°", f"{np.abs(turn).max():.0f}°"],
            ["distance of the origins", settings.seed_distance, quartiles(origin)],
            ["length of a contour", "", quartiles(length)],
            [
                "distractors",
                f"{settings.distractors} if there is room",
                ", ".join(
                    f"{k}: {100 * v / len(present):.1f} %"
                    for k, v in enumerate(np.bincount(present))
                    if v
                ),
            ],
            ["dashes of a distractor", settings.distractor_length, distractors.shape[2] - 1],
            ["positive images", "50 %", f"{100 * labels.mean():.1f} %"],
            ["distance of the markers, positive", "", quartiles(chosen[labels == 1])],
            ["distance of the markers, negative", "", quartiles(chosen[labels == 0])],
            [
                "mean distance, negative less positive choice of the same scenes",
                f"0, each within {settings.tolerance:g}",
                f"{np.diff(distance).mean() * -1:+.3f} of {distance.mean():.2f}",
            ],
        ]
        text += f"{size} x {size}, {len(labels):,} scenes, lengths in pixels:\n\n"
        text += table(["quantity", "setting", "measured"], rows) + "\n\n"
    return "Scenes", text


def patch_histograms(x, size):
    """How often each binary patch of 3 x 3 occurs, of pixels and of means of 2 x 2."""
    features = []
    for images in np.array_split(x, max(len(x) * size**2 // 2**24, 1)):
        images = images.reshape(-1, size, size)
        n, half = len(images), size // 2
        coarse = images.reshape(n, half, 2, half, 2).mean(axis=(2, 4))
        counts = []
        for picture, level in ((images, 70), (coarse, 40)):
            bright = (picture > level).astype(np.int32)
            side = bright.shape[1] - 2
            code = sum(
                bright[:, dy : dy + side, dx : dx + side] << (3 * dy + dx)
                for dy in range(3)
                for dx in range(3)
            )
            index = code.reshape(n, -1) + 512 * np.arange(n)[:, None]
            counts.append(np.bincount(index.ravel(), minlength=512 * n).reshape(n, 512))
        features.append(np.sqrt(np.hstack(counts)).astype(np.float32))
    return np.concatenate(features)


def pixels_or_blocks(x, size):
    """Pixels, of large images the means of 4 x 4."""
    if size == 32:
        return x.astype(np.float32)
    blocks = x.reshape(-1, size // 4, 4, size // 4, 4).mean(axis=(2, 4), dtype=np.float32)
    return blocks.reshape(len(x), -1)


def shortcuts(sizes):
    """Models that cannot follow a contour."""
    models = {
        "logistic regression on pixels": pixels_or_blocks,
        "logistic regression on counts of patches": patch_histograms,
    }
    rows = []
    for size in sizes:
        x, y = load(size, "train", amount(FLAGS.train, size))
        held, labels = load(size, "test", amount(FLAGS.test, size))
        for name, features in models.items():
            train, test = standardise(features(x, size), features(held, size))
            model = logistic_regression(train, y, 2)
            fitted, right = model(train) == y, model(test) == labels
            kind = name.replace("pixels", "means of 4 x 4 pixels") if size == 128 else name
            rows.append(
                [f"{size} x {size}", kind, f"{len(y):,}", f"{len(labels):,}"]
                + [percent(fitted), percent(right)]
            )
            print(rows[-1])
    header = ["images", "model", "train", "held out", "accuracy on train, %", "held out, %"]
    return "Shortcuts", (
        "Models that see where the brightness is, or which patches occur, and cannot follow a\n"
        "contour. Patches are 3 x 3 binary pixels, 512 kinds, of the image and of its means of\n"
        "2 x 2. ± is one standard error.\n\n" + table(header, rows) + "\n"
    )


def follower(sizes):
    """A path follower that sees the pixels alone."""
    rows = []
    for size in sizes:
        count = amount(FLAGS.solve, size)
        x, y = load(size, "test", count)
        start = time.process_time()
        guess = [
            predict(x[i : i + 100].reshape(-1, size, size), SETTINGS[size])
            for i in range(0, count, 100)
        ]
        seconds = time.process_time() - start
        right = np.concatenate(guess) == y
        rows.append(
            [f"{size} x {size}", f"{count:,}", percent(right), percent(right[y == 1])]
            + [percent(right[y == 0]), f"{count / seconds:.0f}"]
        )
        print(rows[-1])
    header = ["images", "test images", "accuracy, %", "positive, %", "negative, %", "images/s"]
    return "A path follower", (
        "`benchmarks/pathfinder_follower.py` sees the pixels alone. It finds the two discs, finds\n"
        "the dashes by matching pursuit with rendered dashes, and links two where the points half\n"
        "a gap beyond their ends coincide. It has no trained parameters.\n\n"
        + table(header, rows)
        + "\n"
    )


def speed(sizes):
    """Images for each second of one core."""
    rows = []
    for size in sizes:
        settings, count = SETTINGS[size], 0
        processor, wall = time.process_time(), time.perf_counter()
        while time.process_time() - processor < 10:
            generate_chunk(settings, 1, 0, count // settings.chunk)
            count += settings.chunk
        processor, wall = time.process_time() - processor, time.perf_counter() - wall
        wanted = {32: 300, 128: 20}[size]
        share = 100 * processor / wall
        rows.append([f"{size} x {size}", wanted, f"{count / processor:.0f}", f"{share:.0f} %"])
    header = ["images", "wanted", "drawn for each second of one core", "share of a core we had"]
    return "Speed", table(header, rows) + "\n"


def pixels(sizes):
    """The constants of the standardisation."""
    rows = []
    for size in sizes:
        count = amount(FLAGS.train, size)
        x, _ = load(size, "train", count)
        mean = x.mean(dtype=np.float64)
        square = np.mean([np.square(row, dtype=np.float64).mean() for row in x])
        deviation = np.sqrt(square - mean**2)
        rows.append([f"{size} x {size}", f"{count:,}", f"{mean:.4f}", f"{deviation:.4f}"])
    header = ["images", "training images", "mean", "standard deviation"]
    return "Pixels", table(header, rows) + "\n"


INTRODUCTION = """# Pathfinder and Path-X

Two classes: are both markers on the same dashed contour? `keras_dss.datasets.lra_pathfinder` draws
images of 32 x 32 pixels, `lra_pathx` of 128 x 128, with the published settings
(`keras_dss/datasets/pathfinder/settings.py`). The sections below are written by
`python -m benchmarks.pathfinder`.

The same scene serves both classes: one marker is fixed, the other goes to one of two ends, on the
same contour or on the other one, that are equally far away. Snakes keep their distance, so that
each image has one answer. Of the distractors, those for which no place is left are not drawn, as in
the published generator.

Beyond the published settings: distances of the two markers are matched between the classes, marker
discs lie whole inside the image, and snakes are at least 0.25 (32 x 32) or 1 pixel (128 x 128)
farther apart than the widest gap inside a snake. Dashes lie at real, not whole, coordinates.

A run that was killed leaves a folder whose name begins with a dot in the cache; it is never read
and can be deleted.
"""


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments. Received: {argv[1:]}")
    page = Path(FLAGS.docs) / "pathfinder.md"
    for part in FLAGS.part or PARTS:
        heading, text = globals()[part](sorted(int(size) for size in FLAGS.size))
        old = page.read_text(encoding="utf-8") if page.exists() else INTRODUCTION
        section = f"\n## {heading}\n\n{text.strip()}\n"
        pattern = rf"\n## {heading}\n.*?(?=\n## |\Z)"
        if re.search(pattern, old, flags=re.S):
            new = re.sub(pattern, lambda _, section=section: section, old, flags=re.S)
        else:
            new = old.rstrip("\n") + "\n" + section
        with replacing(page) as temporary:
            Path(temporary).write_text(new, encoding="utf-8")
        print(section)


if __name__ == "__main__":
    app.run(main)
