//! Zones on their way: what the configuration says of them, made ready for the workers and for the thread that talks to
//! other servers; and what that brings.

use crate::base::config::{Config, ConfigError, Content, TsigKey, ZoneFile};
use crate::base::limits::SECRET_FILE_OCTETS_MAX;
use crate::base::time::Moment;
use crate::catalog::delta::{Delta, ZoneContent};
use crate::control::Control;
use crate::control::request::{Refused, RefusedKind, Reply};
use crate::control::updates::UnderWay;
use crate::control::zone_status::{faulty, tell_faults};
use crate::loader::Loaded;
use crate::loader::received::{Arrival, Received};
use crate::loader::updates::{Acknowledge, Updated};
use crate::os::clock;
use crate::transfer::access::AccessList;
use crate::transfer::incoming::Came;
use crate::transfer::order::{News, Order};
use crate::transfer::policy::{Policy, ZonePolicy};
use crate::transfer::secondary::{Spec, Terms};
use crate::transfer::tsig::{Key, SECRET_OCTETS_MAX, SECRET_OCTETS_MIN};
use crate::transfer::update::rights::Rights;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::fault::{Faults, place_in};
use crate::zone::plain::Unsealer;
use crate::zone::seal::soa_field;
use crate::zone::{Serial, Zone};
use arc_swap::ArcSwap;
use data_encoding::BASE64;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Hands an order to the thread that talks to other servers; false if it has ended.
pub type Orders = Box<dyn Fn(Order) -> bool + Send>;

/// The control thread's part of it.
pub struct Exchange {
    /// What the workers read.
    pub policy: Arc<ArcSwap<Policy>>,
    /// Where orders go.
    pub orders: Orders,
    /// The secrets as they were read.
    pub secrets: Secrets,
    /// What others are to be told once it is published: who asks at once must find it.
    pub untold: Vec<Order>,
    /// Since when each version of a zone at hand has been in place.
    pub since: BTreeMap<Name, Moment>,
    /// The updates of zones that are on their way.
    pub under_way: Arc<UnderWay>,
    /// Whose updates are to be published.
    pub unacknowledged: Vec<Acknowledge>,
    /// Where in the configuration each zone stands: there may be as many as a catalog lists.
    pub places: HashMap<Name, usize>,
}

/// A zone's apex.
pub(in crate::control) fn apex(zone: &ZoneFile) -> Option<Name> {
    // The configuration accepts nothing that is not a name.
    Name::parse(zone.origin.as_str()).ok()
}

/// The secrets of keys. A file may be out of reach since rights were given up: then its secret is as it was.
#[derive(Default)]
pub struct Secrets(Vec<(PathBuf, Vec<u8>)>);

impl Secrets {
    /// Reads those of the configuration; what is wrong with each key. `before`: those that were read already.
    pub fn read(config: &Config, before: &Secrets) -> Result<Secrets, Vec<ConfigError>> {
        let (mut secrets, mut errors) = (Vec::new(), Vec::new());
        errors.extend(config.keys.iter().filter_map(|key| rights(key).err()));
        for key in &config.keys {
            let path = &key.secret_file;
            let known = before.0.iter().find(|(known, _)| known == path);
            match (read_secret(path), known) {
                (Ok(secret), _) => secrets.push((path.clone(), secret)),
                (Err(Unread::File(error)), Some(known))
                    if error.kind() == io::ErrorKind::PermissionDenied =>
                {
                    secrets.push(known.clone());
                }
                (Err(unread), _) => {
                    let message = match unread {
                        Unread::File(error) => format!("{}: {error}", path.display()),
                        Unread::Content(why) => format!("{}: {why}", path.display()),
                    };
                    let (at, key) = (key.said.source("key.secret_file"), "key.secret_file");
                    errors.push(ConfigError { at, message: format!("{key}: {message}") });
                }
            }
        }
        if errors.is_empty() { Ok(Secrets(secrets)) } else { Err(errors) }
    }

    fn of(&self, key: &TsigKey) -> &[u8] {
        self.0.iter().find(|(path, _)| *path == key.secret_file).map_or(&[], |(_, secret)| secret)
    }
}

enum Unread {
    File(io::Error),
    Content(String),
}

/// The secret of a file: base64, in lines or in one; a line that begins with `#` is a comment.
fn read_secret(path: &Path) -> Result<Vec<u8>, Unread> {
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(SECRET_FILE_OCTETS_MAX + 1).read_to_string(&mut text));
    if read.map_err(Unread::File)? as u64 > SECRET_FILE_OCTETS_MAX {
        return Err(Unread::Content(format!("more than {SECRET_FILE_OCTETS_MAX} octets: no secret")));
    }
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let digits: String = lines.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect();
    let secret =
        BASE64.decode(digits.as_bytes()).map_err(|_| Unread::Content("expected base64".to_owned()))?;
    if !(SECRET_OCTETS_MIN..=SECRET_OCTETS_MAX).contains(&secret.len()) {
        let expected = format!("expected a secret of {SECRET_OCTETS_MIN} to {SECRET_OCTETS_MAX} octets");
        return Err(Unread::Content(format!("{expected}, found {}", secret.len())));
    }
    Ok(secret)
}

/// What the configuration says, for the workers. Zones that it does not name, the built-in ones and the examples, are
/// nobody else's affair. `of_cluster`: the keys by which members transfer what is shared.
pub fn policy(config: &Config, secrets: &Secrets, of_cluster: &[Arc<Key>]) -> Policy {
    let keys = config.keys.iter().filter_map(|key| {
        let name = Name::parse(key.name.as_str()).ok()?;
        Some(Arc::new(Key::new(&name, key.algorithm, secrets.of(key))))
    });
    let keys = keys.chain(of_cluster.iter().cloned());
    let zones = config.zones.iter().filter_map(|zone| {
        let notify_from = match &zone.content {
            Content::File(_) | Content::Cluster | Content::Catalog => None,
            Content::Primaries(primaries) => Some(notify_from(zone, primaries)),
            // Of those members tell each other.
            Content::Shared(_) => Some(AccessList::default()),
        };
        let (mut transfer, mut update) = (AccessList::new(&zone.transfer), AccessList::new(&zone.update));
        if zone.share {
            let members = AccessList::signed(of_cluster.iter().map(|key| key.name()));
            // `set` on another node is an update here.
            (transfer, update) = (transfer.and(members.clone()), update.and(members));
        }
        let policy = ZonePolicy { transfer, notify_from, update };
        Some((Name::parse(zone.origin.as_str()).ok()?, policy))
    });
    // What is no type was complained about before.
    let rights =
        config.keys.iter().filter_map(|key| Some((Name::parse(key.name.as_str()).ok()?, rights(key).ok()?)));
    Policy::new(keys.collect(), zones).with_rights(rights)
}

/// What a key may touch by updates.
fn rights(key: &TsigKey) -> Result<Rights, ConfigError> {
    let names = key.names.iter().filter_map(|name| Name::parse(name.as_str()).ok());
    let types = key.types.iter().map(|text| {
        let is_data = |rtype: &RecordType| rtype.0 != 0 && !rtype.is_meta() && !rtype.is_viewed();
        let rtype = text.parse::<RecordType>().ok().filter(is_data);
        rtype.ok_or_else(|| ConfigError {
            at: key.said.source("key.types"),
            message: format!("key.types: expected record types such as A or TYPE65280, found {text:?}"),
        })
    });
    Ok(Rights::new(names.collect(), types.collect::<Result<_, _>>()?))
}

/// The primaries, signing if the zone has a key, and who else was named.
fn notify_from(zone: &ZoneFile, primaries: &[SocketAddr]) -> AccessList {
    let addresses: Vec<IpAddr> = primaries.iter().map(SocketAddr::ip).collect();
    let key = zone.tsig.as_ref().and_then(|name| Name::parse(name.as_str()).ok());
    AccessList::of(&addresses, key.as_ref()).and(AccessList::new(&zone.accept_notify))
}

/// The zones that come from elsewhere.
fn specs(config: &Config) -> Vec<Spec> {
    let specs = config.zones.iter().filter_map(|zone| match &zone.content {
        Content::File(_) | Content::Cluster | Content::Catalog => None,
        Content::Primaries(primaries) => spec(zone, primaries, primaries.len()),
        Content::Shared(shared) => spec(zone, &shared.primaries, shared.own),
    });
    specs.collect()
}

fn spec(zone: &ZoneFile, primaries: &[SocketAddr], sources: usize) -> Option<Spec> {
    Some(Spec {
        origin: Name::parse(zone.origin.as_str()).ok()?,
        primaries: primaries.to_vec(),
        sources,
        key: zone.tsig.as_ref().and_then(|name| Name::parse(name.as_str()).ok()),
    })
}

/// The RDATA of a zone's SOA, and what it says.
fn soa(zone: &Zone) -> (Vec<u8>, Terms) {
    let (apex, mut soa) = (zone.apex(), Vec::new());
    if let Some(set) = apex.rrset(RecordType::SOA) {
        Unsealer::default().each(zone, &apex, &set, |record| soa = record.rdata.to_vec());
    }
    let seconds = |field| Duration::from_secs(soa_field(&soa, field).into());
    let terms = Terms { serial: zone.serial(), refresh: seconds(1), retry: seconds(2), expire: seconds(3) };
    (soa, terms)
}

/// Who is to be told of a version of a zone, if anybody is.
fn announcement(file: &ZoneFile, origin: &Name, soa: Vec<u8>) -> Option<Order> {
    let key = file.tsig.as_ref().and_then(|name| Name::parse(name.as_str()).ok());
    let (origin, to) = (origin.clone(), file.notify.clone());
    (!to.is_empty()).then_some(Order::Announce { origin, soa, to, key })
}

impl Control {
    /// Has all others act as the configuration says.
    pub(super) fn exchange_anew(&self) {
        let keys = self.cluster.transfer_keys();
        let policy = Arc::new(policy(&self.config, &self.exchange.secrets, &keys));
        self.exchange.policy.store(Arc::clone(&policy));
        let _ = (self.exchange.orders)(Order::Zones(specs(&self.config), policy));
    }

    pub(super) fn zone_file(&self, origin: &Name) -> Option<&ZoneFile> {
        self.config.zones.get(*self.exchange.places.get(origin)?)
    }

    /// The zones of the configuration are others, or stand elsewhere: to be called after each change of them.
    pub(super) fn find_zones_anew(&mut self) {
        self.exchange.places.clear();
        for (place, origin) in self.config.zones.iter().map(apex).enumerate() {
            if let Some(origin) = origin {
                self.exchange.places.entry(origin).or_insert(place);
            }
        }
    }

    pub(super) fn is_secondary(&self, origin: &Name) -> bool {
        self.zone_file(origin).is_some_and(ZoneFile::is_secondary)
    }

    /// A version of a zone is in place of `old`: others are told, if it is a later one; and when it is to be asked for.
    pub(super) fn tell_served(&mut self, old: Option<Serial>, zone: &Zone, checked: Option<SystemTime>) {
        let origin = zone.origin();
        self.exchange.since.insert(origin.clone(), clock::moment(clock::now()));
        if self.zone_file(origin).is_none() {
            return;
        }
        let (soa, terms) = soa(zone);
        if self.is_secondary(origin) {
            let age = checked.map_or(Duration::ZERO, |checked| {
                // A copy is never taken for one that was just transferred.
                clock::wall().duration_since(checked).unwrap_or_default().max(Duration::from_secs(1))
            });
            let (origin, soa) = (origin.clone(), soa.clone());
            let _ = (self.exchange.orders)(Order::Served { origin, terms, soa, age });
        }
        if old.is_none_or(|old| old.is_before(zone.serial())) {
            let announcement = self.zone_file(origin).and_then(|file| announcement(file, origin, soa));
            self.exchange.untold.extend(announcement);
        }
        self.note_shared(origin, zone.serial());
    }

    /// Has others told of what was published.
    pub(super) fn tell_others(&mut self) {
        for order in self.exchange.untold.drain(..) {
            let _ = (self.exchange.orders)(order);
        }
    }

    /// A secondary has no copy of its zone.
    pub(super) fn tell_absent(&self, origin: &Name) {
        if self.is_secondary(origin) {
            let _ = (self.exchange.orders)(Order::Absent(origin.clone()));
        }
    }

    /// Takes what the thread that talks to other servers has to say; true if the state changed.
    pub(super) fn hear(&mut self, news: News) -> bool {
        match news {
            // What comes of a zone that is no secondary any more is nobody's version.
            News::Arrived(origin, _) if !self.is_secondary(&origin) => false,
            News::Arrived(origin, came) => {
                let received = match came {
                    Came::Whole(run) => Received::Whole(run),
                    Came::Steps(steps) => Received::Steps(steps),
                    Came::Current(_) => return false,
                };
                let (old, at) = (self.at_hand(&origin), self.vouched(&origin).unwrap_or_else(clock::wall));
                self.loader.put(Arrival { origin, old, received, at, is_kept: true });
                false
            }
            News::Checked(origin) => {
                self.loader.checked(origin, clock::wall());
                false
            }
            News::Expired(origin) => match self.served(&origin) {
                Some(zone) => {
                    tracing::error!(zone = %origin, "expired: no primary has answered for too long, its names get SERVFAIL");
                    self.state.apply(Delta::PutZone { origin, content: ZoneContent::Expired(zone) });
                    self.cluster.think_shares_over();
                    true
                }
                None => false,
            },
            News::Revived(origin) => match self.at_hand(&origin) {
                Some(zone) => {
                    tracing::info!(zone = %origin, "a primary says that the expired zone is the newest: served again");
                    self.state.apply(Delta::PutZone { origin, content: ZoneContent::Sealed(zone) });
                    true
                }
                None => false,
            },
        }
    }

    /// The version at hand, served or expired.
    pub(super) fn at_hand(&self, origin: &Name) -> Option<Arc<Zone>> {
        match &self.state.zone(origin)?.content {
            ZoneContent::Sealed(zone) | ZoneContent::Expired(zone) => Some(Arc::clone(zone)),
            ZoneContent::Pending | ZoneContent::Faulty(_) => None,
        }
    }

    /// Puts what was transferred in place, if it is a zone; true if the state changed.
    pub(super) fn take_arrival(&mut self, loaded: Loaded) -> bool {
        if loaded.origin == *self.cluster.domain() {
            return self.take_version(loaded);
        }
        let Loaded { origin, zone, faults, .. } = loaded;
        if !self.is_secondary(&origin) && !self.is_made_here(&origin) {
            // It is no longer wanted.
            self.loader.free(zone);
            return false;
        }
        tell_faults(&origin, &faults);
        let Some(zone) = zone else {
            tracing::error!(zone = %origin, "what was transferred is no zone: the old one stays");
            let _ = (self.exchange.orders)(Order::Failed(origin));
            return false;
        };
        let old = self.at_hand(&origin).map(|old| old.serial());
        let (serial, records, steps) = (zone.serial().0, zone.record_count(), zone.history().steps());
        tracing::info!(zone = %origin, serial, records, steps, "zone transferred");
        // A copy that is still being read would be older.
        self.awaited.remove(&origin);
        let vouched = self.vouched(&origin);
        self.state.apply(Delta::PutZone { origin, content: ZoneContent::Sealed(Arc::clone(&zone)) });
        self.tell_served(old, &zone, vouched);
        self.take_catalog(zone.origin());
        true
    }

    /// Puts what updates have made in place; who made them is told once it is published. True if that is to be done.
    pub(super) fn take_updates(&mut self, updated: Updated) -> bool {
        let Updated { origin, zone, made } = updated;
        let is_wanted = self.zone_file(&origin).is_some();
        if let Some(zone) = zone.filter(|_| is_wanted) {
            let old = self.served(&origin).map(|old| old.serial());
            // What is still being read goes on from this version or an earlier one, and comes later.
            self.state.apply(Delta::PutZone { origin, content: ZoneContent::Sealed(Arc::clone(&zone)) });
            self.tell_served(old, &zone, None);
        }
        self.exchange.unacknowledged.extend(made);
        true
    }

    /// Tells those whose updates are served now.
    pub(super) fn acknowledge(&mut self) {
        self.exchange.unacknowledged.drain(..).for_each(|done| done(Ok(())));
    }

    /// Has a zone asked for, transferred or announced, as a user wants.
    pub(super) fn zone_verb(&self, origin: &str, what: ZoneVerb) -> Result<Reply, Refused> {
        let refused = |kind, error: String| Err(Refused::new(kind, error));
        let Ok(name) = Name::parse(origin) else {
            return refused(RefusedKind::Malformed, format!("{origin:?} is no domain name"));
        };
        let Some(file) = self.zone_file(&name) else {
            return refused(RefusedKind::NotFound, format!("there is no zone {name} in the configuration"));
        };
        match what {
            ZoneVerb::Notify => {
                let Some(zone) = self.served(&name) else {
                    return refused(RefusedKind::Conflict, format!("{name} is not served"));
                };
                let Some(order) = announcement(file, &name, soa(&zone).0) else {
                    let error = format!("nobody is to be told of {name}: zone.notify is empty");
                    return refused(RefusedKind::Conflict, error);
                };
                let _ = (self.exchange.orders)(order);
            }
            ZoneVerb::Refresh | ZoneVerb::Retransfer => {
                if !file.is_secondary() {
                    let error = match file.file() {
                        Some(_) => format!("{name} is a primary zone: `reload` reads it again"),
                        None => format!("{name} is made here: nobody is asked for it"),
                    };
                    return refused(RefusedKind::Conflict, error);
                }
                let _ = (self.exchange.orders)(Order::Refresh(name.clone(), what == ZoneVerb::Retransfer));
            }
        }
        Ok(Reply::zone(name.to_string(), what.word()))
    }
}

/// What a user may want of one zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ZoneVerb {
    /// Others are told of its version.
    Notify,
    /// The primaries are asked for its version.
    Refresh,
    /// All of it is transferred.
    Retransfer,
}

impl ZoneVerb {
    fn word(self) -> &'static str {
        match self {
            ZoneVerb::Notify => "notify",
            ZoneVerb::Refresh => "refresh",
            ZoneVerb::Retransfer => "retransfer",
        }
    }
}

/// An expired zone, as a fault is told.
pub(super) fn expired(origin: &Name) -> crate::control::status::ZoneStatus {
    let mut faults = Faults::default();
    let why = "expired: no primary has answered for too long";
    faults.error(place_in(PathBuf::from(origin.to_string()), 1, 1), why);
    faulty(origin, &faults)
}
