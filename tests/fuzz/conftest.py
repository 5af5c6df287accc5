"""Where do the modules of the fuzzer find each other?"""

import sys
from pathlib import Path

# They also run as scripts, which find their neighbours by themselves.
sys.path.insert(0, str(Path(__file__).parent))
