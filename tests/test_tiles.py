import keras
import pytest

from keras_dss import tiles

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="made for torch")


@pytest.mark.parametrize("tile, piece", [(64, 2**18), (5, 1), (4, 40), (1, 7)])
@pytest.mark.parametrize("shape", [(2, 10, 3), (1, 7, 4), (3, 1, 1), (0, 6, 2)])
def test_transposes_both_ways(monkeypatch, shape, tile, piece):
    import torch

    monkeypatch.setattr(tiles, "TILE", tile)
    monkeypatch.setattr(tiles, "PIECE", piece)
    batch, length, features = shape
    generator = torch.Generator().manual_seed(0)
    sequences = torch.randn(batch, length, 2 * features, generator=generator)[..., ::2]
    rows = torch.full((batch, features, length + 5), 7.0)
    tiles.to_rows(sequences, rows)
    assert torch.equal(rows[..., :length], sequences.transpose(1, 2))
    assert (rows[..., length:] == 7.0).all()
    back = torch.zeros_like(sequences)
    tiles.to_sequences(rows, back)
    assert torch.equal(back, sequences)


@pytest.mark.parametrize("length, tile", [(1024, 64), (784, 56), (1000, 50), (40, 40), (1021, 64)])
def test_tiles_divide_the_length_where_they_can(length, tile):
    assert tiles._tile(length) == tile
