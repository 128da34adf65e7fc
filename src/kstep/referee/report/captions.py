"""What the figures show, by subject."""

CAPTIONS = {
    "drift": "Energy drift of every NVE window of every molecule: a violin and a box for each "
    "side, each window a point. Dotted: the largest size accepted.",
    "claims": "The checks in units of what is allowed, with 90% intervals, the most telling of "
    "each claim. An interval inside the grey band is accepted, one surely outside is rejected. "
    "Beyond the band the scale is logarithmic.",
    "energy": "Total energy in the NVE windows: both sides on one scale; enlarged to the "
    "baseline's range; and, where there are such windows, with velocities rescaled to the energy "
    "after each jump.",
    "temperature": "Left: kinetic temperature in NVT against the exact canonical density. Right: "
    "errors of its mean and of the width of the kinetic energy, with 90% intervals; grey: allowed.",
    "equipartition": "Deviation of the kinetic energy of every element, bonded role (an element "
    "and its neighbours) and kind of motion, with 90% intervals; grey: allowed in NVT. Elements "
    "and roles are held against the baseline, modes against ½ k_B T.",
    "ensemble": "Potential energies at two temperatures: in a canonical ensemble the points lie "
    "on the line. Bars: standard errors.",
    "coordinates": "The bonds, angles and dihedrals whose distributions differ most (atom serial "
    "numbers as in molecule.pdb; ×n: n equivalent ones pooled).",
    "rdf": "Intramolecular pair density of heavy atoms: the radial distribution of an isolated "
    "molecule, per pair and per volume of the spherical shell (there is no bulk density to "
    "divide by); and h(r), all pairs of atoms.",
    "surface": "Free energy over the two torsions that remember longest: both sides, and their "
    "difference in standard errors. White cells were never visited.",
    "fes": "Free energy along the dihedrals, with bands of one standard error; gaps were never "
    "visited.",
    "spectrum": "Vibrational density of states, with the bands compared (in brackets: not "
    "resolved) and the highest wavenumber that the candidate's steps resolve; below, the velocity "
    "autocorrelation behind it.",
    "memory": "Autocorrelation of the torsions, and its integral.",
    "guard": "Left: the energy error, which the guard sees, and the true error of each jump, which "
    "it does not. Right: how many of the worst jumps a guard of this kind catches for what it "
    "refuses.",
    "cost": "Left: wall-clock time by part. Right: how much faster the candidate would be if a "
    "force call cost more, its other costs unchanged; below the blue line it is slower.",
    "methods": "Every way to run dynamics on this molecule, scored by the same code against the "
    "limit of small steps: after equal simulated time, and after as many force calls as the "
    "candidate made. Right: what a force call buys.",
    "basin": "Share of randomised starts that have found the best known minimum, against force "
    "calls and wall-clock time spent.",
}
