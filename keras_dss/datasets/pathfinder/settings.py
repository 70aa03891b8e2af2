"""The published settings of Pathfinder, for images of 32 x 32 and of 128 x 128 pixels.

Source: Tay et al., "Long Range Arena", 2021, arXiv 2011.04006. There the distractors of the larger
images are 35 dashes over snakes of 14 / 3 in whole numbers: 8 snakes of 4 dashes. The contrast of
the smaller ones is that of a snake, 2, times that of a dash, 0.75. `clearance` and `tolerance` are
ours.
"""

from dataclasses import dataclass, replace

SCALE = 2  # cells in a pixel, each way: for free space, and for anti-aliasing


@dataclass(frozen=True)
class Settings:
    """Lengths in pixels.

    Attributes:
        size, height: of the image, its columns and its rows.
        dash, thickness: of a dash.
        margins: half of the gap between two dashes of a snake; one of these for each image.
        continuity: the larger, the straighter.
        contour_length, distractor_length: dashes of a contour, of a distractor.
        distractors: how many.
        seed_distance: between the origins of the two contours.
        marker_radius: of the two discs.
        contrast: brightness of the dashes against the markers, before anti-aliasing.
        padding: border that stays empty.
        clearance: smallest distance between two snakes, beyond twice the margin.
        tolerance: by which the distances of the markers may differ between the classes.
        chunk: images that share one stream of random numbers.
    """

    size: int
    height: int
    dash: float
    thickness: float
    margins: tuple[int, ...]
    continuity: float
    contour_length: int
    distractor_length: int
    distractors: int
    seed_distance: float
    marker_radius: float
    contrast: float
    padding: int
    clearance: float
    tolerance: float
    chunk: int


SETTINGS = {
    32: Settings(
        size=32,
        height=32,
        dash=2,
        thickness=0.5,
        margins=(1,),
        continuity=1.0,
        contour_length=14,
        distractor_length=4,
        distractors=5,
        seed_distance=7,
        marker_radius=1.5,
        contrast=1.5,
        padding=1,
        clearance=0.25,
        tolerance=2.0,
        chunk=500,
    ),
    128: Settings(
        size=128,
        height=128,
        dash=5,
        thickness=1.5,
        margins=(2, 3),
        continuity=1.8,
        contour_length=14,
        distractor_length=4,
        distractors=8,
        seed_distance=20,
        marker_radius=3,
        contrast=0.9,
        padding=1,
        clearance=1.0,
        tolerance=6.0,
        chunk=50,
    ),
}


def suitable_length(published, height):
    """The most dashes of a contour in images of so many rows; longer ones hardly find a place."""
    return 2 + (published.contour_length - 2) * height // published.height


@dataclass(frozen=True)
class Easier:
    """Images that a training may begin with: shorter contours, and fewer rows for them to cross.

    In turn, contours have 2 to `contour_length` dashes, with 0 to half as many distractors.

    Attributes:
        contour_length: int, or None for what suits the height.
        height: int, or None for that of the published images.
    """

    contour_length: int | None = None
    height: int | None = None

    @property
    def name(self):
        """What tells a folder of these images from others."""
        contours = f"-contours{self.contour_length}" if self.contour_length else ""
        return contours + (f"-rows{self.height}" if self.height else "")

    @property
    def key(self):
        """What tells their stream of random numbers from others, as integers."""
        return (self.contour_length or 0, *([self.height] if self.height else []))

    def settings(self, published, chunk):
        """`Settings` of chunk number `chunk`."""
        height = self.height or published.height
        longest = self.contour_length or suitable_length(published, height)
        turn, dashes = divmod(chunk, longest - 1)
        most = min(published.distractors, longest // 2)
        return replace(
            published, height=height, contour_length=2 + dashes, distractors=turn % (most + 1)
        )
