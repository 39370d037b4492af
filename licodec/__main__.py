"""`python -m licodec`: the command `licodec`."""

from licodec.cli.main import main

if __name__ == "__main__":
    main()
