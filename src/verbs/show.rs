//! Documents as text for people. What is not there is a `-`.

use crate::control::document::{
    DiffDocument, DrainDocument, EngineDocument, ForceLeaveDocument, KeysDocument, LeaveDocument,
    MembersDocument, RecordDocument, ReloadDocument, ResyncDocument, SetDocument, ShadowDifferenceDocument,
    ShadowDocument, StatsDocument, StatusDocument, UnsetDocument, WhyDocument, ZoneDocument,
    ZoneVerbDocument, ZonesDocument,
};
use crate::verbs::cached;
use crate::verbs::table::{Mood, Style, Table, printable};

pub(super) const NOTHING: &str = "-";

pub(super) fn status(status: &StatusDocument, style: Style) -> String {
    let mut table = Table::new(style, &[]);
    let mut say = |what: &str, found: String, mood: Mood| {
        table.push([(what.to_owned(), Mood::Heading), (found, mood)]);
    };
    let node = &status.node;
    let identity = match (&node.id, node.generation) {
        (Some(id), Some(generation)) => format!("{} (id {id}, start {generation})", node.name),
        _ => node.name.clone(),
    };
    say("node", identity, Mood::Plain);
    match &status.reason {
        None => say("ready", "yes".to_owned(), Mood::Good),
        Some(reason) => say("ready", format!("no: {reason}"), Mood::Bad),
    }
    match &status.cluster {
        None => say("cluster", "off".to_owned(), Mood::Plain),
        Some(cluster) => {
            let synced = if cluster.synced { "synced" } else { "not synced" };
            let members = counts(cluster.members.iter().filter(|(_, count)| **count > 0));
            let alarms = [
                (cluster.alone, "ALONE: nobody answered"),
                (cluster.expiry_frozen, "EXPIRY WAITS: many nodes were lost at once"),
                (cluster.plaintext, "plaintext"),
            ];
            let alarms: String =
                alarms.iter().filter(|(rings, _)| *rings).map(|(_, alarm)| format!("; {alarm}")).collect();
            let mood = if cluster.alone || cluster.expiry_frozen || !cluster.synced {
                Mood::Doubtful
            } else {
                Mood::Plain
            };
            say("cluster", format!("{}, {synced}, members: {members}{alarms}", cluster.name), mood);
        }
    }
    let (found, mood) = engine(status.docker.as_ref());
    say("docker", found, mood);
    if let Some(shadow) = &status.shadow {
        let (found, mood) = self::shadow(shadow);
        say("shadow", found, mood);
        for difference in &shadow.last {
            say("", differs(difference), Mood::Doubtful);
        }
    }
    say("zones", counts(status.zones.iter()), Mood::Plain);
    let age = status.snapshot_age_seconds.map_or("never".to_owned(), |age| format!("{} ago", span(age)));
    let took = span(status.snapshot_publish_seconds);
    say(
        "snapshot",
        format!("revision {}, published {age}, took {took}", status.snapshot_revision),
        Mood::Plain,
    );
    say("cache", cached::summary(&status.cache), Mood::Plain);
    let is_dead = status.upstreams.get("dead").is_some_and(|dead| *dead > 0);
    let mood = if is_dead { Mood::Doubtful } else { Mood::Plain };
    say("upstream", counts(status.upstreams.iter().filter(|(_, count)| **count > 0)), mood);
    say("workers", status.workers.to_string(), Mood::Plain);
    say("version", status.version.clone(), Mood::Plain);
    faults(&mut table, &status.faulty);
    table.take()
}

/// What came of comparing with the engine's own resolver.
fn shadow(shadow: &ShadowDocument) -> (String, Mood) {
    let ShadowDocument { compared, differences, unanswered, .. } = shadow;
    let mood = if *differences > 0 { Mood::Doubtful } else { Mood::Good };
    (format!("compared: {compared}, differences: {differences}, unanswered: {unanswered}"), mood)
}

fn differs(difference: &ShadowDifferenceDocument) -> String {
    let list = |addresses: &[String]| match addresses {
        [] => "none".to_owned(),
        all => all.join(" "),
    };
    let ShadowDifferenceDocument { name, missing, surplus } = difference;
    format!("{name}: only the engine says {}, only this server {}", list(missing), list(surplus))
}

/// How it stands with the container engine.
fn engine(docker: Option<&EngineDocument>) -> (String, Mood) {
    let Some(docker) = docker else { return ("off".to_owned(), Mood::Plain) };
    let version = docker.version.as_deref().unwrap_or("engine");
    let part = match (docker.manager, docker.speaks) {
        (true, true) => "; speaks for its swarm",
        (true, false) => "; manager",
        (false, _) => "",
    };
    match docker.connected {
        true => (format!("{version}, connected, containers: {}{part}", docker.containers), Mood::Plain),
        false => {
            let error = docker.error.as_deref().unwrap_or("being connected");
            (format!("not connected: {error}; containers: {}", docker.containers), Mood::Doubtful)
        }
    }
}

pub(super) fn members(members: &MembersDocument, style: Style) -> String {
    let mut table = Table::new(style, &["NAME", "ID", "ADDRESS", "HEALTH", "INCARNATION", "RTT", "RECORDS"]);
    for member in &members.members {
        let mood = match member.health.as_str() {
            "alive" => Mood::Good,
            "down" => Mood::Bad,
            "left" => Mood::Plain,
            _ => Mood::Doubtful,
        };
        let name = format!("{}{}", member.name, if member.this { " (this)" } else { "" });
        table.push([
            (name, Mood::Plain),
            (member.id.clone(), Mood::Plain),
            (member.address.clone(), Mood::Plain),
            (member.health.clone(), mood),
            (member.incarnation.clone(), Mood::Plain),
            (member.rtt_seconds.map_or(NOTHING.to_owned(), span), Mood::Plain),
            (member.records.to_string(), Mood::Plain),
        ]);
    }
    table.take()
}

pub(super) fn zones(zones: &ZonesDocument, style: Style) -> String {
    let columns = ["ORIGIN", "HEALTH", "SERIAL", "RECORDS", "AGE", "REFRESH", "JOURNAL", "SHARED BY"];
    // Only where there is anything to tell.
    let is_any_shared = zones.zones.iter().any(|zone| zone.shared_by.is_some());
    let shown = if is_any_shared { columns.len() } else { columns.len() - 1 };
    let mut table = Table::new(style, columns.get(..shown).unwrap_or_default());
    let seconds =
        |seconds: Option<f64>| seconds.map_or(NOTHING.to_owned(), |seconds| format!("{seconds:.0}s"));
    for zone in &zones.zones {
        let mood = match zone.health.as_str() {
            "serving" => Mood::Good,
            "faulty" => Mood::Bad,
            _ => Mood::Doubtful,
        };
        let cells = [
            (zone.origin.clone(), Mood::Plain),
            (zone.health.clone(), mood),
            (zone.serial.map_or(NOTHING.to_owned(), |serial| serial.to_string()), Mood::Plain),
            (zone.records.to_string(), Mood::Plain),
            (seconds(zone.age_seconds), Mood::Plain),
            (seconds(zone.next_refresh_seconds), Mood::Plain),
            (journal(zone), Mood::Plain),
            (zone.shared_by.clone().unwrap_or_else(|| NOTHING.to_owned()), Mood::Plain),
        ];
        table.push(cells.into_iter().take(shown));
    }
    table.take() + &listed_faults(&zones.zones, style)
}

/// Steps that are remembered, and what they take.
fn journal(zone: &ZoneDocument) -> String {
    match zone.journal_steps {
        0 => NOTHING.to_owned(),
        steps => format!("{steps} ({} octets)", zone.journal_octets),
    }
}

pub(super) fn zone(done: &ZoneVerbDocument, _: Style) -> String {
    format!("{}: {} begun\n", done.origin, done.begun)
}

pub(super) fn stats(stats: &StatsDocument, style: Style) -> String {
    let mut table = Table::new(style, &[]);
    table.plain(["queries".into(), stats.queries.to_string()]);
    let workers: Vec<String> = stats.worker_queries.iter().map(u64::to_string).collect();
    table.plain(["by worker".into(), workers.join(" ")]);
    let mean = match stats.duration.count {
        0 => NOTHING.to_owned(),
        count => span(stats.duration.sum_seconds / count as f64),
    };
    table.plain(["mean duration".into(), mean]);
    table.plain(["TCP connections".into(), stats.tcp_connections.to_string()]);
    let dropped = counts(stats.dropped.iter().filter(|(_, count)| **count > 0));
    table.plain(["dropped".into(), dropped]);
    table.plain(["cache".into(), cached::summary(&stats.cache)]);
    table.plain(["of the cache".into(), cached::counts(&stats.cache)]);
    let mut text = table.take();
    if !stats.upstreams.is_empty() {
        text += &format!("\n{}", cached::upstreams(&stats.upstreams, style));
    }
    if !stats.requests.is_empty() {
        let mut table = Table::new(style, &["ZONE", "TYPE", "PROTO", "QUERIES"]);
        for requests in &stats.requests {
            let family = if requests.family == "2" { "6" } else { "4" };
            table.plain([
                requests.zone.clone(),
                requests.rtype.clone(),
                format!("{}{family}", requests.proto),
                requests.count.to_string(),
            ]);
        }
        text += &format!("\n{}", table.take());
    }
    if !stats.responses.is_empty() {
        let mut table = Table::new(style, &["ZONE", "RCODE", "ANSWERS"]);
        for responses in &stats.responses {
            table.plain([responses.zone.clone(), responses.rcode.clone(), responses.count.to_string()]);
        }
        text += &format!("\n{}", table.take());
    }
    text
}

/// Records that come page by page: the headings stand before the first.
pub(super) struct Listing(Table);

impl Listing {
    pub(super) fn new(style: Style) -> Listing {
        Listing(Table::new(style, &["NAME", "TTL", "TYPE", "SOURCE", "NETWORK", "STATE", "LEASE", "DATA"]))
    }

    pub(super) fn records(&mut self, records: &[RecordDocument]) -> String {
        for record in records {
            let source = match &record.owner {
                Some(owner) if record.source == "cluster" => format!("cluster ({owner})"),
                Some(owner) => owner.clone(),
                None => record.source.clone(),
            };
            let (lease, mood) = match (record.lease.as_str(), record.lease_left_seconds) {
                ("none", _) => (NOTHING.to_owned(), Mood::Plain),
                ("full", _) => ("full".to_owned(), Mood::Good),
                (lease, Some(left)) => (format!("{lease}, {} left", span(left)), Mood::Doubtful),
                (lease, None) => (lease.to_owned(), Mood::Doubtful),
            };
            let state = if record.state == "served" { Mood::Good } else { Mood::Doubtful };
            self.0.push([
                (record.name.clone(), Mood::Plain),
                (record.ttl.to_string(), Mood::Plain),
                (record.rtype.clone(), Mood::Plain),
                (source, Mood::Plain),
                (record.network.clone().unwrap_or_else(|| NOTHING.to_owned()), Mood::Plain),
                (record.state.clone(), state),
                (lease, mood),
                (record.rdata.clone(), Mood::Plain),
            ]);
        }
        self.0.take()
    }
}

pub(super) fn set(set: &SetDocument, style: Style) -> String {
    let mut table = Table::new(style, &[]);
    for rdata in &set.rdata {
        table.plain([set.name.clone(), set.ttl.to_string(), set.rtype.clone(), rdata.clone()]);
    }
    table.take()
}

pub(super) fn unset(unset: &UnsetDocument, style: Style) -> String {
    if unset.removed.is_empty() {
        return "nothing was there\n".to_owned();
    }
    let mut table = Table::new(style, &[]);
    for removed in &unset.removed {
        table.plain(["removed".into(), unset.name.clone(), removed.rtype.clone(), removed.rdata.clone()]);
    }
    table.take()
}

pub(super) fn why(why: &WhyDocument, style: Style) -> String {
    let mut table = Table::new(style, &[]);
    let from = why.from.as_ref().map_or(String::new(), |from| format!(" from {from}"));
    table.push([
        ("question".to_owned(), Mood::Heading),
        (format!("{} {}{from}", why.name, why.rtype), Mood::Plain),
    ]);
    for step in &why.steps {
        table.push([(step.about.clone(), Mood::Heading), (step.found.clone(), Mood::Plain)]);
    }
    let mood = if why.rcode == "NOERROR" { Mood::Good } else { Mood::Doubtful };
    table.push([("answer".to_owned(), Mood::Heading), (why.rcode.clone(), mood)]);
    for record in &why.answer {
        table.plain([String::new(), record.clone()]);
    }
    table.take()
}

pub(super) fn diff(diff: &DiffDocument, style: Style) -> String {
    let mut text = String::new();
    if diff.owners.is_empty() {
        text += &style.dress(&format!("{} nodes agree on every owner", diff.compared.len()), Mood::Good);
        text.push('\n');
    } else {
        let mut table = Table::new(style, &["OWNER", "START", "CHANGES", "HASH", "NODES"]);
        for owner in &diff.owners {
            let name = owner.owner.clone().unwrap_or_else(|| owner.owner_id.clone());
            for state in &owner.states {
                table.plain([
                    name.clone(),
                    state.generation.map_or("unknown".to_owned(), |generation| generation.to_string()),
                    state.head.map_or(NOTHING.to_owned(), |head| head.to_string()),
                    state.hash.clone().unwrap_or_else(|| NOTHING.to_owned()),
                    state.nodes.join(" "),
                ]);
            }
        }
        text += &table.take();
    }
    if diff.more > 0 {
        text += &format!("and {} more\n", diff.more);
    }
    text + &those("did not answer", &diff.silent, style)
}

pub(super) fn resync(resync: &ResyncDocument, style: Style) -> String {
    let with = if resync.nodes.is_empty() { "a member by lot".into() } else { resync.nodes.join(" ") };
    if !resync.finished {
        return format!(
            "a full comparison with {} has begun; `hivedns diff` shows what differs\n",
            printable(&with)
        );
    }
    let what = if resync.silent.is_empty() { "compared all with" } else { "not compared all with" };
    format!(
        "{what} {} in {}: {} changes of {} owners came\n",
        printable(&with),
        span(resync.seconds),
        resync.changes,
        resync.owners
    ) + &those("did not tell all it has", &resync.silent, style)
}

pub(super) fn drain(drain: &DrainDocument, style: Style) -> String {
    let head = if drain.missing.is_empty() { "drained" } else { "withdrawn" };
    format!("{head}: {} members have acknowledged\n", drain.acknowledged)
        + &those("have not acknowledged", &drain.missing, style)
}

pub(super) fn reload(reload: &ReloadDocument, style: Style) -> String {
    let text = format!("{} zones read in {}\n", reload.zones, span(reload.seconds));
    text + &listed_faults(&reload.faulty, style)
}

pub(super) fn leave(leave: &LeaveDocument, style: Style) -> String {
    format!("left: {} members have acknowledged\n", leave.acknowledged)
        + &those("have not acknowledged, and will hear of it", &leave.missing, style)
}

pub(super) fn force_leave(gone: &ForceLeaveDocument, _style: Style) -> String {
    format!("{} ({}) is declared gone\n", printable(&gone.node), printable(&gone.id))
}

pub(super) fn keys(keys: &KeysDocument, style: Style) -> String {
    if keys.keys.is_empty() {
        return "no keys: the cluster's traffic is plaintext\n".to_owned();
    }
    let mut table = Table::new(style, &["KEY", "USE"]);
    for key in &keys.keys {
        table.plain([key.id.clone(), if key.seals { "seals and opens" } else { "opens" }.to_owned()]);
    }
    table.take()
}

/// `2 serving, 1 faulty`.
fn counts<'c, N: ToString + 'c>(counted: impl Iterator<Item = (&'c String, &'c N)>) -> String {
    let counts: Vec<String> = counted.map(|(what, count)| format!("{} {what}", count.to_string())).collect();
    if counts.is_empty() { NOTHING.to_owned() } else { counts.join(", ") }
}

/// Seconds in the unit in which people think of so many.
pub(super) fn span(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => format!("{:.0} us", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

fn faults(table: &mut Table, zones: &[ZoneDocument]) {
    for zone in zones {
        for fault in &zone.faults {
            table.push([("faulty".to_owned(), Mood::Bad), (format!("{} {fault}", zone.origin), Mood::Plain)]);
        }
    }
}

fn listed_faults(zones: &[ZoneDocument], style: Style) -> String {
    let mut table = Table::new(style, &[]);
    faults(&mut table, zones);
    table.take()
}

fn those(what: &str, nodes: &[String], style: Style) -> String {
    if nodes.is_empty() {
        return String::new();
    }
    let mut table = Table::new(style, &[]);
    table.push([(format!("{what}: {}", nodes.join(" ")), Mood::Bad)]);
    table.take()
}
