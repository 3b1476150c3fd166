//! The whole pure path on one desk: records in, zones sealed, a snapshot made, messages answered. No
//! socket, no thread.

use hivedns::answer::{self, Bounds, Offers, Route, Scratch, Verdict};
use hivedns::base::time::{Moment, WallSeconds};
use hivedns::catalog::delta::{Delta, ZoneContent};
use hivedns::catalog::snapshot::{Snapshot, ZoneNumber};
use hivedns::catalog::state::State;
use hivedns::transfer::access::AccessList;
use hivedns::transfer::desk::{self, Permitted, Turn};
use hivedns::transfer::policy::{Policy, ZonePolicy};
use hivedns::transfer::update::{Ledger, Update, difference};
use hivedns::wire::key::{HashSeed, NameKey};
use hivedns::wire::message::Rcode;
use hivedns::wire::name::Name;
use hivedns::wire::query::{Accepted, Shape, accept};
use hivedns::wire::rtype::RecordType;
use hivedns::wire::short;
use hivedns::zone::Zone;
use hivedns::zone::amend::{self, Amendment};
use hivedns::zone::draft::ZoneDraft;
use hivedns::zone::fault::{Faults, place_in};
use hivedns::zone::master::{self, Disk, Options};
use hivedns::zone::plain;
use hivedns::zone::seal::{Form, seal, seal_as};
use hivedns::zone::sink::{Record as Given, RecordSink};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

/// Octets of UDP payload that replies offer.
pub const UDP_PAYLOAD: u16 = 1232;

/// A fixed seed: a test that fails shall fail again.
pub fn seed() -> HashSeed {
    HashSeed::new(*b"a seed for tests")
}

/// A record as it is handed to a draft: names in wire form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub owner: Vec<u8>,
    pub rtype: u16,
    pub ttl: u32,
    pub rdata: Vec<u8>,
}

/// Seals records.
pub fn zone(origin: &[u8], entries: &[Entry]) -> Result<Zone, String> {
    zone_as(Form::Arena, origin, entries)
}

/// Seals records in that form.
pub fn zone_as(form: Form, origin: &[u8], entries: &[Entry]) -> Result<Zone, String> {
    let origin = Name::from_wire(origin).map_err(|e| e.to_string())?;
    let mut draft = ZoneDraft::new(&origin, seed());
    for (line, entry) in (1u32..).zip(entries) {
        let Entry { owner, rtype, ttl, rdata } = entry;
        draft
            .record(Given { owner, rtype: RecordType(*rtype), ttl: *ttl, rdata }, &place_in("test", line, 1));
    }
    let (zone, faults) = seal_as(draft, form);
    zone.ok_or_else(|| told(&faults))
}

/// Reads and seals a master file.
pub fn zone_of_text(origin: &str, text: &str) -> Result<Zone, String> {
    let origin = Name::parse(origin).map_err(|e| e.to_string())?;
    let (mut draft, mut faults) = (ZoneDraft::new(&origin, seed()), Faults::default());
    let options = Options { origin: &origin, ttl: None };
    let file: Arc<Path> = Arc::from(Path::new("test"));
    master::read(Box::new(text.as_bytes()), file, options, &Disk, &mut draft, &mut faults);
    let (zone, sealing) = seal(draft);
    faults.absorb(sealing);
    zone.filter(|_| faults.errors() == 0).ok_or_else(|| told(&faults))
}

fn told(faults: &Faults) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

/// All zones of a test as one snapshot.
pub fn snapshot(identity: &str, zones: impl IntoIterator<Item = Zone>) -> Snapshot {
    let mut state = State::new(seed(), 16);
    state.apply(Delta::Identify { identity: identity.into() });
    for zone in zones {
        let origin = zone.origin().clone();
        state.apply(Delta::PutZone { origin, content: ZoneContent::Sealed(Arc::new(zone)) });
    }
    state.snapshot(Moment::START)
}

/// Answers messages one by one from one snapshot.
pub struct Desk {
    pub snapshot: Snapshot,
    key: Box<NameKey>,
    scratch: Box<Scratch>,
    buffer: Vec<u8>,
    window: [u8; short::WINDOW],
    /// The zone of the question before, as a worker guesses.
    guess: ZoneNumber,
    /// When answers are given.
    pub now: Moment,
    /// What any zone may be asked; by default, nobody may anything.
    pub policy: Policy,
}

impl Desk {
    pub fn new(snapshot: Snapshot) -> Desk {
        Desk {
            snapshot,
            key: Box::default(),
            scratch: Box::default(),
            buffer: vec![0; 65_535],
            window: [0xc0; short::WINDOW],
            guess: ZoneNumber::default(),
            now: Moment::START,
            policy: Policy::default(),
        }
    }

    /// Lets anybody here change any zone. What is changed is looked at and forgotten.
    pub fn permit_updates(&mut self) {
        let update = AccessList::of(&[LOCALHOST], None);
        let zones = self.snapshot.entries().iter().filter_map(|entry| entry.zone());
        let zones = zones
            .map(|zone| (zone.origin().clone(), ZonePolicy { update: update.clone(), ..Default::default() }));
        self.policy = Policy::new(Vec::new(), zones.collect::<Vec<_>>());
    }

    /// The reply to a message, as over TCP.
    pub fn answer(&mut self, message: &[u8]) -> Option<&[u8]> {
        self.answer_within(message, 65_535)
    }

    /// The reply to a message as over UDP, bounded by what the message says that its sender takes; by the short
    /// way where that is open, as in a worker.
    pub fn answer_datagram(&mut self, message: &[u8]) -> Option<&[u8]> {
        match self.answer_short(message) {
            Some(len) => self.buffer.get(..len),
            None => self.answer_datagram_generally(message),
        }
    }

    /// The same, always by the general way.
    pub fn answer_datagram_generally(&mut self, message: &[u8]) -> Option<&[u8]> {
        let limit = match accept(message, &mut self.key) {
            Accepted::Query(shape) | Accepted::Special(shape) | Accepted::Refuse(shape, _) => {
                shape.of(message).udp_limit(UDP_PAYLOAD.into())
            }
            Accepted::Ignore => return None,
        };
        self.answer_within(message, limit)
    }

    /// The length of the reply by the short way; `None` where that is not open.
    pub fn answer_short(&mut self, message: &[u8]) -> Option<usize> {
        let Desk { snapshot, key, buffer, window, guess, .. } = self;
        // What stood there before stays behind the message, as in a worker's slot.
        let len = message.len().min(window.len());
        window[..len].copy_from_slice(&message[..len]);
        let shape = short::accept(window, message.len(), key)?;
        key.hash(snapshot.seed());
        let route = answer::route(snapshot, &shape, key, *guess);
        if let Route::Zone(number) = route {
            *guess = number;
        }
        let mut way = route.way(snapshot, key)?;
        way.seek(key);
        let outcome = answer::answer_short(&way, (window, &shape), key, buffer, UDP_PAYLOAD, Offers::Zones)?;
        match outcome.verdict {
            Verdict::Reply(len) => Some(len),
            Verdict::Drop | Verdict::Forward | Verdict::Transfer => None,
        }
    }

    /// The reply to a message, of at most `limit` octets.
    pub fn answer_within(&mut self, message: &[u8], limit: usize) -> Option<&[u8]> {
        let Desk { snapshot, key, scratch, buffer, guess, now, .. } = self;
        let bounds = Bounds { limit, udp_payload_max: UDP_PAYLOAD, now: *now, from: None };
        let outcome = match accept(message, key) {
            Accepted::Query(shape) => {
                key.hash(snapshot.seed());
                let route = answer::route(snapshot, &shape, key, *guess);
                if let Route::Zone(number) = route {
                    *guess = number;
                }
                let way = (route, route.hint(snapshot, key));
                answer::answer(snapshot, way, &shape.of(message), key, scratch, buffer, bounds)
            }
            Accepted::Refuse(shape, rcode) => {
                answer::refuse(snapshot, &shape.of(message), rcode, buffer, bounds)
            }
            Accepted::Special(shape) => {
                key.hash(snapshot.seed());
                return self.answer_special(message, shape, limit);
            }
            Accepted::Ignore => return None,
        };
        match outcome.verdict {
            Verdict::Reply(len) => self.buffer.get(..len),
            Verdict::Transfer => match accept(message, key) {
                Accepted::Query(shape) => {
                    key.hash(snapshot.seed());
                    self.answer_special(message, shape, limit)
                }
                _ => None,
            },
            Verdict::Drop | Verdict::Forward => None,
        }
    }

    /// The reply to a message about a zone as such, or a signed one, where no key is known. The question's name is at hand,
    /// hashed.
    fn answer_special(&mut self, message: &[u8], shape: Shape, limit: usize) -> Option<&[u8]> {
        let Desk { snapshot, key, buffer, policy, .. } = self;
        let from = LOCALHOST;
        let asked = desk::Asked { message, shape, key, from, now: WallSeconds(1_800_000_000) };
        let paper = desk::Paper { buffer, limit, udp_payload_max: UDP_PAYLOAD };
        match desk::take(&asked, policy, (snapshot, None), paper) {
            Turn::Reply { len, .. } | Turn::Notified { len, .. } => self.buffer.get(..len),
            Turn::Update(permitted) => {
                let Permitted { update, held } = *permitted;
                let origin = update.zone().to_lowercase();
                let zone = snapshot.entries().iter().find(|entry| entry.origin_key() == origin.as_wire());
                let zone = zone.and_then(|entry| entry.zone()).expect("it is permitted");
                let code = change(zone, &update);
                let len = held.answer(code, buffer, WallSeconds(1_800_000_000));
                self.buffer.get(..len)
            }
            Turn::Transfer(_) | Turn::Query(_) => None,
        }
    }
}

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What an update is told. What it makes of the zone is one, and forgotten.
fn change(zone: &Zone, update: &Update) -> Rcode {
    let mut amendment = Amendment::begin(zone);
    let judged = Ledger::new(zone.origin(), &mut amendment).judge(update);
    let changes = match judged {
        Ok(changes) => changes,
        Err(code) => return code,
    };
    assert_eq!(changes.is_empty(), difference(&changes).is_none());
    if let Some(step) = difference(&changes) {
        amendment.take(&Arc::new(step)).unwrap_or_else(|misfit| panic!("{misfit}"));
        // Zones of tests lie in one arena: their next version is sealed anew.
        if let amend::Outcome::Anew(run, _) = amendment.finish() {
            let mut draft = ZoneDraft::new(zone.origin(), seed());
            plain::records(&run).for_each(|record| draft.record(record, &place_in("test", 1, 1)));
            let (zone, faults) = seal(draft);
            assert!(zone.is_some() && faults.errors() == 0, "{}", told(&faults));
        }
    }
    Rcode::NoError
}
