//! Whatever is done to a manifest, the reader answers: never a panic, never a problem without a place.

mod support;

use pchat_crds::manifest::{Source, load};
use support::example;

/// xorshift64*: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).unwrap_or(0) % below.max(1)
    }
}

const SHARDS: &[&str] = &[
    "\t",
    "\n",
    " ",
    ":",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "&a ",
    "*a",
    "!!str ",
    "!x ",
    "---\n",
    "...\n",
    "#",
    "|",
    "> ",
    "%YAML 1.2\n",
    "? ",
    "<<: ",
    "null",
    "true",
    "1e999",
    "-1",
    "\u{feff}",
    "\u{0}",
    "é",
    "\\",
    "${x}",
    "\r\n",
    "0x1F",
    ".nan",
    "spec:\n",
    "  host: x\n",
    "data:\n  a: b\n",
];

fn mutate(text: &str, dice: &mut Dice) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..=dice.next(4) {
        let at = dice.next(characters.len() + 1);
        let to = (at + 1 + dice.next(30)).min(characters.len());
        match dice.next(5) {
            0 => drop(characters.drain(at..to)),
            1 => drop(characters.splice(at..at, SHARDS[dice.next(SHARDS.len())].chars())),
            2 => drop(characters.splice(at..to, SHARDS[dice.next(SHARDS.len())].chars())),
            3 => {
                let copy: Vec<char> = characters[at..to].to_vec();
                let elsewhere = dice.next(characters.len() + 1);
                drop(characters.splice(elsewhere..elsewhere, copy));
            }
            _ => {
                // A whole line goes, or comes twice.
                let text: String = characters.iter().collect();
                let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
                let line = dice.next(lines.len());
                if dice.next(2) == 0 && !lines.is_empty() {
                    lines.remove(line);
                } else if let Some(copy) = lines.get(line).copied() {
                    lines.insert(dice.next(lines.len()), copy);
                }
                characters = lines.concat().chars().collect();
            }
        }
    }
    characters.into_iter().collect()
}

#[test]
fn a_mutated_manifest_never_panics_and_every_problem_has_a_line_of_its_file() {
    let seed = std::env::var("PCHAT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |now| u64::try_from(now.as_nanos() & 0xFFFF_FFFF).unwrap_or(1)) | 1
    });
    println!("seed {seed}; repeat with PCHAT_SEED={seed}");
    let rounds = std::env::var("PCHAT_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(150);
    let mut dice = Dice(seed);
    let pools = [example("pool.yaml"), example("overrides.yaml"), example("low-latency.yaml")];
    let secrets = format!("{}\n---\n{}", example("pool-secrets.yaml"), example("overrides-secrets.yaml"));
    for round in 0..rounds {
        let text = format!("{}\n---\n{secrets}", pools[dice.next(pools.len())]);
        let text = mutate(&text, &mut dice);
        let source = Source::Text { name: "m.yaml".to_owned(), text: text.clone() };
        let Err(error) = load(&[source]) else { continue };
        assert!(!error.problems.is_empty(), "round {round}: refused without a problem\n{text}");
        let last = text.split('\n').count();
        for problem in &error.problems {
            let line = problem.place.line;
            assert!(
                problem.place.file == "m.yaml" && (1..=last).contains(&line),
                "round {round}: {problem} is on no line of {last}\n{text}"
            );
            let sentence = problem.to_string();
            assert!(!sentence.contains("change-me"), "round {round}: a secret is shown: {sentence}");
            assert!(!sentence.contains("fault of the operator"), "round {round}: {sentence}\n{text}");
        }
    }
}
