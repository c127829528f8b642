"""An organisation's teams as a tree: their paths, and what is at or below a team. Pure.

A project is for the members of its teams and of every team above them; the tree answers it the other way
round, once for a caller: their teams and all below.
"""

from collections.abc import Iterable, Iterator

from keyturn.core.records import Team
from keyturn.core.vocabulary import TeamId


class TeamTree:
    """The living teams of an organisation; a team that is named and not among them is passed over."""

    def __init__(self, teams: Iterable[Team]) -> None:
        """Take the teams in any order."""
        self._teams = {team.id: team for team in teams}
        self._children: dict[TeamId | None, list[Team]] = {}
        for team in self._teams.values():
            self._children.setdefault(team.parent_id, []).append(team)
        self._paths: dict[TeamId, str] = {}

    def path(self, team_id: TeamId) -> str:
        """Write a team with all above it: ``/Root/A/B``."""
        known = self._paths.get(team_id)
        if known is None:
            names = [team.name for team in self.upwards(team_id)]
            known = self._paths[team_id] = "/" + "/".join(reversed(names))
        return known

    def paths(self, team_ids: Iterable[TeamId]) -> tuple[str, ...]:
        """Write several teams, sorted."""
        return tuple(sorted(self.path(each) for each in team_ids if each in self._teams))

    def find(self, name: str) -> Team | None:
        """Find a team by its id, or by its path without regard to case."""
        by_id = self._teams.get(TeamId(name))
        if by_id is not None:
            return by_id
        asked = "/" + name.strip("/").casefold()
        return next((team for team in self._teams.values() if self.path(team.id).casefold() == asked), None)

    def upwards(self, team_id: TeamId | None) -> Iterator[Team]:
        """Yield a team and all above it, the root last."""
        seen: set[TeamId] = set()  # a circle cannot be made; if there were one, this would still end
        while team_id is not None and team_id in self._teams and team_id not in seen:
            seen.add(team_id)
            team = self._teams[team_id]
            yield team
            team_id = team.parent_id

    def children(self, team_id: TeamId | None) -> tuple[Team, ...]:
        """Give the teams right below one; of None those at the root."""
        return tuple(self._children.get(team_id, ()))

    def below(self, team_ids: Iterable[TeamId]) -> frozenset[TeamId]:
        """Give all teams at or below some."""
        found: set[TeamId] = set()
        open_ids = [each for each in team_ids if each in self._teams]
        while open_ids:
            team_id = open_ids.pop()
            if team_id not in found:
                found.add(team_id)
                open_ids += [team.id for team in self.children(team_id)]
        return frozenset(found)

    def in_order(self) -> list[Team]:
        """Give all teams, sorted by path."""
        return sorted(self._teams.values(), key=lambda team: self.path(team.id).casefold())
