"""ListOps of Long Range Arena: the value of a nested expression of digits and list operators.

    [MAX 4 3 [MIN 2 3 ] 1 0 [MED 1 5 8 9 2 ] ]   ->   5

Ten classes, expressions of 501 to 1999 tokens, 96,000 / 2,000 / 2,000 examples. The official
files are read where the user has them, otherwise the data is generated with the distribution of
the official generator.

Source: Nangia & Bowman, "ListOps: A Diagnostic Dataset for Latent Tree Learning", 2018, arXiv
1804.06028; Tay et al., "Long Range Arena", 2021, arXiv 2011.04006.
"""

import csv
import os
from pathlib import Path

import numpy as np

from keras_dss.datasets import listops_generator
from keras_dss.datasets.paths import cache_folder, check_split, data_folder, replacing

NUM_CLASSES = 10
VOCABULARY_SIZE = 16
MAX_LENGTH = listops_generator.MAX_LENGTH
SPLITS = {"train": 96_000, "validation": 2_000, "test": 2_000}

SYMBOLS = ("", *"0123456789", "[MIN", "[MAX", "[MED", "[SM", "]")  # by token code; 0 is padding
_CODES = {symbol: code for code, symbol in enumerate(SYMBOLS) if symbol}
_OPERATORS = ((b"[MIN", b"\x0b"), (b"[MAX", b"\x0c"), (b"[MED", b"\x0d"), (b"[SM", b"\x0e"))
_TABLE = bytes.maketrans(b"0123456789]", bytes(range(1, 11)) + b"\x0f")
_OFFICIAL = {"train": "basic_train.tsv", "validation": "basic_val.tsv", "test": "basic_test.tsv"}
_HEADER = ["Source", "Target"]


def load(
    split,
    data_dir=None,
    *,
    examples=None,
    cache_dir=None,
    seed=0,
    workers=None,
    progress=True,
):
    """Returns one split as arrays `(x, y)`.

    The official files `basic_train.tsv`, `basic_val.tsv` and `basic_test.tsv` are read if
    `data_dir` holds them, directly or in a folder `listops-1000` or `lra_listops`. Otherwise
    expressions are generated: from `seed` alone, whatever the number of workers. A whole
    generated split is kept in `cache_dir`.

    Args:
        split: `"train"`, `"validation"` (or `"val"`) or `"test"`.
        data_dir: folder of the official copy. Defaults to the environment variable
            `KERAS_DSS_DATA_DIR`.
        examples: only the first so many examples of the split, without generating the others.
        cache_dir: folder for generated splits. Defaults to the environment variable
            `KERAS_DSS_CACHE_DIR`, else `keras_dss` in the folder of Keras (`~/.keras`).
        seed: non-negative int, for generated data.
        workers: threads for the generation. Defaults to the number of processors, at most 8.
        progress: whether to show a progress bar while generating.

    Returns:
        x: uint8 (n, 2000), tokens below `VOCABULARY_SIZE`, padded with 0 on the right.
        y: uint8 (n,), values 0 to 9.

    Raises:
        ValueError: for an unknown split, more examples than there are, or a malformed official
            file.
        FileNotFoundError: if only some of the official files are there.

    Example:

    >>> from keras_dss.datasets import lra_listops
    >>> x, y = lra_listops.load("test", examples=2)
    >>> x.shape, x.dtype, y.shape
    ((2, 2000), dtype('uint8'), (2,))
    >>> lra_listops.evaluate(x[0]) == int(y[0])
    True
    """
    split = check_split(split, SPLITS)
    official = _find_official(data_dir)
    if official:
        return _read_tsv(official / _OFFICIAL[split], examples)

    total = SPLITS[split]
    if examples is not None and not 0 <= examples <= total:
        raise ValueError(
            f"`examples` must be between 0 and {total}, the size of split {split!r}. "
            f"Received: {examples}"
        )
    path = _cache_path(split, seed, cache_dir)
    if path.exists():
        x, y = _read_cache(path)
        return (x, y) if examples is None else (x[:examples], y[:examples])
    if examples is not None and examples < total:
        return _generate({split: examples}, seed, workers, progress)[split]

    # The small splits come with the large one, and all expressions are compared.
    wanted = SPLITS if split == "train" else {split: total}
    data = _generate(wanted, seed, workers, progress)
    duplicates = listops_generator.count_duplicates(np.concatenate([x for x, _ in data.values()]))
    if duplicates:
        raise RuntimeError(
            f"Seed {seed} gives {duplicates} expressions twice; choose another seed."
        )
    for name, (x, y) in data.items():
        _write_cache(_cache_path(name, seed, cache_dir), x, y)
    return data[split]


def encode(raw):
    """Returns expressions as padded token codes.

    Symbols are separated by spaces. The official spelling, `( ( ( [MAX 3 ) 4 ) ] )`, and the
    short one without parentheses, `[MAX 3 4 ]`, give the same tokens.

    Args:
        raw: a string, or a sequence of n strings.

    Returns:
        uint8 (2000,) for one string, (n, 2000) for a sequence.

    Raises:
        ValueError: if a symbol is unknown or an expression is longer than 2000 tokens.

    Example:

    >>> encode("[MAX 3 4 ]")[:6]
    array([12,  4,  5, 15,  0,  0], dtype=uint8)
    """
    if isinstance(raw, str | bytes):
        return encode([raw])[0]
    x = np.zeros((len(raw), MAX_LENGTH), np.uint8)
    for i, text in enumerate(raw):
        try:
            codes = _encode_one(text)
        except ValueError as error:
            raise ValueError(f"Expression {i}: {error}") from None
        x[i, : len(codes)] = np.frombuffer(codes, np.uint8)
    return x


def _encode_one(text):
    """Token codes as bytes; fast where single spaces separate the symbols, as officially."""
    if isinstance(text, str):
        text = text.encode()
    codes = text
    for symbol, code in _OPERATORS:
        codes = codes.replace(symbol, code)
    codes = codes.translate(_TABLE, b" ()")
    symbols = len(codes) + text.count(b"(") + text.count(b")")
    if not codes or max(codes) > 15 or symbols != text.count(b" ") + 1:
        found = [symbol for symbol in text.decode().split() if symbol not in "()"]
        unknown = [symbol for symbol in found if symbol not in _CODES]
        if unknown:
            raise ValueError(
                f"every symbol must be one of {' '.join(_CODES)} ( ), separated by spaces. "
                f"Received: {unknown[0]!r}"
            )
        codes = bytes(_CODES[symbol] for symbol in found)
    if len(codes) > MAX_LENGTH:
        raise ValueError(f"at most {MAX_LENGTH} tokens are allowed. Received: {len(codes)}")
    return codes


def decode(tokens, parentheses=False):
    """Returns token codes as text, the inverse of `encode`.

    Args:
        tokens: ints (L,) or (n, L), padded with 0.
        parentheses: whether to write the parentheses of the official files.

    Returns:
        A string, or a list of n strings.

    Example:

    >>> decode(encode("[MAX 3 4 ]"), parentheses=True)
    '( ( ( [MAX 3 ) 4 ) ] )'
    """
    tokens = np.asarray(tokens)
    if tokens.ndim > 1:
        return [decode(row, parentheses) for row in tokens]
    symbols = [SYMBOLS[code] for code in tokens[tokens > 0]]
    return " ".join(_parenthesise(symbols) if parentheses else symbols)


def _parenthesise(symbols):
    """An operator with k arguments is `k + 1` nested pairs: ( ( ( operator a_1 ) ... a_k ) ] )."""
    result, opened = [], []
    for symbol in symbols:
        if symbol.startswith("["):
            opened.append(len(result))
            result.append([symbol])
            continue
        if symbol == "]":
            part = [item for piece in result[opened[-1] :] for item in piece]
            del result[opened.pop() :]
            part = ["(", *part, "]", ")"]
        else:
            part = [symbol]
        if opened:
            result[opened[-1]].insert(0, "(")
            part = [*part, ")"]
        result.append(part)
    return [item for piece in result for item in piece]


def evaluate(tokens):
    """Returns the value, 0 to 9, of one expression given as token codes (L,) or as text.

    MED is the median rounded down, SM the sum modulo 10.

    Raises:
        ValueError: if the tokens are not one complete expression.

    Example:

    >>> evaluate("[SM 7 [MED 1 2 8 9 ] 9 ]")
    1
    """
    if isinstance(tokens, str | bytes):
        tokens = encode(tokens)
    functions = {
        listops_generator.MIN: min,
        listops_generator.MAX: max,
        listops_generator.MED: lambda digits: int(np.median(digits)),
        listops_generator.SM: lambda digits: sum(digits) % 10,
    }
    stack = [[None]]  # one list for each open operator: itself, then the values of its arguments
    for token in np.trim_zeros(np.asarray(tokens), "b").tolist():
        if token in functions:
            stack.append([functions[token]])
        elif token == listops_generator.CLOSE and len(stack) > 1 and len(stack[-1]) > 1:
            function, *arguments = stack.pop()
            stack[-1].append(function(arguments))
        elif 1 <= token <= 10:
            stack[-1].append(token - 1)
        else:
            raise ValueError(
                f"Expected a digit, an operator or the end of one. Received: token {token}"
            )
    if len(stack) != 1 or len(stack[0]) != 2:
        raise ValueError(
            "Expected one complete expression. "
            f"Received: {len(stack[0]) - 1} complete, {len(stack) - 1} operators left open"
        )
    return stack[0][1]


def write_tsv(directory, data_dir=None, **options):
    """Writes the three splits in the official layout and returns the paths.

    Args:
        directory: folder, created if missing.
        data_dir: see `load`, as all further keyword arguments.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for split, name in _OFFICIAL.items():
        x, y = load(split, data_dir, **options)
        with replacing(directory / name) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.writer(file, delimiter="\t")
            writer.writerow(_HEADER)
            writer.writerows(
                (decode(row, parentheses=True), int(label)) for row, label in zip(x, y, strict=True)
            )
        paths.append(directory / name)
    return paths


def _find_official(data_dir):
    """The folder that holds the official files, or None."""
    root = data_folder(data_dir)
    for folder in [] if root is None else [root, root / "listops-1000", root / "lra_listops"]:
        missing = [name for name in _OFFICIAL.values() if not (folder / name).exists()]
        if not missing:
            return folder
        if len(missing) < len(_OFFICIAL):
            raise FileNotFoundError(
                f"Folder {folder} holds only a part of the official ListOps files. "
                f"Missing: {', '.join(missing)}"
            )
    return None


def _read_tsv(path, examples=None):
    tokens, values = [], []
    with open(path, "rb") as file:
        for row, line in enumerate(file, start=1):
            columns = line.rstrip(b"\r\n").split(b"\t")
            where = f"File {path}, row {row}:"
            if len(columns) != 2:
                raise ValueError(
                    f"{where} expected 2 columns separated by a tab, {' and '.join(_HEADER)}. "
                    f"Received: {len(columns)} columns"
                )
            if row == 1:
                if columns != [name.encode() for name in _HEADER]:
                    raise ValueError(f"{where} expected the header {_HEADER}. Received: {columns}")
                continue
            if examples is not None and len(tokens) == examples:
                break
            if columns[1] not in (b"%d" % value for value in range(NUM_CLASSES)):
                raise ValueError(
                    f"{where} expected a target 0 to 9. Received: {columns[1].decode()!r}"
                )
            try:
                tokens.append(_encode_one(columns[0]))
            except ValueError as error:
                raise ValueError(f"{where} {error}") from None
            values.append(int(columns[1]))
    x = np.zeros((len(tokens), MAX_LENGTH), np.uint8)
    for row, codes in zip(x, tokens, strict=True):
        row[: len(codes)] = np.frombuffer(codes, np.uint8)
    return x, np.array(values, np.uint8)


def _generate(sizes, seed, workers, progress):
    """Dict of split -> (x, y) with the first `sizes[split]` expressions of each split."""
    from rich.console import Console
    from rich.progress import Progress

    workers = workers or min(os.cpu_count() or 1, 8)
    console = Console(stderr=True)
    shown = progress and console.is_terminal
    with Progress(console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task("Generating ListOps", total=sum(sizes.values()))
        return {
            split: listops_generator.generate(
                seed,
                list(SPLITS).index(split),
                size,
                workers,
                lambda count: bar.advance(task, count),
            )
            for split, size in sizes.items()
        }


def _cache_path(split, seed, cache_dir):
    version = listops_generator.GENERATOR_VERSION
    name = f"lra_listops-v{version}-seed{seed}-{split}-{SPLITS[split]}.npz"
    return cache_folder(cache_dir) / name


def _write_cache(path, x, y):
    """Expressions one after another, without their padding."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, tokens=x[x > 0], lengths=np.count_nonzero(x, axis=1).astype(np.uint16), y=y)


def _read_cache(path):
    with np.load(path, allow_pickle=False) as data:
        tokens, lengths, y = data["tokens"], data["lengths"], data["y"]
    x = np.zeros((len(lengths), MAX_LENGTH), np.uint8)
    x[np.arange(MAX_LENGTH, dtype=np.uint16) < lengths[:, None]] = tokens
    return x, y
