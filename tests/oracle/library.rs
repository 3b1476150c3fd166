//! The server without its sockets: zones from text or files, messages in, messages out. Pure, in the test's
//! own process.

use hivedns::answer::{self, Bounds, Offers, Outcome, Scratch, Verdict};
use hivedns::base::limits::MESSAGE_OCTETS_MAX;
use hivedns::base::time::{Moment, WallSeconds};
use hivedns::catalog::delta::{Delta, ZoneContent};
use hivedns::catalog::snapshot::{Snapshot, ZoneNumber};
use hivedns::catalog::state::State;
use hivedns::transfer::desk::{self, Asked, Paper, Turn};
use hivedns::transfer::policy::Policy;
use hivedns::wire::key::{HashSeed, NameKey};
use hivedns::wire::name::Name;
use hivedns::wire::query::{Accepted, Shape, accept};
use hivedns::wire::short;
use hivedns::zone::builtin::BUILTIN;
use hivedns::zone::draft::ZoneDraft;
use hivedns::zone::fault::Faults;
use hivedns::zone::master::{self, Disk, Options};
use hivedns::zone::seal::seal;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

/// What the server sends over UDP at most, as by default.
const UDP_PAYLOAD_MAX: u16 = 1232;

/// The answering part of the server with its zones.
pub struct Library {
    snapshot: Snapshot,
    scratch: Scratch,
    key: NameKey,
    buffer: Vec<u8>,
}

/// A zone to be served: origin, what faults call it, text. Of a faulty one SERVFAIL is served.
pub struct ZoneText<'a> {
    pub origin: &'a str,
    pub file: &'a Path,
    pub text: &'a str,
}

impl Library {
    /// Serves `zones`, and of the built-in ones those that are not among them. What is wrong with the zones
    /// comes back beside it.
    pub fn new(zones: &[ZoneText<'_>], identity: &str) -> (Library, Vec<String>) {
        let seed = HashSeed::new(*b"any seed will do");
        let (mut state, mut told) = (State::new(seed, u16::MAX), Vec::new());
        state.apply(Delta::Identify { identity: identity.into() });
        let built_in =
            BUILTIN.iter().map(|(origin, file, text)| ZoneText { origin, file: Path::new(file), text });
        let configured = zones.iter().map(|zone| ZoneText { ..*zone });
        for zone in built_in.chain(configured) {
            let origin = Name::parse(zone.origin).unwrap_or_else(|e| panic!("{}: {e}", zone.origin));
            let (content, faults) = read(&origin, &zone, seed);
            told.extend(faults.iter().map(ToString::to_string));
            state.apply(Delta::PutZone { origin, content });
        }
        let library = Library {
            snapshot: state.snapshot(Moment::START),
            scratch: Scratch::default(),
            key: NameKey::default(),
            buffer: vec![0; MESSAGE_OCTETS_MAX],
        };
        (library, told)
    }

    /// What comes back for a message over UDP or TCP; `None` for silence.
    pub fn ask(&mut self, message: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let limit = |udp: usize| if tcp { MESSAGE_OCTETS_MAX } else { udp };
        let bounds = |udp| Bounds {
            limit: limit(udp),
            udp_payload_max: UDP_PAYLOAD_MAX,
            now: Moment::START,
            from: None,
        };
        let Outcome { verdict, .. } = match accept(message, &mut self.key) {
            Accepted::Ignore => return None,
            Accepted::Refuse(shape, rcode) => {
                let query = shape.of(message);
                let bounds = bounds(query.udp_limit(UDP_PAYLOAD_MAX.into()));
                answer::refuse(&self.snapshot, &query, rcode, &mut self.buffer, bounds)
            }
            Accepted::Special(shape) => return self.ask_desk(message, shape, tcp),
            Accepted::Query(shape) => {
                self.key.hash(self.snapshot.seed());
                let query = shape.of(message);
                let bounds = bounds(query.udp_limit(UDP_PAYLOAD_MAX.into()));
                let Library { snapshot, scratch, key, buffer } = self;
                let route = answer::route(snapshot, &shape, key, ZoneNumber::default());
                let way = (route, route.hint(snapshot, key));
                answer::answer(snapshot, way, &query, key, scratch, buffer, bounds)
            }
        };
        let reply = match verdict {
            Verdict::Reply(octets) => Some(self.buffer[..octets].to_vec()),
            Verdict::Transfer => match accept(message, &mut self.key) {
                Accepted::Query(shape) => return self.ask_desk(message, shape, tcp),
                Accepted::Special(_) | Accepted::Refuse(..) | Accepted::Ignore => None,
            },
            Verdict::Drop | Verdict::Forward => None,
        };
        if !tcp && let Some(by_short) = self.ask_shortly(message) {
            assert_eq!(Some(&by_short), reply.as_ref(), "the short way says otherwise: {message:?}");
        }
        reply
    }

    /// What the short way says, where it is open.
    fn ask_shortly(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let Library { snapshot, key, buffer, .. } = self;
        let mut window = [0xff; short::WINDOW];
        let len = message.len().min(window.len());
        window[..len].copy_from_slice(&message[..len]);
        let shape = short::accept(&window, message.len(), key)?;
        key.hash(snapshot.seed());
        let mut way = answer::route(snapshot, &shape, key, ZoneNumber::default()).way(snapshot, key)?;
        way.seek(key);
        match answer::answer_short(&way, (&window, &shape), key, buffer, UDP_PAYLOAD_MAX, Offers::Zones)?
            .verdict
        {
            Verdict::Reply(octets) => Some(buffer[..octets].to_vec()),
            Verdict::Drop | Verdict::Forward | Verdict::Transfer => None,
        }
    }

    /// What is said to messages about zones as such. Nobody may transfer anything here.
    fn ask_desk(&mut self, message: &[u8], shape: Shape, tcp: bool) -> Option<Vec<u8>> {
        let Library { snapshot, key, buffer, .. } = self;
        key.hash(snapshot.seed());
        let limit = if tcp { MESSAGE_OCTETS_MAX } else { shape.udp_limit(UDP_PAYLOAD_MAX.into()) };
        let (from, now) = (Ipv4Addr::LOCALHOST.into(), WallSeconds(0));
        let asked = Asked { message, shape, key, from, now };
        let paper = Paper { buffer, limit, udp_payload_max: UDP_PAYLOAD_MAX };
        match desk::take(&asked, &Policy::default(), (snapshot, None), paper) {
            Turn::Reply { len, .. } => Some(self.buffer[..len].to_vec()),
            Turn::Notified { .. } | Turn::Transfer(_) | Turn::Update(_) | Turn::Query(_) => {
                panic!("nobody may")
            }
        }
    }
}

fn read(origin: &Name, zone: &ZoneText<'_>, seed: HashSeed) -> (ZoneContent, Faults) {
    let mut draft = ZoneDraft::new(origin, seed);
    let file: Arc<Path> = Arc::from(zone.file);
    draft.set_file(&file);
    let mut faults = Faults::default();
    let options = Options { origin, ttl: None };
    master::read(Box::new(zone.text.as_bytes()), file, options, &Disk, &mut draft, &mut faults);
    let unread = faults.errors() > 0;
    let (sealed, more) = seal(draft);
    let told = if unread { faults } else { more };
    match sealed {
        Some(sealed) if !unread => (ZoneContent::Sealed(Arc::new(sealed)), told),
        _ => (ZoneContent::Faulty(Arc::new(told.clone())), told),
    }
}
