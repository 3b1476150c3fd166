//! Which processors this process may use, and staying on one.

use core_affinity::CoreId;
use std::fs;
use std::path::Path;

/// A processor that this process may run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Core(usize);

/// The processors of the cpuset, in order.
pub fn cores() -> Vec<Core> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|id| Core(id.id)).collect()
}

/// Keeps the calling thread on a processor; false if the system will not.
pub fn pin(core: Core) -> bool {
    core_affinity::set_for_current(CoreId { id: core.0 })
}

/// How many workers make sense: one per processor of the cpuset, but no more than the CPU quota pays for
/// (a worker that is throttled answers nothing for the rest of its period). At least one.
pub fn worker_count() -> usize {
    let allowed = cores().len().max(1);
    quota(Path::new("/sys/fs/cgroup"), &fs::read_to_string("/proc/self/cgroup").unwrap_or_default())
        .map_or(allowed, |quota| allowed.min(quota))
        .max(1)
}

/// Whole processors that the cgroup's quota pays for, rounded up; the tightest of the group and its ancestors.
fn quota(root: &Path, membership: &str) -> Option<usize> {
    let own = membership.lines().find_map(|line| line.strip_prefix("0::"))?;
    let own = root.join(own.trim_start_matches('/'));
    own.ancestors()
        .take_while(|group| group.starts_with(root))
        .filter_map(|group| processors(&fs::read_to_string(group.join("cpu.max")).ok()?))
        .min()
}

/// Reads `cpu.max`: `MAX PERIOD` in microseconds, or `max PERIOD` (kernel: cgroup-v2, "cpu.max").
fn processors(text: &str) -> Option<usize> {
    let mut words = text.split_ascii_whitespace();
    let max: usize = words.next()?.parse().ok()?;
    let period: usize = words.next()?.parse().ok()?;
    (period > 0).then(|| max.div_ceil(period))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_rounded_up_to_whole_processors() {
        assert_eq!(processors("max 100000\n"), None);
        assert_eq!(processors("150000 100000\n"), Some(2));
        assert_eq!(processors("50000 100000\n"), Some(1));
        assert_eq!(processors("rubbish"), None);
    }

    #[test]
    fn the_tightest_quota_above_counts() {
        let root = std::env::temp_dir().join(format!("hivedns-quota-{}", std::process::id()));
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/cpu.max"), "200000 100000").unwrap();
        fs::write(root.join("a/b/cpu.max"), "max 100000").unwrap();
        assert_eq!(quota(&root, "0::/a/b\n"), Some(2));
        assert_eq!(quota(&root, "0::/\n"), None);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn there_is_at_least_one_worker() {
        assert!(worker_count() >= 1 && worker_count() <= cores().len().max(1));
    }
}
