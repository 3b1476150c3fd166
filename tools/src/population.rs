//! The names of a generated zone and what they own: "the generator's mix".
//!
//! ```text
//! of a hundred owner names, about
//!   46  hosts with one address          6  hosts with 2 to 6 addresses
//!    5  hosts with IPv6 only           12  hosts with both
//!    9  aliases: to a host, every fifth to an alias, every tenth out of the zone
//!    6  mail domains: MX to hosts of the zone, TXT, an address
//!    4  texts                           3  services (SRV at _sip._tcp below a host)
//!    6  delegations: three of five with glue below the cut (the glue's owner counts as a name)
//!    2  wildcards, below a name that owns nothing
//! ```
//! Six hosts of a hundred sit two to four labels deep below names that own nothing, and every eighth in a department;
//! so a zone has about 1.2 nodes per owner name. What a name owns is a small value; its addresses follow
//! from the seed and the name's number, so that a million names take tens of megabytes and no file.

use crate::rng::{Rng, mix};
use crate::wire::Type;
use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The fewest names that leave room for the fixed ones and each kind.
pub(crate) const NAMES_MIN: usize = 16;
/// An alias never leads over more than this many aliases to its host.
const CHAIN_MAX: usize = 4;

/// A name by its number.
pub(crate) type Number = u32;

/// Where an alias leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// To a name of the zone.
    Inside(Number),
    /// Out of the zone.
    Outside,
}

/// What a name owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    /// The apex: SOA, NS, MX, TXT, A.
    Apex,
    /// That many A and AAAA records.
    Host { v4: u8, v6: u8 },
    /// A CNAME.
    Alias(Target),
    /// One or two MX, a TXT, an A.
    Mail { first: Number, second: Option<Number> },
    /// That many TXT records.
    Text { records: u8 },
    /// One SRV.
    Service(Number),
    /// A zone cut: with glue below it, or with name servers elsewhere.
    Cut { glue: bool },
    /// The address of a cut's name server, below the cut.
    Glue { v6: bool },
}

/// An owner name, relative to the origin (empty at the apex), and what it owns.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The name without the origin.
    pub(crate) owner: Box<str>,
    /// What it owns.
    pub(crate) data: Data,
}

/// All names of a generated zone.
#[derive(Debug)]
pub(crate) struct Population {
    seed: u64,
    /// The owner names; the first is the apex.
    pub(crate) nodes: Vec<Node>,
    /// Some names that exist without owning anything (empty non-terminals).
    pub(crate) voids: Vec<Box<str>>,
}

/// A population under construction.
struct Builder {
    rng: Rng,
    taken: HashSet<Box<str>>,
    nodes: Vec<Node>,
    voids: Vec<Box<str>>,
    /// Names with an A record that may be pointed at and have names below them.
    hosts: Vec<Number>,
    aliases: Vec<Number>,
    departments: Vec<Box<str>>,
}

impl Population {
    /// The zone of a seed with that many owner names.
    pub(crate) fn generate(names: usize, seed: u64) -> Population {
        let names = names.max(NAMES_MIN);
        let mut builder = Builder {
            rng: Rng::for_purpose(seed, "population"),
            taken: HashSet::with_capacity(names + names / 4),
            nodes: Vec::with_capacity(names),
            voids: Vec::new(),
            hosts: Vec::new(),
            aliases: Vec::new(),
            departments: Vec::new(),
        };
        builder.fixed();
        while builder.nodes.len() < names {
            builder.draw(names - builder.nodes.len());
        }
        Population { seed, nodes: builder.nodes, voids: builder.voids }
    }

    /// The types that a name owns and how many records of each.
    pub(crate) fn types(&self, number: Number) -> Vec<(Type, u8)> {
        let owned: &[(Type, u8)] = match self.nodes[number as usize].data {
            Data::Apex => &[(Type::Soa, 1), (Type::Ns, 2), (Type::Mx, 1), (Type::Txt, 1), (Type::A, 1)],
            Data::Host { v4, v6 } => &[(Type::A, v4), (Type::Aaaa, v6)],
            Data::Alias(_) => &[(Type::Cname, 1)],
            Data::Mail { second, .. } => {
                &[(Type::Mx, 1 + u8::from(second.is_some())), (Type::Txt, 1), (Type::A, 1)]
            }
            Data::Text { records } => &[(Type::Txt, records)],
            Data::Service(_) => &[(Type::Srv, 1)],
            Data::Cut { .. } => &[(Type::Ns, 2)],
            Data::Glue { v6 } => &[(Type::A, 1), (Type::Aaaa, u8::from(v6))],
        };
        owned.iter().copied().filter(|&(_, count)| count > 0).collect()
    }

    /// The CNAMEs from a name to the end of its chain, and the name there if it lies in the zone.
    pub(crate) fn chain(&self, mut number: Number) -> (u8, Option<Number>) {
        let mut links = 0;
        while let Data::Alias(target) = self.nodes[number as usize].data {
            links += 1;
            match target {
                Target::Inside(next) => number = next,
                Target::Outside => return (links, None),
            }
        }
        (links, Some(number))
    }

    /// The `k`th IPv4 address of a name; those of one name differ.
    pub(crate) fn v4(&self, number: Number, k: u8) -> Ipv4Addr {
        let host = mix(self.seed ^ u64::from(number)).wrapping_add(u64::from(k)) as u32 & 0x00ff_ffff;
        Ipv4Addr::from(0x0a00_0000 | host)
    }

    /// The `k`th IPv6 address of a name, in 2001:db8::/32.
    pub(crate) fn v6(&self, number: Number, k: u8) -> Ipv6Addr {
        let host = mix(!self.seed ^ u64::from(number)).wrapping_add(u64::from(k));
        Ipv6Addr::from(0x2001_0db8u128 << 96 | u128::from(host))
    }

    /// A number that belongs to a name, for whatever else of it shall vary.
    pub(crate) fn variety(&self, number: Number) -> u64 {
        mix(mix(self.seed).wrapping_add(u64::from(number)))
    }
}

impl Builder {
    /// The names that each zone has: apex, name servers, mail exchanger, `www`.
    fn fixed(&mut self) {
        let host = |v4, v6| Data::Host { v4, v6 };
        let fixed = [
            ("", Data::Apex),
            ("ns1", host(1, 1)),
            ("ns2", host(1, 0)),
            ("mail", host(1, 1)),
            ("www", host(2, 1)),
        ];
        for (owner, data) in fixed {
            self.taken.insert(owner.into());
            self.push(owner.into(), data);
        }
    }

    fn push(&mut self, owner: Box<str>, data: Data) -> Number {
        let number = self.nodes.len() as Number;
        match data {
            Data::Host { v4: 1.., .. } if !owner.starts_with("*.") => self.hosts.push(number),
            Data::Alias(Target::Inside(_)) if !owner.starts_with("*.") => self.aliases.push(number),
            _ => {}
        }
        self.nodes.push(Node { owner, data });
        number
    }

    /// Adds one name, or two where the second belongs to the first; at most `room`.
    fn draw(&mut self, room: usize) {
        match self.rng.below(1000) {
            0..460 => self.host(1, 0),
            460..520 => {
                let (v4, v6) = (self.rng.between(2, 6) as u8, self.rng.below(3) as u8);
                self.host(v4, v6);
            }
            520..570 => self.host(0, 1),
            570..700 => self.host(1, 1),
            700..792 => self.alias(),
            792..854 => self.mail(),
            854..896 => {
                let owner = self.fresh_owner();
                let records = if self.rng.percent(80.0) { 1 } else { 3 };
                self.push(owner, Data::Text { records });
            }
            896..928 => self.service(),
            928..976 => self.cut(room),
            _ => self.wildcard(),
        }
    }

    fn host(&mut self, v4: u8, v6: u8) {
        let owner = self.fresh_owner();
        self.push(owner, Data::Host { v4, v6 });
    }

    fn alias(&mut self) {
        let target = self.alias_target();
        let owner = self.fresh_owner();
        self.push(owner, Data::Alias(target));
    }

    fn alias_target(&mut self) -> Target {
        if self.rng.percent(10.0) {
            return Target::Outside;
        }
        if self.rng.percent(20.0)
            && let Some(&alias) = self.rng.pick(&self.aliases)
            && self.depth(alias) < CHAIN_MAX
        {
            return Target::Inside(alias);
        }
        Target::Inside(self.some_host())
    }

    /// How many aliases lead from this one to a host, itself included.
    fn depth(&self, mut alias: Number) -> usize {
        let mut depth = 0;
        while let Data::Alias(Target::Inside(next)) = self.nodes[alias as usize].data {
            (alias, depth) = (next, depth + 1);
        }
        depth
    }

    fn some_host(&mut self) -> Number {
        *self.rng.pick(&self.hosts).expect("the fixed names contain hosts")
    }

    fn mail(&mut self) {
        let first = self.some_host();
        let second = Some(self.some_host()).filter(|&second| second != first && second % 2 == 0);
        let owner = self.fresh_owner();
        self.push(owner, Data::Mail { first, second });
    }

    fn service(&mut self) {
        let target = self.some_host();
        let host = self.some_host();
        let below = &self.nodes[host as usize].owner;
        let protocol = if self.rng.percent(70.0) { "_tcp" } else { "_udp" };
        let service = *self.rng.pick(&["_sip", "_ldap", "_xmpp-server", "_imaps"]).expect("not empty");
        let void = format!("{protocol}.{below}").into_boxed_str();
        let owner = format!("{service}.{void}").into_boxed_str();
        if self.taken.insert(owner.clone()) {
            if self.taken.insert(void.clone()) {
                self.voids.push(void);
            }
            self.push(owner, Data::Service(target));
        }
    }

    fn cut(&mut self, room: usize) {
        let owner = self.fresh_label_owner();
        let glue = room >= 2 && self.rng.percent(60.0);
        self.push(owner.clone(), Data::Cut { glue });
        if glue {
            let v6 = self.rng.percent(30.0);
            self.push(format!("ns1.{owner}").into(), Data::Glue { v6 });
        }
    }

    fn wildcard(&mut self) {
        let void = self.fresh_label_owner();
        let data = match self.rng.below(10) {
            0..6 => Data::Host { v4: 1, v6: self.rng.below(2) as u8 },
            6..8 => Data::Text { records: 1 },
            _ => Data::Alias(Target::Inside(self.some_host())),
        };
        self.push(format!("*.{void}").into(), data);
        self.voids.push(void);
    }

    /// A new name: mostly right below the apex, some in departments, some deep below names that own nothing.
    fn fresh_owner(&mut self) -> Box<str> {
        match self.rng.below(1000) {
            0..75 => {
                let mut owner = self.fresh_label_owner();
                for _ in 0..self.rng.between(1, 3) {
                    self.voids.push(owner.clone());
                    let label = self.label();
                    owner = format!("{label}.{owner}").into();
                    self.taken.insert(owner.clone());
                }
                owner
            }
            75..200 => loop {
                let department = self.department();
                let owner = format!("{}.{department}", self.label()).into_boxed_str();
                if self.taken.insert(owner.clone()) {
                    return owner;
                }
            },
            _ => self.fresh_label_owner(),
        }
    }

    /// A new name right below the apex, with nothing below it yet.
    fn fresh_label_owner(&mut self) -> Box<str> {
        loop {
            let label = self.label().into_boxed_str();
            if self.taken.insert(label.clone()) {
                return label;
            }
        }
    }

    /// A department's name: it owns nothing, dozens of hosts share it.
    fn department(&mut self) -> Box<str> {
        if self.departments.is_empty() || self.rng.percent(3.0) {
            let department = self.fresh_label_owner();
            self.voids.push(department.clone());
            self.departments.push(department.clone());
            return department;
        }
        self.rng.pick(&self.departments).expect("not empty").clone()
    }

    /// A label of two to four syllables, every third with a number behind.
    fn label(&mut self) -> String {
        const CONSONANTS: &[u8] = b"bcdfghjklmnprstvwz";
        const VOWELS: &[u8] = b"aeiou";
        let mut label = String::with_capacity(16);
        for _ in 0..self.rng.between(2, 4) {
            label.push(char::from(CONSONANTS[self.rng.below(CONSONANTS.len())]));
            label.push(char::from(VOWELS[self.rng.below(VOWELS.len())]));
            if self.rng.percent(30.0) {
                label.push(char::from(CONSONANTS[self.rng.below(CONSONANTS.len())]));
            }
        }
        match self.rng.below(3) {
            0 => label + &format!("-{}", self.rng.below(1000)),
            1 if label.len() < 6 => label + &format!("{}", self.rng.below(100_000)),
            _ => label,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names themselves and every name between them and the apex.
    fn nodes_with_voids(population: &Population) -> HashSet<&str> {
        let mut all = HashSet::new();
        for node in &population.nodes {
            let mut name: &str = &node.owner;
            while all.insert(name) && !name.is_empty() {
                name = name.split_once('.').map_or("", |(_, parent)| parent);
            }
        }
        all
    }

    #[test]
    fn a_seed_always_gives_the_same_zone() {
        let owners =
            |seed| Population::generate(500, seed).nodes.iter().map(|n| n.owner.clone()).collect::<Vec<_>>();
        assert_eq!(owners(1), owners(1));
        assert_ne!(owners(1), owners(2));
    }

    #[test]
    fn owner_names_are_distinct_and_as_many_as_asked() {
        for names in [NAMES_MIN, 100, 10_000] {
            let population = Population::generate(names, 5);
            let distinct: HashSet<&str> = population.nodes.iter().map(|n| &*n.owner).collect();
            assert_eq!(distinct.len(), names);
        }
    }

    #[test]
    fn a_zone_has_about_1_2_nodes_per_name() {
        let population = Population::generate(20_000, 1);
        let ratio = nodes_with_voids(&population).len() as f64 / 20_000.0;
        assert!((1.15..1.25).contains(&ratio), "{ratio}");
    }

    #[test]
    fn voids_exist_and_own_nothing() {
        let population = Population::generate(20_000, 1);
        let all = nodes_with_voids(&population);
        let owners: HashSet<&str> = population.nodes.iter().map(|n| &*n.owner).collect();
        for void in &population.voids {
            assert!(all.contains(&**void) && !owners.contains(&**void), "{void}");
        }
    }

    #[test]
    fn nothing_but_glue_lies_below_a_cut() {
        let population = Population::generate(20_000, 1);
        let cut = |n: &&Node| matches!(n.data, Data::Cut { .. });
        let cuts: HashSet<&str> = population.nodes.iter().filter(cut).map(|n| &*n.owner).collect();
        assert!(cuts.len() > 800);
        for node in &population.nodes {
            let below = node.owner.match_indices('.').any(|(dot, _)| cuts.contains(&node.owner[dot + 1..]));
            assert_eq!(below, matches!(node.data, Data::Glue { .. }), "{}", node.owner);
        }
    }

    #[test]
    fn chains_end_at_hosts_or_outside() {
        let population = Population::generate(20_000, 1);
        let mut longest = 0;
        for number in 0..20_000 {
            let (links, end) = population.chain(number);
            longest = longest.max(links);
            if links > 0
                && let Some(end) = end
            {
                assert!(matches!(population.nodes[end as usize].data, Data::Host { v4: 1.., .. }));
            }
        }
        assert!((2..=CHAIN_MAX as u8 + 1).contains(&longest), "{longest}");
    }
}
