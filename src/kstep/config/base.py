"""What all sections of the configuration are made of."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Landing = Literal["step", "half_step", "closing_kick"]
"""Where a jump ends: at t + k·dt, on the leapfrog state half a base step later, or at t + k·dt but
for the kick by the true force that closes the jump."""

Temperatures = Positive | list[Positive]


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys refused, defaults checked too."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )


def as_tuple(temperatures: float | list[float]) -> tuple[float, ...]:
    """One or several temperatures as a tuple."""
    return tuple(temperatures) if isinstance(temperatures, list) else (temperatures,)


def check_temperatures(temperatures: tuple[float, ...]) -> None:
    """Raise ValueError for an empty list or one that repeats itself."""
    if not temperatures:
        raise ValueError("temperature_K is an empty list")
    if len(set(temperatures)) < len(temperatures):
        raise ValueError("temperature_K names a temperature twice")
