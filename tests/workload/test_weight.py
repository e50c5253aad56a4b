"""The workload package is light until it is used."""

import subprocess
import sys


def test_reading_a_cascade_imports_nothing_heavy() -> None:
    code = (
        "import sys; from accelsim.workload.build import cascade; import accelsim.io.workload;"
        "cascade('w', 'Z[m,n] = A[m,k] * B[k,n]', {'m': 2, 'n': 2, 'k': 2});"
        "print([name for name in ('numpy', 'networkx', 'numba', 'scipy', 'matplotlib') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
