"""ESeg-Lite-M on Cityscapes, at 512x1024.

Data: leftImg8bit and gtFine, unpacked anywhere in DATA (see `eseg_keras.data.load`).

To reach the published score, pretrain the encoder on ImageNet, because no such weights are public:
train `imagenet/eseg_lite_m` first, then pass the file that it writes: `--set encoder_weights=FILE`.

Our reading of "InputSize 512x1024" in Table 6: images and masks are scaled to half their size for
training and evaluation. The "larger crop size" of section 4.3 is then the whole image, 512x1024.

Row:      Table 6, ESeg-Lite-M at 512x1024
Command:  eseg train --experiment cityscapes/eseg_lite_m_512 --data_dir DATA
              --model_dir runs/cityscapes/eseg_lite_m_512
Hardware: 8 TPU cores in the paper
Time:     not run
Reported: mean IoU 0.740 on the 500 validation images
Score:    not run: needs the data
"""

from eseg_keras.training import Experiment


def get_experiment() -> Experiment:
    """Return the experiment."""
    return Experiment(
        preset="eseg_lite_m",
        load_weights=False,
        encoder_weights=None,  # Pass the file with --set, see above.
        data="cityscapes",
        long_side=1024,  # The images are 2048 pixels wide.
        image_size=(512, 1024),
        batch_size=16,
        steps=90_000,
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
