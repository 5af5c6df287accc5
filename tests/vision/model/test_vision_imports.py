"""Does the image model load without libraries that it does not need?"""

import json
import subprocess
import sys

FOREIGN = ("biotite", "Bio", "esm", "mdtraj", "h5py", "sklearn", "torch_geometric", "torchvision")


def test_the_model_package_loads_no_library_of_biology_and_no_optional_one():
    code = (
        "import json, sys, provq_vision.model, provq_vision.model.perceptual, "
        "provq_vision.model.objective, provq_vision.model.llamagen; "
        f"print(json.dumps(sorted(set(sys.modules) & set({FOREIGN!r}))))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert json.loads(result.stdout) == []
