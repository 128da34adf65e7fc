"""Steps that move a molecule: by the true potential, and by a surrogate between true calls.

`openmm_steps`: velocity Verlet and Langevin as OpenMM programs · `true_dynamics`,
`compiled_dynamics`: true forces, counted · `plain`: plain MD · `reference`: other ways to run it ·
`platforms`: which OpenMM platform is fastest · `state`: replicas in phase space · `verlet`: steps
by any surrogate · `outer_step`: one jump and its true call · `ghmc`: the same with a Metropolis
test · `thermostat`, `guard`, `correctors`, `conservation`: their parts · `map_quality`:
reversibility and volume.
"""
