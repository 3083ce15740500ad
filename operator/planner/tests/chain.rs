//! The judge of log backups, by rules and against random shares.

mod common;

use std::collections::BTreeMap;

use common::*;
use pchat_planner::chain::{self, Course, Unread};
use pchat_planner::facts::*;
use pchat_planner::lsn::{Lsn, Position};
use uuid::Uuid;

fn judge(files: &[(String, BackupFile)], from: u128) -> Vec<Course> {
    chain::judge(&backups(files.iter().cloned().collect()), "MGC", pos(from), None)
}

fn only(files: &[(String, BackupFile)], from: u128) -> Course {
    let mut all = judge(files, from);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

fn names(course: &Course) -> Vec<&str> {
    course.links.iter().map(|l| l.file.name.as_str()).collect()
}

fn torn_file() -> BackupFile {
    BackupFile { on_share: Some(Header::Torn { what: "3241".into(), since: t(0) }), in_folder: None }
}

#[test]
fn lsns_decide_the_order_and_names_do_not() {
    let c = only(&[(name(9), whole(set(100, 200))), (name(1), shared(set(200, 300)))], 100);
    assert_eq!(names(&c), [name(9), name(1)]);
    assert!(c.known_end() && c.end == pos(300));
}

#[test]
fn a_torn_last_file_is_the_end_of_the_chain() {
    let c = only(&[(name(1), whole(set(100, 200))), (name(2), torn_file())], 100);
    assert!(c.known_end());
    assert_eq!(c.torn.len(), 1);
}

#[test]
fn a_torn_file_with_readable_ones_behind_it_is_a_gap() {
    let c = only(
        &[(name(1), whole(set(100, 200))), (name(2), torn_file()), (name(3), whole(set(300, 400)))],
        100,
    );
    assert_eq!(c.gap.as_ref().map(|g| g.name.as_str()), Some(&*name(3)));
    assert!(!c.known_end());
}

#[test]
fn no_name_tells_that_a_file_lies_behind_the_chain() {
    // The clock of its producer may have been wrong when it was named.
    let c = only(&[(name(1), torn_file()), (name(2), whole(set(100, 200)))], 100);
    assert_eq!(
        (c.torn.len(), c.unread(t(900))),
        (1, Unread::Settled),
        "one is the end of the chain, and is told"
    );
    assert_eq!(c.given_up(), [name(1)]);
    let unread = BackupFile { on_share: Some(Header::Unknown("denied".into())), in_folder: None };
    let c = only(&[(name(1), unread), (name(2), whole(set(100, 200)))], 100);
    assert!(!c.known_end() && c.unknown.len() == 1, "{c:#?}");
}

#[test]
fn more_than_one_torn_file_is_a_question_and_the_newest_starts_no_clock() {
    let torn = |since| BackupFile {
        on_share: Some(Header::Torn { what: "3241".into(), since: t(since) }),
        in_folder: None,
    };
    let of = |since: &[i64]| {
        let files = since.iter().zip(1..).map(|(s, n)| (name(n), torn(*s)));
        only(&files.chain([(name(0), whole(set(100, 200)))]).collect::<Vec<_>>(), 100)
    };
    assert_eq!(of(&[890]).unread(t(900)), Unread::Settled);
    assert_eq!(of(&[891]).unread(t(900)), Unread::Wait(t(901)));
    assert_eq!(of(&[880, 899]).unread(t(900)), Unread::Wait(t(909)), "the second may still be being written");
    assert_eq!(of(&[880, 885, 899]).unread(t(900)), Unread::Ask, "whatever else turns up");
    let mut replaced = of(&[899]);
    replaced.restless = Some(t(869));
    assert_eq!(replaced.unread(t(900)), Unread::Ask, "files that never come to rest");
}

#[test]
fn share_and_folder_under_one_name_are_judged_set_by_set() {
    // The copy holds one log, the share's file of that name the next one.
    let replaced = BackupFile {
        on_share: Some(Header::Read([set(200, 300)].into())),
        in_folder: Some(Header::Read([set(100, 200)].into())),
    };
    let c = only(&[(name(1), replaced)], 100);
    let files: Vec<_> = c.links.iter().map(|l| (l.file.path.as_str(), l.file.fallback.as_deref())).collect();
    let (copy, share) = (format!(r"D:\copy\{}", name(1)), format!(r"\\files\pchat-logs\{}", name(1)));
    assert_eq!(files, [(copy.as_str(), None), (share.as_str(), None)]);
    // A job appended to it after it was copied.
    let grown = BackupFile {
        on_share: Some(Header::Read([set(100, 200), BackupSet { position: 2, ..set(200, 300) }].into())),
        in_folder: Some(Header::Read([set(100, 200)].into())),
    };
    let c = only(&[(name(1), grown)], 100);
    let files: Vec<_> =
        c.links.iter().map(|l| (&*l.file.path, l.file.set, l.file.fallback.as_deref())).collect();
    assert_eq!(files, [(copy.as_str(), 1, Some(share.as_str())), (share.as_str(), 2, None)]);
}

#[test]
fn an_original_that_cannot_be_read_is_not_hidden_by_its_copy() {
    for unread in [Header::Unknown("denied".into()), Header::InUse] {
        let file = BackupFile {
            on_share: Some(unread.clone()),
            in_folder: Some(Header::Read([set(100, 200)].into())),
        };
        let c = only(&[(name(1), file)], 100);
        assert!(!c.known_end() && c.end == pos(200), "{unread:?}: {c:#?}");
    }
    let sets = [set(100, 200)].into();
    let growing = Header::Partly { sets, what: "unfinished".into(), since: t(0) };
    let c = only(&[(name(1), BackupFile { on_share: Some(growing), in_folder: None })], 100);
    assert_eq!((c.end, c.torn.len()), (pos(200), 1), "what is whole in it applies, the rest is told");
}

#[test]
fn a_copy_that_is_not_finished_counts_only_where_its_original_is_not_whole() {
    let half =
        || BackupFile { on_share: None, in_folder: Some(Header::Torn { what: "3241".into(), since: t(0) }) };
    let wrk = name(1).replace(".trn", ".WRK");
    let c = only(&[(name(1), shared(set(100, 200))), (wrk.clone(), half())], 100);
    assert!(c.torn.is_empty() && c.known_end(), "{c:#?}");
    let c = only(&[(wrk.clone(), half())], 100);
    assert_eq!(c.given_up(), std::slice::from_ref(&wrk));
    // Whole by its header, and never applied: nobody has renamed it. Only its LSNs may tell that it is not needed.
    let by_header = |first, last| only(&[(wrk.clone(), shared(set(first, last)))], 100);
    assert!(by_header(100, 200).links.is_empty() && by_header(100, 200).torn.len() == 1);
    assert!(by_header(50, 100).torn.is_empty());
}

#[test]
fn a_set_whose_body_is_damaged_everywhere_ends_the_chain_by_name() {
    let mut b = backups(BTreeMap::from([
        (name(1), whole(set(100, 200))),
        (name(2), whole(set(200, 300))),
        (name(3), shared(set(300, 400))),
    ]));
    let damage = |path: &str| Damaged {
        path: format!("{path}\\{}", name(2)),
        position: 1,
        set: set(200, 300).id,
        what: "damaged (error 3189)".into(),
    };
    b.damaged = vec![damage(r"D:\copy")];
    let c = &chain::judge(&b, "mgc", pos(100), None)[0];
    assert!(c.end == pos(400) && c.links[1].file.path.starts_with(r"\\files"), "the share has it: {c:#?}");
    assert_eq!(c.links[1].file.fallback, None);
    b.damaged.push(damage(r"\\files\pchat-logs"));
    let c = &chain::judge(&b, "mgc", pos(100), None)[0];
    let broken = c.broken.as_ref().unwrap();
    assert_eq!((c.end, &broken.name, &broken.behind), (pos(200), &name(2), &vec![name(3)]));
    assert!(c.gap.is_none() && !c.known_end());
}

#[test]
fn a_torn_copy_of_a_whole_file_is_read_on_the_share() {
    let file = BackupFile {
        on_share: Some(Header::Read([set(100, 200)].into())),
        in_folder: Some(Header::Torn { what: "3241".into(), since: t(0) }),
    };
    let c = only(&[(name(1), file)], 100);
    assert!(c.known_end() && c.links[0].file.path.starts_with(r"\\files"));
}

#[test]
fn a_torn_copy_proves_nothing_while_the_share_is_unreadable() {
    let copy =
        BackupFile { on_share: None, in_folder: Some(Header::Torn { what: "3241".into(), since: t(0) }) };
    let mut b = backups(BTreeMap::from([(name(1), copy)]));
    b.share = unknown("dead");
    let c = &chain::judge(&b, "mgc", pos(100), None)[0];
    assert!(c.torn.is_empty());
    assert_eq!(c.unknown.len(), 2, "{c:#?}");
}

#[test]
fn an_unreadable_listing_is_never_an_empty_one() {
    let mut b = backups(BTreeMap::from([(name(1), whole(set(50, 100)))]));
    b.folder = unknown("the folder can't be proved");
    assert!(!chain::judge(&b, "mgc", pos(100), None)[0].known_end());
}

#[test]
fn a_file_in_use_is_unknown_and_not_torn() {
    let file = BackupFile { on_share: Some(Header::InUse), in_folder: None };
    let c = only(&[(name(1), file)], 100);
    assert!(c.torn.is_empty() && c.in_use.len() == 1 && !c.known_end());
}

#[test]
fn other_databases_and_families_and_full_backups_are_none_of_it() {
    let other = BackupSet { database: "mgccomp".into(), ..set(100, 900) };
    let stranger =
        BackupSet { family: Uuid::from_u128(1), first_fork: fork(9), fork: fork(9), ..set(150, 900) };
    let full = BackupSet { kind: BackupKind::Full, ..set(100, 900) };
    let ours = whole(set(100, 200));
    let c = only(
        &[(name(1), ours), (name(2), whole(other)), (name(3), whole(stranger)), (name(4), whole(full))],
        100,
    );
    assert_eq!(names(&c), [name(1)]);
    assert!(c.known_end());
}

#[test]
fn several_sets_in_one_file_are_each_judged() {
    let sets = Header::Read([BackupSet { position: 2, ..set(200, 300) }, set(100, 200)].into());
    let c = only(&[(name(1), BackupFile { on_share: Some(sets), in_folder: None })], 100);
    assert_eq!(c.links.iter().map(|l| l.file.set).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn an_empty_log_backup_is_harmless() {
    let c = only(
        &[(name(1), whole(set(100, 100))), (name(2), whole(set(100, 200))), (name(3), whole(set(200, 200)))],
        100,
    );
    assert_eq!(names(&c), [name(2)]);
    assert!(c.known_end());
}

#[test]
fn a_file_of_a_fork_that_does_not_pass_through_the_end_stops() {
    let foreign = BackupSet { first_fork: fork(9), fork: fork(9), ..set(150, 400) };
    let c = only(&[(name(1), whole(set(100, 200))), (name(2), whole(foreign))], 100);
    assert_eq!(c.left_out.len(), 1);
    assert!(!c.known_end());
}

#[test]
fn a_promoted_mirror_leaves_two_courses_and_nothing_is_applied_past_the_parting() {
    // Forced service at 200: the old principal went on to 260, the promoted mirror wrote 200..300 on its own fork.
    let promoted = BackupSet { fork: fork(0xC), fork_point: Some(Lsn(200)), ..set(200, 300) };
    let next = BackupSet { first_fork: fork(0xC), fork: fork(0xC), ..set(300, 350) };
    let files = [
        (name(1), whole(set(100, 200))),
        (name(2), whole(set(200, 260))),
        (name(3), whole(promoted)),
        (name(4), whole(next)),
    ];
    let courses = judge(&files, 100);
    let ends: Vec<Position> = courses.iter().map(|c| c.end).collect();
    assert_eq!(ends, [pos(260), Position { lsn: Lsn(350), fork: fork(0xC) }]);
    for c in &courses {
        assert_eq!(c.safe_links().len(), 1);
        assert!(c.gap.is_none() && c.left_out.len() == 1, "{c:#?}");
        assert!(!c.known_end(), "a person chooses");
    }
    // Past the fork point the old fork can't be left any more (4330), and what lies beside it is no gap.
    let c = only(&files, 260);
    assert!(c.links.is_empty() && c.gap.is_none() && c.left_out.contains_key(&fork(0xC)), "{c:#?}");
}

#[test]
fn a_fork_beside_ours_is_left_out_however_low_its_lsns_are() {
    // The mirror was promoted at 220, on a log that had only come so far, and wrote little: all of it lies below 300.
    let crossing = BackupSet { fork: fork(0xC), fork_point: Some(Lsn(220)), ..set(200, 280) };
    let next = BackupSet { first_fork: fork(0xC), fork: fork(0xC), ..set(280, 290) };
    let ours = (name(1), whole(set(200, 300)));
    for others in
        [vec![(name(2), whole(crossing)), (name(3), whole(next.clone()))], vec![(name(3), whole(next))]]
    {
        let files: Vec<_> = [ours.clone()].into_iter().chain(others).collect();
        let c = only(&files, 300);
        assert!(c.left_out.contains_key(&fork(0xC)) && c.gap.is_none() && !c.known_end(), "{c:#?}");
    }
}

#[test]
fn a_set_that_crossed_into_our_fork_before_our_position_applies() {
    let crossing = BackupSet { first_fork: fork(1), fork_point: Some(Lsn(90)), ..set(50, 200) };
    assert_eq!(names(&only(&[(name(1), whole(crossing))], 100)), [name(1)]);
}

/// Random shares: whatever the chain says can be applied, SQL Server's own rule accepts in that order; and an end that is
/// called known leaves no readable file of the fork behind it.
#[test]
fn every_course_can_be_restored_and_a_known_end_is_an_end() {
    let mut dice = Dice::new();
    for _ in 0..3_000 {
        let mut files = BTreeMap::new();
        let mut lsn = 100u128;
        for i in 0..dice.below(12) as u32 {
            let next = lsn + u128::from(dice.below(4)) * 10;
            let mut s = set(lsn, next);
            if dice.below(8) == 0 {
                s.first_lsn = Lsn(s.first_lsn.0.saturating_sub(15));
            }
            if dice.below(10) == 0 {
                s.fork = fork(u128::from(dice.below(3)));
                s.fork_point = Some(s.first_lsn);
            }
            if dice.below(12) == 0 {
                s.first_fork = fork(u128::from(dice.below(3)));
            }
            let file = match dice.below(8) {
                0 => None,
                1 => Some(torn_file()),
                2 => Some(BackupFile { on_share: Some(Header::Unknown("?".into())), in_folder: None }),
                3 | 4 => Some(shared(s)),
                _ => Some(whole(s)),
            };
            files.extend(file.map(|f| (name(dice.below(2) as u32 * 20 + i), f)));
            lsn = next;
        }
        let from = pos(100 + u128::from(dice.below(30)));
        let b = backups(files);
        let courses = chain::judge(&b, "mgc", from, None);
        assert!(!courses.is_empty());
        for c in &courses {
            let mut at = from;
            for link in &c.links {
                let set =
                    sets_of(&b, &link.file.name).into_iter().find(|s| s.position == link.file.set).unwrap();
                assert!(set.first_lsn <= at.lsn && set.last_lsn > at.lsn, "4305/4326: {c:#?}");
                let on_path = set.first_fork == at.fork
                    && set.fork_point.is_none_or(|p| at.lsn <= p || set.fork == at.fork);
                let crossed = set.fork == at.fork && set.fork_point.is_some_and(|p| p <= at.lsn);
                assert!(on_path || crossed, "4330: {set:#?} at {at:?}");
                at = Position { lsn: set.last_lsn, fork: set.fork };
            }
            assert_eq!(at, c.end);
            if c.known_end() {
                for (name, s) in
                    chain::sets(&b, "mgc").into_iter().filter(|(_, s)| s.family == set(0, 0).family)
                {
                    assert!(s.last_lsn <= c.end.lsn, "{name} lies behind a known end: {c:#?}");
                }
            }
        }
        let safe: Vec<usize> = courses.iter().map(|c| c.safe_links().len()).collect();
        assert!(
            safe.windows(2).all(|w| w[0] == w[1]),
            "what needs no choice is common to all courses: {safe:?}"
        );
    }
}

fn sets_of<'a>(b: &'a Backups, name: &str) -> Vec<&'a BackupSet> {
    chain::sets(b, "mgc").into_iter().filter(|(n, _)| *n == name).map(|(_, s)| s).collect()
}
