//! How a name of the services' domain is read, and who asks for it.

use super::Tale;
use crate::discovery::names::{Row, Standing};
use crate::wire::name::Name;
use std::net::IpAddr;

/// Containers that are told one by one: those that get no work come first.
const STANDINGS_MAX: usize = 32;

impl Tale<'_> {
    /// How the name is read, and what the asker sees of it.
    pub(super) fn of_view(&mut self, name: &Name, from: Option<IpAddr>) {
        let derived = self.control.cluster.derived();
        let readings = derived.readings(name);
        for reading in &readings {
            let verdict = if reading.is_taken { "" } else { "; an earlier row wins" };
            self.step("reading", format!("{} as {}{verdict}", reading.what, reading.row));
        }
        self.of_health(&derived.standings(name));
        // A node's own addresses are everybody's, as is what no container has to do with.
        if readings.iter().all(|reading| reading.row == Row::Node || !reading.is_taken) {
            if from.is_some() {
                self.step("network", "every asker gets the same records of this name");
            }
            return;
        }
        let legend = derived.legend();
        let claim = from.and_then(|from| derived.asker(from)).filter(|claim| claim.networks.is_some());
        let told = match claim {
            Some(claim) => {
                let networks = claim.networks.iter().flat_map(|networks| networks.iter());
                let networks: Vec<&str> = networks.map(|(name, _)| &**name).collect();
                let stack = match &*claim.stack {
                    "" => String::new(),
                    stack => format!(" of stack {stack}"),
                };
                format!("the asker is container {}{stack} in {}", claim.id, networks.join(", "))
            }
            None => {
                let services = self.control.state.services();
                let asker =
                    services.map(|services| services.addresses().asker(None).clone()).unwrap_or_default();
                let networks = asker.networks.iter().map(|number| match legend.networks.get(number) {
                    Some(name) => name.clone(),
                    None => format!("network {number:08x}"),
                });
                match networks.collect::<Vec<_>>().join(", ") {
                    networks if networks.is_empty() => {
                        "the asker is not known and gets no addresses".to_owned()
                    }
                    networks => format!("the asker is not known and gets addresses of {networks}"),
                }
            }
        };
        self.step("network", told);
    }

    /// How it stands with the containers that the name stands for, whether or not they are told.
    fn of_health(&mut self, standings: &[Standing]) {
        for Standing { container, node, state, .. } in standings.iter().take(STANDINGS_MAX) {
            self.step("health", format!("{container} on {node}: {state}"));
        }
        let rest = standings.get(STANDINGS_MAX..).unwrap_or_default();
        if !rest.is_empty() {
            let well = rest.iter().filter(|standing| standing.is_well).count();
            self.step("health", format!("and {} more, of which {well} take work", rest.len()));
        }
    }
}
