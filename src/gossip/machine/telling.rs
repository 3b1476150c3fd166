//! Telling everybody of a change of the ring of keys.

use super::Gossip;
use crate::base::time::Moment;
use crate::gossip::codec::{Malformed, decode_all, encode};
use crate::gossip::frame::{Kind, write};
use crate::gossip::identity::NodeId;
use crate::gossip::output::Event;
use crate::gossip::replication::spread::FAN;
use crate::gossip::secrecy::keyring::RingChange;

/// A change of keys is rare and must reach all: it is pushed to more members than a record.
const KEY_FAN: usize = 3 * FAN;

impl Gossip {
    pub(super) fn spread_key(&mut self, now: Moment, change: &RingChange, except: Option<NodeId>) {
        let (mut frames, mut body) = (Vec::new(), Vec::new());
        encode(&mut body, change);
        write(&mut frames, Kind::Key, &body);
        self.spread(now, frames, KEY_FAN, except);
        self.tell(Event::Keys);
    }

    /// A change that cannot be made here (the ring differs) is left: the operator sees it by `key list`.
    pub(super) fn hear_key(&mut self, now: Moment, from: NodeId, body: &[u8]) -> Result<(), Malformed> {
        let change: RingChange = decode_all(body)?;
        // In clear anybody could hand out keys.
        if !self.secrecy.ring().is_empty() && matches!(self.secrecy.change(&change), Ok(true)) {
            self.spread_key(now, &change, Some(from));
        }
        Ok(())
    }
}
