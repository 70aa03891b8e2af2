import hashlib

import numpy as np
import pytest

from keras_dss.datasets import listops_generator, lra_listops


@pytest.fixture(scope="module")
def generated():
    """The first 4,000 training expressions."""
    return listops_generator.generate(0, 0, 4000, workers=2)


def parse(symbols):
    """Nested lists of an expression without parentheses, by recursive descent."""
    symbol = symbols.pop(0)
    if not symbol.startswith("["):
        return int(symbol)
    node = [symbol]
    while symbols[0] != "]":
        node.append(parse(symbols))
    symbols.pop(0)
    return node


def value(node):
    if isinstance(node, int):
        return node
    operator, *arguments = node
    digits = sorted(value(argument) for argument in arguments)
    middle = (digits[(len(digits) - 1) // 2] + digits[len(digits) // 2]) / 2
    return {
        "[MIN": digits[0],
        "[MAX": digits[-1],
        "[MED": int(middle),
        "[SM": sum(digits) % 10,
    }[operator]


def official_text(node):
    """The spelling of the official files: an operator is applied to one argument after another."""
    if isinstance(node, int):
        return str(node)
    text, *arguments = node
    for part in [*map(official_text, arguments), "]"]:
        text = f"( {text} {part} )"
    return text


def naive_length(rng, depth=1):
    """Length of one tree drawn node by node, or 2000 if it is longer."""
    if depth == 10 or rng.random() > 0.25:
        return 1
    length = 2
    for _ in range(rng.integers(2, 11)):
        length += naive_length(rng, depth + 1)
        if length >= 2000:
            return 2000
    return length


def test_values_agree_with_the_text_form(generated):
    x, y = generated
    trees = [parse(text.split()) for text in lra_listops.decode(x[:300])]
    assert [value(tree) for tree in trees] == y[:300].tolist()
    assert [lra_listops.evaluate(row) for row in x[:300]] == y[:300].tolist()
    assert lra_listops.decode(x[:300], parentheses=True) == [official_text(tree) for tree in trees]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("7", 7),
        ("[MED 1 2 ]", 1),
        ("[MED 9 8 1 ]", 8),
        ("[MED 1 2 8 9 ]", 5),
        ("[SM 9 9 9 ]", 7),
        ("[MAX [MIN 3 5 ] [SM 5 6 ] ]", 3),
        ("( ( ( [MAX 3 ) 4 ) ] )", 4),
    ],
)
def test_evaluate(text, expected):
    assert lra_listops.evaluate(text) == expected


@pytest.mark.parametrize("text", ["[MAX 3", "3 ]", "[MAX ]", "3 4", ""])
def test_evaluate_refuses_incomplete_expressions(text):
    with pytest.raises(ValueError, match="Expected .*Received"):
        lra_listops.evaluate(lra_listops.encode(text))


def test_expressions_within_expressions_are_evaluated_at_each_argument(generated):
    x, y = generated
    x, y = x[:300], y[:300]
    values = lra_listops.evaluate_so_far(x)
    last = np.count_nonzero(x, axis=1) - 1
    np.testing.assert_array_equal(values[np.arange(len(x)), last - 1], y)
    operator = (x >= 11) & (x <= 14)
    known = (x > 0) & (np.arange(x.shape[1]) != last[:, None])
    np.testing.assert_array_equal((values < 255)[~operator], known[~operator])
    for tokens, found in zip(x[:40], values, strict=False):
        opened, whole = [], 255  # what is open, and the value of the whole so far
        for position, token in enumerate(tokens[tokens > 0]):
            if 11 <= token <= 14:
                opened.append(position)
                assert found[position] == whole
                continue
            if token == 15:
                opened.pop()
            if opened:  # the expression around, as if it ended here
                so_far = np.append(tokens[opened[-1] : position + 1], 15)
                assert lra_listops.evaluate(so_far) == found[position]
            if len(opened) == 1:
                whole = found[position]


def test_digits_alone_and_no_expressions_have_no_values_within():
    for texts in (["7", "3"], []):
        x = lra_listops.encode(texts)
        np.testing.assert_array_equal(lra_listops.evaluate_so_far(x), np.full_like(x, 255))


@pytest.mark.parametrize("text", ["[MAX 3", "3 ]", "[MAX ]", "3 4", "", "] [MAX 3", "[MAX 1 ] ] 2"])
def test_incomplete_expressions_within_others_are_refused(text):
    with pytest.raises(ValueError, match="Expected .*Received"):
        lra_listops.evaluate_so_far(lra_listops.encode(["[MIN 1 2 ]", text]))


def test_load_with_labels_of_steps(small):
    x, y, z = lra_listops.load("test", examples=5, step_labels=True)
    expected, values = lra_listops.load("test", examples=5)
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(y, values)
    np.testing.assert_array_equal(z, lra_listops.evaluate_so_far(x))


@pytest.mark.parametrize("max_length", [16, 64, 2000])
def test_easier_expressions(small, generated, tmp_path, max_length):
    given = {"data_dir": tmp_path, "max_length": max_length}
    (tmp_path / "basic_train.tsv").touch()  # of an official copy that lacks all else
    x, y, z = lra_listops.load("train", examples=300, step_labels=True, **given)
    assert x.shape == z.shape == (300, max_length) and x.dtype == np.uint8
    lengths = np.count_nonzero(x, axis=1)
    assert max_length // 4 < lengths.min() and lengths.max() < max_length
    assert lengths.max() > 0.9 * max_length - 2 and len(np.unique(x[:, 0])) == 4
    assert [lra_listops.evaluate(row) for row in x] == y.tolist()
    np.testing.assert_array_equal(z, lra_listops.evaluate_so_far(x))
    part, values = lra_listops.load("train", examples=70, workers=1, **given)
    np.testing.assert_array_equal(part, x[:70])
    np.testing.assert_array_equal(values, y[:70])
    other, _ = lra_listops.load("test", examples=30, **given)
    assert (other != part[:30]).any()
    if max_length == lra_listops.MAX_LENGTH:
        assert (x[:70] != generated[0][:70]).any()  # of a stream of their own


@pytest.mark.parametrize("max_length", [15, 2001, 64.5])
def test_lengths_of_easier_expressions_are_checked(max_length):
    with pytest.raises(ValueError, match=f"between 16 and 2000 tokens. Received: {max_length}"):
        lra_listops.load("train", examples=2, max_length=max_length)


def test_generation_depends_on_the_seed_alone(generated):
    x, y = generated
    for workers, examples in ((1, 700), (2, 700), (3, 251)):
        part, values = listops_generator.generate(0, 0, examples, workers)
        np.testing.assert_array_equal(part, x[:examples])
        np.testing.assert_array_equal(values, y[:examples])
    for seed, split in ((1, 0), (0, 1)):
        assert not (listops_generator.generate(seed, split, 10)[0] == x[:10]).all(axis=1).any()


def test_generation_is_pinned(generated):
    """A version always gives the same expressions: a change wants a new GENERATOR_VERSION."""
    x, y = generated
    assert listops_generator.GENERATOR_VERSION == 1
    digest = hashlib.sha256(x[:1000].tobytes() + y[:1000].tobytes()).hexdigest()
    assert digest[:16] == "a53c1b85653e9246"


def test_distribution_of_symbols(generated):
    x, _ = generated
    lengths = np.count_nonzero(x, axis=1)
    assert lengths.min() > 500 and lengths.max() < 2000
    assert listops_generator.count_duplicates(x) == 0
    counts = np.bincount(x.ravel(), minlength=16).astype(float)
    np.testing.assert_allclose(counts[1:11] / counts[1:11].sum(), 0.1, atol=0.001)
    np.testing.assert_allclose(counts[11:15] / counts[11:15].sum(), 0.25, atol=0.002)
    assert counts[11:15].sum() == counts[15]
    assert np.isin(x[:, 0], range(11, 15)).all()


def test_trees_are_shallow_and_bushy(generated):
    x, _ = generated
    depth = np.cumsum((x >= 11).astype(int) * np.where(x == 15, -1, 1), axis=1)
    assert depth.max() == 9  # so the digits below are at depth 10
    assert (depth.min(axis=1) == 0).all()

    trees = [parse(text.split()) for text in lra_listops.decode(x[:300])]
    arguments = []
    while trees:
        arguments += [len(tree) - 1 for tree in trees]
        trees = [node for tree in trees for node in tree if isinstance(node, list)]
    assert set(arguments) == set(range(2, 11))


def test_lengths_agree_with_trees_drawn_node_by_node(generated):
    rng = np.random.default_rng(0)
    lengths = np.array([naive_length(rng) for _ in range(20_000)])
    expected = np.sort(lengths[(lengths > 500) & (lengths < 2000)])
    assert len(expected) > 800
    received = np.sort(np.count_nonzero(generated[0], axis=1))

    # Two-sample Kolmogorov-Smirnov statistic; 1.95 is exceeded with probability 0.1 %.
    steps = np.arange(500, 2000)
    distance = np.abs(
        np.searchsorted(expected, steps, "right") / len(expected)
        - np.searchsorted(received, steps, "right") / len(received)
    ).max()
    assert distance < 1.95 * np.sqrt(1 / len(expected) + 1 / len(received))


def test_encode_and_decode(generated):
    x, _ = generated
    for parentheses in (False, True):
        text = lra_listops.decode(x[:50], parentheses)
        np.testing.assert_array_equal(lra_listops.encode(text), x[:50])
    np.testing.assert_array_equal(
        lra_listops.encode("  [MAX  3 4\t]\n"), lra_listops.encode("[MAX 3 4 ]")
    )
    assert lra_listops.encode("[SM 0 9 ]").dtype == np.uint8
    assert lra_listops.encode([]).shape == (0, lra_listops.MAX_LENGTH)
    assert x.max() < lra_listops.VOCABULARY_SIZE
    with pytest.raises(TypeError, match="Expected an expression, or several. Received: one int"):
        lra_listops.encode(3)


@pytest.mark.parametrize(
    "text, symbol", [("[MAX 3 x ]", "x"), ("[MAX 12 3 ]", "12"), ("[AVG 3 ]", "[AVG")]
)
def test_unknown_symbols_are_named(text, symbol):
    with pytest.raises(ValueError) as error:
        lra_listops.encode(["[MAX 3 4 ]", text])
    assert "Expression 1" in str(error.value)
    assert str(error.value).endswith(f"Received: {symbol!r}")


@pytest.mark.parametrize(
    "text, symbol",
    [
        ("12 ", "12"),
        (" 12", "12"),
        ("1 23  4", "23"),
        ("[MAX3 4  ]", "[MAX3"),
        ("[MAX 3 4]  ", "4]"),
        ("(( [MAX 3 )  4 ) ] )", "(("),
        ("[MAX[MIN 3  4 ]  ]", "[MAX[MIN"),
    ],
)
def test_symbols_must_be_separated(text, symbol):
    with pytest.raises(ValueError) as error:
        lra_listops.encode(text)
    assert str(error.value).endswith(f"Received: {symbol!r}")


def test_too_long_expressions_are_refused():
    with pytest.raises(ValueError, match="at most 2000 tokens.*Received: 2001"):
        lra_listops.encode("1 " * 2000 + "1")


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Small splits, and no data of the user."""
    monkeypatch.setattr(lra_listops, "SPLITS", {"train": 300, "validation": 20, "test": 30})
    monkeypatch.delenv("KERAS_DSS_DATA_DIR", raising=False)
    monkeypatch.setenv("KERAS_DSS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def test_load_generates_once(small, monkeypatch):
    x, y = lra_listops.load("train")
    assert x.shape == (300, 2000) and y.shape == (300,) and x.dtype == y.dtype == np.uint8
    assert len(list((small / "cache").iterdir())) == 3
    other = lra_listops.load("validation")[0], lra_listops.load("test")[0]
    assert listops_generator.count_duplicates(np.concatenate([x, *other])) == 0

    monkeypatch.setattr(lra_listops, "_generate", None)
    np.testing.assert_array_equal(lra_listops.load("train")[0], x)
    np.testing.assert_array_equal(lra_listops.load("train")[1], y)
    np.testing.assert_array_equal(lra_listops.load("val")[0], other[0])
    assert len(lra_listops.load("train", examples=7)[0]) == 7


def test_a_damaged_cache_is_replaced(small):
    expected = lra_listops.load("test")
    (path,) = (small / "cache").iterdir()
    whole = path.read_bytes()
    for content in (b"", b"junk", whole[: len(whole) // 2]):
        path.write_bytes(content)
        assert len(lra_listops.load("test", examples=3)[0]) == 3
        for received, array in zip(lra_listops.load("test"), expected, strict=True):
            np.testing.assert_array_equal(received, array)
        assert list((small / "cache").iterdir()) == [path]
        with np.load(path) as arrays:
            np.testing.assert_array_equal(arrays["y"], expected[1])
    np.savez(path, tokens=np.ones(4, np.uint8), lengths=[2, 2], y=[0, 1])
    np.testing.assert_array_equal(lra_listops.load("test")[1], expected[1])


def test_load_of_a_part_equals_the_part_of_the_whole(small):
    part = lra_listops.load("test", examples=12)
    assert not (small / "cache").exists()
    whole = lra_listops.load("test", cache_dir=small / "other")
    np.testing.assert_array_equal(part[0], whole[0][:12])
    np.testing.assert_array_equal(part[1], whole[1][:12])
    assert [path.name for path in (small / "other").iterdir()] == [
        "lra_listops-v1-seed0-test-30.npz"
    ]


def test_duplicates_are_refused(small, monkeypatch):
    monkeypatch.setattr(
        lra_listops,
        "_generate",
        lambda sizes, *_: {
            split: (np.ones((size, 2000), np.uint8), np.ones(size, np.uint8))
            for split, size in sizes.items()
        },
    )
    with pytest.raises(RuntimeError, match="expressions twice"):
        lra_listops.load("train")


def test_load_checks_its_arguments(small):
    with pytest.raises(ValueError, match="one of train, validation, test. Received: 'dev'"):
        lra_listops.load("dev")
    with pytest.raises(ValueError, match="between 0 and 30.*Received: 31"):
        lra_listops.load("test", examples=31)
    with pytest.raises(NotADirectoryError, match="Received: .*nowhere"):
        lra_listops.load("test", small / "nowhere")


@pytest.mark.parametrize("folder", ["", "listops-1000", "lra_listops"])
def test_official_copies_are_read(small, monkeypatch, folder):
    paths = lra_listops.write_tsv(small / "official" / folder)
    assert [path.name for path in paths] == ["basic_train.tsv", "basic_val.tsv", "basic_test.tsv"]
    expected = {split: lra_listops.load(split) for split in lra_listops.SPLITS}
    monkeypatch.setattr(lra_listops, "_generate", None)
    monkeypatch.setattr(lra_listops, "_read_cache", None)
    monkeypatch.setenv("KERAS_DSS_DATA_DIR", str(small / "official"))
    for split, (x, y) in expected.items():
        received = lra_listops.load(split)
        np.testing.assert_array_equal(received[0], x)
        np.testing.assert_array_equal(received[1], y)
    assert len(lra_listops.load("train", examples=5)[0]) == 5


def test_a_part_of_an_official_copy_is_refused(small):
    (small / "basic_train.tsv").write_text("Source\tTarget\n")
    with pytest.raises(FileNotFoundError, match="basic_val.tsv, basic_test.tsv"):
        lra_listops.load("train", small)


@pytest.mark.parametrize(
    "row, message",
    [
        ("[MAX 3 4 ]", "expected 2 columns .* Received: 1 columns"),
        ("[MAX 3 4 ]\t4\t4", "expected 2 columns .* Received: 3 columns"),
        ("[MAX 3 4 ]\tfour", "expected a target 0 to 9. Received: 'four'"),
        ("[MAX 3 ? ]\t4", r"every symbol .* Received: '\?'"),
        ("[MAX 3 12  ]\t4", "every symbol .* Received: '12'"),
    ],
)
def test_malformed_rows_are_located(small, row, message):
    for name in ("basic_train.tsv", "basic_val.tsv", "basic_test.tsv"):
        (small / name).write_text(f"Source\tTarget\n[MAX 1 2 ]\t2\n{row}\n")
    with pytest.raises(ValueError, match=f"File .*basic_val.tsv, row 3: {message}"):
        lra_listops.load("validation", small)


def write_official(folder, content):
    for name in ("basic_train.tsv", "basic_val.tsv", "basic_test.tsv"):
        (folder / name).write_bytes(content)


def test_a_target_that_is_no_text_is_located(small):
    write_official(small, b"Source\tTarget\n[MAX 1 2 ]\t\xff\n")
    with pytest.raises(ValueError, match="basic_test.tsv, row 2: expected a target .* Received: "):
        lra_listops.load("test", small)


def test_an_empty_file_is_named(small):
    write_official(small, b"")
    with pytest.raises(ValueError, match="basic_test.tsv: expected the header .*Received: an"):
        lra_listops.load("test", small)
    write_official(small, b"Source\tTarget\n")
    assert lra_listops.load("test", small)[0].shape == (0, 2000)


@pytest.mark.parametrize("examples", [-1, 2, 99])
def test_more_examples_than_an_official_file_has(small, examples):
    write_official(small, b"Source\tTarget\n[MAX 1 2 ]\t2\n")
    message = f"between 0 and 1, the number of rows in .*basic_test.tsv. Received: {examples}"
    with pytest.raises(ValueError, match=message):
        lra_listops.load("test", small, examples=examples)
    for enough in (0, 1):
        assert len(lra_listops.load("test", small, examples=enough)[1]) == enough


def test_a_missing_header_is_located(small):
    for name in ("basic_train.tsv", "basic_val.tsv", "basic_test.tsv"):
        (small / name).write_text("[MAX 1 2 ]\t2\n")
    with pytest.raises(ValueError, match="basic_test.tsv, row 1: expected the header"):
        lra_listops.load("test", small)
