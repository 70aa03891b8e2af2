"""Random ListOps expressions, drawn, written and evaluated a thousand at a time.

An expression is a tree. A node is an operator with probability 1/4 (never at depth 10), else a
digit; an operator has 2 to 10 arguments. Its length counts the operator, its closing bracket and
its arguments: `[MAX 3 4 ]` has length 4. Only lengths strictly between 500 and 2000 are accepted,
or between a fourth of another `max_length` and that, for easier expressions.
Trees are drawn level by level, for many expressions at once, and symbols only for accepted ones.

This is the distribution of Long Range Arena (Tay et al., 2021, arXiv 2011.04006), there drawn
node by node. A root that is a digit is always rejected for its length, so every root here is an
operator.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np

GENERATOR_VERSION = 1
MAX_LENGTH = 2000  # exclusive, as is a fourth of it, the least
MAX_DEPTH = 10
MAX_ARGUMENTS = 10
CHUNK = 250  # expressions that share one stream of random numbers
CANDIDATES = 1000  # trees drawn at a time, of which about a quarter is accepted

# 0 is padding, 1..10 are the digits, then the operators and the closing bracket.
MIN, MAX, MED, SM, CLOSE = 11, 12, 13, 14, 15


def _draw_shapes(rng, max_length):
    """Levels of the accepted trees among `CANDIDATES`, root level first.

    Each level is a pair: `operator`, bool (nodes,), and `arguments`, the number of children of each
    operator. The children of a level's operators, in order, are the nodes of the next level.
    """
    operator = np.ones(CANDIDATES, bool)
    tree = np.arange(CANDIDATES, dtype=np.int32)
    length = np.full(CANDIDATES, 2)
    levels = []
    for depth in range(2, MAX_DEPTH + 2):
        arguments = rng.integers(2, MAX_ARGUMENTS + 1, np.count_nonzero(operator), np.uint8)
        levels.append((tree, operator, arguments))
        if not arguments.size:
            break
        tree = np.repeat(tree[operator], arguments)
        if depth < MAX_DEPTH:
            operator = rng.integers(0, 4, tree.size, np.uint8) == 0
        else:
            operator = np.zeros(tree.size, bool)
        length += np.bincount(tree, minlength=CANDIDATES)
        length += np.bincount(tree[operator], minlength=CANDIDATES)
        operator &= (length < max_length)[tree]  # a tree already too long grows no further

    accepted = (length > max_length // 4) & (length < max_length)
    return [
        (operator[accepted[tree]], arguments[accepted[tree[operator]]])
        for tree, operator, arguments in levels
    ]


def _first_children(arguments):
    return np.cumsum(arguments, dtype=np.int64) - arguments


def apply_operators(operators, arguments, values):
    """Values of operators (m,); the arguments, `arguments` (m,) of each, follow in `values`."""
    first = _first_children(arguments)
    result = np.empty(operators.size, np.uint8)
    for code, function in ((MIN, np.minimum), (MAX, np.maximum)):
        chosen = operators == code
        result[chosen] = function.reduceat(values, first)[chosen]
    chosen = operators == SM
    result[chosen] = np.add.reduceat(values, first, dtype=np.uint8)[chosen] % 10  # at most 90

    # The median of an even number of digits is the mean of the middle two, rounded down.
    chosen = operators == MED
    count = arguments[chosen].astype(np.int64)
    owner = np.repeat(np.arange(count.size, dtype=np.int32), count)
    ordered = np.sort(owner * 16 + values[np.repeat(chosen, arguments)]) % 16
    first = _first_children(count)
    result[chosen] = (ordered[first + (count - 1) // 2] + ordered[first + count // 2]) // 2
    return result


def _write(levels, rng, max_length):
    """Tokens (n, max_length) and values (n,), both uint8, of trees with the shapes `levels`."""
    tokens, sizes, values = [], [], []
    value = size = np.zeros(0, np.uint8)
    for operator, arguments in reversed(levels):
        token = rng.integers(1, 11, operator.size, np.uint8)
        token[operator] = rng.integers(MIN, SM + 1, arguments.size, np.uint8)
        child_value, child_size = value, size
        value = token - np.uint8(1)
        size = np.ones(operator.size, np.int32)
        if arguments.size:
            value[operator] = apply_operators(token[operator], arguments, child_value)
            size[operator] = 2 + np.add.reduceat(child_size, _first_children(arguments))
        tokens.append(token)
        sizes.append(size)
        values.append(value)

    rows = levels[0][0].size
    x = np.zeros(rows * max_length, np.uint8)
    start = np.arange(rows) * max_length
    sizes = sizes[::-1]
    child_sizes = sizes[1:] + [sizes[0][:0]]
    for (operator, arguments), token, size, child_size in zip(
        levels, tokens[::-1], sizes, child_sizes, strict=True
    ):
        x[start] = token
        start, size = start[operator], size[operator]
        x[start + size - 1] = CLOSE
        before = np.cumsum(child_size) - child_size
        start = np.repeat(start + 1 - before[_first_children(arguments)], arguments) + before
    return x.reshape(rows, max_length), values[-1]


def generate_chunk(seed, split, chunk, max_length=None):
    """Chunk number `chunk` of split number `split`: tokens (250, 2000), values (250,), uint8.

    With a `max_length` the tokens are (250, max_length).
    """
    kind = () if max_length is None else (max_length,)
    max_length = max_length or MAX_LENGTH
    stream = np.random.SeedSequence(seed, spawn_key=(split, chunk, *kind))
    rng = np.random.Generator(np.random.PCG64(stream))
    x, y, rows = [], [], 0
    while rows < CHUNK:
        tokens, values = _write(_draw_shapes(rng, max_length), rng, max_length)
        x.append(tokens)
        y.append(values)
        rows += values.size
    return np.concatenate(x)[:CHUNK], np.concatenate(y)[:CHUNK]


def generate(seed, split, examples, workers=1, progress=None, max_length=None):
    """The first `examples` expressions of a split.

    Whatever `workers` and `examples`, expression i is the same: number i % 250 of chunk i // 250.
    Every chunk has its own stream of random numbers, a child of `seed`.

    Args:
        seed: non-negative int.
        split: int, the number of the split.
        examples: how many expressions.
        workers: threads that share the chunks.
        progress: function called with the number of expressions done since the last call.
        max_length: int, for easier expressions.

    Returns:
        Tokens, uint8 (examples, max_length or 2000), padded with 0, and values, uint8 (examples,).
    """
    x = np.zeros((examples, max_length or MAX_LENGTH), np.uint8)
    y = np.zeros(examples, np.uint8)

    def fill(chunk):
        rows = slice(chunk * CHUNK, min((chunk + 1) * CHUNK, examples))
        tokens, values = generate_chunk(seed, split, chunk, max_length)
        count = rows.stop - rows.start
        x[rows], y[rows] = tokens[:count], values[:count]
        return count

    with ThreadPoolExecutor(workers) as pool:
        for count in pool.map(fill, range(-(-examples // CHUNK))):
            if progress:
                progress(count)
    return x, y


def count_duplicates(x):
    """How many rows of x repeat an earlier row."""
    rows = np.ascontiguousarray(x)
    digests = {hashlib.blake2b(row.data, digest_size=16).digest() for row in rows}
    return len(x) - len(digests)
