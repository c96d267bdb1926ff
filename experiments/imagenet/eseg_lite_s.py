"""The encoder of ESeg-Lite-S on ImageNet, for `encoder_weights` of other experiments.

Data: ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar in DATA/downloads/manual, which
tensorflow-datasets prepares in the first run (`imagenet2012`). `--set data=class_folders` reads one
folder of images per class instead: DATA/train/CLASS and DATA/val/CLASS.

The paper pretrains its encoders but does not describe how: the recipe is ours. The run writes
encoder.weights.h5, for `--set encoder_weights=FILE` of another experiment.

Row:      none: a step towards Table 6
Command:  eseg train --experiment imagenet/eseg_lite_s --data_dir DATA
              --model_dir runs/imagenet/eseg_lite_s
Hardware: 8 accelerators
Time:     not run
Reported: none: the paper gives no accuracy
Score:    not run: needs the data
"""

from eseg_keras.training import ClassificationExperiment


def get_experiment() -> ClassificationExperiment:
    """Return the experiment."""
    return ClassificationExperiment(
        encoder="fused_efficientnet_s",
        num_classes=1000,
        channels=1280,
        activation="relu",
        dropout=0.2,
        data="imagenet2012",
        image_size=(224, 224),
        batch_size=1024,
        epochs=300,
        label_smoothing=0.1,
        learning_rate=0.5,
        warmup_steps=6000,
        momentum=0.9,
        weight_decay=4e-5,
        ema_decay=0.9999,
        global_clipnorm=None,
        val_every=1,
        checkpoint_steps=500,
        keep="last",
        seed=0,
    )
