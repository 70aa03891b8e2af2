import gzip
import io
import tarfile

import numpy as np
import pytest

from keras_dss.datasets.archives import read_arrays, read_members


def write(path, files):
    with tarfile.open(path, "w:gz") as archive:
        folder = tarfile.TarInfo("top")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.fixture
def files():
    rng = np.random.default_rng(0)
    return {f"top/{i}.bin": rng.bytes(3000) for i in range(10)}


def test_members_in_order(tmp_path, files):
    write(tmp_path / "a.tar.gz", files)
    assert dict(read_members(tmp_path / "a.tar.gz", lambda name: True)) == files
    found = list(read_members(tmp_path / "a.tar.gz", lambda name: name > "top/6"))
    assert [name for name, _ in found] == [f"top/{i}.bin" for i in (6, 7, 8, 9)]


@pytest.mark.parametrize(
    "share, last", [(0.001, "none"), (0.5, r"top/[1-5]\.bin"), (0.999, "top/")]
)
def test_a_truncated_archive_is_named_with_its_last_member(tmp_path, files, share, last):
    path = tmp_path / "a.tar.gz"
    write(path, files)
    path.write_bytes(path.read_bytes()[: round(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=f"a.tar.gz: .* last member read is {last}.*Received: "):
        list(read_members(path, lambda name: True))


def test_damaged_archives(tmp_path, files):
    path = tmp_path / "a.tar.gz"
    write(path, files)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match="a.tar.gz: expected a complete tar.gz archive"):
        list(read_members(path, lambda name: True))
    for other in (b"no archive", gzip.compress(b"no archive"), b""):
        path.write_bytes(other)
        with pytest.raises(ValueError, match="a.tar.gz: .* The last member read is none"):
            list(read_members(path, lambda name: True))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays(tmp_path, save):
    path = tmp_path / "a.npz"
    arrays = {"x": np.arange(400).reshape(20, 20), "y": np.arange(3, dtype=np.uint8)}
    save(path, **arrays)
    for received, name in zip(read_arrays(path, ["y", "x"], path), ("y", "x"), strict=True):
        assert received.dtype == arrays[name].dtype
        np.testing.assert_array_equal(received, arrays[name])
    with pytest.raises(ValueError, match="a.npz: expected arrays .'x', 'z'.. Received: .'x', 'y'."):
        read_arrays(path, ["x", "z"], path)

    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[200] ^= 255
    for content in (b"", b"text", whole[: len(whole) // 2], flipped):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="a.npz: expected a complete .*npz.. Received: "):
            read_arrays(path, ["x"], path)
