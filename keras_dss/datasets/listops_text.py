"""ListOps expressions as text and as token codes, and their values."""

import numpy as np

from keras_dss.datasets.labels import UNKNOWN
from keras_dss.datasets.listops_generator import (
    CLOSE,
    MAX,
    MAX_LENGTH,
    MED,
    MIN,
    SM,
    apply_operators,
)

VOCABULARY_SIZE = 16
ROWS = 4096  # expressions that are evaluated at once
SYMBOLS = ("", *"0123456789", "[MIN", "[MAX", "[MED", "[SM", "]")  # by token code; 0 is padding
_CODES = {symbol: code for code, symbol in enumerate(SYMBOLS) if symbol}
_OPERATORS = ((b"[MIN", b"\xfb"), (b"[MAX", b"\xfc"), (b"[MED", b"\xfd"), (b"[SM", b"\xfe"))
_TABLE = bytearray(b"\xff" * 256)  # from bytes to token codes
for _byte, _code in zip(b"0123456789\xfb\xfc\xfd\xfe]", range(1, 16), strict=True):
    _TABLE[_byte] = _code


def encode(raw):
    """Returns expressions as padded token codes.

    Symbols are separated by spaces. The official spelling, `( ( ( [MAX 3 ) 4 ) ] )`, and the
    short one without parentheses, `[MAX 3 4 ]`, give the same tokens.

    Args:
        raw: a string, or a sequence of n strings.

    Returns:
        uint8 (2000,) for one string, (n, 2000) for a sequence.

    Raises:
        TypeError: for what is no string and no sequence.
        ValueError: if a symbol is unknown or an expression is longer than 2000 tokens.

    Example:

    >>> encode("[MAX 3 4 ]")[:6]
    array([12,  4,  5, 15,  0,  0], dtype=uint8)
    """
    if isinstance(raw, str | bytes):
        return encode([raw])[0]
    if not hasattr(raw, "__len__"):
        raise TypeError(f"Expected an expression, or several. Received: one {type(raw).__name__}")
    x = np.zeros((len(raw), MAX_LENGTH), np.uint8)
    for i, text in enumerate(raw):
        try:
            codes = encode_bytes(text)
        except ValueError as error:
            raise ValueError(f"Expression {i}: {error}") from None
        x[i, : len(codes)] = np.frombuffer(codes, np.uint8)
    return x


def encode_bytes(text):
    """Returns the token codes of one expression as bytes, without padding.

    This is fast where single spaces separate the symbols, as in the official files.
    """
    if isinstance(text, str):
        text = text.encode()
    short = text
    for symbol, code in _OPERATORS:
        short = short.replace(symbol, code)
    # With single spaces every other byte is a symbol.
    codes, between = short[::2].translate(_TABLE, b"()"), short[1::2]
    if b"\xff" in codes or between.strip(b" ") or not text.isascii():
        words = text.decode(errors="replace").split()
        found = [symbol for symbol in words if symbol not in "()"]
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
    symbols = [SYMBOLS[code] for code in tokens[tokens > 0].tolist()]
    return " ".join(_parenthesise(symbols) if parentheses else symbols)


def _parenthesise(symbols):
    """The symbols with their parentheses: k + 1 open before an operator with k arguments.

    One closes after each argument, and one after the closing bracket.
    """
    result, opened = [], []  # positions in the result of the operators that are open
    for symbol in symbols:
        if symbol[0] == "[":
            opened.append(len(result))
            result.append("( " + symbol)
            continue
        if symbol == "]" and opened:
            opened.pop()
            symbol = "] )"
        if opened:
            result[opened[-1]] = "( " + result[opened[-1]]
            symbol += " )"
        result.append(symbol)
    return result


def evaluate_so_far(x):
    """Returns the value that every expression in expressions has at each of its arguments.

    Args:
        x: uint8 (n, L), whole expressions, padded with 0.

    Returns:
        uint8 (n, L), values 0 to 9: at a digit, and at the bracket that closes an argument, the
        value that the expression around it would have if it ended there; at an operator, the value
        that the whole would have if it ended before the argument that holds it. 255 elsewhere: at
        the operators up to the whole's first argument, at the last bracket and in the padding.

    Raises:
        ValueError: if a row is not one complete expression.

    Example:

    >>> evaluate_so_far(encode(["[SM 3 [MIN 2 4 ] 9 ]"]))[0, :9]
    array([255,   3,   3,   2,   2,   5,   4, 255, 255], dtype=uint8)
    """
    x = np.asarray(x)
    parts = [_evaluate_so_far(x[row : row + ROWS]) for row in range(0, len(x), ROWS)]
    return np.concatenate([np.zeros((0, x.shape[1]), np.uint8), *parts])


def _evaluate_so_far(x):
    tokens = x.reshape(-1)
    operator = (tokens >= MIN) & (tokens <= SM)
    opened = operator.astype(np.int8) - (tokens == CLOSE).astype(np.int8)
    # of each token: how many operators are open where it stands, itself not counted
    depth = np.cumsum(opened.reshape(x.shape), axis=1, dtype=np.int16)
    roots = np.count_nonzero((depth == 0) & (x > 0), axis=1)  # ends of what no operator holds
    wrong = (depth[:, -1:] != 0).any(axis=1) | (depth < 0).any(axis=1) | (roots != 1)
    if wrong.any():
        raise ValueError(
            "Expected one complete expression in each row. "
            f"Received: {decode(x[wrong.argmax()])[:60]!r}"
        )
    depth = depth.reshape(-1) - operator
    values, result = np.zeros(tokens.size, np.uint8), np.full(tokens.size, UNKNOWN, np.uint8)
    digit, close = (tokens >= 1) & (tokens <= 10), tokens == CLOSE
    starts, ends = np.zeros((2, 0), np.int64)  # of the arguments of a depth, in their order
    for level in range(int(depth.max(initial=-1)), -1, -1):
        there = depth == level
        operators = np.flatnonzero(there & operator)
        if operators.size:
            first = np.searchsorted(starts, operators)
            count = np.diff(first, append=starts.size)
            if not count.all():
                raise ValueError("Expected an argument for every operator. Received: none for one")
            arguments = np.where(operator[starts], values[starts], tokens[starts] - np.uint8(1))
            symbols = np.repeat(tokens[operators], count)
            size = np.arange(starts.size) - np.repeat(first, count) + 1  # of the arguments so far
            begin = np.cumsum(size) - size
            so_far = np.arange(size.sum()) + np.repeat(np.repeat(first, count) - begin, size)
            found = apply_operators(symbols, size.astype(np.uint8), arguments[so_far])
            result[ends] = found
            values[operators] = found[first + count - 1]
        starts = np.flatnonzero(there & (digit | operator))
        ends = np.flatnonzero(there & (digit | close))
    _fill_operators(result, (depth == 1) & (digit | close), operator, x.shape)
    return result.reshape(x.shape)


def _fill_operators(result, of_whole, operator, shape):
    """Set what is known at operators: the value at the last argument of the whole before them."""
    position = np.where(of_whole, np.arange(result.size), -1).reshape(shape)
    last = np.maximum.accumulate(position, axis=1).reshape(-1)
    known = operator & (last >= 0)
    result[known] = result[last[known]]


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
        MIN: min,
        MAX: max,
        MED: lambda digits: int(np.median(digits)),
        SM: lambda digits: sum(digits) % 10,
    }
    stack = [[None]]  # one list for each open operator: itself, then the values of its arguments
    for token in np.trim_zeros(np.asarray(tokens), "b").tolist():
        if token in functions:
            stack.append([functions[token]])
        elif token == CLOSE and len(stack) > 1 and len(stack[-1]) > 1:
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
