//! The probe sets of one order as its node takes them: with the redactions of the node's policy, and, of sets that program
//! rules name, those that are for the process.

use stillframe_golang::probe::set::{Described, EnvironmentFits, first_rule};
use stillframe_golang::probe::{ProbeSet, Redaction};
use stillframe_golang::probing::Order;
use stillframe_golang::value::Limits;
use stillframe_target::freezer::Target;

use crate::error::CaptureError;
use crate::policy::Policy;

/// Of an order.
pub(crate) struct Ordered {
    set: ProbeSet,
    of_policy: ProbeSet,
}

/// Of one of its processes.
pub(crate) struct Probes {
    set: ProbeSet,
    redaction: Redaction,
}

impl Ordered {
    /// `source`: text of the order's sets; the coordinator has parsed it, but a node believes nobody.
    pub(crate) fn parse(source: &str, policy: &Policy) -> Result<Ordered, CaptureError> {
        let parse = |source: &str| {
            ProbeSet::parse(source).map_err(|errors| CaptureError::Probes { what: errors.to_string() })
        };
        Ok(Ordered { set: parse(source)?, of_policy: parse(policy.redactions())? })
    }

    /// What the target was started with, as far as program rules ask for it and the policy allows to tell.
    pub(crate) fn environment(&self, target: &Target, policy: &Policy) -> EnvironmentFits {
        let rules = &self.set.programs;
        if !EnvironmentFits::is_asked_by(rules) {
            return EnvironmentFits::NotAsked;
        }
        if let Some(why) = policy.values_refused() {
            return EnvironmentFits::Unknown(why.to_owned());
        }
        let read = target.environment().and_then(|environment| Ok(environment.read()?));
        match read {
            Ok(bytes) => EnvironmentFits::of(rules, &bytes),
            Err(error) => EnvironmentFits::Unknown(error.to_string()),
        }
    }

    /// A core file does not have it where it could be found.
    pub(crate) fn environment_of_core(&self) -> EnvironmentFits {
        match EnvironmentFits::is_asked_by(&self.set.programs) {
            true => EnvironmentFits::Unknown(
                "a core file does not say what its process was started with".to_owned(),
            ),
            false => EnvironmentFits::NotAsked,
        }
    }

    /// What it is about a process. Where it is not known which rule is the process's own, nothing that rules ask for.
    pub(crate) fn of_process(self, process: &Described<'_>, environment: &EnvironmentFits) -> Probes {
        let Ordered { set, of_policy } = self;
        let rule = first_rule(&set.programs, process, |rule| environment.fits(rule));
        let number = rule.ok().flatten().map(|rule| rule.number);
        let set = set.for_rule(number);
        let redaction = Redaction::of([&set, &of_policy]);
        Probes { set, redaction }
    }
}

impl Probes {
    pub(crate) fn order<'a>(&'a self, program: &'a str, policy: &'a Policy) -> Order<'a> {
        Order {
            sets: std::slice::from_ref(&self.set),
            program,
            redact: &self.redaction,
            limits: Limits::default(),
            refused: policy.values_refused(),
        }
    }
}
