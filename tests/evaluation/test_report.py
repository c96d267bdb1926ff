import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from eseg_keras.data.datasets import DATASETS
from eseg_keras.evaluation import ImageScores
from eseg_keras.evaluation.report import write_report
from eseg_keras.evaluation.rules import evaluation_of_matrix
from eseg_keras.evaluation.worst_images import WorstImages
from eseg_keras.inference import Prediction
from eseg_keras.visualization import overlay

VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """Parse a well-formed HTML page to a tree of (tag, attributes, children)."""

    def __init__(self, text):
        super().__init__()
        self.root = ("root", {}, [])
        self.open = [self.root]
        self.feed(text)
        self.close()
        assert self.open == [self.root], f"never closed: {[node[0] for node in self.open[1:]]}"

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(set(names)) == len(names)
        node = (tag, dict(attributes), [])
        self.open[-1][2].append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        self.open[-1][2].append(data)

    def all(self, tag, node=None):
        for child in (node or self.root)[2]:
            if not isinstance(child, str):
                if child[0] == tag:
                    yield child
                yield from self.all(tag, child)

    def text(self, node):
        parts = [child if isinstance(child, str) else self.text(child) for child in node[2]]
        return "".join(parts).strip()

    def table(self, label):
        """Return the cells of a table's rows, header first."""
        for region in self.all("div"):
            if region[1].get("aria-label") == label:
                rows = self.all("tr", region)
                return [
                    [self.text(cell) for cell in row[2] if not isinstance(cell, str)]
                    for row in rows
                ]
        return None


def matrix_of(num_classes, seed=0):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, 1000, (num_classes, num_classes + 1))
    matrix[np.arange(num_classes), np.arange(num_classes)] *= 20
    return matrix


def worst_of(names, palette, count=3, image_names=None):
    worst = WorstImages()
    rng = np.random.default_rng(1)
    for index in range(count):
        image = np.full((48, 64, 3), 40 * index, "uint8")
        mask = rng.integers(0, 2, (6, 8)).repeat(8, 0).repeat(8, 1).astype("uint8")
        mask[:8] = 255
        prediction = Prediction(
            name="any", image=image, label_map=1 - np.minimum(mask, 1), class_names=tuple(names),
            palette=palette, ignore_label=255,
        )  # fmt: skip
        name = image_names[index] if image_names else f"photo {index}"
        worst.add(prediction, mask, ImageScores(name, 0.1 * index, 0.2 * index, mask.size))
    return worst


def written(tmp_path, evaluation, worst, title="Report", details=None):
    path = write_report(tmp_path / "report", evaluation, worst, title, details or {})
    assert path == tmp_path / "report" / "index.html"
    assert [file.name for file in path.parent.iterdir()] == ["index.html"]
    text = path.read_text("utf-8")
    return Page(text), text


def percent(share, digits=1):
    return "absent" if share is None else f"{100 * share:.{digits}f} %"


PALETTE = ((200, 0, 0), (0, 0, 200), (0, 200, 0))


def test_figures_are_those_of_the_evaluation(tmp_path):
    matrix = matrix_of(3)
    matrix[2] = matrix[:, 2] = 0
    names = ["road", "car", "sky"]
    evaluation = evaluation_of_matrix(matrix, names, num_images=1234)
    details = {"model": "runs/demo", "data": "camvid"}
    page, text = written(tmp_path, evaluation, worst_of(names, PALETTE), "CamVid", details)
    header, *rows = page.table("Classes")
    assert header == ["Class", "IoU", "Accuracy", "Share of all labelled pixels"]
    assert rows == [
        [
            name,
            percent(evaluation.per_class_iou[name]),
            percent(evaluation.per_class_accuracy[name]),
            percent(matrix[label].sum() / matrix.sum(), 2),
        ]
        for label, name in enumerate(names)
    ]
    assert rows[2] == ["sky", "absent", "absent", "0.00 %"]
    widths = re.findall(r'<i style="width:([\d.]+)%">', text)
    assert widths == [f"{100 * evaluation.per_class_iou[name]:.1f}" for name in names[:2]]
    first, second = page.all("dl")
    pairs = [page.text(node) for node in first[2] if not isinstance(node, str)]
    assert pairs == ["model", "runs/demo", "data", "camvid"]
    shown = {page.text(div[2][0]): page.text(div[2][1]) for div in page.all("div", second)}
    assert shown == {
        "mean IoU": percent(evaluation.mean_iou),
        "pixel accuracy": percent(evaluation.pixel_accuracy),
        "mean accuracy": percent(evaluation.mean_accuracy),
        "frequency-weighted IoU": percent(evaluation.frequency_weighted_iou),
        "images": "1,234",
    }
    assert page.table("Categories") is None
    assert page.text(next(page.all("h1"))) == page.text(next(page.all("title"))) == "CamVid"


def test_confusions_are_the_largest_values_off_the_diagonal(tmp_path):
    names = [f"class {label}" for label in range(8)]
    matrix = matrix_of(8, seed=3)
    page, _ = written(tmp_path, evaluation_of_matrix(matrix, names, 1), WorstImages())
    pairs = [
        (int(matrix[row, column]), row, column)
        for row in range(8)
        for column in range(9)
        if row != column
    ]
    columns = [*names, "no class"]
    expected = [
        [names[row], columns[column], f"{count:,}", percent(count / matrix[row].sum())]
        for count, row, column in sorted(pairs, reverse=True)[:12]
    ]
    assert page.table("Confusions")[1:] == expected
    # Without confusions, there is no table.
    page, _ = written(
        tmp_path, evaluation_of_matrix(np.eye(3, 4, dtype=int), "abc", 1), WorstImages()
    )
    assert page.table("Confusions") is None and not list(page.all("article"))


@pytest.mark.parametrize("rules", ["cityscapes", "ade20k"])
def test_reports_of_benchmarks(tmp_path, rules):
    names = DATASETS[rules]["validation"].classes.class_names
    evaluation = evaluation_of_matrix(matrix_of(len(names)), names, 500, rules=rules)
    page, text = written(tmp_path, evaluation, WorstImages())
    assert len(page.table("Classes")) == len(names) + 1
    if rules == "cityscapes":
        expected = [[name, percent(iou)] for name, iou in evaluation.categories.items()]
        assert page.table("Categories")[1:] == expected
        assert percent(evaluation.mean_category_iou) in text
    else:
        assert page.table("Categories") is None
        assert f"ADE20K score</dt><dd>{percent(evaluation.score)}" in text
    assert len(text) < 3_000_000


def test_pictures_are_inside_and_show_the_worst_images(tmp_path):
    names = ["road", "car", "sky"]
    worst = worst_of(names, PALETTE)
    page, text = written(tmp_path, evaluation_of_matrix(matrix_of(3), names, 3), worst)
    pictures = {}
    for _, attributes, _ in page.all("img"):
        kind, data = re.fullmatch(r"data:image/(\w+);base64,(.+)", attributes["src"]).groups()
        picture = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
        picture.load()
        assert picture.format.lower() == kind and len(attributes["alt"]) > 10
        ratio = int(attributes["width"]) / int(attributes["height"])
        assert ratio == pytest.approx(picture.width / picture.height, rel=0.01)
        pictures[attributes["alt"]] = picture
    assert len(pictures) == 1 + 3 * 3
    for item in worst.images():
        expected = {
            "Image": item.image,
            "Mask": np.asarray(overlay(item.image, item.mask, PALETTE, 0.6)),
            "Prediction": np.asarray(overlay(item.image, item.prediction, PALETTE, 0.6)),
        }
        for kind, pixels in expected.items():
            shown = np.asarray(pictures[f"{kind} of {item.name}"]).astype(float)
            # JPEG blurs edges, so only the mean difference is small.
            assert np.abs(shown - pixels).mean() < 12
            assert np.abs(shown - pixels)[20:28, 20:28].min() < 8
    headings = [page.text(article[2][1]) for article in page.all("article")]
    assert headings == ["1. photo 0", "2. photo 1", "3. photo 2"]
    assert "mean IoU 10.0 %, pixel accuracy 20.0 %" in text
    # The legend lists the classes that occur; sky does not occur.
    legend = [page.text(item) for item in page.all("li")]
    assert legend == ["road", "car"]
    assert "background:rgb(200,0,0)" in text


def test_nothing_is_asked_for_from_outside(tmp_path):
    names = ["road", "car", "sky"]
    worst = worst_of(names, PALETTE)
    page, text = written(tmp_path, evaluation_of_matrix(matrix_of(3), names, 3), worst)
    without_data = re.sub(r"data:image/\w+;base64,[\w+/=]+", "", text)
    assert not re.search(r"https?:|//\w|url\(|@import|src=\"[^\"]", without_data)
    assert not list(page.all("link"))
    policy = next(m[1] for m in page.all("meta") if "http-equiv" in m[1])["content"]
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_names_are_text_and_never_markup(tmp_path):
    evil = "</title><script>alert(\"1\")</script>&amp; 'x' <b>"
    names = [evil, "a<b>c", "$x$"]
    worst = worst_of(names, PALETTE, image_names=[evil, "<i>", "&lt;"])
    evaluation = evaluation_of_matrix(matrix_of(3), names, 3)
    page, text = written(tmp_path, evaluation, worst, evil, {evil: evil})
    assert text.count("<script>") == text.count("</script>") == 1
    assert page.text(next(page.all("title"))) == page.text(next(page.all("h1"))) == evil
    assert [row[0] for row in page.table("Classes")[1:]] == names
    assert (
        sum(attributes["alt"].endswith(f"of {evil}") for _, attributes, _ in page.all("img")) == 3
    )
    assert next(page.all("article"))[2][1][2] == [f"1. {evil}"]
    assert not list(page.all("b"))


def test_the_page_can_be_used_by_everyone(tmp_path):
    names = ["road", "car", "sky"]
    worst = worst_of(names, PALETTE)
    page, text = written(tmp_path, evaluation_of_matrix(matrix_of(3), names, 3), worst)
    (html,) = page.all("html")
    assert html[1]["lang"] == "en" and text.startswith("<!DOCTYPE html>")
    assert len(list(page.all("h1"))) == 1 and len(list(page.all("main"))) == 1
    for cell in page.all("th"):
        assert cell[1]["scope"] in ("col", "row")
    for row in page.all("tr"):
        assert any(not isinstance(cell, str) and cell[0] == "th" for cell in row[2])
    # Scrollable boxes can be focused and scrolled with the keyboard.
    for box in page.all("div"):
        if "scroll" in box[1].get("class", "").split():
            assert box[1]["tabindex"] == "0" and box[1]["role"] == "region"
    assert 'name="viewport"' in text and "prefers-color-scheme: dark" in text


def luminance(color):
    values = np.array([int(color[index : index + 2], 16) / 255 for index in (1, 3, 5)])
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_texts_stand_out_in_both_colour_schemes(tmp_path):
    _, text = written(tmp_path, evaluation_of_matrix(matrix_of(2), "ab", 1), WorstImages())
    schemes = re.findall(r":root \{([^}]+)\}", text)
    assert len(schemes) == 2
    for scheme in schemes:
        colors = dict(re.findall(r"--(\w+): (#\w{6})", scheme))
        for ink in ("ink", "quiet"):
            for paper in ("paper", "card"):
                pair = sorted([luminance(colors[ink]), luminance(colors[paper])])
                # The contrast ratio that WCAG 2 requires at level AA.
                assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5


def test_a_report_replaces_the_one_before(tmp_path):
    evaluation = evaluation_of_matrix(matrix_of(2), "ab", 1)
    written(tmp_path, evaluation, WorstImages(), "First")
    _, text = written(tmp_path, evaluation, WorstImages(), "Second")
    assert "Second" in text and "First" not in text
