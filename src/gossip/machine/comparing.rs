//! Two nodes find out what one of them lacks: one hash first, then hashes of parts, then what differs.
//!
//! ```text
//! A ── DIGEST ──► B   equal: nothing follows
//! A ◄─ BUCKETS ── B   of owners; the same for cluster-wide records and for members
//! A ── HEADS ───► B   of the parts that differ: B pulls what A has more,
//! A ◄─ HINT ───── B   and A what B has more
//! ```
//!
//! Cluster-wide records may be many, so between buckets and records stands a second step: the parts of each bucket
//! that differs.

use super::Gossip;
use crate::base::time::Moment;
use crate::gossip::codec::{Malformed, decode, decode_all, encode};
use crate::gossip::frame::{FRAME_HEAD_MAX, Kind, framed, write};
use crate::gossip::hash;
use crate::gossip::identity::NodeId;
use crate::gossip::replication::cluster::{GROUPS, PARTS_PER_GROUP};
use crate::gossip::replication::owners::{BUCKETS, Owner, Reach, bucket_of};
use crate::gossip::replication::wire::{
    DigestWire, HEAD_OCTETS_MAX, HeadWire, buckets, differing, heads, write_heads,
};
use std::time::Duration;

/// How often this node compares itself with a member by lot; a fifth more or less.
pub const COMPARE_EVERY: Duration = Duration::from_secs(10);
/// After a comparison that found a difference the next one comes so soon: what was lost on the way is caught up.
const AGAIN: Duration = Duration::from_millis(500);
/// So long after the last news, or up to twice as long, this node looks whether others have heard the same: what
/// neither push nor hint has brought would else wait for the next comparison.
const QUIET: Duration = Duration::from_millis(150);
/// Members, one after the other, that are asked then.
const CHECKS: u8 = 2;
/// Comparing with a member that is back begins within this time: not all at once.
const SOON: Duration = Duration::from_millis(300);
/// Datagrams of heads in one comparison. For more a stream is cheaper.
const HEADS_DATAGRAMS_MAX: usize = 16;
/// Members of parts that differ told in one comparison.
const TOLD_MAX: usize = 512;
/// Parts of what is told of members that differ when there is much to catch up.
const MEMBER_BUCKETS_MANY: usize = BUCKETS / 8;
/// Octets of cluster-wide records sent in one comparison.
const CLUSTER_OCTETS_MAX: usize = 64 * 1024;
/// Of so many parts that differ, a quarter of all, all records are fetched over a stream.
const CLUSTER_PARTS_MANY: usize = GROUPS * PARTS_PER_GROUP / 4;
/// After a comparison that could not send all that differs, hints cause none for so long: writes come so fast that
/// copies always differ, and what differs is on its way.
const CLUSTER_REST: Duration = Duration::from_secs(1);

/// Octets of a group's number and the sums of its parts.
const GROUP_OCTETS: usize = 1 + 4 * PARTS_PER_GROUP;

pub(super) struct Comparing {
    next: Moment,
    /// When it has been quiet for long enough after news.
    quiet_at: Moment,
    checks: u8,
    with: Option<NodeId>,
}

impl Comparing {
    pub(super) fn new(now: Moment, rng: &mut fastrand::Rng) -> Comparing {
        Comparing {
            next: now + COMPARE_EVERY.mul_f64(rng.f64()),
            quiet_at: Moment::NEVER,
            checks: 0,
            with: None,
        }
    }

    pub(super) fn next(&self) -> Moment {
        self.next.min(self.quiet_at)
    }
}

impl Gossip {
    /// Compares with that member before long.
    pub(super) fn compare_soon(&mut self, now: Moment, with: NodeId) {
        let soon = now + SOON.mul_f64(self.rng.f64());
        if soon < self.comparing.next {
            self.comparing.next = soon;
            self.comparing.with = Some(with);
        }
    }

    /// Records came that were new here.
    pub(super) fn news_came(&mut self, now: Moment) {
        self.comparing.checks = CHECKS;
        self.comparing.quiet_at = now + QUIET.mul_f64(1.0 + self.rng.f64());
    }

    pub(super) fn compare_if_due(&mut self, now: Moment) {
        if self.comparing.next() > now {
            return;
        }
        if self.comparing.quiet_at <= now {
            self.comparing.checks = self.comparing.checks.saturating_sub(1);
            self.comparing.quiet_at = match self.comparing.checks {
                0 => Moment::NEVER,
                _ => now + QUIET.mul_f64(1.0 + self.rng.f64()),
            };
        }
        self.note_members();
        self.comparing.next = now + COMPARE_EVERY.mul_f64(0.8 + 0.4 * self.rng.f64());
        let with = match self.comparing.with.take() {
            Some(node) => Some(node),
            None => self.membership.some_alive(1, |_| true).first().map(|told| told.id()),
        };
        if let Some(node) = with {
            let mut frames = Vec::new();
            let mut body = Vec::new();
            encode(&mut body, &self.digest());
            write(&mut frames, Kind::Digest, &body);
            self.send_to(now, node, frames);
        }
    }

    fn compare_again(&mut self, now: Moment) {
        self.comparing.next = self.comparing.next.min(now + AGAIN);
    }

    fn digest(&self) -> DigestWire {
        let all = |buckets: &[u64]| {
            buckets.iter().fold(buckets.len() as u64, |sum, bucket| hash::mix(sum, *bucket))
        };
        DigestWire {
            owners: all(self.replication.owners().buckets()).to_le_bytes(),
            cluster: self.replication.cluster().hash().to_le_bytes(),
            members: all(&self.member_buckets()[..]).to_le_bytes(),
        }
    }

    /// Over what is told of all nodes, this one included.
    fn member_buckets(&self) -> Box<[u64; BUCKETS]> {
        let mut buckets = Box::new(*self.membership.digests());
        let own = self.membership.own();
        buckets[bucket_of(own.id())] ^= own.digest();
        buckets
    }

    pub(super) fn compare(
        &mut self,
        now: Moment,
        from: NodeId,
        kind: Kind,
        body: &[u8],
    ) -> Result<(), Malformed> {
        match kind {
            Kind::Digest => self.hear_digest(now, from, decode_all(body)?),
            Kind::Buckets => self.hear_buckets(now, from, body)?,
            Kind::Heads => self.hear_heads(now, from, body)?,
            Kind::ClusterBuckets => self.hear_cluster_buckets(now, from, body)?,
            Kind::ClusterParts => self.hear_cluster_parts(now, from, body)?,
            Kind::MemberBuckets => self.hear_member_buckets(now, from, body)?,
            _ => return Err(Malformed),
        }
        Ok(())
    }

    fn hear_digest(&mut self, now: Moment, from: NodeId, theirs: DigestWire) {
        let own = self.digest();
        if own.owners != theirs.owners {
            let body = buckets(self.replication.owners().buckets());
            self.send_frame(now, from, Kind::Buckets, &body);
        } else {
            self.heads_are_equal(now, from);
        }
        if own.cluster == theirs.cluster {
            self.replication.confirm_cluster();
        } else {
            self.send_cluster_buckets(now, from, true);
        }
        if own.owners != theirs.owners || own.cluster != theirs.cluster {
            self.compare_again(now);
        }
        if own.members != theirs.members {
            self.send_member_buckets(now, from, true);
        }
    }

    pub(super) fn send_frame(&mut self, now: Moment, to: NodeId, kind: Kind, body: &[u8]) {
        let mut frames = Vec::with_capacity(framed(body.len()));
        write(&mut frames, kind, body);
        self.send_to(now, to, frames);
    }

    fn hear_buckets(&mut self, now: Moment, from: NodeId, body: &[u8]) -> Result<(), Malformed> {
        let differ = differing(self.replication.owners().buckets(), body).ok_or(Malformed)?;
        // What follows may be lost on the way, and who is behind may be asked by nobody for long.
        if !differ.is_empty() {
            self.compare_again(now);
        }
        let owners = self.replication.owners();
        let count: usize = differ.iter().map(|bucket| owners.in_bucket(*bucket).len().max(1)).sum();
        if count > HEADS_DATAGRAMS_MAX * (self.room / HEAD_OCTETS_MAX) {
            self.fetch(now, from);
            return Ok(());
        }
        let mut datagram = Vec::new();
        for bucket in differ {
            let mut body = vec![bucket as u8];
            for owner in self.replication.owners().in_bucket(bucket) {
                encode(&mut body, &HeadWire::new(owner.id(), owner.have()));
            }
            // A part so large that it does not fit is left out, beyond some 24,000 owners: only a stream mends it.
            if framed(body.len()) > self.room {
                continue;
            }
            if datagram.len() + framed(body.len()) > self.room {
                self.send_to(now, from, std::mem::take(&mut datagram));
            }
            write(&mut datagram, Kind::Heads, &body);
        }
        if !datagram.is_empty() {
            self.send_to(now, from, datagram);
        }
        Ok(())
    }

    fn hear_heads(&mut self, now: Moment, from: NodeId, body: &[u8]) -> Result<(), Malformed> {
        let (bucket, rest) = body.split_first().ok_or(Malformed)?;
        let theirs: Result<Vec<HeadWire>, Malformed> = heads(rest).collect();
        let theirs = theirs?;
        for head in &theirs {
            self.replication.hear(now, from, head.owner(), head.reach(), Duration::ZERO);
        }
        let reach_there = |id: NodeId| {
            theirs.iter().find(|head| head.owner() == id).map_or(Reach::default(), HeadWire::reach)
        };
        let more = self.replication.owners().in_bucket(usize::from(*bucket)).iter();
        let more = more.filter(|owner| owner.have() > reach_there(owner.id()));
        let more: Vec<HeadWire> = more.map(|owner: &Owner| HeadWire::new(owner.id(), owner.have())).collect();
        let mut frames = Vec::new();
        write_heads(&mut frames, Kind::Hint, self.room, more.into_iter());
        for frames in frames {
            self.send_to(now, from, frames);
        }
        Ok(())
    }

    pub(super) fn send_cluster_buckets(&mut self, now: Moment, to: NodeId, ask: bool) {
        let mut frames = Vec::new();
        self.write_mark(&mut frames);
        let mut body = vec![u8::from(ask)];
        body.extend_from_slice(&buckets(self.replication.cluster().groups()));
        write(&mut frames, Kind::ClusterBuckets, &body);
        self.send_to(now, to, frames);
    }

    /// Groups that differ are told part by part.
    fn hear_cluster_buckets(&mut self, now: Moment, from: NodeId, body: &[u8]) -> Result<(), Malformed> {
        let (_, body) = body.split_first().ok_or(Malformed)?;
        let differ = differing(self.replication.cluster().groups(), body).ok_or(Malformed)?;
        self.send_cluster_parts(now, from, true, &differ);
        Ok(())
    }

    fn send_cluster_parts(&mut self, now: Moment, to: NodeId, ask: bool, groups: &[usize]) {
        let mut frames = Vec::new();
        self.write_mark(&mut frames);
        let fit = self.room.saturating_sub(frames.len() + FRAME_HEAD_MAX) / GROUP_OCTETS;
        for groups in groups.chunks(fit.max(1)) {
            let mut body = vec![u8::from(ask)];
            for group in groups {
                body.push(*group as u8);
                body.extend_from_slice(&buckets(&self.replication.cluster().parts_of(*group)));
            }
            write(&mut frames, Kind::ClusterParts, &body);
            self.send_to(now, to, std::mem::take(&mut frames));
        }
        if !frames.is_empty() {
            self.send_to(now, to, frames);
        }
    }

    /// Sends the records of parts that differ.
    fn hear_cluster_parts(&mut self, now: Moment, from: NodeId, body: &[u8]) -> Result<(), Malformed> {
        let (ask, body) = body.split_first().ok_or(Malformed)?;
        let (told, []) = body.as_chunks::<GROUP_OCTETS>() else { return Err(Malformed) };
        let cluster = self.replication.cluster();
        let (mut groups, mut parts) = (Vec::new(), Vec::new());
        for [group, theirs @ ..] in told {
            let group = usize::from(*group);
            if group >= GROUPS {
                return Err(Malformed);
            }
            let differ = differing(&cluster.parts_of(group), theirs).ok_or(Malformed)?;
            if !differ.is_empty() {
                groups.push(group);
            }
            parts.extend(differ.iter().map(|part| (group * PARTS_PER_GROUP + part) as u16));
        }
        if parts.is_empty() {
            return Ok(());
        }
        let most = parts.len() > CLUSTER_PARTS_MANY;
        let first = self.rng.usize(..parts.len());
        parts.rotate_left(first);
        let mut frames = Vec::new();
        let whole = cluster.frames(parts, self.room, CLUSTER_OCTETS_MAX, &mut frames);
        if *ask == 1 {
            self.send_cluster_parts(now, from, false, &groups);
        }
        if !whole {
            self.replication.rest_cluster_hints(now + CLUSTER_REST);
        }
        // What no datagram takes, or is most of all, is fetched; of less the next comparison brings the rest.
        if most && !whole || frames.iter().any(|frame| frame.len() > self.room) {
            self.send_frame(now, from, Kind::Refer, &[]);
            return Ok(());
        }
        for frames in frames {
            self.send_to(now, from, frames);
        }
        Ok(())
    }

    fn send_member_buckets(&mut self, now: Moment, to: NodeId, ask: bool) {
        let mut body = vec![u8::from(ask)];
        body.extend_from_slice(&buckets(&self.member_buckets()[..]));
        self.send_frame(now, to, Kind::MemberBuckets, &body);
    }

    fn hear_member_buckets(&mut self, now: Moment, from: NodeId, body: &[u8]) -> Result<(), Malformed> {
        let (ask, body) = decode::<u8>(body)?;
        let differ = differing(&self.member_buckets()[..], body).ok_or(Malformed)?;
        if differ.is_empty() {
            return Ok(());
        }
        // Where datagrams are lost some telling is always under way: only much is caught up at once.
        if differ.len() >= MEMBER_BUCKETS_MANY {
            self.compare_again(now);
        }
        if ask == 1 {
            self.send_member_buckets(now, from, false);
        }
        let all = self.membership.tellings().map(|told| told.id()).chain(std::iter::once(self.me.id));
        let mut ids: Vec<NodeId> = all.filter(|id| differ.binary_search(&bucket_of(*id)).is_ok()).collect();
        // From a bucket by lot on: else what does not fit is always the same.
        let first = self.rng.usize(..BUCKETS);
        ids.sort_by_key(|id| (bucket_of(*id) + BUCKETS - first) % BUCKETS);
        ids.truncate(TOLD_MAX);
        let mut datagram = Vec::new();
        for frame in self.membership.rumours_for(now, ids) {
            if datagram.len() + crate::gossip::membership::FRAME_OCTETS_MAX > self.room {
                self.send_to(now, from, std::mem::take(&mut datagram));
            }
            frame.emit(&mut datagram);
        }
        if !datagram.is_empty() {
            self.send_to(now, from, datagram);
        }
        Ok(())
    }
}
