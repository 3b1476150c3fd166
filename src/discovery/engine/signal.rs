//! Signals as a container's configuration names them and as events number them.

/// The signal that a container without a stop signal gets first.
pub(super) const TERM: u8 = 15;
/// The one that nobody survives.
pub(super) const KILL: u8 = 9;
/// SIGRTMIN and SIGRTMAX as the engine counts them (glibc keeps two of the kernel's for itself).
const RTMIN: u8 = 34;
const RTMAX: u8 = 64;

/// The signals of Linux from 1 on, `signal(7)`, as all of the engine's architectures but MIPS number them.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// Other names of some.
const ALIASES: [(&str, u8); 4] = [("IOT", 6), ("CLD", 17), ("POLL", 29), ("UNUSED", 31)];

/// The number of `SIGTERM`, `term`, `15`, `RTMIN+3` or `RTMAX-1`; none for what is no signal.
pub(super) fn number(text: &str) -> Option<u8> {
    if let Ok(number) = text.parse::<u8>() {
        return (1..=RTMAX).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(at) = NAMES.iter().position(|known| *known == name) {
        return u8::try_from(at + 1).ok();
    }
    if let Some((_, number)) = ALIASES.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    let real_time = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(""), _) => Some(RTMIN),
        (_, Some("")) => Some(RTMAX),
        (Some(more), _) => RTMIN.checked_add(more.strip_prefix('+')?.parse().ok()?),
        (_, Some(less)) => RTMAX.checked_sub(less.strip_prefix('-')?.parse().ok()?),
        (None, None) => None,
    };
    real_time.filter(|number| (RTMIN..=RTMAX).contains(number))
}

/// The stop signal of a container whose configuration says this; SIGTERM where it says nothing that is one.
pub(super) fn stop_signal(text: &str) -> u8 {
    number(text).unwrap_or(TERM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_known_by_name_and_number() {
        for (text, expected) in [
            ("SIGTERM", Some(15)),
            ("term", Some(15)),
            ("15", Some(15)),
            ("KILL", Some(9)),
            ("SIGQUIT", Some(3)),
            ("SYS", Some(31)),
            ("SIGWINCH", Some(28)),
            ("IOT", Some(6)),
            ("RTMIN", Some(34)),
            ("SIGRTMIN+3", Some(37)),
            ("RTMAX-1", Some(63)),
            ("RTMIN+31", None),
            ("RTMAX-255", None),
            ("0", None),
            ("65", None),
            ("", None),
            ("RTMIN3", None),
            ("NOPE", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
        assert_eq!((stop_signal(""), stop_signal("SIGINT")), (TERM, 2));
        assert_eq!(number("SIGKILL"), Some(KILL));
    }
}
