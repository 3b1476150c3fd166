//! Comparing with the engine's own resolver, as `discovery::engine::shadow` wants it: its questions, its clock, and where
//! what it found is shown.
//!
//! That resolver answers as it does for our own container. So we are asked as our own container, too: the one that has
//! an address which is ours.

use crate::base::time::Moment;
use crate::control::document::WhyDocument;
use crate::control::request::{Answer, Refused, Reply, Request};
use crate::discovery::endpoint::Endpoint;
use crate::discovery::engine::shadow::{Answered, Comparison, Difference, Findings, Shadow, subjects};
use crate::os::entropy;
use crate::services::desk::Ask;
use crate::services::docker::is_ours;
use crate::services::resolving::{datagram, stream};
use crate::wire::message::{RD, Rcode};
use crate::wire::name::Name;
use crate::wire::reply::Section;
use crate::wire::response::Response;
use crate::wire::rtype::{Class, RecordType};
use arc_swap::ArcSwap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

/// Where the engine's resolver is, from within any container.
pub const RESOLVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11)), 53);
/// How long it may take to answer one query, and how often it is asked: what it forwards takes it up to four seconds.
const PATIENCE: Duration = Duration::from_secs(5);
const TRIES: usize = 2;
/// How long we may take: the control thread answers within milliseconds.
const OWN_PATIENCE: Duration = Duration::from_secs(5);
/// Streams to it at once: one for each comparison under way.
const STREAMS_MAX: usize = 4;

/// What has been found, for people; told anew after each comparison.
#[derive(Clone, Default)]
pub struct Board(Arc<ArcSwap<Findings>>);

impl Board {
    /// What was found up to now.
    pub fn read(&self) -> Arc<Findings> {
        self.0.load_full()
    }
}

/// What is to be compared.
pub struct Compared {
    /// The share of names, from 0 to 1.
    pub share: f64,
    /// How often a round begins.
    pub every: Duration,
    /// The services' domain.
    pub domain: Name,
    /// Where the engine's resolver is.
    pub resolver: SocketAddr,
    /// Who tells what we answer.
    pub ask: Ask,
    /// Where it is shown.
    pub board: Board,
}

/// A comparison with both answers.
pub(super) struct Outcome {
    comparison: Comparison,
    theirs: Answered,
    ours: Answered,
}

pub(super) struct Shadowing {
    compared: Compared,
    shadow: Shadow,
    streams: Arc<Semaphore>,
    round_at: Moment,
    /// One of our own container's addresses, in this round.
    own: Option<IpAddr>,
    /// It was told that we are in none.
    is_told: bool,
}

impl Shadowing {
    pub(super) fn new(compared: Compared) -> Shadowing {
        let (shadow, streams) = (Shadow::new(compared.share), Arc::new(Semaphore::new(STREAMS_MAX)));
        Shadowing { compared, shadow, streams, round_at: Moment::NEVER, own: None, is_told: false }
    }

    /// The engine's containers are known from now on.
    pub(super) fn listed(&mut self, now: Moment) {
        if self.round_at == Moment::NEVER {
            self.round_at = now;
        }
    }

    /// The engine is out of reach: what was being compared has ended with its connection.
    pub(super) fn lost(&mut self) {
        self.shadow.abandon();
        self.round_at = Moment::NEVER;
    }

    pub(super) fn next_wake(&self) -> Moment {
        self.round_at.min(self.shadow.next_wake())
    }

    /// Does what is due; `containers` are those of the engine.
    pub(super) fn handle_timeout<'e>(
        &mut self,
        now: Moment,
        containers: impl Iterator<Item = &'e Endpoint> + Clone,
    ) {
        self.shadow.handle_timeout(now);
        if self.round_at > now {
            return;
        }
        self.round_at = now + self.compared.every;
        let addresses = containers.clone().flat_map(|own| addresses(own).map(move |address| (own, address)));
        let Some((own, address)) = addresses.into_iter().find(|(_, address)| is_ours(*address)) else {
            if !std::mem::replace(&mut self.is_told, true) {
                tracing::warn!(
                    "shadow: this server is in no container of its engine: there is nothing to compare with"
                );
            }
            return;
        };
        self.own = Some(address);
        self.shadow.begin(subjects(own, containers), lot);
    }

    /// The next comparison, as what is to be waited for.
    pub(super) fn poll(&mut self) -> Option<impl Future<Output = Outcome> + Send + use<>> {
        let comparison = self.shadow.poll()?;
        let subject = &comparison.subject;
        let name = format!("{}.{}", subject.ours, self.compared.domain);
        let request = Request::Why { name, rtype: Some("A".to_owned()), from: self.own, only_known: true };
        let (give, ours) = oneshot::channel();
        // Whoever asked may be gone when the answer comes.
        (self.compared.ask)(request, Answer::to(move |outcome| drop(give.send(outcome))));
        let (resolver, streams, theirs) =
            (self.compared.resolver, Arc::clone(&self.streams), subject.theirs.clone());
        Some(async move {
            let theirs = ask_engine(resolver, &streams, &theirs).await;
            let ours = timeout(OWN_PATIENCE, ours).await.ok().and_then(Result::ok).and_then(own_answer);
            Outcome { comparison, theirs, ours }
        })
    }

    /// Takes what came of one.
    pub(super) fn take(&mut self, now: Moment, outcome: Outcome) {
        let Outcome { comparison, theirs, ours } = outcome;
        if let Some(difference) = self.shadow.compared(now, comparison, &theirs, &ours) {
            tell(&difference);
        }
        self.compared.board.0.store(Arc::new(self.shadow.findings().clone()));
    }
}

fn tell(difference: &Difference) {
    let Difference { subject, missing, surplus } = difference;
    tracing::warn!(
        name = subject.theirs,
        ?missing,
        ?surplus,
        "shadow: the engine's resolver and this server answer differently"
    );
}

fn addresses(endpoint: &Endpoint) -> impl Iterator<Item = IpAddr> {
    endpoint.networks.iter().filter_map(|network| network.ipv4.map(IpAddr::V4))
}

/// A number from 0 to 1; 1, so that nothing is compared, if the system has no randomness.
fn lot() -> f64 {
    entropy::random().map_or(1.0, |octets| f64::from(u32::from_le_bytes(octets)) / f64::from(u32::MAX))
}

/// What we answer.
fn own_answer(outcome: Result<Reply, Refused>) -> Answered {
    let Ok(Reply::Why(WhyDocument { rcode, answer, .. })) = outcome else { return None };
    let is_answered = [Rcode::NoError, Rcode::NxDomain].iter().any(|known| known.to_string() == rcode);
    let address = |line: &String| line.split_ascii_whitespace().last()?.parse().ok();
    is_answered.then(|| answer.iter().filter_map(address).collect())
}

/// What the engine's resolver answers. Whom it asks about a name that it does not know may refuse: that is no address.
async fn ask_engine(resolver: SocketAddr, streams: &Semaphore, name: &str) -> Answered {
    let name = Name::parse(&format!("{name}.")).ok()?;
    let id = u16::from_le_bytes(entropy::random().ok()?);
    let mut query = Vec::with_capacity(name.as_wire().len() + 16);
    for word in [id, RD, 1, 0, 0, 0] {
        query.extend(word.to_be_bytes());
    }
    query.extend(name.as_wire());
    query.extend(RecordType::A.0.to_be_bytes());
    query.extend(Class::IN.0.to_be_bytes());
    for _ in 0..TRIES {
        let asked = timeout(PATIENCE, over_datagram(resolver, &query)).await;
        let Ok(Ok(Some(mut octets))) = asked else { continue };
        if matching(&octets, &query)?.is_truncated() {
            octets = stream::exchange(streams, resolver, &query).await?.into();
        }
        let response = matching(&octets, &query)?;
        let is_answered = [Rcode::NoError, Rcode::NxDomain, Rcode::Refused]
            .iter()
            .any(|known| *known as u16 == response.rcode());
        let records = response.records(Section::Answer).filter(|record| record.rtype == RecordType::A);
        let address = |rdata: &[u8]| rdata.try_into().ok().map(|octets: [u8; 4]| octets.into());
        return is_answered.then(|| records.filter_map(|record| address(record.rdata())).collect());
    }
    None
}

/// The response, if it is one to this query.
fn matching<'m>(octets: &'m [u8], query: &[u8]) -> Option<Response<'m>> {
    let is_ours = |response: &Response<'_>| {
        query.get(..2) == Some(&response.id().to_be_bytes()[..])
            && query.get(12..) == Some(response.question())
    };
    Response::read(octets).filter(is_ours)
}

async fn over_datagram(resolver: SocketAddr, query: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    let socket = tokio::net::UdpSocket::from_std(datagram::bind(resolver.is_ipv6())?)?;
    socket.connect(resolver).await?;
    socket.send(query).await?;
    let mut buffer = vec![0; datagram::DATAGRAM_OCTETS_MAX];
    let len = socket.recv(&mut buffer).await?;
    buffer.truncate(len);
    Ok(matching(&buffer, query).is_some().then_some(buffer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::octets::put_u16;
    use crate::wire::message::TC;
    use std::collections::BTreeSet;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// What a resolver sends back for a query.
    #[derive(Clone, Copy)]
    enum Says {
        Addresses(&'static [[u8; 4]]),
        Code(Rcode),
        /// Nothing but that there is more.
        Truncated,
        /// Something else's answer, then nothing.
        Stranger,
    }

    fn reply(query: &[u8], says: Says) -> Vec<u8> {
        let mut reply = query.to_vec();
        let mut flags = 0x8180;
        match says {
            Says::Addresses(addresses) => {
                put_u16(&mut reply, 6, addresses.len() as u16);
                for address in addresses {
                    reply.extend(b"\xc0\x0c\0\x01\0\x01\0\0\x02\x58\0\x04");
                    reply.extend(address);
                }
            }
            Says::Code(rcode) => flags |= rcode as u16,
            Says::Truncated => flags |= TC,
            Says::Stranger => reply[0] ^= 1,
        }
        put_u16(&mut reply, 2, flags);
        reply
    }

    /// Asks a resolver that says the first over UDP and the second over TCP.
    fn ask(udp: Says, tcp: Says) -> Answered {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let stream = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let at = stream.local_addr().unwrap();
            let datagram = tokio::net::UdpSocket::bind(at).await.unwrap();
            let over_udp = async {
                let mut buffer = [0; 512];
                loop {
                    let (len, from) = datagram.recv_from(&mut buffer).await.unwrap();
                    datagram.send_to(&reply(&buffer[..len], udp), from).await.unwrap();
                }
            };
            let over_tcp = async {
                loop {
                    let (mut peer, _) = stream.accept().await.unwrap();
                    let mut query = vec![0; usize::from(peer.read_u16().await.unwrap())];
                    peer.read_exact(&mut query).await.unwrap();
                    let reply = reply(&query, tcp);
                    peer.write_u16(reply.len() as u16).await.unwrap();
                    peer.write_all(&reply).await.unwrap();
                }
            };
            let streams = Semaphore::new(1);
            tokio::select! {
                () = over_udp => unreachable!(),
                () = over_tcp => unreachable!(),
                answered = ask_engine(at, &streams, "tasks.st_web") => answered,
            }
        })
    }

    #[test]
    fn addresses_are_read_and_a_denied_name_has_none() {
        let (two, none) = ([[10, 0, 1, 2], [10, 0, 1, 1]], Says::Addresses(&[]));
        let expected: BTreeSet<Ipv4Addr> = two.map(Ipv4Addr::from).into();
        assert_eq!(ask(Says::Addresses(&[[10, 0, 1, 2], [10, 0, 1, 1]]), none), Some(expected));
        for denied in [none, Says::Code(Rcode::NxDomain), Says::Code(Rcode::Refused)] {
            assert_eq!(ask(denied, Says::Addresses(&[[10, 0, 1, 1]])), Some(BTreeSet::new()));
        }
    }

    #[test]
    fn what_is_truncated_is_asked_for_over_a_stream() {
        let all = Some(BTreeSet::from([Ipv4Addr::new(10, 0, 1, 7)]));
        assert_eq!(ask(Says::Truncated, Says::Addresses(&[[10, 0, 1, 7]])), all);
    }

    #[test]
    fn a_failure_or_a_stranger_s_answer_is_none() {
        let some = Says::Addresses(&[[10, 0, 1, 1]]);
        assert_eq!(ask(Says::Code(Rcode::ServFail), some), None);
        assert_eq!(ask(Says::Stranger, some), None);
    }

    #[test]
    fn what_we_answer_is_read_from_our_own_tale() {
        let why = |rcode: &str, answer: &[&str]| {
            let answer = answer.iter().map(|line| (*line).to_owned()).collect();
            own_answer(Ok(Reply::Why(WhyDocument {
                rcode: rcode.to_owned(),
                answer,
                ..WhyDocument::default()
            })))
        };
        let line = "tasks.st_web.hive.internal. 5 IN A 10.0.1.3";
        assert_eq!(why("NOERROR", &[line]), Some([Ipv4Addr::new(10, 0, 1, 3)].into()));
        assert_eq!(why("NXDOMAIN", &[]), Some(BTreeSet::new()));
        assert_eq!(why("SERVFAIL", &[]), None);
    }
}
