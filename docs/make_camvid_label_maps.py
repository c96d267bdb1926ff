"""Write camvid_label_maps.png: label maps that eseg_edge_s_camvid predicts for real streets.

python docs/make_camvid_label_maps.py CAMVID

CAMVID is the folder that contains images/val. The photos themselves are not shown, because their
licence is CC BY-NC 4.0. The weights come with `pip install ./weights/camvid`.
"""

import pathlib
import sys

import numpy as np
from PIL import Image

from eseg_keras import ESeg
from eseg_keras.visualization import add_legend

NAMES = ("0016E5_07977", "0016E5_08049", "0016E5_08121")
GAP = 8  # Width of the white gap between label maps, in pixels.


def main(camvid: str) -> None:
    """Segment three validation images, and draw their label maps side by side."""
    model = ESeg.from_preset("eseg_edge_s_camvid")
    colors = np.asarray(model.palette, "uint8")
    columns = []
    for name in NAMES:
        with Image.open(pathlib.Path(camvid) / "images" / "val" / f"{name}.jpg") as image:
            labels = model.segment(np.asarray(image.convert("RGB")))
        columns += [colors[labels], np.full((len(labels), GAP, 3), 255, "uint8")]
    picture = Image.fromarray(np.concatenate(columns[:-1], axis=1))
    target = pathlib.Path(__file__).with_name("camvid_label_maps.png")
    add_legend(picture, model.class_names, model.palette).save(target, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
