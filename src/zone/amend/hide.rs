//! What lies below a cut or a DNAME that comes or goes: its nodes say so, and are written anew.
//!
//! Nothing lists the names below a name. But each knows how many stand directly below it; where all of them are at hand,
//! because the difference speaks of them or the cut's name servers are they, that is the whole of them. That is so of nearly
//! all delegations. Of others the zone is looked through, once.

use crate::wire::name::is_at_or_below;
use crate::wire::rtype::RecordType;
use crate::zone::amend::edit::Hiding;
use crate::zone::amend::edits::Spelled;
use crate::zone::amend::{Amendment, depth_of, parent_of};
use std::collections::{HashMap, HashSet};

/// Names above a name, in most zones.
const ABOVE_USUAL: usize = 4;

/// More names are hidden otherwise than are changed in part.
pub(super) struct TooMany;

impl Amendment<'_> {
    /// Makes edits of all names that are hidden otherwise than before.
    pub(super) fn hide(&mut self) -> Result<(), TooMany> {
        let roots: Vec<Box<[u8]>> = self
            .edits
            .iter()
            .filter(|(_, edit)| {
                // What was not there, or is not any more, has nothing below it but names of the difference.
                let before = edit.node.as_ref().map(Hiding::of);
                before.is_some_and(|before| edit.exists() && before != edit.hiding())
            })
            .map(|(_, edit)| edit.key.clone())
            .collect();
        if roots.iter().any(|root| root.is_empty()) {
            return Err(TooMany);
        }
        let unknown = self.not_all_below(roots);
        unknown.iter().for_each(|root| self.load_hosts(root));
        let unknown = self.not_all_below(unknown);
        if unknown.is_empty() { Ok(()) } else { self.load_below(&unknown.into_iter().collect()) }
    }

    /// What hides a name: the topmost name above it with a cut or a DNAME, so many labels below the apex.
    pub(super) fn occluder(&self, key: &[u8]) -> Option<(u8, Hiding)> {
        let mut above = Vec::with_capacity(ABOVE_USUAL);
        let mut at = key;
        while !at.is_empty() {
            at = parent_of(at);
            above.push(at);
        }
        let hiding = |key: &[u8]| match self.edits.get(key) {
            Some(edit) => edit.hiding(),
            None => self.old.find(self.old.hash_of(key), key).as_ref().and_then(Hiding::of),
        };
        above.iter().rev().find_map(|key| Some((depth_of(key) as u8, hiding(key)?)))
    }

    /// Those names of which some name below has no edit.
    fn not_all_below(&self, mut roots: Vec<Box<[u8]>>) -> Vec<Box<[u8]>> {
        if roots.is_empty() {
            return roots;
        }
        let mut children: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
        for (_, edit) in self.edits.iter().filter(|(_, edit)| !edit.is_apex() && edit.exists()) {
            children.entry(parent_of(&edit.key)).or_default().push(&edit.key);
        }
        let is_whole = |root: &[u8]| {
            let mut rest = vec![root];
            while let Some(key) = rest.pop() {
                let known = children.get(key).map_or(&[][..], Vec::as_slice);
                let Some(edit) = self.edits.get(key) else { return false };
                if known.len() != edit.children as usize {
                    return false;
                }
                rest.extend(known);
            }
            true
        };
        roots.retain(|root| !is_whole(root));
        roots
    }

    /// Makes edits of the name servers of a cut that lie below it, of the old set and the new.
    fn load_hosts(&mut self, root: &[u8]) {
        let Some(edit) = self.edits.get(root) else { return };
        let mut hosts: Vec<Box<[u8]>> = Vec::new();
        if let Some(set) = edit.node.and_then(|node| node.rrset(RecordType::NS)) {
            hosts.extend(set.targets().map(|target| target.key.into()));
        }
        if let Some(records) = &edit.records {
            let servers = records.iter().filter(|record| record.rtype == RecordType::NS);
            hosts.extend(
                servers.filter_map(|record| Some(Spelled::of(self.old, &record.rdata)?.key().into())),
            );
        }
        for host in hosts.iter().filter(|host| is_at_or_below(host, root)) {
            let mut key = &host[..];
            while key.len() > root.len() {
                self.edits.number_of(key, key);
                key = parent_of(key);
            }
        }
    }

    /// Makes edits of all names below some, looking through the zone.
    fn load_below(&mut self, roots: &HashSet<Box<[u8]>>) -> Result<(), TooMany> {
        let old = self.old;
        for node in old.nodes() {
            let mut above = node.key();
            while !above.is_empty() && !roots.contains(above) {
                above = parent_of(above);
            }
            if above.is_empty() {
                continue;
            }
            self.edits.number_of(node.key(), node.key());
            if self.edits.len() > self.edits_max {
                return Err(TooMany);
            }
        }
        Ok(())
    }
}
