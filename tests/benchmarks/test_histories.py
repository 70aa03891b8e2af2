import json

import pytest

from benchmarks.histories import earlier, joined


def training(version, epochs):
    history = [{"epoch": float(i + 1), "step": 10 * (i + 1)} for i in range(epochs)]
    return {"version": version, "history": history}


def test_epochs_of_trainings_are_counted_on():
    rows = joined([training(1, 2), training(2, 3)])
    assert [row["epoch"] for row in rows] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert [row["step"] for row in rows] == [10, 20, 10, 20, 30]


@pytest.mark.parametrize("start, expected", [("published", [1, 2]), ("recipe", [])])
def test_a_training_goes_on_from_those_before(tmp_path, start, expected):
    work, results = tmp_path / "work", tmp_path / "results"
    path = work / "task_n8" / "training.json"
    path.parent.mkdir(parents=True)
    (work / "settings.json").write_text(json.dumps({"start": start}))
    card = {"name": "task_n8", "version": 3}
    assert earlier(path, results, card) == []
    results.mkdir()
    kept = {"trainings": [training(version, 1) for version in (1, 2, 3)]}
    (results / "history_task_n8.json").write_text(json.dumps(kept))
    assert [found["version"] for found in earlier(path, results, card)] == expected
