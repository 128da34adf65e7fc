from kstep.workflow.cli.main import entry

entry("md")
