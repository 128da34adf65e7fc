"""The `kstep` command: parse, call the stage, say in one sentence what went wrong."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kstep import __version__
from kstep.config import describe, load_config
from kstep.errors import ConfigError, KstepError
from kstep.workflow.cli.commands import COMMANDS, Alternative, Command
from kstep.workflow.cli.terminal import never_fail

INTERRUPTED = 130
DEFAULT_CONFIGS = Path("configs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parse(arguments)
    command: Command = options.command
    chosen: Alternative | None = None
    try:
        chosen = _chosen(command, options)
        sources = options.config or ([DEFAULT_CONFIGS] if DEFAULT_CONFIGS.is_dir() else [])
        config = load_config(sources, options.overrides)
        return command.run(config) if chosen is None else chosen.run(config, options)
    except KstepError as error:
        print(f"kstep: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        print(
            f"kstep: `kstep {command.name}` needs the package {error.name}: "
            f"install it with `pip install 'md-kstep[{(chosen or command).extra}]'`.",
            file=sys.stderr,
        )
        return KstepError.exit_code
    except KeyboardInterrupt:
        print(
            "\nkstep: interrupted; finished work is kept, the same command goes on from there.",
            file=sys.stderr,
        )
        return INTERRUPTED


def entry(*command: str) -> None:
    """Entry point of the console script and of the step scripts in `src/`."""
    never_fail()
    sys.exit(main([*command, *sys.argv[1:]]))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Options and overrides in any order; argparse itself takes overrides in one go only."""
    parser = _parser()
    options, left = parser.parse_known_args(arguments)
    unknown = [word for word in left if word.startswith("-")]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    options.overrides = [*options.overrides, *left]
    if getattr(options, "potential", None) is not None:
        options.overrides.insert(0, f"potential.name={options.potential}")
    return options


def _chosen(command: Command, options: argparse.Namespace) -> Alternative | None:
    """What was asked for in place of the command itself.

    Raises ConfigError for options that would be ignored, and for words without an option.
    """
    chosen: Alternative | None = None
    for alternative in command.alternatives:
        if getattr(options, alternative.trigger) is None:
            _check_unused(alternative, options)
        elif chosen is not None:
            raise ConfigError(
                f"--{chosen.trigger} and --{alternative.trigger} are two ways to say what to "
                "simulate: give one of them."
            )
        else:
            chosen = alternative
    words = [word for word in options.overrides if "=" not in word]
    if chosen is not None and words:
        raise ConfigError(
            f"'{words[0]}' is not an override: write section.key=value; an option takes one "
            f"value, so give --{chosen.trigger} once per value."
        )
    return chosen


def _check_unused(alternative: Alternative, options: argparse.Namespace) -> None:
    """Raise ConfigError for options that say nothing where an alternative was not chosen."""
    own = argparse.ArgumentParser()
    alternative.add_options(own)
    ignored = [
        f"--{name.replace('_', '-')}"
        for name, default in vars(own.parse_args([])).items()
        if getattr(options, name) != default
    ]
    if ignored:
        raise ConfigError(
            f"{', '.join(ignored)} says nothing without --{alternative.trigger}: add that, or "
            f"leave {'them' if len(ignored) > 1 else 'it'} out."
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kstep", description="Learned k-step molecular dynamics, with a verdict."
    )
    parser.add_argument("--version", action="version", version=f"kstep {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="command")
    for command in COMMANDS:
        sub = subparsers.add_parser(
            command.name,
            help=command.summary,
            description=command.summary,
            epilog=f"settings and defaults:\n{describe(command.sections)}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.add_argument(
            "--config",
            type=Path,
            action="append",
            metavar="PATH",
            help="folder of section files, or one file (md.yaml, ...); may be repeated; "
            "default: ./configs where there is one",
        )
        sub.add_argument(
            "--resume",
            action="store_true",
            help="go on where an earlier run stopped: what every command does anyway",
        )
        sub.add_argument(
            "overrides", nargs="*", metavar="section.key=value", help="settings to override"
        )
        if "potential" in command.sections:
            sub.add_argument(
                "--potential", metavar="NAME", help="the true potential: short for potential.name"
            )
        for alternative in command.alternatives:
            alternative.add_options(sub)
        sub.set_defaults(command=command)
    return parser
