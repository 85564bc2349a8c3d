//! The shell of every state machine: an actor that hands it events and the time, and its effects to a carrier.
//!
//! Messages to an actor carry control only. Its mailbox has no bound, so whatever a peer can send as fast as it likes is
//! metered: a [`Meter`] gives a permit for each message, which is given back when the message was handled.

use std::sync::Arc;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, ActorRuntime, SupervisionEvent};

pub use ractor::ActorId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use crate::clock::Clock;
use crate::machine::Machine;
use crate::time::Moment;

/// Messages of one peer that wait to be handled.
const METERED_MAX: usize = 64;

pub enum Input<E> {
    Event(E),
    Metered(E, OwnedSemaphorePermit),
    Tick,
    /// End, once everything before this was handled.
    Stop,
}

/// Where events for an actor go.
pub struct Mailbox<E: Send + 'static>(ActorRef<Input<E>>);

impl<E: Send + 'static> Clone for Mailbox<E> {
    fn clone(&self) -> Self {
        Mailbox(self.0.clone())
    }
}

impl<E: Send + 'static> Mailbox<E> {
    /// An actor that has ended needs no event any more: what is sent to it then is dropped.
    pub fn tell(&self, event: E) {
        let _ = self.0.cast(Input::Event(event));
    }

    pub fn stop(&self) {
        let _ = self.0.cast(Input::Stop);
    }

    pub fn id(&self) -> ActorId {
        self.0.get_id()
    }

    pub fn cell(&self) -> ActorCell {
        self.0.get_cell()
    }
}

/// For events that a peer causes.
pub struct Meter<E: Send + 'static> {
    mailbox: Mailbox<E>,
    permits: Arc<Semaphore>,
}

impl<E: Send + 'static> Meter<E> {
    pub fn new(mailbox: Mailbox<E>) -> Self {
        Meter { mailbox, permits: Arc::new(Semaphore::new(METERED_MAX)) }
    }

    /// Waits until fewer than 64 of this meter's events are unhandled.
    pub async fn tell(&self, event: E) {
        // The semaphore is never closed.
        if let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await {
            let _ = self.mailbox.0.cast(Input::Metered(event, permit));
        }
    }
}

/// Carries out what a machine wants done. Nothing here blocks: longer work is a task of its own, which answers by an event.
pub trait Carrier<M: Machine>: Send + 'static
where
    M::Event: Send + 'static,
{
    fn carry(&mut self, me: &Mailbox<M::Event>, effect: M::Effect);

    /// An actor that this one started has ended; `failure`: it panicked.
    fn child_ended(&mut self, _me: &Mailbox<M::Event>, _child: ActorId, _failure: Option<String>) {}

    /// All effects of one event were carried out.
    fn carried(&mut self, _me: &Mailbox<M::Event>, _machine: &M) {}
}

struct Shell<M, C>(std::marker::PhantomData<fn() -> (M, C)>);

struct State<M: Machine, C> {
    machine: M,
    carrier: C,
    clock: Clock,
    effects: Vec<M::Effect>,
    timer: Option<(Moment, AbortHandle)>,
}

/// Starts an actor, under `supervisor` if there is one. Needs a running tokio.
pub fn start<M, C>(machine: M, carrier: C, clock: Clock, supervisor: Option<ActorCell>) -> Mailbox<M::Event>
where
    M: Machine + Send + 'static,
    M::Event: Send + 'static,
    M::Effect: Send + 'static,
    C: Carrier<M>,
{
    let state = State { machine, carrier, clock, effects: Vec::new(), timer: None };
    let shell = Shell(std::marker::PhantomData);
    let started = match supervisor {
        Some(supervisor) => ActorRuntime::spawn_linked_instant(None, shell, state, supervisor),
        None => ActorRuntime::spawn_instant(None, shell, state),
    };
    let (actor, _) = started.expect("only the name of an actor can be refused, and this one has none");
    Mailbox(actor)
}

impl<M, C> Actor for Shell<M, C>
where
    M: Machine + Send + 'static,
    M::Event: Send + 'static,
    M::Effect: Send + 'static,
    C: Carrier<M>,
{
    type Msg = Input<M::Event>;
    type State = State<M, C>;
    type Arguments = State<M, C>;

    async fn pre_start(
        &self,
        me: ActorRef<Self::Msg>,
        mut state: Self::State,
    ) -> Result<Self::State, ActorProcessingErr> {
        state.set_timer(&me);
        Ok(state)
    }

    async fn handle(
        &self,
        me: ActorRef<Self::Msg>,
        input: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let now = state.clock.now();
        match input {
            Input::Event(event) | Input::Metered(event, _) => {
                state.machine.handle(now, event, &mut state.effects)
            }
            Input::Tick => {
                state.timer = None;
                state.machine.tick(now, &mut state.effects);
            }
            Input::Stop => {
                me.stop(None);
                return Ok(());
            }
        }
        let mailbox = Mailbox(me.clone());
        for effect in std::mem::take(&mut state.effects) {
            state.carrier.carry(&mailbox, effect);
        }
        state.carrier.carried(&mailbox, &state.machine);
        state.set_timer(&me);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (child, failure) = match event {
            SupervisionEvent::ActorFailed(child, error) => (child, Some(error.to_string())),
            SupervisionEvent::ActorTerminated(child, ..) => (child, None),
            _ => return Ok(()),
        };
        if let Some(failure) = &failure {
            tracing::error!(%failure, "an actor failed: report this as a bug");
        }
        state.carrier.child_ended(&Mailbox(me), child.get_id(), failure);
        Ok(())
    }
}

impl<M: Machine, C> State<M, C>
where
    M::Event: Send + 'static,
{
    fn set_timer(&mut self, me: &ActorRef<Input<M::Event>>) {
        let wake_at = self.machine.wake_at();
        if self.timer.as_ref().map(|(at, _)| *at) == wake_at {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            timer.abort();
        }
        self.timer = wake_at.map(|at| {
            let (me, until) = (me.clone(), self.clock.instant(at));
            let timer = tokio::spawn(async move {
                tokio::time::sleep_until(until).await;
                let _ = me.cast(Input::Tick);
            });
            (at, timer.abort_handle())
        });
    }
}

impl<M: Machine, C> Drop for State<M, C> {
    fn drop(&mut self) {
        if let Some((_, timer)) = self.timer.take() {
            timer.abort();
        }
    }
}
