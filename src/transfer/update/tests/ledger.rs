//! What one ledger remembers from update to update.

use super::*;

#[test]
fn what_updates_made_of_the_apex_is_seen_by_those_that_ask_for_it() {
    let zone = zone_of(ZONE);
    let messages = [
        // These do not speak of the apex, the next ones do.
        lines("add new 5 A 192.0.2.9"),
        lines("add new 5 A 192.0.2.10"),
        lines("prereq yxrrset @ SOA ns host 11 2 3 4 5\nadd new 5 A 192.0.2.11"),
        lines("prereq yxrrset @ SOA ns host 12 2 3 4 5\nadd new 5 A 192.0.2.11"),
        lines("delete new A 192.0.2.9"),
        lines("add @ 60 TXT x"),
        lines("prereq yxrrset @ TXT x\nprereq yxrrset @ SOA ns host 15 2 3 4 5\ndelete new"),
        lines("delete a"),
    ];
    let serials: Vec<Option<(u32, u32)>> = judge(&zone, &messages)
        .iter()
        .map(|outcome| difference(outcome.as_ref().ok()?))
        .map(|step| step.map(|step| (step.from().0, step.to().0)))
        .collect();
    let steps = [(10, 11), (11, 12), (0, 0), (12, 13), (13, 14), (14, 15), (15, 16), (16, 17)];
    let expected = steps.map(|step| Some(step).filter(|(from, _)| *from != 0));
    assert_eq!(serials, expected);
}

#[test]
fn updates_of_many_names_see_each_other_like_those_of_few() {
    let all = |line: &str| (0..20).map(|number| line.replace('#', &number.to_string())).collect::<String>();
    let messages = [
        lines("add n3 5 A 192.0.2.3"),
        lines(&all("add n# 5 A 192.0.2.#\n")),
        lines(&(all("prereq yxrrset N# A 192.0.2.#\n") + &all("delete n#\n"))),
        lines(&all("prereq nxdomain n#\n")),
        lines("prereq yxdomain n7\nadd n8 5 A 192.0.2.8"),
    ];
    let outcomes = judge(&zone_of(ZONE), &messages);
    // With the SOA; the first name was there.
    let changes: Vec<_> = outcomes.into_iter().map(|outcome| outcome.map(|changes| changes.len())).collect();
    assert_eq!(changes, [Ok(2), Ok(20), Ok(21), Ok(0), Err(Rcode::NxDomain)]);
}
