import json
import os

import h5py
import keras
import numpy as np
import pytest

from keras_dss import zoo
from keras_dss.zoo import files, storage
from tests.zoo.support import make_card, make_inputs, make_model, snapshot

NAME = "toy_n4"


def logits(model, inputs=None):
    inputs = make_inputs() if inputs is None else inputs
    return keras.ops.convert_to_numpy(model(inputs, training=False))


@pytest.fixture
def published(tmp_path):
    model = make_model()
    card = zoo.publish(model, NAME, make_card(), make_inputs(), root=tmp_path)
    return model, card, tmp_path


def edit_card(root, **changes):
    path = root / NAME / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def rehash(root, file):
    """Makes the card agree with a changed file."""
    path = root / NAME / "card.json"
    card = json.loads(path.read_text())
    card["files"][file] = storage.sha256(root / NAME / file)
    path.write_text(json.dumps(card))


class TestRoundTrip:
    def test_publish_then_load(self, published):
        model, card, root = published
        assert zoo.list(root) == [NAME]
        assert sorted(path.name for path in root.iterdir()) == [NAME]
        assert sorted(path.name for path in (root / NAME).iterdir()) == [
            "card.json",
            "config.json",
            "model.weights.h5",
            "pin.npz",
        ]
        loaded = zoo.load(NAME, root=root)
        for old, new in zip(model.get_weights(), loaded.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
        np.testing.assert_allclose(logits(loaded), logits(model), atol=1e-6)
        assert zoo.card(NAME, root) == card
        assert zoo.verify(NAME, root=root)["pin_error"] <= 1e-5

    def test_card_counts_and_records(self, published):
        model, card, root = published
        assert card["parameters"] == {"total": model.count_params(), "ssm": 0}
        assert card["states"] == 0
        assert card["bytes"] == (root / NAME / "model.weights.h5").stat().st_size
        assert card["backend"] == keras.backend.backend()
        assert card["versions"]["keras"] == keras.__version__
        assert card["versions"]["backend"].startswith(card["backend"])
        assert card["pin"] == {"examples": 4, "atol": 1e-3}
        assert card["version"] == card["format"] == 1

    def test_loaded_model_is_ordinary(self, published, tmp_path):
        _, _, root = published
        loaded = zoo.load(NAME, root=root)
        assert not loaded.compiled
        loaded.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        loaded.fit(make_inputs(), np.zeros(4), epochs=1, verbose=0)
        loaded.save(tmp_path / "tuned.keras")
        again = keras.saving.load_model(tmp_path / "tuned.keras")
        np.testing.assert_allclose(logits(again), logits(loaded), atol=1e-6)

    def test_architecture_alone(self, published):
        model, _, root = published
        (root / NAME / "model.weights.h5").unlink()
        fresh = zoo.load(NAME, load_weights=False, root=root)
        assert [w.shape for w in fresh.weights] == [w.shape for w in model.weights]

    def test_compiled_model_is_stored_without_optimizer_and_left_alone(self, published):
        plain = snapshot(published[2] / NAME)
        model = make_model()
        model.compile("adam", "mse", metrics=["mae"])
        model.optimizer.build(model.trainable_variables)
        zoo.publish(model, NAME, make_card(), make_inputs(), root=published[2])
        again = snapshot(published[2] / NAME)
        assert model.compiled and model.optimizer.variables
        assert again["config.json"].count(b"compile_config") == 0
        assert set(files.layout(published[2] / NAME / "model.weights.h5")) == {
            "layers/embedding/vars/0",
            "layers/dense/vars/0",
            "layers/dense/vars/1",
            "layers/dense_1/vars/0",
            "layers/dense_1/vars/1",
        }
        assert len(again["model.weights.h5"]) == len(plain["model.weights.h5"])

    def test_same_weights_give_the_same_bytes(self, tmp_path, monkeypatch):
        model = make_model()
        first = zoo.publish(model, NAME, make_card(), make_inputs(), root=tmp_path)
        monkeypatch.setattr("time.time", lambda: 2e9)
        unnamed = [keras.layers.Dense(1).name for _ in range(12)]  # automatic names grow longer
        assert "dense" in unnamed[0]
        second = zoo.publish(model, NAME, make_card(), make_inputs(), root=tmp_path)
        assert first["files"] == second["files"]
        assert (first["version"], second["version"]) == (1, 2)
        model.weights[0].assign(model.weights[0] + 1.0)
        third = zoo.publish(model, NAME, make_card(), make_inputs(), root=tmp_path)
        assert third["files"]["config.json"] == first["files"]["config.json"]
        assert third["files"]["model.weights.h5"] != first["files"]["model.weights.h5"]

    @pytest.mark.parametrize("kind", ["list", "dict"])
    def test_models_with_two_inputs(self, tmp_path, kind):
        left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
        out = keras.layers.Dense(2)(keras.layers.Subtract()([left, right]))
        given = [left, right] if kind == "list" else {"left": left, "right": right}
        model = keras.Model(given, out)
        a, b = np.random.default_rng(1).normal(size=(2, 5, 3)).astype("float32")
        pin = [a, b] if kind == "list" else {"left": a, "right": b}
        zoo.publish(model, NAME, make_card(), pin, root=tmp_path)
        assert zoo.verify(NAME, root=tmp_path)["pin_error"] <= 1e-5
        np.testing.assert_allclose(
            logits(zoo.load(NAME, root=tmp_path), pin), logits(model, pin), atol=1e-6
        )

    def test_this_process_with_other_models(self, published):
        model, _, root = published
        others = [make_model(seed) for seed in range(3)]
        np.testing.assert_allclose(logits(zoo.load(NAME, root=root)), logits(model), atol=1e-6)
        assert len(others) == 3


class TestWrongFiles:
    @pytest.mark.parametrize("file", storage.FILES)
    def test_damaged(self, published, file):
        _, card, root = published
        path = root / NAME / file
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        with pytest.raises(zoo.DamagedFileError) as error:
            zoo.verify(NAME, root=root)
        for part in (file, card["files"][file], storage.sha256(path)):
            assert part in str(error.value)
        if file != "pin.npz":
            with pytest.raises(zoo.DamagedFileError):
                zoo.load(NAME, root=root)

    @pytest.mark.parametrize("file", [*storage.FILES, "card.json"])
    def test_missing(self, published, file):
        _, _, root = published
        (root / NAME / file).unlink()
        with pytest.raises(zoo.MissingFileError, match=file) as error:
            zoo.verify(NAME, root=root)
        assert isinstance(error.value, FileNotFoundError)
        assert zoo.list(root) == [NAME]

    @pytest.mark.parametrize("name", ["toy_n5", "toy_n", "../toy_n4", "", None])
    def test_unknown_name(self, published, name):
        with pytest.raises(zoo.UnknownModelError, match="Received") as error:
            zoo.load(name, root=published[2])
        names = f"There are ['{NAME}']." if name in ("", None) else f"Did you mean '{NAME}'?"
        assert names in str(error.value)

    def test_no_models_at_all(self, tmp_path):
        assert zoo.list(tmp_path / "none") == []
        with pytest.raises(zoo.UnknownModelError):
            zoo.card(NAME, tmp_path / "none")

    def test_newer_format(self, published):
        edit_card(published[2], format=2, novelty=1)
        with pytest.raises(zoo.FormatError, match="format 1 or older.*Received: format 2"):
            zoo.load(NAME, root=published[2])

    @pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}"])
    def test_card_that_is_none(self, published, text):
        (published[2] / NAME / "card.json").write_text(text)
        with pytest.raises(zoo.CardError, match="card.json"):
            zoo.load(NAME, root=published[2])

    def test_card_of_another_model(self, published):
        edit_card(published[2], name="toy_n5")
        with pytest.raises(zoo.CardError, match="toy_n5"):
            zoo.load(NAME, root=published[2])

    def test_wrong_counts(self, published):
        edit_card(published[2], states=7)
        with pytest.raises(zoo.CardError, match="'states': 7.*'states': 0"):
            zoo.verify(NAME, root=published[2])

    def test_weights_that_do_not_fit(self, published):
        _, _, root = published
        with h5py.File(root / NAME / "model.weights.h5", "a") as file:
            variables = file["layers/dense/vars"]
            del variables["0"]
            variables["0"] = np.zeros((9, 9), "float32")
            del file["layers/embedding"]
            file["layers/extra/vars/0"] = np.zeros(2, "float32")
        rehash(root, "model.weights.h5")
        with pytest.raises(zoo.WeightsMismatchError) as error:
            zoo.load(NAME, root=root)
        for line in (
            "layers/dense/vars/0: expected (4, 5), received (9, 9)",
            "layers/embedding/vars/0: expected (7, 4), received no such weight",
            "layers/extra/vars/0: expected no such weight, received (2,)",
        ):
            assert line in str(error.value)
        assert "dense_1" not in str(error.value)

    @pytest.mark.parametrize(
        "text, reason",
        [
            ("{", "JSONDecodeError"),
            ("null", "built keras.Model"),
            ('{"class_name": "Lost", "module": "keras_dss.lost", "config": {}, '
             '"registered_name": "keras_dss>Lost"}', "Lost"),
            ('{"class_name": "Dense", "module": "keras.layers", "config": {"unit": 3}, '
             '"registered_name": null}', "unit"),
            ('{"class_name": "Dense", "module": "keras.layers", "config": {"units": 3}, '
             '"registered_name": null}', "built keras.Model"),
        ],
    )  # fmt: skip
    def test_config_that_gives_no_model(self, published, text, reason):
        (published[2] / NAME / "config.json").write_text(text)
        rehash(published[2], "config.json")
        with pytest.raises(zoo.ArchitectureError, match=f"Expected .*config.json(.|\n)*{reason}"):
            zoo.load(NAME, root=published[2])

    def test_pin_that_is_not_reproduced(self, published):
        _, _, root = published
        path = root / NAME / "pin.npz"
        with np.load(path) as pin:
            arrays = dict(pin)
        arrays["outputs"][0, 0] += 0.01
        np.savez(path, **arrays)
        rehash(root, "pin.npz")
        with pytest.raises(zoo.PinError, match="to 0.001 on the backend.*of 0.0[01]"):
            zoo.verify(NAME, root=root)
        np.savez(path, **(arrays | {"outputs": np.zeros((4, 2), "float32")}))
        rehash(root, "pin.npz")
        with pytest.raises(zoo.PinError, match="shape"):
            zoo.verify(NAME, root=root)


class TestRoot:
    def test_environment_comes_first(self, tmp_path, monkeypatch):
        monkeypatch.setenv("KERAS_DSS_ZOO_DIR", str(tmp_path))
        assert zoo.root() == tmp_path
        zoo.publish(make_model(), NAME, make_card(), make_inputs())
        assert zoo.list() == [NAME]
        assert zoo.load(NAME).count_params() == make_model().count_params()

    def test_then_the_installed_package_then_the_checkout(self, tmp_path, monkeypatch):
        monkeypatch.delenv("KERAS_DSS_ZOO_DIR", raising=False)
        package = tmp_path / "keras_dss"
        monkeypatch.setattr(storage, "_PACKAGE", package)
        with pytest.raises(zoo.ZooError, match="KERAS_DSS_ZOO_DIR"):
            zoo.root()
        (tmp_path / "setup.py").touch()
        assert zoo.root() == tmp_path / "zoo"
        (package / "_zoo_data").mkdir(parents=True)
        assert zoo.root() == package / "_zoo_data"
        with pytest.raises(zoo.ZooError, match="own data"):
            zoo.publish(make_model(), NAME, make_card(), make_inputs())

    def test_published_files_are_readable_by_all(self, published):
        if os.name == "posix":
            mask = os.umask(0)
            os.umask(mask)
            assert (published[2] / NAME).stat().st_mode & 0o777 == 0o777 & ~mask
