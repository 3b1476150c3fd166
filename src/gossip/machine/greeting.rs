//! Meeting the members of the view before there is anything to tell them.
//!
//! A member that does not know this process challenges its first datagram: that takes three datagrams, and where one in
//! five is lost, half of such first words are. So whoever enters the view is greeted at once, by a hint of nothing, and
//! again unless it challenged: then it knows this process, or will know it by the answer.

use super::Gossip;
use crate::base::time::Moment;
use crate::gossip::frame::{Kind, write};
use crate::gossip::identity::NodeId;
use std::collections::VecDeque;
use std::time::Duration;

/// Time between greetings: a view is met within four seconds, at a kilobyte a second.
const GREET_EVERY: Duration = Duration::from_millis(40);
/// How often a member is greeted that does not challenge: it knows this process already, or the greeting was lost.
const GREETINGS: u8 = 3;

pub(super) struct Greeting {
    at: Moment,
    /// Who is to be greeted, and how often.
    left: VecDeque<(NodeId, u8)>,
}

impl Greeting {
    pub(super) fn new() -> Greeting {
        Greeting { at: Moment::NEVER, left: VecDeque::new() }
    }

    /// The view may have changed.
    pub(super) fn soon(&mut self, now: Moment) {
        self.at = self.at.min(now + GREET_EVERY);
    }

    /// That one challenged, and was answered.
    pub(super) fn challenged(&mut self, by: NodeId) {
        self.left.retain(|(id, _)| *id != by);
    }

    pub(super) fn next(&self) -> Moment {
        self.at
    }
}

impl Gossip {
    pub(super) fn greet_if_due(&mut self, now: Moment) {
        if self.greeting.at > now {
            return;
        }
        self.view.fill(now, &mut self.membership, &mut self.rng);
        self.greeting.left.extend(self.view.take_new().map(|id| (id, GREETINGS)));
        self.greeting.at = Moment::NEVER;
        let Some((id, times)) = self.greeting.left.pop_front() else { return };
        if times > 1 {
            self.greeting.left.push_back((id, times - 1));
        }
        let mut frames = Vec::new();
        write(&mut frames, Kind::Hint, &[]);
        self.send_to(now, id, frames);
        self.greeting.soon(now);
    }
}
