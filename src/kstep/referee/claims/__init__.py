"""From deviations to outcomes (`checks`) to a verdict (`acceptance`), in `words`, `summary`."""
