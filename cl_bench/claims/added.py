"""What the page shows beside what was registered: details and notes that no rule judges.

They were added after the runs, to explain what the judged values do not show. Each is kept by the
statement beside which it stands.
"""

from __future__ import annotations

from dataclasses import dataclass

from cl_bench.claims.measure import Detail


@dataclass(frozen=True)
class Added:
    """Details and notes beside one statement."""

    details: tuple[Detail, ...] = ()
    notes: tuple[str, ...] = ()


NOTHING_ADDED = Added()
