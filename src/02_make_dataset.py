from kstep.cli.main import entry

entry("dataset")
