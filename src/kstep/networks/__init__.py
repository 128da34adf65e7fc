"""Which network makes a molecule's jumps: trained here, adapted to it, or shipped with kstep.

`choice` follows `hybrid.network`; `shipped` knows the networks in the folder `weights`, each with
a card that says what it was trained on, what it can do and where it fails.
"""

from kstep.networks.choice import adaptation_folder, check_potential, networks_for
from kstep.networks.shipped import shipped_checkpoint

__all__ = ["adaptation_folder", "check_potential", "networks_for", "shipped_checkpoint"]
