//! A certificate authority for a lab and the certificates of its hosts.
//!
//! Answers for certificates that a strict client accepts by name and by address, and that nobody outside the lab should.

use std::net::Ipv4Addr;

use rcgen::{BasicConstraints, CertificateParams, DnType, Issuer, KeyPair, KeyUsagePurpose, SanType};

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// A host's certificate and key, both PEM.
#[derive(Clone)]
pub struct Certificate {
    /// The certificate.
    pub chain: String,
    /// Its PKCS#8 key.
    pub key: String,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificate")
    }
}

impl Authority {
    /// A new authority of this name.
    ///
    /// # Errors
    /// Those of the library that makes keys.
    pub fn new(name: &str) -> Result<Authority, rcgen::Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Authority { issuer: Issuer::new(params, key), pem })
    }

    /// The authority's own certificate, which clients have to trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for a host under all of its names and its address.
    ///
    /// # Errors
    /// Names that cannot stand in a certificate.
    pub fn issue(&self, names: &[String], address: Ipv4Addr) -> Result<Certificate, rcgen::Error> {
        let mut params = CertificateParams::new(names.to_vec())?;
        if let Some(name) = names.first() {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.subject_alt_names.push(SanType::IpAddress(address.into()));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let chain = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Certificate { chain, key: key.serialize_pem() })
    }
}
