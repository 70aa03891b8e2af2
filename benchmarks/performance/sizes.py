"""The sizes that everything is measured at; the page shows all of them."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Size:
    batch: int
    features: int
    states: int
    length: int

    @property
    def name(self):
        return f"B{self.batch} H{self.features} N{self.states} L{self.length}"

    def as_dict(self):
        return asdict(self)


SIZES = (
    Size(50, 32, 64, 784),
    Size(32, 128, 64, 1024),
    Size(8, 128, 64, 4096),
    Size(2, 128, 64, 16384),
)
QUICK = (Size(8, 32, 64, 1024),)
