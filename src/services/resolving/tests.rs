//! Errands over real sockets.

use super::*;
use crate::base::time::Moment;
use crate::catalog::published::Publisher;
use crate::catalog::state::State;
use crate::resolve::harvest::Caps;
use crate::resolve::iterate;
use crate::resolve::policy::Way;
use crate::services::resolving::court::{Found, Told};
use crate::services::resolving::shares::QUESTIONS_OF_CLIENT_MAX;
use crate::wire::key::HashSeed;
use crate::wire::rtype::RecordType;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::net::UdpSocket;

const NAME: &[u8] = b"\x04test\0";
const CAPS: Caps = Caps { ttl_max: 86_400, negative_ttl_max: 3_600 };

/// Below it the server is silent.
const DEAD: &[u8] = b"\x04dead\0";
const CLIENTS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2))];

/// The only server there is: it refuses, or says an address of whatever is asked for.
struct Server {
    address: SocketAddr,
    is_mended: Arc<AtomicBool>,
    /// Questions for addresses.
    asked: Arc<AtomicUsize>,
}

impl Server {
    async fn start() -> Server {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let (is_mended, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (mended, counted) = (Arc::clone(&is_mended), Arc::clone(&asked));
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
                if buffer[..len].windows(DEAD.len()).any(|octets| octets.eq_ignore_ascii_case(DEAD)) {
                    continue;
                }
                let end = 12 + NAME.len() + 4;
                // The server itself is asked for, too.
                let is_address = buffer[12] == 4 && buffer[end - 3] == 1;
                counted.fetch_add(usize::from(is_address), Ordering::Relaxed);
                let says = is_address && mended.load(Ordering::Relaxed);
                let flags = if says { [0x84, 0] } else { [0x80, 5] };
                let counts = [0, 1, 0, u8::from(says), 0, 0, 0, 0];
                let question = &buffer[12..if is_address { end } else { 17 }];
                let mut response = [&buffer[..2], &flags, &counts, question].concat();
                if says {
                    response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
                }
                let _ = socket.send_to(&response, from).await;
            }
        });
        Server { address, is_mended, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn roots(&self, own: Vec<SocketAddr>) -> Roots {
        let name = Name::parse("root.example.").unwrap();
        let settings = iterate::Settings {
            roots: vec![(name, vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])],
            deny: Vec::new(),
            own,
            port: self.address.port(),
            ipv4: true,
            ipv6: false,
            cache_octets_max: 1 << 20,
        };
        Roots { settings, anchors: Vec::new(), validates: false, caps: CAPS }
    }
}

/// What a server without zones answers from.
fn published() -> Published {
    let first = State::new(HashSeed::new([5; 16]), 4).snapshot(Moment::START);
    Publisher::new(first).published().clone()
}

fn border(policy: &Arc<Policy>) -> Border {
    Border { policy: Arc::new(ArcSwap::from(Arc::clone(policy))), published: published() }
}

/// Has errands done, as the services thread does.
struct Stage {
    errands: Errands,
    came: mpsc::UnboundedReceiver<Delivery>,
    _stop: watch::Sender<()>,
}

impl Stage {
    fn start(roots: Roots) -> Stage {
        let (errands, todo) = errands();
        let (sender, came) = mpsc::unbounded_channel();
        let deliver: Deliver = Box::new(move |delivery| _ = sender.send(delivery));
        let policy = Arc::new(ArcSwap::from(policy(Way::Iterate)));
        let (stop, stopped) = watch::channel(());
        let (published, upstreams) = (published(), Upstreams::default());
        let work = Work { todo, workers: vec![deliver], roots, policy, published, upstreams };
        tokio::spawn(run(work, stopped));
        Stage { errands, came, _stop: stop }
    }

    /// True if the name's address is found.
    async fn finds(&mut self) -> bool {
        self.ask(CLIENTS[0], 1, NAME);
        let (ticket, found) = self.told().await;
        assert_eq!(ticket, 1);
        found.is_ok()
    }

    fn ask(&self, client: IpAddr, ticket: u32, name: &[u8]) {
        let (name, rtype, wants) = (name.into(), RecordType::A, Wants::default());
        assert!(self.errands.take(0, Errand::Resolve { ticket, client, name, rtype, wants }));
    }

    async fn told(&mut self) -> (u32, Found) {
        match self.came.recv().await {
            Some(Delivery::Resolved { ticket, found }) => (ticket, found),
            other => panic!("{other:?}"),
        }
    }
}

fn policy(way: Way) -> Arc<Policy> {
    Arc::new(Policy::new(Default::default(), CAPS, 0, (true, true), [(Name::ROOT, way)]))
}

/// A name that the server says nothing of.
fn silent(number: u32) -> Name {
    Name::parse(&format!("n{number}.dead.")).unwrap()
}

/// As many as one client may have in work.
const SHARE: Range<u32> = 0..QUESTIONS_OF_CLIENT_MAX as u32;

fn asker(shares: &Shares, ticket: u32) -> Asker {
    Asker::Worker { worker: 0, ticket, share: shares.take(CLIENTS[0]).unwrap() }
}

/// All have been told that there is nothing, each once.
fn assert_all_failed(mut found: Vec<Told>) {
    found.sort_by_key(|(_, ticket, _)| *ticket);
    assert!(found.iter().map(|(_, ticket, _)| *ticket).eq(SHARE));
    assert!(found.iter().all(|(_, _, found)| found.is_err()));
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn what_failed_is_asked_again_at_once_when_all_is_to_be_forgotten() {
    block_on(async {
        let server = Server::start().await;
        let mut stage = Stage::start(server.roots(Vec::new()));
        assert!(!stage.finds().await);
        let asked = server.asked();
        server.is_mended.store(true, Ordering::Relaxed);
        assert!(!stage.finds().await);
        assert!(asked > 0 && server.asked() == asked);
        assert!(stage.errands.wish(Wish::Forget(Box::new(Name::parse("test.").unwrap()))));
        assert!(stage.finds().await);
    });
}

#[test]
fn a_server_that_would_be_a_listener_of_ours_on_all_addresses_is_not_asked() {
    block_on(async {
        let server = Server::start().await;
        server.is_mended.store(true, Ordering::Relaxed);
        let own = SocketAddr::from((Ipv4Addr::UNSPECIFIED, server.address.port()));
        assert!(!Stage::start(server.roots(vec![own])).finds().await);
        assert_eq!(server.asked(), 0);
    });
}

#[test]
fn who_asks_for_names_of_silent_zones_gets_its_share_and_others_their_answers() {
    block_on(async {
        let server = Server::start().await;
        server.is_mended.store(true, Ordering::Relaxed);
        let mut stage = Stage::start(server.roots(Vec::new()));
        SHARE.for_each(|number| stage.ask(CLIENTS[0], number, silent(number).as_wire()));
        stage.ask(CLIENTS[0], 1_000, NAME);
        stage.ask(CLIENTS[1], 2_000, NAME);
        let (refused, answered) = (stage.told().await, stage.told().await);
        assert_eq!(refused, (1_000, Err(Some(ExtendedError::NOT_READY))));
        assert!(matches!(answered, (2_000, Ok(_))), "{answered:?}");
        let mut found = Vec::new();
        while found.len() < SHARE.len() {
            let (ticket, told) = stage.told().await;
            found.push((0, ticket, told));
        }
        assert_all_failed(found);
        // All of its places are its own again.
        SHARE.for_each(|number| stage.ask(CLIENTS[0], number, &[4, b't', b'e', b's', b't', 0]));
        for _ in SHARE {
            let (_, told) = stage.told().await;
            assert_ne!(told, Err(Some(ExtendedError::NOT_READY)));
        }
    });
}

#[test]
fn what_is_looked_for_from_other_roots_keeps_its_places_until_it_is_told() {
    block_on(async {
        let (silent_server, server) =
            (UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(), Server::start().await);
        let address = silent_server.local_addr().unwrap();
        let (shares, streams) = (Shares::default(), Arc::new(Semaphore::new(1)));
        let mut roots = server.roots(Vec::new());
        roots.settings.port = address.port();
        let mut walk = Walk::new(&roots, border(&policy(Way::Iterate)), streams);
        for number in SHARE {
            let asker = asker(&shares, number);
            walk.ask(
                asker,
                Name::parse(&format!("n{number}.test.")).unwrap().as_wire(),
                RecordType::A,
                Wants::default(),
            );
        }
        assert!(shares.take(CLIENTS[0]).is_none() && shares.take(CLIENTS[1]).is_some());
        walk.renew(&server.roots(Vec::new()));
        assert!(walk.take_found().is_empty() && shares.take(CLIENTS[0]).is_none());
        let mut found = Vec::new();
        while found.len() < SHARE.len() {
            walk.turn().await;
            found.extend(walk.take_found());
        }
        assert_all_failed(found);
        assert!(shares.is_empty());
    });
}

#[test]
fn what_is_asked_of_other_servers_keeps_its_places_until_it_is_told() {
    block_on(async {
        let (silent_server, server) =
            (UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(), Server::start().await);
        let (shares, streams) = (Shares::default(), Arc::new(Semaphore::new(1)));
        let (before, after) = [silent_server.local_addr().unwrap(), server.address]
            .map(|to| policy(Way::Forward(vec![to])))
            .into();
        let roots = server.roots(Vec::new());
        let border = border(&before);
        let mut upward = Upward::new(before, &roots, border, streams);
        for number in SHARE {
            let name = Name::parse(&format!("n{number}.test.")).unwrap();
            upward.ask(asker(&shares, number), name, RecordType::A, Wants::default());
        }
        assert!(shares.take(CLIENTS[0]).is_none() && shares.take(CLIENTS[1]).is_some());
        upward.renew(after, &roots);
        assert!(upward.take_found().is_empty() && shares.take(CLIENTS[0]).is_none());
        let mut found = Vec::new();
        while found.len() < SHARE.len() {
            upward.turn().await;
            found.extend(upward.take_found());
        }
        assert_all_failed(found);
        assert!(shares.is_empty());
    });
}
