"""Learned potentials that stand in for a true one between its calls.

`force_field_like`: a force field whose coefficients a network makes of the molecule ·
`class_two`: one that is linear in its parameters, fitted in closed form ·
`constraints`: RATTLE in torch · `optimiser`: what networks are trained by · `shipped`: the
networks that come with kstep, in `weights`.
"""
