"""Decoders by name."""

from eseg_keras.decoders.bifpn import bifpn_decoder

# `ESeg(decoder=NAME)` calls the function with the arguments of `bifpn_decoder`. The model that it
# returns is named "decoder", as weights are found by names, and has every level of the pyramid.
DECODERS = {"bifpn": bifpn_decoder}
