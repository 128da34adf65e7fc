"""Other programs' files and interfaces.

`formats`: trajectories in · `parts`: topology and System, held against each other · `checks`:
whether frames can be what they are said to be · `export`: DCD and PDB out · `openmm_integrator`:
the outer step in a stock OpenMM Simulation.
"""
