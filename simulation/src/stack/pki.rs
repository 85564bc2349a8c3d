//! Two certificate authorities: the cluster's, and that of strangers. Keys and serial numbers are fixed: a certificate has
//! the same bytes in every run.

use std::sync::LazyLock;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SerialNumber,
};
use stillframe_actors::quic::{COORDINATOR_NAME, Credentials};

/// Everything but the key itself of an Ed25519 key in PKCS #8 (RFC 8410, section 7).
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

pub struct Pki {
    pub coordinator: Credentials,
    /// Takes strangers' certificates, too: a planted defect.
    pub careless_coordinator: Credentials,
    pub node: Credentials,
    /// Believes the coordinator, and is not believed.
    pub stranger: Credentials,
}

/// The same for all runs of this process, and of any other.
pub static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let (ours, theirs) = (Authority::new(1), Authority::new(2));
    let coordinator = ours.credentials(3, COORDINATOR_NAME, ExtendedKeyUsagePurpose::ServerAuth);
    let both = format!("{}{}", ours.pem, theirs.pem);
    let stranger = theirs.credentials(5, "node.stillframe", ExtendedKeyUsagePurpose::ClientAuth);
    Pki {
        careless_coordinator: Credentials { ca: both, ..coordinator.clone() },
        coordinator,
        node: ours.credentials(4, "node.stillframe", ExtendedKeyUsagePurpose::ClientAuth),
        stranger: Credentials { ca: ours.pem, ..stranger },
    }
});

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// `number` stands for the key: it is all of its bytes.
fn key(number: u8) -> KeyPair {
    let bytes = [PKCS8_HEAD.as_slice(), &[number; 32]].concat();
    KeyPair::try_from(bytes.as_slice()).expect("PKCS #8 takes any 32 bytes for an Ed25519 key")
}

impl Authority {
    fn new(number: u8) -> Authority {
        let key = key(number);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.serial_number = Some(SerialNumber::from(u64::from(number)));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).expect("a certificate of fixed content is made");
        Authority { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    fn credentials(&self, number: u8, name: &str, usage: ExtendedKeyUsagePurpose) -> Credentials {
        let key = key(number);
        let mut params =
            CertificateParams::new(vec![name.to_owned()]).expect("the names are names of the DNS");
        params.serial_number = Some(SerialNumber::from(u64::from(number)));
        params.extended_key_usages = vec![usage];
        let certificate =
            params.signed_by(&key, &self.issuer).expect("a certificate of fixed content is made");
        Credentials { ca: self.pem.clone(), certificate: certificate.pem(), key: key.serialize_pem() }
    }
}
