//! Whatever a client sends, the answer is an answer: no panic, no overflow of the stack, no endless parse.
//!
//! `PCHAT_SEED=n` repeats a run; the seed of a failing run is printed.

mod support;

use pchat_tsql::Version;
use support::run;

/// xorshift64*, enough to pick tokens.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % n.max(1)
    }
}

fn corpus() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let mut out = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        out.extend(
            text.split("\nGO\n")
                .map(|b| b.lines().filter(|l| !l.starts_with("-->")).collect::<Vec<_>>().join("\n")),
        );
    }
    out.retain(|b| !b.trim().is_empty());
    out
}

#[test]
fn mutilated_batches_never_panic() {
    let seed = std::env::var("PCHAT_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |d| d.as_nanos() as u64 | 1)
    });
    println!("PCHAT_SEED={seed}");
    let mut random = Random(seed);
    let batches = corpus();
    let versions = [Version::V2008R2, Version::V2014, Version::V2019];
    for _ in 0..2500 {
        let mut words: Vec<String> = batches[random.below(batches.len())]
            .split_inclusive([' ', ',', '(', ')', '.', ';'])
            .map(str::to_owned)
            .collect();
        for _ in 0..1 + random.below(3) {
            if words.is_empty() {
                break;
            }
            let at = random.below(words.len());
            match random.below(4) {
                0 | 1 => {
                    words.remove(at);
                }
                2 => {
                    let other = random.below(words.len());
                    words.swap(at, other);
                }
                _ => {
                    let donor = &batches[random.below(batches.len())];
                    let parts: Vec<&str> = donor.split_inclusive(' ').collect();
                    words.insert(at, parts[random.below(parts.len())].to_owned());
                }
            }
        }
        let text = words.concat();
        // A mutilated condition may loop for ever: WHILE is left out here.
        if !text.to_uppercase().contains("WHILE") && !text.to_uppercase().contains("GOTO") {
            run(&text, versions[random.below(3)]);
        }
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_crash() {
    let deep = |open: &str, middle: &str, close: &str| {
        format!("SELECT {}{middle}{}", open.repeat(5000), close.repeat(5000))
    };
    for text in [
        deep("(", "1", ")"),
        deep("-", "1", ""),
        deep("(SELECT ", "1", ")"),
        format!("SELECT 1{}", " + 1".repeat(20_000)),
        format!("IF {} 1 = 1 SELECT 1", "NOT ".repeat(5000)),
        "BEGIN ".repeat(5000),
        "IF 1 = 1 ".repeat(5000),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(5000)),
        format!("SELECT 1 FROM sys.databases a {}", "JOIN sys.databases b ON 1 = 1 ".repeat(5000)),
    ] {
        let (out, _) = run(&text, Version::V2019);
        assert!(out.iter().any(|l| l.starts_with("error")), "{out:?}");
    }
    let wide =
        format!("SELECT 1 WHERE 1 IN ({}1) AND 1 = 1{}", "2, ".repeat(5000), " AND 2 = 2".repeat(5000));
    assert!(run(&wide, Version::V2019).0.contains(&"row 1".to_owned()));
}

#[test]
fn endless_recursion_of_dynamic_text_stops_at_32() {
    let text = "DECLARE @s nvarchar(max) SET @s = N'EXEC sp_executesql @s, N''@s nvarchar(max)'', @s' \
                EXEC sp_executesql @s, N'@s nvarchar(max)', @s";
    let (out, _) = run(text, Version::V2019);
    assert!(out.iter().any(|l| l.starts_with("error 217")), "{out:?}");
}
