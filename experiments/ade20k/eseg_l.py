"""ESeg-L on ADE20K, 150 classes at 520x520.

Data: ADEChallengeData2016, unpacked anywhere in DATA (see `eseg_keras.data.load`).

Our reading of "the same image size 520x520 for both training and inference" (section 4.1): images
are scaled to a longer side of 520. Training uses 520x520 crops of the images at random scales.
Validation during training pads the images to 520x520 with ignored pixels. `eseg evaluate` resizes
the logits to the original size of the masks, as the benchmark does.

Row:      Table 5, ESeg-L
Command:  eseg train --experiment ade20k/eseg_l --data_dir DATA
              --model_dir runs/ade20k/eseg_l
Hardware: 8 TPU cores in the paper
Time:     not run
Reported: mean IoU 0.482, pixel accuracy 0.818 on the 2,000 validation images
Score:    not run: needs the data
"""

from eseg_keras.training import Experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return Experiment(
        preset="eseg_l",
        load_weights=True,  # Encoder weights from ImageNet.
        data="ade20k",
        long_side=520,
        image_size=(520, 520),
        eval_size=(520, 520),
        batch_size=16,
        epochs=300,
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
        val_every=5,
        keep="last",
        seed=0,
    )
