//! Who has the pen of a shard may write: lets entries in, and out again where room is needed.
//!
//! ```text
//! new ─► newcomers ──read──► residents ──read──► residents, once more
//!            │                   └──not read──► out
//!            └──not read──► out, a ghost        a ghost that comes again ─► residents
//! ```
//!
//! S3-FIFO (Yang et al., SOSP 2023) with one mark instead of a count. Names that are asked for once pass through the
//! newcomers' tenth and push out nothing else. While the residents have room, all go there.

use super::entry::{self, Entry, Header};
use super::ghosts::Ghosts;
use super::index::{ASKED, READ, Seen, TOLD};
use super::life::{Life, Phase};
use super::ring::Ring;
use super::shard::{NEWCOMERS, Shard};
use crate::base::limits::NAME_OCTETS_MAX;
use crate::base::time::Moment;
use crate::resolve::body::Body;
use crate::resolve::question::Question;
use crate::wire::name::is_at_or_below;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering::Relaxed;

/// Residents that one newcomer may see stay on because they were read: beyond that one goes out all the same, so that
/// keeping an answer takes some microseconds at most.
const STAYS_MAX: usize = 32;

/// In which order entries go out.
pub(super) struct Queues {
    newcomers: Ring,
    residents: Ring,
    ghosts: Ghosts,
}

impl Queues {
    /// The first `newcomers` of so many words, and the rest, for residents.
    pub(super) fn new(newcomers: usize, words: usize, ghosts: usize) -> Queues {
        Queues {
            newcomers: Ring::new(0, newcomers),
            residents: Ring::new(newcomers, words - newcomers),
            ghosts: Ghosts::new(ghosts),
        }
    }
}

/// The right to write, and what is needed for it.
pub(super) struct Pen<'s> {
    shard: &'s Shard,
    queues: MutexGuard<'s, Queues>,
}

impl<'s> Pen<'s> {
    pub(super) fn new(shard: &'s Shard, queues: MutexGuard<'s, Queues>) -> Pen<'s> {
        Pen { shard, queues }
    }

    /// See [`Cache::put`](super::Cache::put).
    pub(super) fn put(&mut self, question: &Question<'_>, now: Moment, life: Life, body: &Body<'_>) -> bool {
        let header = Header::new(question, now, life, body).filter(|_| life.fresh_seconds > 0);
        let Some(header) = header else {
            if !body.is_failure() {
                self.strike(question);
            }
            return false;
        };
        self.shard.begin();
        let kept = self.keep(question, now, life, body, &header);
        self.shard.end();
        kept
    }

    /// Forgets what is known of a question.
    fn strike(&self, question: &Question<'_>) {
        let shard = self.shard;
        let old = |seen: Seen| Entry::of(&shard.words, seen.place(), question);
        if let Some((seen, entry)) = shard.index.find(entry::tag(question), old) {
            shard.begin();
            self.forget(seen, &entry);
            shard.end();
        }
    }

    fn keep(
        &mut self,
        question: &Question<'_>,
        now: Moment,
        life: Life,
        body: &Body<'_>,
        header: &Header,
    ) -> bool {
        let shard = self.shard;
        let (tag, words) = (header.tag, header.words());
        let old = shard.index.find(tag, |seen| Entry::of(&shard.words, seen.place(), question));
        let (mut resident, mut marks) = (false, 0);
        if let Some((seen, old)) = old {
            let place = shard.words.get(seen.place()..).unwrap_or_default();
            if body.is_failure() {
                entry::write_header(place, &old.header.failed(now, life, body));
                return true;
            }
            if old.header.words() == words {
                entry::write(place.get(..words).unwrap_or_default(), header, question.name, body);
                shard.index.unmark(seen.at, ASKED | TOLD);
                return true;
            }
            resident = self.queues.residents.contains(seen.place());
            marks = if seen.has(READ) { READ } else { 0 };
            self.forget(seen, &old);
        }
        resident |= self.queues.ghosts.take(tag) || self.has_resident_room(words);
        self.make_slot(now);
        match resident {
            true => self.make_resident_room(words, now),
            false => self.make_newcomer_room(words, now),
        }
        let ring = if resident { &mut self.queues.residents } else { &mut self.queues.newcomers };
        let Some(place) = ring.push(words) else { return false };
        entry::write(shard.words.get(place..place + words).unwrap_or_default(), header, question.name, body);
        shard.index.insert(tag, place, marks);
        shard.count().entered(words);
        true
    }

    /// True while a stranger may stay without anybody else going: there are words, and slots beside the newcomers'.
    fn has_resident_room(&self, words: usize) -> bool {
        let slots = self.shard.index.entries_max();
        self.queues.residents.has_room(words) && self.shard.count().entries() + slots / NEWCOMERS < slots
    }

    /// Lets entries go until the index has room for one more.
    fn make_slot(&mut self, now: Moment) {
        let mut stays = STAYS_MAX;
        let slots = self.shard.index.entries_max();
        while self.shard.count().entries() >= slots {
            let passed = match self.queues.newcomers.entries() > slots / NEWCOMERS {
                true => self.pass_newcomer(now),
                false => self.pass_resident(now, &mut stays) || self.pass_newcomer(now),
            };
            if !passed {
                return;
            }
        }
    }

    fn make_newcomer_room(&mut self, words: usize, now: Moment) {
        while !self.queues.newcomers.has_room(words) && self.pass_newcomer(now) {}
    }

    fn make_resident_room(&mut self, words: usize, now: Moment) {
        let mut stays = STAYS_MAX;
        while !self.queues.residents.has_room(words) && self.pass_resident(now, &mut stays) {}
    }

    /// Takes the newcomer at the tail away, out or to the residents; false if there is none.
    fn pass_newcomer(&mut self, now: Moment) -> bool {
        let Some(place) = self.queues.newcomers.tail() else { return false };
        let Some((entry, seen)) = self.at(place) else { return self.give_up() };
        let words = entry.header.words();
        self.queues.newcomers.pop(words);
        let Some(seen) = seen else { return true };
        if seen.has(READ) && usable(&entry, now) {
            self.make_resident_room(words, now);
            if let Some(to) = self.queues.residents.push(words) {
                self.copy(place, to, words);
                // Slots may have moved meanwhile.
                if let Some(seen) = self.slot(&entry, place) {
                    self.shard.index.moved(seen.at, to);
                }
                return true;
            }
        }
        self.queues.ghosts.add(entry.header.tag);
        self.evict(seen, &entry, now);
        true
    }

    /// Takes the resident at the tail away, out or to the head; false if there is none. `stays` is how many may still
    /// go to the head.
    fn pass_resident(&mut self, now: Moment, stays: &mut usize) -> bool {
        let Some(place) = self.queues.residents.tail() else { return false };
        let Some((entry, seen)) = self.at(place) else { return self.give_up() };
        let words = entry.header.words();
        self.queues.residents.pop(words);
        let Some(seen) = seen else { return true };
        if seen.has(READ) && *stays > 0 && usable(&entry, now) {
            // What went out at the tail has room at the head.
            if let Some(to) = self.queues.residents.push(words) {
                *stays -= 1;
                self.copy(place, to, words);
                self.shard.index.moved(seen.at, to);
                return true;
            }
        }
        self.evict(seen, &entry, now);
        true
    }

    /// The entry at a place, and its slot unless it was given up before.
    fn at(&self, place: usize) -> Option<(Entry<'s>, Option<Seen>)> {
        let entry = Entry::at(&self.shard.words, place)?;
        Some((entry, self.slot(&entry, place)))
    }

    fn slot(&self, entry: &Entry<'_>, place: usize) -> Option<Seen> {
        let found = self.shard.index.find(entry.header.tag, |seen| (seen.place() == place).then_some(()));
        found.map(|(seen, ())| seen)
    }

    /// From the lower word to the higher: the two may overlap, with the target first.
    fn copy(&self, from: usize, to: usize, words: usize) {
        let words_at = |at: usize| self.shard.words.get(at..at + words).unwrap_or_default();
        words_at(to).iter().zip(words_at(from)).for_each(|(to, from)| to.store(from.load(Relaxed), Relaxed));
    }

    fn evict(&self, seen: Seen, entry: &Entry<'_>, now: Moment) {
        if usable(entry, now) {
            self.shard.count().evicted();
        }
        self.forget(seen, entry);
    }

    /// Takes an entry out of the index; its words stay until the ring comes round to them.
    fn forget(&self, seen: Seen, entry: &Entry<'_>) {
        self.shard.count().left(entry.header.words());
        self.shard.index.remove(seen.at);
    }

    /// Nobody knows where the next entry of a ring begins: this cannot be, and if it is, all is forgotten rather than
    /// something told wrongly. True, for there is room now.
    fn give_up(&mut self) -> bool {
        self.clear();
        true
    }

    fn clear(&mut self) {
        self.shard.index.clear();
        self.shard.count().cleared();
        self.queues.newcomers.clear();
        self.queues.residents.clear();
        self.queues.ghosts.clear();
    }

    /// Forgets everything.
    pub(super) fn flush_all(&mut self) -> usize {
        let entries = self.shard.count().entries();
        self.shard.begin();
        self.clear();
        self.shard.end();
        entries
    }

    /// Forgets what is at and below a name; how many entries. Readers are in the way only where one is removed.
    pub(super) fn flush(&mut self, name: &[u8]) -> usize {
        let shard = self.shard;
        let (mut at, mut flushed) = (0, 0);
        while at < shard.index.len() {
            let entry =
                shard.index.seen(at).and_then(|seen| Some((seen, Entry::at(&shard.words, seen.place())?)));
            let mut own = [0; NAME_OCTETS_MAX];
            match entry {
                Some((seen, entry)) if is_at_or_below(name_of(&entry, &mut own), name) => {
                    shard.begin();
                    self.forget(seen, &entry);
                    shard.end();
                    // Another may stand here now.
                    flushed += 1;
                }
                _ => at += 1,
            }
        }
        flushed
    }

    /// The entry of a question.
    pub(super) fn entry(&self, question: &Question<'_>) -> Option<Entry<'s>> {
        let shard = self.shard;
        let found =
            shard.index.find(entry::tag(question), |seen| Entry::of(&shard.words, seen.place(), question));
        found.map(|(_, entry)| entry)
    }

    /// The entries of these slots.
    pub(super) fn entries(&self, slots: std::ops::Range<usize>) -> impl Iterator<Item = Entry<'s>> + use<'s> {
        let shard = self.shard;
        slots.filter_map(move |at| Entry::at(&shard.words, shard.index.seen(at)?.place()))
    }
}

fn name_of<'r>(entry: &Entry<'_>, room: &'r mut [u8; NAME_OCTETS_MAX]) -> &'r [u8] {
    let len = entry.copy_name(room);
    room.get(..len).unwrap_or_default()
}

/// True for what may still be told.
fn usable(entry: &Entry<'_>, now: Moment) -> bool {
    let header = &entry.header;
    header.answered && header.life.phase(header.kept, now) != Phase::Over || header.failing(now).is_some()
}
