"""Packaging of presets trained on CamVid. They are in a separate package, because the images'
licence (CC BY-NC 4.0) differs from that of eseg-keras."""

from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
PRESETS = sorted(path.parent.name for path in ROOT.glob("eseg_keras_camvid/*/metadata.json"))

setup(
    name="eseg-keras-camvid",
    version="0.2.0",
    description="Weights of ESeg trained on CamVid's street scenes, for eseg-keras",
    long_description=(ROOT / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="CC-BY-NC-4.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=["eseg_keras_camvid"],
    package_data={"eseg_keras_camvid": ["*/*.json", "*/*.h5", "*/*.md", "*/*.csv"]},
    install_requires=["eseg-keras>=0.2"],
    # `ESeg.from_preset(NAME)` looks NAME up here.
    entry_points={"eseg_keras.presets": [f"{name} = eseg_keras_camvid" for name in PRESETS]},
)
