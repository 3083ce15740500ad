//! When a backup began: clocks and zones of the servers that make backups, and what is believed of them.

mod common;

use common::*;
use jiff::SignedDuration;
use jiff::tz::Offset;
use pchat_planner::facts::*;
use pchat_planner::lsn::Lsn;
use pchat_planner::plan::*;

const HOUR: i64 = 3600;
const MIRROR: &str = r"SQL-TP2\PCHAT";

/// Log backups, one behind the other from LSN 50 on.
#[derive(Default)]
struct Shipped(Vec<(String, BackupSet)>);

impl Shipped {
    /// A backup that began at second `began`, made by a server whose wall clock is `ahead` seconds ahead of UTC. Log shipping
    /// named it by that server's UTC clock, which is `wrong` seconds ahead of the truth.
    fn by(mut self, server: &str, began: i64, ahead: i64, wrong: i64) -> Self {
        let first = self.0.last().map_or(50, |(_, s)| s.last_lsn.0 as i64);
        let last = (first / 100 + 1) * 100;
        let mut s = set(first as u128, last as u128);
        s.server = server.into();
        s.started = wall(t(began + wrong + ahead));
        s.finished = s.started;
        let name = wall(t(began + wrong)).strftime("mgc_%Y%m%d%H%M%S.trn").to_string();
        self.0.push((name, s));
        self
    }

    fn from(self, began: i64, ahead: i64) -> Self {
        self.by(r"SQL-TP1\PCHAT", began, ahead, 0)
    }

    fn renamed(mut self, name: &str) -> Self {
        self.0.last_mut().unwrap().0 = name.into();
        self
    }

    /// A disaster with these files, of which msdb tells no zone.
    fn disaster(self) -> Case {
        let mut c = Case::disaster();
        c.db().last_restored.as_mut().unwrap().zone = None;
        c.with_files(self.0.into_iter().map(|(name, s)| (name, whole(s))))
    }
}

/// Three files of a server that is `ahead` of UTC, the last one begun at second 450.
fn three(ahead: i64) -> Shipped {
    Shipped::default().from(150, ahead).from(300, ahead).from(450, ahead)
}

fn alive(c: &Case) -> bool {
    c.plan().rule == Reason::PrimaryMayBeAlive
}

/// What a look found whose share was listed: the log up to `lsn`.
fn grown(c: &mut Case, looks: &[(Option<i64>, i64, u128)]) {
    let grown = looks.iter().map(|(before, seen, lsn)| Grown {
        before: before.map(t),
        seen: t(*seen),
        ends: vec![(fork(A), Lsn(*lsn))],
    });
    c.files().grown = grown.collect();
}

#[test]
fn the_zone_of_a_producer_is_told_by_the_utc_time_in_its_file_names() {
    for ahead in [0, HOUR, -HOUR, 8 * HOUR, -7 * HOUR, HOUR * 11 / 2, HOUR * 23 / 4, -HOUR * 7 / 2, 14 * HOUR]
    {
        let c = three(ahead).disaster();
        let plan = c.plan();
        assert_eq!(plan.rule, Reason::FailoverRunning, "{ahead}: {:#?}", plan.next);
        assert_eq!(plan.loss.safe_until, Some(t(450)), "{ahead}");
        assert!(plan.loss.safe_source.ends_with("by the UTC time in its name"), "{}", plan.loss.safe_source);
    }
}

#[test]
fn a_name_and_a_header_that_differ_by_a_minute_stop_no_failover_and_the_earlier_is_told() {
    for wrong in [60, -60] {
        let mut shipped = three(0);
        shipped.0.iter_mut().for_each(|(_, s)| s.started = wall(t(450 + wrong)));
        let mut c = Shipped(shipped.0).disaster();
        // The name of the last file says 450; it was there when the other side fell silent.
        grown(&mut c, &[(None, 511, 300)]);
        assert!(!alive(&c), "{wrong}");
        assert_eq!(c.plan().loss.safe_until, Some(t(450.min(450 + wrong))), "{wrong}");
    }
}

#[test]
fn a_living_side_is_seen_to_live_in_every_zone() {
    for ahead in [-5 * HOUR, -HOUR, 0, HOUR, 8 * HOUR] {
        let c = three(ahead).from(600, ahead).disaster();
        assert!(alive(&c), "{ahead}: {:#?}", c.plan().next);
        assert_eq!(
            c.plan().loss.safe_until,
            None,
            "{ahead}: what began after the silence is no end of what is safe"
        );
    }
}

#[test]
fn a_clock_that_is_ahead_makes_no_living_side_of_a_file_that_was_there() {
    let mut c = Shipped::default();
    for began in [150, 300, 500] {
        c = c.by(r"SQL-TP1\PCHAT", began, HOUR, 60);
    }
    let mut c = c.disaster();
    assert!(alive(&c), "nothing else is known of it");
    grown(&mut c, &[(None, 513, 300)]);
    let plan = c.plan();
    assert_eq!(plan.rule, Reason::FailoverRunning, "it was found before it began: {:#?}", plan.next);
    assert_eq!(plan.loss.safe_until, None);
    assert!(plan.loss.safe_source.contains("the clock of the server"), "{}", plan.loss.safe_source);
}

#[test]
fn a_start_in_the_future_or_after_the_first_silence_is_never_told() {
    for (began, told) in [(505, Some(t(505))), (511, None), (2_000, None)] {
        let mut c = Shipped::default().from(150, 0).from(300, 0).from(began, 0).disaster();
        let plan = c.plan();
        assert_eq!(plan.loss.safe_until, told, "{began}: {}", plan.loss.safe_source);
        c.pool.max_data_loss = Some(SignedDuration::from_hours(100));
        assert!(
            told.is_some() || c.plan().hazards.iter().any(|h| h.reason == Reason::LossAboveLimit),
            "unknown is not within a limit"
        );
    }
}

#[test]
fn without_a_zone_the_start_is_unknown_and_no_rule_rests_on_it() {
    let mut shipped = three(HOUR).from(600, HOUR);
    for (i, (name, _)) in shipped.0.iter_mut().enumerate() {
        *name = format!("mgc_log_{i}.trn");
    }
    let mut c = shipped.disaster();
    let plan = c.plan();
    assert_eq!((plan.rule, plan.loss.safe_until), (Reason::FailoverRunning, None), "{:#?}", plan.next);
    assert!(plan.loss.safe_source.contains("time zone that nothing tells"), "{}", plan.loss.safe_source);
    // All of it was there when the silence began, or nobody had looked yet.
    grown(&mut c, &[(None, 505, 400)]);
    assert!(!alive(&c));
    // The last one was not there at a look that began after that, and came later.
    grown(&mut c, &[(None, 505, 300), (Some(560), 640, 400)]);
    assert!(alive(&c), "{:#?}", c.plan().next);
    // It came between two looks of which the first one was before the silence.
    grown(&mut c, &[(None, 405, 300), (Some(509), 560, 400)]);
    assert!(!alive(&c));
}

#[test]
fn a_file_without_a_stamp_is_in_the_zone_of_its_server() {
    let c = three(8 * HOUR).renamed("tail.trn").disaster();
    let loss = c.plan().loss;
    assert_eq!(loss.safe_until, Some(t(450)));
    assert!(
        loss.safe_source.contains(r"in the time zone of SQL-TP1\PCHAT that 2 files"),
        "{}",
        loss.safe_source
    );
}

#[test]
fn two_producers_have_two_zones() {
    let c = three(8 * HOUR).by(MIRROR, 470, -3 * HOUR, 0).by(MIRROR, 490, -3 * HOUR, 0).disaster();
    assert_eq!(c.plan().loss.safe_until, Some(t(490)));
    let c = three(8 * HOUR).by(MIRROR, 490, -3 * HOUR, 0).disaster();
    assert_eq!(c.plan().loss.safe_until, Some(t(490)), "its only file is believed");
}

#[test]
fn one_renamed_file_does_not_move_a_zone() {
    let name = |at: i64| wall(t(at)).strftime("mgc_%Y%m%d%H%M%S.trn").to_string();
    for renamed in [name(450 - 5 * HOUR), name(450 + 48 * HOUR), name(450 + 400)] {
        let c = three(8 * HOUR).renamed(&renamed).disaster();
        let plan = c.plan();
        assert_eq!(plan.rule, Reason::FailoverRunning, "{renamed}: {:#?}", plan.next);
        assert_eq!(plan.loss.safe_until, Some(t(450)), "{renamed}");
    }
    // Where every name says something else nobody is believed.
    let c = Shipped::default().from(150, 0).from(300, 3 * HOUR).from(450, -3 * HOUR).disaster();
    assert_eq!(c.plan().loss.safe_until, None);
}

#[test]
fn clocks_are_put_forward_and_back_in_spring_and_autumn() {
    let winter = Shipped::default().from(100, HOUR).from(150, HOUR);
    let c = winter.from(300, 2 * HOUR).from(450, 2 * HOUR).disaster();
    assert_eq!(c.plan().loss.safe_until, Some(t(450)));
    let summer = Shipped::default().from(100, 2 * HOUR).from(150, 2 * HOUR);
    let c = summer.from(300, HOUR).from(450, HOUR).renamed("tail.trn").disaster();
    let loss = c.plan().loss;
    assert!(loss.safe_until.is_none_or(|at| at <= t(450)), "{:?}", loss.safe_until);
}

#[test]
fn msdb_tells_the_zone_where_names_do_not_and_nobody_is_believed_where_they_disagree() {
    let tell = |c: &mut Case, hours: i8| {
        let r = c.db().last_restored.as_mut().unwrap();
        (r.zone, r.started) = (Some(Offset::constant(hours)), wall(t(150 + i64::from(hours) * HOUR)));
    };
    let mut shipped = three(8 * HOUR);
    for (i, (name, _)) in shipped.0.iter_mut().enumerate() {
        *name = format!("mgc_log_{i}.trn");
    }
    let mut c = shipped.disaster();
    tell(&mut c, 8);
    let loss = c.plan().loss;
    assert_eq!(loss.safe_until, Some(t(450)));
    assert!(loss.safe_source.contains("that msdb tells"), "{}", loss.safe_source);
    let mut c = three(8 * HOUR).disaster();
    tell(&mut c, 8);
    assert_eq!(c.plan().loss.safe_until, Some(t(450)));
    tell(&mut c, -3);
    let loss = c.plan().loss;
    assert_eq!(loss.safe_until, None);
    assert!(loss.safe_source.contains("different time zones"), "{}", loss.safe_source);
}

#[test]
fn the_executors_own_clock_may_be_wrong() {
    for wrong in [-HOUR, HOUR] {
        let mut c = three(0).disaster();
        c.now = t(1_001 + wrong);
        for id in [P, PM, B, BM] {
            c.facts.instances.get_mut(&id).unwrap().at = t(1_000 + wrong);
        }
        for (id, since) in [(P, 500), (PM, 510)] {
            let Contact::Silent { since: s, until, .. } =
                &mut c.facts.instances.get_mut(&id).unwrap().contact
            else {
                panic!()
            };
            (*s, *until) = (t(since + wrong), t(1_000 + wrong));
        }
        assert!(!alive(&c), "{wrong}: {:#?}", c.plan().next);
        let living = c.clone().with(|c| {
            let (name, set) = three(0).from(600, 0).0.pop().unwrap();
            c.files().files.insert(name, whole(set));
        });
        assert!(alive(&living), "{wrong}");
    }
}

#[test]
fn a_copy_that_came_late_is_no_sign_of_life_where_its_time_is_known() {
    let mut c = three(0).disaster();
    grown(&mut c, &[(None, 512, 200), (Some(560), 640, 300)]);
    assert!(!alive(&c), "{:#?}", c.plan().next);
}
