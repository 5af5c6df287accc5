"""What `python -m provq_vision` runs."""

import sys

from provq_vision.cli import main

if __name__ == "__main__":
    sys.exit(main())
