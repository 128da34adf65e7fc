"""Trajectory files, and Systems, as other programs write them."""

import struct
import warnings

import h5py
import MDAnalysis
import numpy as np
import openmm

SPACING = 0.1


def write_dcd(path, pos, spacing=SPACING):
    n_atoms = pos.shape[1]
    with warnings.catch_warnings(), MDAnalysis.Writer(str(path), n_atoms, dt=spacing) as writer:
        warnings.simplefilter("ignore")
        universe = MDAnalysis.Universe.empty(n_atoms, trajectory=True)
        for x in pos:
            universe.atoms.positions = 10 * x
            writer.write(universe.atoms)


def write_gromacs(path, pos, vel=None, times=None):
    n_atoms = pos.shape[1]
    times = SPACING * np.arange(1, len(pos) + 1) if times is None else times
    universe = MDAnalysis.Universe.empty(n_atoms, trajectory=True, velocities=vel is not None)
    with warnings.catch_warnings(), MDAnalysis.Writer(str(path), n_atoms) as writer:
        warnings.simplefilter("ignore")
        for index, (x, time) in enumerate(zip(pos, times, strict=True)):
            universe.atoms.positions = 10 * x
            if vel is not None:
                universe.atoms.velocities = 10 * vel[index]
            universe.trajectory.ts.time = time
            universe.trajectory.ts.dimensions = [5, 5, 5, 90, 90, 90]  # to be ignored
            writer.write(universe.atoms)


def write_h5md(path, pos, vel, units=("nm", "nm ps-1", "ps")):
    with h5py.File(path, "w") as file:
        file.create_group("h5md").attrs["version"] = [1, 1]
        box = file.create_group("particles/trajectory/box")
        box.attrs["dimension"] = 3
        box.attrs["boundary"] = ["none"] * 3
        for name, array, unit_name in (("position", pos, units[0]), ("velocity", vel, units[1])):
            element = file.create_group(f"particles/trajectory/{name}")
            element["value"] = array
            element["step"] = np.arange(len(pos))
            element["time"] = SPACING * np.arange(1, len(pos) + 1)
            if units[0]:
                element["value"].attrs["unit"] = unit_name
                element["time"].attrs["unit"] = units[2]


def write_npz(path, **arrays):
    np.savez(path, **arrays)


def relabel_dcd(path, delta, every, title):
    """Change the header of a DCD to another time step, and the program that wrote it."""
    content = bytearray(path.read_bytes())
    content[16:20] = struct.pack("<i", every)
    content[44:48] = struct.pack("<f", delta)
    assert content[84:88] == struct.pack("<i", 24)  # CHARMM's layout: time step of four bytes
    content[100:180] = title.encode().ljust(80)
    path.write_bytes(bytes(content))


def change_system(path, phenol, change):
    system = openmm.XmlSerializer.deserialize(phenol.system_xml.read_text())
    change(system)
    path.write_text(openmm.XmlSerializer.serialize(system))
    return path
