import numpy as np
import pytest

from recipes import files

ARRAYS = {"a/0": np.arange(6.0).reshape(2, 3), "b": np.array([7], np.uint32)}
META = {"step": 3, "history": [{"loss": 0.1}]}


def test_checkpoint_round_trip(tmp_path):
    path = tmp_path / "folder" / "checkpoint.npz"
    files.write_checkpoint(path, ARRAYS, META)
    arrays, meta = files.read_checkpoint(path)
    assert meta == META and arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
    assert [p.name for p in path.parent.iterdir()] == ["checkpoint.npz"]


def test_damaged_checkpoints_are_refused(tmp_path):
    path = tmp_path / "checkpoint.npz"
    files.write_checkpoint(path, ARRAYS, META)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(ARRAYS["a/0"].tobytes()) + 20] ^= 1
    for damaged in (whole[: len(whole) // 2], whole[:-1], bytes(flipped), b"", b"no archive"):
        path.write_bytes(damaged)
        with pytest.raises(files.CheckpointError, match="damaged.*--restart.*checkpoint.npz"):
            files.read_checkpoint(path)


def test_an_interrupted_write_keeps_the_former_file(tmp_path):
    path = tmp_path / "text.json"
    files.write_json(path, {"old": 1})
    with pytest.raises(KeyboardInterrupt), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert files.read_json(path) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_csv(tmp_path):
    files.write_csv(tmp_path / "h.csv", [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    assert (tmp_path / "h.csv").read_text() == "epoch,loss\n1,0.5\n2,0.25\n"


def test_locked(tmp_path):
    with files.locked(tmp_path), pytest.raises(RuntimeError, match="no other process works"):
        with files.locked(tmp_path):
            pass
    with files.locked(tmp_path):
        pass


def test_clear_keeps_the_lock(tmp_path):
    (tmp_path / "folder").mkdir()
    for name in ("a", "b", "folder/c"):
        (tmp_path / name).write_text(name)
    with files.locked(tmp_path):
        files.clear(tmp_path, ["a", "none"])
        assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "b", "folder"]
        files.clear(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
        with pytest.raises(files.FolderInUse), files.locked(tmp_path):
            pass
