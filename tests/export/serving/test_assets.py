"""Version numbers and models.config."""

import logging

import pytest

from eseg_keras.export.saved_model.assets import choose_version, write_models_config


@pytest.mark.parametrize(
    "existing, version, expected",
    [
        (None, None, 1),
        ([], None, 1),
        (["1"], None, 2),
        (["3", "10", ".11.tmp"], None, 11),
        (["3"], 2, 2),
        (None, 7, 7),
    ],
)
def test_versions(existing, version, expected, tmp_path):
    directory = tmp_path / "model"
    for name in existing or ():
        (directory / name).mkdir(parents=True)
    assert choose_version(directory, version) == expected


def test_versions_are_never_overwritten(tmp_path):
    (tmp_path / "3").mkdir()
    with pytest.raises(ValueError, match="already contains version 3.* Use version 4"):
        choose_version(tmp_path, 3)


@pytest.mark.parametrize("name", ["notes.txt", "variables", "1a"])
def test_other_directories_are_left_alone(name, tmp_path):
    (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=f"contains '{name}', which is not a version"):
        choose_version(tmp_path, None)


def test_a_file_is_no_directory(tmp_path):
    (tmp_path / "model").touch()
    with pytest.raises(ValueError, match="model is a file"):
        choose_version(tmp_path / "model", None)


@pytest.mark.parametrize("version", [0, -1, 1.0, "1", True, 2**63])
def test_numbers_that_are_no_versions(version, tmp_path):
    with pytest.raises(ValueError, match="whole number from 1"):
        choose_version(tmp_path, version)


def parsed(path):
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse(path.read_text("utf-8"), config)
    return [(m.name, m.base_path, m.model_platform) for m in config.model_config_list.config]


def test_models_config_names_every_model(tmp_path):
    for name in ("streets", 'a "b" \\ é', "streets/2/.."):
        (tmp_path / name / "1").mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "1" / "saved_model.pb").touch()
    # Not versions of a model: an unfinished export, and a directory of another program.
    for folder in ("half/.1.tmp", "other/export"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "saved_model.pb").touch()
    path = write_models_config(tmp_path)
    assert path == tmp_path / "models.config"
    assert parsed(path) == [
        (name, f"/models/{name}", "tensorflow") for name in ('a "b" \\ é', "streets")
    ]
    # A model that is exported later is added.
    (tmp_path / "third" / "5").mkdir(parents=True)
    (tmp_path / "third" / "5" / "saved_model.pb").touch()
    write_models_config(tmp_path)
    assert len(parsed(path)) == 3


def test_a_model_that_appears_meanwhile_is_not_lost(tmp_path, monkeypatch):
    def export(name):
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "1" / "saved_model.pb").touch()

    def write(path, text):
        if not (tmp_path / "second").exists():  # As if another process exported it meanwhile.
            export("second")
        path.write_text(text, "utf-8")

    export("first")
    monkeypatch.setattr("eseg_keras.export.saved_model.assets.write_text", write)
    names = [name for name, _, _ in parsed(write_models_config(tmp_path))]
    assert names == ["first", "second"]


def test_a_config_of_another_program_stays(tmp_path, caplog):
    path = tmp_path / "models.config"
    path.write_text("model_config_list {}\n")
    (tmp_path / "streets" / "1").mkdir(parents=True)
    (tmp_path / "streets" / "1" / "saved_model.pb").touch()
    with caplog.at_level(logging.WARNING, "eseg_keras"):
        write_models_config(tmp_path)
    assert path.read_text() == "model_config_list {}\n"
    assert 'name: "streets"' in caplog.text
