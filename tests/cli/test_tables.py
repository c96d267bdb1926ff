import json
from pathlib import Path

from eseg_keras import ESeg

GOLDEN = Path(__file__).parents[1] / "golden" / "architecture.json"


def test_presets_lists_them_all(eseg):
    status, out, _ = eseg("presets")
    assert status == 0
    assert all(f" {name} " in out for name in ESeg.presets)
    assert "…" not in out


def test_summary_adds_up_to_the_golden_figures(eseg):
    status, out, _ = eseg("summary", "eseg_lite_s")
    golden = json.loads(GOLDEN.read_text())["models"]["eseg_lite_s"]
    assert status == 0
    assert f"{golden['conv_macs'] / 1e6:,.1f}" in out
    assert f"{golden['trainable_params']:,} of {golden['total_params']:,} parameters" in out
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in out.splitlines()
        if line.startswith("│")
    ]
    *stages, total = rows
    numbers = [[float(cell.replace(",", "")) for cell in row[1:5]] for row in stages]
    sums = [sum(column) for column in zip(*numbers, strict=True)]
    for shown, added in zip(total[1:5], sums, strict=True):
        assert abs(float(shown.replace(",", "")) - added) < 1


def test_summary_refuses_a_size(eseg):
    status, _, err = eseg("summary", "eseg_lite_s", "--image_size", 16, 64)
    assert (status, err.count("\n")) == (2, 1)
    assert "--image_size must be at least 32 32" in err


def test_summary_of_a_directory(eseg, preset):
    status, out, _ = eseg("summary", preset, "--image_size", 64, 96)
    assert status == 0 and "64x96" in out
