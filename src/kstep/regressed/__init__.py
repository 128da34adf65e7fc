"""Networks that return whole jumps, with a vocabulary of their own.

`windows`: k-step windows · `networks`: TorchMD-Net's ET, the propagator, and the splitting in their
form · `training`: by Lightning · `learned`: a trained network as a jump.
"""
