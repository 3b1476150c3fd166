//! How it stands with the containers behind a name, in words, for whoever asks why it is told or not. Decides nothing.

use super::derive::Member;
use super::{Names, is_to_end};
use crate::discovery::endpoint::{Health, Withdrawn};
use crate::wire::name::Name;

/// How it stands with one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// It takes work.
    pub is_well: bool,
    /// What its engine calls it.
    pub container: String,
    /// The node that it runs on.
    pub node: String,
    /// Its health, or why it gets no work.
    pub state: &'static str,
}

impl Names {
    /// How it stands with the containers of all that a name below the domain is read as; those that are well come last.
    pub fn standings(&self, name: &Name) -> Vec<Standing> {
        let Some(units) = self.units_at(name) else { return Vec::new() };
        let first = units.values().flat_map(|all| all.iter()).map(|one| one.row).min();
        let taken = units.iter().filter(|(_, all)| all.iter().any(|one| Some(one.row) == first));
        let units = taken.filter_map(|(key, _)| self.units.get(key));
        let is_withdrawn = |task: &str| is_to_end(&self.withdrawn, &self.gone, task);
        let members = units.flat_map(|unit| unit.members(&self.terms, &self.gone, &is_withdrawn));
        let mut standings: Vec<Standing> = members.map(|member| standing(&member)).collect();
        standings.sort_by(|one, other| (one.is_well, &one.container).cmp(&(other.is_well, &other.container)));
        standings
    }
}

fn standing(member: &Member<'_>) -> Standing {
    let endpoint = member.endpoint;
    let state = match (endpoint.withdrawn, endpoint.health) {
        _ if member.is_gone => "what its node said of it is over",
        (Some(Withdrawn::Stopping), _) => "it was sent its stop signal",
        (Some(Withdrawn::Died), _) => "it has ended",
        (Some(Withdrawn::Paused), _) => "it is paused",
        (Some(Withdrawn::Drained), _) => "its node is drained",
        _ if member.is_withdrawn => "its swarm wants it to end",
        (None, Health::None) => "it runs, and has no health check",
        (None, Health::Starting) => "its health check has said nothing yet",
        (None, Health::Healthy) => "healthy",
        (None, Health::Unhealthy) => "unhealthy",
    };
    Standing {
        is_well: endpoint.is_ready() && !member.is_withdrawn && !member.is_gone,
        container: endpoint.name.clone(),
        node: endpoint.node.clone(),
        state,
    }
}
