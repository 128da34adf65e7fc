"""A surrogate made for one molecule and one potential.

`rounds`: any surrogate, in memory: explore, label, fit, and again. Of a splitting, in folders:
`exploring`: geometries by the learned force · `forces`: rounds of labels and learning · `labels`:
what the true potential said, in files · `trial`: jumps put to the test · `beginnings`: what it
starts from · `record`: its bill.
"""
