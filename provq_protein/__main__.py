"""What does ``python -m provq_protein`` run?"""

import sys

from provq_protein.cli import main

if __name__ == "__main__":
    sys.exit(main())
