"""The program with the seeded violations that SEEDS names. It replaces `__main__.py` under the real engine."""

import os
import runpy
import sys
from pathlib import Path

import pulumi

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from tests.unit.policy.seeding import Seeder  # noqa: E402
from tests.unit.policy.seeds import SEEDS  # noqa: E402

wanted = os.environ["SEEDS"].split(",")
seeder = Seeder(*[seed for seed in SEEDS if seed.id in wanted])
pulumi.runtime.register_stack_transformation(seeder.transformation)
runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")
seeder.extra()
