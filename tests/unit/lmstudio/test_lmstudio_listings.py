import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.lmstudio.listings import MAX_MODELS, is_llama_cpp, parse_openai, parse_v0, parse_v1, with_props
from exporter.lmstudio.wire import Model

GOLDEN = Path(__file__).parents[2] / "golden" / "lmstudio" / "lists"
PARSERS = {"v1": parse_v1, "v0": parse_v0, "openai": parse_openai}


def golden(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_golden_lists(path):
    case = golden(path)
    assert PARSERS[case["api"]](case["document"]) == tuple(Model(**model) for model in case["models"])


@pytest.mark.parametrize(
    ("name", "takers"),
    [
        ("v1_full", {"v1"}),
        ("v1_empty", {"v1"}),
        ("v0_full", {"v0", "openai"}),
        ("openai_lmstudio", {"openai"}),
        ("openai_llamacpp", {"openai"}),
        ("openai_others", {"openai"}),
    ],
)
def test_a_list_is_known_by_its_content(name, takers):
    """Only the v0 list is a valid OpenAI list too, by its design."""
    document = golden(GOLDEN / f"{name}.json")["document"]
    assert {api for api, parse in PARSERS.items() if parse(document) is not None} == takers


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"error": "Unexpected endpoint or method. (GET /api/v1/models)"}, id="200 with an error"),
        pytest.param({"models": None, "data": None}, id="null"),
        pytest.param({"models": {}, "data": "x"}, id="other types"),
        pytest.param({"models": [{"name": "llama3:8b", "model": "llama3:8b"}]}, id="Ollama's list"),
        pytest.param({"data": [{"name": "x"}], "models": [1, None]}, id="rows without a name"),
        pytest.param([], id="an array"),
        pytest.param(None, id="no document"),
        pytest.param("text", id="a string"),
    ],
)
def test_what_is_no_list(document):
    assert [parse(document) for parse in PARSERS.values()] == [None, None, None]


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.just("\ud800")
    | st.just(10**400),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "key",
                    "state",
                    "type",
                    "config",
                    "loaded_instances",
                    "quantization",
                    "capabilities",
                    "meta",
                    "status",
                    "value",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=15,
)


@given(st.sampled_from(["models", "data"]), st.lists(VALUES, max_size=5))
def test_no_document_breaks_a_parser_and_every_name_can_be_a_label(key, rows):
    for parse in PARSERS.values():
        models = parse({key: rows}) or ()
        assert len({model.id for model in models}) == len(models)
        for model in models:
            assert model.id
            assert model.key
            f"{model.id} {model.key} {model.publisher} {model.architecture} {model.quantization} {model.format}".encode()


def test_the_number_of_models_is_bounded():
    assert len(parse_openai({"data": [{"id": f"m{n}"} for n in range(MAX_MODELS + 50)]})) == MAX_MODELS


PROPS = {
    "default_generation_settings": {"n_ctx": 1024, "params": {}},
    "total_slots": 4,
    "modalities": {"vision": True, "audio": False},
    "build_info": "b7777-abc",
}


def test_llama_cpp_props_complete_its_only_model():
    (model,) = with_props(parse_openai(golden(GOLDEN / "openai_llamacpp.json")["document"]), PROPS)
    assert (model.context_length, model.max_context_length, model.parallel_slots) == (1024, 8192, 4)
    assert (model.kind, model.vision) == ("vlm", True)


@pytest.mark.parametrize("props", [{}, {"default_generation_settings": None, "total_slots": "x", "modalities": []}])
def test_props_that_say_nothing_change_nothing(props):
    models = parse_openai(golden(GOLDEN / "openai_llamacpp.json")["document"])
    assert with_props(models, props) == models


def test_props_of_a_router_speak_of_no_model_in_particular():
    models = parse_openai(golden(GOLDEN / "openai_others.json")["document"])
    assert with_props(models, PROPS) == models


def test_llama_cpp_is_told_from_others():
    assert is_llama_cpp(golden(GOLDEN / "openai_llamacpp.json")["document"])
    assert not is_llama_cpp(golden(GOLDEN / "openai_lmstudio.json")["document"])
