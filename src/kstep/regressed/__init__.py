"""Networks that return whole jumps, with a vocabulary of their own.

`windows`: k-step windows · `networks`: TorchMD-Net's ET and the propagator · `training`: by
Lightning · `adaptation`: to one molecule, by true bursts.
"""
