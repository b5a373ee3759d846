import hashlib
import json
import shutil
import threading
from pathlib import Path

import pytest
from onnx import TensorProto, load_model_from_string

from deepfake_detector.core.errors import (
    ExportError,
    ModelError,
    ModelNotFoundError,
    ModelSchemaError,
    ModelTamperedError,
    UnsafeModelError,
)
from deepfake_detector.scoring import bundle as bundle_module
from deepfake_detector.scoring import shipped
from deepfake_detector.scoring.bundle import CARD_FILE, MODEL_FILE, load_bundle, pin_of, read_card, write_bundle
from deepfake_detector.scoring.shipped import ShippedPin


@pytest.fixture
def folder(tiny_bundle, tmp_path):
    """A copy of the tiny bundle that a test may spoil."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


@pytest.fixture
def ships_tiny(folder, monkeypatch):
    """As if the tiny bundle came with the package, as the default model."""
    monkeypatch.setattr(shipped, "MODELS_FOLDER", folder.parent)
    monkeypatch.setattr(shipped, "SHIPPED", {"copy": pin_of(folder)})
    monkeypatch.setattr(shipped, "DEFAULT_MODEL", "copy")
    return folder


def edit_card(folder, **changes):
    path = folder / CARD_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_model(folder, change):
    """Change the model's bytes and write the new hash on the card, as whoever made the bundle could."""
    path = folder / MODEL_FILE
    data = change(path.read_bytes())
    path.write_bytes(data)
    edit_card(folder, onnx_sha256=hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("spelling", [str, Path], ids=["text", "path"])
def test_a_folder_gives_its_card_and_its_model(folder, spelling):
    bundle = load_bundle(spelling(folder))
    assert bundle.card == read_card(folder)
    assert bundle.model == (folder / MODEL_FILE).read_bytes()
    assert bundle.path == folder
    assert bundle.info.name == "tiny"
    assert bundle.info.sha256 == hashlib.sha256(bundle.model).hexdigest()
    assert bundle.info.license == "MIT"


def test_a_bundle_does_not_print_its_bytes(folder):
    assert len(repr(load_bundle(folder))) < 3000


def test_nothing_there_names_the_shipped_models(tmp_path, ships_tiny):
    with pytest.raises(ModelNotFoundError, match=r"nowhere is no folder.*shipped model \(copy\)"):
        load_bundle(tmp_path / "nowhere")
    with pytest.raises(ModelNotFoundError, match="copi is no folder"):
        load_bundle("copi")


@pytest.mark.parametrize("name", ["a" * 5000, "null\0byte", ""])
def test_a_name_that_no_folder_can_have(name, tmp_path, monkeypatch, tiny_model, tiny_card):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelNotFoundError):
        load_bundle(name)
    if len(name) > 255:
        with pytest.raises(ExportError, match="cannot write"):
            write_bundle(Path(name), tiny_model(), tiny_card())


def test_a_file_is_no_bundle(folder):
    with pytest.raises(ModelNotFoundError, match="give the folder"):
        load_bundle(folder / MODEL_FILE)


@pytest.mark.parametrize("name", [MODEL_FILE, CARD_FILE])
def test_half_a_bundle_names_what_is_missing(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelNotFoundError, match=name):
        load_bundle(folder)


def test_without_a_shipped_model_the_default_says_so(monkeypatch):
    monkeypatch.setattr(shipped, "SHIPPED", {})
    with pytest.raises(ModelNotFoundError, match="without a default model"):
        load_bundle()


def test_shipped_models_load_by_name_and_by_default(ships_tiny):
    assert load_bundle() == load_bundle("copy")
    assert load_bundle("copy").path == ships_tiny


@pytest.mark.parametrize("name", [MODEL_FILE, CARD_FILE])
def test_a_changed_byte_in_a_shipped_bundle_is_seen(ships_tiny, name):
    path = ships_tiny / name
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ModelTamperedError, match=r"has SHA-256 \w+, expected"):
        load_bundle("copy")


def test_a_shipped_bundle_cannot_vouch_for_itself(ships_tiny):
    edit_model(ships_tiny, lambda data: data + b"\x00")
    with pytest.raises(ModelTamperedError):
        load_bundle("copy")


def test_a_changed_model_is_seen(folder):
    path = folder / MODEL_FILE
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelTamperedError, match="get the bundle again"):
        load_bundle(folder)


def test_a_newer_card_asks_for_an_update(folder):
    edit_card(folder, schema_version=3, something_new=True)
    with pytest.raises(ModelSchemaError, match=r"schema version 3.*install a newer version"):
        load_bundle(folder)


@pytest.mark.parametrize("text", ["", "{", "not json", '{"a": 1,}', "\x00", "[" * 100_000])
def test_a_card_that_is_no_json(folder, text):
    (folder / CARD_FILE).write_text(text)
    with pytest.raises(ModelSchemaError, match=r"card\.json is not JSON"):
        load_bundle(folder)


def test_a_card_that_is_no_text(folder):
    (folder / CARD_FILE).write_bytes(b'{"name": "\xff\xfe"}')
    with pytest.raises(ModelSchemaError, match=r"card\.json"):
        load_bundle(folder)


@pytest.mark.parametrize("text", ["[]", "null", "7", '"card"'])
def test_json_that_is_no_card(folder, text):
    (folder / CARD_FILE).write_text(text)
    with pytest.raises(ModelSchemaError, match="not a valid model card"):
        load_bundle(folder)


@pytest.mark.parametrize("version", ["1", None, 0, 1.5, True, [1]])
def test_a_version_that_is_none(folder, version):
    edit_card(folder, schema_version=version, unknown="x")
    with pytest.raises(ModelSchemaError):
        load_bundle(folder)


def test_an_unknown_field_is_named(folder):
    edit_card(folder, calibratoin={})
    with pytest.raises(ModelSchemaError, match="calibratoin: Extra inputs are not permitted") as caught:
        load_bundle(folder)
    assert "http" not in str(caught.value)


def test_many_mistakes_are_told_in_short(folder):
    (folder / CARD_FILE).write_text("{}")
    with pytest.raises(ModelSchemaError, match=r"and [0-9]+ more") as caught:
        load_bundle(folder)
    assert len(str(caught.value)) < 400


def test_a_huge_card_is_not_read(folder):
    (folder / CARD_FILE).write_bytes(b" " * (bundle_module.MAX_CARD_BYTES + 1))
    with pytest.raises(ModelSchemaError, match="larger than"):
        load_bundle(folder)


def test_garbage_in_place_of_the_model(folder):
    edit_model(folder, lambda _: b"\xff" * 100)
    with pytest.raises(UnsafeModelError, match="not an ONNX file"):
        load_bundle(folder)


def test_an_empty_model(folder):
    edit_model(folder, lambda _: b"")
    with pytest.raises(ModelSchemaError, match="0 inputs"):
        load_bundle(folder)


def test_external_data_is_refused(folder):
    def outside(data):
        model = load_model_from_string(data)
        model.graph.initializer[0].data_location = TensorProto.EXTERNAL
        return model.SerializeToString()

    edit_model(folder, outside)
    with pytest.raises(UnsafeModelError, match="in another file"):
        load_bundle(folder)


def test_custom_operators_are_refused(folder):
    def custom(data):
        model = load_model_from_string(data)
        model.graph.node[0].domain = "evil"
        return model.SerializeToString()

    edit_model(folder, custom)
    with pytest.raises(UnsafeModelError, match="custom operator"):
        load_bundle(folder)


def test_a_card_for_another_size_is_refused(folder):
    content = json.loads((folder / CARD_FILE).read_text())
    edit_card(folder, input=content["input"] | {"size": 64})
    with pytest.raises(ModelSchemaError, match="the card says"):
        load_bundle(folder)


def test_writing_sets_the_hash_and_reading_gives_the_same(tmp_path, tiny_model, tiny_card):
    model, card = tiny_model(), tiny_card()
    digest = hashlib.sha256(model).hexdigest()
    folder = write_bundle(tmp_path / "deep" / "down", model, card)
    assert folder == tmp_path / "deep" / "down"
    loaded = load_bundle(folder)
    assert loaded.card == card.model_copy(update={"onnx_sha256": digest})
    assert sorted(path.name for path in folder.iterdir()) == [CARD_FILE, MODEL_FILE]
    again = write_bundle(tmp_path / "again", model, loaded.card)
    assert pin_of(again) == pin_of(folder)


def test_writing_refuses_the_card_of_another_model(tmp_path, tiny_model, tiny_card):
    card = tiny_card().model_copy(update={"onnx_sha256": "ab" * 32})
    with pytest.raises(ModelTamperedError, match="the card is for a model"):
        write_bundle(tmp_path / "new", tiny_model(), card)
    assert list(tmp_path.iterdir()) == []


def test_writing_refuses_what_nobody_could_load(tmp_path, tiny_model, tiny_card):
    with pytest.raises(ModelSchemaError):
        write_bundle(tmp_path / "new", tiny_model(64), tiny_card(32))
    with pytest.raises(UnsafeModelError):
        write_bundle(tmp_path / "new", b"\xff" * 9, tiny_card())
    assert list(tmp_path.iterdir()) == []


def test_writing_never_overwrites(folder, tiny_model, tiny_card, tmp_path):
    before = pin_of(folder)
    (tmp_path / "file").write_text("mine")
    for taken in (folder, tmp_path / "file"):
        with pytest.raises(ExportError, match="exists already"):
            write_bundle(taken, tiny_model(64), tiny_card(64))
    assert pin_of(folder) == before
    assert (tmp_path / "file").read_text() == "mine"


def test_a_write_that_fails_leaves_nothing(tmp_path, tiny_model, tiny_card, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(ExportError, match="No space left"):
        write_bundle(tmp_path / "new", tiny_model(), tiny_card())
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path, tiny_model, tiny_card):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ExportError, match="cannot write"):
        write_bundle(tmp_path / "file" / "new", tiny_model(), tiny_card())


def test_of_several_writers_one_wins_whole(tmp_path, tiny_model, tiny_card):
    models = {size: tiny_model(size) for size in (16, 32, 64)}
    refused = []

    def write(size):
        try:
            write_bundle(tmp_path / "new", models[size], tiny_card(size))
        except ExportError as error:
            refused.append(error)

    threads = [threading.Thread(target=write, args=(size,)) for size in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 2
    assert load_bundle(tmp_path / "new").model in models.values()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_every_shipped_bundle_is_pinned_whole_and_safe():
    on_disk = {path.name for path in shipped.MODELS_FOLDER.glob("*/")} if shipped.MODELS_FOLDER.is_dir() else set()
    assert on_disk == set(shipped.SHIPPED)
    for name, pin in shipped.SHIPPED.items():
        folder = shipped.shipped_folder(name)
        assert pin_of(folder) == pin
        # Opened as anybody's bundle, so that all checks run; then as the shipped one.
        assert load_bundle(folder) == load_bundle(name)
        assert load_bundle(name).card.name == name
        assert (folder / "LICENSE-WEIGHTS").is_file()
        assert (folder / "MODEL_CARD.md").is_file()


def test_errors_are_of_one_tree(tmp_path):
    with pytest.raises(ModelError):
        load_bundle(tmp_path)


def test_pins_are_hashes(folder):
    assert pin_of(folder) == ShippedPin(
        hashlib.sha256((folder / MODEL_FILE).read_bytes()).hexdigest(),
        hashlib.sha256((folder / CARD_FILE).read_bytes()).hexdigest(),
    )
