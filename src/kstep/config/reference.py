"""The settings as text: what `--help` prints."""

from collections.abc import Iterable, Iterator
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kstep.config.base import Section
from kstep.config.sections import Config


def describe(sections: Iterable[str]) -> str:
    """One line per setting of the named sections: key, default, meaning with unit, choices."""
    lines: list[str] = []
    for name in sections:
        model = Config.model_fields[name].annotation
        assert isinstance(model, type) and issubclass(model, BaseModel)
        lines += ["", f"{name}: {(model.__doc__ or '').strip().splitlines()[0]}"]
        lines += list(_settings(model, name))
    return "\n".join(lines)


def _settings(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for key, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, Section):
            yield from _settings(annotation, f"{prefix}.{key}")
            continue
        setting = f"{prefix}.{key}={_text(field.default)}"
        yield f"  {setting:<46} {field.description}{_choices(field)}"


def _text(value: object) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _choices(field: FieldInfo) -> str:
    options = [option for option in get_args(field.annotation) if isinstance(option, str)]
    return f" [{' | '.join(options)}]" if len(options) > 1 else ""
