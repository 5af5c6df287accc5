"""What `python -m structtokenbench` runs."""

import sys

from structtokenbench.cli import main

if __name__ == "__main__":
    sys.exit(main())
