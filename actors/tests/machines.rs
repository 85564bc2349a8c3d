//! Scenarios and properties of the state machines. What a scenario did is kept beside it, in `scenarios/*.snap`.

#[path = "scenarios/script.rs"]
mod script;

#[path = "scenarios/capture.rs"]
mod capture;
#[path = "scenarios/coordinator.rs"]
mod coordinator;
#[path = "scenarios/node.rs"]
mod node;
#[path = "scenarios/properties.rs"]
mod properties;
#[path = "scenarios/session.rs"]
mod session;
#[path = "scenarios/snapshot.rs"]
mod snapshot;
#[path = "scenarios/writer.rs"]
mod writer;
