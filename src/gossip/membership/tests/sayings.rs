//! Single sayings, and any of them in any order.

use crate::base::time::{LOOK_BACK, Moment};
use crate::gossip::identity::{Generation, Incarnation, NodeId};
use crate::gossip::membership::tests::world::address;
use crate::gossip::membership::{
    Class, Frame, MEMBERS_MAX, Membership, Output, Sequence, Settings, Suspect, Told,
};
use crate::gossip::output::{Health, NodeInfo};
use proptest::prelude::*;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const ME: NodeId = NodeId(1);
const SECOND: Duration = Duration::from_secs(1);

/// What the clock shows as the machine is made.
fn start() -> Moment {
    Moment::START + LOOK_BACK
}

fn told(id: u64, generation: u32, refutation: u32, class: Class) -> Told {
    let name = format!("node-{id}").into();
    let info = Arc::new(NodeInfo { id: NodeId(id), boot: id + 100, name, address: address(id as usize) });
    Told { info, incarnation: Incarnation { generation: Generation(generation), refutation }, class }
}

fn machine() -> Membership {
    let me = told(ME.0, 1, 0, Class::Alive);
    let rng = fastrand::Rng::with_seed(1);
    Membership::new(me.info, me.incarnation, &Settings::default(), rng, start())
}

fn say(machine: &mut Membership, now: Moment, from: u64, frame: Frame) -> Vec<Output> {
    machine.handle(now, NodeId(from), address(from as usize), frame);
    drain(machine, now)
}

fn tell(machine: &mut Membership, now: Moment, told: Told) -> Vec<Output> {
    say(machine, now, 2, Frame::Told { told, age_s: 0 })
}

fn drain(machine: &mut Membership, now: Moment) -> Vec<Output> {
    let mut outputs = Vec::new();
    while let Some(output) = machine.poll(now) {
        outputs.push(output);
    }
    outputs
}

fn joining(machine: &Membership) -> Vec<SocketAddr> {
    machine.joins.iter().map(|join| join.address).collect()
}

/// What is said at once, to whom, without the news.
fn said(outputs: &[Output]) -> Vec<(SocketAddr, &[Frame])> {
    let sent = outputs.iter().filter_map(|output| match output {
        Output::Send { to, frames, .. } => Some((*to, &frames[..])),
        _ => None,
    });
    sent.collect()
}

/// Lets time pass as its timers want it.
fn pass(machine: &mut Membership, now: Moment, span: Duration) -> Vec<Output> {
    let mut outputs = Vec::new();
    while machine.next_wake() <= now + span {
        let at = machine.next_wake().max(now);
        machine.handle_timeout(at);
        outputs.extend(drain(machine, at));
    }
    outputs
}

#[test]
fn a_ping_is_answered_and_a_stranger_is_asked_who_it_is() {
    let mut machine = machine();
    let outputs = say(&mut machine, start(), 2, Frame::Ping(Sequence(7)));
    assert_eq!(said(&outputs), [(address(2), &[Frame::Who][..]), (address(2), &[Frame::Ack(Sequence(7))])]);
    tell(&mut machine, start(), told(2, 1, 0, Class::Alive));
    let outputs = say(&mut machine, start(), 2, Frame::Ping(Sequence(8)));
    assert_eq!(said(&outputs), [(address(2), &[Frame::Ack(Sequence(8))][..])]);
}

#[test]
fn a_suspicion_of_us_is_refuted_to_who_says_it_under_a_higher_incarnation() {
    let mut machine = machine();
    tell(&mut machine, start(), told(2, 1, 0, Class::Alive));
    let suspect = Suspect { id: ME, incarnation: machine.own().incarnation, by: NodeId(2) };
    let outputs = say(&mut machine, start(), 2, Frame::Suspect(suspect));
    let own = told(1, 1, 1, Class::Alive);
    assert_eq!(**machine.own(), own);
    assert_eq!(said(&outputs), [(address(2), &[Frame::Told { told: own, age_s: 0 }][..])]);
    assert_eq!(machine.score, 1);
    // An old one is answered, but refutes nothing more.
    say(&mut machine, start(), 2, Frame::Suspect(suspect));
    assert_eq!(machine.own().incarnation.refutation, 1);
}

#[test]
fn a_member_thought_down_that_speaks_is_told_so_once_in_a_period() {
    let mut machine = machine();
    tell(&mut machine, start(), told(3, 1, 0, Class::Down));
    for expected in [1, 0] {
        machine.evidence(start(), NodeId(3), address(3));
        assert_eq!(said(&drain(&mut machine, start())).len(), expected);
    }
}

#[test]
fn a_suspect_is_probed_as_the_first_to_know_and_a_sign_of_life_gives_it_time() {
    let mut machine = machine();
    let mut now = start();
    tell(&mut machine, now, told(2, 1, 0, Class::Alive));
    tell(&mut machine, now, told(3, 1, 0, Class::Alive));
    let suspect =
        Suspect { id: NodeId(3), incarnation: told(3, 1, 0, Class::Alive).incarnation, by: NodeId(2) };
    let outputs = say(&mut machine, now, 2, Frame::Suspect(suspect));
    let pinged = said(&outputs);
    assert!(
        matches!(pinged[..], [(to, [Frame::Suspect(_), Frame::Ping(_)])] if to == address(3)),
        "{pinged:?}"
    );
    // It keeps silent to us, but something of it arrives each second.
    for _ in 0..60 {
        pass(&mut machine, now, SECOND);
        now += SECOND;
        machine.evidence(now, NodeId(3), address(3));
        machine.evidence(now, NodeId(2), address(2));
        drain(&mut machine, now);
        assert_eq!(machine.get(NodeId(3)).map(|member| member.health), Some(Health::Suspect));
    }
    let outputs = pass(&mut machine, now, SECOND * 60);
    let down = |output: &Output| matches!(output, Output::Changed { health: Health::Down, .. });
    assert!(outputs.iter().any(down));
}

#[test]
fn helpers_are_asked_and_a_stream_is_tried_before_a_member_is_suspected() {
    let mut machine = machine();
    (2..6).for_each(|id| drop(tell(&mut machine, start(), told(id, 1, 0, Class::Alive))));
    let outputs = pass(&mut machine, start(), SECOND * 3);
    let place = |what: &dyn Fn(&Output) -> bool| outputs.iter().position(what).expect("it happens");
    let sends = |output: &Output, wanted: fn(&Frame) -> bool| match output {
        Output::Send { frames, .. } => frames.iter().any(wanted),
        _ => false,
    };
    let ping = place(&|output| sends(output, |frame| matches!(frame, Frame::Ping(_))));
    let help = place(&|output| sends(output, |frame| matches!(frame, Frame::PingReq(..))));
    let stream = place(&|output| matches!(output, Output::ProbeStream { .. }));
    let suspect = place(&|output| matches!(output, Output::Changed { health: Health::Suspect, .. }));
    assert!(ping < help && help < stream && stream < suspect);
}

#[test]
fn a_helper_passes_on_an_ack_and_says_nack_where_there_is_none() {
    let mut machine = machine();
    let now = start();
    (2..4).for_each(|id| drop(tell(&mut machine, now, told(id, 1, 0, Class::Alive))));
    let outputs = say(&mut machine, now, 2, Frame::PingReq(Sequence(9), NodeId(3)));
    let [(to, [Frame::Ping(sequence)])] = said(&outputs)[..] else { panic!("{outputs:?}") };
    assert_eq!(to, address(3));
    let outputs = say(&mut machine, now, 3, Frame::Ack(*sequence));
    assert_eq!(said(&outputs), [(address(2), &[Frame::Ack(Sequence(9))][..])]);
    say(&mut machine, now, 2, Frame::PingReq(Sequence(10), NodeId(3)));
    let outputs = pass(&mut machine, now, SECOND / 2);
    assert!(said(&outputs).contains(&(address(2), &[Frame::Nack(Sequence(10))][..])));
    let outputs = say(&mut machine, now + SECOND / 2, 2, Frame::PingReq(Sequence(11), NodeId(99)));
    assert_eq!(said(&outputs), [(address(2), &[Frame::Nack(Sequence(11))][..])]);
}

#[test]
fn an_address_to_join_is_asked_until_it_answers_and_one_that_is_our_own_is_let_go() {
    let mut machine = machine();
    let now = start();
    machine.join(now, &[address(2), address(7)]);
    let outputs = drain(&mut machine, now);
    let [(first, [Frame::Ping(at_2)]), (_, [Frame::Ping(at_7)])] = said(&outputs)[..] else { panic!() };
    assert_eq!(first, address(2));
    let (at_2, at_7) = (*at_2, *at_7);
    // The second address leads back to us.
    say(&mut machine, now, ME.0, Frame::Ping(at_7));
    assert_eq!(joining(&machine), [address(2)]);
    let asked = |outputs: &[Output]| said(outputs).iter().filter(|(to, _)| *to == address(2)).count();
    assert_eq!(asked(&pass(&mut machine, now, Duration::from_millis(60))), 1);
    assert_eq!(asked(&pass(&mut machine, now, SECOND * 2)), 4);
    let outputs = say(&mut machine, now + SECOND * 2, 2, Frame::Ack(at_2));
    assert!(outputs.contains(&Output::Met { node: NodeId(2) }));
    assert_eq!(joining(&machine).len(), 0);
}

#[test]
fn the_lost_are_forgotten_after_a_day_and_old_news_of_them_is_none() {
    let mut machine = machine();
    let down = told(3, 1, 0, Class::Down);
    let hour = 3_600;
    let told = Frame::Told { told: down.clone(), age_s: 23 * hour };
    say(&mut machine, start(), 2, told);
    // Who thinks that it was lost lately does not make it younger.
    tell(&mut machine, start(), down.clone());
    let outputs = pass(&mut machine, start(), SECOND * (hour + 2));
    assert!(outputs.contains(&Output::Forgotten { told: Arc::new(down.clone()) }));
    let now = start() + SECOND * (hour + 2);
    say(&mut machine, now, 2, Frame::Told { told: down, age_s: 24 * hour });
    assert_eq!(machine.table.len(), 0);
}

#[test]
fn news_of_who_is_forgotten_within_a_minute_is_none() {
    let mut machine = machine();
    let down = |age_s: u32| Frame::Told { told: told(3, 1, 0, Class::Down), age_s };
    let day = 24 * 3_600;
    say(&mut machine, start(), 2, down(day - 60));
    assert_eq!(machine.table.len(), 0);
    say(&mut machine, start(), 2, down(day - 61));
    assert_eq!(machine.table.len(), 1);
    // Soon it is not compared any more, and then forgotten.
    let digest = told(3, 1, 0, Class::Down).digest();
    assert!(machine.digests().contains(&digest));
    pass(&mut machine, start(), SECOND * 5);
    assert!(!machine.digests().contains(&digest));
    assert_eq!(machine.table.len(), 1);
    pass(&mut machine, start() + SECOND * 5, SECOND * 60);
    assert_eq!(machine.table.len(), 0);
}

#[test]
fn a_loss_older_than_this_process_is_as_old_as_it_is() {
    let mut machine = machine();
    let hour = 3_600;
    say(&mut machine, start(), 2, Frame::Told { told: told(3, 1, 0, Class::Down), age_s: hour });
    let since = machine.get(NodeId(3)).and_then(|member| member.since);
    assert_eq!(since, Some(start().before(SECOND * hour)));
}

#[test]
fn that_a_loss_is_older_than_was_known_is_a_change() {
    let mut machine = machine();
    let down = told(3, 1, 0, Class::Down);
    tell(&mut machine, start(), down.clone());
    let now = start() + SECOND;
    let mut changes = |age_s| {
        let outputs = say(&mut machine, now, 2, Frame::Told { told: down.clone(), age_s });
        let changed = |output: &&Output| matches!(output, Output::Changed { health: Health::Down, .. });
        (outputs.iter().filter(changed).count(), machine.get(NodeId(3)).and_then(|member| member.since))
    };
    assert_eq!(changes(0), (0, Some(start())));
    assert_eq!(changes(2), (0, Some(start())));
    assert_eq!(changes(60), (1, Some(now.before(SECOND * 60))));
    assert_eq!(changes(60), (0, Some(now.before(SECOND * 60))));
}

#[test]
fn that_we_are_thought_down_is_refuted_to_others_at_once() {
    let mut machine = machine();
    tell(&mut machine, start(), told(2, 1, 0, Class::Alive));
    pass(&mut machine, start(), SECOND / 2);
    let now = start() + SECOND / 2;
    // Till then it has told all that it had to tell.
    (0..9).for_each(|_| machine.piggyback(now, 1_000, 9, &mut Vec::new()));
    let mut outputs = tell(&mut machine, now, told(1, 1, 0, Class::Down));
    assert_eq!(**machine.own(), told(1, 1, 1, Class::Alive));
    outputs.extend(pass(&mut machine, now, Duration::from_millis(20)));
    assert!(outputs.contains(&Output::Push { to: vec![address(2)] }), "{outputs:?}");
}

#[test]
fn a_silent_member_is_pinged_until_the_period_is_over() {
    let mut machine = machine();
    let now = start();
    (2..4).for_each(|id| drop(tell(&mut machine, now, told(id, 1, 0, Class::Alive))));
    let (mut pings, mut at) = (0, now);
    loop {
        at = at.max(machine.next_wake());
        machine.handle_timeout(at);
        if machine.counts().silent > 0 {
            break;
        }
        let outputs = drain(&mut machine, at);
        let probed = |(_, frames): &&(SocketAddr, &[Frame])| matches!(frames[..], [Frame::Ping(_)]);
        pings += said(&outputs).iter().filter(probed).count();
    }
    // The first two, one beside the stream, and one each 150 ms in what is left of the period.
    assert_eq!(pings, 7);
}

#[test]
fn a_full_table_forgets_the_longest_lost_for_who_lives() {
    let mut machine = machine();
    let lost = 300;
    let all = (2..MEMBERS_MAX as u64 + 2).map(|id| {
        let class = if id < 2 + lost { Class::Left } else { Class::Alive };
        Arc::new(told(id, 1, 0, class))
    });
    machine.restore(start(), all);
    // One of the lost has been so for longer, another for as long as no other.
    for (id, age_s) in (2..2 + lost).map(|id| (id, 1_000 - id as u32)) {
        say(&mut machine, start(), 2, Frame::Told { told: told(id, 1, 0, Class::Left), age_s });
    }
    let newcomer = MEMBERS_MAX as u64 + 10;
    tell(&mut machine, start(), told(newcomer, 1, 0, Class::Down));
    assert_eq!((machine.counts().refused, machine.table.len()), (1, MEMBERS_MAX));
    let outputs = tell(&mut machine, start(), told(newcomer, 1, 0, Class::Alive));
    let forgotten: Vec<u64> = (outputs.iter())
        .filter_map(|output| match output {
            Output::Forgotten { told } => Some(told.id().0),
            _ => None,
        })
        .collect();
    assert_eq!(forgotten, (2..2 + 256).collect::<Vec<_>>());
    assert!(machine.get(NodeId(newcomer)).is_some());
    // Those who live are forgotten for nobody.
    for id in 0..400 {
        tell(&mut machine, start(), told(newcomer + 1 + id, 1, 0, Class::Alive));
    }
    assert_eq!((machine.table.len(), machine.alive()), (MEMBERS_MAX, MEMBERS_MAX));
    assert_eq!(machine.counts().refused, 1 + 401 - lost);
}

#[test]
fn a_table_goes_over_a_stream_in_pieces() {
    let now = start();
    let (mut source, mut target) = (
        machine(),
        Membership::new(
            told(500, 1, 0, Class::Alive).info,
            Incarnation::first(Generation(1)),
            &Settings::default(),
            fastrand::Rng::with_seed(2),
            now,
        ),
    );
    source.restore(now, (2..400).map(|id| Arc::new(told(id, 1, 0, Class::Alive))));
    let (mut after, mut pieces) = (None, 0);
    loop {
        let mut octets = Vec::new();
        after = source.table_chunk(now, after, 500, &mut octets);
        assert!(octets.len() <= 500);
        target.take_table(now, &octets, false).expect("well-formed");
        pieces += 1;
        if after.is_none() {
            break;
        }
    }
    assert!(pieces > 10);
    assert!(target.tellings().eq([source.own()].into_iter().chain(source.tellings())));
    assert_eq!(target.alive(), 399);
}

#[derive(Debug, Clone)]
enum Step {
    Say(u64, Frame),
    Evidence(u64),
    Wait(u64),
}

fn any_told() -> impl Strategy<Value = Told> {
    let class = prop_oneof![
        Just(Class::Alive),
        Just(Class::Alive),
        Just(Class::Restarting),
        Just(Class::Down),
        Just(Class::Left)
    ];
    (1u64..6, 0u32..3, 0u32..3, class, 0u64..3).prop_map(|(id, generation, refutation, class, boot)| {
        let mut told = told(id, generation, refutation, class);
        told.info = Arc::new(NodeInfo { boot: told.info.boot + boot, ..(*told.info).clone() });
        told
    })
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let suspect = (1u64..6, 0u32..3, 0u32..3, 1u64..6).prop_map(|(id, generation, refutation, by)| {
        let incarnation = Incarnation { generation: Generation(generation), refutation };
        Frame::Suspect(Suspect { id: NodeId(id), incarnation, by: NodeId(by) })
    });
    prop_oneof![
        Just(Frame::Who),
        (0u16..9).prop_map(|sequence| Frame::Ping(Sequence(sequence))),
        // Of one of the last questions, see `live`.
        (0u16..9).prop_map(|back| Frame::Ack(Sequence(back))),
        (0u16..9).prop_map(|back| Frame::Nack(Sequence(back))),
        (0u16..9, 0u64..7).prop_map(|(sequence, id)| Frame::PingReq(Sequence(sequence), NodeId(id))),
        (any_told(), 0u32..9_000).prop_map(|(told, age_s)| Frame::Told { told, age_s }),
        suspect.clone(),
        suspect,
    ]
}

/// The frame as an answer to one of the machine's last questions, if it is an answer.
fn live(machine: &Membership, frame: Frame) -> Frame {
    let asked = |back: Sequence| Sequence(machine.sequence.wrapping_sub(back.0));
    match frame {
        Frame::Ack(back) => Frame::Ack(asked(back)),
        Frame::Nack(back) => Frame::Nack(asked(back)),
        Frame::Who | Frame::Ping(_) | Frame::PingReq(..) | Frame::Told { .. } | Frame::Suspect(_) => frame,
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1u64..7, any_frame()).prop_map(|(from, frame)| Step::Say(from, frame)),
        (1u64..7, any_frame()).prop_map(|(from, frame)| Step::Say(from, frame)),
        (1u64..7).prop_map(Step::Evidence),
        (0u64..30_000).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn whatever_is_said_incarnations_never_go_back(steps in prop::collection::vec(any_step(), 0..120)) {
        let mut machine = machine();
        let mut now = start();
        for step in steps {
            let before: Vec<Arc<Told>> = machine.tellings().chain([machine.own()]).cloned().collect();
            match step {
                Step::Say(from, frame) => {
                    let frame = live(&machine, frame);
                    machine.handle(now, NodeId(from), address(from as usize), frame);
                }
                Step::Evidence(from) => machine.evidence(now, NodeId(from), address(from as usize)),
                Step::Wait(ms) => {
                    // With all its timers, with one late, or with none.
                    let span = Duration::from_millis(ms);
                    if ms % 2 == 0 {
                        pass(&mut machine, now, span);
                    }
                    now += span;
                    machine.handle_timeout(now);
                }
            }
            let mut octets = Vec::new();
            machine.piggyback(now, 200, 1, &mut octets);
            prop_assert!(octets.len() <= 200);
            drain(&mut machine, now);
            prop_assert!(machine.next_wake() > now.before(Duration::from_millis(101)));
            for old in before {
                if old.id() == ME {
                    prop_assert!(machine.own().incarnation >= old.incarnation);
                } else {
                    let new = machine.get(old.id()).expect("nobody is forgotten so soon").told;
                    prop_assert!(*new == *old || new.beats(&old));
                }
            }
            let alive = machine.members().filter(|member| member.told.class == Class::Alive).count();
            prop_assert_eq!(machine.alive(), alive);
        }
    }

    #[test]
    fn the_same_tellings_in_any_order_leave_the_same_table(
        tellings in prop::collection::vec(any_told(), 0..30), seed: u64,
    ) {
        let tables = [seed, seed.wrapping_add(1)].map(|seed| {
            let mut tellings: Vec<Told> =
                tellings.iter().filter(|told| told.id() != ME).cloned().collect();
            fastrand::Rng::with_seed(seed).shuffle(&mut tellings);
            let mut machine = machine();
            for told in tellings {
                tell(&mut machine, start(), told);
            }
            machine.tellings().map(|told| (**told).clone()).collect::<Vec<_>>()
        });
        prop_assert_eq!(&tables[0], &tables[1]);
    }

    #[test]
    fn any_octets_are_a_frame_or_malformed(kind: u8, body in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(frame) = Frame::parse(kind, &body) {
            let mut machine = machine();
            say(&mut machine, start(), 2, frame.clone());
            // What is read is written as it was, whatever else could be read as the same.
            let mut octets = Vec::new();
            frame.emit(&mut octets);
            prop_assert_eq!(Frame::parse(kind, &octets[2..]), Ok(frame));
        }
        let mut machine = machine();
        let _ = machine.take_table(start(), &body, true);
    }
}
