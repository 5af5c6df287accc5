"""What does ``python -m provq_vision`` run?"""

import sys

from provq_vision.cli import main

if __name__ == "__main__":
    sys.exit(main())
