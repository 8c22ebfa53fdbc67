"""What a GGUF file says about itself, and files that are none."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.embedded.engine import facts_of, find_demo_model
from exporter.embedded.gguf import read_header
from exporter.errors import BadDataError


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


PAIRS = (
    pair("general.architecture", 8, text("qwen2")),
    pair("general.name", 8, text("Tiny")),
    pair("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 2) + text("a") + text("bc")),
    pair("tokenizer.ggml.scores", 9, struct.pack("<IQ", 6, 3) + struct.pack("<3f", 1, 2, 3)),
    pair("qwen2.context_length", 4, struct.pack("<I", 32768)),
    pair("general.file_type", 4, struct.pack("<I", 15)),
    pair("general.size_label", 8, text("7B")),
    pair("tokenizer.ggml.add_bos_token", 7, b"\x01"),
)
WHOLE = b"GGUF" + struct.pack("<IQQ", 3, 0, len(PAIRS)) + b"".join(PAIRS)


def test_the_header_tells_what_the_model_is(tmp_path: Path) -> None:
    path = tmp_path / "Tiny-7B-Q4_K_M.gguf"
    path.write_bytes(WHOLE)
    header = read_header(path)
    assert (header.architecture, header.name, header.size_label) == ("qwen2", "Tiny", "7B")
    assert (header.quantization, header.context_length, header.size_bytes) == ("Q4_K_M", 32768, len(WHOLE))


def test_the_key_is_the_file_name_without_its_quantization(tmp_path: Path) -> None:
    path = tmp_path / "Tiny-7B-Q4_K_M.gguf"
    path.write_bytes(WHOLE)
    facts = facts_of(path)
    assert (facts.key, facts.bits_per_weight, facts.params_string) == ("tiny-7b", 4, "7B")


def test_the_demo_model_is_found_and_read() -> None:
    facts = facts_of(find_demo_model())
    assert (facts.key, facts.architecture, facts.quantization) == ("smollm2-135m-instruct", "llama", "Q4_1")
    assert facts.max_context_length == 8192


@given(cut=st.integers(0, len(WHOLE) - 1))
def test_a_file_that_ends_too_early_is_refused_with_its_name(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("gguf") / "half.gguf"
    path.write_bytes(WHOLE[:cut])
    with pytest.raises(BadDataError, match=r"half\.gguf"):
        read_header(path)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"PK\x03\x04 a zip file", "letters GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 40), "metadata pairs"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair("x", 77, b""), "value type 77"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 60), "elements"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair("x", 9, struct.pack("<IQ", 9, 1)), "array within"),
    ],
)
def test_what_is_no_usable_gguf_file_says_why(data: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    with pytest.raises(BadDataError, match=why):
        read_header(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=r"nowhere\.gguf: cannot read"):
        read_header(tmp_path / "nowhere.gguf")
