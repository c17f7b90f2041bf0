//! Whether an account may be tried: what counts against it, and what its domain allows. Pure.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::{AccountPolicy, OBSERVATION, SpentTry};

/// How many wrong passwords must be left over when an account is tried: the operator's own two.
/// The same rule as the directory's probe.
const LEFT_OVER: u32 = 2;
/// How many tries of which nobody knows, or that were refused for what the account is rather than
/// for its password, may be in one window.
const DOUBTFUL: usize = 3;
/// The account is locked out (`ERROR_ACCOUNT_LOCKED_OUT`).
const LOCKED: i64 = 1909;

/// Win32 codes of refusals that count towards no lockout: there is no such account (1317), a
/// restriction (1327), the hour (1328), the place (1329), an expired password (1330), disabled
/// (1331), not the right to log on so (1385), the account expired (1793), must change (1907),
/// locked out already (1909).
const NOT_COUNTED: [i64; 10] = [1317, 1327, 1328, 1329, 1330, 1331, 1385, 1793, 1907, LOCKED];

/// Tells whether a refusal with this Win32 code brings an account nearer to its lockout. One
/// without a code is taken for a wrong password.
pub fn counts_towards_lockout(code: Option<i64>) -> bool {
    !code.is_some_and(|code| NOT_COUNTED.contains(&code))
}

/// Why an account is not tried now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spared {
    /// The tries that speak against it, the oldest first.
    pub tries: Vec<SpentTry>,
    /// Wrong passwords against it, and how many lock it, where the domain says.
    pub lockout: Option<(u32, u32)>,
    /// When it may be tried again, if nothing comes between.
    pub until: Option<Timestamp>,
}

/// Decides whether an account may be tried now.
///
/// # Errors
/// It may not, and why.
pub fn judge(
    tries: &[SpentTry],
    policy: Option<&AccountPolicy>,
    now: Timestamp,
) -> Result<(), Box<Spared>> {
    let window = policy.and_then(|policy| policy.window);
    let window = window.unwrap_or(OBSERVATION);
    let mut live: Vec<&SpentTry> = tries
        .iter()
        .filter(|one| passed(one.at, now) < window)
        .collect();
    live.sort_by_key(|one| one.at);
    let is_state = |one: &&&SpentTry| !one.perhaps && !counts_towards_lockout(one.code);
    let states = live.iter().filter(is_state).count();
    let locked = live
        .iter()
        .any(|one| !one.perhaps && one.code == Some(LOCKED));
    let refused = live
        .iter()
        .any(|one| !one.perhaps && counts_towards_lockout(one.code));
    let perhaps = live.iter().filter(|one| one.perhaps).count();
    // What was read of wrong passwords is as old as the window, and then says nothing.
    let fresh = policy.filter(|policy| passed(policy.read, now) < window);
    let known = fresh.and_then(|policy| Some((policy, policy.threshold?)));
    let (spent, lockout) = match known {
        Some((_, 0)) => (false, None),
        Some((policy, threshold)) => {
            let counting = |one: &&&SpentTry| one.perhaps || counts_towards_lockout(one.code);
            let counted = |before: bool| {
                let of_time = |one: &&&SpentTry| (one.at <= policy.read) == before;
                let count = live.iter().filter(counting).filter(of_time).count();
                u32::try_from(count).unwrap_or(u32::MAX)
            };
            // What was refused before the reading is in its number, as far as that controller knew.
            let read = policy.bad.unwrap_or(0).max(counted(true));
            let bad = read.saturating_add(counted(false));
            let spent = bad.saturating_add(LEFT_OVER) >= threshold;
            (spent, Some((bad, threshold)))
        }
        None => (refused || perhaps >= DOUBTFUL, None),
    };
    if !(spent || locked || states >= DOUBTFUL) {
        return Ok(());
    }
    let last = live.last().map(|one| one.at);
    let last = last.max(lockout.and(fresh).map(|policy| policy.read));
    Err(Box::new(Spared {
        tries: live.into_iter().cloned().collect(),
        lockout: lockout.filter(|_| spent),
        until: last.and_then(|last| last.checked_add(window).ok()),
    }))
}

/// Returns how many answers in a row may be lost after the password had been sent, without one that
/// it was accepted between, before an account is used no more in a run.
pub(crate) fn doubts_borne(policy: Option<&AccountPolicy>, now: Timestamp) -> usize {
    let window = policy
        .and_then(|policy| policy.window)
        .unwrap_or(OBSERVATION);
    let fresh = policy.filter(|policy| passed(policy.read, now) < window);
    match fresh.and_then(|policy| policy.threshold) {
        None | Some(0) => DOUBTFUL,
        Some(threshold) => {
            let borne = usize::try_from(threshold.saturating_sub(LEFT_OVER)).unwrap_or(DOUBTFUL);
            borne.clamp(1, DOUBTFUL)
        }
    }
}

/// Nothing, for an instant that is yet to come: a clock that was set back frees nobody.
fn passed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or(Duration::ZERO)
}

impl fmt::Display for Spared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        if let Some((bad, threshold)) = self.lockout {
            write!(
                f,
                "it has {bad} wrong passwords against it and is locked at {threshold}"
            )?;
            gap = "; ";
        }
        if let Some(last) = self.tries.last() {
            let what = match (last.perhaps, last.code) {
                (true, _) => "was tried, and nobody knows the answer,".to_owned(),
                (false, Some(code)) => format!("was refused (Win32 {code})"),
                (false, None) => "was refused".to_owned(),
            };
            write!(f, "{gap}it {what}")?;
            if let Some(host) = &last.host {
                write!(f, " on {host}")?;
            }
            write!(f, " at {:.0}", last.at)?;
            if let Some(more) = self.tries.len().checked_sub(1).filter(|more| *more > 0) {
                let times = if more == 1 { "once" } else { "several times" };
                write!(f, ", and {times} before")?;
            }
        }
        match self.until {
            Some(until) => write!(f, "; that counts until {until:.0}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_mins(minutes)
    }

    fn spent(minutes: i64, code: Option<i64>) -> SpentTry {
        SpentTry {
            at: at(minutes),
            host: None,
            code,
            perhaps: false,
        }
    }

    fn doubtful(minutes: i64) -> SpentTry {
        SpentTry {
            perhaps: true,
            ..spent(minutes, None)
        }
    }

    fn policy(threshold: Option<u32>, bad: u32, read: i64) -> AccountPolicy {
        AccountPolicy {
            threshold,
            window: Some(Duration::from_secs(10 * 60)),
            bad: Some(bad),
            read: at(read),
        }
    }

    #[test]
    fn lost_answers_are_borne_as_the_threshold_allows() {
        for (threshold, borne) in [(0, 3), (1, 1), (3, 1), (4, 2), (5, 3), (50, 3)] {
            let policy = policy(Some(threshold), 0, 0);
            assert_eq!(doubts_borne(Some(&policy), at(0)), borne, "{threshold}");
            // Read too long ago.
            assert_eq!(doubts_borne(Some(&policy), at(10)), 3, "{threshold}");
        }
        assert_eq!(doubts_borne(None, at(0)), 3);
    }

    #[test]
    fn one_refusal_spends_an_account_of_an_unknown_domain_for_half_an_hour() {
        for code in [None, Some(1326), Some(4711)] {
            let tries = [spent(0, code)];
            let spared = judge(&tries, None, at(29)).unwrap_err();
            assert_eq!(spared.until, Some(at(30)));
            assert_eq!(judge(&tries, None, at(30)), Ok(()));
            // A clock that was set back frees nobody.
            assert!(judge(&tries, None, at(-5)).is_err());
        }
        assert_eq!(judge(&[], None, at(0)), Ok(()));
    }

    #[test]
    fn two_wrong_passwords_are_left_where_the_threshold_is_known() {
        // (threshold, bad as read, refusals since) → may be tried.
        for (threshold, bad, since, may) in [
            (5, 0, 0, true),
            (5, 2, 0, true),
            (5, 3, 0, false),
            (5, 1, 1, true),
            (5, 2, 1, false),
            (10, 0, 7, true),
            (10, 0, 8, false),
            (2, 0, 0, false),
            (0, 99, 9, true),
        ] {
            let tries: Vec<SpentTry> = (0..since).map(|_| spent(2, Some(1326))).collect();
            let policy = policy(Some(threshold), bad, 1);
            let judged = judge(&tries, Some(&policy), at(3));
            assert_eq!(judged.is_ok(), may, "{threshold} {bad} {since}");
        }
        // Refusals before the reading are in its number.
        let before = [spent(0, None), spent(0, None)];
        assert_eq!(judge(&before, Some(&policy(Some(5), 2, 1)), at(2)), Ok(()));
        assert_eq!(judge(&before, Some(&policy(Some(5), 0, 1)), at(2)), Ok(()));
        // A threshold that was read long ago says nothing of the wrong passwords since.
        let old = policy(Some(50), 0, 0);
        assert!(judge(&[spent(9, None)], Some(&old), at(9)).is_ok());
        assert!(judge(&[spent(9, None)], Some(&old), at(11)).is_err());
        // But how long they count is known.
        assert!(judge(&[spent(9, None)], Some(&old), at(19)).is_ok());
    }

    #[test]
    fn what_counts_towards_no_lockout_is_tried_thrice_but_not_while_locked() {
        for code in [1327, 1330, 1331, 1793, 1907] {
            let tries = vec![spent(0, Some(code)); 3];
            assert_eq!(judge(&tries[..2], None, at(1)), Ok(()), "{code}");
            assert!(judge(&tries, None, at(1)).is_err(), "{code}");
        }
        assert!(judge(&[spent(0, Some(1909))], None, at(29)).is_err());
        assert!(judge(&[spent(0, Some(1909))], Some(&policy(Some(0), 0, 0)), at(1)).is_err());
    }

    #[test]
    fn what_nobody_knows_counts_less_than_a_refusal_and_not_for_nothing() {
        let tries = [doubtful(0), doubtful(0), doubtful(0)];
        assert_eq!(judge(&tries[..2], None, at(1)), Ok(()));
        assert!(judge(&tries, None, at(1)).is_err());
        // Where the lockout is known, each counts as a wrong password.
        assert!(judge(&tries[..2], Some(&policy(Some(4), 0, -1)), at(1)).is_err());
        assert!(judge(&[doubtful(0), spent(0, None)], None, at(1)).is_err());
    }

    #[test]
    fn it_says_when_and_where_and_until_when() {
        let mut last = spent(1, Some(1326));
        last.host = Some(fleetmend_model::HostName("端末-7".into()));
        let tries = [spent(0, None), last];
        let spared = judge(&tries, None, at(2)).unwrap_err();
        assert_eq!(
            spared.to_string(),
            "it was refused (Win32 1326) on 端末-7 at 1970-01-01T00:01:00Z, and once before; that \
             counts until 1970-01-01T00:31:00Z"
        );
        let near = judge(&[], Some(&policy(Some(5), 3, 0)), at(1)).unwrap_err();
        assert_eq!(
            near.to_string(),
            "it has 3 wrong passwords against it and is locked at 5; that counts until \
             1970-01-01T00:10:00Z"
        );
    }
}
