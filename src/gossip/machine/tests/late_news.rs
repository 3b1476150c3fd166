//! News that did not get through when it was fresh.

use super::*;

#[test]
fn a_cluster_wide_record_of_which_all_news_was_lost_is_found_without_waiting_for_a_comparison() {
    let mut net = Net::new(14, 3, false);
    net.until_equal(Duration::from_secs(10));
    net.run(Duration::from_secs(15));
    net.loss = 1.0;
    net.with(0, |gossip, now| gossip.write_cluster(now, b"key", Some(b"value")));
    net.run(ms(145));
    assert!(!net.is_equal());
    net.loss = 0.0;
    net.until_equal(Duration::from_secs(1));
}
