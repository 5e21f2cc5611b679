"""For authors of domains and learners: what the suite relies on, checked and explained.

assert check_task(DOMAIN) == []
assert check_learner("acme-streams/bandit") == []
"""

from __future__ import annotations

from cl_bench.tools.checks.fault import Fault
from cl_bench.tools.checks.learner import check_learner
from cl_bench.tools.checks.task import check_task

__all__ = ["Fault", "check_learner", "check_task"]
