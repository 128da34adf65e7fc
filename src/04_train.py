from kstep.cli.main import entry

entry("train")
