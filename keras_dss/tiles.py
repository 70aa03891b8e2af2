"""Transposition on processors for torch, whose own copies leave the cache with every number.

A tile of t steps is read across its features while its lines lie in the cache, and written one
feature after another; a second copy puts together the tiles of a feature:

    (b, n, t, h) -> (b, n, h, t) -> (b, h, n, t)
"""

TILE = 64  # most steps of a tile
PIECE = 2**18  # numbers in the tiles that are held between the copies


def to_rows(sequences, rows):
    """Copies (B, L, H) to the first L steps of (B, H, ...), tensors of torch of any strides."""
    if sequences.device.type != "cpu":
        rows[..., : sequences.shape[1]] = sequences.transpose(1, 2)
        return
    for source, target in _tiles(sequences, rows):
        target.copy_(source.transpose(2, 3).contiguous().transpose(1, 2))


def to_sequences(rows, sequences):
    """Copies the first L steps of (B, H, ...) to (B, L, H), tensors of torch of any strides."""
    if sequences.device.type != "cpu":
        sequences.copy_(rows[..., : sequences.shape[1]].transpose(1, 2))
        return
    for target, source in _tiles(sequences, rows):
        target.copy_(source.transpose(1, 2).contiguous().transpose(2, 3))


def _tiles(sequences, rows):
    """Parts (b, n, t, h) of the sequences with the same (b, h, n, t) of the rows."""
    batch, length, features = sequences.shape
    tile = _tile(length)
    whole = length - length % tile
    piece = tile * max(1, PIECE // max(1, tile * batch * features))
    for start in range(0, whole, piece):
        steps = slice(start, min(start + piece, whole))
        yield (
            sequences[:, steps].unflatten(1, (-1, tile)),
            rows[:, :, steps].unflatten(2, (-1, tile)),
        )
    if whole < length:
        yield sequences[:, None, whole:], rows[:, :, None, whole:length]


def _tile(length):
    """Steps of a tile: those that divide the length, where they are not too few."""
    most = max(steps for steps in range(1, TILE + 1) if length % steps == 0)
    return most if 4 * most > TILE else TILE
