"""Write an evaluation as an HTML page."""

import io
from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from eseg_keras.evaluation.report_page import cell, image, page, table
from eseg_keras.evaluation.scores import SCORE_NAMES, Evaluation
from eseg_keras.evaluation.worst_images import WorstImage, WorstImages
from eseg_keras.files import write_text
from eseg_keras.version import __version__
from eseg_keras.visualization import default_palette, overlay, plot_confusion_matrix

# Number of rows in the table of confusions.
_NUM_CONFUSIONS = 12
# Largest number of classes for which the confusion matrix is scaled to the page, not scrolled.
_MOST_FITTING = 40
# Opacity of the class colours in overlays.
_ALPHA = 0.6


def write_report(
    directory: str | Path,
    evaluation: Evaluation,
    worst: WorstImages,
    title: str,
    details: Mapping[str, str],
) -> Path:
    """Write the page `index.html`, a single self-contained file, to a folder; return its path.

    The page shows the scores, a table of the classes, the categories if there are any, the most
    frequent confusions, the confusion matrix, and the worst images with mask and prediction.
    `details` describes what was evaluated, such as `{"model": "runs/demo"}`. Requires matplotlib.
    """
    palette = worst.palette or default_palette(len(evaluation.class_names))
    sections = [
        _details(details),
        _scores(evaluation),
        f'<div class="columns">\n<div>\n{_classes(evaluation, palette)}\n</div>\n'
        f"<div>\n{_categories(evaluation)}\n{_confusions(evaluation)}\n</div>\n</div>",
        _matrix(evaluation),
        _worst(evaluation, worst.images(), palette),
        f"<footer>Written by eseg-keras {escape(__version__)}.</footer>",
    ]
    path = Path(directory) / "index.html"
    write_text(path, page(title, [section for section in sections if section]))
    return path


def _details(details):
    items = "\n".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in details.items()
    )
    return f'<dl class="details">\n{items}\n</dl>' if items else ""


def _scores(evaluation):
    cards = [
        f"<div><dt>{name}</dt><dd>{_percent(value)}</dd></div>"
        for key, name in SCORE_NAMES.items()
        if (value := getattr(evaluation, key)) is not None
    ]
    cards.append(f"<div><dt>images</dt><dd>{evaluation.num_images:,}</dd></div>")
    return '<h2>Scores</h2>\n<dl class="scores">\n' + "\n".join(cards) + "\n</dl>"


def _classes(evaluation, palette):
    pixels = evaluation.confusion_matrix.sum(axis=1)
    shares = pixels / max(pixels.sum(), 1)
    rows = [
        [
            f'<th scope="row">{_named_color(name, color)}</th>',
            _score(evaluation.per_class_iou[name], bar=True),
            _score(evaluation.per_class_accuracy[name]),
            cell(_percent(share, 2), share),
        ]
        for name, color, share in zip(evaluation.class_names, palette, shares, strict=True)
    ]
    explanation = (
        '<p class="quiet">IoU: correct pixels, as a share of the pixels labelled or predicted as '
        "the class. Accuracy: correct pixels, as a share of the pixels labelled as the class. "
        "“absent”: there are no such pixels.</p>"
    )
    headers = ["Class", "IoU", "Accuracy", "Share of all labelled pixels"]
    return f"<h2>Classes</h2>\n{explanation}\n{table('Classes', headers, rows)}"


def _categories(evaluation):
    if evaluation.categories is None:
        return ""
    rows = [
        [f'<th scope="row">{escape(name)}</th>', _score(iou, bar=True)]
        for name, iou in evaluation.categories.items()
    ]
    return (
        '<h2>Categories</h2>\n<p class="quiet">Classes of one category count as one class.</p>\n'
        + table("Categories", ["Category", "IoU"], rows)
    )


def _confusions(evaluation):
    matrix = evaluation.confusion_matrix.copy()
    totals = matrix.sum(axis=1)
    np.fill_diagonal(matrix, 0)
    columns = [*evaluation.class_names, "no class"]
    largest = np.argsort(matrix, axis=None, kind="stable")[::-1][:_NUM_CONFUSIONS]
    rows = []
    for row, column in zip(*np.unravel_index(largest, matrix.shape), strict=True):
        if count := int(matrix[row, column]):
            share = count / totals[row]
            name = f'<th scope="row">{escape(evaluation.class_names[row])}</th>'
            cells = [cell(escape(columns[column])), cell(f"{count:,}", count)]
            rows.append([name, *cells, cell(_percent(share), share)])
    if not rows:
        return ""
    headers = ["Labelled", "Predicted", "Pixels", "Share of labelled pixels"]
    return (
        '<h2>Confusions</h2>\n<p class="quiet">The pairs of classes with the most misclassified '
        "pixels.</p>\n" + table("Confusions", headers, rows)
    )


def _matrix(evaluation):
    from eseg_keras.visualization.figures import png

    names = evaluation.class_names
    content = png(plot_confusion_matrix(evaluation.confusion_matrix, names), dpi=160)
    with Image.open(io.BytesIO(content)) as plot:
        size = (plot.width * 100 // 160, plot.height * 100 // 160)
    alt = (
        f"Confusion matrix of {len(names)} classes: each row shows the predictions for the pixels "
        "labelled as a class, in percent. The table of classes lists the accuracies on the "
        "diagonal, the table of confusions the most frequent confusions."
    )
    fits = 'class="fits"' if len(names) <= _MOST_FITTING else ""
    return (
        '<h2>Confusion matrix</h2>\n<div class="scroll matrix" role="region" '
        'aria-label="Confusion matrix" tabindex="0">\n'
        f"<figure>{image(content, 'png', alt, size, fits)}</figure>\n</div>"
    )


def _worst(evaluation, images, palette):
    if not images:
        return ""
    found = {
        label for item in images for x in (item.mask, item.prediction) for label in np.unique(x)
    }
    legend = "\n".join(
        f"<li>{_named_color(name, palette[label])}</li>"
        for label, name in enumerate(evaluation.class_names)
        if label in found
    )
    articles = "\n".join(_article(number, item, palette) for number, item in enumerate(images, 1))
    return (
        "<h2>Worst images</h2>\n"
        f"<p>The {len(images)} images with the lowest mean IoU, computed per image over the "
        "classes in its mask or prediction. Pixels without a colour have no class.</p>\n"
        f'<ul class="legend" aria-label="Colours of the classes">\n{legend}\n</ul>\n{articles}'
    )


def _article(number: int, item: WorstImage, palette):
    image_view = {} if item.image is None else {"Image": Image.fromarray(item.image)}
    # Without an image, the colours are drawn on white.
    below = np.full((*item.mask.shape, 3), 255, np.uint8) if item.image is None else item.image
    alpha = 1.0 if item.image is None else _ALPHA
    views = image_view | {
        "Mask": overlay(below, item.mask, palette, alpha),
        "Prediction": overlay(below, item.prediction, palette, alpha),
    }
    figures = []
    for kind, view in views.items():
        file = io.BytesIO()
        view.save(file, "JPEG", quality=80, optimize=True)
        shown = image(file.getvalue(), "jpeg", f"{kind} of {item.name}", view.size)
        figures.append(f"<figure>{shown}<figcaption>{kind}</figcaption></figure>")
    return (
        f"<article>\n<h3>{number}. {escape(item.name)}</h3>\n"
        f'<p class="quiet">mean IoU {_percent(item.mean_iou)}, '
        f"pixel accuracy {_percent(item.pixel_accuracy)}</p>\n"
        f'<div class="views">\n{chr(10).join(figures)}\n</div>\n</article>'
    )


def _percent(share, digits=1):
    return f"{100 * share:.{digits}f} %"


def _score(value, bar=False):
    if value is None:
        return cell("absent", -1)  # Sorted below all scores.
    if not bar:
        return cell(_percent(value), value)
    bar = f'<span class="bar" aria-hidden="true"><i style="width:{100 * value:.1f}%"></i></span>'
    return cell(f"{bar}<span>{_percent(value)}</span>", value)


def _named_color(name, color):
    rgb = ",".join(str(int(value)) for value in color)
    swatch = f'<span class="swatch" style="background:rgb({rgb})" aria-hidden="true"></span>'
    return f'<span class="name">{swatch}<span>{escape(name)}</span></span>'
