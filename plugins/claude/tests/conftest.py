"""What the tests of this plugin share."""

import sys
from pathlib import Path

# With `--import-mode=importlib` a test's folder is not on the path; this name is unique in the repository.
sys.path.insert(0, str(Path(__file__).parent))
