"""Forces that act on a molecule from outside, read from its serialised OpenMM System.

Bonds, angles, charges and all else that depends on distances alone leave linear and angular
momentum as they are. A restraint to a place, a field or a periodic box does not: then nobody can
be asked to keep momenta. The text is read as XML, so that no OpenMM is needed.
"""

import re
from xml.etree import ElementTree

_ALWAYS = ("CustomExternalForce", "OrientationRestraintForce")
"""Forces on absolute positions or directions by their nature."""

_OF_POSITIONS = ("CustomCompoundBondForce", "CustomCentroidBondForce", "CustomManyParticleForce")
"""Forces whose energy may name coordinates of their particles or groups: x1, y1, z1, …"""

_NUMBERED = re.compile(r"\b[xyz][1-9]\d*\b")
_PLAIN = re.compile(r"\b[xyz]\b")

_FIRST_PERIODIC = 2
"""Non-bonded methods of OpenMM from this number on are periodic."""


def external_forces(system: str) -> tuple[str, ...]:
    """The kinds of forces that do not leave momenta as they are, each once; none of most Systems.

    An energy in which coordinates stand is taken for one that depends on where the molecule is.

    Raises ValueError for a text that is not a serialised OpenMM System.
    """
    try:
        root = ElementTree.fromstring(system)
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from None
    if root.tag != "System":
        raise ValueError(root.tag)
    # Forces within collective variables are found too.
    found = (_named(force) for force in root.iter("Force"))
    return tuple(dict.fromkeys(name for name in found if name is not None))


def _named(force: ElementTree.Element) -> str | None:
    """What to call a force that acts from outside; None of any other."""
    kind = force.attrib.get("type", "")
    expressions = [item.attrib.get("expression", "") for item in force.iter()]
    if kind in _ALWAYS:
        return kind
    if kind in _OF_POSITIONS and _NUMBERED.search(force.attrib.get("energy", "")):
        return kind
    if any(_PLAIN.search(expression) for expression in expressions):
        return kind
    method = force.attrib.get("method", "0")
    beyond = method.isdigit() and int(method) >= _FIRST_PERIODIC
    return f"periodic {kind}" if beyond or force.attrib.get("usesPeriodic") == "1" else None
