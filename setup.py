"""Package data that lies outside the package: the wheel's Python files are the checkout's, byte for byte.

The import package `dualsync` holds `components` and `runtime` by links to the project's folders. The rest is in
pyproject.toml.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class BuildWithProjectFiles(build_py):
    """Add the declared config, the runtime's lock and the plugin's place in an environment.

    Editable installs need none of them.
    """

    def run(self) -> None:
        """Build the package, then copy the files."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "dualsync"
        (target / "project_files" / "requirements").mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "requirements" / "runtime.lock", target / "project_files" / "requirements")
        shutil.copy(ROOT / "Pulumi.yaml", target / "project_files")
        plugin = target / "components" / "PulumiPlugin.yaml"
        # From site-packages up to the environment that it belongs to.
        plugin.write_text(plugin.read_text().replace("../.venv", "../../../../.."))


setup(
    packages=find_packages(include=["dualsync", "dualsync.*"]),
    package_data={"": ["*.yaml", "*.txt", "*.sh", "*.service", "templates/*"]},
    cmdclass={"build_py": BuildWithProjectFiles},
)
