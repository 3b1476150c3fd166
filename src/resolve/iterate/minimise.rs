//! How much of a name a server gets to see (RFC 9156): one label more than the zone it serves, until it is known that
//! there is no cut.

use crate::resolve::iterate::bounds::{MINIMISED_MAX, MINIMISED_ONE_LABEL};

/// The last `count` labels of a name in wire form; all of it if it has fewer.
pub(super) fn suffix(name: &[u8], count: usize) -> &[u8] {
    let mut rest = name;
    for _ in count..label_count(name) {
        rest = behind(rest);
    }
    rest
}

/// Labels of a name in wire form, the root's not counted.
pub(super) fn label_count(name: &[u8]) -> usize {
    crate::wire::name::labels(name).count()
}

/// The name without its first label.
fn behind(name: &[u8]) -> &[u8] {
    let len = name.first().map_or(0, |len| 1 + usize::from(*len));
    name.get(len..).unwrap_or_default()
}

/// How many labels of `name` to show, where there is no cut up to `known` of them. `fruitless`: shortened queries of
/// this question that met no cut.
pub(super) fn next(name: &[u8], known: usize, fruitless: u8) -> usize {
    let total = label_count(name);
    let (left, queries_left) = (total.saturating_sub(known), MINIMISED_MAX.saturating_sub(fruitless));
    if queries_left == 0 {
        return total;
    }
    let step = if fruitless < MINIMISED_ONE_LABEL { 1 } else { left.div_ceil(usize::from(queries_left)) };
    let mut next = known + step.max(1);
    // What begins with an underscore is no host and hardly a zone (RFC 9156 §2.3).
    while next < total && suffix(name, next).get(1) == Some(&b'_') {
        next += 1;
    }
    next.min(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::name::Name;

    #[test]
    fn a_name_is_shown_label_by_label_and_long_ones_in_larger_steps() {
        let shown = |text: &str, cut: usize| {
            let name = Name::parse(text).unwrap();
            let (mut known, mut fruitless, mut steps) = (cut, 0, Vec::new());
            while known < name.label_count() {
                known = next(name.as_wire(), known, fruitless);
                fruitless += 1;
                steps.push(known);
            }
            steps
        };
        assert_eq!(shown("a.b.c.", 1), [2, 3]);
        assert_eq!(shown("a.b.c.", 3), [] as [usize; 0]);
        assert_eq!(shown("_ldap._tcp.b.c.", 2), [4]);
        assert_eq!(shown("_a.b._c.d.", 0), [1, 3, 4]);
        let long = "1.".repeat(32) + "ip6.arpa.";
        assert_eq!(shown(&long, 2), [3, 4, 5, 6, 11, 16, 21, 26, 30, 34]);
    }

    #[test]
    fn a_suffix_has_as_many_labels_as_it_is_asked_for() {
        let name = Name::parse("a.bc.d.").unwrap();
        let texts: Vec<String> =
            (0..5).map(|count| Name::from_wire(suffix(name.as_wire(), count)).unwrap().to_string()).collect();
        assert_eq!(texts, [".", "d.", "bc.d.", "a.bc.d.", "a.bc.d."]);
    }
}
