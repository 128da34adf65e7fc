"""The one family of exceptions a user of kstep can meet.

Every message is one sentence that names the file or molecule, says what is wrong and what to
do about it. The command line prints that sentence and exits with `exit_code`; a traceback
means a bug in kstep.
"""


class KstepError(Exception):
    """Base of every error that is the input's or the machine's fault, not a bug."""

    exit_code: int = 1


class ConfigError(KstepError):
    """A configuration file or override has a wrong key, type or range."""

    exit_code = 2


class MoleculeError(KstepError):
    """A molecule cannot be read, is outside the supported chemistry or has no parameters."""

    exit_code = 3


class ArtifactError(KstepError):
    """A file of an earlier stage is missing, truncated, foreign or does not match."""

    exit_code = 4


class SimulationError(KstepError):
    """A simulation left the range of finite numbers or violated a constraint."""

    exit_code = 5


class DeviceError(KstepError):
    """The hardware that was asked for is absent."""

    exit_code = 6


class PotentialError(KstepError):
    """A potential gives what no potential can: forces that are no gradient, numbers that change."""

    exit_code = 7
