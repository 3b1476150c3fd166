//! The domain at other servers, as the rest of the control thread sees it: whether the configuration wants it, and what came of
//! cuts.

use crate::base::config::{Config, Content};
use crate::base::time::Moment;
use crate::control::cluster::cuts::{Cuts, News, Settings};
use crate::control::cluster::{Cluster, names};
use crate::os::clock;
use crate::wire::name::Name;
use std::time::UNIX_EPOCH;

impl Cluster {
    /// Has the domain go to other servers, or not any more, as is configured; true if it does not any more.
    pub(in crate::control) fn set_cuts(&mut self, now: Moment, config: &Config) -> bool {
        let is_wanted = goes_out(config);
        if is_wanted && self.cuts.is_none() {
            let settings = Settings {
                names: names::terms(self.domain.clone(), config, self.gossip.me().id),
                ttl: names::seconds(config.services.ttl),
                negative_ttl: names::seconds(config.services.negative_ttl),
                lease: config.services.lease,
            };
            self.cuts = Some(Cuts::new(now, settings, &self.gossip));
        }
        if !is_wanted && let Some(cuts) = self.cuts.take() {
            cuts.take_back(now, &mut self.gossip);
            return true;
        }
        false
    }

    /// This node makes no cuts any more: it takes back all that it says.
    pub(in crate::control) fn end_cuts(&mut self) {
        if let Some(cuts) = &mut self.cuts {
            cuts.end();
        }
    }

    /// Follows cuts, or makes one.
    pub(super) fn cut(&mut self, now: Moment) {
        let is_synced = self.is_synced();
        let seconds = clock::wall().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let Cluster { cuts: Some(cuts), names, gossip, .. } = self else { return };
        cuts.set_networks(&names.derived().outsiders());
        cuts.turn((now, seconds), is_synced, gossip);
    }

    /// What became of the version of the domain that goes to other servers.
    pub(in crate::control) fn take_cuts(&mut self) -> Vec<News> {
        self.cuts.as_mut().map(Cuts::take_news).unwrap_or_default()
    }

    /// A version could not be put in place.
    pub(in crate::control) fn cut_failed(&mut self) {
        if let Some(cuts) = &mut self.cuts {
            cuts.failed();
        }
    }

    /// The domain of service names.
    pub(in crate::control) fn domain(&self) -> &Name {
        &self.domain
    }
}

/// True if the configuration lets the domain go to other servers, or has them told of it.
fn goes_out(config: &Config) -> bool {
    let of_cluster = config.zones.iter().filter(|zone| zone.content == Content::Cluster);
    of_cluster.into_iter().any(|zone| !zone.transfer.is_empty() || !zone.notify.is_empty())
}
