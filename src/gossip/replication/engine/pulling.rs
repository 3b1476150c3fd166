//! What comes from others, and what is given to those who ask.

use super::Replication;
use crate::base::time::Moment;
use crate::gossip::codec::Malformed;
use crate::gossip::frame::{Kind, framed, write};
use crate::gossip::identity::{NodeId, Version};
use crate::gossip::replication::delta::{Delta, cut};
use crate::gossip::replication::engine::Todo;
use crate::gossip::replication::owners::{Owner, Reach, Taken};
use crate::gossip::replication::pulls::PATIENCE;
use crate::gossip::replication::spread::{HINTS, HINTS_PULLED};
use crate::gossip::replication::wire::heads;

/// Octets that one pull brings in datagrams; what is more comes over a stream.
const ANSWER_OCTETS_MAX: usize = 64 * 1024;

impl Replication {
    pub(super) fn take_delta(
        &mut self,
        now: Moment,
        from: NodeId,
        body: &[u8],
        pushed: bool,
    ) -> Result<(), Malformed> {
        let delta = Delta::parse(body)?;
        let owner = delta.head.owner;
        if owner == self.me {
            let reach = Reach { generation: delta.head.generation, head: delta.head.to };
            if reach > self.owners.have(owner) {
                self.outlived(reach);
            }
            return Ok(());
        }
        if self.forgotten.refuses(now, owner, delta.head.generation) {
            return Ok(());
        }
        let taken = self.owners.take(&delta);
        let (since, shown) = match taken {
            Taken::Known => return Ok(()),
            Taken::Gap => {
                let reach = Reach { generation: delta.head.generation, head: delta.head.to };
                self.pulls.want(now, owner, reach, from, PATIENCE);
                return Ok(());
            }
            Taken::Staged => (None, false),
            Taken::Shown(since) => (since, true),
        };
        let reach = self.owners.have(owner);
        self.pulls.have(owner, reach);
        if pushed {
            let mut frame = Vec::with_capacity(framed(body.len()));
            write(&mut frame, Kind::Delta, body);
            self.spread.push_on(now, frame, from);
        }
        self.spread.tell(now, owner, reach, if pushed { HINTS } else { HINTS_PULLED });
        if shown {
            self.show(owner, since);
        }
        Ok(())
    }

    pub(super) fn answer_pull(&mut self, from: NodeId, body: &[u8]) -> Result<(), Malformed> {
        let (mut datagram, mut sent, mut refer) = (Vec::new(), 0, false);
        for head in heads(body) {
            let head = head?;
            let Some(log) = self.owners.get(head.owner()).and_then(Owner::newest) else { continue };
            let theirs = head.reach();
            let start = if theirs.generation == log.generation() { theirs.head } else { Version(0) };
            if theirs.generation > log.generation() {
                continue;
            }
            cut(head.owner(), log, start, self.room, |_, body| {
                if framed(body.len()) > self.room || sent + body.len() > ANSWER_OCTETS_MAX {
                    refer = true;
                    return false;
                }
                if datagram.len() + framed(body.len()) > self.room {
                    self.todo.push_back(Todo::Send(from, std::mem::take(&mut datagram)));
                }
                sent += body.len();
                write(&mut datagram, Kind::Answer, &body);
                true
            });
        }
        if refer && datagram.len() + framed(0) <= self.room {
            write(&mut datagram, Kind::Refer, &[]);
        }
        if !datagram.is_empty() {
            self.todo.push_back(Todo::Send(from, datagram));
        }
        Ok(())
    }
}
