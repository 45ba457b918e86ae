"""python -m akd.cli is the command `akd`."""

from akd.cli.app import main

main()
