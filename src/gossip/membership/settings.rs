//! Every span and count of the membership protocol, each with its reason.
//!
//! Spans were chosen for a network whose round trips take milliseconds and whose datagrams may be lost one in five.
//! What depends on the number of members is computed here, too.

use crate::base::time::LOOK_BACK;
use std::time::Duration;

/// Members that are remembered, living or lost. Six times the largest cluster that is tested; a table of that size
/// takes 10 MiB. Beyond it the longest lost are forgotten for those who live; if all live, further nodes are refused.
pub const MEMBERS_MAX: usize = 65_536;
/// Probes under way at once. In a quiet cluster there is one; a split makes many suspicions run out together.
pub(super) const PROBES_MAX: usize = 64;
/// Probes under way for others. Beyond it a request is answered by a nack at once.
pub(super) const RELAYS_MAX: usize = 256;
/// Rumours waiting. A split of many that heals makes more; comparing tables brings the rest.
pub(super) const RUMOURS_MAX: usize = 2_048;
/// Octets of repetitions sent in a second: as much as 100 rumours, or the upkeep of 60 idle nodes. Without a bound
/// every rumour that a bad network makes costs each node as much as a good one.
pub(super) const REPEAT_OCTETS_PER_S: u64 = 4_096;
/// And at once: 1,600 rumours, as after a split.
pub(super) const REPEAT_OCTETS_BURST: u64 = 65_536;
/// Members lost for longest that are forgotten together where a living one finds no place.
pub(super) const CROWDED_OUT: usize = 256;
/// Addresses that are asked for a first contact.
pub(super) const JOINS_MAX: usize = 256;
/// Processes that use our own id and are told apart.
pub(super) const RIVALS_MAX: usize = 8;
/// Nodes that were lately told what is thought of them. Beyond it nobody is told until the next round.
pub(super) const TOLD_LATELY_MAX: usize = 1_024;
/// Octets of a node's name: it is one label.
pub const NAME_OCTETS_MAX: usize = 63;

/// The usual [`Settings::remembered`].
const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);
const _: () = assert!(REMEMBERED.as_secs() < LOOK_BACK.as_secs(), "a loss is a moment on our clock");
/// News of who has been lost for so long that it is forgotten within this time is refused where the node is not
/// known, and left out of what tables are compared by. Nodes do not forget at the same moment: their rounds are
/// seconds apart, and an age loses up to one with each telling. Without it who has forgotten would learn anew from
/// who has not, for ever.
pub(super) const FORGET_MARGIN: Duration = Duration::from_secs(60);

/// How membership is kept. One value for the whole cluster; the default is what is tested.
#[derive(Debug, Clone)]
pub struct Settings {
    /// One member is probed in each, while this node is in health. A ping and its ack take some 33 octets each, so
    /// that an idle node sends 66 octets a second.
    pub period: Duration,
    /// An ack is awaited at least so long before others are asked: a busy host answers late.
    pub ack_wait_min: Duration,
    /// And at most so long, whatever was measured: the rest of the period belongs to the other ways.
    pub ack_wait_max: Duration,
    /// Into a probe, when neither the member nor a helper has answered: try a stream. TCP repeats a lost segment
    /// after 200 ms, then 400 ms; both fit into what is left of the period.
    pub stream_after: Duration,
    /// From then on the member is pinged again and again until the period is over. Where one datagram in five is lost,
    /// every third ping or its ack is: with two of them and the helpers one probe in a hundred found a healthy member
    /// silent, and each of these costs a suspicion and a refutation that all members pass on.
    pub ping_again: Duration,
    /// Members that are asked to ping one that does not answer. SWIM's k.
    pub helpers: usize,
    /// The last check before a member is declared down, with all ways tried at once. Long enough for TCP to repeat
    /// a segment twice.
    pub last_check: Duration,
    /// The shortest suspicion for each tenfold of members. Rumours take a time that grows with the logarithm.
    pub suspicion_per_decade: Duration,
    /// No suspicion is shorter, however few the members.
    pub suspicion_min: Duration,
    /// A suspicion that nobody confirms lasts so many times the shortest. Lifeguard's beta.
    pub suspicion_max_factor: u32,
    /// Others whose own probes failed, until a suspicion is as short as can be; at most three. Lifeguard's K.
    pub confirmations: usize,
    /// So many members, by lot over the whole cluster, probe a suspect as soon as they hear of it. Without them
    /// confirmation would wait until the suspect's turn comes up on somebody's list.
    pub opinions: u32,
    /// Who has not itself found a suspect silent waits so much longer: those who have will say it first, and only
    /// they check a last time.
    pub bystander_wait: Duration,
    /// Members that get a fresh rumour at once, in datagrams of its own.
    pub pushes: u8,
    /// News within this time share those datagrams.
    pub push_wait: Duration,
    /// Datagrams of rumours sent off at once; more wait for the next time. 8 in 10 ms are 1 MB/s to 4 members each.
    pub push_datagrams: u8,
    /// Then the same to as many others, to whom nobody may have got: 4 copies by each member miss 2 in 100, 8 miss 3
    /// in 10,000.
    pub wave_wait: Duration,
    /// More rumours than fit into one datagram cannot ride along in time, as after a split of many: waves go on
    /// then until each rumour was sent as often as it should.
    pub crowd: usize,
    /// A rumour is sent so many times for each tenfold of members, and at least as for a thousand. SWIM's lambda. Of
    /// m copies by each member one in e^m members hears none, whatever the rule by which they stop (Demers et al.
    /// 1987, section 1.4): 12 miss 6 in a million, and 20 in 100 lost datagrams make that 70.
    pub repeats: u32,
    /// The worst score of this node's own health: its probes take nine times as long then. Lifeguard's S.
    pub score_max: u8,
    /// A timer that comes so late means that this process was stopped, and that silence proves nothing.
    pub late: Duration,
    /// A restart that takes longer is a loss.
    pub restarting: Duration,
    /// Who was lost or has left is remembered so long: splits heal, old rumours do not.
    pub remembered: Duration,
    /// Pings that a lost member gets from the whole cluster in each period. All members pinging one dead address
    /// would help nobody; each node pings at most one lost member in a period.
    pub lost_pings: u32,
    /// An address to join is asked again so soon: the way to it may open in the very moment, as a container's does.
    pub join_wait: Duration,
    /// Then after twice as long each time, at most this.
    pub join_wait_max: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        let ms = Duration::from_millis;
        Settings {
            period: ms(1_000),
            ack_wait_min: ms(100),
            ack_wait_max: ms(250),
            stream_after: ms(300),
            ping_again: ms(150),
            helpers: 3,
            last_check: ms(700),
            suspicion_per_decade: ms(1_000),
            suspicion_min: ms(2_000),
            suspicion_max_factor: 6,
            confirmations: 3,
            opinions: 6,
            bystander_wait: ms(1_500),
            pushes: 4,
            push_wait: ms(10),
            push_datagrams: 8,
            wave_wait: ms(100),
            crowd: 32,
            repeats: 4,
            score_max: 8,
            late: ms(100),
            restarting: Duration::from_secs(120),
            remembered: REMEMBERED,
            lost_pings: 8,
            join_wait: ms(50),
            join_wait_max: ms(8_000),
        }
    }
}

impl Settings {
    /// How often a rumour is sent among so many nodes.
    pub(super) fn repeats(&self, nodes: usize) -> u8 {
        let tenfolds = (nodes.saturating_sub(1).max(1).ilog10() + 1).max(3);
        u8::try_from(self.repeats.saturating_mul(tenfolds)).unwrap_or(u8::MAX).max(self.waves())
    }

    /// How often a rumour is pushed: when it is fresh, and to as many others a moment later.
    pub(super) fn waves(&self) -> u8 {
        self.pushes.saturating_mul(2)
    }

    /// How long a suspicion lasts that so many others have confirmed: from the longest down to the shortest on a
    /// logarithmic scale, so that the first confirmation counts most (Lifeguard, section IV-B).
    pub(super) fn suspicion(&self, nodes: usize, confirmed: usize) -> Duration {
        // Neither the suspect nor who suspects it can confirm: with two nodes nobody is left to wait for.
        let wanted = self.confirmations.min(nodes.saturating_sub(2));
        let shortest = self.suspicion_per_decade.mul_f64(decades(nodes)).max(self.suspicion_min);
        if confirmed >= wanted {
            return shortest;
        }
        let longest = shortest * self.suspicion_max_factor;
        let share = ((confirmed + 1) as f64).ln() / ((wanted + 1) as f64).ln();
        longest - (longest - shortest).mul_f64(share)
    }
}

fn decades(nodes: usize) -> f64 {
    (nodes.max(1) as f64).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_confirmation_shortens_a_suspicion_and_the_first_most() {
        let settings = Settings::default();
        let spans: Vec<f64> = (0..=4).map(|c| settings.suspicion(1_000, c).as_secs_f64()).collect();
        assert_eq!((spans[0], spans[3], spans[4]), (18.0, 3.0, 3.0));
        assert!(spans[0] - spans[1] > spans[1] - spans[2] && spans[1] - spans[2] > spans[2] - spans[3]);
    }

    #[test]
    fn where_nobody_can_confirm_nobody_is_waited_for() {
        let settings = Settings::default();
        assert_eq!(settings.suspicion(2, 0), settings.suspicion_min);
        assert!(settings.suspicion(3, 0) > settings.suspicion_min);
        assert_eq!(settings.suspicion(3, 1), settings.suspicion_min);
    }

    #[test]
    fn a_rumour_is_sent_more_often_among_more() {
        let settings = Settings::default();
        let repeats = [1, 100, 101, 1_000, 1_001, 10_000].map(|nodes| settings.repeats(nodes));
        assert_eq!(repeats, [12, 12, 12, 12, 16, 16]);
    }

    #[test]
    fn all_ways_of_a_probe_fit_into_its_period() {
        let settings = Settings::default();
        assert!(settings.ack_wait_max < settings.stream_after && settings.stream_after < settings.period);
    }
}
