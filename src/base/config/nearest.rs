//! The known name that a mistyped one was most likely meant to be.

/// The candidate with the smallest edit distance; the first of equals. `None` only without candidates.
pub(super) fn nearest<'a>(mistyped: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known.into_iter().min_by_key(|candidate| distance(mistyped, candidate))
}

/// How many letters must be changed, added, dropped or swapped with their neighbour.
pub(super) fn distance(a: &str, b: &str) -> usize {
    strsim::osa_distance(a, b)
}
