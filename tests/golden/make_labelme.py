"""Write labelme.json, shapes of every type, and labelme.npz, the mask that LabelMe draws of them.

Run it in a separate environment:

    pip install labelme==6.3.1 && python tests/golden/make_labelme.py
"""

import base64
import io
import json
from pathlib import Path

import numpy as np
from labelme.utils import shapes_to_label
from PIL import Image

HERE = Path(__file__).parent
SIZE = (96, 128)
STAR = np.random.default_rng(0).random((9, 14)) > 0.4


def shape(label, kind, *points, **more):
    return {"label": label, "shape_type": kind, "points": [list(p) for p in points], **more}


def main():
    content = io.BytesIO()
    Image.fromarray(STAR).save(content, format="PNG")
    star = base64.b64encode(content.getvalue()).decode()
    shapes = [
        shape("road", "polygon", (0.4, 50.6), (90.2, 44.9), (127, 95), (3, 95.5)),
        shape("car", "rectangle", (70.7, 60.2), (40.1, 30.9)),
        shape("sun", "circle", (100.3, 20.7), (108.9, 26.2)),
        shape("pole", "line", (10, 5), (25.5, 80)),
        shape("cable", "linestrip", (5, 10), (60, 3.3), (120, 12)),
        shape("light", "point", (30.4, 20.6)),
        shape("car", "oriented_rectangle", (60, 70), (80, 62), (84, 72), (64, 80)),
        shape("sign", "mask", (100, 60), (113, 68), mask=star),
        shape("road", "polygon", (-20, 85), (150, 85), (150, 90), (-20, 90)),
    ]
    names = ["background", *sorted({entry["label"] for entry in shapes})]
    drawn = [{**entry, "mask": STAR} if "mask" in entry else entry for entry in shapes]
    mask, _ = shapes_to_label((*SIZE, 3), drawn, {name: i for i, name in enumerate(names)})
    np.savez_compressed(HERE / "labelme.npz", mask=mask.astype(np.uint8), class_names=names)
    one = {"imagePath": "a.jpg", "imageHeight": SIZE[0], "imageWidth": SIZE[1], "shapes": shapes}
    (HERE / "labelme.json").write_text(json.dumps(one, indent=1) + "\n")


if __name__ == "__main__":
    main()
