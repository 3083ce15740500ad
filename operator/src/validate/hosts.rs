//! Name resolution by hand: a file in the format of `/etc/hosts`, for when the name servers are gone with the site.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Addresses by lower-case name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(BTreeMap<String, IpAddr>);

/// Why a hosts file can't be used; one line for each mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct HostsError(pub Vec<String>);

impl Hosts {
    /// Reads `text`; `file` is its name in messages.
    pub fn parse(file: &str, text: &str) -> Result<Self, HostsError> {
        let mut hosts = BTreeMap::new();
        let mut mistakes = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(first) = words.next() else { continue };
            let mut mistake = |what: String| mistakes.push(format!("{file}:{}: {what}", index + 1));
            let Ok(address) = first.parse::<IpAddr>() else {
                mistake(format!("expected an IP address, then names, as in a hosts file; found {first:?}"));
                continue;
            };
            let names: Vec<&str> = words.collect();
            if names.is_empty() {
                mistake(format!("expected a host name after {address}"));
            }
            for name in names {
                let name = name.trim_end_matches('.').to_lowercase();
                match hosts.insert(name.clone(), address) {
                    Some(other) if other != address => {
                        mistake(format!("{name} stands here with {address}, and above with {other}"));
                    }
                    _ => {}
                }
            }
        }
        if mistakes.is_empty() { Ok(Hosts(hosts)) } else { Err(HostsError(mistakes)) }
    }

    /// The address of `host`, if it stands there.
    pub fn address(&self, host: &str) -> Option<IpAddr> {
        self.0.get(&host.trim_end_matches('.').to_lowercase()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_file_gives_addresses_to_names_whatever_their_case() {
        let text = "# the other data centre\n10.2.1.11\tsql-ks1.contoso.com sql-ks1  # database\r\n\n::1 Localhost\n";
        let hosts = Hosts::parse("hosts", text).expect("a good file");
        assert_eq!(hosts.address("SQL-KS1.contoso.com."), "10.2.1.11".parse().ok());
        assert_eq!(hosts.address("sql-ks1"), "10.2.1.11".parse().ok());
        assert_eq!(hosts.address("localhost"), "::1".parse().ok());
        assert_eq!(hosts.address("sql-ks2"), None);
    }

    #[test]
    fn every_mistake_in_a_hosts_file_is_told_with_its_line() {
        let error = Hosts::parse("h", "sql1 10.0.0.1\n10.0.0.1\n10.0.0.1 a\n10.0.0.2 A\n")
            .expect_err("three mistakes");
        assert_eq!(
            error.to_string(),
            "h:1: expected an IP address, then names, as in a hosts file; found \"sql1\"\n\
             h:2: expected a host name after 10.0.0.1\n\
             h:4: a stands here with 10.0.0.2, and above with 10.0.0.1"
        );
    }
}
