import numpy as np
import pytest

from keras_dss.datasets import byte_text


def test_every_byte_survives():
    text = bytes(range(256))
    codes = byte_text.encode([text], 300)
    assert codes.shape == (1, 300) and codes.dtype == np.uint16
    np.testing.assert_array_equal(codes[0, :256], np.arange(1, 257))
    assert not codes[0, 256:].any()
    assert byte_text.decode(codes) == [text]
    assert codes.max() < byte_text.VOCABULARY_SIZE


def test_strings_are_utf8():
    np.testing.assert_array_equal(byte_text.encode(["é€"], 8), byte_text.encode(["é€".encode()], 8))
    assert byte_text.decode(byte_text.encode_one("é€")).decode() == "é€"
    lone = byte_text.decode(byte_text.encode(["a\ud800"], 8))[0]
    assert lone.decode(errors="surrogatepass") == "a\ud800"


def test_lengths():
    codes = byte_text.encode(["", "abc", np.str_("abcdef")], 4)
    assert byte_text.decode(codes) == [b"", b"abc", b"abcd"]
    assert byte_text.encode([], 4).shape == (0, 4)
    np.testing.assert_array_equal(byte_text.encode_one("abcdef")[:4], codes[2])
    assert byte_text.encode_one("").shape == (0,) and codes.dtype == byte_text.encode_one("").dtype


@pytest.mark.parametrize("single", ["abc", b"abc", 3, None])
def test_a_single_text_is_no_sequence(single):
    with pytest.raises(TypeError, match="Expected a sequence of texts. Received: one"):
        byte_text.encode(single, 4)


def test_errors():
    with pytest.raises(TypeError, match="string or bytes. Received: int"):
        byte_text.encode([3], 4)
    with pytest.raises(ValueError, match="codes 0 to 256. Received: 0 to 257"):
        byte_text.decode([257, 0])
