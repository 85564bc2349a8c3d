//! Who may talk to the coordinator: a CA of its own, made at first use, and the certificates that it signs.
//!
//! The folder holds `ca.pem`, `ca.key` and `reset.key`; it is there whole or not at all. The coordinator's own certificate
//! is made anew at every start. Nodes get one file with everything that they need.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, date_time_ymd,
};
use ring::rand::{SecureRandom, SystemRandom};
use stillframe_actors::quic::{COORDINATOR_NAME, Credentials};
use x509_parser::pem::parse_x509_pem;

use super::data_folder::{FolderError, write_folder};

/// The name in every node's certificate. Which node it is, it says itself; join tokens will bind it.
pub const NODE_NAME: &str = "node.stillframe";

const DAY: Duration = Duration::from_secs(24 * 3600);
const CA_DAYS: u32 = 3_650;
/// Made anew at every start; a coordinator that runs for longer must be restarted.
const COORDINATOR_DAYS: u32 = 730;
const NODE_DAYS: u32 = 365;
/// Clocks of hosts differ: a certificate is valid from this time before it was made.
const BACKDATED: Duration = Duration::from_secs(3600);

#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("{}: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("{}: the CA's certificate has expired", path.display())]
    Expired { path: PathBuf },
    #[error("no key or certificate can be made: {0}")]
    Made(String),
}

impl PkiError {
    pub fn remedy(&self) -> &'static str {
        match self {
            PkiError::Folder(error) => error.remedy(),
            PkiError::Damaged { .. } => {
                "put the folder pki back from a backup; or delete it, and give every node new credentials"
            }
            PkiError::Expired { .. } => "delete the folder pki, and give every node new credentials",
            PkiError::Made(_) => "this is a defect of Stillframe; report it with its version",
        }
    }
}

/// The CA with its key.
pub struct Pki {
    ca_pem: String,
    issuer: Issuer<'static, KeyPair>,
    reset_key: [u8; 64],
}

impl Pki {
    /// Reads the CA from its folder, or makes it there if there is none. `now_unix_ns`: the wall clock.
    pub fn open(folder: &Path, now_unix_ns: i64) -> Result<Pki, PkiError> {
        if !folder.exists() {
            make(folder, now_unix_ns)?;
        }
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(FolderError::of(&path))
        };
        let damaged =
            |name: &str, what: &str| PkiError::Damaged { path: folder.join(name), what: what.to_owned() };
        let text = |name| String::from_utf8(read(name)?).map_err(|_| damaged(name, "it is no PEM text"));
        let ca_pem = text("ca.pem")?;
        // What a parser says of a key must not get into a log: only that it is none.
        let key =
            KeyPair::from_pem(&text("ca.key")?).map_err(|_| damaged("ca.key", "it is no private key"))?;
        let reset_key =
            read("reset.key")?.try_into().map_err(|_| damaged("reset.key", "it has not 64 bytes"))?;

        let not_a_certificate = || damaged("ca.pem", "it is no certificate");
        let (_, pem) = parse_x509_pem(ca_pem.as_bytes()).map_err(|_| not_a_certificate())?;
        let certificate = pem.parse_x509().map_err(|_| not_a_certificate())?;
        if certificate.public_key().subject_public_key.data != key.public_key_raw() {
            return Err(damaged("ca.key", "it is not the key of ca.pem"));
        }
        if certificate.validity().not_after.timestamp() <= now_unix_ns / 1_000_000_000 {
            return Err(PkiError::Expired { path: folder.join("ca.pem") });
        }
        let issuer = Issuer::from_ca_cert_pem(&ca_pem, key).map_err(|_| not_a_certificate())?;
        Ok(Pki { ca_pem, issuer, reset_key })
    }

    /// Kept over restarts, so that nodes notice one at once.
    pub fn reset_key(&self) -> &[u8; 64] {
        &self.reset_key
    }

    pub fn coordinator(&self, now_unix_ns: i64) -> Result<Credentials, PkiError> {
        self.sign(COORDINATOR_NAME, ExtendedKeyUsagePurpose::ServerAuth, now_unix_ns, COORDINATOR_DAYS)
    }

    /// What a node needs to be admitted, valid for a year. Whoever has it may be a node: it is a secret.
    pub fn node(&self, now_unix_ns: i64) -> Result<Credentials, PkiError> {
        self.sign(NODE_NAME, ExtendedKeyUsagePurpose::ClientAuth, now_unix_ns, NODE_DAYS)
    }

    fn sign(
        &self,
        name: &str,
        usage: ExtendedKeyUsagePurpose,
        now_unix_ns: i64,
        days: u32,
    ) -> Result<Credentials, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(made)?;
        let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(made)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        set_validity(&mut params, now_unix_ns, days);
        let certificate = params.signed_by(&key, &self.issuer).map_err(made)?.pem();
        Ok(Credentials { ca: self.ca_pem.clone(), certificate, key: key.serialize_pem() })
    }
}

fn make(folder: &Path, now_unix_ns: i64) -> Result<(), PkiError> {
    let key = KeyPair::generate_for(&PKCS_ED25519).map_err(made)?;
    let mut params = CertificateParams::new(Vec::new()).map_err(made)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "Stillframe CA");
    set_validity(&mut params, now_unix_ns, CA_DAYS);
    let certificate = params.self_signed(&key).map_err(made)?.pem();
    let mut reset_key = [0; 64];
    SystemRandom::new().fill(&mut reset_key).map_err(|_| PkiError::Made("no random bytes".to_owned()))?;
    let key = key.serialize_pem();
    write_folder(
        folder,
        &[("ca.pem", certificate.as_bytes()), ("ca.key", key.as_bytes()), ("reset.key", &reset_key)],
    )?;
    tracing::info!(folder = %folder.display(), "a new CA was made");
    Ok(())
}

fn set_validity(params: &mut CertificateParams, now_unix_ns: i64, days: u32) {
    let now = Duration::from_nanos(u64::try_from(now_unix_ns).unwrap_or(0));
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(BACKDATED);
    params.not_after = epoch + now + DAY * days;
}

fn made(error: rcgen::Error) -> PkiError {
    PkiError::Made(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOW: i64 = 1_795_000_000_000_000_000;

    #[test]
    fn a_ca_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pki");
        let made = Pki::open(&path, NOW).unwrap();
        let read = Pki::open(&path, NOW).unwrap();
        assert_eq!(made.ca_pem, read.ca_pem);
        assert_eq!(made.reset_key(), read.reset_key());
        assert_ne!(made.reset_key(), &[0; 64]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        for name in ["ca.pem", "ca.key", "reset.key"] {
            assert_eq!(fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
        // Signed by the CA that was read, and good for TLS.
        read.coordinator(NOW).unwrap().server().unwrap();
        let node = made.node(NOW).unwrap();
        let copied = Credentials::from_pem(&node.to_pem()).unwrap();
        assert_eq!((&copied.ca, &copied.certificate, &copied.key), (&node.ca, &node.certificate, &node.key));
        copied.client().unwrap();
    }

    #[test]
    fn validity_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::open(&folder.path().join("pki"), NOW).unwrap();
        let node = pki.node(NOW).unwrap();
        let (_, pem) = parse_x509_pem(node.certificate.as_bytes()).unwrap();
        let validity = pem.parse_x509().unwrap().validity().clone();
        assert_eq!(validity.not_before.timestamp(), NOW / 1_000_000_000 - 3_600);
        assert_eq!(validity.not_after.timestamp(), NOW / 1_000_000_000 + 365 * 86_400);
    }

    #[test]
    fn what_is_damaged_or_expired_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pki");
        Pki::open(&path, NOW).unwrap();
        let late = NOW + (3_651 * DAY).as_nanos() as i64;
        assert!(matches!(Pki::open(&path, late), Err(PkiError::Expired { .. })));
        let other = KeyPair::generate_for(&PKCS_ED25519).unwrap().serialize_pem();
        let wrong: [(&str, &[u8], &str); 4] = [
            ("ca.key", other.as_bytes(), "not the key of ca.pem"),
            ("ca.key", b"nothing", "no private key"),
            ("reset.key", b"short", "64 bytes"),
            ("ca.pem", b"nothing", "no certificate"),
        ];
        for (name, content, what) in wrong {
            let good = fs::read(path.join(name)).unwrap();
            fs::write(path.join(name), content).unwrap();
            let error = Pki::open(&path, NOW).err().unwrap().to_string();
            assert!(error.contains(what), "{error}");
            fs::write(path.join(name), good).unwrap();
        }
        Pki::open(&path, NOW).unwrap();
    }

    #[test]
    fn a_damaged_file_of_credentials_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pem = Pki::open(&folder.path().join("pki"), NOW).unwrap().node(NOW).unwrap().to_pem();
        for damaged in ["", "text", &pem[..pem.len() / 2], &pem.replace("PRIVATE KEY", "CERTIFICATE")] {
            assert!(Credentials::from_pem(damaged).is_err(), "{damaged}");
        }
    }
}
