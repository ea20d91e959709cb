"""What the demo's monitor can see of a server, once a second.

On a stock server that is pg_stat_activity, and who was refused is seen by
nobody but the refused.  With pg_hygiene it is its views and nothing else.
"""
from collections import Counter
from dataclasses import dataclass, field
from typing import Dict, List


@dataclass
class Sample:
    """The server at one moment."""
    connections: Dict[str, int]
    free: int
    remarks: List[str] = field(default_factory=list)   # what was done, and why


class StockView:
    """What a stock server shows of itself."""

    remark = ""

    def __init__(self, connection):
        self.cursor = connection.cursor()
        self.slots = int(self.value("SHOW max_connections"))
        self.reserved = int(self.value("SHOW superuser_reserved_connections"))

    def sample(self) -> Sample:
        connections = self.pairs(
            "SELECT application_name, count(*) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' GROUP BY 1")
        used = sum(connections.values())
        return Sample(connections, max(self.slots - self.reserved - used, 0))

    def value(self, query: str):
        """The one value that a query gives."""
        self.cursor.execute(query)
        return self.cursor.fetchone()[0]

    def pairs(self, query: str) -> Dict:
        """A query's two columns, as keys and values."""
        self.cursor.execute(query)
        return dict(self.cursor.fetchall())


class HygieneView(StockView):
    """What the views of pg_hygiene show; nothing here looks elsewhere."""

    remark = "ended, by which limit"

    def __init__(self, connection):
        super().__init__(connection)
        self.cursor.execute("CREATE EXTENSION pg_hygiene")
        self.slots = self.value("SELECT max_connections FROM hygiene.status")
        self.reserved = self.value("SELECT reserved FROM hygiene.status")
        self.last_event = 0

    def sample(self) -> Sample:
        return Sample(
            self.pairs("SELECT application_name, connections"
                       " FROM hygiene.applications WHERE connections > 0"),
            max(self.value("SELECT available FROM hygiene.status"), 0),
            self._new_events())

    def _new_events(self) -> List[str]:
        """What was done since the last call: "10 idle_in_transaction_timeout".

        An application is named only if it is not the one expected.
        """
        self.cursor.execute(
            "SELECT event_id, application_name, action, reason"
            " FROM hygiene.events WHERE event_id > %s AND action <> 'warn'"
            " AND outcome <> 'spared' ORDER BY event_id", [self.last_event])
        counts: Counter = Counter()
        for event, application, action, reason in self.cursor.fetchall():
            self.last_event = event
            counts[("" if application == "orders" else f"{application}: ")
                   + ("refused, " if action == "refuse" else "")
                   + reason] += 1
        return [f"{count} {what}" for what, count in counts.items()]

    def diagnoses(self) -> Dict[str, str]:
        """What is wrong with an application, where something is."""
        return self.pairs("SELECT application_name, diagnosis"
                          " FROM hygiene.applications"
                          " WHERE diagnosis IS NOT NULL")

    def others_hurt(self) -> Dict[str, int]:
        """Events that touched anybody but the leaking program."""
        return self.pairs(
            "SELECT application_name, count(*) FROM hygiene.events"
            " WHERE application_name <> 'orders' AND action <> 'warn'"
            " AND outcome <> 'spared' GROUP BY 1")

    def ended(self, application: str) -> int:
        """How many sessions of an application were terminated or evicted."""
        return self.pairs(
            "SELECT application_name, terminated + evicted"
            " FROM hygiene.applications").get(application, 0)
