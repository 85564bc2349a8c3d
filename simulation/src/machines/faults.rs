//! Carries out the plan's faults.

use super::network::Wire;
use super::world::{Occurrence, World};
use crate::plan::Fault;

impl World<'_> {
    pub(super) fn fault(&mut self, i: usize) {
        let fault = &self.plan.faults[i].what;
        let now_ns = self.now_ns;
        self.log.line(now_ns, format_args!("fault: {fault:?}"));
        *self.faults_by_kind.entry(fault.kind()).or_default() += 1;
        match *fault {
            Fault::ConnectionLost { host, node_after_ns, coordinator_after_ns } => {
                let all = self.connections.iter().filter(|(_, c)| c.host == host);
                let numbers: Vec<u64> = all.map(|(number, _)| *number).collect();
                for connection in numbers {
                    self.after(node_after_ns, Occurrence::ConnectionLost { connection, end: Wire::Node });
                    self.after(
                        coordinator_after_ns,
                        Occurrence::ConnectionLost { connection, end: Wire::Coordinator },
                    );
                }
            }
            Fault::Partition { host, for_ns } => {
                let link = &mut self.hosts[host].link;
                link.partitioned_until = link.partitioned_until.max(now_ns + for_ns);
                if for_ns > self.plan.network.idle_ns {
                    self.idle_out(host, now_ns);
                }
            }
            Fault::Stall { host, to_coordinator, for_ns } => {
                let end = if to_coordinator { Wire::Coordinator } else { Wire::Node };
                let until = &mut self.hosts[host].link.stalled_until[end as usize];
                *until = (*until).max(now_ns + for_ns);
                // Whether the transport notices or the machines' own deadlines do.
                if for_ns > self.plan.network.idle_ns && self.random.percent(50) {
                    self.idle_out(host, now_ns);
                }
            }
            Fault::NodeCrash { host, down_ns } => {
                self.crash_node(host);
                if self.plan.hosts[host].exists.is_none() {
                    self.after(down_ns, Occurrence::Restart(Some(host)));
                }
            }
            Fault::CoordinatorCrash { down_ns, loses_power } => {
                self.crash_coordinator(loses_power);
                self.after(down_ns, Occurrence::Restart(None));
            }
            Fault::ClockJump { host, by_ns } => {
                self.clock_jumps[host.unwrap_or(self.plan.hosts.len())] += by_ns;
            }
            Fault::DiskFull { for_ns } => self.disk.full_until_ns = now_ns + for_ns,
            Fault::DiskFails { for_ns } => self.disk.fails_until_ns = now_ns + for_ns,
            Fault::DiskSlow { for_ns, operation_ns } => {
                self.disk.slow_until_ns = now_ns + for_ns;
                self.disk.operation_ns = operation_ns;
            }
            Fault::PowerLostAtStep { step, down_ns } => self.disk.power_lost_at = Some((step, down_ns)),
            Fault::StreamLate { host, by_ns } => self.hosts[host].stream_late_ns = by_ns,
            Fault::StreamTwice { host } => self.hosts[host].stream_twice = true,
            Fault::StreamCorrupt { host } => self.hosts[host].stream_corrupt = true,
        }
    }
}
