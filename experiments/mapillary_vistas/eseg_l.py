"""ESeg-L on Mapillary Vistas: pretraining for Cityscapes (section 4.4).

Data: the archive of Mapillary Vistas v1.2 (65 classes; the paper does not name the version) in
DATA/downloads/manual, which the first run prepares (see `eseg_keras.data.load`).

`cityscapes/eseg_l_vistas` starts from the trained weights. Learning rate, weight decay and
batch size are those of Cityscapes: section 4.4 gives no values.

Row:      none: the first half of Table 7, ESeg-L with pre-training
Command:  eseg train --experiment mapillary_vistas/eseg_l --data_dir DATA
              --model_dir runs/mapillary_vistas/eseg_l
Hardware: 8 TPU cores in the paper
Time:     not run
Reported: none: the paper scores it on Cityscapes only
Score:    not run: needs the data
"""

from eseg_keras.training import Experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return Experiment(
        preset="eseg_l",
        load_weights=True,  # Encoder weights from ImageNet.
        data="mapillary_vistas",
        long_side=2048,
        image_size=(1024, 1024),
        eval_size=(2048, 2048),  # Ours: images of all sizes and orientations fit.
        batch_size=16,
        epochs=500,
        augment=True,  # Random scale, crop and flip.
        scale=(0.5, 2.0),
        photometric_distortion=False,  # Not in the paper.
        loss="ohem",
        ohem_threshold=0.9,  # Rule and values of HRNet, to which the paper refers.
        ohem_min_kept_pixels=131_072,  # Per replica; each of 8 replicas has 2 crops.
        learning_rate=0.08,
        warmup_steps=1000,  # Ours: not in the paper.
        momentum=0.9,
        weight_decay=5e-5,
        ema_decay=0.9998,  # Ours: the paper gives no value.
        val_every=10,
        keep="last",
        seed=0,
    )
