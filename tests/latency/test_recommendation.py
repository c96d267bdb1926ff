import pytest

from eseg_keras.latency import PAPER_MEAN_IOU, paper_mean_iou, recommend


def row(network, ms, format_="onnx", spread=0.0):
    return {
        "network": network,
        "format": format_,
        "median_ms": ms,
        "lower_quartile_ms": ms - spread,
        "upper_quartile_ms": ms + spread,
    }


ROWS = [
    row("eseg_lite_s", 10),
    row("eseg_lite_m", 25),
    row("eseg_lite_l", 60),
    row("eseg_s", 70),
    row("eseg_m", 200),
    row("eseg_l", 600),
]


@pytest.mark.parametrize(
    "budget, best, faster, slower",
    [
        (10, "eseg_lite_s", None, "eseg_lite_m"),
        (59, "eseg_lite_m", "eseg_lite_s", "eseg_lite_l"),
        # eseg_lite_l is as accurate as eseg_s, and faster.
        (100, "eseg_lite_l", "eseg_lite_m", "eseg_m"),
        (200, "eseg_m", "eseg_lite_l", "eseg_l"),
        (1e9, "eseg_l", "eseg_m", None),
    ],
)
def test_the_most_accurate_that_fits(budget, best, faster, slower):
    for rows in (ROWS, ROWS[::-1]):
        found = recommend(rows, budget)
        assert found.best["network"] == best
        assert (found.faster and found.faster["network"]) == faster
        assert (found.slower and found.slower["network"]) == slower
        words = " ".join(found.sentences())
        assert all(name in words for name in (best, faster or best, slower or best))


def test_nothing_fits():
    found = recommend(ROWS, 9.9)
    assert (found.best, found.faster, found.slower) == (None, None, None)
    (sentence,) = found.sentences()
    assert (
        "No measured network" in sentence
        and "9.9 ms" in sentence
        and "eseg_lite_s as onnx, 10.0" in sentence
    )


def test_most_rounds_must_fit_not_half_of_them():
    rows = [row("eseg_lite_s", 10), row("eseg_lite_m", 48, spread=5)]
    assert recommend(rows, 50).best["network"] == "eseg_lite_s"
    assert recommend(rows, 53).best["network"] == "eseg_lite_m"
    # Only the median is within the budget, so no network is recommended.
    (sentence,) = recommend(rows[1:], 50).sentences()
    assert "within 50 ms in three quarters of the rounds" in sentence and "48.0 ms" in sentence


def test_formats():
    rows = [
        row("eseg_s", 90, "keras"),
        row("eseg_s", 45, "onnx"),
        row("eseg_s", 48, "tflite"),
        row("eseg_s", 20, "onnx_int8"),
        row("eseg_m", 80, "onnx_int8"),
        row("eseg_m", 70, "tflite_int8"),
    ]
    # If float32 is within the budget, the fastest float32 format is chosen, even if 8-bit formats
    # are faster.
    found = recommend(rows, 50)
    assert found.best == rows[1] and found.slower == rows[5]
    assert not any("8 bits" in sentence for sentence in found.sentences())
    found = recommend(rows, 30)
    assert found.best == rows[3]
    assert any("8 bits" in sentence for sentence in found.sentences())
    # A more accurate network is preferred, even in 8 bits.
    assert recommend(rows, 75).best == rows[5]


def test_a_network_of_ones_own():
    rows = [row("demo", 30), row("demo", 20, "tflite")]
    assert recommend(rows, 50).best == rows[1]
    assert "mean IoU" not in " ".join(recommend(rows, 50).sentences())
    with pytest.raises(ValueError, match="accuracy of demo is unknown"):
        recommend([*rows, ROWS[0]], 50)


@pytest.mark.parametrize("budget", [0, -1, float("nan")])
def test_the_budget_is_checked(budget):
    with pytest.raises(ValueError, match="above 0 ms"):
        recommend(ROWS, budget)


def test_the_paper_s_presets_have_an_accuracy():
    # Copied from Tables 4 and 6 of the paper.
    assert PAPER_MEAN_IOU == {
        "eseg_lite_s": 76.0, "eseg_lite_m": 78.6, "eseg_lite_l": 80.1,
        "eseg_s": 80.1, "eseg_m": 81.6, "eseg_l": 82.6,
    }  # fmt: skip
    assert paper_mean_iou("eseg_lite_s_streets") == PAPER_MEAN_IOU["eseg_lite_s"]
    assert paper_mean_iou("eseg_edge_s") is None
    assert paper_mean_iou("runs/demo/preset") is None
