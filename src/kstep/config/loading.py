"""From YAML files and dotted overrides to a checked `Config`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from kstep.config.sections import Config
from kstep.errors import ConfigError

SECTIONS = tuple(Config.model_fields)


def load_config(sources: Sequence[Path] = (), overrides: Sequence[str] = ()) -> Config:
    """Merge sources in order, then overrides, and check everything.

    Args:
        sources: each either a folder of section files (`md.yaml`, `train.yaml`, ...) or one
            file, which is a section if named after it, else a mapping of sections.
        overrides: `section.key=value`, the value in YAML.

    Raises ConfigError for a missing file, bad YAML, an unknown key, a wrong type or range.
    """
    content: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for source in sources:
        for path in _files(source):
            sections = {path.stem: _read(path)} if path.stem in SECTIONS else _read(path)
            for name, values in sections.items():
                origin[name] = f"in {path}"
                content[name] = _merge(content.get(name, {}), values)
    for override in overrides:
        _apply(content, override)
        origin[override.partition("=")[0]] = f"in the override {override}"
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise ConfigError(_sentence(error, origin)) from None


def _files(source: Path) -> list[Path]:
    if source.is_dir():
        files = [path for name in SECTIONS if (path := source / f"{name}.yaml").is_file()]
        if not files:
            raise ConfigError(
                f"{source} holds no section file: expected some of "
                f"{', '.join(f'{name}.yaml' for name in SECTIONS)}."
            )
        return files
    if not source.is_file():
        raise ConfigError(f"{source} does not exist: give a configuration file or folder.")
    return [source]


class _OnceOnly(yaml.SafeLoader):
    """YAML in which a key stands once: PyYAML takes the last one and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                fault = f"{key.value} stands there twice"
                raise yaml.constructor.ConstructorError(None, None, fault, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8-sig"), _OnceOnly)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = ""
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
            line = f" at line {error.problem_mark.line + 1} ({error.problem})"
        raise ConfigError(f"{path} is not valid YAML{line}: correct it.") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold 'key: value' lines.")
    return content


def _merge(base: Any, new: Any) -> Any:
    if isinstance(base, dict) and isinstance(new, dict):
        return {**base, **{key: _merge(base.get(key), value) for key, value in new.items()}}
    return new


def _apply(content: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    parts = key.split(".")
    if not separator or len(parts) < 2 or not all(parts):
        raise ConfigError(
            f"'{override}' is not an override: write section.key=value, as in md.length_ns=0.5."
        )
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"the value in '{override}' is not valid YAML: quote it.") from None
    node = content
    for part in parts[:-1]:
        child = node.get(part)
        node[part] = dict(child) if isinstance(child, dict) else {}
        node = node[part]
    node[parts[-1]] = value


def _sentence(error: ValidationError, origin: dict[str, str]) -> str:
    """The first fault, in words, with the file or override it came from."""
    fault = error.errors()[0]
    # Members of a union add their type to the location; keys are what a user wrote.
    location = [str(part) for part in fault["loc"] if not str(part).startswith("constrained")]
    key = ".".join(location) or "the configuration"
    sources = [
        said
        for length in range(len(location), 0, -1)
        if (said := origin.get(".".join(location[:length])))
    ]
    place = f" ({sources[0]})" if sources else ""
    if fault["type"] == "extra_forbidden":
        return f"{key}{place} is not a setting of kstep: `kstep all --help` lists them."
    message = fault["msg"].removeprefix("Value error, ")
    given = "" if isinstance(fault["input"], dict) else f", but {fault['input']!r} was given"
    if not fault["loc"] or fault["type"] == "value_error":
        given = ""
    return f"{key}{place} is wrong: {message[:1].lower()}{message[1:]}{given}."
