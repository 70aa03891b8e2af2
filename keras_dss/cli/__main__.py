"""`python -m keras_dss.cli` does what `keras-dss` does."""

import sys

from keras_dss.cli.command_line import main

if __name__ == "__main__":
    sys.exit(main())
