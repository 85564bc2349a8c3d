//! What a file knows of who is at the ends of its connections, part by part, for the linker.
//!
//! Most ends are rows that probe sets have made. The rest is made here: goroutines that wait for bytes of a connection, and are
//! not known to do so for a call of theirs. Those are connections of protocols that no pack knows, and read loops.

use rusqlite::{Connection, Row, params};
use stillframe_actors::linker::facts::{End, Process, Role, Socket, Window};
use stillframe_actors::linker::{Part, Place};

/// Rows of one part.
const PART_ROWS: i64 = 20_000;
/// The `source` of endpoints that are made here.
pub(super) const WAITS: &str = "waits";

/// What a node says of a wait need not be JSON. The port is what the digits at the end of an address are. A server is who has what another socket of its namespace listens at.
const INSERT_WAITS: &str = "
with listening as materialized (
    select distinct netns, family = 'unix' as is_unix,
           case family when 'unix' then local else substr(local, length(rtrim(local, '0123456789')) + 1) end as place
    from sockets
    where state = 'listen'
)
insert into endpoints (goroutine_id, socket_id, fd, role, protocol, source)
select w.goroutine_id, s.socket_id, s.fd,
       iif(exists (
               select 1 from listening l
               where l.netns = s.netns and l.is_unix = (s.family = 'unix') and l.place <> ''
                 and l.place = case s.family when 'unix' then s.local
                               else substr(s.local, length(rtrim(s.local, '0123456789')) + 1) end),
           'server', 'client'),
       iif(s.family = 'unix', 'unix', 'tcp'), ?1
from waits w
join goroutines g on g.goroutine_id = w.goroutine_id
join sockets s on s.process_id = g.process_id and s.fd = iif(json_valid(w.detail), json_extract(w.detail, '$.fd'), null)
where w.kind in ('net read', 'net write')
  and s.protocol in ('tcp', 'stream', 'seqpacket')
  and s.state <> 'listen'
  and not exists (
      select 1 from endpoints e where e.goroutine_id = w.goroutine_id and (e.fd is null or e.fd = s.fd))
order by w.goroutine_id";

/// The sockets of the descriptors that probe sets have named, and the ends that no set knows.
pub(super) fn complete(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("delete from endpoints where source = ?", [WAITS])?;
    connection.execute_batch(
        "update endpoints
         set socket_id = (select s.socket_id
                          from goroutines g
                          join sockets s on s.process_id = g.process_id and s.fd = endpoints.fd
                          where g.goroutine_id = endpoints.goroutine_id)
         where fd is not null",
    )?;
    connection.execute(INSERT_WAITS, [WAITS])?;
    Ok(())
}

/// The part that begins there.
pub(super) fn read(connection: &Connection, from: Place) -> rusqlite::Result<Part> {
    let full = |rows: usize| rows as i64 == PART_ROWS;
    let mut part = Part::default();
    match from {
        Place::Start => {
            part.processes = processes(connection)?;
            part.next = Some(Place::Sockets(0));
        }
        Place::Sockets(after) => {
            part.sockets = sockets(connection, after)?;
            let last = part.sockets.last().filter(|_| full(part.sockets.len()));
            part.next = Some(last.map_or(Place::Ends(0), |socket| Place::Sockets(socket.id)));
        }
        Place::Ends(after) => {
            part.ends = ends(connection, after)?;
            part.next = part.ends.last().filter(|_| full(part.ends.len())).map(|end| Place::Ends(end.id));
        }
    }
    Ok(part)
}

fn processes(connection: &Connection) -> rusqlite::Result<Vec<Process>> {
    // A clock's offset is what is to be added to come to the coordinator's.
    let mut statement = connection.prepare(
        "select p.process_id, p.program || ', pid ' || p.pid || ' on ' || h.hostname,
                coalesce(h.boot_id, 'host ' || h.host_id),
                p.frozen_start_unix_ns + coalesce(h.clock_offset_ns, 0), p.frozen_ns, coalesce(h.clock_offset_ns, 0),
                coalesce(h.clock_error_ns, 0)
         from processes p join hosts h on h.host_id = p.host_id",
    )?;
    let of = |row: &Row<'_>| {
        let (start, length): (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
        let (offset_ns, error_ns) = (row.get(5)?, row.get(6)?);
        let window = |(start, length): (i64, i64)| Window {
            start_unix_ns: start,
            end_unix_ns: start.saturating_add(length),
            offset_ns,
            error_ns,
        };
        Ok(Process {
            id: row.get(0)?,
            name: row.get(1)?,
            kernel: row.get(2)?,
            frozen: start.zip(length).map(window),
        })
    };
    statement.query_map([], of)?.collect()
}

fn sockets(connection: &Connection, after: i64) -> rusqlite::Result<Vec<Socket>> {
    let mut statement = connection.prepare_cached(
        "select socket_id, process_id, netns, inode, family = 'unix', protocol, local, remote, state = 'listen',
                receive_queue_bytes, send_queue_bytes, peer_inode, translated_local, translated_remote, peer_description,
                cookie
         from sockets
         where socket_id > ? and protocol in ('tcp', 'stream', 'seqpacket')
         order by socket_id limit ?",
    )?;
    let of = |row: &Row<'_>| {
        Ok(Socket {
            id: row.get(0)?,
            process: row.get(1)?,
            netns: row.get(2)?,
            inode: row.get(3)?,
            is_unix: row.get(4)?,
            protocol: row.get(5)?,
            local: row.get(6)?,
            remote: row.get(7)?,
            listens: row.get(8)?,
            receive_queue_bytes: row.get(9)?,
            send_queue_bytes: row.get(10)?,
            peer_inode: row.get(11)?,
            translated_local: row.get(12)?,
            translated_remote: row.get(13)?,
            peer_description: row.get(14)?,
            cookie: row.get(15)?,
        })
    };
    statement.query_map(params![after, PART_ROWS], of)?.collect()
}

/// Endpoints of a set may have any type in any column: what does not fit is not known. A client whose span is that of what its
/// goroutine serves (spans come from contexts, which do not say whose they are) has not sent it.
fn ends(connection: &Connection, after: i64) -> rusqlite::Result<Vec<End>> {
    let mut statement = connection.prepare_cached(
        "select e.endpoint_id, e.goroutine_id, g.process_id, e.socket_id, e.role, cast(coalesce(e.protocol, '') as text),
                iif(typeof(e.stream_id) = 'integer', e.stream_id, null), cast(e.method as text),
                iif(e.role = 'client' and exists (
                        select 1 from endpoints s
                        where s.goroutine_id = e.goroutine_id and s.role = 'server' and s.span_id = e.span_id),
                    null, cast(e.trace_id || ' ' || iif(e.role = 'client', e.span_id, e.parent_span_id) as text)),
                iif(e.answered in (0, 1), e.answered, null),
                iif(typeof(e.buffered_bytes) = 'integer' and e.buffered_bytes between 0 and 4294967295,
                    e.buffered_bytes, null),
                iif(typeof(e.fd) = 'integer', e.fd, null),
                e.source = ? and exists (
                    select 1 from waits w where w.goroutine_id = e.goroutine_id and w.kind = 'net write')
         from endpoints e join goroutines g on g.goroutine_id = e.goroutine_id
         where e.endpoint_id > ?
         order by e.endpoint_id limit ?",
    )?;
    let of = |row: &Row<'_>| {
        let role: String = row.get(4)?;
        Ok(End {
            id: row.get(0)?,
            goroutine: row.get(1)?,
            process: row.get(2)?,
            socket: row.get(3)?,
            role: if role == "client" { Role::Client } else { Role::Server },
            protocol: row.get(5)?,
            stream: row.get(6)?,
            method: row.get(7)?,
            trace: row.get(8)?,
            answered: row.get(9)?,
            buffered_bytes: row.get(10)?,
            fd: row.get(11)?,
            writes: row.get(12)?,
        })
    };
    statement.query_map(params![WAITS, after, PART_ROWS], of)?.collect()
}
