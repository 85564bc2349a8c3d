//! Carries out the plan's faults on hosts and links.

use std::collections::BTreeMap;

use turmoil::Sim;

use super::plan::{Fault, Plan};
use super::world::{COORDINATOR, World, node_host};
use crate::oracle::Observation;

/// What happens at a time of the plan.
enum Act {
    Fault(Fault),
    /// One of its windows is over.
    Link(usize),
    Restart(Option<usize>),
    /// The host does not come back.
    Gone(usize),
}

pub struct Faults {
    acts: BTreeMap<(u64, usize), Act>,
    /// Of each host's link: until when it is what.
    links: Vec<Link>,
    pub by_kind: BTreeMap<&'static str, u64>,
}

/// Until when.
#[derive(Clone, Debug, Default)]
struct Link {
    partitioned_ns: u64,
    to_coordinator_ns: u64,
    to_node_ns: u64,
    held_ns: u64,
}

impl Faults {
    pub fn new(plan: &Plan) -> Faults {
        let links = vec![Link::default(); plan.hosts.len()];
        let mut faults = Faults { acts: BTreeMap::new(), links, by_kind: BTreeMap::new() };
        for fault in &plan.faults {
            faults.at(fault.at_ns, Act::Fault(fault.what.clone()));
        }
        for (host, exists) in plan.hosts.iter().enumerate().filter_map(|(i, h)| Some((i, h.exists?))) {
            faults.at(exists.1, Act::Gone(host));
        }
        faults
    }

    fn at(&mut self, at_ns: u64, act: Act) {
        let last = self.acts.range((at_ns, 0)..=(at_ns, usize::MAX)).next_back();
        let next = last.map_or(0, |((_, number), _)| number + 1);
        self.acts.insert((at_ns, next), act);
    }

    /// All is as it was before.
    pub fn are_over(&self) -> bool {
        self.acts.is_empty()
    }

    /// Carries out what is due.
    pub fn carry_out(&mut self, world: &World, sim: &mut Sim, now_ns: u64) {
        let triggered = std::mem::take(&mut world.lock().triggered);
        for (at_ns, fault) in triggered {
            self.at(at_ns, Act::Fault(fault));
        }
        while let Some(entry) = self.acts.first_entry()
            && entry.key().0 <= now_ns
        {
            let act = entry.remove();
            match act {
                Act::Fault(fault) => self.fault(world, sim, now_ns, fault),
                Act::Link(host) => self.set_link(sim, now_ns, host),
                Act::Restart(None) => {
                    world.line(format_args!("the coordinator starts again"));
                    sim.bounce(COORDINATOR);
                }
                Act::Restart(Some(host)) => {
                    let is_gone = world.plan().hosts[host].exists.is_some_and(|(_, until)| until <= now_ns);
                    if !is_gone {
                        world.line(format_args!("node {host} starts again"));
                        world.lock().nodes.insert(host, None);
                        sim.bounce(node_host(host));
                    }
                }
                Act::Gone(host) => crash_node(world, sim, host),
            }
        }
    }

    fn fault(&mut self, world: &World, sim: &mut Sim, now_ns: u64, fault: Fault) {
        world.line(format_args!("fault: {fault:?}"));
        *self.by_kind.entry(fault.kind()).or_default() += 1;
        let later = |until: &mut u64, for_ns: u64| *until = (*until).max(now_ns + for_ns);
        let (host, for_ns) = match fault {
            Fault::Partition { host, for_ns } => {
                later(&mut self.links[host].partitioned_ns, for_ns);
                (host, for_ns)
            }
            Fault::Stall { host, to_coordinator, for_ns } => {
                let link = &mut self.links[host];
                later(
                    if to_coordinator { &mut link.to_coordinator_ns } else { &mut link.to_node_ns },
                    for_ns,
                );
                (host, for_ns)
            }
            Fault::Hold { host, for_ns } => {
                later(&mut self.links[host].held_ns, for_ns);
                (host, for_ns)
            }
            Fault::Loss { lost_percent, twice_percent, for_ns } => {
                world.lock().loss = (now_ns + for_ns, lost_percent, twice_percent);
                return;
            }
            Fault::ConnectionKilled { host, by_coordinator } => {
                world.lock().kill(host, by_coordinator);
                return;
            }
            Fault::WhenItSends { host, after_ns, what } => {
                world.lock().armed.insert(host, (after_ns, *what));
                return;
            }
            Fault::NodeCrash { host, down_ns } => {
                if sim.is_host_running(node_host(host)) {
                    crash_node(world, sim, host);
                    self.at(now_ns + down_ns, Act::Restart(Some(host)));
                }
                return;
            }
            Fault::CoordinatorCrash { down_ns } => {
                if sim.is_host_running(COORDINATOR) {
                    crash_coordinator(world, sim);
                    self.at(now_ns + down_ns, Act::Restart(None));
                }
                return;
            }
            Fault::ClockJump { host, by_ns } => {
                let clock = host.unwrap_or(world.plan().hosts.len());
                world.lock().clock_jumps[clock] += by_ns;
                return;
            }
            Fault::DiskFails { for_ns } => {
                world.lock().disk.fails_until_ns = now_ns + for_ns;
                return;
            }
            Fault::DiskSlow { for_ns, operation } => {
                world.lock().disk_slow = (now_ns + for_ns, operation);
                return;
            }
        };
        self.set_link(sim, now_ns, host);
        self.at(now_ns + for_ns, Act::Link(host));
    }

    /// What was held arrives when nothing holds it any more; a partition drops it.
    fn set_link(&self, sim: &Sim, now_ns: u64, host: usize) {
        let (link, node) = (&self.links[host], node_host(host));
        let lasts = |until_ns: u64| now_ns < until_ns;
        sim.release(&*node, COORDINATOR);
        if lasts(link.partitioned_ns) {
            return sim.partition(&*node, COORDINATOR);
        }
        if lasts(link.held_ns) {
            sim.hold(&*node, COORDINATOR);
        }
        if lasts(link.to_coordinator_ns) {
            sim.partition_oneway(&*node, COORDINATOR);
        }
        if lasts(link.to_node_ns) {
            sim.partition_oneway(COORDINATOR, &*node);
        }
    }
}

/// Its spool is lost, its connection goes silent, its freezer resumes what stands still.
fn crash_node(world: &World, sim: &mut Sim, host: usize) {
    if world.lock().nodes.remove(&host).is_some() {
        world.line(format_args!("node {host} crashes"));
        sim.crash(node_host(host));
        let mut state = world.lock();
        for freeze in std::mem::take(&mut state.resumed_by_crash) {
            state.observe(Observation::Resumed { freeze });
        }
    }
}

fn crash_coordinator(world: &World, sim: &mut Sim) {
    sim.crash(COORDINATOR);
    let mut state = world.lock();
    let runs = std::mem::take(&mut state.runs);
    for (order, run) in runs.stores {
        if runs.failed.contains(&run) && state.disk.named_by(run).is_some() {
            state.observe(Observation::MayHaveStayed { order });
        }
    }
    state.overview = None;
    state.oracles.coordinator_crashed();
}
