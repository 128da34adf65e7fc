"""What dynamics must obey: energy, temperature, the canonical distribution, spectra."""
