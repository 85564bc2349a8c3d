//! The probe sets of one order as its node takes them: with the redactions of the node's policy.

use stillframe_golang::probe::{ProbeSet, Redaction};
use stillframe_golang::probing::Order;
use stillframe_golang::value::Limits;

use crate::error::CaptureError;
use crate::policy::Policy;

pub(crate) struct Probes {
    sets: Vec<ProbeSet>,
    redaction: Redaction,
}

impl Probes {
    /// `source`: text of the order's sets; the coordinator has parsed it, but a node believes nobody.
    pub(crate) fn parse(source: &str, policy: &Policy) -> Result<Probes, CaptureError> {
        let parse = |source: &str| {
            ProbeSet::parse(source).map_err(|errors| CaptureError::Probes { what: errors.to_string() })
        };
        let sets = vec![parse(source)?];
        let of_policy = parse(policy.redactions())?;
        let redaction = Redaction::of(sets.iter().chain([&of_policy]));
        Ok(Probes { sets, redaction })
    }

    pub(crate) fn order<'a>(&'a self, program: &'a str, policy: &'a Policy) -> Order<'a> {
        Order {
            sets: &self.sets,
            program,
            redact: &self.redaction,
            limits: Limits::default(),
            refused: policy.values_refused(),
        }
    }
}
