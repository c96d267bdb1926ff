import re

import pytest

from eseg_keras.training import experiment_names
from eseg_keras.training.experiment_files import experiments_dir


def test_all_are_listed_with_their_scores(eseg):
    status, out, _ = eseg("experiments")
    assert status == 0
    cells = [re.split(r" {2,}", line.strip()) for line in out.splitlines()]
    table = {name: rest for name, *rest in cells if "/" in name and rest}
    assert list(table) == experiment_names()
    assert table["cityscapes/eseg_s"] == ["eseg_s", "90,000 steps", "80.1", "not run"]
    assert table["controls/p2_p7_bifpn"] == ["eseg_s*", "90,000 steps", "79.5", "not run"]
    assert table["ade20k/eseg_l"] == ["eseg_l", "300 epochs", "48.2", "not run"]
    assert table["cityscapes/eseg_lite_m_512"][2] == "74.0"
    assert table["street_scenes/eseg_lite_s"] == ["eseg_lite_s", "12 epochs", "-", "85.6"]
    assert table["folders/eseg_lite_s"] == ["eseg_lite_s", "auto", "-", "-"]


def test_the_table_fits_a_terminal_and_nothing_is_cut(eseg):
    _, out, _ = eseg("experiments")
    *table, _, where = out.splitlines()
    assert max(map(len, table)) <= 80
    assert "…" not in out
    assert where.endswith(str(experiments_dir()))


@pytest.mark.parametrize(
    "name, archives",
    [
        ("cityscapes/eseg_s", "leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip"),
        ("ade20k/eseg_m", "ADEChallengeData2016.zip"),
        ("mapillary_vistas/eseg_s", "mapillary-vistas-dataset_public_v1.2.zip"),
    ],
)
def test_without_data_one_sentence_names_the_archives_and_their_place(
    eseg, tmp_path, name, archives
):
    flags = ["--data_dir", tmp_path / "data", "--model_dir", tmp_path / "run"]
    status, out, err = eseg("train", "--experiment", name, *flags)
    assert (status, out) == (2, "")
    assert err.startswith("eseg train: ") and err.count("\n") == 1
    assert archives in err and str(tmp_path / "data" / "downloads" / "manual") in err
    assert not list(tmp_path.iterdir())
