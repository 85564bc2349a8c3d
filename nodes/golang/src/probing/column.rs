//! One column of a probe at one program counter: the expressions that it may come from, as plans.

use std::rc::Rc;

use crate::deferred::Deferred;
use crate::gap::Gap;
use crate::probe::{FrameView, Plan};
use crate::thread::Registers;
use crate::value::{Reader, Value};
use crate::variable::{FrameVariables, Location};

use super::blocks::View;
use super::captured::Cell;
use super::sites::{Capture, Process};

pub(super) struct Column {
    /// At least one; the first that gives a value is taken.
    ways: Vec<Way>,
}

/// One expression, for one function.
struct Way {
    of: Option<Rc<str>>,
    plan: Result<Plan, Gap>,
    /// Why no frame at the site has a value, whatever memory holds.
    nowhere: Option<Gap>,
    /// It is in a register: in frames whose registers are not known there is no value.
    in_register: bool,
    /// Deferred calls that may have captured what it begins with.
    deferred: Option<Deferred>,
}

impl Column {
    pub(super) fn new(
        plans: Vec<Result<Plan, Gap>>,
        variables: &FrameVariables,
        captured_by: &dyn Fn(&str) -> Option<Deferred>,
    ) -> Self {
        Column { ways: plans.into_iter().map(|plan| Way::new(plan, variables, captured_by)).collect() }
    }

    /// What is known of a frame's value without looking.
    pub(super) fn missing(&self, has_registers: bool) -> Option<Cell> {
        let mut worst: Option<(&Way, &Gap)> = None;
        for way in &self.ways {
            let gap = way.missing(has_registers)?;
            // That an expression is for another release is no news if one is for this release.
            if worst.is_none_or(|(_, worst)| matches!(worst, Gap::Expression(_))) {
                worst = Some((way, gap));
            }
        }
        let (way, gap) = worst?;
        Some(Cell::missing(way.of.clone(), gap.clone()))
    }

    /// `frame`: where it ends, and whether its function has begun for sure.
    pub(super) fn evaluate(
        &self,
        process: &Process<'_>,
        capture: &Capture,
        frame: (u64, bool),
        registers: Option<&Registers>,
        view: &View<'_>,
    ) -> Cell {
        let mut first = None;
        for way in self.ways.iter().filter(|way| way.missing(registers.is_some()).is_none()) {
            let cell = way.evaluate(process, capture, frame, registers, view);
            if !matches!(cell.value, Value::Missing(_)) {
                return cell;
            }
            first = first.or(Some(cell));
        }
        first
            .or_else(|| self.missing(registers.is_some()))
            .unwrap_or_else(|| Cell::missing(None, Gap::OptimizedOut))
    }
}

impl Way {
    fn new(
        plan: Result<Plan, Gap>,
        variables: &FrameVariables,
        captured_by: &dyn Fn(&str) -> Option<Deferred>,
    ) -> Self {
        let of = plan.as_ref().ok().and_then(Plan::type_name).map(Rc::from);
        let begins_at = plan.as_ref().ok().and_then(Plan::variable);
        let variable = begins_at.and_then(|name| variables.variables.iter().find(|v| v.name == name));
        let deferred = begins_at.and_then(captured_by);
        let location = variable.map(|v| &v.location).filter(|_| deferred.is_none());
        let nowhere = match (&plan, location) {
            (Err(gap), _) | (_, Some(Location::Missing(gap))) => Some(gap.clone()),
            _ => None,
        };
        let in_register = matches!(location, Some(Location::Register(_)));
        Way { of, plan, nowhere, in_register, deferred }
    }

    fn missing(&self, has_registers: bool) -> Option<&Gap> {
        let in_register = (self.in_register && !has_registers).then_some(&Gap::InRegister);
        self.nowhere.as_ref().or(in_register)
    }

    fn evaluate(
        &self,
        process: &Process<'_>,
        capture: &Capture,
        (frame_end, has_begun): (u64, bool),
        registers: Option<&Registers>,
        view: &View<'_>,
    ) -> Cell {
        let plan = match &self.plan {
            Ok(plan) => plan,
            Err(gap) => return Cell::missing(self.of.clone(), gap.clone()),
        };
        let order = process.order;
        let frame = FrameView {
            variables: &capture.variables,
            frame_end,
            bias: process.runtime.bias,
            registers,
            deferred: self.deferred.filter(|_| has_begun),
            now_unix_ns: process.now_unix_ns,
        };
        let types = process.types(view);
        let reader = Reader::new(&types, view, &process.facts, &process.code, order.redact, order.limits);
        let evaluated = plan.evaluate(&frame, &reader);
        let of = match (evaluated.type_name, &self.of) {
            (Some(name), Some(of)) if **of == *name => Some(Rc::clone(of)),
            (Some(name), _) => Some(Rc::from(name)),
            (None, of) => of.clone(),
        };
        Cell { of, value: evaluated.value, address: evaluated.address }
    }
}
