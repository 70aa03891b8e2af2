import concurrent.futures
import copy
import os
import shutil
import time

import keras
import numpy as np
import pytest

from keras_dss import zoo
from keras_dss.zoo import schema, storage
from tests.zoo.support import make_card, make_inputs, make_model, snapshot

NAME = "toy_n4"


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def whole_card(model, tmp_path_factory):
    root = tmp_path_factory.mktemp("zoo")
    return zoo.publish(model, NAME, make_card(), make_inputs(), root=root)


def replace(card, path, value):
    card = copy.deepcopy(card)
    *parents, last = path
    part = card
    for key in parents:
        part = part[key]
    part[last] = value
    return card


class TestAtomicity:
    def write(self, root, text):
        with storage.replacing(root, NAME) as fresh:
            for file in ("a", "b"):
                (fresh / file).write_text(text)

    def readable(self, root):
        return {path.read_text() for path in storage.locate(NAME, root).iterdir()}

    @pytest.mark.parametrize("step", range(12))
    def test_killed_at_any_step(self, tmp_path, monkeypatch, step):
        """Readers find the old or the new folder, whole, and the next writer cleans up."""
        self.write(tmp_path, "old")
        seen = []

        def steps(module, name):
            original = getattr(module, name)

            def act(*args, **kwargs):
                if len(seen) >= step:
                    raise Killed
                seen.append(name)
                return original(*args, **kwargs)

            monkeypatch.setattr(module, name, act)

        for module, name in (
            (os, "rename"),
            (os, "mkdir"),
            (os, "fsync"),
            (shutil, "rmtree"),
        ):
            steps(module, name)
        try:
            self.write(tmp_path, "new")
            died = False
        except Killed:
            died = True
        monkeypatch.undo()
        assert died == (step < 10), seen
        assert storage.names(tmp_path) == [NAME]
        assert self.readable(tmp_path) in ({"old"}, {"new"})
        assert len(list(storage.locate(NAME, tmp_path).iterdir())) == 2
        self.write(tmp_path, "newest")
        assert self.readable(tmp_path) == {"newest"}
        assert [path.name for path in tmp_path.iterdir()] == [NAME]

    def test_old_model_is_read_between_the_renames(self, tmp_path, model):
        zoo.publish(model, NAME, make_card(), make_inputs(), root=tmp_path)
        os.rename(tmp_path / NAME, tmp_path / f".{NAME}.previous")
        assert zoo.list(tmp_path) == [NAME]
        assert zoo.verify(NAME, root=tmp_path)["version"] == 1
        card = zoo.publish(model, NAME, make_card(), make_inputs(), root=tmp_path)
        assert card["version"] == 2
        assert [path.name for path in tmp_path.iterdir()] == [NAME]

    def test_failed_rename_puts_the_old_one_back(self, tmp_path, monkeypatch):
        self.write(tmp_path, "old")
        original, calls = os.rename, []

        def rename(*args):
            calls.append(args)
            if len(calls) == 2:
                raise OSError("disk is full")
            return original(*args)

        monkeypatch.setattr(os, "rename", rename)
        with pytest.raises(OSError, match="disk is full"):
            self.write(tmp_path, "new")
        assert self.readable(tmp_path) == {"old"}
        assert [path.name for path in tmp_path.iterdir()] == [NAME]

    @pytest.mark.parametrize(
        "target", ["write_json", "write_weights", "write_pin", "outputs", "check_pin"]
    )
    @pytest.mark.parametrize("republish", [False, True])
    def test_error_while_publishing(self, tmp_path, model, monkeypatch, target, republish):
        if republish:
            zoo.publish(model, NAME, make_card(), make_inputs(), root=tmp_path)
        before = snapshot(tmp_path)

        def fail(*args):
            raise OSError("disk is full")

        monkeypatch.setattr(f"keras_dss.zoo.files.{target}", fail)
        with pytest.raises(OSError, match="disk is full"):
            zoo.publish(model, NAME, make_card(), make_inputs(), root=tmp_path)
        assert snapshot(tmp_path) == before
        assert zoo.list(tmp_path) == ([NAME] if republish else [])

    def test_a_second_writer_waits(self, tmp_path):
        pytest.importorskip("fcntl")
        inside = []

        def write(text):
            with storage.replacing(tmp_path, NAME) as fresh:
                inside.append(text)
                for file in ("a", "b"):
                    (fresh / file).write_text(text)
                    time.sleep(0.01)
                assert inside[-1] == text

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(write, "12345678"))
        assert sorted(inside) == list("12345678")
        assert self.readable(tmp_path) == {inside[-1]}
        assert [path.name for path in tmp_path.iterdir()] == [NAME]

    def test_names_that_begin_alike_do_not_disturb_each_other(self, tmp_path):
        for name in ("toy_n4", "toy_n4_bt", "toy_n44"):
            (tmp_path / f".{name}.1.new").mkdir()
            (tmp_path / f".{name}.previous").mkdir()
        self.write(tmp_path, "new")
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
            [".toy_n4_bt.1.new", ".toy_n44.1.new", ".toy_n4_bt.previous", ".toy_n44.previous", NAME]
        )


class TestCard:
    @pytest.mark.parametrize("key", sorted(schema.GIVEN))
    def test_missing_key(self, tmp_path, model, key):
        card = make_card()
        del card[key]
        with pytest.raises(zoo.CardError, match=f"missing keys \\['{key}'\\]"):
            zoo.publish(model, NAME, card, make_inputs(), root=tmp_path)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("key", ["note", *sorted(schema.FILLED)])
    def test_unknown_key(self, tmp_path, model, key):
        with pytest.raises(zoo.CardError, match=f"unknown keys \\['{key}'\\]"):
            zoo.publish(model, NAME, make_card(**{key: 1}), make_inputs(), root=tmp_path)

    def test_every_key_is_required_of_a_whole_card(self, whole_card):
        schema.check_card(whole_card)
        for key in schema.SCHEMA:
            with pytest.raises(zoo.CardError, match=key):
                schema.check_card({k: v for k, v in whole_card.items() if k != key})

    @pytest.mark.parametrize(
        "path, value",
        [
            (("format",), 0),
            (("format",), "1"),
            (("name",), "toy"),
            (("name",), "toy_n04"),
            (("name",), "Toy_n4"),
            (("version",), 0),
            (("task",), ""),
            (("task",), "other"),
            (("data",), "text"),
            (("data", "defects"), "none"),
            (("data", "more"), "none"),
            (("architecture",), {}),
            (("parameters", "ssm"), -1),
            (("states",), 1.5),
            (("states",), True),
            (("bytes",), 0),
            (("parent",), ""),
            (("parent",), "toy_n4"),
            (("seed",), None),
            (("epochs",), float("nan")),
            (("minutes",), float("inf")),
            (("minutes",), -1),
            (("backend",), "mxnet"),
            (("backend",), ["jax"]),
            (("versions", "numpy"), 2),
            (("files", "pin.npz"), "0" * 63),
            (("pin", "atol"), 0.0),
            (("date",), "1.2.2024"),
            (("date",), 20240201),
            (("licence",), "  "),
            (("baselines",), {}),
            (("baselines",), {"chance": 0.5}),
            (("baselines", "majority"), "half"),
            (("metrics", "train"), {"total": 1}),
            (("metrics", "test"), {}),
            (("metrics", "test", "total"), 0),
            (("metrics", "test", "accuracy"), 0.51),
            (("metrics", "test", "accuracy"), 50.0),
            (("metrics", "test", "correct"), 9),
            (("metrics", "test", "correct"), 4.0),
            (("metrics", "test"), {"accuracy": 0.5, "total": 8}),
            (("metrics", "test"), {"correct": 4, "total": 8}),
            (("metrics", "test"), {"mse": 0.5, "total": 8}),
        ],
    )
    def test_wrong_value(self, whole_card, path, value):
        with pytest.raises(zoo.CardError, match="Expected.*Received"):
            schema.check_card(replace(whole_card, path, value))

    def test_regressors_have_other_metrics(self, tmp_path, model):
        score = {"mse": 0.25, "mae": 0.4, "total": 8}
        card = make_card(
            metrics={"validation": score, "test": score}, baselines={"mean": 1.0}, seed=np.int64(3)
        )
        zoo.publish(model, NAME, card, make_inputs(), root=tmp_path)
        assert zoo.card(NAME, tmp_path)["metrics"]["test"] == score
        assert zoo.card(NAME, tmp_path)["seed"] == 3

    def test_card_of_another_machine(self, tmp_path, model):
        versions = zoo.versions() | {"backend": "jax 0.1"}
        card = make_card(backend="jax", versions=versions, date="2024-02-01")
        found = zoo.publish(model, NAME, card, make_inputs(), root=tmp_path)
        assert found["versions"] == versions and found["date"] == "2024-02-01"
        others = {"tensorflow", "jax", "torch"} - {keras.backend.backend()}
        with pytest.raises(zoo.CardError, match="zoo.versions"):
            zoo.publish(model, NAME, make_card(backend=others.pop()), make_inputs(), root=tmp_path)
        with pytest.raises(zoo.CardError, match="versions of the backend 'torch'"):
            card = make_card(backend="torch", versions=versions)
            zoo.publish(model, NAME, card, make_inputs(), root=tmp_path)

    def test_keys_in_the_order_of_the_schema(self, whole_card):
        assert list(whole_card) == list(schema.SCHEMA)

    def test_given_card_is_left_alone(self, tmp_path, model):
        card = make_card()
        zoo.publish(model, NAME, card, make_inputs(), root=tmp_path)
        assert card == make_card()

    def test_values_that_json_cannot_hold(self, tmp_path, model):
        card = make_card(architecture={"layer": object()})
        with pytest.raises(zoo.CardError, match="type object"):
            zoo.publish(model, NAME, card, make_inputs(), root=tmp_path)
        card = make_card(architecture={"rate": float("nan")})
        with pytest.raises(zoo.CardError, match="finite numbers in card.json"):
            zoo.publish(model, NAME, card, make_inputs(), root=tmp_path)
        assert not list(tmp_path.iterdir())


class TestModel:
    @pytest.mark.parametrize(
        "name", ["toy", "toy_n0", "other_n4", "toy_n4_xx", "Toy_n4", "toy_n4/..", "", None, 4]
    )
    def test_name_rule(self, tmp_path, model, name):
        with pytest.raises(zoo.PublishError, match="<task>.*_n<state size>\\[_bt\\|_h2\\]"):
            zoo.publish(model, name, make_card(), make_inputs(), root=tmp_path)

    def test_models_of_the_published_systems_size_are_told_by_their_names(self, tmp_path, model):
        card = zoo.publish(model, "toy_base_n4", make_card(), make_inputs(), root=tmp_path)
        assert card["task"] == "toy" and zoo.list(tmp_path) == ["toy_base_n4"]

    def test_reduced_models_have_a_published_parent(self, tmp_path, model):
        with pytest.raises(zoo.CardError, match="parent.*Received: None"):
            zoo.publish(model, "toy_n2_bt", make_card(), make_inputs(), root=tmp_path)
        card = make_card(parent=NAME, method="balanced truncation")
        with pytest.raises(zoo.PublishError, match=f"published before.*'{NAME}'"):
            zoo.publish(model, "toy_n2_bt", card, make_inputs(), root=tmp_path)
        zoo.publish(model, NAME, make_card(), make_inputs(), root=tmp_path)
        zoo.publish(model, "toy_n2_bt", card, make_inputs(), root=tmp_path)
        zoo.publish(model, "toy_n2_h2", card, make_inputs(), root=tmp_path)
        assert zoo.list(tmp_path) == ["toy_n2_bt", "toy_n2_h2", "toy_n4"]

    @pytest.mark.parametrize("given", [None, "model", keras.layers.Dense(2)])
    def test_not_a_model(self, tmp_path, given):
        with pytest.raises(zoo.PublishError, match="built keras.Model"):
            zoo.publish(given, NAME, make_card(), make_inputs(), root=tmp_path)

    def test_not_built(self, tmp_path):
        model = keras.Sequential([keras.layers.Dense(2)])
        with pytest.raises(zoo.PublishError, match="built keras.Model"):
            zoo.publish(model, NAME, make_card(), make_inputs(), root=tmp_path)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_weights_not_finite(self, tmp_path, value):
        model = make_model()
        kernel = model.layers[1].get_weights()[0]
        kernel[0, 0] = value
        model.layers[1].set_weights([kernel, *model.layers[1].get_weights()[1:]])
        with pytest.raises(zoo.PublishError, match="finite weights.*kernel"):
            zoo.publish(model, NAME, make_card(), make_inputs(), root=tmp_path)
        assert not list(tmp_path.iterdir())

    def test_outputs_not_finite(self, tmp_path):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        pin = np.full((2, 3), np.nan, "float32")
        with pytest.raises(zoo.PublishError, match="finite outputs.*4 of 4"):
            zoo.publish(model, NAME, make_card(), pin, root=tmp_path)

    @pytest.mark.parametrize(
        "pin", [np.zeros((0, 12)), np.float32(1), np.array(["a"]), [np.ones(2), np.ones(3)], {}, []]
    )
    def test_pin_inputs(self, tmp_path, model, pin):
        with pytest.raises(zoo.PublishError, match="pin inputs"):
            zoo.publish(model, NAME, make_card(), pin, root=tmp_path)

    def test_several_outputs(self, tmp_path):
        inputs = keras.Input((3,))
        model = keras.Model(inputs, [keras.layers.Dense(2)(inputs), keras.layers.Dense(3)(inputs)])
        with pytest.raises(zoo.PublishError, match="one output"):
            zoo.publish(model, NAME, make_card(), np.ones((2, 3)), root=tmp_path)

    def test_classes_of_others(self, tmp_path):
        @keras.saving.register_keras_serializable(package="elsewhere")
        class Twice(keras.layers.Layer):
            def call(self, inputs):
                return 2 * inputs

        model = keras.Sequential([keras.Input((3,)), Twice(), keras.layers.Dense(2)])
        with pytest.raises(zoo.PublishError, match="elsewhere>Twice"):
            zoo.publish(model, NAME, make_card(), np.ones((2, 3)), root=tmp_path)

    def test_functions_of_others(self, tmp_path):
        @keras.saving.register_keras_serializable(package="elsewhere")
        def twice(x):
            return 2 * x

        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation=twice)])
        with pytest.raises(zoo.PublishError, match="elsewhere>twice"):
            zoo.publish(model, NAME, make_card(), np.ones((2, 3)), root=tmp_path)

    def test_unknown_keyword(self, tmp_path, model):
        with pytest.raises(TypeError, match="overwrite"):
            zoo.publish(model, NAME, make_card(), make_inputs(), root=tmp_path, overwrite=True)
