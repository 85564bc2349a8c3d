//! Calls between goroutines, as a reader of the file wants to see them.

use serde::Serialize;
use serde_json::Value;

use super::reader::{ReadError, Snapshot};

/// The links of connections; those of probe sets have a meaning of their own. The function is the innermost one of the program's
/// own module, if there is one: the libraries through which it calls are not what it does.
const CALLS: &str = "
select l.link_id, l.protocol, coalesce(ce.method, se.method), l.state, l.confidence, l.evidence,
       (select max(r.age_s) from requests_in_flight r where r.goroutine_id = l.server_goroutine_id),
       l.client_goroutine_id, cp.program, cp.instance, ch.hostname, cp.pid, cg.goid,
       coalesce((select f.name from stack_frames fr join functions f on f.function_id = fr.function_id
                where fr.stack_id = cg.stack_id
                  and (f.package = 'main'
                       or f.package || '/' like substr(cp.main_module || ' ', 1, instr(cp.main_module || ' ', ' ') - 1) || '/%')
                order by fr.depth limit 1), cf.name),
       l.server_goroutine_id, sp.program, sp.instance, sh.hostname, sp.pid, sg.goid,
       coalesce((select f.name from stack_frames fr join functions f on f.function_id = fr.function_id
                where fr.stack_id = sg.stack_id
                  and (f.package = 'main'
                       or f.package || '/' like substr(sp.main_module || ' ', 1, instr(sp.main_module || ' ', ' ') - 1) || '/%')
                order by fr.depth limit 1), sf.name)
from links l
join goroutines cg on cg.goroutine_id = l.client_goroutine_id
join processes cp on cp.process_id = cg.process_id
join hosts ch on ch.host_id = cp.host_id
join stacks cs on cs.stack_id = cg.stack_id
left join functions cf on cf.function_id = cs.user_function_id
left join endpoints ce on ce.endpoint_id = l.client_endpoint_id
left join endpoints se on se.endpoint_id = l.server_endpoint_id
left join goroutines sg on sg.goroutine_id = l.server_goroutine_id
left join processes sp on sp.process_id = sg.process_id
left join hosts sh on sh.host_id = sp.host_id
left join stacks ss on ss.stack_id = sg.stack_id
left join functions sf on sf.function_id = ss.user_function_id
where l.name is null and l.client_endpoint_id is not null and (?1 or l.state <> 'idle')
  and (?2 is null or cp.program glob ?2 or sp.program glob ?2)
order by 7 desc nulls last, l.link_id";

/// What stands in a reason for one end alone is left out of it.
const UNMATCHED: &str = "
select role, protocol, unmatched, count(*)
from endpoints
where unmatched is not null and source <> 'waits'
group by 1, 2, 3
order by 4 desc, 1, 2, 3
limit ?";

#[derive(Clone, Debug, Serialize)]
pub struct Calls {
    pub links: Vec<Call>,
    /// Calls of which one end was found.
    pub unmatched: Vec<Unmatched>,
}

/// One goroutine that waits for another.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    pub link_id: i64,
    pub protocol: String,
    pub method: Option<String>,
    pub state: String,
    pub confidence: String,
    /// How long it has been served, or at least.
    pub age_s: Option<f64>,
    pub client: Caller,
    /// `None`: nobody serves it yet.
    pub server: Option<Caller>,
    pub evidence: Option<Value>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Caller {
    pub goroutine_id: i64,
    pub program: String,
    pub instance: Option<String>,
    pub host: String,
    pub pid: i64,
    pub goid: i64,
    pub function: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Unmatched {
    pub role: String,
    pub protocol: Option<String>,
    pub reason: String,
    pub calls: i64,
}

#[derive(Clone, Debug)]
pub struct CallFilter {
    pub with_idle: bool,
    /// Of the client, or of the server.
    pub program: Option<String>,
    /// Reasons why there is no link.
    pub reasons: u32,
}

impl Snapshot {
    /// Who waits for whom across processes, the longest call first.
    pub fn calls(&self, filter: &CallFilter) -> Result<Calls, ReadError> {
        self.read(|connection| {
            let mut statement = connection.prepare(CALLS)?;
            let links = statement.query_map(rusqlite::params![filter.with_idle, filter.program], call)?;
            let links = links.collect::<rusqlite::Result<_>>()?;
            let mut statement = connection.prepare(UNMATCHED)?;
            let unmatched = statement.query_map([filter.reasons], |row| {
                Ok(Unmatched {
                    role: row.get(0)?,
                    protocol: row.get(1)?,
                    reason: row.get(2)?,
                    calls: row.get(3)?,
                })
            })?;
            Ok(Calls { links, unmatched: unmatched.collect::<rusqlite::Result<_>>()? })
        })
    }
}

fn call(row: &rusqlite::Row<'_>) -> rusqlite::Result<Call> {
    let caller = |at: usize| {
        Ok::<_, rusqlite::Error>(Caller {
            goroutine_id: row.get(at)?,
            program: row.get(at + 1)?,
            instance: row.get(at + 2)?,
            host: row.get(at + 3)?,
            pid: row.get(at + 4)?,
            goid: row.get(at + 5)?,
            function: row.get(at + 6)?,
        })
    };
    // Whatever the file says there that is no JSON is not shown.
    let evidence: Option<String> = row.get(5)?;
    Ok(Call {
        link_id: row.get(0)?,
        protocol: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
        method: row.get(2)?,
        state: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
        confidence: row.get(4)?,
        age_s: row.get(6)?,
        client: caller(7)?,
        server: row.get::<_, Option<i64>>(14)?.map(|_| caller(14)).transpose()?,
        evidence: evidence.and_then(|text| serde_json::from_str(&text).ok()),
    })
}
