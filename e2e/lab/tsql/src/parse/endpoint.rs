//! CREATE ENDPOINT and ALTER ENDPOINT, for database mirroring over TCP.
//!
//! The forms of their reference pages, without certificates, AUTHORIZATION and an address of its own.

use super::lex::Tok;
use super::{Parser, Result};
use crate::ast::Stmt;
use crate::error::SqlError;
use crate::host::{EndpointChange, EndpointRole, EndpointState};

impl Parser {
    pub(super) fn endpoint(&mut self, create: bool) -> Result<Stmt> {
        let name = self.identifier()?;
        let mut change = EndpointChange { create, name, state: None, port: None, role: None };
        if self.eat("STATE") {
            self.need_op("=")?;
            change.state = Some(match self.one_of(&["STARTED", "STOPPED", "DISABLED"])?.as_str() {
                "STARTED" => EndpointState::Started,
                "STOPPED" => EndpointState::Stopped,
                _ => EndpointState::Disabled,
            });
        }
        if create || self.is("AS") {
            self.need("AS")?;
            self.need("TCP")?;
            change.port = Some(self.in_parens(Parser::listener)?);
        }
        if create || self.is("FOR") {
            self.need("FOR")?;
            self.need("DATABASE_MIRRORING")?;
            change.role = self.in_parens(Parser::mirroring_options)?;
        }
        // The role has no default.
        if create && change.role.is_none() {
            return self.fail();
        }
        Ok(Stmt::Endpoint(change))
    }

    fn listener(&mut self) -> Result<u16> {
        self.need("LISTENER_PORT")?;
        self.need_op("=")?;
        let port = match self.next() {
            Tok::Number(n) => n.parse().map_err(|_| SqlError::near(&n))?,
            tok => return Err(tok.unexpected()),
        };
        if self.eat_op(",") {
            self.need("LISTENER_IP")?;
            self.need_op("=")?;
            self.need("ALL")?;
        }
        Ok(port)
    }

    /// The role, if it is named; how the ends know each other, and what they say in, is not simulated.
    fn mirroring_options(&mut self) -> Result<Option<EndpointRole>> {
        let mut role = None;
        loop {
            match self.one_of(&["AUTHENTICATION", "ENCRYPTION", "ROLE"])?.as_str() {
                "AUTHENTICATION" => {
                    self.need_op("=")?;
                    self.need("WINDOWS")?;
                    let _ = self.one_of(&["NTLM", "KERBEROS", "NEGOTIATE"]);
                }
                "ENCRYPTION" => {
                    self.need_op("=")?;
                    let how = self.one_of(&["DISABLED", "SUPPORTED", "REQUIRED"])?;
                    if how != "DISABLED" && self.eat("ALGORITHM") {
                        let first = self.one_of(&["AES", "RC4"])?;
                        let _ = self.one_of(&[if first == "AES" { "RC4" } else { "AES" }]);
                    }
                }
                _ => {
                    self.need_op("=")?;
                    role = Some(match self.one_of(&["WITNESS", "PARTNER", "ALL"])?.as_str() {
                        "WITNESS" => EndpointRole::Witness,
                        "PARTNER" => EndpointRole::Partner,
                        _ => EndpointRole::All,
                    });
                }
            }
            if !self.eat_op(",") {
                return Ok(role);
            }
        }
    }
}
