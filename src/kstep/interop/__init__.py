"""Other programs' files and interfaces.

`formats` (with `dcd`, `hdf5`): trajectories in, each a `stretch` · `timing`, `precision`: when and
how exactly its frames were saved · `checks`: whether they can be what they are said to be ·
`topology`, `parts`: topology and System, held against each other · `from_mdtraj`, `from_ase`:
`runs` in memory · `export`: DCD and PDB out · `frames`: XTC, extxyz and SDF out, with energies and
weights · `openmm_integrator`: the outer step in a stock OpenMM Simulation.
"""
