//! Orders to a running lab, one line each.
//!
//! Answers for the words of `pchat-lab do` and what each does; an order that is not understood changes nothing and
//! says what was expected. `help` prints the list, and this list is the documentation.

use super::trouble::Tear;
use super::{nulls, status};
use crate::lab::Inner;
use crate::net::{Client, Presence, Way};
use crate::world::World;
use crate::world::clock::Clock;
use crate::world::database::State;
use crate::world::gate::Passage;
use crate::world::instance::{Fault, FaultKind, Side};
use pchat_tsql::host::EndpointRole;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The orders, for people.
pub const HELP: &str = "\
status | ledger | timeline | statements HOST   state and truth as JSON
logins HOST                                    how many logins HOST has refused, as JSON
mark                                           counts (timeline, mutations) start again here
kill site primary|backup | kill host HOST      power off: silence; 'stop host HOST' refuses connections instead
kill-during-backup primary|backup              the serving server of a site dies with its site halfway through a log backup
mute host HOST                                 connections are taken, and nothing is ever said on them
revive site primary|backup | revive host HOST  power on again: the old primary returns as it was
cut A B | join A B                             network between two hosts or sites; A may be 'client'
slow HOST MILLISECONDS                         latency each way for clients; 0 for none
browser HOST on|off                            SQL Server Browser
lose-reply HOST [K]                            the K-th next effect on HOST happens, its reply is lost (K from 0)
delay-call HOST MILLISECONDS [K]               the client of the K-th next effect is cut off, the effect comes later
drop-call HOST [K]                             the client of the K-th next effect is cut off, nothing happens
hold HOST [K] | hold-reply HOST [K]            the K-th next effect, or the answer to it, waits at the gate
gate | gate open | gate refuse                 what waits there; let it happen, or not
delay-request HOST MILLISECONDS TEXT           the next request to HOST that holds TEXT: its client is cut off, it runs later
lose-request HOST TEXT                         ... it runs, its reply is lost
drop-request HOST TEXT                         ... its client is cut off, it never runs
fault HOST NUMBER [K]                          error NUMBER is raised in place of the K-th next effect
fault-look HOST NUMBER [K]                     error NUMBER is raised in place of the K-th next SELECT, header or procedure
clear-faults HOST
tear FILE|last|last-N empty|header|body|garbage|wrk
remove FILE|last-N | hide FILE|last-N | show   a log backup is lost, or turns up later
move share|folder|both FILE NAME               a file is given another name, over what has it
append share|folder|both FILE TO               its sets are appended to another file, as by NOINIT, and it goes
corrupt share|folder|both FILE                 a byte changes behind its header
litter NAME                                    a file that is no backup, on the share
restore-log FILE                               RESTORE LOG WITH NORECOVERY by hand
foreign-fork                                   a second successor of the last backup on another recovery fork
backup-log                                     one more log backup by the serving side
deny HOST PATH | allow HOST PATH               the SQL Server account's access to a path
hang HOST MILLISECONDS [PATH]                  listings on HOST (of what lies under PATH) take so much longer; 0 for none
hang shell MILLISECONDS [CMDLET]               cmdlets take so much longer; 0 for none
null HOST SET COLUMN                           NULL in that column: SET is a view by its full name, a procedure, or an answer's
                                               first column
null HOST function|procedure NAME              NULL wherever that function is evaluated, or in place of that return code
null shell CMDLET PROPERTY                     the same for a property of what a cmdlet gives
nulls HOST|shell | clear-nulls HOST|shell      which of them are armed, and whether anybody was told; tell everything again
delete-job HOST copy|restore                   a job of log shipping is deleted, log shipping itself stays
taint HOST|shell NAME | untaint                what a terminal obeys behind every text in the column or property NAME;
                                               'errors': behind the words of every error
hold-session HOST [LOGIN] | drop-sessions      a session on the chat database
damage HOST suspect|recovery-pending|offline|online
runbook 1..7                                   a step of the printed runbook, done by hand
drop-log-shipping HOST
forget-history HOST                            the clean-up of backup and restore history took all of it
refuse-login HOST NUMBER                       the operator's login is refused with NUMBER (18456, 18486 ...); 0 for taken
promote-mirror primary|backup                  the mirror takes over with all it acknowledged
force-service primary|backup                   the mirror takes over with a new recovery fork
clock HOST SECONDS_AHEAD [ZONE_MINUTES]        its clock is set wrong, or right; its zone stays where none is given
server-name HOST NAME|null|now                 @@SERVERNAME: of a host renamed since, without entry, or as it is
agent HOST on|off                              SQL Server Agent
express HOST                                   HOST is an Express edition, without SQL Server Agent
hang-job HOST copy|restore MINUTES             that job of log shipping runs for so long already, until it is stopped
leftover HOST                                  an old copy of the chat database stands on HOST, recovered and not mirrored
endpoint HOST started|stopped|missing|witness  its database mirroring endpoint
withhold COMMAND | offer COMMAND               the management shell's session leaves a command out, or not
store writable|unwritable | replicate
messages MILLISECONDS                          time between two messages of each active chat server; 0 for none
help";

/// Carries out one order.
///
/// # Errors
/// What was expected, or why it could not be done.
pub async fn carry_out(lab: &Arc<Inner>, line: &str) -> Result<Value, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let done = |text: String| Ok(json!({ "done": text }));
    match &words[..] {
        ["help"] => Ok(json!({ "help": HELP })),
        ["status"] => Ok(status::state(&lab.world.lock())),
        ["ledger"] => Ok(status::ledger(&lab.world.lock())),
        ["timeline"] => Ok(status::timeline(&lab.world.lock())),
        ["statements", host] => {
            let w = lab.world.lock();
            Ok(status::statements(&w.servers[server(&w, host)?]))
        }
        ["logins", host] => {
            let w = lab.world.lock();
            let refused = match server(&w, host) {
                Ok(at) => w.servers[at].refused_logins,
                Err(_) if *host == w.scenario.shell.host => lab.shell.refused_logins(),
                Err(none) => return Err(none),
            };
            Ok(json!({ "refused": refused }))
        }
        ["mark"] => {
            lab.world.lock().timeline.mark();
            done("counts start here".into())
        }
        ["kill-during-backup", name] => {
            let torn = lab.world.lock().die_during_backup(side(name)?)?;
            presence(lab, &["site", name], Presence::Dead).await?;
            done(format!("{torn} is torn, the site is dead"))
        }
        ["kill", rest @ ..] => presence(lab, rest, Presence::Dead).await,
        ["stop", rest @ ..] => presence(lab, rest, Presence::Refusing).await,
        ["mute", rest @ ..] => presence(lab, rest, Presence::Mute).await,
        ["revive", rest @ ..] => presence(lab, rest, Presence::Up).await,
        ["cut", a, b] => link(lab, a, b, true).await,
        ["join", a, b] => link(lab, a, b, false).await,
        ["slow", host, ms] => {
            let way = Way { cut: false, latency: Duration::from_millis(number(ms)?) };
            lab.net
                .set_way(&Client::Outside, &host_name(lab, host)?, way)
                .await
                .map_err(|e| e.to_string())?;
            done(format!("{host} answers clients {ms} ms later each way"))
        }
        ["browser", host, on] => {
            let running = switch(on)?;
            lab.net.set_browser(&host_name(lab, host)?, running).await.map_err(|e| e.to_string())?;
            done(format!("SQL Server Browser of {host}: {on}"))
        }
        ["lose-reply", host, rest @ ..] => fault(lab, host, FaultKind::LoseReply, rest),
        ["drop-call", host, rest @ ..] => fault(lab, host, FaultKind::Drop, rest),
        ["hold", host, rest @ ..] => fault(lab, host, FaultKind::Hold, rest),
        ["hold-reply", host, rest @ ..] => fault(lab, host, FaultKind::HoldReply, rest),
        ["gate"] => Ok(json!({ "waiting": lab.world.lock().gate.waiting() })),
        ["gate", "open"] => done(format!("{} go on", lab.world.lock().gate.open(Passage::Through))),
        ["gate", "refuse"] => {
            done(format!("{} are turned back", lab.world.lock().gate.open(Passage::Refused)))
        }
        ["delay-call", host, ms, rest @ ..] => fault(lab, host, FaultKind::Delay(number(ms)?), rest),
        ["fault", host, n, rest @ ..] => {
            let n = i32::try_from(number(n)?).map_err(|e| e.to_string())?;
            fault(lab, host, FaultKind::Error(n), rest)
        }
        ["delay-request", host, ms, text @ ..] => {
            request_fault(lab, host, FaultKind::Delay(number(ms)?), text)
        }
        ["lose-request", host, text @ ..] => request_fault(lab, host, FaultKind::LoseReply, text),
        ["drop-request", host, text @ ..] => request_fault(lab, host, FaultKind::Drop, text),
        ["fault-look", host, n, rest @ ..] => {
            let n = i32::try_from(number(n)?).map_err(|e| e.to_string())?;
            let after = passes(rest)?;
            let mut w = lab.world.lock();
            let at = server(&w, host)?;
            w.servers[at].look_faults.push((n, after));
            done(format!("armed at {host}: error {n} after {after} looks"))
        }
        ["messages", ms] => {
            let message = Duration::from_millis(number(ms)?);
            lab.chat.set_pace(crate::chat::Pace { message, ..crate::chat::Pace::default() });
            done(format!("a message every {ms} ms"))
        }
        other => in_world(lab, other),
    }
}

/// Orders that concern the world alone.
fn in_world(lab: &Arc<Inner>, words: &[&str]) -> Result<Value, String> {
    let mut guard = lab.world.lock();
    let w: &mut World = &mut guard;
    let text = match words {
        ["clear-faults", host] => {
            let at = server(w, host)?;
            w.servers[at].faults.clear();
            w.servers[at].look_faults.clear();
            w.servers[at].request_faults.clear();
            "no fault is armed".into()
        }
        ["tear", file, how] => {
            let how = match *how {
                "empty" => Tear::Empty,
                "header" => Tear::Header,
                "body" => Tear::Body,
                "garbage" => Tear::Garbage,
                "wrk" => Tear::Wrk,
                _ => return Err("tear: expected empty, header, body, garbage or wrk".into()),
            };
            format!("{} is torn", w.tear_file(file, how)?)
        }
        ["remove", file] => format!("{} is gone", w.take_file(file, false)?),
        ["hide", file] => format!("{} is hidden", w.take_file(file, true)?),
        ["show"] => format!("{} files are back", w.show_files()?),
        ["move", place, file, name] => format!("{} is {name} now", w.move_file(place, file, name)?),
        ["append", place, file, to] => format!("{} is in {to} now", w.append_file(place, file, to)?),
        ["corrupt", place, file] => format!("{} is damaged", w.damage_file(place, file)?),
        ["litter", name] => w.litter(name).map(|()| format!("{name} is there"))?,
        ["restore-log", file] => format!("{} is restored", w.restore_by_hand(file)?),
        ["foreign-fork"] => format!("{} is there", w.foreign_fork()?),
        ["backup-log"] => format!("{} is there", w.backup_log_now()?),
        ["deny", host, path] | ["allow", host, path] => {
            let host = w.servers[server(w, host)?].host.clone();
            w.files.deny(&host, path, words[0] == "deny");
            format!("{path}: {} for {host}", words[0])
        }
        ["hang", "shell", ms, rest @ ..] => {
            let (ms, cmdlet) = (number(ms)?, rest.concat());
            w.hanging_cmdlets.retain(|(name, _)| *name != cmdlet);
            if ms > 0 {
                w.hanging_cmdlets.push((cmdlet, Duration::from_millis(ms)));
            }
            format!("cmdlets take {ms} ms longer")
        }
        ["hang", host, ms, rest @ ..] => {
            let (at, ms, path) = (server(w, host)?, number(ms)?, rest.join(" "));
            w.hanging.retain(|(server, under, _)| *server != at || *under != path);
            if ms > 0 {
                w.hanging.push((at, path, Duration::from_millis(ms)));
            }
            format!("listings on {host} take {ms} ms longer")
        }
        ["null", host, set, column] => nulls::arm(w, server_or_shell(w, host)?, set, column)?,
        ["nulls", host] => {
            let at = server_or_shell(w, host)?;
            return Ok(nulls::armed(w, at));
        }
        ["clear-nulls", host] => {
            let at = server_or_shell(w, host)?;
            nulls::disarm(w, at);
            "everything is told".into()
        }
        ["delete-job", host, which @ ("copy" | "restore")] => {
            let at = server(w, host)?;
            w.delete_job(at, *which == "copy")?
        }
        ["taint", host, name] => {
            let at = if *host == "shell" { None } else { Some(server(w, host)?) };
            w.taint(at, name);
            format!("{host}: {name} is tainted")
        }
        ["untaint"] => {
            w.taints.clear();
            "nothing is tainted".into()
        }
        ["hold-session", host, rest @ ..] => {
            let at = server(w, host)?;
            let login = rest.first().copied().unwrap_or("CONTOSO\\reports");
            let spid = w.hold_session(at, login)?;
            let serial = w.servers[at].sessions.get(&spid).map_or(0, |s| s.serial);
            lab.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((at, spid, serial));
            return Ok(json!({ "spid": spid }));
        }
        ["drop-sessions"] => {
            let held =
                std::mem::take(&mut *lab.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
            held.iter().for_each(|(at, spid, serial)| w.servers[*at].close_own(*spid, *serial));
            "held sessions are gone".into()
        }
        ["damage", host, how] => {
            let state = match *how {
                "suspect" => State::Suspect,
                "recovery-pending" => State::RecoveryPending,
                "offline" => State::Offline,
                "online" => State::Online,
                _ => return Err("damage: expected suspect, recovery-pending, offline or online".into()),
            };
            let key = w.chat_key(server(w, host)?).ok_or("no chat database there")?;
            w.set_damaged(key, state)?;
            format!("{host}: {how}")
        }
        ["runbook", step] => {
            let step = u8::try_from(number(step)?).map_err(|e| e.to_string())?;
            format!("step {step}: {}", w.runbook_step(step)?)
        }
        ["drop-log-shipping", host] => {
            let at = server(w, host)?;
            w.drop_log_shipping(at)?
        }
        ["forget-history", host] => {
            let at = server(w, host)?;
            w.servers[at].history.restores.clear();
            format!("{host}: no restore is on record")
        }
        ["refuse-login", host, error] => {
            let (at, error) = (server(w, host)?, number(error)?);
            let name = w.scenario.sql_login.name.clone();
            let refused_with = i32::try_from(error).ok().filter(|n| *n > 0);
            w.servers[at]
                .logins
                .iter_mut()
                .filter(|l| l.name == name)
                .for_each(|l| l.refused_with = refused_with);
            format!("{host}: {name} is refused with {error}")
        }
        ["promote-mirror", side_name] | ["force-service", side_name] => {
            let mirror = w.mirror_of(side(side_name)?).ok_or("that side has no mirror")?;
            let key = w.chat_key(mirror).ok_or("no chat database there")?;
            let done = if words[0] == "force-service" { w.force_service(key) } else { w.promote_mirror(key) };
            done.map_err(|e| format!("Msg {}: {}", e.number, e.text))?;
            format!("the mirror of {side_name} serves")
        }
        ["clock", host, ahead, zone @ ..] => {
            let at = server(w, host)?;
            let whole = |text: &str| {
                text.parse::<i64>().map_err(|_| format!("expected a whole number, found {text}"))
            };
            let zone_min = match zone {
                [] => w.servers[at].clock.zone_min,
                [zone] => i32::try_from(whole(zone)?).map_err(|e| e.to_string())?,
                _ => return Err("clock: expected HOST SECONDS_AHEAD [ZONE_MINUTES]".into()),
            };
            let clock = Clock { ahead_s: whole(ahead)?, zone_min };
            clock.check()?;
            w.servers[at].clock = clock;
            format!("{host}: {} s ahead, {zone_min} min east of UTC", clock.ahead_s)
        }
        ["server-name", host, name] => {
            let at = server(w, host)?;
            w.servers[at].registered = match *name {
                "now" => None,
                "null" => Some(None),
                name => Some(Some(name.to_owned())),
            };
            format!("@@SERVERNAME of {host}: {}", w.servers[at].registered_name().unwrap_or("NULL".into()))
        }
        ["agent", host, on] => {
            let (at, now) = (server(w, host)?, w.now());
            if switch(on)? {
                w.servers[at].agent.restart(now)
            } else {
                w.servers[at].agent.crash()
            }
            format!("SQL Server Agent of {host}: {on}")
        }
        ["express", host] => {
            let at = server(w, host)?;
            w.servers[at].express = true;
            w.servers[at].agent.crash();
            format!("{host} is an Express edition")
        }
        ["hang-job", host, which, minutes] => {
            let (at, minutes) = (server(w, host)?, number(minutes)?);
            format!("{} hangs", w.hang_job(at, which, minutes)?)
        }
        ["leftover", host] => {
            let at = server(w, host)?;
            w.leave_copy(at)?;
            format!("an old copy stands on {host}")
        }
        ["endpoint", host, how] => {
            let at = server(w, host)?;
            let endpoint = &mut w.servers[at].endpoint;
            match (*how, endpoint.as_mut()) {
                ("started", Some(e)) => e.started = true,
                ("stopped", Some(e)) => e.started = false,
                ("witness", Some(e)) => e.role = EndpointRole::Witness,
                ("missing", _) => *endpoint = None,
                ("started" | "stopped" | "witness", None) => {
                    return Err(format!("{host} has no endpoint any more"));
                }
                _ => return Err("endpoint: expected started, stopped, missing or witness".into()),
            }
            format!("the endpoint of {host}: {how}")
        }
        ["withhold", command] => {
            if !command.eq_ignore_ascii_case("Get-Command") && crate::shell::knows(command).is_none() {
                return Err(format!("{command}: the lab has no command of that name"));
            }
            w.withheld.insert(command.to_lowercase());
            format!("{command} is not offered")
        }
        ["offer", command] => {
            w.withheld.remove(&command.to_lowercase());
            format!("{command} is offered")
        }
        ["store", "writable"] => {
            w.store.writable = true;
            "the Central Management Store can be written".into()
        }
        ["store", "unwritable"] => {
            w.store.writable = false;
            "the Central Management Store cannot be written".into()
        }
        ["replicate"] => {
            let now = w.now();
            let reach = &w.reach;
            w.store.replicate(now, true, |h| reach.alive(h));
            "replicated".into()
        }
        _ => return Err(format!("{}: not an order; 'help' lists them", words.join(" "))),
    };
    Ok(json!({ "done": text }))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number, found {text}"))
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("expected on or off, found {text}")),
    }
}

fn side(text: &str) -> Result<Side, String> {
    match text {
        "primary" => Ok(Side::Primary),
        "backup" => Ok(Side::Backup),
        _ => Err(format!("expected primary or backup, found {text}")),
    }
}

/// `None`: the management shell.
fn server_or_shell(w: &World, host: &str) -> Result<Option<usize>, String> {
    if host == "shell" { Ok(None) } else { server(w, host).map(Some) }
}

fn server(w: &World, host: &str) -> Result<usize, String> {
    let known = || w.servers.iter().map(|s| s.host.clone()).collect::<Vec<_>>().join(", ");
    w.server_at(host).ok_or_else(|| format!("{host}: no SQL Server of that name; there are {}", known()))
}

/// All hosts of the lab.
fn hosts(w: &World) -> Vec<String> {
    let s = &w.scenario;
    let mut all: Vec<String> = s.sql_hosts().into_iter().map(|(h, _)| h).collect();
    all.extend(s.primary.chat_servers.iter().chain(&s.backup.chat_servers).cloned());
    all.extend([s.shell.host.clone(), s.log_shipping.share_host.clone()]);
    all
}

/// The full name of a host given by its full or short name.
fn host_name(lab: &Inner, name: &str) -> Result<String, String> {
    let w = lab.world.lock();
    let short = |h: &str| h.split('.').next().unwrap_or(h).to_lowercase();
    let found =
        hosts(&w).into_iter().find(|h| h.eq_ignore_ascii_case(name) || short(h) == name.to_lowercase());
    found.ok_or_else(|| format!("{name}: no host of that name; there are {}", hosts(&w).join(", ")))
}

/// The hosts that `host NAME`, `site SIDE`, or a bare name of either mean.
fn group(lab: &Inner, words: &[&str]) -> Result<Vec<String>, String> {
    match words {
        ["site", name] | [name @ ("primary" | "backup")] => {
            let w = lab.world.lock();
            let s = &w.scenario;
            let side = side(name)?;
            let site = s.site(side);
            let mut all = vec![site.database.clone(), site.mirror.clone()];
            all.extend(site.chat_servers.iter().cloned());
            // The shell's Front End and the file server stand in the backup's site.
            if side == Side::Backup {
                all.extend([s.shell.host.clone(), s.log_shipping.share_host.clone()]);
            }
            all.retain(|h| !h.is_empty());
            Ok(all)
        }
        ["host", name] | [name] => Ok(vec![host_name(lab, name)?]),
        _ => Err("expected 'site primary', 'site backup' or 'host NAME'".into()),
    }
}

async fn presence(lab: &Arc<Inner>, words: &[&str], to: Presence) -> Result<Value, String> {
    let names = group(lab, words)?;
    if to != Presence::Up {
        // A power cut comes first for the clients: nothing that the far end still does is acknowledged.
        for name in &names {
            lab.net.set_presence(name, to).await.map_err(|e| e.to_string())?;
        }
    }
    {
        let mut w = lab.world.lock();
        for name in &names {
            w.set_dead(name, to != Presence::Up);
        }
        // The shell's sessions lived in its host's memory.
        if to != Presence::Up && names.contains(&w.scenario.shell.host) {
            lab.shell.close_shells();
        }
    }
    if to == Presence::Up {
        for name in &names {
            lab.net.set_presence(name, to).await.map_err(|e| e.to_string())?;
        }
    }
    Ok(json!({ "done": format!("{}: {to:?}", names.join(", ")) }))
}

async fn link(lab: &Arc<Inner>, a: &str, b: &str, cut: bool) -> Result<Value, String> {
    let to = group(lab, &[b])?;
    let way = Way { cut, ..Way::default() };
    if a == "client" {
        for host in &to {
            lab.net.set_way(&Client::Outside, host, way).await.map_err(|e| e.to_string())?;
        }
    } else {
        for from in group(lab, &[a])? {
            for host in &to {
                lab.world.lock().reach.set_cut(&from, host, cut);
                for (x, y) in [(&from, host), (host, &from)] {
                    let set = lab.net.set_way(&Client::Host(x.clone()), y, way).await;
                    set.map_err(|e| e.to_string())?;
                }
            }
        }
    }
    Ok(json!({ "done": format!("{a} and {b}: {}", if cut { "cut" } else { "joined" }) }))
}

fn request_fault(lab: &Arc<Inner>, host: &str, kind: FaultKind, text: &[&str]) -> Result<Value, String> {
    let text = text.join(" ").to_lowercase();
    if text.is_empty() {
        return Err("expected a text that the request must hold".into());
    }
    let mut w = lab.world.lock();
    let at = server(&w, host)?;
    w.servers[at].request_faults.push((kind, text.clone()));
    Ok(json!({ "done": format!("armed at {host}: {kind:?} for a request that holds {text}") }))
}

/// The `[K]` at the end of an order.
fn passes(rest: &[&str]) -> Result<u32, String> {
    match rest {
        [] => Ok(0),
        [k] => u32::try_from(number(k)?).map_err(|e| e.to_string()),
        _ => Err("expected at most one number behind".into()),
    }
}

fn fault(lab: &Arc<Inner>, host: &str, kind: FaultKind, rest: &[&str]) -> Result<Value, String> {
    let after = passes(rest)?;
    if host == "shell" {
        lab.world.lock().store_faults.push(Fault { kind, after });
        return Ok(json!({ "done": format!("armed at the shell: {kind:?} after {after} effects") }));
    }
    let mut w = lab.world.lock();
    let at = server(&w, host)?;
    w.servers[at].faults.push(Fault { kind, after });
    Ok(json!({ "done": format!("armed at {host}: {kind:?} after {after} effects") }))
}
