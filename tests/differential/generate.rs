//! Zones by chance: few labels, so that names collide, nest, occlude and alias each other.
//!
//! What no server would load is not made: a CNAME beside other data, names below a DNAME, NS at a
//! wildcard. Everything else that chance puts together is fair.

use crate::rng::Rng;
use std::collections::BTreeMap;
use std::fmt::Write;

/// One zone as text.
pub struct Zone {
    pub origin: String,
    pub text: String,
}

const LABELS: [&str; 18] = [
    "a", "b", "c", "d", "a", "b", "c", "www", "ns", "mail", "*", "*", "x", "A", "Ab", "a\\.b", "\\000", "_x",
];
const TTLS: [u32; 5] = [0, 1, 60, 300, 3600];
/// Zones of one family: parent, child, grandchild at most.
const FAMILY_DEPTH: usize = 3;

/// A zone at `origin` and those served below it.
pub fn family(seed: u64, origin: &str) -> Vec<Zone> {
    let mut rng = Rng::new(seed);
    let mut zones = Vec::new();
    let mut pending = vec![(origin.to_owned(), 1, Vec::new())];
    while let Some((origin, depth, above)) = pending.pop() {
        let mut draft = Draft { origin: origin.clone(), nodes: BTreeMap::new(), above };
        let others = [format!("a.b.{origin}"), "nested.test.".into(), "plain.ordinary.test.".into()];
        for _ in 0..15 + rng.below(50) {
            draft.add_random(&mut rng, &others);
        }
        if depth < FAMILY_DEPTH && rng.chance(60) {
            let cut = draft.cuts().into_iter().nth(rng.below(3));
            if let Some(cut) = cut {
                draft.without_dname_below(&cut);
                pending.push((format!("{}.{origin}", cut.join(".")), depth + 1, draft.below(&cut)));
            }
        }
        zones.push(Zone { text: draft.text(&mut rng), origin });
    }
    zones
}

/// Owners relative to the origin, lower case, leftmost label first; each with (type, RDATA).
struct Draft {
    origin: String,
    nodes: BTreeMap<Vec<String>, Vec<(&'static str, String)>>,
    /// Names in this zone that zones above it know too: NSD keeps all zones in one tree, and refuses
    /// a DNAME above any name in it.
    above: Vec<Vec<String>>,
}

impl Draft {
    fn add_random(&mut self, rng: &mut Rng, others: &[String]) {
        let owner = random_owner(rng);
        match rng.below(100) {
            0..20 => self.add(&owner, "A", format!("192.0.2.{}", rng.below(256))),
            20..28 => self.add(&owner, "AAAA", format!("2001:db8::{:x}", rng.below(65_536))),
            28..38 => self.add(&owner, "TXT", format!("\"{}\"", rng.next())),
            38..44 => {
                let exchange = self.random_target(rng, others);
                self.add(&owner, "MX", format!("{} {exchange}", rng.below(30)));
            }
            44..48 => {
                let host = self.random_target(rng, others);
                self.add(&owner, "SRV", format!("0 {} 53 {host}", rng.below(9)));
            }
            48..64 => {
                let aliased = self.random_target(rng, others);
                self.add(&owner, "CNAME", aliased);
            }
            64..72 => {
                let renamed = self.random_target(rng, others);
                self.add(&owner, "DNAME", renamed);
            }
            72..76 => self.add(&owner, "TYPE65280", format!("\\# 2 {:04x}", rng.below(65_536))),
            _ => self.add_cut(&owner, rng, others),
        }
    }

    fn add_cut(&mut self, owner: &[String], rng: &mut Rng, others: &[String]) {
        for _ in 0..1 + rng.below(2) {
            if rng.chance(60) {
                let mut server = owner.to_vec();
                server.insert(0, "ns".into());
                self.add(owner, "NS", server.join("."));
                if rng.chance(80) {
                    self.add(&server, "A", format!("198.51.100.{}", rng.below(256)));
                }
            } else {
                let server = self.random_target(rng, others);
                self.add(owner, "NS", server);
            }
        }
        if rng.chance(30) {
            self.add(owner, "DS", format!("{} 13 2 {:064x}", rng.below(65_536), 1));
        }
    }

    /// Adds the record unless a server would refuse the zone for it.
    fn add(&mut self, owner: &[String], rtype: &'static str, rdata: String) {
        let owner: Vec<String> = owner.iter().map(|label| label.to_ascii_lowercase()).collect();
        let has = |owner: &[String], types: &[&str]| {
            self.nodes.get(owner).is_some_and(|node| node.iter().any(|(has, _)| types.contains(has)))
        };
        let below_dname = (1..owner.len()).any(|cut| has(&owner[cut..], &["DNAME"]));
        let mut known = self.nodes.keys().chain(&self.above);
        let mut has_below = || known.any(|name| name.len() > owner.len() && name.ends_with(&owner));
        let refused = below_dname
            || has(&owner, &["CNAME"])
            || match rtype {
                "CNAME" => self.nodes.contains_key(&owner),
                "DNAME" => has_below() || has(&owner, &["NS", "DNAME"]),
                "NS" => owner[0] == "*" || has(&owner, &["DNAME"]),
                "DS" => !has(&owner, &["NS"]),
                _ => false,
            };
        if !refused {
            let node = self.nodes.entry(owner).or_default();
            if !node.contains(&(rtype, rdata.clone())) {
                node.push((rtype, rdata));
            }
        }
    }

    fn cuts(&self) -> Vec<Vec<String>> {
        let cut = |node: &Vec<(&str, String)>| node.iter().any(|(rtype, _)| *rtype == "NS");
        self.nodes.iter().filter(|(_, node)| cut(node)).map(|(owner, _)| owner.clone()).collect()
    }

    /// No occluded DNAME below a cut whose child is served: NSD would hold it against the child's names.
    fn without_dname_below(&mut self, cut: &[String]) {
        for (owner, node) in &mut self.nodes {
            if owner.ends_with(cut) {
                node.retain(|(rtype, _)| *rtype != "DNAME");
            }
        }
    }

    /// The names below `cut`, relative to it.
    fn below(&self, cut: &[String]) -> Vec<Vec<String>> {
        let known = self.nodes.keys().chain(&self.above);
        let below = known.filter(|name| name.len() > cut.len() && name.ends_with(cut));
        below.map(|name| name[..name.len() - cut.len()].to_vec()).collect()
    }

    /// Mostly a name that exists here, else one that might, else one of another zone.
    fn random_target(&self, rng: &mut Rng, others: &[String]) -> String {
        let existing = rng.below(self.nodes.len().max(1));
        match (rng.below(100), self.nodes.keys().nth(existing)) {
            (0..55, Some(owner)) => owner.join("."),
            (55..60, Some(owner)) => format!("below.{}", owner.join(".")),
            (60..70, _) => rng.pick(others).clone(),
            (70..73, _) => "@".into(),
            (73..76, _) => format!("{}www.example.org.", "very-long-label-number-one.".repeat(6)),
            (76..78, _) => ".".into(),
            _ => random_owner(rng).join("."),
        }
    }

    fn text(&self, rng: &mut Rng) -> String {
        let minimum = rng.pick(&TTLS);
        let mut text = format!(
            "$ORIGIN {}\n@ {} IN SOA ns1 host 1 3600 600 86400 {minimum}\n@ 300 IN NS ns1\nns1 300 IN A 192.0.2.1\n",
            self.origin,
            rng.pick(&TTLS)
        );
        for (owner, node) in &self.nodes {
            let mut ttls = BTreeMap::new();
            for (rtype, rdata) in node {
                let ttl = ttls.entry(rtype).or_insert_with(|| *rng.pick(&TTLS));
                let _ = writeln!(text, "{} {ttl} IN {rtype} {rdata}", owner.join("."));
            }
        }
        text
    }
}

fn random_owner(rng: &mut Rng) -> Vec<String> {
    let depth = [1, 1, 1, 2, 2, 2, 2, 3, 3, 4, 5][rng.below(11)];
    (0..depth).map(|_| (*rng.pick(&LABELS)).to_owned()).collect()
}
