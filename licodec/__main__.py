"""`python -m licodec`: the command `licodec`."""

from licodec.cli.main import main

main()
