"""Makes the helper modules of this folder importable: `features_reference` and `features_factories`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
