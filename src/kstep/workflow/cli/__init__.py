"""The command line: `main` parses, `commands` calls the stages."""
